"""The unit cell: lengths and angles of three vectors, and vectors of these in the standard orientation."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tilesim.errors import InputError
from tilesim.model import checks
from tilesim.model.vectors import Vector, cross, dot, norm

FLAT = 1e-12
"""A cell of less volume, relative to that of a box with the same edges, lies in a plane but for rounding."""
ANGLES = ("alpha", "beta", "gamma")


def cell_of(a: Vector, b: Vector, c: Vector) -> tuple[float, float, float, float, float, float]:
    """The unit cell of three vectors: lengths in metres, angles in radians."""
    alpha, beta, gamma = (math.atan2(norm(cross(u, v)), dot(u, v)) for u, v in ((b, c), (a, c), (a, b)))
    return norm(a), norm(b), norm(c), alpha, beta, gamma


def standard_vectors(a: float, b: float, c: float, *angles: float) -> tuple[Vector, Vector, Vector]:
    """The cell vectors of `Crystal.from_cell`. Raises InputError."""
    a, b, c = (checks.positive(f"cell length {name}", x) for name, x in (("a", a), ("b", b), ("c", c)))
    for name, given in zip(ANGLES, angles, strict=True):
        angle = checks.positive(f"cell angle {name}", given)
        if angle >= math.pi:
            hint = f"; did you mean math.radians({angle:g})?" if angle < 180 else ""
            raise InputError(f"cell angle {name} is {angle:g}; expected radians, below pi{hint}")
    cos_al, cos_be, cos_ga = _cosines(angles)
    sin_al = math.sin(angles[0])
    y = (cos_ga - cos_be * cos_al) / sin_al
    x_squared = 1.0 - cos_be * cos_be - y * y
    if not x_squared > FLAT:
        raise InputError(f"cell angles of {', '.join(f'{x:g}' for x in angles)} close no cell; expected a volume")
    return (a * math.sqrt(x_squared), a * y, a * cos_be), (0.0, b * sin_al, b * cos_al), (0.0, 0.0, c)


def _cosines(angles: Sequence[float]) -> tuple[float, ...]:
    """Exactly zero for a right angle: a box keeps its axes."""
    return tuple(0.0 if angle == math.pi / 2 else math.cos(angle) for angle in angles)
