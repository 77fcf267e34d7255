"""How large the crystal is and what follows: beam clipping, cells, sub-pixels, fluence (spec command-line 4.2-4.4)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.geometry.resolution import nearest_distance
from tilesim.model import Crystal, Panel, Shape
from tilesim.model.vectors import Vector, dot, norm, scale
from tilesim.nanobragg.settings import Settings

SAME = 1e-9
"""Relative difference of distances that only rounding makes."""
FINE = 3
"""Sub-pixels across one over the extent of a crystal, which is how wide its reflections are."""


@frozen
class Sample:
    """The crystal's extent and the sub-pixels that it asks for."""

    axes: tuple[Vector, Vector, Vector]
    """Cell vectors a, b, c in metres."""
    cells: tuple[float, float, float]
    extent: tuple[float, float, float]
    """Metres along a, b, c."""
    reciprocal_pixel: float
    """Metres; lambda times distance over pixel size, the smallest of all panels."""
    recommended: int
    """Sub-pixels per edge that resolve the largest dimension."""
    oversample: int
    automatic: bool
    """Nobody set the oversampling."""
    corrected: bool = False
    """The reference would choose, or recommend, another oversampling (K15)."""


def clip_to_beam(settings: Settings) -> tuple[tuple[float, float, float], tuple[str, ...]]:
    """Sample x, y, z in metres, y and z cut to the beam size, and the reference's warnings (command-line 4.3)."""
    x, y, z = settings.sample_size
    beam = settings.beamsize
    lines = []
    if 0.0 <= beam < y:
        lines.append(f"WARNING: clipping sample ({y:g} m high) with beam ({beam:g} m)")
        y = beam
    if 0.0 <= beam < z:
        lines.append(f"WARNING: clipping sample ({z:g} m wide) with beam ({beam:g} m)")
        z = beam
    return (x, y, z), tuple(lines)


def fluence(settings: Settings) -> float:
    """Photons/m^2; flux, exposure and beam size win over -fluence (command-line 4.2)."""
    if settings.flux == 0.0 or not settings.exposure > 0.0 or not settings.beamsize >= 0.0:
        return settings.fluence
    if settings.beamsize == 0.0:
        raise InputError("-beamsize is 0 with -flux; expected a positive beam size in mm")
    return settings.flux * settings.exposure / settings.beamsize / settings.beamsize


def resolve_sample(
    settings: Settings,
    size: tuple[float, float, float],
    real: tuple[Vector, Vector, Vector],
    reach: float,
    reference: float | None = None,
    fewest: float = 1,
) -> Sample:
    """Cells and oversampling (command-line 4.4, 4.10).

    `size` in metres after clipping, `real` in angstrom; `reach` is distance over pixel size, `reference` the one that
    the reference has, where it has one. `fewest` cells along an axis are taken at least.
    """
    axes = tuple(scale(v, 1e-10) for v in real)
    cells = tuple(
        max(fewest, _ceil(extent / norm(axis)) if extent > 0 else count)
        for extent, axis, count in zip(size, axes, settings.cells, strict=True)
    )
    extent = tuple(norm(axis) * n for axis, n in zip(axes, cells, strict=True))
    recommended, automatic = _recommended(settings, extent, reach), settings.oversample <= 0
    return Sample(
        axes,
        cells,
        extent,
        settings.wavelength * reach,
        recommended,
        recommended if automatic else settings.oversample,
        automatic,
        automatic and reference is not None and _recommended(settings, extent, reference) != recommended,
    )


def _recommended(settings: Settings, extent: Sequence[float], reach: float) -> int:
    """Sub-pixels per edge that resolve the crystal at distance over pixel size `reach`."""
    return _sub_pixels(max(extent), settings.wavelength * reach)


def finest_oversample(sample: Sample, crystal: Crystal) -> int:
    """Sub-pixels per edge that resolve the reflections of the shapes gauss and tophat; 1 for all others.

    These are as wide as those of a crystal with as many angstrom along an edge as it has cells in all.
    """
    if crystal.shape not in (Shape.GAUSS, Shape.TOPHAT):
        return 1
    width = math.prod(crystal.cells) * math.sqrt(max(crystal.fudge, 0.0))
    return _sub_pixels(width * 1e-10, sample.reciprocal_pixel)


def _sub_pixels(extent: float, reciprocal_pixel: float) -> int:
    ratio = FINE * extent / reciprocal_pixel if reciprocal_pixel else math.inf
    return max(1, math.ceil(ratio)) if math.isfinite(ratio) else 1


def pixel_reach(panels: Sequence[Panel], beam: Vector) -> float:
    """Distance over pixel size of the panel whose pixels take up most of reciprocal space (K15)."""
    return min(_distance(panel, beam) / panel.pixel_size for panel in panels)


def _distance(panel: Panel, beam: Vector) -> float:
    """The reference's, along the beam to the panel's plane, unless a point of the panel is nearer."""
    nearest, towards = nearest_distance(panel), dot(beam, panel.normal)
    along = dot(panel.origin, panel.normal) / towards if towards > 0.0 else math.inf
    return min(along, nearest) if nearest < along * (1.0 - SAME) else along


def _ceil(cells: float) -> int:
    if not math.isfinite(cells):
        raise InputError("the sample size is not a finite number; expected mm")
    return math.ceil(cells)
