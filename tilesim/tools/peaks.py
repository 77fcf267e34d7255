"""The brightest spots of an image, found band by band, and how far those of one image are from another's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tilesim.formats.pixels import Image
from tilesim.tools.paired import band_rows, even

REACH = 2
"""A peak is the brightest pixel within so many rows and columns."""
FAR = 10.0
"""Pixels; peaks further apart are not the same spot."""
SPARE = 2
"""Partners are looked for among so many times more peaks: the last in rank change easily."""


@dataclass(frozen=True)
class Peaks:
    """Local maxima, the brightest first."""

    places: np.ndarray
    """(n, 2) slow, fast."""
    values: np.ndarray
    """(n,)"""


@dataclass(frozen=True)
class PeakMatch:
    """How the brightest peaks of two images lie to each other."""

    matched: int
    """Pairs."""
    alone: tuple[int, int]
    """Peaks of the first and of the second image that have no partner in the other."""
    mean_shift: float | None
    """Pixels."""
    largest_shift: float | None
    largest_at: tuple[int, int] | None
    """(slow, fast) of the peak of the first image with the largest shift."""


def brightest_peaks(image: Image, count: int) -> Peaks:
    """The `count` brightest local maxima, ties in the order of the image; a plateau counts once."""
    rows = max(band_rows(image.shape), 2 * REACH)
    found = Peaks(np.zeros((0, 2), int), np.zeros(0))
    above = np.full((REACH, image.shape[1]), -np.inf)
    held: np.ndarray | None = None
    first = 0
    for _, band in even(image.bands(rows), rows):
        band = np.where(np.isfinite(band), band, -np.inf).astype(np.float64)
        if held is not None:
            found = _keep(found, _maxima(above, held, band[:REACH]), held, first, count)
            first += len(held)
            # Where a band is short the rows above the next one are of both.
            above = np.concatenate([above, held])[-REACH:]
        held = band
    if held is not None:
        found = _keep(found, _maxima(above, held, np.zeros((0, image.shape[1]))), held, first, count)
    return found


def _maxima(above: np.ndarray, band: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Which pixels of `band` are brighter than those before them within reach, and no darker than those after."""
    padded = np.pad(
        np.concatenate([above, band, below]), ((0, REACH - len(below)), (REACH, REACH)), constant_values=-np.inf
    )
    slow, fast = band.shape
    before = np.full(band.shape, -np.inf)
    after = np.full(band.shape, -np.inf)
    lowest = np.full(band.shape, np.inf)
    for down in range(-REACH, REACH + 1):
        for across in range(-REACH, REACH + 1):
            shifted = padded[REACH + down : REACH + down + slow, REACH + across : REACH + across + fast]
            if (down, across) < (0, 0):
                np.maximum(before, shifted, out=before)
            elif (down, across) > (0, 0):
                np.maximum(after, shifted, out=after)
            np.minimum(lowest, np.where(np.isneginf(shifted), np.inf, shifted), out=lowest)
    return (band > before) & (band >= after) & (band > lowest)


def _keep(found: Peaks, maxima: np.ndarray, band: np.ndarray, first: int, count: int) -> Peaks:
    places = np.argwhere(maxima)
    values = np.concatenate([found.values, band[maxima]])
    places = np.concatenate([found.places, places + np.array([first, 0])])
    # Stable: of equals the earlier ones stay.
    best = np.argsort(-values, kind="stable")[:count]
    return Peaks(places[best], values[best])


def match_peaks(a: Peaks, b: Peaks, count: int) -> PeakMatch:
    """Pair peaks of `a` and `b`, the closest first, none twice, none further apart than FAR.

    Pairs count where one of the two is among the `count` brightest of its image.
    """
    gaps = np.sqrt(np.square(a.places[:, None, :] - b.places[None, :, :]).sum(axis=-1, dtype=np.float64))
    near = np.argwhere(gaps <= FAR)
    near = near[np.argsort(gaps[tuple(near.T)], kind="stable")]
    partner: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for one, other in near.tolist():
        if one not in partner[0] and other not in partner[1]:
            partner[0][one], partner[1][other] = other, one
    pairs = [pair for pair in partner[0].items() if min(pair) < count]
    alone = [sum(n not in found for n in range(min(count, len(peaks.values))))
             for found, peaks in zip(partner, (a, b), strict=True)]  # fmt: skip
    if not pairs:
        return PeakMatch(0, tuple(alone), None, None, None)
    shifts = [float(gaps[pair]) for pair in pairs]
    largest = max(shifts)
    place = a.places[pairs[shifts.index(largest)][0]]
    return PeakMatch(len(pairs), tuple(alone), sum(shifts) / len(shifts), largest, (int(place[0]), int(place[1])))


def compare_peaks(a: Image, b: Image, count: int) -> PeakMatch:
    """How the `count` brightest peaks of each image lie to those of the other."""
    return match_peaks(brightest_peaks(a, SPARE * count), brightest_peaks(b, SPARE * count), count)
