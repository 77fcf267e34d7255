"""An image on its way into a file: its bands, turned into the numbers that the file holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from tilesim.frozen import frozen
from tilesim.images.absent import as_numbers
from tilesim.images.counts import Counts
from tilesim.images.flat import band_rows
from tilesim.images.pixels import Image


@frozen
class Bands:
    """The pixels of an image as they go into a file."""

    image: Image
    counts: Counts | None = None
    """None: the pixels as they are, and NaN among floats where they have no value."""

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (slow, fast)."""
        return self.image.shape

    @property
    def dtype(self) -> np.dtype:
        """Type of what `bands` gives."""
        return self.counts.dtype if self.counts else self.image.dtype

    def bands(self) -> Iterator[tuple[int, np.ndarray]]:
        """First row and pixels (rows, fast), from top to bottom; some megabytes at a time."""
        for first, band in self.image.bands(band_rows(self.shape)):
            absent = self.image.absent(band, first)
            if self.counts is not None:
                yield first, self.counts.convert(first, band, absent)
            else:
                yield first, as_numbers(band, absent) if band.dtype.kind == "f" else band


def regrouped(bands: Iterable[np.ndarray], rows: int) -> Iterator[np.ndarray]:
    """The same rows in blocks of exactly `rows`, but for the last."""
    held: list[np.ndarray] = []
    count = 0
    for band in bands:
        while len(band):
            part, band = band[: rows - count], band[rows - count :]
            held.append(part)
            count += len(part)
            if count == rows:
                yield held[0] if len(held) == 1 else np.concatenate(held)
                held, count = [], 0
    if held:
        yield np.concatenate(held)
