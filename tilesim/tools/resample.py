"""An image on a coarser grid: the photons of a pixel are shared among the pixels that it overlaps, by area."""

from __future__ import annotations

import math

import numpy as np

from tilesim.formats.pixels import Banded, Image


class Resampled(Banded):
    """An image of another shape over the same area. The sum stays the same; NaN where a pixel without number counts."""

    dtype = np.dtype(np.float64)

    def __init__(self, image: Image, shape: tuple[int, int]) -> None:
        """shape  pixels (slow, fast)"""
        self.shape = tuple(shape)
        self.complete = image.complete
        self._image = image

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        """The pixels (slow, fast) float64 of a part."""
        edges = [part.indices(size)[:2] for part, size in zip((rows, columns), self.shape, strict=True)]
        (down, slow), (across, fast) = (
            overlaps(old, new, *part) for old, new, part in zip(self._image.shape, self.shape, edges, strict=True)
        )
        values = self._image.block(slow, fast).astype(np.float64)
        missing = ~np.isfinite(values)
        found = down @ np.where(missing, 0.0, values) @ across.T
        if missing.any():
            found[down @ missing.astype(np.float64) @ across.T > 0] = np.nan
        return found


def common_shape(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """The coarser of two grids along each axis: nothing is made up."""
    return (min(a[0], b[0]), min(a[1], b[1]))


def overlaps(old: int, new: int, first: int, last: int) -> tuple[np.ndarray, slice]:
    """For new pixels first to last - 1 the shares of the old ones that lie in them, and which old ones those are.

    old, new  pixels along the same length

    Returns weights (new pixels, old pixels), each old pixel's summing to 1 over all new ones, and the slice.
    """
    if first >= last:
        return np.zeros((0, 0)), slice(0, 0)
    start, stop = first * old // new, math.ceil(last * old / new)
    # Integers, in units of 1/new of an old pixel: no edge is missed by rounding.
    pixels = np.arange(first, last)[:, None] * old
    cells = np.arange(start, stop)[None, :] * new
    shared = np.minimum(pixels + old, cells + new) - np.maximum(pixels, cells)
    return np.maximum(shared, 0) / new, slice(start, stop)
