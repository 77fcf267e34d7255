"""Radial profile and histogram of an image, added up band by band."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tilesim.frozen import frozen
from tilesim.geometry.resolution import d_spacings
from tilesim.model import Beam, Panel
from tilesim.model.sampling import Region

SHELLS = 150
"""Bins of the profile, of equal width in 1/d."""
PER_DECADE = 10
"""Bins of the histogram, of equal width in the logarithm of the value."""
SPAN = 60
"""Decades on either side of 1 that the histogram resolves."""


@frozen
class Curves:
    """What is drawn beside an image; each is None where nobody asked for it."""

    profile: tuple[np.ndarray, np.ndarray] | None = None
    """1/d in 1/angstrom at the middle of each shell, and the mean of its pixels; NaN where it has none"""
    histogram: tuple[np.ndarray, np.ndarray] | None = None
    """Edges of the bins (n + 1), and pixels in each (n)"""
    dark: int = 0
    """Pixels that are zero or negative, which no bin holds."""


def measure(
    bands: Iterable[tuple[int, int, np.ndarray]],
    region: Region,
    *,
    geometry: tuple[Panel, Beam] | None,
    histogram: bool,
) -> Curves:
    """Profile and histogram of all pixels of a region; a band is in memory at a time.

    bands     (first row, first column, pixels (rows, columns)) of the region
    geometry  for the profile; None makes none
    """
    counts, sums, numbers = np.zeros(2 * SPAN * PER_DECADE, np.int64), np.zeros(SHELLS), np.zeros(SHELLS, np.int64)
    first, width = _shells(geometry, region) if geometry else (0.0, 1.0)
    dark = 0
    for top, left, pixels in bands:
        values = pixels.astype(np.float64)
        there = np.isfinite(values)
        if geometry:
            slow, fast = (np.arange(n) + start + 0.5 for n, start in zip(values.shape, (top, left), strict=True))
            stars = 1e-10 / d_spacings(*geometry, *np.meshgrid(slow, fast, indexing="ij"))
            there &= np.isfinite(stars)
            shell = np.clip(((stars[there] - first) / width).astype(np.int64), 0, SHELLS - 1)
            sums += np.bincount(shell, values[there], SHELLS)
            numbers += np.bincount(shell, minlength=SHELLS)
        if histogram:
            positive = values[np.isfinite(values) & (values > 0)]
            dark += int((values <= 0).sum())
            bins = np.floor((np.log10(positive) + SPAN) * PER_DECADE).astype(np.int64)
            counts += np.bincount(np.clip(bins, 0, len(counts) - 1), minlength=len(counts))
    with np.errstate(invalid="ignore"):
        profile = (first + (np.arange(SHELLS) + 0.5) * width, sums / numbers) if geometry else None
    return Curves(profile, _trimmed(counts) if histogram else None, dark)


def _shells(geometry: tuple[Panel, Beam], region: Region) -> tuple[float, float]:
    """Where the first shell begins and how wide shells are, 1/angstrom."""
    slow = np.linspace(region.slow_start, region.slow_stop, 65)
    fast = np.linspace(region.fast_start, region.fast_stop, 65)
    stars = 1e-10 / d_spacings(*geometry, *np.meshgrid(slow, fast, indexing="ij"))
    stars = stars[np.isfinite(stars)]
    low, high = (float(stars.min()), float(stars.max())) if stars.size else (0.0, 1.0)
    return low, max(high - low, 1e-12) / SHELLS


def _trimmed(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges and counts without the empty bins at both ends."""
    filled = np.flatnonzero(counts)
    start, stop = (filled[0], filled[-1] + 1) if filled.size else (SPAN * PER_DECADE, SPAN * PER_DECADE + 1)
    return 10.0 ** (np.arange(start, stop + 1) / PER_DECADE - SPAN), counts[start:stop]
