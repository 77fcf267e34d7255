"""Structure factors from any kind of file: h k l F, MTZ and structure-factor CIF by their content, a model."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tilesim.errors import InputError
from tilesim.files.reading import BYTE_ORDER_MARK, GZIP, printable, unreadable
from tilesim.model.anomalous import AnomalousCurve, AnomalousFactors
from tilesim.model.factors import StructureFactors
from tilesim.reflections.hkl import read_hkl

if TYPE_CHECKING:
    from tilesim.reflections.atoms import Model
    from tilesim.reflections.merged import Reflections

LOOKED_AT = 2**16
"""Bytes at the start of a file that show its kind."""
MTZ, CIF, TEXT = "an MTZ file", "a CIF", "text"


@dataclass(frozen=True)
class Request:
    """Which structure factors; equal requests are answered alike, so that they can be remembered."""

    path: str
    default: float = 0.0
    """Amplitude of all that the file does not say."""
    strict: bool = False
    """Read as the reference does."""
    column: str | None = None
    model: Model | None = None
    """Where `path` is a file of coordinates."""


@dataclass(frozen=True, eq=False)
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
    if kind == TEXT:
        if request.column is not None:
            raise InputError(f"{name} is neither MTZ nor CIF; expected --column with one of these only")
        factors, differs = read_hkl(request.path, request.default, strict=request.strict)
        return Table(factors, differs)
    if request.strict:
        raise InputError(f"{name} is {kind}; expected lines of h k l F with --strict-c, for nanoBragg reads no other")
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
            with gzip.open(path) as file:
                start = file.read(LOOKED_AT)
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise unreadable(path, error) from error
    if start.startswith(b"MTZ "):
        return MTZ
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
