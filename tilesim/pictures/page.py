"""A page to look at images in a browser: pan, zoom, resolution and value under the pointer, all in one file."""

from __future__ import annotations

import base64
import html
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np

from tilesim.files.reading import encodable
from tilesim.files.replace import replacing
from tilesim.frozen import frozen
from tilesim.model import Beam, Panel
from tilesim.model.sampling import Region
from tilesim.pictures.coding import TILE, as_json
from tilesim.pictures.curves import Curves
from tilesim.pictures.grey import Grey
from tilesim.pictures.labels import Label
from tilesim.pictures.picture import draw_curves
from tilesim.pictures.rings import Ring
from tilesim.pictures.style import own_style

RING_ERROR, RING_ERROR_SHARE = 0.1, 5e-4
"""Pixels, and share of the longer edge, by which the line of a ring is off at most where points were left out."""
FRAME = "frame"
"""Kind of a picture that is no projection."""
THUMBNAIL = "thumbnail"
"""Kind of the smallest form of a frame, which has a scale of grey of its own: maxima of many pixels are larger."""


@frozen
class Scene:
    """What is drawn over pictures of one geometry, and what place and resolution under the pointer follow from."""

    region: Region
    rings: Sequence[Ring] = ()
    centre: tuple[float, float] | None = None
    """Centre of the beam, (slow, fast) pixels"""
    border: Region | None = None
    """Outline of what was rendered"""
    geometry: tuple[Panel, Beam | None] | None = None
    """Panel of the image, or plane of an assembled one, and the beam where resolution follows from it"""
    assembled: Sequence[Panel] = ()
    """Panels on the plane"""
    stacked: Sequence[int] = ()
    """Rows of every panel, of a stack"""

    def plain(self) -> dict[str, Any]:
        """The same for the page's script."""
        edge = max(self.region.slow_stop - self.region.slow_start, self.region.fast_stop - self.region.fast_start)
        error = min(RING_ERROR, RING_ERROR_SHARE * edge)
        lines = [[_thinned(line, error) for line in ring.lines] for ring in self.rings]
        return {
            "region": _ends(self.region),
            "rings": [{"text": r.text, "lines": own} for r, own in zip(self.rings, lines, strict=True)],
            "centre": self.centre,
            "border": self.border and _ends(self.border),
            "geometry": self.geometry and _panel(self.geometry[0]) | _beam(self.geometry[1]),
            "assembled": [_panel(one) for one in self.assembled],
            "stacked": list(self.stacked),
        }


@frozen
class Picture:
    """An image of a page: a frame, or a projection of all."""

    label: str
    numbers: str
    """Its blocks, `coded`"""
    scene: int | None = 0
    """Which of the page's scenes; None: its geometry is that of no frame"""
    kind: str = FRAME
    """Which of the page's scales of grey it has"""
    number: int = 0
    """Number of the frame"""
    state: str = ""
    """What there is to say of it: that it is blank, or pixels are missing"""
    labels: Sequence[Label] = ()

    def plain(self, place: int) -> dict[str, Any]:
        """The same for the page's script."""
        spots = [{"text": x.text, "slow": round(x.slow, 2), "fast": round(x.fast, 2)} for x in self.labels]
        about = {"key": _key(place), "label": self.label, "kind": self.kind, "number": self.number}
        return about | {"scene": self.scene, "state": self.state, "spots": spots}


@frozen
class FrameColumn:
    """A value for every frame."""

    name: str
    values: Sequence[Any]
    """Numbers, NaN where there is none, or texts"""
    units: str = ""
    meaning: str = ""


@frozen
class Page:
    """Everything that a page shows."""

    title: str
    pictures: Sequence[Picture]
    """Frames in their order, then projections"""
    scenes: Sequence[Scene]
    greys: Mapping[str, Grey]
    """Scales of grey by the kind of picture"""
    columns: Sequence[FrameColumn] = ()
    spectra: tuple[Sequence[Any], Sequence[Any]] | None = None
    """Wavelengths, angstrom, and photons of the channels (frame, channel), where spectra vary"""
    about: str = ""
    """What is embedded, in words"""
    show_rings: bool = True
    curves: Curves = field(default_factory=Curves)
    units: str = ""


def save_page(path_html: str | os.PathLike, page: Page) -> None:
    """Write a page that needs nothing else. Raises StoreError; it appears whole or not at all."""
    several = len([one for one in page.pictures if one.kind == FRAME]) > 1
    data = {
        "tile": TILE,
        "scenes": [scene.plain() for scene in page.scenes],
        "greys": {kind: vars(grey) for kind, grey in page.greys.items()},
        "show": {"rings": page.show_rings},
        "pictures": [picture.plain(place) for place, picture in enumerate(page.pictures)],
        "columns": [vars(column) for column in page.columns],
        "spectra": page.spectra,
    }
    parts: dict[str, Iterator[str] | list[str]] = {
        "TITLE": [html.escape(encodable(page.title))],
        "ABOUT": [html.escape(page.about)],
        "STYLE": [_own("page.css")],
        "CURVES": [_curves(page)],
        "PICTURES": (_script(_key(place), one.numbers) for place, one in enumerate(page.pictures)),
        "DATA": [_script("data", as_json(data))],
        "SCRIPT": [_own("page.js"), _own("series.js") if several else "", "begin();\n"],
    }
    with replacing(path_html) as file:
        for text, name in re.findall(r"([^@]*)(?:@([A-Z]+)@)?", _own("page.html")):
            file.write(text.encode())
            for part in parts.get(name, []):
                file.write(part.encode())


def _own(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _key(place: int) -> str:
    """Name of the element that holds the numbers of a picture."""
    return f"picture-{place}"


def _script(name: str, text: str) -> str:
    return f'<script type="application/json" id="{name}">{text}</script>\n'


def _ends(region: Region) -> list[int]:
    return [region.slow_start, region.slow_stop, region.fast_start, region.fast_stop]


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "origin": panel.origin,
        "slow": panel.slow,
        "fast": panel.fast,
        "pixel": panel.pixel_size,
        "shape": panel.shape,
        "curved": panel.curved_radius,
    }


def _beam(beam: Beam | None) -> dict[str, Any]:
    return {} if beam is None else {"beam": beam.direction, "wavelength": beam.wavelength}


def _thinned(line: np.ndarray, error: float) -> list[float]:
    """Points (fast, slow, fast, ...) of a line without those that it hardly turns at: it is off so much at most."""
    kept = line
    for step in (2, 4, 8, 16, 32):
        numbers = np.unique(np.append(np.arange(0, len(line), step), len(line) - 1))
        if len(line) < 3 or _error(line, numbers) > error:
            break
        kept = line[numbers]
    flat: list[float] = np.round(kept, 2).ravel().tolist()
    return flat


def _error(line: np.ndarray, numbers: np.ndarray) -> float:
    """How far points (n, 2) of a line are at most beside the line through some of them."""
    between = np.stack([np.interp(np.arange(len(line)), numbers, line[numbers, axis]) for axis in (0, 1)], axis=1)
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.hypot(*along.T), 1e-12)[:, None]
    away = between - line
    return float(np.abs(away[:, 0] * along[:, 1] - away[:, 1] * along[:, 0]).max())


@own_style()
def _curves(page: Page) -> str:
    """Profile and histogram as an embedded picture that can be opened; nothing where there are none."""
    figure = draw_curves(page.curves, page.units)
    if figure is None:
        return ""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    source = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    names = " and ".join(n for n in ("profile", "histogram") if getattr(page.curves, n) is not None)
    return (
        f'<details class="curves"><summary>{names}</summary><img alt="{names} of the image" src="{source}"></details>'
    )
