"""Structure factors of a merged MTZ file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from tilesim.errors import InputError
from tilesim.files.libraries import need
from tilesim.files.reading import printable
from tilesim.reflections.columns import AMPLITUDE, PHASE, Column, amplitudes, choose, is_computed
from tilesim.reflections.merged import Reflections, merged

if TYPE_CHECKING:
    import gemmi


FLAT = 1e-5
"""Volume over the product of the edges below which a cell is none."""


def read_mtz(path: str | os.PathLike[str], column: str | None = None) -> Reflections:
    """Its amplitudes, of the column that `column` names (reflections/columns.py). Raises InputError."""
    library = need("gemmi", "reading MTZ files")
    name = printable(path)
    with one_line(name, "an MTZ file"):
        mtz = library.read_mtz_file(os.fspath(path))
        data = np.asarray(mtz.array)
        columns = _columns(mtz)
        group = mtz.spacegroup_name
    # Columns of type Y (M/ISYM) are in merged files, too.
    if len(mtz.batches) or any(column.kind == "B" for column in columns):
        raise InputError(f"{name} holds unmerged reflections; expected a merged file (aimless, or another program)")
    if mtz.spacegroup is None:
        raise InputError(f"{name}: unknown space group {group!r}; expected one of gemmi's table")
    if [column.kind for column in columns[:3]] != ["H"] * 3 or len(data) == 0:
        raise InputError(f"{name}: expected the indices H, K, L in its first three columns, and reflections")
    choice = choose(name, columns[3:], column)

    def values(column: Column) -> np.ndarray:
        found = data[:, column.place]
        return np.where(found == mtz.valm, np.nan, found)

    plus, minus, notes = amplitudes(choice, values)
    indices = checked_indices(name, data[:, :3])
    cell = mtz.get_cell(mtz.columns[choice.columns[0].place].dataset_id)
    return merged(
        indices,
        plus,
        minus,
        mtz.spacegroup,
        cell=checked_cell(name, cell),
        source=os.fspath(path),
        what=choice.text,
        notes=notes,
    )


def _columns(mtz: gemmi.Mtz) -> list[Column]:
    """What the file says of its columns; a phase behind an amplitude shows that both were computed."""
    sets = {one.id: f"{one.crystal_name}/{one.dataset_name}" for one in mtz.datasets}
    types = [c.type for c in mtz.columns]
    return [
        Column(
            c.label,
            c.type,
            place,
            sets.get(c.dataset_id, ""),
            is_computed(c.label) or types[place : place + 2] == [AMPLITUDE, PHASE],
        )
        for place, c in enumerate(mtz.columns)
    ]


def checked_indices(name: str, indices: np.ndarray) -> np.ndarray:
    """Whole numbers (n, 3) as int32. Raises InputError."""
    if not (np.isfinite(indices).all() and (indices == np.round(indices)).all() and np.abs(indices).max() < 2**31):
        raise InputError(f"{name}: expected whole Miller indices, found others")
    return indices.astype(np.int32)


def checked_cell(name: str, cell: gemmi.UnitCell) -> gemmi.UnitCell:
    """The cell, if there is one. Raises InputError."""
    parameters = (*cell.parameters,)
    flat = cell.volume < FLAT * cell.a * cell.b * cell.c
    if not np.isfinite(parameters).all() or not cell.is_crystal() or not cell.volume > 0 or flat:
        shown = " ".join(f"{x:g}" for x in parameters)
        raise InputError(f"{name}: expected a unit cell, found {shown}")
    return cell


@contextmanager
def one_line(name: str, what: str) -> Iterator[None]:
    """Turn what gemmi says of a bad file into an InputError of one line."""
    try:
        yield
    except (RuntimeError, ValueError, IndexError, OSError, MemoryError, UnicodeError) as error:
        if isinstance(error, InputError):
            raise
        if isinstance(error, UnicodeError):
            raise InputError(f"cannot read {name} as {what}: expected text, found other bytes in it") from None
        said = re.sub("^string:", "line ", " ".join(str(error).split())) or "out of memory"
        raise InputError(f"cannot read {name} as {what}: {said[:200]}") from error
