"""Numbers of an image in a page: 16 bits each, in the red and green of PNGs."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tilesim.frozen import frozen
from tilesim.pictures.view import View

TILE = 512
"""Edge of a tile of the page, blocks."""
CODES = 65534
"""Largest code of a number; one more stands for no number."""
FINE = 1e-12
"""Width of the linear part of codes, relative to the range of the image, at least."""


@frozen
class Coding:
    """Numbers as 16 bits: whole ones as they are where they fit, others to about 0.04 % (asinh)."""

    kind: str
    low: float
    """Value of code 0."""
    width: float
    """Size of a step, or of the linear part of the asinh."""
    reach: float
    """asinh of the largest number, for the kind asinh."""

    @classmethod
    def of(cls, blocks: np.ndarray) -> Coding:
        """For the numbers of an image."""
        values = blocks[np.isfinite(blocks)]
        if values.size == 0:
            return cls("linear", 0.0, 1.0, 0.0)
        low, high = float(values.min()), float(values.max())
        least = (high - low) * FINE
        if least < np.finfo(float).tiny or (high - low <= CODES and (values == np.rint(values)).all()):
            return cls("linear", low, 1.0, 0.0)
        width = max(float((values[values > low] - low).min()), least)
        return cls("asinh", low, width, math.asinh((high - low) / width))

    def encode(self, blocks: np.ndarray) -> np.ndarray:
        """uint16 (slow, fast)."""
        with np.errstate(invalid="ignore", over="ignore"):
            steps = (blocks - self.low) / self.width
            codes = steps if self.kind == "linear" else np.arcsinh(steps) / self.reach * CODES
        return np.where(np.isnan(blocks), CODES + 1, np.clip(np.rint(codes), 0, CODES)).astype(np.uint16)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """The numbers (slow, fast) that codes stand for; NaN for none."""
        steps = codes.astype(np.float64)
        values = steps if self.kind == "linear" else np.sinh(steps / CODES * self.reach)
        return np.where(codes > CODES, np.nan, self.low + values * self.width)


def coded(views: Sequence[View], thumbnail: bool = False) -> str:
    """The numbers of an image at several resolutions, the finest first, as JSON for the page's script.

    thumbnail  whether the last one is a thumbnail, with a scale of grey of its own
    """
    coding = Coding.of(views[0].blocks)
    levels = [_level(one, coding) for one in views]
    levels[-1]["thumbnail"] = thumbnail
    return as_json({"code": vars(coding), "units": views[0].units, "levels": levels})


def as_json(data: Any) -> str:
    """JSON that may stand in a script element: nothing in it looks like the end of one. Not finite is null."""
    return json.dumps(_finite(data), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _finite(data: Any) -> Any:
    """Plain data with None for numbers that are not finite."""
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def _level(view: View, coding: Coding) -> dict:
    codes = coding.encode(view.blocks)
    rows, columns = (range(0, n, TILE) for n in codes.shape)
    return {
        "factor": view.factor,
        "top": view.region.slow_start,
        "left": view.region.fast_start,
        "reduced": view.described,
        "tiles": [[_png(codes[r : r + TILE, c : c + TILE]) for c in columns] for r in rows],
    }


def _png(codes: np.ndarray) -> str:
    """A PNG in base64: the higher byte red, the lower green."""
    from PIL import Image

    colours = np.zeros((*codes.shape, 3), np.uint8)
    colours[..., 0], colours[..., 1] = codes >> 8, codes & 255
    file = io.BytesIO()
    Image.fromarray(colours).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
