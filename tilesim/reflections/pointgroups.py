"""Point groups by CrystFEL's symbols, and lists of an asymmetric unit filled up to all of reciprocal space."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import numpy as np

from tilesim.errors import InputError
from tilesim.files.libraries import need
from tilesim.files.reading import printable
from tilesim.files.structured import shown_value
from tilesim.reflections.hkl import empty_grid
from tilesim.reflections.merged import WHOLE, check_density

if TYPE_CHECKING:
    import gemmi

SPACE_GROUPS = {
    "1": "P 1", "-1": "P -1",
    "2/m": "P 1 1 2/m", "2": "P 1 1 2", "m": "P 1 1 m",
    "mmm": "P m m m", "222": "P 2 2 2", "mm2": "P m m 2",
    "4/m": "P 4/m", "4": "P 4", "-4": "P -4", "4/mmm": "P 4/m m m", "422": "P 4 2 2",
    "-42m": "P -4 2 m", "-4m2": "P -4 m 2", "4mm": "P 4 m m",
    "3_R": "R 3:R", "-3_R": "R -3:R", "32_R": "R 3 2:R", "3m_R": "R 3 m:R", "-3m_R": "R -3 m:R",
    "3_H": "P 3", "-3_H": "P -3", "321_H": "P 3 2 1", "312_H": "P 3 1 2", "3m1_H": "P 3 m 1", "31m_H": "P 3 1 m",
    "-3m1_H": "P -3 m 1", "-31m_H": "P -3 1 m",
    "6/m": "P 6/m", "6": "P 6", "-6": "P -6", "6/mmm": "P 6/m m m", "622": "P 6 2 2",
    "-62m": "P -6 2 m", "-6m2": "P -6 m 2", "6mm": "P 6 m m",
    "23": "P 2 3", "m-3": "P m -3", "432": "P 4 3 2", "-43m": "P -4 3 m", "m-3m": "P m -3 m",
}  # fmt: skip
"""The space group without translations of each point group, its unique axis c as CrystFEL has it."""
UNIQUE = {"a": np.roll(np.eye(3, dtype=int), 2, axis=1), "b": np.roll(np.eye(3, dtype=int), 1, axis=1)}
"""Permutations (3, 3) of indices: h, k, l of a group whose unique axis is a or b, times it, are those of c."""
SAME = 1e-6
"""Relative difference of equivalent reflections that counts as none."""


def rotations_of(symbol: str, where: str) -> np.ndarray:
    """Matrices (n, 3, 3) of a point group: h k l times each is an equivalent reflection.

    where  names the option or line for an error

    Raises InputError where there is no such group.
    """
    found = re.fullmatch(r"(.*?)(?:_ua([abc]))?", symbol.strip())
    kind, axis = found.groups() if found else ("", None)
    if kind not in SPACE_GROUPS:
        hint = " (trigonal ones end in _H or _R)" if kind.lstrip("-").startswith("3") else ""
        raise InputError(
            f"{where}: expected a point group such as 1, -1, 2/m_uab, mmm, 422, 4/mmm, 321_H, m-3m{hint}, found "
            f"{shown_value(symbol)}"
        )
    library = need("gemmi", "point groups")
    group: gemmi.SpaceGroup = library.find_spacegroup_by_name(SPACE_GROUPS[kind])
    rotations = np.unique([np.array(op.rot) // WHOLE for op in group.operations().sym_ops], axis=0)
    turn = UNIQUE.get(axis or "c")
    return rotations if turn is None else turn @ rotations @ turn.T


def filled(
    indices: np.ndarray, values: np.ndarray, rotations: np.ndarray, default: float, path: str | os.PathLike[str]
) -> tuple[np.ndarray, np.ndarray]:
    """The grid (h, k, l) around 0 0 0 with all equivalents of the reflections, and which points of it are known.

    indices, values  (n, 3) whole numbers and (n,)

    All else holds `default`. Raises InputError where two reflections are equivalent and their values differ: such a
    list is not merged in this group; and where the grid does not fit in memory.
    """
    reach = np.abs([indices @ rotation for rotation in rotations]).max(axis=(0, 1))
    check_density(path, reach, len(rotations) * len(indices))
    grid = empty_grid(-reach, reach, default, path)
    known = np.zeros(grid.shape, dtype=bool)
    _check_once(indices, values, path)
    for rotation in rotations:
        place = tuple((indices @ rotation + reach).T)
        clash = known[place] & (np.abs(grid[place] - values) > SAME * np.abs(values))
        if clash.any():
            raise _not_merged(indices[int(np.argmax(clash))], path)
        grid[place] = values
        known[place] = True
    return grid, known


def lone_mates(known: np.ndarray) -> int:
    """How many points of a grid around 0 0 0 are known while those opposite to them are not."""
    return int((known & ~known[::-1, ::-1, ::-1]).sum())


def _check_once(indices: np.ndarray, values: np.ndarray, path: str | os.PathLike[str]) -> None:
    order = np.lexsort(indices.T)
    again = (np.diff(indices[order], axis=0) == 0).all(axis=1)
    unlike = again & (np.abs(np.diff(values[order])) > SAME * np.abs(values[order][1:]))
    if unlike.any():
        raise _not_merged(indices[order[int(np.argmax(unlike))]], path)


def _not_merged(index: np.ndarray, path: str | os.PathLike[str]) -> InputError:
    h, k, l = index.tolist()
    return InputError(
        f"{printable(path)}: {h} {k} {l} and a reflection that is equivalent to it have different values; expected a "
        "list that is merged in this point group (--symmetry)"
    )
