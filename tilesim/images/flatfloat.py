"""The headerless float file, and a JSON file beside it that says what a header would."""

from __future__ import annotations

import json
import os
from typing import Any

from tilesim.errors import InputError
from tilesim.files.reading import printable
from tilesim.files.replace import is_special, replacing
from tilesim.images.banded import Bands
from tilesim.images.flat import write_banded
from tilesim.images.packed import unpacked_plain
from tilesim.model import Series

FORMAT = "tilesim float image"
LARGEST = 2**28
"""Bytes of a JSON file beside a float file."""


def sidecar_of(path: str | os.PathLike[str]) -> str:
    """Name of the JSON file beside a float file."""
    return f"{os.fspath(path)}.json"


def float_files(path: str) -> tuple[str, ...]:
    """The files that `write_float` writes: a float file and its sidecar; beside a device or a pipe there is none."""
    return (path,) if is_special(path) else (path, sidecar_of(path))


def write_float(path: str | os.PathLike[str], image: Bands, about: dict[str, Any]) -> tuple[str, ...]:
    """Write the pixels as little-endian float32 and `PATH.json` with shape, type and `about`; the names of both.

    All or nothing each; beside a device or a pipe there is no second file. Raises StoreError.
    """
    name, beside = os.fspath(path), sidecar_of(path)
    header = {
        "format": FORMAT,
        "shape": list(image.shape),
        "dimensions": ["slow", "fast"],
        "dtype": "<f4",
        "header_bytes": 0,
        **about,
    }
    write_banded(name, b"", (band.astype("<f4") for _, band in image.bands()))
    if float_files(name) == (name,):
        return (name,)
    with replacing(beside) as file:
        file.write((json.dumps(header, indent=2, allow_nan=False) + "\n").encode())
    return name, beside


def read_sidecar(path: str) -> tuple[Series | str, tuple[int, int] | None]:
    """What the JSON file beside a float file states: the experiment, or why it does not; and the shape (slow, fast)."""
    beside = sidecar_of(path)
    try:
        with open(beside, "rb") as file:
            plain: Any = json.loads(file.read(LARGEST))
        if plain["format"] != FORMAT:
            return f"{printable(beside)} is no file of tilesim's", None
        slow, fast = map(int, plain["shape"])
        if "experiment" not in plain:
            return f"{printable(beside)} does not state the experiment", (slow, fast)
        return Series(unpacked_plain(plain, printable(path))), (slow, fast)
    except FileNotFoundError:
        return "a float file has no header, and there is no JSON file beside it", None
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError, InputError) as error:
        return f"{printable(beside)} cannot be read ({' '.join(str(error).split())[:120]})", None
