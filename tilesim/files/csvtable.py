"""CSV files with a line of names: columns of numbers by name, errors with the line."""

from __future__ import annotations

import csv
import io
import math
from functools import lru_cache

from tilesim.errors import InputError
from tilesim.files.reading import printable, read_text


def read_csv_column(path: str, column: str) -> tuple[float, ...]:
    """A column of finite numbers, by its name in the first line of a CSV file. Raises InputError."""
    header, rows = csv_table(path)
    if column not in header:
        raise InputError(f"{printable(path)} has no column {column[:40]!r}; its columns are {', '.join(header)[:200]}")
    place, values = header.index(column), []
    for number, row in rows:
        try:
            values.append(float(row[place]))
            if not math.isfinite(values[-1]):
                raise ValueError
        except (ValueError, IndexError):
            found = row[place][:40] if place < len(row) else "nothing"
            raise InputError(
                f"{printable(path)} line {number}, column {column[:40]}: expected a number, found {found}"
            ) from None
    return tuple(values)


def csv_lines(path: str) -> tuple[int, ...]:
    """Numbers of the lines of the rows of a CSV file, from 1. Raises InputError."""
    return tuple(number for number, _ in csv_table(path)[1])


@lru_cache(8)
def csv_table(path: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Names, and the rows with the numbers of their lines; read once, until its cache is cleared. Raises InputError."""
    try:
        lines = csv.reader(io.StringIO(read_text(path).decode()), skipinitialspace=True)
        rows = [(lines.line_num, row) for row in lines if row]
    except UnicodeDecodeError as error:
        raise InputError(f"{printable(path)}: expected CSV in UTF-8; byte {error.start + 1} is no part of it") from None
    except csv.Error as error:
        raise InputError(f"{printable(path)}: expected CSV ({str(error)[:80]})") from None
    if len(rows) < 2:
        raise InputError(f"{printable(path)}: expected a line of names and lines of numbers")
    return [name.strip() for name in rows[0][1]], rows[1:]
