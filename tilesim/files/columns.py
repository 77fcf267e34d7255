"""Text files of number columns: source lists and scattering tables (spec files 5, corrections K10)."""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Iterator

from tilesim.errors import InputError
from tilesim.files.cnumbers import atof
from tilesim.files.reading import fields, number, plain_text, printable, quoted, read_bytes, uncommented

LONGEST_LINE = 10239
"""Characters after which the reference starts another line."""

_DELIMITERS = re.compile(rb"[ \t,;:!]*")
_NUMBER_CHARACTERS = re.compile(rb"[0-9\-+.EGeg]*")
_OTHERS = re.compile(rb"[^ \t,;:!]*")
_SEPARATORS = bytes.maketrans(b",;:!", b"    ")


def read_columns(
    path: str | os.PathLike[str], columns: int, *, strict: bool = False
) -> tuple[list[tuple[float, ...]], bool]:
    """Rows of `columns` numbers, NaN where one is missing, and whether the reference would have read others.

    Numbers stand between spaces, tabs, commas, semicolons, colons or exclamation marks; further fields of a row
    are ignored, and so are blank lines and `#` comments. `strict` reads as the reference does, for which a
    comment is a row of zeros and a CR or a missing final newline a column of them. Raises InputError with file
    and line where a field is no finite number, and where there is no row.
    """
    data = read_bytes(path)
    reference = list(_strict_rows(data, columns))
    rows = reference if strict else _rows(plain_text(data, printable(path)), columns, printable(path))
    if not rows:
        raise InputError(f"{printable(path)}: expected rows of up to {columns} numbers, found none")
    # repr, so that a missing value equals another
    return rows, repr(rows) != repr(reference)


def _rows(data: bytes, columns: int, name: str) -> list[tuple[float, ...]]:
    rows = []
    for place, line in enumerate(uncommented(data), 1):
        try:
            values = [number(field) for field in fields(line.translate(_SEPARATORS))[:columns]]
        except ValueError:
            values = [math.nan]
        if not all(map(math.isfinite, values)):
            raise InputError(f"{name} line {place}: expected up to {columns} numbers, found {quoted(line)}")
        if values:
            rows.append((*values, *[math.nan] * (columns - len(values))))
    return rows


def _strict_rows(data: bytes, columns: int) -> Iterator[tuple[float, ...]]:
    for text in _strict_lines(data):
        at = _behind(_DELIMITERS, text)
        if text[at:] == b"\n":
            continue
        row = [math.nan] * columns
        for column in range(columns):
            row[column] = atof(text, at)
            at = _behind(_NUMBER_CHARACTERS, text, at)
            if text[at:] == b"\n":
                break
            at = _behind(_DELIMITERS, text, _behind(_OTHERS, text, at))
            if text[at:] == b"\n":
                break
        yield tuple(row)


def _behind(characters: re.Pattern[bytes], text: bytes, at: int = 0) -> int:
    """Where some characters, from `at` on, come to an end."""
    found = characters.match(text, at)
    return found.end() if found else at


def _strict_lines(data: bytes) -> Iterator[bytes]:
    """Lines with their newline, long ones in pieces, each up to its first NUL."""
    for line in io.BytesIO(data):
        for start in range(0, len(line), LONGEST_LINE):
            yield line[start : start + LONGEST_LINE].partition(b"\0")[0]
