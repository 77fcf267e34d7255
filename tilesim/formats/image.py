"""Opening an image of any format that tilesim reads; the format is told by the content, not by the name."""

from __future__ import annotations

import os

import numpy as np

from tilesim.errors import InputError
from tilesim.formats.pixels import Image, RawImage, check_number, file_size
from tilesim.io.reading import printable, unreadable

__all__ = ["Image", "format_of", "open_image"]

START = 1024
"""Bytes of a file that its format is told by."""
HDF5 = b"\x89HDF\r\n\x1a\n"
TIFF = (b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0")
PACKED = {b"\x1f\x8b\x08": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"PK\3\4": "zip"}
FOREIGN = {b"\x89PNG\r\n": "PNG", b"P5": "PGM", b"\x93NUMPY": "numpy", b"\xff\xd8\xff": "JPEG", b"R-AXIS": "R-AXIS"}


def open_image(
    path: str | os.PathLike[str], *, shape: tuple[int, int] | None = None, frame: int = 0, panel: int = 0
) -> Image:
    """One frame of one panel of a store (a folder or a URL) or of a float, SMV, CBF, TIFF, EDF or HDF5 (NXmx) file.

    shape   pixels (slow, fast): what a float file, which has no header, holds; without it a square. Where the file
            says its shape itself, they must agree
    frame   the number of the image in its file, from 0
    panel   the number of the detector's panel, from 0

    Raises InputError, naming the file, on anything that is no such image, is cut short or has no such frame.
    """
    kind = format_of(path)
    if kind == "store":
        from tilesim.formats.storedimage import open_stored_image

        return _checked(path, open_stored_image(path, frame, panel), shape)
    if kind == "hdf5":
        from tilesim.formats.hdf5image import open_hdf5_image

        return _checked(path, open_hdf5_image(path, frame, panel), shape)
    check_number(path, "panel", panel, 1)
    return _checked(path, _open_file(path, kind, shape, frame), shape)


def format_of(path: str | os.PathLike[str]) -> str:
    """Which format it is: "store", "smv", "cbf", "tiff", "edf", "hdf5", or "float" where it is none of these.

    Raises InputError where it cannot be read, or is of a format known to be none of ours.
    """
    name = os.fspath(path)
    if "://" in name or os.path.isdir(name):
        return "store"
    file_size(path)
    try:
        with open(path, "rb") as file:
            start = file.read(START)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if not start:
        raise InputError(f"{printable(path)}: expected an image, found an empty file")
    for known, names in ((PACKED, "unpack it first"), (FOREIGN, "which is not read")):
        for magic, what in known.items():
            # Two bytes are little: a digit or a comment must follow.
            if start.startswith(magic) and (len(magic) > 2 or start[2:3].isspace()):
                raise InputError(f"{printable(path)}: expected an image, found a {what} file, {names}")
    if start.startswith(HDF5) or start[512:].startswith(HDF5):
        return "hdf5"
    if start.startswith(TIFF):
        return "tiff"
    if start.startswith(b"###CBF"):
        return "cbf"
    text = start.lstrip(b"\r\n")
    if text.startswith(b"{"):
        if text[1:].lstrip(b"\r\n ").startswith(b"HEADER_BYTES"):
            return "smv"
        if any(word in text for word in (b"EDF_", b"HeaderID", b"ByteOrder", b"Dim_1")):
            return "edf"
    return "float"


def _open_file(path: str | os.PathLike[str], kind: str, shape: tuple[int, int] | None, frame: int) -> Image:
    if kind == "tiff":
        from tilesim.formats.tiffimage import open_tiff_image

        return open_tiff_image(path, frame)
    if kind == "edf":
        from tilesim.formats.edfimage import open_edf_image

        return open_edf_image(path, frame)
    check_number(path, "frame", frame, 1)
    if kind == "smv":
        from tilesim.io.smv import read_smv_layout

        return RawImage(path, *read_smv_layout(path))
    if kind == "cbf":
        from tilesim.formats.cbfimage import open_cbf_image

        return open_cbf_image(path)
    return RawImage(path, _float_shape(path, shape), np.dtype("<f4"))


def _float_shape(path: str | os.PathLike[str], shape: tuple[int, int] | None) -> tuple[int, int]:
    """Pixels (slow, fast) of a float file; a square where nobody says it."""
    size = file_size(path)
    if shape is None:
        edge = round((size // 4) ** 0.5)
        if 4 * edge * edge != size:
            raise InputError(
                f"{printable(path)}: {size} bytes are no square image of 4-byte floats, and no header says"
                " otherwise; its shape must be given"
            )
        return (edge, edge)
    if 4 * shape[0] * shape[1] != size:
        raise InputError(
            f"{printable(path)}: expected a float file of {4 * shape[0] * shape[1]} bytes for {shape[1]} x {shape[0]}"
            f" pixels (fast x slow) of 4 bytes, found {size} bytes"
        )
    return shape


def _checked(path: str | os.PathLike[str], image: Image, shape: tuple[int, int] | None) -> Image:
    if shape is not None and tuple(image.shape) != tuple(shape):
        raise InputError(
            f"{printable(path)}: expected {shape[1]} x {shape[0]} pixels (fast x slow), found"
            f" {image.shape[1]} x {image.shape[0]}"
        )
    return image
