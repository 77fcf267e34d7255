"""Unit cells in CrystFEL's own files (.cell): lengths, angles, lattice type and centering."""

from __future__ import annotations

import os

from tilesim.errors import InputError
from tilesim.files.reading import number, printable, quoted, read_text
from tilesim.frozen import frozen

HEADER = b"CrystFEL unit cell file version 1.0"
LENGTHS, ANGLES = ("a", "b", "c"), ("al", "be", "ga")
ANGSTROM = {b"A": 1.0, b"nm": 10.0}
DEGREES = {b"deg": 1.0, b"rad": 57.29577951308232}
CENTERINGS = "PABCIFRH"
CHOICES = {
    "lattice_type": (
        "triclinic", "monoclinic", "orthorhombic", "tetragonal", "rhombohedral", "hexagonal", "cubic"
    ),
    "centering": tuple(CENTERINGS),
    "unique_axis": ("a", "b", "c", "?", "*"),
}  # fmt: skip
WITH_UNIQUE_AXIS = ("monoclinic", "tetragonal", "hexagonal")
NEAR = 0.005
"""Relative difference of lengths, and of angles to a right one, that a lattice type allows: files have two decimals."""


@frozen
class UnitCell:
    """What a file says."""

    parameters: tuple[float, ...]
    """a, b, c in angstrom, alpha, beta, gamma in degrees."""
    lattice: str
    centering: str
    notes: tuple[str, ...] = ()
    """What the user should know, one line each."""


def read_cell(path: str | os.PathLike[str]) -> UnitCell:
    """The unit cell in a file. Raises InputError, naming the line."""
    name, rows = printable(path), read_text(path).splitlines()
    if not rows or rows[0].strip() != HEADER:
        raise InputError(f"{name} line 1: expected {HEADER.decode()!r}, found {quoted(rows[0] if rows else b'')}")
    values: dict[str, float] = {}
    words: dict[str, str] = {"centering": "P", "unique_axis": "*"}
    for place, row in enumerate(rows[1:], 2):
        statement = row.partition(b";")[0].strip()
        if not statement:
            continue
        key, equals, value = (part.strip() for part in statement.partition(b"="))
        word = key.decode("ascii", "replace")
        if word in values or word in words.keys() - {"centering", "unique_axis"}:
            raise InputError(f"{name} line {place}: expected {word} once, found it again")
        if not equals or word not in (*LENGTHS, *ANGLES, *CHOICES):
            known = ", ".join((*CHOICES, *LENGTHS, *ANGLES))
            raise InputError(f"{name} line {place}: expected one of {known} and its value, found {quoted(row)}")
        if word in CHOICES:
            words[word] = _word(value, CHOICES[word], f"{name} line {place}")
        else:
            units, least = (ANGSTROM, 0.0) if word in LENGTHS else (DEGREES, 0.0)
            values[word] = _quantity(value, units, least, f"{name} line {place}")
    missing = [word for word in ("lattice_type", *LENGTHS, *ANGLES) if word not in values and word not in words]
    if missing:
        raise InputError(f"{name}: expected {', '.join(missing)}, found none")
    parameters = tuple(values[word] for word in (*LENGTHS, *ANGLES))
    lattice, axis = words["lattice_type"], words["unique_axis"]
    if lattice in WITH_UNIQUE_AXIS and axis not in LENGTHS:
        raise InputError(f"{name}: expected unique_axis = a, b or c for a {lattice} cell, found none")
    notes = []
    if not _agrees(parameters, lattice, axis):
        shown = " ".join(f"{x:g}" for x in parameters)
        notes.append(f"{name}: the cell {shown} is not {lattice}, as its lattice_type says; it is taken as it stands")
    return UnitCell(parameters, lattice, words["centering"], tuple(notes))


def _word(value: bytes, known: tuple[str, ...], where: str) -> str:
    word = value.decode("ascii", "replace")
    if word not in known:
        raise InputError(f"{where}: expected one of {', '.join(known)}, found {quoted(value)}")
    return word


def _quantity(value: bytes, units: dict[bytes, float], least: float, where: str) -> float:
    parts = value.split()
    expected = f"a number above {least:g} in {' or '.join(unit.decode() for unit in units)}"
    try:
        amount = number(parts[0]) * units[parts[1]] if len(parts) == 2 else -1.0
    except (ValueError, KeyError):
        amount = -1.0
    if not least < amount < 1e6:
        raise InputError(f"{where}: expected {expected}, found {quoted(value)}")
    return amount


def _agrees(parameters: tuple[float, ...], lattice: str, axis: str) -> bool:
    """Whether a cell has the equal edges and the angles of its lattice type."""
    lengths, angles = parameters[:3], parameters[3:]

    def same(*numbers: float) -> bool:
        return max(numbers) - min(numbers) <= NEAR * max(numbers)

    right = [same(angle, 90.0) for angle in angles]
    if lattice in ("triclinic", "rhombohedral"):
        return lattice == "triclinic" or (same(*lengths) and same(*angles))
    if lattice in ("orthorhombic", "cubic"):
        return all(right) and (lattice == "orthorhombic" or same(*lengths))
    unique = LENGTHS.index(axis)
    others = [n for n in range(3) if n != unique]
    if lattice == "monoclinic":
        return all(right[n] for n in others)
    square = same(*(lengths[n] for n in others)) and all(right[n] for n in others)
    return square and same(angles[unique], 90.0 if lattice == "tetragonal" else 120.0)
