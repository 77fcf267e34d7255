"""Reflections of a merged file or a model, and their expansion into a table over all of reciprocal space."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from tilesim.errors import InputError
from tilesim.files.reading import printable
from tilesim.frozen import frozen
from tilesim.model.factors import StructureFactors
from tilesim.reflections.hkl import MAX_INDEX, empty_grid

if TYPE_CHECKING:
    import gemmi

WHOLE = 24
"""The 1 of gemmi's operators."""
POINTS_AT_ONCE = 2**20
"""Grid points that are looked at together for systematic absences."""
LARGE, EMPTY = 5_000_000, 1000
"""Points of a grid that is large, and points per reflection of one that is empty."""


@frozen(eq=False)
class Reflections:
    """Unique reflections, with what it takes to find all others."""

    indices: np.ndarray
    """(n, 3) int32."""
    plus: np.ndarray
    """|F(h,k,l)| in electrons (n,)."""
    minus: np.ndarray
    """|F(-h,-k,-l)| (n,)."""
    cell: gemmi.UnitCell
    spacegroup: gemmi.SpaceGroup
    source: str
    """The file."""
    what: str
    """Which part of it, for people."""
    notes: tuple[str, ...] = ()
    """One line each: what the user should know of the reading."""
    d_min: float = math.inf
    """Angstrom, to which nothing is missing; infinite where nobody says so."""


def merged(
    indices: np.ndarray, plus: np.ndarray, minus: np.ndarray | None, spacegroup: gemmi.SpaceGroup, **fields: Any
) -> Reflections:
    """Reflections of amplitudes (n,) with NaN where there is none; those with neither mate are left out.

    minus  None: Friedel mates are equal

    A mate that is missing equals the other; mates of a centric reflection equal their mean. Raises InputError.
    """
    name = printable(fields["source"])
    indices = np.ascontiguousarray(indices, dtype=np.int32)
    plus = np.asarray(plus, dtype=np.float64)
    minus = plus if minus is None else np.asarray(minus, dtype=np.float64)
    if np.isinf(plus).any() or np.isinf(minus).any():
        raise InputError(f"{name}: expected finite amplitudes ({fields['what']}), found infinity")
    plus, minus = np.where(np.isnan(plus), minus, plus), np.where(np.isnan(minus), plus, minus)
    known = ~np.isnan(plus)
    if not known.any():
        raise InputError(f"{name}: {fields['what']} holds no value; expected amplitudes or intensities")
    indices, plus, minus = indices[known], np.abs(plus[known]), np.abs(minus[known])
    _check_merged(name, indices, plus, minus)
    if np.abs(indices.astype(np.int64)).max() > MAX_INDEX:
        raise InputError(f"{name}: expected indices of at most {MAX_INDEX:g}, found larger ones")
    centric = spacegroup.operations().centric_flag_array(indices)
    mean = (plus + minus) / 2
    plus, minus = np.where(centric, mean, plus), np.where(centric, mean, minus)
    return Reflections(indices, plus, minus, spacegroup=spacegroup, **fields)


def _check_merged(name: str, indices: np.ndarray, plus: np.ndarray, minus: np.ndarray) -> None:
    """Raise InputError where a reflection is listed twice with different values: the file is not merged."""
    order = np.lexsort(indices.T)
    same = (np.diff(indices[order], axis=0) == 0).all(axis=1)
    unlike = same & ((np.diff(plus[order]) != 0) | (np.diff(minus[order]) != 0))
    if unlike.any():
        h, k, l = indices[order[int(np.argmax(unlike))]].tolist()
        raise InputError(
            f"{name} lists {h} {k} {l} twice, with different values ({int(unlike.sum())} such); expected merged"
            " reflections"
        )


def expand(reflections: Reflections, default: float = 0.0) -> tuple[StructureFactors, np.ndarray]:
    """The table with all symmetry mates and Friedel mates, and which of its points are known, (h, k, l) bool.

    Reflections that are systematically absent in the space group, up to `d_min` and to the finest one listed, are known
    to be zero unless the file says otherwise. All else holds `default`. Raises InputError where the grid does not fit
    in memory.
    """
    r = reflections
    operations = r.spacegroup.operations()
    rotations = np.unique([np.array(op.rot) // WHOLE for op in operations.sym_ops], axis=0)
    reach = np.abs(r.indices).max(axis=0)
    for rotation in rotations:
        reach = np.maximum(reach, np.abs(r.indices @ rotation).max(axis=0))
    check_density(r.source, reach, 2 * len(rotations) * len(r.indices))
    grid = empty_grid(-reach, reach, default, r.source)
    known = np.zeros(grid.shape, dtype=bool)
    # Reflections that the file lists come last: it may list both mates, with a value for each.
    for sign, values in ((-1, r.minus), (1, r.plus)):
        for rotation in rotations:
            place = tuple((sign * (r.indices @ rotation) + reach).T)
            grid[place] = values
            known[place] = True
    count = int(known.sum())
    _extinguish(grid, known, reach, r)
    grid.setflags(write=False)
    h, k, l = (int(-x) for x in reach)
    return StructureFactors(grid, (h, k, l), default, reflections=count, source=os.fspath(r.source)), known


def expand_parts(
    reflections: Reflections, parts: np.ndarray, factors: StructureFactors, known: np.ndarray
) -> np.ndarray:
    """Complex parts (part, n) of the reflections with all their mates, (part, h, k, l) over the grid of `factors`.

    Friedel mates are conjugate. Of the first part, F0, points that are not `known` hold the default, others zero.
    """
    reach = -np.array(factors.minimum)
    grid = np.zeros((len(parts), *known.shape), np.complex128)
    grid[0] = np.where(known, 0.0, factors.default)
    for op in reflections.spacegroup.operations().sym_ops:
        rotation, shift = np.array(op.rot) // WHOLE, np.array(op.tran) / WHOLE
        mates = reflections.indices @ rotation
        turned = parts * np.exp(-2j * np.pi * (reflections.indices @ shift))
        for sign, values in ((-1, turned.conj()), (1, turned)):
            place = tuple((sign * mates + reach).T)
            grid[(slice(None), *place)] = values
    return grid


def check_density(source: str | os.PathLike[str], reach: np.ndarray, most: int) -> None:
    """Raise InputError where a few reflections, `most` with their mates, would make a huge grid: indices are wrong."""
    points = math.prod(int(2 * n + 1) for n in reach)
    if points > max(LARGE, EMPTY * most):
        span = ", ".join(f"{axis} to {n}" for axis, n in zip("hkl", reach, strict=True))
        raise InputError(
            f"{printable(source)}: expected indices that fit in memory and together, found {span},"
            f" a grid of {points:g} points for {most} reflections"
        )


def _extinguish(grid: np.ndarray, known: np.ndarray, reach: np.ndarray, r: Reflections) -> None:
    """Set what the space group extinguishes to zero, where nothing is known and within the resolution of the list."""
    operations = r.spacegroup.operations()
    if len(operations.cen_ops) == 1 and not any(any(op.tran) for op in operations.sym_ops):
        return
    # A rounding error must not leave the finest ones out.
    finest = max(r.cell.calculate_1_d2_array(r.indices).max(), r.d_min**-2) * (1 + 1e-6)
    planes = max(1, POINTS_AT_ONCE // (grid.shape[1] * grid.shape[2]))
    for first in range(0, grid.shape[0], planes):
        points = np.argwhere(~known[first : first + planes])
        points[:, 0] += first
        indices = (points - reach).astype(np.int32)
        inside = r.cell.calculate_1_d2_array(indices) <= finest
        points, indices = points[inside], indices[inside]
        place = tuple(points[operations.systematic_absences(indices)].T)
        grid[place] = 0.0
        known[place] = True
