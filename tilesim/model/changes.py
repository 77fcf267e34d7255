"""Changes of an experiment by one value each: what the named columns of a series do to its base."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.model.checks import finite, numbers, positive, whole_number
from tilesim.model.crystal import Crystal
from tilesim.model.experiment import Experiment
from tilesim.model.factors import StructureFactors
from tilesim.model.spectrum import Spectrum
from tilesim.model.vectors import Vector, add, dot, scale

NOTHING = StructureFactors.constant(0.0)
"""Amplitudes of a shot that hits no crystal."""
FURTHER_LATTICES = "further_lattices"
"""Column (frame, lattice, 10) of lattices like the first: share and orientation row by row; NaN where none is."""
SAME = 1e-6
"""Relative difference of cells that counts as none."""


def _moved(experiment: Experiment, distance: float) -> Experiment:
    """The detector moved along the incident beam until the plane of its first panel is at `distance`, metres."""
    beam, first = experiment.beam.direction, experiment.detector.panels[0]
    facing = dot(beam, first.normal)
    if facing == 0.0:
        raise InputError("the detector is parallel to the incident beam; its distance along it cannot be changed")
    return _translated(experiment, scale(beam, (positive("distance", distance) - first.distance) / facing))


def _field(part: str, field: str) -> Callable[[Experiment, Any], Experiment]:
    """A change of one field of one part, which other fields follow as in `replace`."""

    def change(experiment: Experiment, value: Any) -> Experiment:
        return experiment.replace(**{part: getattr(experiment, part).replace(**{field: value})})

    return change


def _of_lattices(
    change: Callable[[Crystal, Any], Crystal], alike: Callable[[Crystal], Any] | None = None
) -> Callable[[Experiment, Any], Experiment]:
    """A change of every lattice of an experiment that has one.

    alike  what must be the same for all lattices, since the change makes it so
    """

    def of_experiment(experiment: Experiment, value: Any) -> Experiment:
        first = _first(experiment)
        for number, other in enumerate(experiment.other_crystals, 1):
            if alike is not None and not np.allclose(alike(other), alike(first), rtol=SAME, atol=0.0):
                raise InputError(
                    f"lattice {number} of the shot differs from the first in what the column sets; expected lattices "
                    "that are alike in it, or a column other_crystals"
                )
        return _with_lattices(experiment, [change(one, value) for one in experiment.crystals])

    return of_experiment


def _first(experiment: Experiment) -> Crystal:
    """The crystal of an experiment that has one. Raises InputError."""
    if experiment.crystal is None:
        raise InputError("the experiment has no crystal; expected one that can be oriented, or given another cell")
    return experiment.crystal


def _with_lattices(experiment: Experiment, crystals: Sequence[Crystal]) -> Experiment:
    return experiment.replace(crystal=crystals[0], other_crystals=tuple(crystals[1:]))


def _oriented(experiment: Experiment, orientation: Any) -> Experiment:
    """The first lattice in another orientation, and further ones turned with it."""
    before = _first(experiment)
    first = before.oriented(orientation)
    turn = np.reshape(orientation, (3, 3)) @ before.orientation.T
    others = [one.oriented(turn @ one.orientation) for one in experiment.other_crystals]
    return _with_lattices(experiment, [first, *others])


def _with_cell(crystal: Crystal, cell: Any) -> Crystal:
    """The crystal with another unit cell in its orientation."""
    standard = Crystal.from_cell(*numbers("unit cell", cell, 6)).oriented(crystal.orientation)
    return crystal.replace(a=standard.a, b=standard.b, c=standard.c)


def _with_spread(crystal: Crystal, factor: Any) -> Crystal:
    """The crystal with the angle of every mosaic rotation multiplied."""
    times = finite("mosaic_scale", factor)
    if (spread := crystal.mosaic_spread) is not None:
        return crystal.replace(mosaic_spread=spread.replace(sigma=scale(spread.sigma, abs(times))))
    return crystal.replace(mosaic_rotations=[_scaled(np.reshape(m, (3, 3)), times) for m in crystal.mosaic_rotations])


def _scaled(rotation: np.ndarray, factor: float) -> np.ndarray:
    """The rotation about the same axis by so many times its angle, which is below half a turn."""
    across = np.array(
        [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
    )
    sine = float(np.linalg.norm(across)) / 2.0
    if sine == 0.0:
        return rotation
    angle = factor * float(np.arctan2(sine, (np.trace(rotation) - 1.0) / 2.0))
    x, y, z = across / (2.0 * sine)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    turned: np.ndarray = np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * (cross @ cross)
    return turned


def _with_further(experiment: Experiment, rows: Any) -> Experiment:
    """The first lattice once more for each row of a share and an orientation."""
    found = np.array(rows, np.float64)
    if found.ndim != 2 or found.shape[1] != 10:
        raise InputError(f"further lattices of the series have the shape {found.shape}; expected (lattice, 10)")
    if experiment.other_crystals:
        raise InputError(f"column {FURTHER_LATTICES} of an experiment of several lattices; expected one")
    first = _first(experiment)
    there = found[~np.isnan(found).all(axis=1)].tolist()
    return _with_lattices(experiment, [first, *(first.oriented(u).replace(share=share) for share, *u in there)])


def lattice_counts(further: np.ndarray) -> np.ndarray:
    """Lattices (frame,) of the shots of a column of further ones."""
    counts: np.ndarray = 1 + (~np.isnan(further).all(axis=2)).sum(axis=1)
    return counts


def _beam_shifted(experiment: Experiment, shift: Any) -> Experiment:
    """The detector moved in the plane of its first panel until the beam arrives `shift` further along (slow, fast)."""
    slow, fast = numbers("beam_shift", shift, 2)
    first = experiment.detector.panels[0]
    return _translated(experiment, add(scale(first.slow, -slow), scale(first.fast, -fast)))


def _translated(experiment: Experiment, by: Vector) -> Experiment:
    panels = tuple(panel.replace(origin=add(panel.origin, by)) for panel in experiment.detector.panels)
    return experiment.replace(detector=experiment.detector.replace(panels=panels))


def _blank(experiment: Experiment, value: Any) -> Experiment:
    """The experiment without its crystal where the value is 1."""
    if whole_number("blank", value, at_least=0) > 1:
        raise InputError(f"blank is {value}; expected 0 or 1")
    return experiment.replace(crystal=None, other_crystals=(), factors=NOTHING) if value else experiment


def _lit(experiment: Experiment, channels: Any) -> Experiment:
    """The beam with another spectrum."""
    found = np.array(channels)
    if found.ndim != 2 or found.shape[1] != 2:
        raise InputError(f"a spectrum of the series has the shape {found.shape}; expected (channel, 2)")
    return experiment.replace(beam=experiment.beam.with_spectrum(Spectrum(*found.T)))


CHANGES: dict[str, Callable[[Experiment, Any], Experiment]] = {
    "spectrum": _lit,
    "scan_start": _field("scan", "start"),
    "wavelength": _field("beam", "wavelength"),
    "direction": _field("beam", "direction"),
    "fluence": _field("beam", "fluence"),
    "exposure": _field("beam", "exposure"),
    "unit_cell": _of_lattices(_with_cell, alike=lambda crystal: crystal.cell),
    "cells": _of_lattices(lambda crystal, cells: crystal.replace(cells=cells), alike=lambda crystal: crystal.cells),
    "orientation": _oriented,
    "mosaic_scale": _of_lattices(_with_spread),
    FURTHER_LATTICES: _with_further,
    "distance": _moved,
    "beam_shift": _beam_shifted,
    "blank": _blank,
}
"""What a column of this name does to the base, in this order; a column such as `scan.step` sets a field as it is."""
PARTS_CHANGED = {
    **{"scan_start": ("scan",), "distance": ("detector",), "beam_shift": ("detector",)},
    **dict.fromkeys(("spectrum", "wavelength", "direction", "fluence", "exposure"), ("beam",)),
    **dict.fromkeys(("unit_cell", "cells", "orientation", "mosaic_scale"), ("crystal", "other_crystals")),
    FURTHER_LATTICES: ("other_crystals",),
    "blank": ("crystal", "factors"),
}
"""Parts of an experiment that a named column changes."""
KEEP_STEPS = frozenset(CHANGES) - {"blank", "spectrum", FURTHER_LATTICES} | {
    "scan.start",
    "scan.step",
    "beam.wavelength",
    "beam.fluence",
    "crystal.cells",
}
"""Columns that change neither the shape of the panels nor how many evaluations a pixel takes."""
