"""CrystFEL reflection lists (process_hkl, partialator, get_hkl): header lines, then rows of h k l I."""

from __future__ import annotations

import math
import os
import re

import numpy as np

from tilesim.errors import InputError
from tilesim.files.reading import number, plain_text, printable, quoted, read_bytes
from tilesim.frozen import frozen
from tilesim.reflections.hkl import MAX_INDEX

VERSION = re.compile(rb"CrystFEL reflection list version (\d+)\.(\d+)")
MEASURED = b"Reflections measured after indexing"
SYMMETRY = b"Symmetry:"
END = b"End of reflections"
COLUMNS = [b"h", b"k", b"l", b"I"]
UNKNOWN = "unknown"
"""What CrystFEL writes where it does not know the point group."""


@frozen(eq=False)
class ReflectionList:
    """What a list holds."""

    indices: np.ndarray
    """(n, 3) int64."""
    intensities: np.ndarray
    """(n,)"""
    symmetry: str | None
    """Point group by CrystFEL's symbol; None where the list states none."""
    unmeasured: int
    """Rows without a number for I, which are left out."""


def is_list(start: bytes) -> bool:
    """Whether a text begins as such lists do."""
    lines = [line.strip() for line in start.splitlines() if line.strip()]
    return bool(lines) and (VERSION.match(lines[0]) is not None or lines[0] == MEASURED or _is_header(lines[0]))


def read_list(path: str | os.PathLike[str]) -> ReflectionList:
    """The reflections of a file. Raises InputError, naming the line."""
    name = printable(path)
    rows = [(place, row.strip()) for place, row in enumerate(plain_text(read_bytes(path), name).splitlines(), 1)]
    rows = [(place, row) for place, row in rows if row]
    version, symmetry, width, ended = 0, None, 0, False
    for used, (place, row) in enumerate(rows, 1):  # noqa: B007
        if found := VERSION.fullmatch(row):
            version = int(found[1])
            if version not in (1, 2):
                raise InputError(f"{name} line {place}: expected version 1 or 2 of these lists, found {quoted(row)}")
            if version == 1:
                width = 9  # which has no row of labels
                break
        elif row.startswith(SYMMETRY):
            symmetry = row.removeprefix(SYMMETRY).strip().decode("ascii", "replace")
        elif _is_header(row):
            width = len(row.split())
            break
        elif row == MEASURED:
            version = -1
        else:
            raise InputError(f"{name} line {place}: expected the labels h k l I of the columns, found {quoted(row)}")
    if version == 2 and symmetry is None:
        raise InputError(f"{name}: expected a line {SYMMETRY.decode()} above the labels of the columns, found none")
    indices, intensities, unmeasured = [], [], 0
    for place, row in rows[used:] if rows else ():
        if row == END:
            ended = True
            break  # notes follow
        h, k, l, intensity = _row(row, width, f"{name} line {place}")
        if math.isnan(intensity):
            unmeasured += 1
            continue
        indices.append((h, k, l))
        intensities.append(intensity)
    if version and not ended:
        raise InputError(f"{name}: expected the line {END.decode()!r}; the list is cut off")
    if not indices:
        raise InputError(f"{name}: expected rows of h k l I, found none")
    return ReflectionList(np.array(indices, dtype=np.int64), np.array(intensities), symmetry, unmeasured)


def _is_header(row: bytes) -> bool:
    return row.split()[:4] == COLUMNS


def _row(row: bytes, width: int, where: str) -> tuple[int, int, int, float]:
    fields = row.split()
    try:
        h, k, l = map(int, fields[:3])
        intensity = number(fields[3])
        right = len(fields) == width and max(map(abs, (h, k, l))) <= MAX_INDEX and not math.isinf(intensity)
    except (ValueError, IndexError):
        right = False
    if not right:
        raise InputError(f"{where}: expected h k l I and {width - 4} further columns, found {quoted(row)}")
    return h, k, l, intensity
