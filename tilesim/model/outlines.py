"""Drawing of the outlines of panels as an SVG, seen from the sample, for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tilesim.model.vectors import Vector, add, dot, scale

if TYPE_CHECKING:
    from tilesim.model.detector import Panel

EDGE = 180
"""Longer edge of the drawing, pixels."""


def outlines(panels: Sequence[Panel]) -> str:
    """The panels in the plane of the first one, its fast axis to the right and its slow axis down.

    A cross marks where the normal of the first panel through the sample meets that plane.
    """
    across, down = panels[0].fast, panels[0].slow
    shapes = [[(dot(corner, across), dot(corner, down)) for corner in _corners(panel)] for panel in panels]
    xs, ys = zip(*((x, y) for shape in shapes for x, y in (*shape, (0.0, 0.0))), strict=True)
    left, top, size = min(xs), min(ys), max(max(xs) - min(xs), max(ys) - min(ys))
    per = EDGE / size
    width, height = ((max(v) - min(v)) * per + 8 for v in (xs, ys))

    def place(x: float, y: float) -> tuple[float, float]:
        return (x - left) * per + 4, (y - top) * per + 4

    drawn = "".join(
        f"<polygon points='{' '.join('{:.1f},{:.1f}'.format(*place(x, y)) for x, y in shape)}' "
        "fill='#eee' stroke='#555'/>"
        for shape in shapes
    )
    x, y = place(0.0, 0.0)
    cross = f"<path d='M{x - 5:.1f} {y:.1f}h10M{x:.1f} {y - 5:.1f}v10' stroke='#d62728'/>"
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width:.0f}' height='{height:.0f}' "
        f"style='display:block;margin:4px 0'>{drawn}{cross}</svg>"
    )


def _corners(panel: Panel) -> list[Vector]:
    """The outer corners of a panel in order, metres."""
    slow, fast = (n * panel.pixel_size for n in panel.shape)
    steps = ((0.0, 0.0), (0.0, fast), (slow, fast), (slow, 0.0))
    return [add(panel.origin, scale(panel.slow, s), scale(panel.fast, f)) for s, f in steps]
