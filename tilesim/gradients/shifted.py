"""Derivatives where parameters have other values than the experiment, from those that count from there.

`tilesim.pullback` differentiates a rotation from the present orientation. Where that is a rotation already, the
derivative with its vector is a linear combination of such derivatives, which this module finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby

import numpy as np

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.gradients.chain import CELLS
from tilesim.gradients.changed import FRAME, METRIC, Shifts, Values, celled, rotation_of, shift_of, with_shifts
from tilesim.gradients.parameters import Parameter, parse_parameters
from tilesim.model import Experiment

Array = np.ndarray
ACROSS = ((1, 2), (2, 0), (0, 1))
Terms = list[tuple[str, Array]]
"""Names of parameters, and (numbers, their numbers) what their derivatives are multiplied by."""


@frozen
class Tangent:
    """How an image changes with parameters of an experiment at some of their values."""

    experiment: Experiment
    """With these values."""
    terms: Mapping[str, Terms]
    """By parameter."""

    @property
    def names(self) -> list[str]:
        """Parameters of `experiment` whose derivatives are needed."""
        return list(dict.fromkeys(name for terms in self.terms.values() for name, _ in terms))

    def derivatives(self, found: Mapping[str, Array]) -> dict[str, Array]:
        """The derivatives by parameter, from those of `names` with the same experiment."""
        return {
            name: np.sum([matrix @ found[other] for other, matrix in terms], axis=0)
            for name, terms in self.terms.items()
        }


def tangent(experiment: Experiment, values: Values, wanted: Iterable[str]) -> Tangent:
    """The experiment with these values, and the derivatives with some of them. Raises InputError."""
    parameters = parse_parameters(values, experiment) if values else ()
    shifts = Shifts(parameters, values)
    there = with_shifts(experiment, shifts)
    names = set(wanted)
    terms = {one.name: _terms(one, experiment, there, shifts) for one in parameters if one.name in names}
    return Tangent(there, terms)


def left_jacobian(vector: Array) -> Array:
    """The rotation vectors (3, 3), in columns, by which a rotation turns further when its own vector changes."""
    x, y, z = vector
    across, angle = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]]), float(np.linalg.norm(vector))
    half = np.sinc(angle / 2.0 / np.pi)
    cubic = (angle - np.sin(angle)) / angle**3 if angle else 1.0 / 6.0
    found: Array = np.eye(3) + half * half / 2.0 * across + cubic * across @ across
    return found


def _terms(one: Parameter, experiment: Experiment, there: Experiment, shifts: Shifts) -> Terms:
    if one.part == "crystal" and one.field in METRIC:
        return _of_metric(one, experiment, shifts)
    if one.part == "detector" and one.field in (*FRAME, "rotation", "distance"):
        return _of_panels(one, experiment, shifts)
    if (one.part, one.field) == ("beam", "rotation"):
        return [(one.name, left_jacobian(shifts.vector("beam", 0, "rotation")).T)]
    [same] = parse_parameters([one.name], there)
    if same.size != one.size:
        raise InputError(f"parameter {one.name}: all its numbers are equal now; expected some that differ")
    return [(one.name, np.eye(one.size))]


def _of_metric(one: Parameter, experiment: Experiment, shifts: Shifts) -> Terms:
    """Terms of what moves cell vectors: any change of them is a strain and a rotation."""
    [place], prefix = one.places, one.name.removesuffix(one.field)
    rotation, strain = shifts.vector("crystal", place, "rotation"), shifts.strain(place)
    if one.field == "rotation":
        return [(one.name, left_jacobian(rotation).T)]
    if not rotation.any() and not strain.any():
        return [(one.name, np.eye(6))]
    crystal = celled(experiment.crystals[place], place, shifts)
    slopes, strained, turn = CELLS[one.field](crystal), np.eye(3) + strain, rotation_of(rotation).T
    before = np.array([crystal.a, crystal.b, crystal.c])
    # Rows B become B (1 + x).
    x = np.linalg.inv(before @ strained @ turn) @ (slopes @ strained if one.field == "cell" else slopes) @ turn
    strains = [*(x[:, i, i] for i in range(3)), *((x[:, i, j] + x[:, j, i]) / 2.0 for i, j in ACROSS)]
    turns = [(x[:, i, j] - x[:, j, i]) / 2.0 for i, j in ACROSS]
    return [(f"{prefix}strain", np.stack(strains, axis=1)), (f"{prefix}rotation", np.stack(turns, axis=1))]


def _of_panels(one: Parameter, experiment: Experiment, shifts: Shifts) -> Terms:
    """Terms of what moves panels, of each group of them that turned and moved alike."""
    along = np.array(experiment.beam.direction)
    turned_beam = bool(shifts.names("beam", 0, "rotation"))

    def moved(place: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return tuple(shifts.vector("detector", place, "rotation")), tuple(shift_of(place, shifts, along))

    groups = [(key, list(places)) for key, places in groupby(one.places, moved)]
    terms: Terms = []
    for (rotation, shift), places in groups:
        prefix = one.name.removesuffix(one.field) if len(groups) == 1 else f"detector[{places[0]}:{places[-1] + 1}]."
        turn = rotation_of(np.array(rotation))
        if one.field == "rotation":
            turns = left_jacobian(np.array(rotation)).T
            terms.append((f"{prefix}rotation", turns))
            # Panels that moved after they turned turn about where the sample would be then.
            terms += [(f"{prefix}translation", -np.cross(turns, shift))] if any(shift) else []
        elif one.field == "distance":
            terms.append((f"{prefix}translation", along[None]) if turned_beam else (one.name, np.eye(1)))
        else:
            terms.append((f"{prefix}{one.field}", turn.T))
    return terms
