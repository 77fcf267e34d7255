"""Structure factors from any kind of file: h k l F, CrystFEL lists, MTZ and CIF by their content, a model."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tilesim.errors import InputError
from tilesim.files.reading import BYTE_ORDER_MARK, GZIP, printable, unreadable
from tilesim.frozen import frozen
from tilesim.model.anomalous import AnomalousCurve, AnomalousFactors
from tilesim.model.factors import StructureFactors
from tilesim.reflections.hkl import read_hkl, read_rows
from tilesim.reflections.reflectionlist import UNKNOWN, is_list, read_list

if TYPE_CHECKING:
    from tilesim.reflections.atoms import Model
    from tilesim.reflections.merged import Reflections

LOOKED_AT = 2**16
"""Bytes at the start of a file that show its kind."""
MTZ, CIF, LIST, TEXT = "an MTZ file", "a CIF", "a CrystFEL reflection list", "text"


@frozen
class Request:
    """Which structure factors; equal requests are answered alike, so that they can be remembered."""

    path: str
    default: float = 0.0
    """Amplitude of all that the file does not say."""
    strict: bool = False
    """Read as the reference does."""
    column: str | None = None
    symmetry: str | None = None
    """Point group of a text, whose reflections are an asymmetric unit."""
    model: Model | None = None
    """Where `path` is a file of coordinates."""


@frozen(eq=False)
class Table:
    """Structure factors, and what else the file states."""

    factors: StructureFactors
    differs: bool = False
    """The reference would have read another table (K10)."""
    cell: tuple[float, ...] | None = None
    """a, b, c in angstrom, alpha, beta, gamma in degrees; None for h k l F."""
    known: np.ndarray | None = None
    """(h, k, l) bool, which points of the grid do not hold the default; None for h k l F."""
    lines: tuple[str, ...] = ()
    """On what was read, for the report."""
    notes: tuple[str, ...] = ()
    """What the user should know, one line each."""


def read_factors(request: Request) -> Table:
    """The table of a file. Raises InputError, naming it."""
    if request.model is not None:
        from tilesim.reflections.atoms import model_by_energy, model_reflections

        if request.model.wavelengths:
            reflections, parts, curves = model_by_energy(request.model)
            return _by_energy(request, reflections, parts, curves)
        return _table(request, model_reflections(request.model))
    name, kind = printable(request.path), kind_of(request.path)
    if kind in (TEXT, LIST) and request.column is not None:
        raise InputError(f"{name} is neither MTZ nor CIF; expected --column with one of these only")
    if kind == TEXT:
        if request.symmetry is not None:
            return _symmetric(request)
        factors, differs = read_hkl(request.path, request.default, strict=request.strict)
        return Table(factors, differs)
    if request.strict:
        raise InputError(f"{name} is {kind}; expected lines of h k l F with --strict-c, for nanoBragg reads no other")
    if kind == LIST:
        return _listed(request)
    if request.symmetry is not None:
        raise InputError(
            f"{name} is {kind}, which states its symmetry; expected --symmetry with h k l F and lists only"
        )
    if kind == MTZ:
        from tilesim.reflections.mtz import read_mtz as read
    else:
        from tilesim.reflections.cif import read_sf_cif as read
    return _table(request, read(request.path, request.column))


def known_points(factors: StructureFactors, strict: bool = False) -> np.ndarray:
    """Which points of the grid (h, k, l) a file of h k l F lists; reads it again. Raises InputError."""
    listed: np.ndarray = ~np.isnan(read_hkl(factors.source, float("nan"), strict=strict)[0].grid)
    return listed


def kind_of(path: str | os.PathLike[str]) -> str:
    """What a file is, by its content; a pipe, which can be read only once, is text. Raises InputError."""
    if not os.path.isfile(path):
        return TEXT
    try:
        with open(path, "rb") as file:
            start = file.read(LOOKED_AT)
        if start.startswith(GZIP):
            import gzip

            with gzip.open(path) as file:
                start = file.read(LOOKED_AT)
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise unreadable(path, error) from error
    if start.startswith(b"MTZ "):
        return MTZ
    if is_list(start.removeprefix(BYTE_ORDER_MARK)):
        return LIST
    for line in start.removeprefix(BYTE_ORDER_MARK).splitlines():
        if line.strip() and not line.lstrip().startswith(b"#"):
            return CIF if line.lstrip()[:5].lower() == b"data_" else TEXT
    return TEXT


def _by_energy(
    request: Request, reflections: Reflections, parts: np.ndarray, curves: Sequence[AnomalousCurve]
) -> Table:
    from tilesim.reflections.merged import expand_parts

    plain = _table(request, reflections)
    factors, model = plain.factors, request.model
    if model is None or plain.known is None:
        raise AssertionError("structure factors by energy are those of a model")
    whole = expand_parts(reflections, parts, factors, plain.known)
    place = (factors.minimum, factors.default, factors.reflections, factors.source)
    return replace(plain, factors=AnomalousFactors(whole, curves, model.wavelength * 1e-10, *place))


def _symmetric(request: Request) -> Table:
    """Lines of h k l F that are an asymmetric unit."""
    indices, values = read_rows(request.path)
    return _filled(request, indices, values, str(request.symmetry), "--symmetry", "amplitudes", ())


def _listed(request: Request) -> Table:
    """A list of CrystFEL's: of an asymmetric unit, or of all that was measured."""
    name, found = printable(request.path), read_list(request.path)
    notes = [f"{name}: intensities: their square roots are taken for structure factors in electrons"]
    negative = int((found.intensities < 0).sum())
    if negative:
        notes.append(f"{name}: {negative} negative intensities are taken for 0")
    if found.unmeasured:
        notes.append(f"{name}: {found.unmeasured} reflections without a number for I are left out")
    group, where = request.symmetry or found.symmetry or "1", f"{name}: its symmetry"
    if request.symmetry is not None:
        where = "--symmetry"
        if found.symmetry not in (None, UNKNOWN, group):
            notes.append(f"{name} is merged in {found.symmetry}; --symmetry {group} is taken")
    elif group == UNKNOWN:
        raise InputError(f"{name}: its symmetry is unknown; expected --symmetry with the point group it is merged in")
    values = np.sqrt(np.maximum(found.intensities, 0.0))
    return _filled(request, found.indices, values, group, where, "intensities", notes)


def _filled(
    request: Request,
    indices: np.ndarray,
    values: np.ndarray,
    group: str,
    where: str,
    what: str,
    notes: Sequence[str],
) -> Table:
    """The table of reflections and all that are equivalent to them; Friedel mates where the group has them."""
    from tilesim.reflections.pointgroups import filled, lone_mates, rotations_of

    grid, known = filled(indices, values, rotations_of(group, where), request.default, request.path)
    grid.setflags(write=False)
    alone = lone_mates(known)
    if alone:
        notes = (
            *notes,
            f"{printable(request.path)}: {alone} reflections have no Friedel mate in point group {group}; mates hold "
            f"-default_F, {request.default:g}",
        )
    h, k, l = (-(n // 2) for n in grid.shape)
    count = int(known.sum())
    factors = StructureFactors(grid, (h, k, l), request.default, reflections=count, source=request.path)
    lines = (f"reading {request.path}: {what}", f"{len(indices)} reflections of point group {group}, {count} in P1")
    return Table(factors, known=known, lines=lines, notes=tuple(notes))


def _table(request: Request, reflections: Reflections) -> Table:
    from tilesim.reflections.merged import expand

    factors, known = expand(reflections, request.default)
    origin = tuple(-x for x in factors.minimum)
    cell = tuple(reflections.cell.parameters)
    lines = [
        f"reading {request.path}: {reflections.what}",
        f"{len(reflections.indices)} reflections of space group {reflections.spacegroup.xhm()},"
        f" {factors.reflections} in P1; cell {' '.join(f'{x:g}' for x in cell)}",
        f"F000 = {factors.grid[origin]:g}{'' if known[origin] else ', not listed'}",
    ]
    return Table(factors, False, cell, known, tuple(lines), reflections.notes)
