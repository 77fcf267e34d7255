"""Structure factors of a command line: from -hkl, a model, the cache, or -default_F."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from pathlib import Path

from tilesim.errors import InputError
from tilesim.model import StructureFactors
from tilesim.nanobragg.cell import Cell
from tilesim.nanobragg.options import FINEST, Options
from tilesim.nanobragg.settings import RTD, Settings
from tilesim.nanobragg.setup import FactorsFrom
from tilesim.reflections.fdump import read_fdump
from tilesim.reflections.fpfdp import files_by_element
from tilesim.reflections.tables import Request, Table

ReadTable = Callable[[Request], Table]
"""`read_factors`, or a form of it that remembers."""

CELL_TOLERANCE = 0.01
"""Relative tolerance of lengths, and of angles in units of 90 degrees."""


def read_structure_factors(
    settings: Settings,
    options: Options,
    strict_c: bool,
    finest: Callable[[], float],
    read_table: ReadTable,
    wavelengths: Collection[float] = (),
) -> tuple[Table, FactorsFrom]:
    """The table and where it came from (spec files 1, 3). Raises InputError.

    finest       the smallest d-spacing on the detector in metres, to which a model is computed unless a limit is given
    wavelengths  metres, of all sources: where there are several, f' and f'' of a model follow them
    """
    default = settings.default_f
    if options.model is not None:
        if settings.hkl_file is not None:
            raise InputError("-hkl and --model exclude each other; expected one of them")
        return read_table(_model_request(settings, options, finest, wavelengths)), FactorsFrom.OTHER
    if options.hkl_by_energy is not None:
        if settings.hkl_file is not None:
            raise InputError("-hkl and --hkl-by-energy exclude each other; expected one of them")
        from tilesim.reflections.byenergy import tables_by_energy

        listed = Request(options.hkl_by_energy, default, symmetry=options.symmetry)
        return tables_by_energy(listed, wavelengths or (settings.wavelength,), read_table), FactorsFrom.OTHER
    if settings.hkl_file is not None:
        table = read_table(Request(settings.hkl_file, default, strict_c, options.column, options.symmetry))
        return table, FactorsFrom.OTHER if table.lines else FactorsFrom.HKL
    if options.column is not None:
        raise InputError("--column goes with -hkl; expected -hkl FILE")
    if options.symmetry is not None:
        raise InputError("--symmetry goes with -hkl; expected -hkl FILE")
    cache = Path(settings.dump_file)
    # K13: the reference reads the cache even where -default_F is given.
    if cache.is_file() and (strict_c or default == 0.0):
        return Table(read_fdump(cache, default)), FactorsFrom.DUMP
    if default == 0.0:
        raise InputError(
            f"no structure factors; expected -hkl FILE, --model FILE, -default_F or a cache {settings.dump_file}"
        )
    return Table(StructureFactors.constant(default)), FactorsFrom.DEFAULT


def cell_of(table: Table) -> list[float]:
    """The cell of a file as -cell gives it: angstrom, radians."""
    return [*table.cell[:3], *(x / RTD for x in table.cell[3:])]


def cell_warnings(table: Table, cell: Cell, source: str) -> list[str]:
    """One line where the cell of the run is not that of its structure factors."""
    if table.cell is None:
        return []
    used = (*cell.lengths, *(x * RTD for x in cell.angles))
    apart = [
        abs(a - b) > CELL_TOLERANCE * (b if axis < 3 else 90.0)
        for axis, (a, b) in enumerate(zip(used, table.cell, strict=True))
    ]
    if not any(apart):
        return []
    shown = (" ".join(f"{x:.6g}" for x in numbers) for numbers in (used, table.cell))
    return [f"the unit cell is {next(shown)} but {source} has {next(shown)}"]


def _model_request(
    settings: Settings, options: Options, finest: Callable[[], float], wavelengths: Collection[float]
) -> Request:
    from tilesim.reflections.atoms import Model

    d_min = options.dmin or (settings.dmin or finest()) * 1e10
    if not FINEST <= d_min < math.inf:
        raise InputError(f"the detector sees down to {d_min:.3g} A; expected --dmin with --model")
    solvent = {"k_sol": options.k_sol, "b_sol": options.b_sol}
    given = {name: value for name, value in solvent.items() if value is not None}
    several = tuple(sorted(set(wavelengths))) if len(set(wavelengths)) > 1 else ()
    curves = files_by_element(options.fp_fdp) if options.fp_fdp is not None else ()
    model = Model(options.model, d_min, settings.wavelength * 1e10, **given, wavelengths=several, fp_fdp=curves)
    return Request(options.model, settings.default_f, model=model)
