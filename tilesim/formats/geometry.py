"""Reading where a detector is: DIALS .expt, CrystFEL .geom, NXmx HDF5 or TOML, told by content and name."""

from __future__ import annotations

import os

from tilesim.errors import InputError
from tilesim.io.reading import printable, read_bytes, unreadable
from tilesim.model.instrument import Instrument

HDF5 = b"\x89HDF\r\n\x1a\n"
LARGEST = 2**28
"""Bytes of a text file; larger ones are taken for a mistake."""
WRONG = (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError, OverflowError, ZeroDivisionError)


def read_detector(path: str | os.PathLike) -> Instrument:
    """Panels, beam, spindle, sensor and mask of a geometry file (docs/detectors.md), in the file's own frame.

    Raises InputError, one line that names the file.
    """
    shown = printable(path)
    try:
        if os.path.isdir(path):
            raise InputError("expected a file")
        with open(path, "rb") as file:
            start = file.read(len(HDF5))
        size = os.stat(path).st_size
    except InputError:
        raise InputError(f"{shown} is a folder; expected a file") from None
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if start != HDF5 and size > LARGEST:
        raise InputError(f"{shown}: {size} bytes; expected a geometry file")
    if start == HDF5:
        from tilesim.formats.nxmxgeometry import read_nxmx as read

        kind, content = "an NXmx file with NXdetector_module groups", path
    else:
        content = read_bytes(path)
        if content.lstrip()[:1] == b"{":
            from tilesim.formats.exptgeometry import parse_expt as read

            kind = "a DIALS .expt"
        elif str(shown).lower().endswith(".toml"):
            from tilesim.formats.tomlgeometry import parse_toml as read

            kind = "a detector in TOML"
        else:
            from tilesim.formats.crystfel import parse_geom as read

            kind = "a CrystFEL .geom, DIALS .expt, NXmx or TOML geometry"
    try:
        return read(content, os.fspath(path))
    except InputError as error:
        raise InputError(f"{shown}: {error}") from None
    except WRONG as error:
        said = " ".join(str(error).split())[:80]
        raise InputError(f"{shown}: expected {kind}; {type(error).__name__}: {said}") from None
