"""Whether the incident beam meets the detector of an instrument."""

from __future__ import annotations

import math

from tilesim.model.detector import Panel
from tilesim.model.instrument import Instrument
from tilesim.model.vectors import Vector, add, cross, dot, scale, unit


def unmet(instrument: Instrument) -> tuple[str, ...]:
    """A line where the incident beam passes the detector by; none where it meets it or a gap between its panels.

    The beam meets what is ahead of it where it passes within the convex outline of all panels, as seen along it: where
    no half plane through it is free of their corners.
    """
    beam = instrument.beam
    across = unit(cross(beam, min(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), key=lambda axis: abs(dot(axis, beam)))))
    upright = cross(beam, across)
    ahead = [corner for panel in instrument.panels for corner in _corners(panel) if dot(corner, beam) > 0.0]
    if not ahead:
        return (f"{instrument.name}: the incident beam runs away from the detector, all of which is behind the sample",)
    around = sorted(math.atan2(dot(corner, upright), dot(corner, across)) for corner in ahead)
    gaps = [after - before for before, after in zip(around, [*around[1:], around[0] + math.tau], strict=True)]
    if max(gaps) <= math.pi + ON_THE_EDGE:
        return ()
    return (f"{instrument.name}: the incident beam does not meet the detector, which stands beside it",)


ON_THE_EDGE = 1e-6
"""Radians by which a beam through an edge may seem to pass it by."""


def _corners(panel: Panel) -> list[Vector]:
    slow, fast = panel.shape
    size = panel.pixel_size
    return [
        add(panel.origin, scale(panel.slow, rows * size), scale(panel.fast, columns * size))
        for rows in (0, slow)
        for columns in (0, fast)
    ]
