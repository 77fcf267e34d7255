"""How far from a reciprocal lattice point a shape without tails reaches: a reflection is exactly zero beyond."""

from __future__ import annotations

import math

GAUSS_WIDTH = 0.63
TOPHAT_RADIUS_SQUARED = 0.3969
"""GAUSS_WIDTH squared."""
GAUSS_REACH = 35 * GAUSS_WIDTH
"""Squared distance in cells from which the shape "gauss-hkl" is zero: its factor has fallen by exp(-35), its square by
1e-30. simtbx cuts there, too (its GAUSS_ARGCHK)."""
INVISIBLE = 1e-55
"""Photons of a pixel that are zero in an image of float32, whose smallest number is 1e-45: ten powers of ten are left
for what `most` does not count, such as the polarisation factor and the solid angle of a pixel."""
LOWEST_EXPONENT = -708.5
"""The exponential of less is no normal number of float64."""


def reach_of(shape: str, most: float | None = None) -> float:
    """Squared distance from a node, as the shape measures it and times its fudge factor, from which it is zero.

    most  for the shape "gauss": logarithm of the photons that all terms of a pixel have together if they stand on a
          node; it ends where they are invisible. None: where the exponential does

    Infinite for shapes with tails.
    """
    if shape in ("tophat", "tophat-hkl"):
        return TOPHAT_RADIUS_SQUARED
    if shape == "gauss-hkl":
        return GAUSS_REACH
    if shape != "gauss":
        return math.inf
    fall = -LOWEST_EXPONENT if most is None else min(max(most - math.log(INVISIBLE), 0.0), -LOWEST_EXPONENT)
    return fall * GAUSS_WIDTH / 2.0
