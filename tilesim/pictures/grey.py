"""From numbers to grey: which value is white, which is black, and how it goes between them."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from tilesim.frozen import frozen

WHITE_PERCENTILE = 2
"""Blocks up to this are white; those above it are lit."""
TAIL_PERCENTILE, TAILS = 90, 4
"""Signal is what lies this many times as far above the median of the lit blocks as this percentile of them does."""
BLACK_PERCENTILE = 99
"""Signal above this is black: a direct beam, or a few overloaded pixels, do not set the scale."""
BACKGROUND_SHARE = 10
"""Black is at least this many times the range of the background above white, where anything is."""
SPARSE_GREY, DENSE_GREY = 1 / 3, 1 / 8
"""Darkness of the median of the lit blocks where few are lit, so that photons are seen, and where all are."""
BISECTIONS = 30
DYNAMIC_RANGE = 30_000
"""Black over the width of the linear part, at most: lower values of a dark image are white."""
DECADES = 4
"""Most decades of a logarithmic scale without a minimum."""
BAR_TICKS, TICK_CHARACTERS = 6, 7
SCALES = ("auto", "log", "linear", "sqrt")


@frozen
class Grey:
    """A scale of grey."""

    low: float
    """White"""
    high: float
    """Black"""
    width: float
    """Width of the linear part above white in the scale "auto", which is logarithmic (asinh) beyond"""
    scale: str = "auto"

    def norm(self) -> Any:
        """The same for matplotlib."""
        from matplotlib.colors import AsinhNorm, LogNorm, Normalize, PowerNorm

        if self.scale == "log":
            return LogNorm(self.low, self.high, clip=True)
        if self.scale == "sqrt":
            return PowerNorm(0.5, self.low, self.high, clip=True)
        if self.scale == "linear":
            return Normalize(self.low, self.high, clip=True)
        return AsinhNorm(linear_width=self.width, vmin=self.low, vmax=self.high)

    @property
    def described(self) -> str:
        return {"auto": "log-like scale: asinh", "log": "log scale", "sqrt": "square root scale"}.get(self.scale, "")


def grey_of(blocks: np.ndarray, scale: str = "auto", low: float | None = None, high: float | None = None) -> Grey:
    """The scale for some values; `low` and `high` are white and black where they are given."""
    white, black, width = grey_limits(blocks)
    if scale == "log":
        black = black if high is None else high
        positive = blocks[(blocks > 0) & np.isfinite(blocks)]
        least = float(positive.min()) if positive.size else 1.0
        if black <= 0:
            black = 10 * least
        white = max(white, least, black / 10**DECADES)
        white = white if low is None or low <= 0 else low
        return Grey(white, max(black, white * (1 + 1e-6)), width, scale)
    white, black = white if low is None else low, black if high is None else high
    if not black > white:
        # Nothing lies between the one that was given and the image's own.
        black, white = (black, white - max(abs(black), 1.0)) if low is None else (white + max(abs(white), 1.0), white)
    return Grey(white, black, min(width, black - white) or 1.0, scale)


def grey_limits(blocks: np.ndarray) -> tuple[float, float, float]:
    """Values shown white and black, and the width above white within which grey is linear in photons (asinh beyond).

    They follow from the histogram of the blocks that are not white, the lit ones, so that single photons and strong
    spots are seen together whether few blocks are lit or all.
    """
    values = blocks[np.isfinite(blocks)].astype(np.float64)
    if values.size == 0:
        return 0.0, 1.0, 1.0
    low, top = float(np.percentile(values, WHITE_PERCENTILE)), float(values.max())
    if top <= low:
        low = float(values.min())
    if top <= low:
        # One value everywhere: white, on a scale that starts there.
        return low, low + max(abs(low), 1.0), max(abs(low), 1.0)
    lit = values[values > low]
    middle, tail = np.percentile(lit, [50, TAIL_PERCENTILE]).astype(float)
    signal = lit[lit > middle + TAILS * (tail - middle)]
    strong = float(np.percentile(signal, BLACK_PERCENTILE, method="lower")) if signal.size else top
    share = lit.size / values.size
    # A background alone, without reflections, takes the lighter half of the scale.
    most = max(top, low + (1 + share) * (tail - low))
    black = min(max(strong, low + BACKGROUND_SHARE * (middle - low)), most)
    return low, black, _width(middle - low, black - low, share)


def _width(middle: float, black: float, share: float) -> float:
    """Linear part that gives the median of the lit blocks its grey; values above white, and the share that is lit."""
    wanted = SPARSE_GREY + (DENSE_GREY - SPARSE_GREY) * share
    # The narrower it is, the darker: halved on a logarithmic scale. A median near black is as light as it can be.
    narrow, wide = black / DYNAMIC_RANGE, black
    for _ in range(BISECTIONS):
        width = math.sqrt(narrow) * math.sqrt(wide)
        if math.asinh(middle / width) > wanted * math.asinh(black / width):
            narrow = width
        else:
            wide = width
    return wide


def bar_ticks(norm) -> list[float]:
    """Values at even steps of grey, rounded to the first digit in which they differ."""
    values = norm.inverse(np.linspace(0, 1, BAR_TICKS))
    gaps = np.diff(values, prepend=2 * values[0] - values[1])
    rounded = (round(float(v), -math.floor(math.log10(gap))) for v, gap in zip(values, gaps, strict=True) if gap > 0)
    return sorted({v for v in rounded if norm.vmin <= v <= norm.vmax})


def tick_text(value: float) -> str:
    """A round number so short that it fits beside the bar: 400000, 2e9, 1e-5."""
    plain = f"{value:.10g}"
    short = plain if len(plain) <= TICK_CHARACTERS else np.format_float_scientific(value, trim="-")
    return re.sub(r"e\+?(-?)0*", r"e\1", short)
