"""What every call must keep to, whatever it was given."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

STATUSES = (0, 1, 2, 130)
MOST_LINES, LONGEST_LINE = 8, 2100
"""Lines of standard error, and characters of one."""
MOST_MEMORY = 2**31
"""Bytes that a call may take at most."""
PYTHON = re.compile(
    r"Traceback|^\S*:\d+: \w*Warning|Exception ignored|list indices must|has no attribute|NoneType|unhashable|"
    r"not subscriptable|unsupported operand|invalid literal for|could not convert|"
    r"\b(Key|Type|Index|Attribute|Value|ZeroDivision|Overflow|Recursion|Assertion)Error\b|"
    r"cannot unpack|not enough values|too many values|object is not|takes \d+ positional|must be str|codec can't|"
    r"argument must be|object cannot be|Errno",
    re.MULTILINE,
)
"""What Python says and no user should read."""
REMAINS = re.compile(r"(^|/)\.tilesim-|\.partial$|\.tmp$")
HIDDEN = re.compile(r"\.tiles\.zarr($|/)")
CHATTER = re.compile(r"NOTE:|WARNING:|tilesim: compil|tilesim: \d+ tiles|.*\d% done|\s*$|Usage:|Try ")


@dataclass(frozen=True)
class Outcome:
    """What a call did."""

    status: int
    """Exit status, negative for a signal"""
    out: str
    err: str
    before: dict[str, Any]
    """Contents of files before"""
    after: dict[str, Any]
    memory: int
    """Bytes"""
    why: str = ""
    """What ended it from outside"""


def faults(case: Any, done: Outcome) -> Iterator[str]:
    """What is wrong with an outcome."""
    if done.why:
        yield done.why
    if done.status not in STATUSES:
        yield f"status {done.status}"
    for name, text in (("standard error", done.err), ("standard output", done.out)):
        if (found := PYTHON.search(text)) is not None:
            yield f"{name} says {found[0]!r}"
    lines = [line for line in done.err.splitlines() if not CHATTER.match(line)]
    if len(lines) > (1 if done.status == 2 else MOST_LINES):
        yield f"{len(lines)} lines of errors"
    if done.status == 2 and not lines and "stderr" not in case.stream and "both" not in case.stream:
        yield "status 2 without a line"
    if max(map(len, done.err.splitlines()), default=0) > LONGEST_LINE:
        yield "a line of errors is too long"
    if done.memory > MOST_MEMORY:
        yield f"{done.memory / 2**20:.0f} MiB of memory"
    yield from _harm(case, done)


def _harm(case: Any, done: Outcome) -> Iterator[str]:
    """What happened to files."""

    def may_change(name: str) -> bool:
        return any(name == one or name.startswith(f"{one}/") for one in case.changed) or name in replaced

    replaced = _named_as_output(case)

    for name, content in done.before.items():
        if not may_change(name) and done.after.get(name, "gone") != content:
            yield f"{name} was changed" if name in done.after else f"{name} is gone"
    new = sorted(name for name in done.after if name not in done.before and not may_change(name))
    full = case.kind == "disk" or "/dev/full" in case.words
    settled = (0,) if full else (0, 2)
    for name in new:
        if REMAINS.search(name) or (done.status in settled and HIDDEN.search(name)):
            yield f"{name} remains"
        elif full:
            # What was written before stays, and a store can be resumed.
            if name.endswith(".zarr") and f"{name}/zarr.json" not in done.after:
                yield f"{name} is there, and no store"
        elif done.status == 2 and case.kind != "member" and not HIDDEN.search(name):
            yield f"{name} is there, with status 2"
    if done.status == 0:
        yield from _pixels(case, done, new)


def _named_as_output(case: Any) -> set[str]:
    """Files that are there and named once, as an output: they may be replaced."""
    links = {"soft": "P1.hkl"}
    names = [os.path.normpath(word.removeprefix("/proc/self/cwd/")) for word in case.words if word]
    once = {links.get(name, name) for name in names if names.count(name) == 1}
    read = {*case.words[1:2], *(("A.mat", "P1.hkl") if "-mat" in names or "b.toml" in names else ())}
    if case.words[0] == "example" and "--overwrite" in names:
        return {"A.mat"}  # its files are written into the folder
    return once - read if case.kind in ("output", "flag", "option") else set()


def _pixels(case: Any, done: Outcome, new: list[str]) -> Iterator[str]:
    """NaN, infinity or a negative number in an image of which nobody warned."""
    import numpy as np

    if case.words[0] not in ("run", "batch") or "WARNING" in done.err:
        return
    for name in new:
        content = done.after[name]
        if name.endswith(".bin") and isinstance(content, bytes) and b"\f" not in content[:72]:
            pixels = np.frombuffer(content[: len(content) // 4 * 4], "<f4")
            if not np.isfinite(pixels).all() or (pixels < 0).any():
                yield f"{name} holds {pixels.min():g} to {pixels.max():g}"


LARGEST = 2**24
"""Bytes of a file that are compared."""


def contents(folder: str) -> dict[str, Any]:
    """Everything in a folder: bytes of files, targets of links, names of folders."""
    found: dict[str, Any] = {}
    for where, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(where, name)
            key = os.path.relpath(path, folder)
            if os.path.islink(path):
                found[key] = ("link", os.readlink(path))
            elif name in folders:
                found[key] = "folder"
            elif os.path.isfile(path):
                with open(path, "rb") as file:
                    found[key] = file.read(LARGEST) + b"..." * (os.path.getsize(path) > LARGEST)
            else:
                found[key] = "special"
    return found
