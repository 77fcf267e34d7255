"""The length of scattering vectors from which a table of amplitudes has nothing but zeros: what is beyond is dark."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
TALLEST = 1e18
"""Lattice factors below this have a finite square in float32, too: zero times infinity would not be zero."""
ROUNDING = 1e-6
"""Relative error of squared lengths that is allowed for."""


def edge_of(filled: npt.NDArray[np.bool_], lowest: tuple[int, ...]) -> Array | None:
    """Miller indices (n, 3) of the first and the last entry of each row along l that is not zero; None: all there are.

    filled  (h, k, l) which entries of a bordered table are not zero
    lowest  Miller indices of the first
    """
    border = filled.copy()
    border[1:-1, 1:-1, 1:-1] = False
    if border.any():
        return None
    h, k = np.nonzero(filled.any(axis=2))
    rows = filled[h, k]
    first, last = rows.argmax(axis=1), filled.shape[2] - 1 - rows[:, ::-1].argmax(axis=1)
    return np.concatenate([np.stack([h, k, l], axis=1) for l in (first, last)]) + np.array(lowest, np.float64)


def outermost(edge: Array | None, cell: Array, turned: Array, mosaic: Array, margin: float) -> float:
    """Squared length in 1/m^2 from which all amplitudes are zero, for every orientation; infinite where none is.

    edge    as `edge_of` gives it
    cell    rows a, b, c in metres
    turned  (phi, 3, 3) the same at every angle of the spindle
    mosaic  (..., 3, 3) rotations of the domains
    margin  how far a node counts along each axis, in cells: a half where the nearest one is looked up
    """
    if edge is None:
        return math.inf
    if not len(edge):
        return 0.0
    star = np.linalg.inv(cell)  # columns a*, b*, c*
    # What comes as a rotation may be one to within some tolerance, about an axis of a length to within that.
    kept = _least_stretch(star @ turned) * _least_stretch(mosaic)
    if not kept > 0.0:
        return math.inf
    corner = max(np.linalg.norm(star @ (1.0, k, l)) for k in (-1.0, 1.0) for l in (-1.0, 1.0))
    longest = math.sqrt(np.square(edge @ star.T).sum(axis=1).max()) + margin * float(corner)
    return longest * longest / kept * (1.0 + ROUNDING)


def _least_stretch(matrices: Array) -> float:
    """A bound on how short matrices (..., 3, 3) make the square of a unit vector; below zero where there is none."""
    off = np.abs(matrices @ matrices.swapaxes(-1, -2) - np.eye(3)).max()
    return 1.0 - 3.0 * float(off)
