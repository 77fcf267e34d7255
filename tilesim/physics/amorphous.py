"""Scattering of amorphous material, in numpy instead of torch: a run on the CPU never imports torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tilesim.physics.geometry import norm

Array = npt.NDArray[np.float64]


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


def half_chord(diffracted: Array, incident: Array) -> Array:
    """sin(theta) (n,) between unit vectors (3, n) and (3,)."""
    return 0.5 * norm(diffracted - incident[:, None])
