"""Flat image files, a header and pixels, band by band."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from tilesim.files.replace import replacing
from tilesim.model.sampling import Region

BAND_PIXELS = 2**20
"""Pixels that are in memory at a time, about."""


def band_rows(shape: tuple[int, int]) -> int:
    """Rows of a band of an image of `shape` pixels (slow, fast)."""
    return max(1, BAND_PIXELS // shape[1])


def write_banded(path: str | os.PathLike[str], header: bytes, bands: Iterable[np.ndarray]) -> None:
    """Write header and bands of rows, little-endian, all or nothing. Raises StoreError."""
    with replacing(path) as file:
        file.write(header)
        for band in bands:
            file.write(np.ascontiguousarray(band, band.dtype.newbyteorder("<")).data)


def convert_bands(
    image_bands: Iterable[tuple[int, np.ndarray]], region: Region, convert: Callable[[np.ndarray], np.ndarray]
) -> Iterator[np.ndarray]:
    """Bands (first row, pixels) converted inside `region`, 0 outside; `convert` sees no pixel outside it.

    It sees the others in raster order, so it may draw random numbers (spec files 7.3).
    """
    for first, values in image_bands:
        part = Region(region.slow_start - first, region.slow_stop - first, region.fast_start, region.fast_stop)
        part = part.clipped(*values.shape)
        inside = (slice(part.slow_start, max(0, part.slow_stop)), slice(part.fast_start, max(0, part.fast_stop)))
        converted = convert(values[inside])
        band = np.zeros(values.shape, converted.dtype)
        band[inside] = converted
        yield band
