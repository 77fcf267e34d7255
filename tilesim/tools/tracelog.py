"""Trace logs: lines `TRACE: name value ...`, ours and those of instrumented builds of the reference and its ports."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

from tilesim.errors import InputError
from tilesim.files.reading import printable, quoted, unreadable
from tilesim.frozen import frozen

LONGEST_LINE = 2**16
MOST_VALUES = 2_000_000

LOOPS = ("layer", "subpixel", "source", "grain", "phi_step", "mosaic_domain")
"""Outermost first. A line with one of these names says where in the loops the lines after it belong."""
_LEAVES = {"I_source": "grain", "I_layer": "subpixel", "evaluations": "layer"}
"""Lines that come after a loop, and so are outside it."""

Number = float | int | str
"""Texts such as MOSFLM are values too."""


@frozen
class Traced:
    """One value, vector or matrix by name."""

    name: str
    values: tuple[Number, ...]
    place: tuple[tuple[str, int], ...] = ()
    """Where in the loops, outermost first; of sub-pixels slow and fast are two entries."""
    line: int = 0
    """In the log that it was read from."""
    prefix: str = "TRACE"

    @property
    def text(self) -> str:
        """The line of a log."""
        return f"TRACE: {self.name} {' '.join(map(str, self.values))}"

    @property
    def plain(self) -> dict[str, Any]:
        """For JSON."""
        values = [x if isinstance(x, str) or math.isfinite(x) else str(x) for x in self.values]
        return {"name": self.name, "values": values, **dict(self.place)}


def read_trace(path: str | os.PathLike[str]) -> list[Traced]:
    """Every value of a log in the order of its lines; other lines are skipped.

    A log is the output of a program with lines that begin `TRACE:`, `TRACE_C:`, `TRACE_PY:` or the like, or the JSON of
    `tilesim trace`. Raises InputError, naming file and line, where there are none, or one is cut short.
    """
    try:
        with Path(path).open("rb") as file:
            start = file.read(1)
            file.seek(0)
            found = _from_json(path, file.read()) if start == b"{" else list(_from_lines(path, file))
    except (OSError, ValueError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        raise unreadable(path, error) from error
    if not found:
        raise InputError(f"{printable(path)} holds no TRACE lines; expected a log of `tilesim trace` or the like")
    return found


def _from_json(path: str | os.PathLike[str], data: bytes) -> list[Traced]:
    try:
        return [
            Traced(
                str(entry["name"]),
                tuple(x if isinstance(x, int | float) else _number(str(x)) for x in entry["values"]),
                tuple((name, int(entry[name])) for name in entry if name not in ("name", "values")),
                number,
            )
            for number, entry in enumerate(json.loads(data)["trace"], 1)
        ]
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        raise InputError(
            f"{printable(path)}: expected the JSON of `tilesim trace`, found another or a damaged one"
        ) from None


_PREFIXED = re.compile(rb"(?:^|\s)(TRACE\w*):\s*(.*?)\s*$")


def _from_lines(path: str | os.PathLike[str], file: BinaryIO) -> Iterator[Traced]:
    section: dict[bytes, str] = {}
    place: dict[str, int] = {}
    count = number = 0
    while line := file.readline(LONGEST_LINE):
        number += 1
        if b"\0" in line:
            raise InputError(f"{printable(path)} line {number}: found bytes that are no text; expected a trace log")
        found = _PREFIXED.search(line)
        if not line.endswith(b"\n"):
            if found and len(line) == LONGEST_LINE:
                raise InputError(f"{printable(path)} line {number} is longer than {LONGEST_LINE} bytes")
            if found is None and len(line) == LONGEST_LINE:
                number -= 1
                continue
        if found is None or not found[2]:
            continue
        prefix, text = found[1].decode(), found[2].decode("utf-8", "replace")
        if text.endswith(":"):
            section[found[1]] = text[:-1]
            continue
        pairs = _assigned(text, section.get(found[1], "")) if "=" in text else _spaced(text)
        if not pairs:
            raise InputError(
                f"{printable(path)} line {number}: {quoted(found[2])} has no value; is the line cut short?"
            )
        for name, values in pairs:
            count += 1
            if count > MOST_VALUES:
                raise InputError(f"{printable(path)} holds more than {MOST_VALUES} values; --most limits a trace")
            move(place, name, values)
            yield Traced(name, values, tuple(place.items()), number, prefix)


def move(place: dict[str, int], name: str, values: Sequence[Number]) -> None:
    """Follow the loops from line to line: a step ends what is inside the step before."""
    steps = [x for x in values if isinstance(x, int)]
    marks = name in LOOPS and len(steps) == len(values)
    outermost = name if marks else _LEAVES.get(name)
    if outermost is None:
        return
    for inner in LOOPS[LOOPS.index(outermost) :]:
        for key in (inner, f"{inner}_slow", f"{inner}_fast"):
            place.pop(key, None)
    if marks:
        keys = (f"{name}_slow", f"{name}_fast") if len(steps) == 2 else (name,)
        place |= dict(zip(keys, steps, strict=False))


def _spaced(text: str) -> list[tuple[str, tuple[Number, ...]]]:
    """`name value ...`; what is no number is one text."""
    name, *words = text.split()
    numbers = tuple(map(_number, words))
    if any(isinstance(x, str) for x in numbers):
        numbers = (" ".join(words),)
    return [(name, numbers)] if words else []


_MAGNITUDE = re.compile(r"\|[^|]*\|\s*=\s*\S+(\s+[A-Za-z]+)?$")
_NEXT_NAME = re.compile(r",\s*(?=[A-Za-z_]\w*\s*=)")


def _assigned(text: str, section: str) -> list[tuple[str, tuple[Number, ...]]]:
    """`name=value`, `name = expression = value`, several of them, or `name=key:value key:value`."""
    text = _MAGNITUDE.sub("", text)
    before = text.partition("=")[0]
    if ":" in before:
        heading, _, text = text.partition(":")
        section = f"{section}: {heading}"
    found: list[tuple[str, tuple[Number, ...]]] = []
    for part in _NEXT_NAME.split(text):
        name, _, value = part.partition("=")
        name, value = _word(name), value.rpartition("=")[2].strip()
        if not (name and value):
            return []
        keyed = [word.partition(":") for word in value.split()]
        if all(separator and word for word, separator, _ in keyed):
            found += [(f"{name}.{key}", (_number(number),)) for key, _, number in keyed]
            continue
        inside = re.search(r"\[(.*?)\]", value)
        words = re.split(r"[\s,;]+", (inside[1] if inside else value).strip())
        numbers = tuple(map(_number, words))
        if len(numbers) == 2 and isinstance(numbers[1], str):
            numbers = numbers[:1]  # a unit
        if any(isinstance(x, str) for x in numbers):
            numbers = (value,)
        found.append((_of_section(section, name), numbers))
    return found


def _word(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_")


def _number(word: str) -> Number:
    if re.fullmatch(r"[+-]?\d{1,18}", word):
        return int(word)
    if "_" in word:
        return word
    try:
        return float(word)
    except ValueError:
        return word


# Where the reference's instrumented build says under a heading what a name alone would not tell.
_SECTIONS = (
    ("raw matrix", {"lambda0": "lambda0_angstroms", "scaling_factor": "matrix_scale"}),
    ("after wavelength correction", {f"{x}_star": f"{x}_star_scaled" for x in "abc"}),
    ("before misset", {f"{x}_star": f"{x}_star_before_misset" for x in "abc"} | {"misset_angles": "misset_deg"}),
    ("after misset", {f"{x}_star": f"{x}_star_after_misset" for x in "abc"}),
    (
        "cross product results",
        {f"{x}_star_x_{y}_star": f"{x}_star_cross_{y}_star" for x, y in ("ab", "bc", "ca")},
    ),
    ("reciprocal cell volume", {"V_star": "V_star"}),
    ("direct-space cell volume", {"V_cell": "V_cell"}),
    ("after computing real-space", {x: f"{x}_angstroms" for x in "abc"}),
    ("after re-generation", {f"{x}_star": f"{x}_star_A_inv" for x in "abc"}),
    ("after conversion", {x: f"{x}0_meters" for x in "abc"}),
)


def _of_section(section: str, name: str) -> str:
    """The name that says alone what a name under a heading means; without a heading as it is."""
    if not section or name.startswith("TRACE"):
        return name
    for part in reversed(section.lower().split(": ")):
        for start, names in _SECTIONS:
            if part.startswith(start):
                return names.get(name, f"{_word(part)}.{name}" if not name.endswith("_raw") else name)
    return f"{_word(section)}.{name}"


def is_number(x: Number) -> TypeGuard[float]:
    return not isinstance(x, str)


def same(x: Number, y: Number) -> bool:
    """Equal, or both NaN."""
    return x == y or (is_number(x) and is_number(y) and math.isnan(x) and math.isnan(y))
