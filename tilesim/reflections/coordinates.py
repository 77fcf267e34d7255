"""Coordinate files: read by gemmi once every field that must be a number is known to be one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING

from tilesim.errors import InputError
from tilesim.files.reading import printable, quoted, read_text
from tilesim.reflections.mtz import one_line

if TYPE_CHECKING:
    import gemmi

SPECIAL = 0.5
"""Angstrom between an atom and its symmetry mate below which it lies on a special position."""
_ATOM = ((30, 38, "x"), (38, 46, "y"), (46, 54, "z"), (54, 60, "the occupancy"), (60, 66, "the B factor"))
_CELL = ((6, 15, "a"), (15, 24, "b"), (24, 33, "c"), (33, 40, "alpha"), (40, 47, "beta"), (47, 54, "gamma"))
_MATRIX = ((10, 20, "a rotation"), (20, 30, "a rotation"), (30, 40, "a rotation"), (45, 55, "a shift"))
_TENSOR = tuple((start, start + 7, "an anisotropic U") for start in range(28, 70, 7))
_RECORDS = {
    b"ATOM  ": _ATOM,
    b"HETATM": _ATOM,
    b"ANISOU": _TENSOR,
    b"CRYST1": _CELL,
    b"MTRIX1": _MATRIX,
    b"MTRIX2": _MATRIX,
    b"MTRIX3": _MATRIX,
}
"""Columns of PDB records that hold numbers, counted from 0."""
_DECIMAL = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
_CIF_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?(?:\([0-9]+\))?", re.IGNORECASE | re.ASCII)
_CIF_ITEMS = {"Cartn_x": False, "Cartn_y": False, "Cartn_z": False, "occupancy": True, "B_iso_or_equiv": True}
"""Items of `_atom_site.`, and whether they may be unknown."""
_CODES_FROM = 72
"""Column, counted from 0, from which old PDB files hold their entry code and a line number."""


def read_coordinates(library: ModuleType, path: str | os.PathLike[str]) -> tuple[gemmi.Structure, list[str]]:
    """The structure in a PDB or mmCIF file, with the symmetry mates of its cell, and notes. Raises InputError.

    Non-crystallographic mates that the file describes are made.
    """
    name, text = printable(path), read_text(path)
    notes = []
    with one_line(name, "a model (PDB or mmCIF)"):
        if _is_pdb(text):
            _check_pdb(text, name)
            width = _CODES_FROM if _has_codes(text) else 0
            if width:
                notes.append(f"columns 73 to 80 of {name} hold an entry code and line numbers; they are not read")
            structure = library.read_pdb_string(text, max_line_length=width)
        else:
            document = library.cif.Document()
            structure = library.read_structure_string(text, format=library.CoorFormat.Detect, save_doc=document)
            _check_cif(document, name)
        if len(structure) == 0 or structure[0].count_atom_sites() == 0:
            raise InputError(f"{name}: expected a model with atoms, found none")
        if len(structure) > 1:
            notes.append(f"{name} holds {len(structure)} models; the first is taken")
        if any(not operator.given for operator in structure.ncs):
            structure.expand_ncs(library.HowToNameCopiedChain.Short)
        structure.setup_cell_images()
    return structure, notes


def special_positions(structure: gemmi.Structure, name: str) -> list[str]:
    """A note on atoms of the first model that their mates by symmetry count more often than once; else none."""
    found = []
    for cra in structure[0].all():
        mates = structure.cell.is_special_position(cra.atom.pos, SPECIAL)
        if mates and cra.atom.occ * (mates + 1) > 1.01:
            found.append((cra, mates + 1))
    if not found:
        return []
    (first, count), several = found[0], f"{len(found)} atoms lie" if len(found) > 1 else "an atom lies"
    return [
        f"{name}: {several} on special positions with occupancies that count them more than once, the first {first}"
        f" with {first.atom.occ:g}; expected at most 1/{count} there"
    ]


def _is_pdb(text: bytes) -> bool:
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith(b"#"):
            return not line.lstrip()[:5].lower().startswith((b"data_", b"{"))
    return True


def _records(text: bytes) -> Iterator[tuple[int, bytes]]:
    for place, line in enumerate(text.splitlines(), 1):
        if line[:6].upper().ljust(6) in _RECORDS:
            yield place, line


def _check_pdb(text: bytes, name: str) -> None:
    """Raise InputError at the first field that is no number, or blank: gemmi takes it for 0."""
    for place, line in _records(text):
        for start, end, what in _RECORDS[line[:6].upper().ljust(6)]:
            field = line[start:end].strip()
            if not _DECIMAL.fullmatch(field):
                raise InputError(
                    f"{name} line {place}: expected {what} in columns {start + 1} to {end}, found {quoted(field)}"
                )


def _has_codes(text: bytes) -> bool:
    """Whether all atoms have a number where newer files have element and charge."""
    ends = {line[_CODES_FROM + 4 : 80].strip() for _, line in _records(text) if line[:4] in (b"ATOM", b"HETA")}
    ends.discard(b"")
    return bool(ends) and all(end.isdigit() for end in ends)


def _check_cif(document: gemmi.cif.Document, name: str) -> None:
    """The same for the loop of atoms."""
    for block in document:
        for item, optional in _CIF_ITEMS.items():
            for row, value in enumerate(block.find_values(f"_atom_site.{item}"), 1):
                if not _CIF_NUMBER.fullmatch(value) and not (optional and value in ("?", ".")):
                    raise InputError(
                        f"{name}: expected a number for _atom_site.{item} of atom {row}, found {quoted(value.encode())}"
                    )
