"""The batch file: experiments as a list, a grid, or both, read from TOML into nanoBragg command lines."""

from __future__ import annotations

import itertools
import math
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import field
from difflib import get_close_matches
from typing import Any

from tilesim.errors import InputError
from tilesim.files.outputs import Outputs
from tilesim.files.reading import printable, read_text
from tilesim.files.structured import parse_toml, shown_value
from tilesim.frozen import frozen
from tilesim.series.drawfile import DrawTable, read_draws

KEYS = {
    "float_file": "floatfile",
    "int_file": "intfile",
    "noise_file": "noisefile",
    "pgm_file": "pgmfile",
    "preview": "preview",
}
"""Fields of `Outputs`, and the key of each, whose value is a template of file names."""
FILES = tuple(KEYS.values())
TOP = ("flags", "zarr", *FILES, "frames", "frame_osc", "shots", "grid", "zip", "draw", "experiment")
LONGEST = 400
"""Characters of a message, which may hold the names of keys."""
MOST_FRAMES = 100_000
"""Frames of one job."""
OPTIONS = {
    **{"symmetry": "symmetry", "cell_file": "cell_file", "stream": "stream"},
    **{
        "model": "model",
        "model_dmin": "dmin",
        "k_sol": "k_sol",
        "b_sol": "b_sol",
        "column": "column",
        "fp_fdp": "fp_fdp",
        "hkl_by_energy": "hkl_by_energy",
    },
    **{name: name for name in ("background", "background_thickness", "background_density", "background_mw")},
    **{name: name for name in ("crystal_shape", "ncells", "node_height", "domain_sizes")},
    **{name: name for name in ("crystal_size", "lattices")},
    **{f"diffuse_{name}": f"diffuse_{name}" for name in ("gamma", "sigma", "symmetry", "stencil", "frame")},
    **{name: name for name in ("mosaic_matrices", "mosaic_sigma", "mosaic_frame", "mosaic_axes", "spread_seed")},
    **{"geometry": "geometry", "detector": "detector", "geometry_experiment": "experiment"},
    **{name: name for name in ("spectrum", "channels", "channel_width")},
}
"""Keys that are no flags of nanoBragg's, and the field of `nanobragg.options.Options` that they set."""
EXPERIMENT = ("name", "flags", "frames", "frame_osc", "shots", "draw")
MISTAKES = {"float_file": "floatfile", "int_file": "intfile", "experiments": "experiment", "frame-osc": "frame_osc"}
"""Keys that somebody may mean; any other key is a flag of nanoBragg's."""


@frozen
class BatchEntry:
    """One experiment, or a series of it."""

    arguments: tuple[str, ...]
    """nanoBragg's flags."""
    name: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """What it sets beyond the flags of all, by flag: numbers, texts, or tuples of them."""
    frames: int = 1
    frame_osc: float | None = None
    """Degrees from frame to frame; None: the oscillation that the flags say."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What nanoBragg has no flag for, by field."""
    common_options: Mapping[str, Any] = field(default_factory=dict)
    """The same as the file says of all experiments; flags of this one win over it."""
    draws: DrawTable | None = None
    """What is drawn for each of its frames, which are shots."""


@frozen
class Batch:
    """A batch file."""

    path: str
    entries: tuple[BatchEntry, ...]
    outputs: Outputs
    zarr: str | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """Files of values and orientations that are read."""
        return tuple({name: None for entry in self.entries if entry.draws for name in entry.draws.files})


def check_count(where: str, frames: int) -> None:
    """Raise InputError where a job has too many frames."""
    if frames > MOST_FRAMES:
        raise InputError(
            f"{where}: {frames} frames; expected at most {MOST_FRAMES} in one job, a longer series in parts"
        )


def read_batch(path: str | os.PathLike[str]) -> Batch:
    """The experiments of a TOML file (docs/batch.md). Raises InputError, naming the file, and the line or the key."""
    shown = printable(path)
    plain = parse_toml(read_text(path), shown)
    try:
        return _batch(os.fspath(path), plain)
    except InputError as error:
        said = str(error)
        short = said if len(said) <= LONGEST else f"{said[: LONGEST // 2]} ... {said[-LONGEST // 2 :]}"
        raise InputError(f"{shown}: {short}") from None


def _batch(path: str, plain: dict[str, Any]) -> Batch:
    points = _points(plain)
    listed = plain.get("experiment", [{}])
    where = "table {} of the file" if "experiment" in plain else "top of the file"
    if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
        raise InputError("experiment: expected one or more tables [[experiment]]")
    names: dict[str, Any] = {field: _named(key, plain[key]) for field, key in KEYS.items() if key in plain}
    outputs = Outputs(**names)
    zarr = _named("zarr", plain["zarr"]) if "zarr" in plain else None
    common = [*_split("flags", plain.get("flags", "")), *_common_flags(plain)]
    entries = tuple(
        entry
        for number, one in enumerate(listed, 1)
        for entry in _entries(where.format(number), common, one, points, plain)
    )
    called = [one["name"] for one in listed if one.get("name")]
    if len(set(called)) < len(called):
        twice = next(name for name in called if called.count(name) > 1)
        raise InputError(f"two experiments have the name {shown_value(twice)}; expected names of their own")
    return Batch(path, entries, outputs, zarr)


def _points(plain: dict[str, Any]) -> list[dict[str, Any]]:
    """Every combination of the grid with every row of zip, which varies fastest."""
    tables = {name: _table(name, plain.get(name, {})) for name in ("grid", "zip")}
    for name, table in tables.items():
        for key, values in table.items():
            _check_flag(f"{name}.{key}", key, ("frames", "frame_osc", "shots", "draw", "flags", "name", "zarr", *FILES))
            if not isinstance(values, list) or not values:
                raise InputError(f"{name}.{key} is {shown_value(values)}; expected a list of the values to take")
    grid, together = tables.values()
    if both := grid.keys() & together.keys():
        raise InputError(f"grid.{min(both)} and zip.{min(both)}; expected one of them")
    lengths = {key: len(values) for key, values in together.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{key} {count}" for key, count in lengths.items())
        raise InputError(f"zip has lists of {shown} values; expected as many in each")
    check_count("grid and zip", math.prod(map(len, grid.values())) * max(lengths.values(), default=1))
    rows = [dict(zip(together, values, strict=True)) for values in zip(*together.values(), strict=True)] or [{}]
    combined = itertools.product(*grid.values())
    return [dict(zip(grid, values, strict=True)) | row for values in combined for row in rows]


def _common_flags(plain: dict[str, Any]) -> Iterator[str]:
    for key, value in plain.items():
        if key not in TOP:
            _check_flag(key, key, ("name",))
            yield from _flags(key, key, value)


def _entries(
    where: str, common: list[str], one: dict[str, Any], points: list[dict[str, Any]], plain: dict[str, Any]
) -> Iterator[BatchEntry]:
    """An experiment of the list at every point of the grid; the last key of the grid varies fastest."""
    own = {key: value for key, value in one.items() if key not in EXPERIMENT}
    for key, value in own.items():
        _check_flag(f"{where}, {key}", key, ("zarr", "grid", *FILES))
        _flags(f"{where}, {key}", key, value)
    shots, draws = _shots(where, one, plain)
    frames = one.get("frames", plain.get("frames", 1))
    for key, count in (("frames", frames), ("shots", shots)):
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise InputError(f"{where}, {key} is {shown_value(count)}; expected a whole number, at least 1")
    if draws is not None and frames > 1:
        raise InputError(f"{where} has frames and shots; expected one of them")
    frames *= shots
    advance = one.get("frame_osc", plain.get("frame_osc"))
    if advance is not None and not _is_number(advance):
        raise InputError(f"{where}, frame_osc is {shown_value(advance)}; expected degrees")
    name = _text(f"{where}, name", one["name"]) if "name" in one else ""
    if any(mark in name for mark in ("/", "\0", "\n")):
        raise InputError(f"{where}, name is {shown_value(name)}; expected no path, for it becomes a part of file names")
    text = _split(f"{where}, flags", one.get("flags", ""))
    check_count(where, frames * len(points))
    for point in points:
        here = own | point
        flags = [token for key, value in here.items() for token in _flags(f"{where}, {key}", key, value)]
        parameters = {key: _parameter(value) for key, value in here.items()}
        arguments = (*common, *text, *flags)
        options = (_options(here), _options(plain))
        yield BatchEntry(arguments, name, parameters, frames, advance and float(advance), *options, draws)


def _shots(where: str, one: dict[str, Any], plain: dict[str, Any]) -> tuple[Any, DrawTable | None]:
    """Shots of an experiment, 1 where none are drawn, and what is drawn for each; its own draws win."""
    shots = one.get("shots", plain.get("shots"))
    tables = [_table("draw", table["draw"]) for table in (plain, one) if "draw" in table]
    if (shots is None) != (not tables):
        given, gone = ("shots", "a table [draw]") if tables == [] else ("a table [draw]", "shots")
        raise InputError(f"{where} has {given} and no {gone}; expected both, or none")
    if shots is None:
        return 1, None
    return shots, read_draws("draw", {key: value for table in tables for key, value in table.items()})


def _check_flag(where: str, key: str, forbidden: tuple[str, ...]) -> None:
    """Raise InputError where a key is not the name of a flag."""
    if key.startswith("-"):
        raise InputError(f"{where}: expected the flag without its dash, {key.lstrip('-')}")
    if key in forbidden:
        raise InputError(f"{where} does not belong there; expected it at the top of the file")
    near = MISTAKES.get(key) or next(iter(get_close_matches(key, (*TOP, *EXPERIMENT, *OPTIONS), 1, 0.85)), None)
    if near and key not in (*TOP, *OPTIONS):
        raise InputError(f"{where}: no such key; did you mean {near}?")


def _flags(where: str, flag: str, value: Any) -> list[str]:
    """A flag and its values as a shell would pass them; nothing for a flag that is false, or no flag of nanoBragg's."""
    if flag in OPTIONS:
        numbers = isinstance(value, list) and all(map(_is_number, value))
        if isinstance(value, bool) or not (numbers or isinstance(value, str | int | float)):
            raise InputError(f"{where} is {shown_value(value)}; expected one text or number, or a list of numbers")
        return []
    if isinstance(value, bool):
        return [f"-{flag}"] if value else []
    values = value if isinstance(value, list) else [value]
    for one in values:
        if not (isinstance(one, str) or (_is_number(one) and one == one)):  # NaN is no value
            raise InputError(f"{where} holds {shown_value(one)}; expected numbers, texts, or a list of them")
    return [f"-{flag}", *map(str, values)]


def _options(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {OPTIONS[key]: value for key, value in plain.items() if key in OPTIONS}


def _parameter(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _split(where: str, text: Any) -> list[str]:
    try:
        return shlex.split(_text(where, text))
    except ValueError as error:
        raise InputError(f"{where} cannot be split into words: {error}") from None


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"{where} is {shown_value(value)}; expected text in quotes")
    return value


def _named(where: str, value: Any) -> str:
    """The name of an output."""
    if not _text(where, value).strip() or "\0" in value:
        raise InputError(f"{where} is {shown_value(value)}; expected a name")
    return str(value)


def _table(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{where} is {shown_value(value)}; expected a table [{where}]")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
