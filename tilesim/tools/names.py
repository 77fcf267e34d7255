"""Names of outputs: which format one stands for, and {frame}, {image}, {panel} in it, as in {frame:05d}."""

from __future__ import annotations

import os
import re
from enum import StrEnum

from tilesim.errors import InputError
from tilesim.io.reading import printable


class Format(StrEnum):
    """What can be written."""

    STORE = "store"
    FLOAT = "float"
    SMV = "smv"
    CBF = "cbf"
    TIFF = "tiff"
    EDF = "edf"
    NXMX = "nxmx"
    EXPT = "expt"
    PNG = "png"


SUFFIXES = {
    Format.STORE: (".zarr",),
    Format.FLOAT: (".bin", ".raw"),
    Format.SMV: (".img", ".smv"),
    Format.CBF: (".cbf",),
    Format.TIFF: (".tif", ".tiff"),
    Format.EDF: (".edf",),
    Format.NXMX: (".h5", ".hdf5", ".nxs"),
    Format.EXPT: (".expt",),
    Format.PNG: (".png",),
}

FIELD = re.compile(r"\{(frame|image|panel)(?::0(\d)d)?\}")
"""Name and width of what is filled in; an image's number is its frame's plus one."""


def fill(template: str, frame: int, panel: int) -> str:
    """The name of one file."""
    numbers = {"frame": frame, "image": frame + 1, "panel": panel}
    return FIELD.sub(lambda m: f"{numbers[m[1]]:0{m[2] or 1}d}", template)


def format_of(path: str, among: tuple[Format, ...], otherwise: str = "") -> Format:
    """The format, one of `among`, that a name stands for; a URL is a store. Raises InputError."""
    if "://" in path and Format.STORE in among:
        return Format.STORE
    suffix = os.path.splitext(path.rstrip("/"))[1].lower()
    found = next((form for form in among if suffix in SUFFIXES[form]), None)
    if found is None:
        known = ", ".join(name for form in among for name in SUFFIXES[form])
        raise InputError(f"OUT {printable(path)}: expected a name that ends in one of {known}{otherwise}")
    return found
