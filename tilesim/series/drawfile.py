"""The table [draw] of a batch file: what is drawn for every shot, read into distributions in SI units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from tilesim.errors import InputError
from tilesim.files.csvtable import csv_table, read_csv_column
from tilesim.files.structured import shown_value
from tilesim.frozen import frozen
from tilesim.model import Experiment, Series
from tilesim.model.distribution import Distribution
from tilesim.series.draws import ORDERS, draw
from tilesim.series.orientations import FORMS, OrientationFile

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


@frozen
class DrawTable:
    """What a batch file says of the shots of an experiment."""

    seed: int = 1
    draws: Mapping[str, Any] = field(default_factory=dict)
    """By key of the table: "uniform", a number, distributions in the unit of the key, an OrientationFile"""
    files: tuple[str, ...] = ()
    """What is read"""

    def series(self, base: Experiment, first: int, shots: int) -> Series:
        """The shots of an experiment, numbered from `first`. Raises InputError."""
        given = {UNITS[key][0]: self._in_metres(key, value, base) for key, value in self.draws.items()}
        if isinstance(source := self.draws.get("orientation"), OrientationFile):
            given["orientation_order"] = source.order
        try:
            return draw(base, shots, seed=self.seed, numbers=range(first, first + shots), **given)
        except InputError as error:
            raise InputError(f"draw: {error}") from None

    def _in_metres(self, key: str, value: Any, base: Experiment) -> Any:
        if isinstance(value, list):
            return [self._in_metres(key, one, base) for one in value]
        if isinstance(value, OrientationFile):
            return value.matrices(base)
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
    csv_table.cache_clear()  # read once for all columns, but again where it is asked for again
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
    for source in ("csv", "expt", "stream"):
        if isinstance(value.get(source), str):
            files[value[source]] = None
    try:
        if key == "orientation" and value.keys() & {"csv", "expt", "stream"}:
            return _orientations(value)
        if "csv" in value:
            return _listed(value)
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


def _listed(value: dict[str, Any]) -> Distribution:
    """The values of a column of a CSV file, one for each shot in order."""
    if unknown := [other for other in value if other not in ("csv", "column", "relative")]:
        raise InputError(f"csv with {unknown[0][:40]}; expected csv and column")
    values = read_csv_column(_text(value, "csv"), _text(value, "column"))
    return Distribution("listed", values=values, relative=value.get("relative", False))


def _orientations(value: dict[str, Any]) -> OrientationFile:
    """Orientations of a file, and which of them a shot has."""
    sources = [name for name in ("csv", "expt", "stream") if name in value]
    forms = [name for name in FORMS if name in value]
    if unknown := [name for name in value if name not in (*sources, *FORMS, "order")]:
        raise InputError(f"no parameter {unknown[0][:40]}; expected csv, expt or stream, and order")
    if len(sources) != 1 or len(forms) != (sources == ["csv"]):
        raise InputError(f"it is {shown_value(value)}; expected expt, stream, or csv with one of {', '.join(FORMS)}")
    order = value.get("order", ORDERS[0])
    if order not in ORDERS:
        raise InputError(f"order is {shown_value(order)}; expected one of {', '.join(ORDERS)}")
    names: tuple[str, ...] = ()
    for form in forms:
        given = value[form]
        if not isinstance(given, list) or len(given) != FORMS[form] or not all(isinstance(one, str) for one in given):
            raise InputError(f"{form} is {shown_value(given)}; expected the names of {FORMS[form]} in its first line")
        names = tuple(given)
    return OrientationFile(sources[0], _text(value, sources[0]), order, "".join(forms), names)


def _text(value: dict[str, Any], key: str) -> str:
    if not isinstance(value.get(key), str):
        raise InputError(f"{key} is {shown_value(value.get(key))}; expected text in quotes")
    return str(value[key])
