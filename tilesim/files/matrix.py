"""The orientation matrix: nine numbers, three per row (spec files 2, corrections K11)."""

from __future__ import annotations

import itertools
import math
import os
from pathlib import Path

from tilesim.errors import InputError
from tilesim.files.cnumbers import scan_records
from tilesim.files.reading import number, printable, quoted, read_bytes


def read_matrix(path: str | os.PathLike[str], *, strict: bool = False) -> tuple[float, ...]:
    """The first nine numbers of the file, row by row, as they stand; what follows them is ignored.

    Row 1 holds the x components of a*, b*, c*, row 2 the y, row 3 the z, in units of 1/wavelength. Raises
    InputError with file and line where there are not nine finite ones. `strict` gives the numbers up to the
    first text that is none, and no number at all for a file that cannot be read, as the reference does.
    """
    if strict:
        return _strict_numbers(path)
    numbers: list[float] = []
    for place, line in enumerate(read_bytes(path).splitlines(), 1):
        for field in line.split():
            try:
                numbers.append(number(field))
            except ValueError:
                numbers.append(math.nan)
            if not math.isfinite(numbers[-1]):
                raise InputError(
                    f"{printable(path)} line {place}: expected nine numbers of an orientation matrix,"
                    f" found {quoted(field)}"
                )
            if len(numbers) == 9:
                return tuple(numbers)
    raise InputError(f"{printable(path)}: expected nine numbers of an orientation matrix, found {len(numbers)}")


def _strict_numbers(path: str | os.PathLike[str]) -> tuple[float, ...]:
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError):
        return ()
    return tuple(number for (number,) in itertools.islice(scan_records(data, "g"), 9))
