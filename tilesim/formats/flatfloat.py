"""The headerless float file, and a JSON file beside it that says what a header would."""

from __future__ import annotations

import json
import os
from typing import Any

from tilesim.formats.banded import Bands
from tilesim.io.flat import write_banded
from tilesim.io.replace import is_special, replacing

FORMAT = "tilesim float image"


def write_float(path: str | os.PathLike[str], image: Bands, about: dict[str, Any]) -> tuple[str, ...]:
    """Write the pixels as little-endian float32 and `PATH.json` with shape, type and `about`; the names of both.

    All or nothing each; beside a device or a pipe there is no second file. Raises StoreError.
    """
    name, beside = os.fspath(path), f"{os.fspath(path)}.json"
    header = {
        "format": FORMAT,
        "shape": list(image.shape),
        "dimensions": ["slow", "fast"],
        "dtype": "<f4",
        "header_bytes": 0,
        **about,
    }
    write_banded(name, b"", (band.astype("<f4") for _, band in image.bands()))
    if is_special(name):
        return (name,)
    with replacing(beside) as file:
        file.write((json.dumps(header, indent=2, allow_nan=False) + "\n").encode())
    return name, beside
