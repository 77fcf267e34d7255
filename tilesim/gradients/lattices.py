"""Lattice systems: which numbers of a unit cell are free, and how the others follow from them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tilesim.errors import InputError
from tilesim.frozen import frozen

NAMES = ("a", "b", "c", "alpha", "beta", "gamma")
RIGHT, HEXAGONAL = math.pi / 2, 2 * math.pi / 3
CLOSE = 1e-4
"""Relative difference from a system, radians for angles, that is taken for rounding where the system is stated."""
EXACT = 1e-6
"""The same where the system is that of the cell itself."""


@frozen
class LatticeSystem:
    """One lattice system."""

    name: str
    tied: tuple[tuple[int, ...], ...]
    """Places in a, b, c, alpha, beta, gamma of each free number"""
    fixed: tuple[tuple[int, float], ...] = ()
    """Places of the angles that are fixed, radians"""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the free numbers."""
        return tuple(NAMES[places[0]] for places in self.tied)

    @property
    def matrix(self) -> np.ndarray:
        """Derivatives (6, free) of the numbers of a cell with those that are free."""
        found = np.zeros((6, len(self.tied)))
        for number, places in enumerate(self.tied):
            found[list(places), number] = 1.0
        return found

    def off(self, cell: Sequence[float]) -> float:
        """How far a cell is from the system, relative for lengths, radians for angles."""
        found = [abs(cell[place] - angle) for place, angle in self.fixed]
        for first, *others in self.tied:
            size = cell[first] if first < 3 else 1.0
            found += [abs(cell[place] - cell[first]) / size for place in others]
        return max(found, default=0.0)


def _right(*places: int) -> tuple[tuple[int, float], ...]:
    return tuple((place, RIGHT) for place in places)


_HEXAGONAL = ((0, 1), (2,)), (*_right(3, 4), (5, HEXAGONAL))
SYSTEMS = {
    one.name: one
    for one in (
        LatticeSystem("cubic", ((0, 1, 2),), _right(3, 4, 5)),
        LatticeSystem("hexagonal", *_HEXAGONAL),
        LatticeSystem("trigonal", *_HEXAGONAL),
        LatticeSystem("tetragonal", ((0, 1), (2,)), _right(3, 4, 5)),
        LatticeSystem("rhombohedral", ((0, 1, 2), (3, 4, 5))),
        LatticeSystem("orthorhombic", ((0,), (1,), (2,)), _right(3, 4, 5)),
        LatticeSystem("monoclinic", ((0,), (1,), (2,), (4,)), _right(3, 5)),
        LatticeSystem("triclinic", tuple((place,) for place in range(6))),
    )
}
"""By name, those of fewer free numbers first."""


def lattice_system(name: str | None, cell: Sequence[float]) -> LatticeSystem:
    """The system of this name, or the one of fewest free numbers that the cell has itself.

    Raises InputError where there is none such, or the cell (metres, radians) has not its form.
    """
    if name is None:
        return next(one for one in SYSTEMS.values() if one.off(cell) <= EXACT)
    system = SYSTEMS.get(name)
    if system is None:
        raise InputError(f"lattice {name!r}; expected one of {', '.join(SYSTEMS)}")
    if (off := system.off(cell)) > CLOSE:
        raise InputError(
            f"lattice {name}: the cell {_shown(cell)} is off by {off:.2g}; expected that form, or another lattice"
        )
    return system


def _shown(cell: Sequence[float]) -> str:
    lengths = " ".join(f"{1e10 * x:.6g}" for x in cell[:3])
    return f"{lengths} Å {' '.join(f'{math.degrees(x):.6g}' for x in cell[3:])}°"
