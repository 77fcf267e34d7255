"""Structure factors of a merged MTZ file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from tilesim.errors import InputError
from tilesim.files.libraries import need
from tilesim.files.reading import printable
from tilesim.reflections.columns import amplitudes, choose
from tilesim.reflections.merged import Reflections, merged

if TYPE_CHECKING:
    import gemmi


def read_mtz(path: str | os.PathLike[str], column: str | None = None) -> Reflections:
    """Its amplitudes, of the column that `column` names (formats/columns.py). Raises InputError."""
    gemmi = need("gemmi", "reading MTZ files")
    name = printable(path)
    with one_line(name, "an MTZ file"):
        mtz = gemmi.read_mtz_file(os.fspath(path))
        data = np.asarray(mtz.array)
        columns = [(c.label, c.type) for c in mtz.columns]
        group = mtz.spacegroup_name
    if len(mtz.batches) or any(kind in "BY" for _, kind in columns):
        raise InputError(f"{name} holds unmerged reflections; expected a merged file (aimless, or another program)")
    if mtz.spacegroup is None:
        raise InputError(f"{name}: unknown space group {group!r}; expected one of gemmi's table")
    if [kind for _, kind in columns[:3]] != ["H"] * 3 or len(data) == 0:
        raise InputError(f"{name}: expected the indices H, K, L in its first three columns, and reflections")
    choice = choose(name, columns[3:], column)
    places = {label: place for place, (label, _) in reversed(list(enumerate(columns)))}

    def values(label: str) -> np.ndarray:
        found = data[:, places[label]]
        return np.where(found == mtz.valm, np.nan, found)

    plus, minus, notes = amplitudes(choice, values)
    indices = checked_indices(name, data[:, :3])
    cell = mtz.get_cell(mtz.columns[places[choice.labels[0]]].dataset_id)
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


def checked_indices(name: str, indices: np.ndarray) -> np.ndarray:
    """Whole numbers (n, 3) as int32. Raises InputError."""
    if not (np.isfinite(indices).all() and (indices == np.round(indices)).all() and np.abs(indices).max() < 2**31):
        raise InputError(f"{name}: expected whole Miller indices, found others")
    return indices.astype(np.int32)


def checked_cell(name: str, cell: gemmi.UnitCell) -> gemmi.UnitCell:
    """The cell, if there is one. Raises InputError."""
    parameters = (*cell.parameters,)
    if not np.isfinite(parameters).all() or not cell.is_crystal() or not cell.volume > 0:
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
        said = " ".join(str(error).split()) or "out of memory"
        raise InputError(f"cannot read {name} as {what}: {said[:200]}") from error
