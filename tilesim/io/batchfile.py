"""The batch file: experiments as a list, a grid, or both, read from TOML into nanoBragg command lines."""

from __future__ import annotations

import itertools
import math
import os
import re
import shlex
import string
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from tilesim.errors import InputError
from tilesim.io.reading import printable, unreadable

FILES = ("floatfile", "intfile", "noisefile", "pgmfile", "preview")
"""Keys that are templates of file names."""
TOP = ("flags", "zarr", *FILES, "frames", "frame_osc", "grid", "experiment")
SPECS = {"frame": r"0?\d{0,2}d?", "name": ""}
"""Of the fields of a template, and the formats that they may have."""
NOTHING = "(?!)"
MOST_FRAMES = 100_000
"""Of one job: each is an experiment of its own, in memory here and on every worker."""
WORDS = {
    **{"model": "--model", "model_dmin": "--dmin", "k_sol": "--k-sol", "b_sol": "--b-sol", "column": "--column"},
    **{"background": "--background", "background_thickness": "--background-thickness"},
    **{"background_density": "--background-density", "background_mw": "--background-mw"},
}
"""Keys that are no flags of nanoBragg's, and the words that they stand for."""
EXPERIMENT = ("name", "flags", "frames", "frame_osc")
MISTAKES = {"float_file": "floatfile", "int_file": "intfile", "experiments": "experiment", "frame-osc": "frame_osc"}
"""Keys that somebody may mean; any other key is a flag of nanoBragg's."""


@dataclass(frozen=True)
class BatchEntry:
    """One experiment, or a series of it."""

    arguments: tuple[str, ...]
    """nanoBragg's words."""
    name: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """What it sets beyond the flags of all, by flag: numbers, texts, or tuples of them."""
    frames: int = 1
    frame_osc: float | None = None
    """Degrees from frame to frame; None: the oscillation that the flags say."""


@dataclass(frozen=True)
class Batch:
    """A batch file."""

    path: str
    entries: tuple[BatchEntry, ...]
    zarr: str | None = None
    floatfile: str | None = None
    intfile: str | None = None
    noisefile: str | None = None
    pgmfile: str | None = None
    preview: str | None = None


def read_batch(path: str | os.PathLike[str]) -> Batch:
    """The experiments of a TOML file (docs/batch.md). Raises InputError, naming the file, and the line or the key."""
    shown = printable(path)
    try:
        with open(path, "rb") as file:
            plain = tomllib.load(file)
    except (OSError, ValueError) as error:
        if isinstance(error, tomllib.TOMLDecodeError | UnicodeDecodeError):
            raise InputError(f"{shown}: expected TOML; {error}") from None
        raise unreadable(path, error) from error
    try:
        return _batch(os.fspath(path), plain)
    except InputError as error:
        raise InputError(f"{shown}: {error}") from None


def check_template(option: str, template: str, frames: int) -> None:
    """Raise InputError unless a file name tells `frames` frames apart where there is more than one."""
    try:
        parts = string.Formatter().parse(template)
        fields = [(name, spec or "", conversion) for _, name, spec, conversion in parts if name is not None]
        for name, spec, conversion in fields:
            if conversion or not re.fullmatch(SPECS.get(name, NOTHING), spec):
                raise ValueError("found " + ":".join(filter(None, (name, spec, conversion))))
        names = {fill_name(template, frame) for frame in range(min(frames, 2))} if fields else {template}
    except (ValueError, KeyError, IndexError, AttributeError) as error:
        raise InputError(
            f"{option} {printable(template)}: expected {{frame}} or {{name}} in braces only ({error})"
        ) from None
    if frames > 1 and len(names) == 1 and not template.startswith("/dev/"):
        stem, suffix = os.path.splitext(template)
        raise InputError(
            f"{option} {template} is one file for {frames} frames; expected a name with {{frame}}, such as "
            f"{stem}_{{frame:05d}}{suffix}"
        )


def check_count(where: str, frames: int) -> None:
    """Raise InputError where a job has too many frames."""
    if frames > MOST_FRAMES:
        raise InputError(
            f"{where}: {frames} frames; expected at most {MOST_FRAMES} in one job, a longer series in parts"
        )


def fill_name(template: str, frame: int, name: str = "") -> str:
    """A file name with {frame} and {name} filled in."""
    return template.format(frame=frame, name=name)


def _batch(path: str, plain: dict[str, Any]) -> Batch:
    grid = _table("grid", plain.get("grid", {}))
    for key, values in grid.items():
        _check_flag(f"grid.{key}", key, ("frames", "frame_osc", "flags", "name", "zarr", *FILES))
        if not isinstance(values, list) or not values:
            raise InputError(f"grid.{key} is {values!r}; expected a list of the values to take")
    listed = plain.get("experiment", [{}])
    if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
        raise InputError("experiment: expected one or more tables [[experiment]]")
    outputs = {key: _text(key, plain[key]) for key in ("zarr", *FILES) if key in plain}
    common = [*_split("flags", plain.get("flags", "")), *_common_words(plain)]
    entries = tuple(
        entry
        for number, one in enumerate(listed, 1)
        for entry in _entries(f"experiment {number}", common, one, grid, plain)
    )
    names = [one["name"] for one in listed if one.get("name")]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"two experiments have the name {twice!r}; expected names of their own")
    return Batch(path, entries, **outputs)


def _common_words(plain: dict[str, Any]) -> Iterator[str]:
    for key, value in plain.items():
        if key not in TOP:
            _check_flag(key, key, ("name",))
            yield from _words(key, key, value)


def _entries(
    where: str, common: list[str], one: dict[str, Any], grid: dict[str, Any], plain: dict[str, Any]
) -> Iterator[BatchEntry]:
    """An experiment of the list at every point of the grid; the last key of the grid varies fastest."""
    own = {key: value for key, value in one.items() if key not in EXPERIMENT}
    for key, value in own.items():
        _check_flag(f"{where}, {key}", key, ("zarr", "grid", *FILES))
        _words(f"{where}, {key}", key, value)
    frames = one.get("frames", plain.get("frames", 1))
    if not isinstance(frames, int) or isinstance(frames, bool) or frames < 1:
        raise InputError(f"{where}, frames is {frames!r}; expected a whole number, at least 1")
    advance = one.get("frame_osc", plain.get("frame_osc"))
    if advance is not None and not _is_number(advance):
        raise InputError(f"{where}, frame_osc is {advance!r}; expected degrees")
    name = _text(f"{where}, name", one["name"]) if "name" in one else ""
    if any(mark in name for mark in ("/", "\0", "\n")):
        raise InputError(f"{where}, name is {name!r}; expected no path, for it becomes a part of file names")
    text = _split(f"{where}, flags", one.get("flags", ""))
    check_count(where, frames * math.prod(map(len, grid.values())))
    for values in itertools.product(*grid.values()):
        point = dict(zip(grid, values, strict=True))
        words = [w for key, value in (own | point).items() for w in _words(f"{where}, {key}", key, value)]
        parameters = {key: _parameter(value) for key, value in (own | point).items()}
        yield BatchEntry((*common, *text, *words), name, parameters, frames, advance and float(advance))


def _check_flag(where: str, key: str, forbidden: tuple[str, ...]) -> None:
    """Raise InputError where a key is not the name of a flag."""
    if key.startswith("-"):
        raise InputError(f"{where}: expected the flag without its dash, {key.lstrip('-')}")
    if key in forbidden:
        raise InputError(f"{where} does not belong there; expected it at the top of the file")
    near = MISTAKES.get(key) or next(iter(get_close_matches(key, (*TOP, *EXPERIMENT, *WORDS), 1, 0.85)), None)
    if near and key not in (*TOP, *WORDS):
        raise InputError(f"{where}: no such key; did you mean {near}?")


def _words(where: str, flag: str, value: Any) -> list[str]:
    """A flag and its values as a shell would pass them; a flag that is false is left out."""
    if flag in WORDS and isinstance(value, bool | list):
        raise InputError(f"{where} is {value!r}; expected one text or number")
    if isinstance(value, bool):
        return [f"-{flag}"] if value else []
    values = value if isinstance(value, list) else [value]
    for one in values:
        if not (isinstance(one, str) or (_is_number(one) and one == one)):  # NaN is no value
            raise InputError(f"{where} holds {one!r}; expected numbers, texts, or a list of them")
    return [WORDS.get(flag, f"-{flag}"), *map(str, values)]


def _parameter(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _split(where: str, text: Any) -> list[str]:
    try:
        return shlex.split(_text(where, text))
    except ValueError as error:
        raise InputError(f"{where} cannot be split into words: {error}") from None


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"{where} is {value!r}; expected text in quotes")
    return value


def _table(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{where} is {value!r}; expected a table [{where}]")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
