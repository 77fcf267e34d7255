"""An image on a coarser grid: the photons of a pixel are shared among the pixels that it overlaps, by area."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tilesim.frozen import frozen
from tilesim.images.flat import band_rows
from tilesim.images.pixels import BlockImage, Image, ImagePart
from tilesim.tools.paired import even


@frozen
class Overlaps:
    """The pieces into which the edges of old and new pixels cut a length, from its beginning on."""

    source: slice
    """The old pixels that it is made of."""
    old: np.ndarray
    """(pieces,) the old pixel of each, counted from the first of `source`."""
    new: np.ndarray
    """(pieces,) the new pixel of each, counted from the first one wanted."""
    share: np.ndarray
    """(pieces,) of the old pixel."""

    def summed(self, values: np.ndarray, first: int = 0) -> tuple[int, np.ndarray]:
        """The first new pixel, and the sums over the shares of some old ones, along axis 0.

        values   old pixels (n, ...) from number `first` on
        """
        start, stop = np.searchsorted(self.old, (first, first + len(values)))
        new = self.new[start:stop]
        begins = np.flatnonzero(np.diff(new, prepend=-1))
        shares = self.share[start:stop].reshape(-1, *[1] * (values.ndim - 1))
        return int(new[0]), np.add.reduceat(values[self.old[start:stop] - first] * shares, begins, axis=0)


def overlaps(old: int, new: int, first: int, last: int) -> Overlaps:
    """Overlaps of new pixels `first` to `last` - 1 (first < last); `old` and `new` pixels have the same length."""
    start, stop = first * old // new, -(-last * old // new)
    # Integers, in units of 1/(old new) of the length: no edge is missed by rounding.
    edges = np.union1d(np.arange(first, last + 1) * old, np.arange(start, stop + 1) * new)
    edges = edges[(edges >= first * old) & (edges <= last * old)]
    begins = edges[:-1]
    return Overlaps(slice(start, stop), begins // new - start, begins // old - first, np.diff(edges) / new)


class ResampledImage(BlockImage):
    """An image of another shape over the same area. Sums stay the same; pixels that are not finite spread.

    A band of the image itself is in memory at a time.
    """

    dtype = np.dtype(np.float64)

    def __init__(self, image: Image, shape: tuple[int, int]) -> None:
        """shape  pixels (slow, fast)"""
        self.shape = tuple(shape)
        self.complete = image.complete
        self._image = image

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        """The pixels (slow, fast) float64 of a part."""
        (top, bottom, _), (left, right, _) = (
            part.indices(size) for part, size in zip((rows, columns), self.shape, strict=True)
        )
        if top >= bottom or left >= right:
            return np.zeros((max(0, bottom - top), max(0, right - left)))
        return np.concatenate([band for _, band in self._stream(top, bottom, left, right)])

    def bands(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """First row and pixels (up to `rows`, fast) of one band of the image after the other."""
        return even(self._stream(0, self.shape[0], 0, self.shape[1]), rows)

    def _stream(self, top: int, bottom: int, left: int, right: int) -> Iterator[tuple[int, np.ndarray]]:
        """Rows of a part as they become complete."""
        down = overlaps(self._image.shape[0], self.shape[0], top, bottom)
        across = overlaps(self._image.shape[1], self.shape[1], left, right)
        part = ImagePart(self._image, down.source, across.source)
        begun: np.ndarray | None = None
        row = 0
        for first, band in part.bands(band_rows(part.shape)):
            narrow = across.summed(band.T.astype(np.float64))[1].T
            number, sums = down.summed(narrow, first)
            if begun is not None and number == row:
                sums[0] += begun
            elif begun is not None:
                yield top + row, begun[None]
            # More may come to the last one.
            row, begun = number + len(sums) - 1, sums[-1]
            if len(sums) > 1:
                yield top + number, sums[:-1]
        if begun is not None:
            yield top + row, begun[None]


def common_shape(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """The coarser of two grids along each axis: nothing is made up."""
    return (min(a[0], b[0]), min(a[1], b[1]))
