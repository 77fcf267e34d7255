"""Measured structure factors by photon energy: a list of files, and the tables that the sources of a beam meet."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np

from tilesim.errors import InputError
from tilesim.files.reading import number, printable, quoted, read_text
from tilesim.frozen import frozen
from tilesim.model.anomalous import ChannelFactors
from tilesim.model.factors import StructureFactors
from tilesim.model.materials import ENERGY_TIMES_WAVELENGTH
from tilesim.model.noun import counted
from tilesim.reflections.fpfdp import BARE_EV
from tilesim.reflections.tables import Request, Table

OPTION = "--hkl-by-energy"
CLOSE = 1e-5
"""Relative difference of photon energies that a list and a beam may have: 0.1 eV at 10 keV, as programs round them."""
SAME_CELL = 0.02
"""Relative difference of cells that are of one crystal at several energies."""
HEADER = b"energy"
"""How a line begins that names the columns."""


@frozen
class Listed:
    """A line of a list: the structure factors of one photon energy."""

    place: int
    """Number of the line."""
    energy: float
    """keV."""
    path: str
    column: str | None


def read_energy_list(path: str) -> tuple[Listed, ...]:
    """Lines `energy, file` or `energy, file, column`; files stand relative to the list.

    Energies are in eV, or in keV where a comment or the header says so. Raises InputError, naming file and line.
    """
    name, found, kilo = printable(path), list[Listed](), False
    for place, line in enumerate(read_text(path).splitlines(), 1):
        text, _, comment = line.partition(b"#")
        header = text.strip().lower().startswith(HEADER)
        kilo = kilo or b"kev" in comment.lower() or (header and b"kev" in text.lower())
        if not text.strip() or header:
            continue
        fields = [field.strip() for field in text.split(b",", 2)]
        try:
            energy = number(fields[0])
        except ValueError:
            energy = 0.0
        if not (0.0 < energy < np.inf) or len(fields) < 2 or not all(fields):
            raise InputError(
                f"{name} line {place}: expected energy, file or energy, file, column; found {quoted(line)}"
            )
        file = os.path.join(os.path.dirname(path), os.fsdecode(fields[1]))
        found.append(Listed(place, energy, file, os.fsdecode(fields[2]) if len(fields) > 2 else None))
    if not found:
        raise InputError(f"{name}: expected lines of energy, file; found none")
    low, high = BARE_EV
    if not kilo:
        found = [replace(one, energy=one.energy * 1e-3) for one in found]
        if wrong := [one for one in found if not low <= one.energy * 1e3 <= high]:
            raise InputError(
                f"{name} line {wrong[0].place}: an energy of {wrong[0].energy * 1e3:g}; expected eV, or a comment that "
                "says keV"
            )
    _check_apart(name, found)
    return tuple(found)


def _check_apart(name: str, found: list[Listed]) -> None:
    """Raise InputError where two lines are of one energy: a source could meet either."""
    ordered = sorted(found, key=lambda one: one.energy)
    for one, other in itertools.pairwise(ordered):
        if other.energy - one.energy <= 2.0 * CLOSE * other.energy:
            first, second = sorted((one.place, other.place))
            raise InputError(
                f"{name} line {second}: its energy is that of line {first}; expected a line for each photon energy"
            )


def tables_by_energy(request: Request, wavelengths: Collection[float], read_table: Callable[[Request], Table]) -> Table:
    """The structure factors of a list for sources of these wavelengths, metres; each file is read once.

    request  of the list: its name in `path`, the rest as for every file that it names

    Raises InputError where a source has no line, and where files are of different cells.
    """
    name, listed = printable(request.path), read_energy_list(request.path)
    chosen = {wavelength: _nearest(name, listed, wavelength) for wavelength in sorted(set(wavelengths))}
    read = {one: read_table(_of_line(request, one)) for one in dict.fromkeys(chosen.values())}
    _check_cells(name, read)
    tables = {wavelength: read[one] for wavelength, one in chosen.items()}
    factors = ChannelFactors({wavelength: table.factors for wavelength, table in tables.items()})
    central = tuple(tables.values())[len(tables) // 2]
    idle = [one for one in listed if one not in read]
    notes = [note for table in read.values() for note in table.notes]
    if idle:
        notes.append(
            f"{name}: {counted(len(idle), 'energy')} no source of the beam has, the first in line {idle[0].place}"
        )
    lines = [f"reading {request.path}: structure factors of {counted(len(read), 'photon energy')}"]
    for one, table in read.items():
        lines += [f"{one.energy * 1e3:.7g} eV: {one.path}", *table.lines]
    return Table(
        factors,
        cell=next(iter(read.values())).cell,
        known=_in_box(central, factors),
        lines=tuple(lines),
        notes=tuple(dict.fromkeys(notes)),
    )


def _nearest(name: str, listed: tuple[Listed, ...], wavelength: float) -> Listed:
    energy = ENERGY_TIMES_WAVELENGTH / wavelength
    found = min(listed, key=lambda one: abs(one.energy - energy))
    if abs(found.energy / energy - 1.0) > CLOSE:
        raise InputError(
            f"{name}: no structure factors for a source of {energy * 1e3:.7g} eV; expected a line for it, the nearest "
            f"being line {found.place} of {found.energy * 1e3:.7g} eV"
        )
    return found


def _of_line(request: Request, one: Listed) -> Request:
    return replace(request, path=one.path, column=one.column)


def _check_cells(name: str, read: dict[Listed, Table]) -> None:
    """Raise InputError where files state cells of different crystals."""
    ordered = sorted(read, key=lambda one: one.place)
    stated = [(one, cell) for one in ordered if (cell := read[one].cell) is not None]
    for one, cell in stated[1:]:
        first, other = stated[0]
        if not np.allclose(cell, other, rtol=SAME_CELL):
            raise InputError(
                f"{name} line {one.place}: the cell of {printable(one.path)} is {' '.join(f'{x:g}' for x in cell)}; "
                f"expected that of line {first.place}, {' '.join(f'{x:g}' for x in other)}"
            )


def _in_box(table: Table, whole: StructureFactors) -> np.ndarray | None:
    """Which points of a larger grid a table has; None where it does not know itself."""
    if table.known is None:
        return None
    known = np.zeros(whole.grid.shape, bool)
    starts = [own - low for own, low in zip(table.factors.minimum, whole.minimum, strict=True)]
    known[tuple(slice(start, start + n) for start, n in zip(starts, table.known.shape, strict=True))] = table.known
    return known
