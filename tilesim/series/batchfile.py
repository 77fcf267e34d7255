"""The batch file: experiments as a list, a grid, or both, read from TOML into nanoBragg command lines."""

from __future__ import annotations

import itertools
import math
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from tilesim.errors import InputError
from tilesim.files.outputs import Outputs
from tilesim.files.reading import printable, read_text
from tilesim.files.structured import parse_toml, shown_value

KEYS = {
    "float_file": "floatfile",
    "int_file": "intfile",
    "noise_file": "noisefile",
    "pgm_file": "pgmfile",
    "preview": "preview",
}
"""Fields of `Outputs`, and the key of each, whose value is a template of file names."""
FILES = tuple(KEYS.values())
TOP = ("flags", "zarr", *FILES, "frames", "frame_osc", "grid", "experiment")
LONGEST = 400
"""Characters of a message, which may hold the names of keys."""
MOST_FRAMES = 100_000
"""Frames of one job."""
OPTIONS = {
    **{"symmetry": "symmetry", "cell_file": "cell_file", "stream": "stream"},
    **{"model": "model", "model_dmin": "dmin", "k_sol": "k_sol", "b_sol": "b_sol", "column": "column"},
    **{name: name for name in ("background", "background_thickness", "background_density", "background_mw")},
    **{"geometry": "geometry", "detector": "detector", "geometry_experiment": "experiment"},
}
"""Keys that are no flags of nanoBragg's, and the field of `nanobragg.options.Options` that they set."""
EXPERIMENT = ("name", "flags", "frames", "frame_osc")
MISTAKES = {"float_file": "floatfile", "int_file": "intfile", "experiments": "experiment", "frame-osc": "frame_osc"}
"""Keys that somebody may mean; any other key is a flag of nanoBragg's."""


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Batch:
    """A batch file."""

    path: str
    entries: tuple[BatchEntry, ...]
    outputs: Outputs
    zarr: str | None = None


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
    grid = _table("grid", plain.get("grid", {}))
    for key, values in grid.items():
        _check_flag(f"grid.{key}", key, ("frames", "frame_osc", "flags", "name", "zarr", *FILES))
        if not isinstance(values, list) or not values:
            raise InputError(f"grid.{key} is {shown_value(values)}; expected a list of the values to take")
    listed = plain.get("experiment", [{}])
    if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
        raise InputError("experiment: expected one or more tables [[experiment]]")
    names: dict[str, Any] = {field: _named(key, plain[key]) for field, key in KEYS.items() if key in plain}
    outputs = Outputs(**names)
    zarr = _named("zarr", plain["zarr"]) if "zarr" in plain else None
    common = [*_split("flags", plain.get("flags", "")), *_common_flags(plain)]
    entries = tuple(
        entry
        for number, one in enumerate(listed, 1)
        for entry in _entries(f"experiment {number}", common, one, grid, plain)
    )
    called = [one["name"] for one in listed if one.get("name")]
    if len(set(called)) < len(called):
        twice = next(name for name in called if called.count(name) > 1)
        raise InputError(f"two experiments have the name {shown_value(twice)}; expected names of their own")
    return Batch(path, entries, outputs, zarr)


def _common_flags(plain: dict[str, Any]) -> Iterator[str]:
    for key, value in plain.items():
        if key not in TOP:
            _check_flag(key, key, ("name",))
            yield from _flags(key, key, value)


def _entries(
    where: str, common: list[str], one: dict[str, Any], grid: dict[str, Any], plain: dict[str, Any]
) -> Iterator[BatchEntry]:
    """An experiment of the list at every point of the grid; the last key of the grid varies fastest."""
    own = {key: value for key, value in one.items() if key not in EXPERIMENT}
    for key, value in own.items():
        _check_flag(f"{where}, {key}", key, ("zarr", "grid", *FILES))
        _flags(f"{where}, {key}", key, value)
    frames = one.get("frames", plain.get("frames", 1))
    if not isinstance(frames, int) or isinstance(frames, bool) or frames < 1:
        raise InputError(f"{where}, frames is {shown_value(frames)}; expected a whole number, at least 1")
    advance = one.get("frame_osc", plain.get("frame_osc"))
    if advance is not None and not _is_number(advance):
        raise InputError(f"{where}, frame_osc is {shown_value(advance)}; expected degrees")
    name = _text(f"{where}, name", one["name"]) if "name" in one else ""
    if any(mark in name for mark in ("/", "\0", "\n")):
        raise InputError(f"{where}, name is {shown_value(name)}; expected no path, for it becomes a part of file names")
    text = _split(f"{where}, flags", one.get("flags", ""))
    check_count(where, frames * math.prod(map(len, grid.values())))
    for values in itertools.product(*grid.values()):
        point = dict(zip(grid, values, strict=True))
        here = own | point
        flags = [token for key, value in here.items() for token in _flags(f"{where}, {key}", key, value)]
        parameters = {key: _parameter(value) for key, value in here.items()}
        arguments = (*common, *text, *flags)
        options = (_options(here), _options(plain))
        yield BatchEntry(arguments, name, parameters, frames, advance and float(advance), *options)


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
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InputError(f"{where} is {shown_value(value)}; expected one text or number")
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
