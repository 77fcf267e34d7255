"""A page to look at an image in a browser: pan, zoom, resolution and value under the pointer, all in one file."""

from __future__ import annotations

import base64
import html
import io
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tilesim.files.reading import encodable
from tilesim.files.replace import replacing
from tilesim.frozen import frozen
from tilesim.model import Beam, Panel
from tilesim.pictures.picture import Drawing, draw_curves
from tilesim.pictures.style import own_style
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


def save_page(
    path_html: str | os.PathLike,
    drawing: Drawing,
    coarser: Sequence[View],
    geometry: tuple[Panel, Beam] | None,
    show_rings: bool = True,
) -> None:
    """Write a drawing as a page that needs nothing else, with coarser views of it for low zooms.

    geometry  for the resolution under the pointer

    Raises StoreError where the file cannot be written; it appears whole or not at all.
    """
    view = drawing.view
    coding = Coding.of(view.blocks)
    region = drawing.view.region
    data = {
        "units": view.units,
        "region": [region.slow_start, region.slow_stop, region.fast_start, region.fast_stop],
        "tile": TILE,
        "code": {"kind": coding.kind, "low": coding.low, "width": coding.width, "reach": coding.reach},
        "levels": [_level(one, coding) for one in (view, *coarser)],
        "grey": vars(drawing.grey),
        "show": {"rings": show_rings},
        "rings": [{"text": r.text, "lines": [np.round(x, 1).ravel().tolist() for x in r.lines]} for r in drawing.rings],
        "centre": drawing.centre,
        "spots": [{"text": x.text, "slow": round(x.slow, 2), "fast": round(x.fast, 2)} for x in drawing.labels],
        "border": drawing.border and [getattr(drawing.border, n) for n in drawing.border.__dataclass_fields__],
        "geometry": geometry and _geometry(*geometry),
    }
    title = html.escape(encodable(drawing.title or Path(path_html).stem))
    # In a script nothing may look like the end of it.
    text = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    page = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    head, rest = page.replace("@TITLE@", title).split("@CURVES@")
    middle, end = rest.split("@DATA@")
    with replacing(path_html) as file:
        for part in (head, _curves(drawing), middle, text, end):
            file.write(part.encode())


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


def _geometry(panel: Panel, beam: Beam) -> dict:
    return {
        "origin": panel.origin,
        "slow": panel.slow,
        "fast": panel.fast,
        "pixel": panel.pixel_size,
        "curved": panel.curved_radius,
        "beam": beam.direction,
        "wavelength": beam.wavelength,
    }


@own_style()
def _curves(drawing: Drawing) -> str:
    """Profile and histogram as an embedded picture that can be opened; nothing where there are none."""
    figure = draw_curves(drawing.curves, drawing.view.units)
    if figure is None:
        return ""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    source = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    names = " and ".join(n for n in ("profile", "histogram") if getattr(drawing.curves, n) is not None)
    return f'<details><summary>{names}</summary><img alt="{names} of the image" src="{source}"></details>'
