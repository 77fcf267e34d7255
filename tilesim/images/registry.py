"""The image formats: which one a file has, by its content, and which one a name stands for, by its ending."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum

from tilesim.errors import InputError
from tilesim.files.reading import file_size, printable, read_bytes
from tilesim.instruments.files import HDF5


class Format(StrEnum):
    """What is read or written."""

    STORE = "store"
    FLOAT = "float"
    SMV = "smv"
    CBF = "cbf"
    TIFF = "tiff"
    EDF = "edf"
    NXMX = "nxmx"
    """Read: any HDF5 file of detector images"""
    CXI = "cxi"
    """Written; read as HDF5"""
    EXPT = "expt"
    LST = "lst"
    """Read: a list of files and events"""
    PNG = "png"


SUFFIXES = {
    Format.STORE: (".zarr",),
    Format.FLOAT: (".bin", ".raw"),
    Format.SMV: (".img", ".smv"),
    Format.CBF: (".cbf",),
    Format.TIFF: (".tif", ".tiff"),
    Format.EDF: (".edf",),
    Format.NXMX: (".h5", ".hdf5", ".nxs"),
    Format.CXI: (".cxi",),
    Format.EXPT: (".expt",),
    Format.LST: (".lst",),
    Format.PNG: (".png",),
}
WHOLE_SERIES = (Format.STORE, Format.NXMX, Format.CXI, Format.EXPT)
"""Formats of which one file holds all frames and panels."""
STACKED = (Format.FLOAT, Format.TIFF, Format.EDF, Format.PNG)
"""Formats whose files may hold the panels of a frame one below the other, as `tilesim run` writes them."""

START = 1024
"""Bytes of a file by which its format is recognised."""
TIFF = (b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0")
PACKED = {b"\x1f\x8b\x08": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"PK\3\4": "zip"}
FOREIGN = {b"\x89PNG\r\n": "PNG", b"P5": "PGM", b"\x93NUMPY": "numpy", b"\xff\xd8\xff": "JPEG", b"R-AXIS": "R-AXIS"}


def format_of(path: str | os.PathLike[str]) -> Format:
    """The format of a file by its content, of a folder or URL a store; float where it is none of the others.

    A list of images is known by its name, .lst.

    Raises InputError where it cannot be read, or is of a format known to be none of ours.
    """
    name = os.fspath(path)
    if "://" in name or os.path.isdir(name):
        return Format.STORE
    file_size(path)
    if name.lower().endswith(SUFFIXES[Format.LST]):
        return Format.LST
    start = read_bytes(path, 0, START)
    if not start:
        raise InputError(f"{printable(path)}: expected an image, found an empty file")
    for known, advice in ((PACKED, "unpack it first"), (FOREIGN, "which is not read")):
        for magic, what in known.items():
            # Two bytes are little: a digit or a comment must follow.
            if start.startswith(magic) and (len(magic) > 2 or start[2:3].isspace()):
                raise InputError(f"{printable(path)}: expected an image, found a {what} file, {advice}")
    if start.startswith(HDF5) or start[512:].startswith(HDF5):
        return Format.NXMX
    if start.startswith(TIFF):
        return Format.TIFF
    if start.startswith(b"###CBF"):
        return Format.CBF
    text = start.lstrip(b"\r\n")
    if text.startswith(b"{"):
        if text[1:].lstrip(b"\r\n ").startswith(b"HEADER_BYTES"):
            return Format.SMV
        if any(word in text for word in (b"EDF_", b"HeaderID", b"ByteOrder", b"Dim_1")):
            return Format.EDF
    return Format.FLOAT


def format_named(path: str, among: Sequence[Format], otherwise: str = "") -> Format:
    """The format, one of `among`, that a name stands for; a URL is a store. Raises InputError."""
    if "://" in path and Format.STORE in among:
        return Format.STORE
    suffix = os.path.splitext(path.rstrip("/"))[1].lower()
    found = next((form for form in among if suffix in SUFFIXES[form]), None)
    if found is None:
        known = ", ".join(name for form in among for name in SUFFIXES[form])
        raise InputError(f"OUT {printable(path)}: expected a name that ends in one of {known}{otherwise}")
    return found
