"""The orientation matrix: nine numbers, three per row (spec files 2, corrections K11)."""

from __future__ import annotations

import itertools
import math
import os

from tilesim.errors import InputError
from tilesim.files.cnumbers import scan_records
from tilesim.files.reading import fields, number, plain_text, printable, quoted, read_bytes, uncommented


def read_matrix(path: str | os.PathLike[str], *, strict: bool = False) -> tuple[tuple[float, ...], bool]:
    """The first nine numbers of the file, row by row, as they stand, and whether the reference would read others.

    Row 1 holds the x components of a*, b*, c*, row 2 the y, row 3 the z, in units of 1/wavelength. `#` comments
    and what follows the nine are ignored. Raises InputError with file and line where there are not nine finite ones.
    `strict` gives the numbers up to the first text that is none, and no number at all for a file that cannot be
    read, as the reference does.
    """
    if strict:
        try:
            return _strict_numbers(read_bytes(path)), False
        except InputError:
            return (), False
    data = read_bytes(path)
    numbers = _numbers(plain_text(data, printable(path)), printable(path))
    return numbers, numbers != _strict_numbers(data)


def _numbers(text: bytes, name: str) -> tuple[float, ...]:
    numbers: list[float] = []
    for place, line in enumerate(uncommented(text), 1):
        for field in fields(line):
            try:
                numbers.append(number(field))
            except ValueError:
                numbers.append(math.nan)
            if not math.isfinite(numbers[-1]):
                raise InputError(
                    f"{name} line {place}: expected nine numbers of an orientation matrix, found {quoted(field)}"
                )
            if len(numbers) == 9:
                return tuple(numbers)
    raise InputError(f"{name}: expected nine numbers of an orientation matrix, found {len(numbers)}")


def _strict_numbers(data: bytes) -> tuple[float, ...]:
    return tuple(number for (number,) in itertools.islice(scan_records(data, "g"), 9))
