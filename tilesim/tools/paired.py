"""Walking through two images side by side, band by band, and looking at parts of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tilesim.errors import InputError
from tilesim.images.flat import band_rows
from tilesim.images.pixels import Image


def paired(a: Image, b: Image) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """First row and the pixels of both images (rows, fast) as float64, band by band, however each of them is stored.

    Raises InputError where their shapes differ.
    """
    if tuple(a.shape) != tuple(b.shape):
        raise InputError(
            f"the images have different shapes, {a.shape[1]} x {a.shape[0]} and {b.shape[1]} x {b.shape[0]} pixels"
            " (fast x slow); --resample compares them on the coarser grid"
        )
    rows = band_rows(a.shape)
    for (first, one), (_, other) in zip(even(a.bands(rows), rows), even(b.bands(rows), rows), strict=True):
        yield first, one.astype(np.float64), other.astype(np.float64)


def even(bands: Iterator[tuple[int, np.ndarray]], rows: int) -> Iterator[tuple[int, np.ndarray]]:
    """The same pixels in bands of exactly `rows` rows, but for the last."""
    first, waiting, count = 0, [], 0
    for _, band in bands:
        while len(band):
            part, band = band[: rows - count], band[rows - count :]
            waiting.append(part)
            count += len(part)
            if count == rows:
                yield first, waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
                first, waiting, count = first + rows, [], 0
    if waiting:
        yield first, np.concatenate(waiting)
