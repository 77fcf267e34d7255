"""The reference's random numbers and the orientations drawn from them (spec noise 1, 2, 5, 6)."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence

import numpy as np

from tilesim.model.vectors import IDENTITY, Matrix, Vector, unit

MULTIPLIER = 16807
MODULUS = 2147483647
TABLE_SIZE = 32
_WARM_UP = 8
_SLOT_SHIFT = 26  # last value >> 26 is its division by 1 + (MODULUS - 1) // 32
_TO_UNIT = 1.0 / MODULUS
_LIMIT = 1.0 - 1.2e-7

_THIRD = np.float32(1.0 / 3.0)
_RANDOM_SPREAD = 90.0  # radians, although degrees were meant: many turns

Snapshot = tuple[int, ...]
"""The shared state: last value, then the 32 entries of the table."""


def single(x: float) -> float:
    """x rounded to IEEE single precision; too large a value becomes infinite, as in C."""
    return ctypes.c_float(x).value


_LARGEST = single(_LIMIT)


class Draws:
    """The generator's shuffle table and last value, which all seeds of one process share (spec noise 1).

    Streams opened from the same Draws disturb each other exactly as the reference's do.
    """

    def __init__(self) -> None:
        self.last = 0
        self.table = [0] * TABLE_SIZE

    @classmethod
    def restore(cls, snapshot: Sequence[int]) -> Draws:
        """The generator as it was when `snapshot` was taken; ValueError unless it has 33 integers."""
        if len(snapshot) != 1 + TABLE_SIZE:
            raise ValueError(f"the generator's state has {len(snapshot)} integers; expected {1 + TABLE_SIZE}")
        draws = cls()
        draws.last, *draws.table = (int(value) for value in snapshot)
        return draws

    def snapshot(self) -> Snapshot:
        """The shared state as a plain tuple of 33 integers: hashable, picklable, writable as JSON."""
        return (self.last, *self.table)

    def stream(self, seed: int) -> Stream:
        """A stream with its own integer; `seed` has the reference's internal sign (spec noise 2)."""
        return Stream(self, seed)

    def misset_angles(self, seed: int) -> Vector:
        """Angles (x, y, z) in radians of a random orientation; draws three numbers (spec noise 6)."""
        return rotation_angles(draw_rotation(self.stream(seed), _RANDOM_SPREAD))

    def mosaic_rotations(self, seed: int, spread: float, domains: int) -> tuple[Matrix, ...]:
        """One rotation per mosaic domain, the first the identity (spec noise 5).

        spread   largest angle, radians
        domains  how many; each draws three numbers, the first and a zero spread included
        """
        stream = self.stream(seed)
        drawn = [draw_rotation(stream, spread) for _ in range(domains)]
        return (IDENTITY, *drawn[1:]) if drawn else ()


class Stream:
    """Uniform numbers of one seed: Park and Miller's generator, shuffled (Numerical Recipes' ran1)."""

    def __init__(self, shared: Draws, seed: int) -> None:
        self.shared = shared
        self.state = seed

    def uniform(self) -> float:
        """The next number, a single-precision value in [0, 0.99999988] (spec noise 1)."""
        shared = self.shared
        if self.state <= 0 or shared.last == 0:
            self._initialise()
        self.state = state = MULTIPLIER * self.state % MODULUS
        table = shared.table
        slot = shared.last >> _SLOT_SHIFT
        shared.last = last = table[slot]
        table[slot] = state
        value = ctypes.c_float(last * _TO_UNIT).value
        return value if value <= _LIMIT else _LARGEST

    def _initialise(self) -> None:
        """Fill the shared table from the seed; a positive seed on an empty table counts as 1."""
        state = max(1, -self.state)
        table = self.shared.table
        for step in range(TABLE_SIZE + _WARM_UP - 1, -1, -1):
            state = MULTIPLIER * state % MODULUS
            if step < TABLE_SIZE:
                table[step] = state
        self.state = state
        self.shared.last = table[0]


def draw_rotation(stream: Stream, spread: float) -> Matrix:
    """A rotation about a random axis by at most `spread` radians; draws three numbers (spec noise 5)."""
    r1 = 2.0 * stream.uniform() - 1.0
    r2 = 2.0 * stream.uniform() - 1.0
    r3 = 2.0 * stream.uniform() - 1.0

    radius = math.sqrt(1.0 - r2 * r2)
    x, y, z = radius * math.sin(math.pi * r1), radius * math.cos(math.pi * r1), r2
    # single-precision scalars: numpy's array power rounds otherwise than the reference's powf
    angle = float(np.float32(spread) * np.float32(1.0 - r3 * r3) ** _THIRD)

    c, s = math.cos(angle), math.sin(angle)
    d = 1.0 - c
    return (
        c + d * (x * x),
        d * x * y - s * z,
        d * x * z + s * y,
        d * x * y + s * z,
        c + d * (y * y),
        d * y * z - s * x,
        d * x * z - s * y,
        d * y * z + s * x,
        c + d * (z * z),
    )


def rotation_angles(matrix: Matrix) -> Vector:
    """Angles (x, y, z) in radians whose rotations, in that order, make up `matrix` (spec noise 6)."""
    (u11, u12, _), (u21, u22, _), (u31, u32, u33) = (unit(matrix[row : row + 3]) for row in (0, 3, 6))
    if u31 * u31 >= 1.0:
        return (math.pi, math.pi / 2.0, math.atan2(u12, -u22))
    return (math.atan2(u32, u33), math.atan2(-u31, math.sqrt(u32 * u32 + u33 * u33)), math.atan2(u21, u11))
