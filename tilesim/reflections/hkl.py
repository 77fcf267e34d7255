"""Structure-factor text: lines of h k l F to a dense table (spec files 1, corrections K10)."""

from __future__ import annotations

import io
import math
import os
import warnings

import numpy as np

from tilesim.errors import InputError
from tilesim.files.cnumbers import scan_records
from tilesim.files.reading import fields, number, plain_text, printable, quoted, read_bytes, uncommented
from tilesim.model.factors import StructureFactors
from tilesim.tiling.budget import available_memory

MAX_INDEX = 10**9
"""Larger Miller indices are taken for a mistake; the reference cannot hold them either."""
MAX_POINTS = 2 * 10**9
"""More grid points than this are taken for a mistake in an index."""
MOST_COLUMNS = 12
"""Further columns of a line, such as sigmas and flags, are ignored; more than this is no line of one reflection."""

_PLAIN = b"0123456789+-.eE \t\r\n"
_ROW = np.dtype([("h", np.int64), ("k", np.int64), ("l", np.int64), ("f", np.float64)])


def read_hkl(
    path: str | os.PathLike[str], default: float = 0.0, *, strict: bool = False
) -> tuple[StructureFactors, bool]:
    """Read structure factors from a text file of lines h k l F (spec files 1).

    Parameters
    ----------
    path
        Name of the file.
    default
        Amplitude of all reflections that the file does not list, electrons.
    strict
        Whether to read as the reference does: a stream of numbers without lines or comments, that ends without a word
        where it ceases to be one.

    Returns
    -------
    factors : StructureFactors
        Amplitudes in electrons over the box of the indices listed.
    differs : bool
        Whether the reference would have read other ones (docs/corrections.md, K10).

    Raises
    ------
    InputError
        Naming file and line, where a line is not h k l F, or where the indices span an absurd grid.

    Examples
    --------
    >>> from tilesim import read_hkl
    >>> with open("P1.hkl", "w") as file:
    ...     _ = file.write("0 0 1 42.5\\n1 -1 0 7  # measured twice\\n")
    >>> factors, differs = read_hkl("P1.hkl", default=1.0)
    >>> factors.minimum, factors.maximum, differs
    ((0, -1, 0), (1, 0, 1), False)
    """
    data = read_bytes(path)
    name = printable(path)
    clean = _clean_table(data)
    if clean is not None:
        return _table(*clean, clean[0], len(clean[0]), default, path), False
    if strict:
        return _table(*_strict_table(data, name), default, path), False
    indices, values = _careful_table(plain_text(data, name), name)
    factors = _table(indices, values, indices, len(indices), default, path)
    return factors, _reference_differs(data, factors)


def read_rows(path: str | os.PathLike[str]) -> tuple[np.ndarray, np.ndarray]:
    """Indices (n, 3) and amplitudes (n,) of a text of lines h k l F. Raises InputError, naming file and line."""
    data = read_bytes(path)
    clean = _clean_table(data)
    return _careful_table(plain_text(data, printable(path)), printable(path)) if clean is None else clean


def _clean_table(data: bytes) -> tuple[np.ndarray, np.ndarray] | None:
    """Indices (n, 3) and amplitudes (n,) where every line is three integers and a number, the usual case.

    The reference reads such a file alike. None for any other: a slower reader will say what is wrong.
    """
    if data.translate(None, _PLAIN):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy warns of no data and of integers like 1.0
            rows = np.atleast_1d(np.loadtxt(io.BytesIO(data), dtype=_ROW, comments=None))
    except (ValueError, Warning):
        return None
    indices, values = np.stack([rows["h"], rows["k"], rows["l"]], axis=1), rows["f"]
    if not np.isfinite(values).all() or indices.max() > MAX_INDEX or indices.min() < -MAX_INDEX:
        return None
    return indices, values


def _careful_table(data: bytes, name: str) -> tuple[np.ndarray, np.ndarray]:
    """As `_clean_table`, with comments, blank lines, extra columns and integral floats; else InputError."""
    indices, values = [], []
    for place, line in enumerate(uncommented(data), 1):
        row = fields(line)
        if not row:
            continue
        try:
            h, k, l, f = map(number, row[:4])
        except ValueError:
            h = k = l = f = math.nan
        integral = all(abs(x) <= MAX_INDEX and x == round(x) for x in (h, k, l))
        if not integral or not math.isfinite(f):
            raise InputError(f"{name} line {place}: expected h k l F, found {quoted(line)}")
        if len(row) > MOST_COLUMNS or _two_records(row):
            raise InputError(
                f"{name} line {place}: expected h k l F of one reflection, found {len(row)} columns: {quoted(line)}"
            )
        indices.append((int(h), int(k), int(l)))
        values.append(f)
    if not indices:
        raise InputError(f"{name}: expected lines of h k l F, found none")
    return np.array(indices, dtype=np.int64), np.array(values)


def _two_records(row: list[bytes]) -> bool:
    """Whether h k l F seem to stand there twice, which the reference reads as two reflections."""
    return len(row) == 8 and all(field.lstrip(b"+-").isdigit() for field in row[4:7])


def _strict_table(data: bytes, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """The reference's two readings: reals for the extent, then integers, each up to the first that is none.

    Gives indices (n, 3) and amplitudes (n,) of the second, extent (2, 3) and number of records of the first.
    """
    counted = np.array([record[:3] for record in scan_records(data, "gggg")]).reshape(-1, 3)
    # A NaN index widens no range; a file of nothing else has none.
    if not (~np.isnan(counted)).any(axis=0).all():
        raise InputError(f"{name} line 1: expected the numbers h k l F, found {quoted(data[:200])}")
    extent = np.trunc([np.nanmin(counted, axis=0), np.nanmax(counted, axis=0)])
    if np.abs(extent).max() > MAX_INDEX:
        raise InputError(f"{name}: expected indices of at most {MAX_INDEX:g}, found larger ones")
    loaded = list(scan_records(data, "dddg"))
    indices = np.array([record[:3] for record in loaded], dtype=np.int64).reshape(-1, 3)
    return indices, np.array([record[3] for record in loaded]), extent.astype(np.int64), len(counted)


def _reference_differs(data: bytes, factors: StructureFactors) -> bool:
    """Whether the strict reading gives another table than `factors`; its grid is built only where the extents agree.

    Columns that slide into each other can span a grid of gigabytes.
    """
    try:
        indices, values, extent, count = _strict_table(data, factors.source)
    except InputError:
        return True
    if extent.tolist() != [list(factors.minimum), list(factors.maximum)]:
        return True
    return _table(indices, values, extent, count, factors.default, factors.source) != factors


def _table(
    indices: np.ndarray,
    values: np.ndarray,
    extent: np.ndarray,
    count: int,
    default: float,
    path: str | os.PathLike[str],
) -> StructureFactors:
    """The grid over the box around `extent`, later values in place of earlier ones."""
    low, high = extent.min(axis=0), extent.max(axis=0)
    grid = empty_grid(low, high, default, path)
    grid[tuple((indices - low).T)] = values
    h, k, l = map(int, low)
    return StructureFactors(grid, (h, k, l), default, reflections=count, source=os.fspath(path))


def empty_grid(low: np.ndarray, high: np.ndarray, default: float, path: str | os.PathLike[str]) -> np.ndarray:
    """A grid (h, k, l) of `default` between two corners, inclusive (3,). Raises InputError where it does not fit."""
    shape = tuple(int(n) for n in high - low + 1)
    points = math.prod(shape)
    try:
        free = available_memory()
        if points > MAX_POINTS or (free is not None and 8 * points > free):
            raise MemoryError
        return np.full(shape, default, dtype=np.float64) if default else np.zeros(shape)
    except MemoryError as error:
        span = ", ".join(f"{axis} {a} to {b}" for axis, a, b in zip("hkl", low, high, strict=True))
        raise InputError(
            f"{printable(path)}: expected indices that fit in memory, found {span}, a grid of {points:g} points"
        ) from error
