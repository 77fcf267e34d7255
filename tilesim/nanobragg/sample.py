"""How large the crystal is and what follows: beam clipping, cells, sub-pixels, fluence (spec command-line 4.2-4.4)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tilesim.errors import InputError
from tilesim.model.vectors import Vector, norm, scale
from tilesim.nanobragg.settings import Settings


@dataclass(frozen=True)
class Sample:
    """The crystal's extent and the sub-pixels that it asks for."""

    axes: tuple[Vector, Vector, Vector]
    """Cell vectors a, b, c in metres."""
    cells: tuple[int, int, int]
    extent: tuple[float, float, float]
    """Metres along a, b, c."""
    reciprocal_pixel: float
    """Metres; lambda times distance over pixel size."""
    recommended: int
    """Sub-pixels per edge that resolve the largest dimension."""
    oversample: int
    automatic: bool
    """Nobody set the oversampling."""


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
    settings: Settings, size: tuple[float, float, float], real: tuple[Vector, Vector, Vector], distance: float
) -> Sample:
    """Cells and oversampling (command-line 4.4, 4.10).

    `size` in metres after clipping, `real` in angstrom, `distance` the recomputed one in metres.
    """
    axes = tuple(scale(v, 1e-10) for v in real)
    cells = tuple(
        max(1, _ceil(extent / norm(axis)) if extent > 0 else count)
        for extent, axis, count in zip(size, axes, settings.cells, strict=True)
    )
    extent = tuple(norm(axis) * n for axis, n in zip(axes, cells, strict=True))
    reciprocal_pixel = settings.wavelength * distance / settings.pixel_size
    ratio = 3.0 * max(extent) / reciprocal_pixel if reciprocal_pixel else math.inf
    recommended = max(1, math.ceil(ratio)) if math.isfinite(ratio) else 1
    automatic = settings.oversample <= 0
    return Sample(
        axes, cells, extent, reciprocal_pixel, recommended, recommended if automatic else settings.oversample, automatic
    )


def _ceil(cells: float) -> int:
    if not math.isfinite(cells):
        raise InputError("the sample size is not a finite number; expected mm")
    return math.ceil(cells)
