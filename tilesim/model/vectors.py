"""Three-vectors as plain tuples of floats: the few operations that setting up an experiment needs."""

from __future__ import annotations

import math
from collections.abc import Sequence

Vector = tuple[float, float, float]
Matrix = tuple[float, float, float, float, float, float, float, float, float]
"""A 3x3 matrix, row by row."""

IDENTITY: Matrix = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def dot(u: Sequence[float], v: Sequence[float]) -> float:
    return u[0] * v[0] + u[1] * v[1] + u[2] * v[2]


def cross(u: Sequence[float], v: Sequence[float]) -> Vector:
    return (u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0])


def scale(u: Sequence[float], factor: float) -> Vector:
    return (u[0] * factor, u[1] * factor, u[2] * factor)


def add(*terms: Sequence[float]) -> Vector:
    return (sum(t[0] for t in terms), sum(t[1] for t in terms), sum(t[2] for t in terms))


def norm(u: Sequence[float]) -> float:
    return math.sqrt(dot(u, u))


def unit(u: Sequence[float]) -> Vector:
    """u scaled to length one; a zero vector stays zero (as the reference has it)."""
    length = norm(u)
    return (u[0] / length, u[1] / length, u[2] / length) if length > 0 else (0.0, 0.0, 0.0)


def across(u: Sequence[float]) -> Vector:
    """A unit vector at a right angle to u."""
    aside = min(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)), key=lambda v: abs(dot(v, u)))
    return unit(cross(u, aside))


def reciprocal(a: Vector, b: Vector, c: Vector) -> tuple[Vector, Vector, Vector]:
    """a*, b*, c* of the vectors of a cell that has a volume, or the other way round."""
    over = 1.0 / dot(a, cross(b, c))
    return scale(cross(b, c), over), scale(cross(c, a), over), scale(cross(a, b), over)


def rotate_xyz(v: Sequence[float], about_x: float, about_y: float, about_z: float) -> Vector:
    """v turned about the laboratory x, then y, then z axis, right-handed, in radians (spec geometry 6)."""
    x, y, z = v
    if about_x != 0.0:
        c, s = math.cos(about_x), math.sin(about_x)
        y, z = y * c - z * s, y * s + z * c
    if about_y != 0.0:
        c, s = math.cos(about_y), math.sin(about_y)
        x, z = x * c + z * s, z * c - x * s
    if about_z != 0.0:
        c, s = math.cos(about_z), math.sin(about_z)
        x, y = x * c - y * s, x * s + y * c
    return (x, y, z)


def rotate_about(v: Sequence[float], axis: Sequence[float], angle: float) -> Vector:
    """v turned about `axis`, taken as it is (not normalised), by `angle` radians (spec geometry 6)."""
    c, s = math.cos(angle), math.sin(angle)
    along = dot(axis, v) * (1.0 - c)
    side = cross(axis, v)
    return (
        v[0] * c + axis[0] * along + side[0] * s,
        v[1] * c + axis[1] * along + side[1] * s,
        v[2] * c + axis[2] * along + side[2] * s,
    )
