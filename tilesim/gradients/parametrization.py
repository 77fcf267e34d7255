"""Parametrisation: the numbers of an experiment that are varied, and how it follows from free coordinates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Self

import numpy as np

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.gradients.changed import with_values
from tilesim.gradients.constraints import Constraint, Free, Positive
from tilesim.gradients.lattices import lattice_system
from tilesim.gradients.parameters import Parameter, parse_parameters
from tilesim.gradients.refusals import check_differentiable
from tilesim.model import Experiment
from tilesim.model.series import one_experiment

ALIASES = {
    "N": "crystal.cells",
    "eta": "crystal.mosaic_spread.sigma",
    "scale": "beam.fluence",
    "wavelength": "beam.wavelength",
    "distance": "detector.distance",
    "background": "background.thickness",
    **{name: f"crystal.{name}" for name in ("rotation", "cell", "strain", "cells", "fudge")},
}
"""Short names of parameters that are varied often."""
AXES = ("x", "y", "z")
COMPONENTS = {
    "cells": ("a", "b", "c"),
    "cells_off_diagonal": ("ab", "bc", "ac"),
    "strain": ("xx", "yy", "zz", "yz", "xz", "xy"),
    "mosaic_spread.sigma": ("a", "b", "c"),
}
"""Names of a parameter's numbers where they are not those along x, y, z."""
ABOVE_ZERO = {
    "crystal": ("cells", "fudge", "share", "mosaic_spread.sigma"),
    "beam": ("wavelength", "fluence"),
    "detector": ("pixel_size", "curved_radius", "sensor.layer_thickness", "sensor.attenuation"),
    "": ("water_size", "background.thickness"),
}
"""Parameters that stay above 0 where nothing else is said, by their part."""
Vector = np.ndarray


@frozen(eq=False)
class Varied:
    """One parameter that is varied, and its free numbers."""

    parameter: Parameter
    """With the value that it starts from."""
    constraint: Constraint
    labels: tuple[str, ...]
    """Names of the free numbers."""
    starts: tuple[float, ...]
    """Values of the free numbers that they start from."""
    matrix: np.ndarray
    """Derivatives (numbers, free) of the parameter's numbers with those that are free"""
    fixed: np.ndarray
    """(numbers,) what the others are."""

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of each free number."""
        return tuple(self.parameter.units[int(np.argmax(column))] for column in self.matrix.T)

    def at(self, coordinates: Vector) -> tuple[Vector, Vector]:
        """The free numbers at these coordinates, and their derivatives with them."""
        relative = self.parameter.relative
        pairs = [self.constraint.value(x, u, relative) for x, u in zip(coordinates, self.starts, strict=True)]
        values, slopes = np.array(pairs).T
        return values, slopes


@frozen(init=False, eq=False)
class Parameters:
    """The parameters of an experiment that are varied, with their constraints.

    Parameters
    ----------
    experiment
        What is varied.
    varied
        Constraints (`Free`, `Bounded`, `Positive`) by the name of the parameter, those of docs/gradients.md or short
        ones such as "rotation", "cell", "N", "eta", "scale", "distance". Without one (None, or names alone) what makes
        sense above 0 only is positive, and the others are free.
    lattice
        Lattice system that the cell keeps: "triclinic", "monoclinic", "orthorhombic", "tetragonal", "rhombohedral",
        "trigonal", "hexagonal" or "cubic"; by default that of the cell itself.
    groups
        Numbers of the panels of every rigid group: each parameter "detector.*" becomes one for each group.

    Raises
    ------
    InputError
        Where there is no such parameter or derivative, a start is outside of its bounds, or the cell has not the form
        of its lattice.

    Examples
    --------
    >>> import tilesim
    >>> still = tilesim.from_nanobragg("-default_F 100 -cell 50 50 70 90 90 90 -N 5 -detpixels 64 -distance 100")
    >>> varied = tilesim.Parameters(still, {"cell": tilesim.Bounded(0.99, 1.01), "rotation": tilesim.Free()})
    >>> varied.labels
    ('crystal.cell.a', 'crystal.cell.c', 'crystal.rotation.x', 'crystal.rotation.y', 'crystal.rotation.z')
    """

    experiment: Experiment
    """What is varied"""
    varied: tuple[Varied, ...]
    """Each parameter"""

    def __init__(
        self,
        experiment: Experiment,
        varied: str | Iterable[str] | Mapping[str, Constraint | None],
        *,
        lattice: str | None = None,
        groups: Sequence[Sequence[int]] = (),
    ) -> None:
        one_experiment(experiment)
        check_groups(groups)
        listed = [varied] if isinstance(varied, str) else varied
        constraints = dict(listed) if isinstance(listed, Mapping) else dict.fromkeys(listed)
        for name, constraint in constraints.items():
            if isinstance(name, str) and name not in ALIASES and not set(name) & set(".[_"):
                raise InputError(
                    f"parameter {name} is not known; expected one of {', '.join(ALIASES)}, or such as crystal.rotation"
                )
            if constraint is not None and not isinstance(constraint, Constraint):
                raise InputError(
                    f"parameter {name} has {constraint!r}; expected Free(), Bounded(low, high), Positive()"
                )
        named = {full: one for name, one in constraints.items() for full in _of_groups(_full_name(name), groups)}
        if groups and not any(name.startswith("detector[") for name in named):
            raise InputError("groups are of panels, and nothing of the detector is varied; expected it varied, or none")
        if len(named) < len(constraints):
            raise InputError(f"parameters {', '.join(constraints)}: one is listed twice; expected each once")
        parsed = parse_parameters(named, experiment)
        check_differentiable(experiment, parsed)
        found = [_varied(one, named[one.name], lattice, experiment) for one in parsed]
        object.__setattr__(self, "experiment", experiment)
        object.__setattr__(self, "varied", tuple(found))

    def only(self, varied: Sequence[Varied]) -> Self:
        """The same experiment with these varied."""
        found = object.__new__(type(self))
        object.__setattr__(found, "experiment", self.experiment)
        object.__setattr__(found, "varied", tuple(varied))
        return found

    def __repr__(self) -> str:
        return f"Parameters({', '.join(self.labels)})"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return tuple(one.parameter.name for one in self.varied)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the free numbers."""
        return tuple(label for one in self.varied for label in one.labels)

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of each."""
        return tuple(unit for one in self.varied for unit in one.units)

    @property
    def start(self) -> Point:
        """The experiment as it is."""
        found = [
            one.constraint.start(label, value, one.parameter.relative)
            for one in self.varied
            for label, value in zip(one.labels, one.starts, strict=True)
        ]
        return Point(self, self.experiment, tuple(found))


@frozen(eq=False)
class Point:
    """Coordinates of all free numbers, and the experiment there."""

    parameters: Parameters
    experiment: Experiment
    coordinates: tuple[float, ...]
    """One for each free number; what they are depends on its constraint."""

    @cached_property
    def _parts(self) -> tuple[tuple[Varied, Vector, Vector], ...]:
        found, start = [], 0
        for one in self.parameters.varied:
            stop = start + len(one.labels)
            found.append((one, *one.at(np.array(self.coordinates[start:stop]))))
            start = stop
        return tuple(found)

    @property
    def values(self) -> Vector:
        """The free numbers; those of parameters that count from 0 are sums of all steps."""
        return np.concatenate([values for _, values, _ in self._parts])

    @property
    def scales(self) -> Vector:
        """Derivatives of the free numbers with their coordinates."""
        return np.concatenate([slopes for _, _, slopes in self._parts])

    @property
    def slopes(self) -> Vector:
        """Derivatives (numbers, free) of the numbers of all parameters with the coordinates."""
        parts = [one.matrix * slopes for one, _, slopes in self._parts]
        found = np.zeros((sum(len(part) for part in parts), len(self.coordinates)))
        row = column = 0
        for part in parts:
            found[row : row + part.shape[0], column : column + part.shape[1]] = part
            row, column = row + part.shape[0], column + part.shape[1]
        return found

    @property
    def _constraints(self) -> list[Constraint]:
        return [one.constraint for one in self.parameters.varied for _ in one.labels]

    @property
    def edges(self) -> Vector:
        """1 for a number at its upper bound, -1 for one at its lower, else 0."""
        return np.array([one.edge(x) for one, x in zip(self._constraints, self.coordinates, strict=True)])

    @property
    def prior(self) -> tuple[Vector, Vector]:
        """Residuals of the priors (start less value, over the standard deviation), and their slopes; 0 without one."""
        residuals, slopes = [], []
        for one, values, along in self._parts:
            for value, start, slope in zip(values, one.starts, along, strict=True):
                deviation = one.constraint.deviation(start, one.parameter.relative)
                residuals.append((start - value) / deviation if deviation else 0.0)
                slopes.append(slope / deviation if deviation else 0.0)
        return np.array(residuals), np.array(slopes)

    def moved(self, step: Sequence[float] | Vector) -> Self:
        """The point that is a step of the coordinates away. Raises InputError where there is no such experiment."""
        moved = [float(x + dx) for x, dx in zip(self.coordinates, step, strict=True)]
        if not all(map(math.isfinite, moved)):
            raise InputError("a step of the parameters is not finite")
        coordinates = tuple(one.within(x) for one, x in zip(self._constraints, moved, strict=True))
        there = type(self)(self.parameters, self.experiment, coordinates)
        changes = {}
        for (one, before, _), (_, after, _) in zip(self._parts, there._parts, strict=True):
            change = one.matrix @ (after - before if one.parameter.relative else after)
            changes[one.parameter.name] = change if one.parameter.relative else one.fixed + change
        return type(self)(self.parameters, with_values(self.experiment, changes), coordinates)


def check_groups(groups: Sequence[Sequence[int]]) -> None:
    """Raise InputError unless every group has panels, each of them in one group."""
    panels = [panel for group in groups for panel in group]
    if not all(len(group) for group in groups):
        raise InputError("a group has no panels; expected some in each")
    if twice := [panel for panel in panels if panels.count(panel) > 1]:
        raise InputError(f"panel {twice[0]} is in two groups; expected each in one")


def _full_name(name: str) -> str:
    return ALIASES.get(name, name)


def _of_groups(name: str, groups: Sequence[Sequence[int]]) -> list[str]:
    """The name itself, or of a detector one for each group of panels."""
    field = name.removeprefix("detector.")
    if field == name or not groups:
        return [name]
    return [f"detector[{','.join(map(str, group))}].{field}" for group in groups]


def _default(one: Parameter) -> Constraint:
    """The constraint of a parameter of which nothing is said."""
    bounded = one.field in ABOVE_ZERO.get(one.part, ()) and not one.relative and min(one.value) > 0
    return Positive() if bounded else Free()


def _components(one: Parameter) -> tuple[str, ...]:
    """Names of the numbers of a parameter; f' and f'' are counted by rising wavelength."""
    listed = tuple(map(str, range(one.size))) if one.part == "factors" else COMPONENTS.get(one.field, AXES)
    return listed[: one.size]


def _varied(one: Parameter, given: Constraint | None, lattice: str | None, experiment: Experiment) -> Varied:
    if one.field == "mosaic_spread.sigma" and min(one.value) == 0:
        raise InputError(f"parameter {one.name} begins at 0, where no image changes with it; expected it above 0")
    constraint = given or _default(one)
    matrix, fixed = np.eye(one.size), np.zeros(one.size)
    parts = _components(one) if one.size > 1 else ()
    if one.part == "crystal" and one.field == "cell":
        system = lattice_system(lattice, one.value)
        matrix, parts = system.matrix, system.labels
        for place, angle in system.fixed:
            fixed[place] = angle
    labels = tuple(f"{one.name}.{part}" for part in parts) if parts else (one.name,)
    starts = tuple(float(np.mean(np.array(one.value)[column > 0])) for column in matrix.T)
    for label, start in zip(labels, starts, strict=True):
        constraint.start(label, start, one.relative)
    return Varied(one, constraint, labels, starts, matrix, fixed)
