"""Draws of the number of lattices in a shot, and of the orientation and share of each further one."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.model.changes import FURTHER_LATTICES
from tilesim.model.distribution import Distribution
from tilesim.physics.draws import EACH, Array, axes, rotations_about, uniform_rotations
from tilesim.series.shots import FURTHER, LATTICES, Shots, counter_of

MOST = 256
"""Lattices of a shot."""
ANGLE, SHARE = 1, 2
"""Components of what is drawn of a further lattice; its rotation is component 0."""


def draw_lattices(shots: Shots, number: Any) -> None:
    """Add the column of further lattices, and make shots without a lattice blank. Raises InputError."""
    if shots.base.other_crystals:
        raise InputError("lattices are drawn of an experiment that has several; expected one of one lattice")
    drawn = shots.values("lattices", LATTICES, number, 1.0)
    shots.checked("lattices", drawn, (drawn >= 0) & (drawn <= MOST) & (drawn % 1 == 0), f"whole numbers up to {MOST}")
    further = max(int(drawn.max()) - 1, 1)  # one at least: such a column of several experiments is joined
    rows = np.full((len(drawn), further, 10), np.nan)
    for k in range(further):
        there = drawn > k + 1
        rows[there, k, 0] = _shares(shots, k, there)[there]
        rows[there, k, 1:] = _orientations(shots, k).reshape(-1, 9)[there]
    shots.columns[FURTHER_LATTICES] = rows
    shots.add_blank(drawn == 0)


def _shares(shots: Shots, k: int, there: np.ndarray) -> Array:
    """Share (n,) of each shot's k-th further lattice, which is `there` in some."""
    drawn = shots.values("lattice_share", FURTHER + k, shots.draws.get("lattice_share", 1.0), 1.0, SHARE)
    return shots.checked("lattice_share", drawn, ~there | (drawn >= 0), "0 or more")


def _orientations(shots: Shots, k: int) -> Array:
    """Orientation (n, 3, 3) of each shot's k-th further lattice."""
    chosen = shots.draws.get("lattice_orientation", "uniform")
    if isinstance(chosen, int | float | Distribution):
        return turned_about(shots, "lattice_orientation", FURTHER + k, chosen, shots.orientation())
    if chosen != "uniform":
        raise InputError(f"lattice_orientation is {str(chosen)[:40]!r}; expected uniform, or a distribution of angles")
    return uniform_rotations(shots.frames, shots.seed, counter_of(FURTHER + k))


def turned_about(shots: Shots, what: str, quantity: int, angles: Any, orientation: Array) -> Array:
    """Orientations (n, 3, 3) about those given: turned about random axes by angles of a distribution, radians."""
    angle = shots.values(what, quantity, angles, 0.0, ANGLE)
    axis = axes(shots.frames, shots.seed, counter_of(quantity) + EACH)
    turned: Array = rotations_about(axis, angle) @ orientation
    return turned
