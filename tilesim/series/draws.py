"""Series of shots whose crystal, beam and detector are drawn: each value from seed, number of the frame and counter."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.model import Experiment, Series
from tilesim.model.checks import finite, instance, rotations, whole_number
from tilesim.model.distribution import Distribution
from tilesim.model.materials import ENERGY_TIMES_WAVELENGTH
from tilesim.model.unitcell import FLAT
from tilesim.physics.draws import Array, frame_uniforms, uniform_rotations
from tilesim.series.latticedraws import draw_lattices, turned_about
from tilesim.series.shots import (
    BEAM_SHIFT,
    BLANK,
    CELL,
    CELL_ANGLES,
    CELLS,
    DISTANCE,
    FLUENCE,
    MOSAIC,
    ORIENTATION,
    WAVELENGTH,
    Shots,
    counter_of,
)

SAME = 1e-6
"""Relative difference of lengths, and difference of angles in radians, that a lattice does not know."""
ORDERS = ("once", "cyclic", "random")
"""Which of listed orientations a shot has."""
CHOSEN = 2
"""Component of the choice among orientations."""
ELECTRONVOLT_METRES = ENERGY_TIMES_WAVELENGTH * 1e3


def draw(
    base: Experiment,
    shots: int,
    *,
    seed: int = 1,
    numbers: Sequence[int] | None = None,
    orientation_order: str | None = None,
    **draws: Any,
) -> Series:
    """A series of shots that vary from a base by what is drawn for each of them.

    The values of a frame follow from the seed and its number alone: the same in a series of any length.

    Parameters
    ----------
    base : Experiment
        What does not vary.
    shots : int
        Number of frames.
    seed : int
        Random seed of all draws.
    numbers : sequence of int, optional
        Numbers of the frames, below 2^32; counted from 0 where not given.
    orientation : "uniform", Distribution or array, optional
        Uniform in SO(3); or that of the base turned about a random axis by an angle of a distribution, radians; or
        matrices U, (n, 3, 3).
    orientation_order : "once", "cyclic" or "random", optional
        Which of n matrices a shot has: the next one, of at least as many as there are shots ("once", where not given);
        that of the number of the frame modulo n; or any, drawn for each frame.
    cell, cell_angles : Distribution or three of them, optional
        Lengths in metres and angles in radians of the unit cell, each drawn by itself about that of the base. Lengths
        that are equal in the base remain so, angles of 90 and 120 degrees remain, and the angles of a rhombohedral cell
        remain equal.
    cells, size : Distribution, optional
        Unit cells along a, b and c alike, or the size of the crystal along each in metres; real numbers of cells, and
        whole ones for `strict_c`, as the reference has them.
    wavelength, energy : Distribution, optional
        Of the beam, metres, or electronvolt.
    fluence : Distribution, optional
        Photons per square metre.
    beam_shift : Distribution or two of them, optional
        Shift of the place where the beam meets the detector, metres, drawn along slow and along fast.
    distance : Distribution, optional
        Of the first panel's plane, metres; the detector moves along the beam.
    mosaic_spread : Distribution, optional
        Largest angle of the mosaic domains, radians; those of the base are scaled.
    lattices : Distribution, optional
        Number of lattices in the shot, whole numbers; of none the shot is blank.
    lattice_orientation : "uniform" or Distribution, optional
        Of each further lattice: uniform in SO(3), which it is where not given, or that of the first turned about a
        random axis by an angle of a distribution, radians.
    lattice_share : Distribution, optional
        Factor on the intensity of each further lattice; 1, a crystal like the first, where not given.
    blank : float or Distribution, optional
        Probability that a shot hits no crystal; of a listed distribution 1 where it does not.

    Returns
    -------
    Series

    Raises
    ------
    InputError
        Where a draw is unknown or contradicts another, or a value is none that an experiment may have.

    Examples
    --------
    >>> from tilesim import Beam, Crystal, Detector, Distribution, Experiment, Panel, StructureFactors, draw
    >>> still = Experiment(
    ...     Beam((0.0, 0.0, 1.0), 1e-10),
    ...     Crystal.from_cell(5e-9, 6e-9, 7e-9, shape="gauss"),
    ...     Detector(Panel.facing(0.1, 1e-4, (64, 64))),
    ...     StructureFactors.constant(10.0),
    ... )
    >>> shots = draw(still, 1000, seed=3, orientation="uniform", energy=Distribution("normal", sd=20.0))
    >>> shots[7] == draw(still, 10, seed=3, orientation="uniform", energy=Distribution("normal", sd=20.0))[7]
    True
    """
    count = whole_number("shots", shots, at_least=1)
    frames = np.arange(count) if numbers is None else np.array([whole_number("number", n, at_least=0) for n in numbers])
    if len(frames) != count or frames.max() >= 1 << 32:
        raise InputError(f"{len(frames)} numbers of {count} shots; expected one below 2^32 for each")
    for pair in (("wavelength", "energy"), ("cells", "size")):
        if len(draws.keys() & set(pair)) > 1:
            raise InputError(f"draws of {' and '.join(pair)}; expected one of them")
    if unknown := [name for name in draws if name not in DRAWS]:
        raise InputError(f"no draw of {unknown[0][:40]!r}; expected one of {', '.join(DRAWS)}")
    given = {name: value for name, value in draws.items() if value is not None}
    if orientation_order is not None:
        _check_order(orientation_order, given.get("orientation"))
        given["orientation_order"] = orientation_order
    found = Shots(instance("base of the shots", base, Experiment), frames, whole_number("seed", seed), given)
    for name, into in DRAWS.items():
        if name in given:
            into(found, given[name])
    return Series(base, found.columns, numbers=frames.tolist())


def _cell(shots: Shots, lengths: Any) -> None:
    cell, base = shots.cell().copy(), shots.base.lattice.cell
    for axis, tied in enumerate(tied_lengths(base)):
        cell[:, axis] = cell[:, tied] if tied < axis else shots.values("cell", CELL, lengths, base[axis], axis)
    shots.columns["unit_cell"] = cell
    shots.checked("cell length", cell[:, :3].min(axis=1), (cell[:, :3] > 0).all(axis=1), "metres above 0")


def _cell_angles(shots: Shots, angles: Any) -> None:
    cell, base = shots.cell().copy(), shots.base.lattice.cell
    for axis, tied in enumerate(tied_angles(base)):
        if tied == axis:
            cell[:, 3 + axis] = shots.values("cell_angles", CELL_ANGLES, angles, base[3 + axis], axis)
        elif tied >= 0:
            cell[:, 3 + axis] = cell[:, 3 + tied]
    shots.columns["unit_cell"] = cell
    alpha, beta, gamma = np.cos(cell[:, 3:]).T
    volume = 1.0 - alpha**2 - beta**2 - gamma**2 + 2.0 * alpha * beta * gamma
    shots.checked("squared volume of the angles", volume, (volume > FLAT) & (cell[:, 3:].min(axis=1) > 0), "a cell")


def tied_lengths(cell: Sequence[float]) -> tuple[int, int, int]:
    """For each length of a unit cell the first that equals it."""
    a, b, c = cell[:3]
    return 0, _first_equal(b, [a], 1), _first_equal(c, [a, b], 2)


def tied_angles(cell: Sequence[float]) -> tuple[int, int, int]:
    """For each angle of a unit cell the first that is drawn with it; -1: it is right, or 120 degrees, and remains."""
    fixed = [any(abs(angle - value) < SAME for value in (math.pi / 2, 2 * math.pi / 3)) for angle in cell[3:6]]
    if tied_lengths(cell) == (0, 0, 0) and max(cell[3:6]) - min(cell[3:6]) < SAME and not any(fixed):
        return 0, 0, 0
    alpha, beta, gamma = (-1 if still else axis for axis, still in enumerate(fixed))
    return alpha, beta, gamma


def _first_equal(value: float, others: Sequence[float], own: int) -> int:
    return next((place for place, other in enumerate(others) if abs(value - other) <= SAME * value), own)


def _cells(shots: Shots, cells: Any) -> None:
    drawn = shots.values("cells", CELLS, cells, float(shots.base.lattice.cells[0]))
    shots.columns["cells"] = _sized(shots, "cells", drawn, np.repeat(drawn[:, None], 3, axis=1), "a number above 0")


def _size(shots: Shots, size: Any) -> None:
    lattice = shots.base.lattice
    drawn = shots.values("size", CELLS, size, lattice.cells[0] * lattice.cell[0])
    shots.columns["cells"] = _sized(shots, "size", drawn, drawn[:, None] / shots.cell()[:, :3], "metres above 0")


def _sized(shots: Shots, what: str, drawn: Array, cells: Array, expected: str) -> Array:
    """Unit cells (n, 3) of a crystal whose N can be drawn. Raises InputError."""
    if any(shots.base.lattice.cells_off_diagonal):
        raise InputError(f"{what} is drawn of a crystal with an oriented N; expected one with a diagonal N")
    if shots.base.lattice.blocks != 1.0:
        raise InputError(
            f"{what} is drawn of a crystal of many blocks, whose number would not follow; expected one block"
        )
    shots.checked(what, drawn, drawn > 0, expected)
    if shots.base.sampling.strict_c:
        cells = np.maximum(np.round(cells), 1.0)
    return cells


def _wavelength(shots: Shots, wavelength: Any) -> None:
    drawn = shots.values("wavelength", WAVELENGTH, wavelength, shots.base.beam.wavelength)
    shots.columns["wavelength"] = shots.checked("wavelength", drawn, drawn > 0, "metres above 0")


def _energy(shots: Shots, energy: Any) -> None:
    drawn = shots.values("energy", WAVELENGTH, energy, ELECTRONVOLT_METRES / shots.base.beam.wavelength)
    shots.columns["wavelength"] = ELECTRONVOLT_METRES / shots.checked("energy", drawn, drawn > 0, "eV above 0")


def _fluence(shots: Shots, fluence: Any) -> None:
    drawn = shots.values("fluence", FLUENCE, fluence, shots.base.beam.fluence)
    shots.columns["fluence"] = shots.checked("fluence", drawn, drawn >= 0, "photons/m^2, 0 or more")


def _orientation(shots: Shots, orientation: Any) -> None:
    if isinstance(orientation, str):
        if orientation != "uniform":
            raise InputError(f"orientation {orientation[:40]!r}; expected uniform, a distribution or matrices")
        turned = uniform_rotations(shots.frames, shots.seed, counter_of(ORIENTATION))
    elif isinstance(orientation, int | float | Distribution):
        turned = turned_about(shots, "orientation", ORIENTATION, orientation, shots.base.lattice.orientation)
    else:
        turned = _listed_orientations(shots, np.array(rotations("orientations", orientation)).reshape(-1, 3, 3))
    shots.columns["orientation"] = turned.reshape(-1, 9)


def _check_order(order: str, orientation: Any) -> None:
    if order not in ORDERS:
        raise InputError(f"orientation_order is {str(order)[:40]!r}; expected one of {', '.join(ORDERS)}")
    if orientation is None or isinstance(orientation, str | int | float | Distribution):
        raise InputError("orientation_order without matrices to choose from; expected them as orientation")


def _listed_orientations(shots: Shots, listed: Array) -> Array:
    """Orientations (n, 3, 3) of the shots out of a list."""
    order, count = shots.draws.get("orientation_order", ORDERS[0]), len(listed)
    if not count:
        raise InputError("no orientations; expected at least one")
    if order == "cyclic":
        return listed[shots.frames % count]
    if order == "random":
        chosen = frame_uniforms(shots.frames, shots.seed, counter_of(ORIENTATION, CHOSEN)) * count
        return listed[np.minimum(chosen.astype(np.int64), count - 1)]
    if count < len(shots.frames):
        raise InputError(
            f"{count} orientations of {len(shots.frames)} shots; expected one for each, or the order cyclic or random"
        )
    return listed[: len(shots.frames)]


def _mosaic_spread(shots: Shots, spread: Any) -> None:
    own = shots.base.lattice.spread
    if not own > 0.0:
        raise InputError("mosaic_spread is drawn of a crystal of one orientation; expected mosaic domains to scale")
    drawn = shots.values("mosaic_spread", MOSAIC, spread, own)
    shots.columns["mosaic_scale"] = shots.checked("mosaic_spread", drawn, drawn >= 0, "an angle of 0 or more") / own


def _distance(shots: Shots, distance: Any) -> None:
    drawn = shots.values("distance", DISTANCE, distance, shots.base.detector.panels[0].distance)
    shots.columns["distance"] = shots.checked("distance", drawn, drawn > 0, "metres above 0")


def _beam_shift(shots: Shots, shift: Any) -> None:
    both = [shots.values("beam_shift", BEAM_SHIFT, shift, 0.0, axis) for axis in range(2)]
    shots.columns["beam_shift"] = np.stack(both, axis=1)


def _blank(shots: Shots, blank: Any) -> None:
    if isinstance(blank, Distribution):
        drawn = shots.values("blank", BLANK, blank, 0.0)
        shots.add_blank(shots.checked("blank", drawn, np.isin(drawn, (0.0, 1.0)), "0 or 1") > 0)
        return
    share = finite("share of blank shots", blank)
    if not 0.0 <= share <= 1.0:
        raise InputError(f"share of blank shots is {share:g}; expected 0 to 1")
    shots.add_blank(frame_uniforms(shots.frames, shots.seed, counter_of(BLANK)) < share)


def _of_lattices(shots: Shots, value: Any) -> None:
    """Nothing: what is drawn of further lattices is drawn with their number."""
    if "lattices" not in shots.draws:
        raise InputError("lattice_orientation or lattice_share without lattices; expected how many there are")


DRAWS: dict[str, Callable[[Shots, Any], None]] = {
    "cell": _cell,
    "cell_angles": _cell_angles,
    "cells": _cells,
    "size": _size,
    "orientation": _orientation,
    "mosaic_spread": _mosaic_spread,
    "wavelength": _wavelength,
    "energy": _energy,
    "fluence": _fluence,
    "distance": _distance,
    "beam_shift": _beam_shift,
    "lattices": draw_lattices,
    "lattice_orientation": _of_lattices,
    "lattice_share": _of_lattices,
    "blank": _blank,
}
"""What can be drawn, in this order; each adds columns of the series."""
