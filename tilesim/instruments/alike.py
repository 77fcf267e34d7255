"""Pixels of panels that differ by rounding only."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tilesim.model.detector import Panel

ROUNDING = 1e-9
"""Relative difference of pixel sizes that programs leave when they compute them."""


def alike(panels: Sequence[Panel]) -> tuple[Panel, ...]:
    """The panels with the pixel size of the first one where theirs is that but for rounding."""
    size = panels[0].pixel_size
    return tuple(
        panel.replace(pixel_size=size) if math.isclose(panel.pixel_size, size, rel_tol=ROUNDING) else panel
        for panel in panels
    )
