"""Structure factors of a command line: the words for them that nanoBragg does not know, and the table they mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from tilesim.errors import InputError
from tilesim.formats.factors import Request, Table
from tilesim.io.fdump import read_fdump
from tilesim.model import StructureFactors
from tilesim.nanobragg.cell import Cell
from tilesim.nanobragg.settings import RTD, Settings
from tilesim.nanobragg.setup import FactorsFrom
from tilesim.nanobragg.words import number_of, split_words, text_of

ReadTable = Callable[[Request], Table]
"""`read_factors`, or a form of it that remembers."""

FINEST = 0.1
"""Angstrom; nobody computes structure factors of a model to less."""
CELL_TOLERANCE = 0.01
"""Of lengths, and of angles in units of 90 degrees."""


@dataclass(frozen=True)
class FactorWords:
    """What these words say; None where they are missing."""

    column: str | None = None
    model: str | None = None
    dmin: float | None = None
    """Angstrom."""
    k_sol: float | None = None
    """Electrons per cubic angstrom."""
    b_sol: float | None = None
    """Angstrom^2."""

    @property
    def given(self) -> tuple[str, ...]:
        """The words that are there."""
        return tuple(word for word, field in WORDS.items() if getattr(self, field) is not None)


NO_WORDS = FactorWords()
WORDS = {"--column": "column", "--model": "model", "--dmin": "dmin", "--k-sol": "k_sol", "--b-sol": "b_sol"}
"""Each takes one value, as the next argument or after an equals sign."""
_LIMITS = {
    "--dmin": (f"a number of {FINEST:g} or more [angstrom]", lambda x: x >= FINEST),
    "--k-sol": ("a number of 0 or more [electrons per cubic angstrom]", lambda x: x >= 0),
    "--b-sol": ("a number of 0 or more [square angstrom]", lambda x: x >= 0),
}


def take_words(args: Sequence[str], strict_c: bool) -> tuple[list[str], FactorWords]:
    """The arguments without these words, and what they say. Raises InputError."""
    rest, found = split_words(args, WORDS, strict_c)
    options = FactorWords(**{WORDS[name]: _value(name, text) for name, text in found.items()})
    alone = [word for word in options.given if word not in ("--column", "--model")]
    if options.model is None and alone:
        raise InputError(f"{alone[0]} goes with --model; expected --model FILE")
    if options.model is not None and options.column is not None:
        raise InputError("--column goes with -hkl and an MTZ or CIF file; expected without --model")
    return rest, options


def read_structure_factors(
    settings: Settings, words: FactorWords, strict_c: bool, finest: Callable[[], float], read_table: ReadTable
) -> tuple[Table, FactorsFrom]:
    """The table and where it came from (spec files 1, 3). Raises InputError.

    finest  the smallest d-spacing on the detector in metres, to which a model is computed unless told otherwise
    """
    default = settings.default_f
    if words.model is not None:
        if settings.hkl_file is not None:
            raise InputError("-hkl and --model exclude each other; expected one of them")
        return read_table(_model_request(settings, words, finest)), FactorsFrom.OTHER
    if settings.hkl_file is not None:
        table = read_table(Request(settings.hkl_file, default, strict_c, words.column))
        return table, FactorsFrom.HKL if table.cell is None else FactorsFrom.OTHER
    if words.column is not None:
        raise InputError("--column goes with -hkl; expected -hkl FILE")
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


def _model_request(settings: Settings, words: FactorWords, finest: Callable[[], float]) -> Request:
    from tilesim.formats.model import Model

    d_min = words.dmin or (settings.dmin or finest()) * 1e10
    if not FINEST <= d_min < math.inf:
        raise InputError(f"the detector sees down to {d_min:.3g} A; expected --dmin with --model")
    solvent = {f.name: getattr(words, f.name) for f in fields(words) if f.name in ("k_sol", "b_sol")}
    given = {name: value for name, value in solvent.items() if value is not None}
    model = Model(words.model, d_min, settings.wavelength * 1e10, **given)
    return Request(words.model, settings.default_f, model=model)


def _value(name: str, text: str) -> str | float:
    return number_of(name, text, *_LIMITS[name]) if name in _LIMITS else text_of(name, text)
