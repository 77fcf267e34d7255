"""Grey TIFF images: written in strips, band by band; read as they lie in the file, or unpacked where compressed."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import numpy as np

from tilesim.errors import InputError
from tilesim.files.guarded import LEAST, BoundedFile, guarded
from tilesim.files.libraries import need
from tilesim.files.reading import printable
from tilesim.files.replace import replacing_path
from tilesim.images.banded import Bands, regrouped
from tilesim.images.packed import KEY
from tilesim.images.pixels import ArrayImage, RawImage, check_number
from tilesim.tiling.budget import available_memory

if TYPE_CHECKING:
    from tifffile import TiffPage

STRIP_PIXELS = 2**18
"""Pixels that lie together, at least a row: few enough for readers that want strips whole."""
CLASSIC = 2**32 - 2**25
"""Bytes of pixels up to which the offsets of plain TIFF reach; a larger file is BigTIFF."""
MOST_EXPANSION = 2**16
"""A compressed byte becomes no more than this many (zstd; deflate makes 1000 of it)."""
GENERAL = {"is_lsm": False, "is_ndpi": False, "is_scanimage": False}
"""No structures of microscopes: a page is where the file says it is."""


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


def open_tiff_image(path: str | os.PathLike[str], frame: int) -> RawImage | ArrayImage:
    """Page `frame` of a TIFF file. Raises InputError, naming the file, where it is damaged or not grey."""
    tifffile = need("tifffile", "reading TIFF files")
    with guarded(path, "tifffile", "a TIFF file") as file:
        opened = tifffile.TiffFile(file, **GENERAL)
        frames = len(opened.pages)
        if not frames:
            raise InputError(f"{printable(path)}: expected a TIFF file with an image, found none")
        check_number(path, "frame", frame, frames)
        page = opened.pages.get(frame)
        _check(path, page)
        packed = page.compression not in (0, 1)
        stated, needed = sum(page.databytecounts), math.prod(page.shape) * page.dtype.itemsize
        if not packed and not page.is_tiled and stated != needed:
            raise InputError(
                f"{printable(path)}: expected {needed} bytes of pixels for {page.shape[1]} x {page.shape[0]} pixels"
                f" (fast x slow), found strips of {stated} bytes in all"
            )
        if page.is_final and not (page.is_lsm or page.is_stk):
            dtype = page.dtype.newbyteorder(opened.byteorder)
            return RawImage(path, page.shape, dtype, page.dataoffsets[0], frames)
        return ArrayImage(_unpacked(path, page, file), frames)


def _check(path: str | os.PathLike[str], page: TiffPage) -> None:
    """Raise InputError unless a page is a plane of numbers of whole bytes."""
    samples, bits, dtype = page.samplesperpixel, page.bitspersample, page.dtype
    if samples != 1 or len(page.shape) != 2 or dtype is None or dtype.kind not in "iuf" or 8 * dtype.itemsize != bits:
        raise InputError(
            f"{printable(path)}: expected a grey image of 8 to 64 bits or floats, found {samples} x {bits} bits"
        )
    if min(page.shape) < 1:
        raise InputError(
            f"{printable(path)}: expected a TIFF image of some pixels, found {page.shape[1]} x {page.shape[0]}"
        )


def _unpacked(path: str | os.PathLike[str], page: TiffPage, file: BoundedFile) -> np.ndarray:
    """The pixels of a page in strips or tiles that are compressed, or lie apart."""
    what = f"{printable(path)}: {page.shape[1]} x {page.shape[0]} pixels"
    offsets, counts, free = page.dataoffsets, page.databytecounts, available_memory()
    parts = zip(offsets, counts, strict=False)
    if not len(offsets) == len(counts) == math.prod(page.chunked) or any(a + n > file.length for a, n in parts):
        raise InputError(f"{what} of which some are missing; expected strips or tiles that are all in the file")
    if page.nbytes > MOST_EXPANSION * sum(counts):
        raise InputError(f"{what} cannot come out of so small a file")
    if free is not None and page.nbytes > free:
        raise InputError(f"{what} must be unpacked in memory, of which {free / 1e6:.0f} MB are free")
    file.left = 2 * file.length + LEAST * len(offsets)
    try:
        pixels = page.asarray(maxworkers=1)
    except Exception as error:
        reason = " ".join(str(error).split())
        hint = "; pip install imagecodecs" if "imagecodecs" in reason else ""
        raise InputError(f"{what}, compressed, cannot be read ({reason}){hint}") from error
    if pixels.shape != page.shape:
        raise InputError(f"{what} were unpacked to {pixels.shape}")
    return pixels.astype(page.dtype, copy=False)
