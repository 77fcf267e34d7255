"""How well two images agree: correlation, differences, sums, and the golden metric, gathered band by band."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tilesim.frozen import frozen
from tilesim.images.pixels import Image
from tilesim.tools.paired import paired

FLOOR = 1e-6
"""Share of the brightest pixel of the second image below which the golden metric forgives."""


@frozen
class Largest:
    """The largest of some figure, and the first pixel that has it."""

    value: float = 0.0
    pixel: tuple[int, int] | None = None
    """(slow, fast) in the whole image; None where there is no difference."""
    a: float | None = None
    b: float | None = None


@frozen
class Agreement:
    """Figures of the pixels that are numbers in both images."""

    pixels: int
    not_finite: tuple[int, int]
    """Pixels that are NaN or infinite, in the first and in the second image: missing tiles are."""
    first_not_finite: tuple[int, int] | None
    """(slow, fast) of the first of them."""
    unlike: int
    """Those that have a value in one image alone, or are infinite."""
    correlation: float | None
    """Pearson's; None where an image is constant."""
    mean_square: float
    """Figures of a - b."""
    sums: tuple[float, float]
    absolute: Largest
    """|a - b|"""
    relative: Largest
    """|a - b| / |b|, where b is not 0."""
    golden: Largest
    """|a - b| / max(|b|, 1e-6 max |b|)"""

    @property
    def ratio(self) -> float | None:
        """Sum of the first image over that of the second."""
        return self.sums[0] / self.sums[1] if self.sums[1] else None

    def within(self, tolerance: float) -> bool:
        """Whether the images are the same: no value in the same pixels, the golden metric at most `tolerance`."""
        return self.pixels > 0 and not self.unlike and self.golden.value <= tolerance


def agreement(a: Image, b: Image, corner: tuple[int, int] = (0, 0)) -> Agreement:
    """Compare two images of one shape, in two passes.

    corner  where their first pixel (slow, fast) is in the whole image

    Raises InputError where the shapes differ, and what reading raises.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        pixels, bad, first_bad, unlike, sums, brightest = _first_pass(a, b)
        means = [total / max(pixels, 1) for total in sums]
        squares = np.zeros(4)
        tops = {"absolute": Largest(), "relative": Largest(), "golden": Largest()}
        figures: dict[str, Callable] = {
            "absolute": lambda gap, size: gap,
            "relative": lambda gap, size: np.where(size > 0, gap / size, 0.0),
            "golden": lambda gap, size: np.where(gap > 0, gap / np.maximum(size, FLOOR * brightest), 0.0),
        }
        for first, one, other in paired(a, b):
            good = np.isfinite(one) & np.isfinite(other)
            one[~good] = other[~good] = 0.0
            gap, size = np.abs(one - other), np.abs(other)
            for name, figure in figures.items():
                tops[name] = _larger(tops[name], figure(gap, size), one, other, (first + corner[0], corner[1]))
            one = np.where(good, one - means[0], 0.0)
            other = np.where(good, other - means[1], 0.0)
            squares += [np.square(one).sum(), np.square(other).sum(), (one * other).sum(), np.square(gap).sum()]
    spread = math.sqrt(squares[0]) * math.sqrt(squares[1])
    return Agreement(
        pixels=pixels,
        not_finite=bad,
        first_not_finite=(first_bad[0] + corner[0], first_bad[1] + corner[1]) if first_bad else None,
        unlike=unlike,
        correlation=float(min(1.0, max(-1.0, squares[2] / spread))) if spread > 0 else None,
        mean_square=float(squares[3] / max(pixels, 1)),
        sums=sums,
        **tops,
    )


def _first_pass(a: Image, b: Image):
    """Pixels that are numbers in both, others in each, the first of those, the unlike, both sums, the largest |b|."""
    pixels, bad, first_bad, unlike, sums, brightest = 0, [0, 0], None, 0, [0.0, 0.0], 0.0
    for first, one, other in paired(a, b):
        good = np.isfinite(one), np.isfinite(other)
        both = good[0] & good[1]
        if not both.all():
            bad = [count + int((~part).sum()) for count, part in zip(bad, good, strict=True)]
            unlike += int((~both & ~(np.isnan(one) & np.isnan(other))).sum())
            place = np.unravel_index(np.argmin(both), both.shape)
            first_bad = first_bad or (first + int(place[0]), int(place[1]))
            one, other = one[both], other[both]
        pixels += one.size
        sums = [sums[0] + float(one.sum()), sums[1] + float(other.sum())]
        brightest = max(brightest, float(np.abs(other).max(initial=0.0)))
    return pixels, tuple(bad), first_bad, unlike, tuple(sums), brightest


def _larger(top: Largest, figures: np.ndarray, a: np.ndarray, b: np.ndarray, corner: tuple[int, int]) -> Largest:
    place = np.unravel_index(np.argmax(figures), figures.shape)
    value = float(figures[place])
    if not value > top.value:
        return top
    return Largest(value, (int(place[0]) + corner[0], int(place[1]) + corner[1]), float(a[place]), float(b[place]))
