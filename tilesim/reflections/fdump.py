"""The binary cache of a structure-factor table, `Fdump.bin` (spec files 3)."""

from __future__ import annotations

import os
import re

import numpy as np

from tilesim.errors import InputError, StoreError
from tilesim.files.reading import printable, read_bytes
from tilesim.files.replace import replacing
from tilesim.model.factors import StructureFactors

_RANGES = re.compile(rb"([+-]?\d{1,10})" + rb" +([+-]?\d{1,10})" * 5 + rb" *\n\f")


def read_fdump(path: str | os.PathLike[str], default: float = 0.0) -> StructureFactors:
    """The table in electrons; `default` is the amplitude outside it.

    The values begin just after the form feed, also where the reference would skip a byte of the first one.
    Raises InputError where the file is not exactly a cache.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"{printable(path)}: expected a regular file (structure factors), found none")
    data = read_bytes(path)
    name = printable(path)
    ranges = _RANGES.match(data[:128])
    if not ranges:
        raise InputError(f"{name}: expected six integers, a line feed and a form feed at its start (structure factors)")
    numbers = [int(x) for x in ranges.groups()]
    low, high = numbers[0::2], numbers[1::2]
    shape = tuple(b - a + 1 for a, b in zip(low, high, strict=True))
    span = ", ".join(f"{axis} {a} to {b}" for axis, a, b in zip("hkl", low, high, strict=True))
    if min(shape) < 1:
        raise InputError(f"{name}: expected rising ranges of indices, found {span}")
    padded = tuple(n + 1 for n in shape)
    expected = 8 * padded[0] * padded[1] * padded[2]
    found = len(data) - ranges.end()
    if found != expected:
        raise InputError(f"{name}: expected {expected} bytes of values for {span}, found {found}")
    grid = np.frombuffer(data, "<f8", offset=ranges.end()).reshape(padded)[:-1, :-1, :-1]
    if not np.isfinite(grid).all():
        raise InputError(f"{name}: expected finite values, found NaN or infinity")
    return StructureFactors(grid, (low[0], low[1], low[2]), default, reflections=grid.size, source=os.fspath(path))


def write_fdump(path: str | os.PathLike[str], factors: StructureFactors) -> None:
    """Write the table with the reference's plane of zeros at the end of every axis. Raises StoreError."""
    if factors.empty:
        raise StoreError(f"cannot write {printable(path)}: there is no table of structure factors to write")
    ends = (x for pair in zip(factors.minimum, factors.maximum, strict=True) for x in pair)
    with replacing(path) as file:
        file.write(" ".join(map(str, ends)).encode() + b"\n\f")
        for plane in factors.grid:
            file.write(np.pad(plane, ((0, 1), (0, 1))).astype("<f8").tobytes())
        file.write(bytes(8 * (factors.grid.shape[1] + 1) * (factors.grid.shape[2] + 1)))
