"""The table [draw] of a batch file: what is drawn for every shot, read into distributions in SI units."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.files.reading import printable, read_text
from tilesim.files.structured import shown_value
from tilesim.geometry.axes import facing_frame
from tilesim.instruments.expt import expt_crystals
from tilesim.model import Crystal, Experiment, Series
from tilesim.model.distribution import Distribution
from tilesim.series.draws import draw

DEGREE, PIXEL = math.radians(1.0), math.nan
UNITS = {
    "orientation": ("orientation", DEGREE),
    "cell": ("cell", 1e-10),
    "cell_angles": ("cell_angles", DEGREE),
    "N": ("cells", 1.0),
    "size": ("size", 1e-9),
    "mosaic_spread": ("mosaic_spread", DEGREE),
    "wavelength": ("wavelength", 1e-10),
    "energy": ("energy", 1.0),
    "fluence": ("fluence", 1.0),
    "distance": ("distance", 1e-3),
    "beam_centre": ("beam_shift", PIXEL),
    "lattices": ("lattices", 1.0),
    "lattice_orientation": ("lattice_orientation", DEGREE),
    "lattice_share": ("lattice_share", 1.0),
    "blank": ("blank", 1.0),
}
"""Keys of the table, the draw that each stands for, and its unit: degree, angstrom, nm, eV, mm, pixel."""
SEVERAL = {"cell": 3, "cell_angles": 3, "beam_centre": 2}
"""Keys that may be a list with a distribution for each component."""
MATRIX = 9
"""Columns of an orientation, U row by row."""


@dataclass(frozen=True)
class OrientationsOf:
    """Orientations of the crystals in a file of DIALS."""

    path: str


@dataclass(frozen=True)
class DrawTable:
    """What a batch file says of the shots of an experiment."""

    seed: int = 1
    draws: Mapping[str, Any] = field(default_factory=dict)
    """By key of the table: "uniform", a number, distributions in the unit of the key, matrices, OrientationsOf"""
    files: tuple[str, ...] = ()
    """What is read"""

    def series(self, base: Experiment, first: int, shots: int) -> Series:
        """The shots of an experiment, numbered from `first`. Raises InputError."""
        given = {UNITS[key][0]: self._in_metres(key, value, base) for key, value in self.draws.items()}
        try:
            return draw(base, shots, seed=self.seed, numbers=range(first, first + shots), **given)
        except InputError as error:
            raise InputError(f"draw: {error}") from None

    def _in_metres(self, key: str, value: Any, base: Experiment) -> Any:
        if isinstance(value, list):
            return [self._in_metres(key, one, base) for one in value]
        if isinstance(value, OrientationsOf):
            return orientations_of(value.path, base)
        unit = UNITS[key][1]
        unit = base.detector.panels[0].pixel_size if math.isnan(unit) else unit
        return value.scaled(unit) if isinstance(value, Distribution) else value


def read_draws(where: str, plain: Mapping[str, Any]) -> DrawTable:
    """The table of some plain values. Raises InputError, naming the key."""
    seed = plain.get("seed", 1)
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise InputError(f"{where}.seed is {shown_value(seed)}; expected a whole number")
    files: dict[str, None] = {}
    draws = {}
    _table.cache_clear()  # read once for all columns, but again where it is asked for again
    for key, value in plain.items():
        if key == "seed":
            continue
        if key not in UNITS:
            raise InputError(f"{where}.{key}: no such draw; expected seed, {', '.join(UNITS)}")
        draws[key] = _draw(f"{where}.{key}", key, value, files)
    if not draws:
        raise InputError(f"{where} is empty; expected what varies from shot to shot, such as orientation")
    return DrawTable(seed, draws, tuple(files))


def _draw(where: str, key: str, value: Any, files: dict[str, None]) -> Any:
    if isinstance(value, list):
        if len(value) != SEVERAL.get(key):
            count = SEVERAL.get(key)
            expected = f"a distribution, or a list of {count}" if count else "a distribution"
            raise InputError(f"{where} is a list of {len(value)}; expected {expected}")
        return [_draw(f"{where}[{n}]", key, one, files) for n, one in enumerate(value)]
    if key in ("orientation", "lattice_orientation") and value == "uniform":
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if key == "blank" else Distribution("constant", mean=value)
    if not isinstance(value, dict):
        raise InputError(f"{where} is {shown_value(value)}; expected a number or {{ distribution = ..., ... }}")
    for source in ("csv", "expt"):
        if source in value:
            files[str(value[source])] = None
    try:
        if "csv" in value:
            return _listed(key, value)
        if "expt" in value and key == "orientation" and len(value) == 1:
            return OrientationsOf(str(value["expt"]))
        return _distribution(value)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _distribution(value: dict[str, Any]) -> Distribution:
    fields = {name: one for name, one in value.items() if name != "distribution"}
    known = ("mean", "sd", "low", "high", "median", "sigma", "values", "weights", "relative")
    if "distribution" not in value:
        raise InputError(f"it is {shown_value(value)}; expected a distribution by its name, or csv")
    if unknown := [name for name in fields if name not in known]:
        raise InputError(f"no parameter {unknown[0][:40]}; expected one of {', '.join(known)}")
    for name in ("values", "weights"):
        if not isinstance(fields.get(name, []), list):
            raise InputError(f"{name} is {shown_value(fields[name])}; expected a list of numbers")
    return Distribution(value["distribution"], **fields)


def _listed(key: str, value: dict[str, Any]) -> Any:
    """The values of a column of a CSV file, or the matrices of nine of them, one for each shot in order."""
    count = MATRIX if key == "orientation" else 1
    name = "columns" if key == "orientation" else "column"
    if unknown := [other for other in value if other not in ("csv", name, "relative")]:
        raise InputError(f"csv with {unknown[0][:40]}; expected csv and {name}")
    columns = value.get(name) if count > 1 else [value.get(name)]
    if not isinstance(columns, list) or len(columns) != count or not all(isinstance(one, str) for one in columns):
        raise InputError(f"{name} is {shown_value(value.get(name))}; expected the names of {count} in its first line")
    numbers = [read_csv_column(str(value["csv"]), column) for column in columns]
    if count == 1:
        return Distribution("listed", values=numbers[0], relative=value.get("relative", False))
    return np.array(numbers).T


def read_csv_column(path: str, column: str) -> tuple[float, ...]:
    """A column of finite numbers, by its name in the first line of a CSV file. Raises InputError."""
    header, rows = _table(path)
    if column not in header:
        raise InputError(f"{printable(path)} has no column {column[:40]!r}; its columns are {', '.join(header)[:200]}")
    place, values = header.index(column), []
    for number, row in rows:
        try:
            values.append(float(row[place]))
            if not math.isfinite(values[-1]):
                raise ValueError
        except (ValueError, IndexError):
            found = row[place][:40] if place < len(row) else "nothing"
            raise InputError(
                f"{printable(path)} line {number}, column {column[:40]}: expected a number, found {found}"
            ) from None
    return tuple(values)


@lru_cache(8)
def _table(path: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    try:
        lines = csv.reader(io.StringIO(read_text(path).decode()), skipinitialspace=True)
        rows = [(lines.line_num, row) for row in lines if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{printable(path)}: expected CSV in UTF-8 ({str(error)[:80]})") from None
    if len(rows) < 2:
        raise InputError(f"{printable(path)}: expected a line of names and lines of numbers")
    return [name.strip() for name in rows[0][1]], rows[1:]


def orientations_of(path: str, base: Experiment) -> np.ndarray:
    """U (n, 3, 3) of the crystals of a DIALS file in the laboratory frame of `base`. Raises InputError.

    Both frames are known by the incident beam and the fast axis of the first panel.
    """
    beam, panel, cells = expt_crystals(read_text(path), printable(path))
    there = facing_frame(beam, panel.fast)
    here = facing_frame(base.beam.direction, base.detector.panels[0].fast)
    return np.array([here.T @ there @ Crystal(*(cell.tolist())).orientation for cell in cells])
