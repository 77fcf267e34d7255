"""Scattering of amorphous material, in numpy instead of torch: a run on the CPU never imports torch.

A vector (3, n) is a tuple of its three components. Sums are written out, so that every pixel is computed alike
wherever it stands in a list.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Axes = tuple[Array, Array, Array]
Vector = tuple[float, float, float]
Component = TypeVar("Component", float, Array)
"""Of one vector, or of n of them."""


@dataclass(frozen=True)
class Pieces:
    """A curve as one cubic between each two of its points, in the share u of the way from one to the next."""

    points: Array
    """(n,)"""
    coefficients: Array
    """(4, n - 1), of 1, u, u^2, u^3"""


def interpolant(points: Array, values: Array) -> Pieces:
    """The polynomial through the two nearest points on either side, of lower order at the ends of the curve."""
    low, high, first, second = points[:-1], points[1:], values[:-1], values[1:]
    length = high - low
    slope = second - first
    bend, twist = np.zeros_like(slope), np.zeros_like(slope)
    before, after = (points[:-2] - low[1:]) / length[1:], (points[2:] - low[:-1]) / length[:-1]
    if len(points) > 2:
        # Divided differences over the points at 0, 1 and `before`; over 0, 1 and `after` in the first piece.
        from_second = (values[:-2] - second[1:]) / (before - 1.0)
        bend[1:] = (from_second - slope[1:]) / before
        bend[0] = ((values[2] - values[1]) / (after[0] - 1.0) - slope[0]) / after[0]
    here = np.zeros_like(slope)
    if len(points) > 3:
        b, a = before[:-1], after[1:]
        from_before = ((values[3:] - values[:-3]) / (a - b) - from_second[:-1]) / (a - 1.0)
        twist[1:-1] = (from_before - bend[1:-1]) / a
        here[1:-1] = b
    coefficients = np.stack([first, slope - bend + here * twist, bend - (1.0 + here) * twist, twist])
    return Pieces(points, coefficients)


def amplitude(curve: Pieces, stol: Array) -> Array:
    """Amplitude (n,) at sin(theta)/lambda `stol` (n,): never negative, held at the end values beyond the curve."""
    points = curve.points
    within = np.clip(stol, points[0], points[-1])
    piece = np.clip(np.searchsorted(points, within, side="right") - 1, 0, len(points) - 2)
    start = points[piece]
    u = (within - start) / (points[piece + 1] - start)
    constant, linear, square, cubic = (c[piece] for c in curve.coefficients)
    electrons: Array = np.maximum(((cubic * u + square) * u + linear) * u + constant, 0.0)
    return electrons


def norm(v: Axes) -> Array:
    """Length (n,)."""
    length: Array = np.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
    return length


def dot(u: Vector, v: tuple[Component, Component, Component]) -> Component:
    """Scalar product."""
    return u[0] * v[0] + u[1] * v[1] + u[2] * v[2]


def cross(u: Vector, v: tuple[Component, Component, Component]) -> tuple[Component, Component, Component]:
    """Vector product."""
    return (u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0])


def rotate_about(v: tuple[Component, Component, Component], axis: Vector, angle: Array) -> Axes:
    """`v` turned about `axis`, taken as it is, by `angle` (n,) radians (spec geometry 6)."""
    cos, sin = np.cos(angle), np.sin(angle)
    along, side = dot(axis, v) * (1.0 - cos), cross(axis, v)
    x, y, z = (v[k] * cos + axis[k] * along + side[k] * sin for k in range(3))
    return (x, y, z)


def half_chord(diffracted: Axes, incident: Vector) -> Array:
    """sin(theta) (n,) between unit vectors."""
    x, y, z = (d - i for d, i in zip(diffracted, incident, strict=True))
    return 0.5 * norm((x, y, z))


def polarization_factor(kahn: float, incident: Vector, diffracted: Axes, axis: Vector) -> Array:
    """As `tilesim.physics.polarize.polarization_factor`, (n,)."""
    incident = _unit(incident)
    cos = dot(incident, diffracted)
    square = cos * cos
    if kahn == 0.0:
        return 0.5 * (1.0 + square)
    b_axis = _unit(cross(axis, incident))
    e_axis = _unit(cross(incident, b_axis))
    b, e = dot(b_axis, diffracted), dot(e_axis, diffracted)
    both = b * b + e * e
    cos_2psi = np.where(both > 0, (e * e - b * b) / np.where(both > 0, both, 1.0), 1.0)
    return 0.5 * (1.0 + square - kahn * cos_2psi * (1.0 - square))


def capture_fraction(layer: int, layer_thickness: float, attenuation: float, parallax: Array) -> Array:
    """As `tilesim.physics.absorb.capture_fraction`."""
    front, back = -layer * layer_thickness * attenuation, -(layer + 1) * layer_thickness * attenuation
    share: Array = np.exp(front / parallax) - np.exp(back / parallax)
    return share


def _unit(v: Vector) -> Vector:
    length = math.sqrt(dot(v, v))
    return (v[0] / length, v[1] / length, v[2] / length) if length > 0 else v
