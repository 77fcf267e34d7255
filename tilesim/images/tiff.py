"""TIFF images: the pixels as they are, in strips, band by band."""

from __future__ import annotations

import os

import numpy as np

from tilesim.files.libraries import need
from tilesim.files.replace import replacing_path
from tilesim.images.banded import Bands, regrouped
from tilesim.images.packed import KEY

STRIP_PIXELS = 2**18
"""Pixels that lie together, at least a row: few enough for readers that want strips whole."""
CLASSIC = 2**32 - 2**25
"""Bytes of pixels up to which the offsets of plain TIFF reach; a larger file is BigTIFF."""


def write_tiff(path: str | os.PathLike[str], image: Bands, title: str = "", experiment: str | None = None) -> None:
    """Write all pixels in the type that they have, band by band, all or nothing.

    experiment  from `packed`

    Raises StoreError, InputError where tifffile is missing.
    """
    tifffile = need("tifffile", "writing TIFF files")
    slow, fast = image.shape
    dtype, rows = image.dtype.newbyteorder("<"), max(1, STRIP_PIXELS // fast)
    description = "\n".join(filter(None, (title, experiment and f"{KEY} = {experiment}")))
    strips = regrouped((band for _, band in image.bands()), rows)
    big = slow * fast * dtype.itemsize > CLASSIC
    with replacing_path(path) as name, tifffile.TiffWriter(name, bigtiff=big, byteorder="<", shaped=False) as file:
        file.write(
            (np.ascontiguousarray(strip, dtype).tobytes() for strip in strips),
            shape=(slow, fast),
            dtype=dtype,
            rowsperstrip=rows,
            photometric="minisblack",
            description=description or None,
            software="tilesim",
            metadata=None,
        )
