"""The brightest spots of an image, found band by band, and how far those of one image are from another's."""

from __future__ import annotations

import numpy as np

from tilesim.frozen import frozen
from tilesim.images.flat import band_rows
from tilesim.images.pixels import Image
from tilesim.tools.paired import even

REACH = 2
"""A peak is the brightest pixel within so many rows and columns."""
FAR = 10.0
"""Pixels; peaks further apart are not the same spot."""
FIRST_TRY = 64
"""Pixels of a band that are looked at first, for each peak that is wanted."""
SPARE = 2
"""Partners are looked for among so many times more peaks: the last in rank change easily."""


@frozen
class Peaks:
    """Local maxima, the brightest first."""

    places: np.ndarray
    """(n, 2) slow, fast."""
    values: np.ndarray
    """(n,)"""


@frozen
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
    """The `count` brightest local maxima, ties in the order of the image; a plateau counts once, a flat image never."""
    rows = max(band_rows(image.shape), REACH)
    nothing = np.full((REACH, image.shape[1]), -np.inf)
    found, above, first = Peaks(np.zeros((0, 2), int), np.zeros(0)), nothing, 0
    held: np.ndarray | None = None
    for _, band in even(image.bands(rows), rows):
        band = np.where(np.isfinite(band), band, -np.inf).astype(np.float64)
        if held is not None:
            below = np.concatenate([band[:REACH], nothing])[:REACH]
            found = _with_band(found, np.concatenate([above, held, below]), first, count)
            first += len(held)
            above = held[-REACH:]
        held = band
    if held is not None:
        found = _with_band(found, np.concatenate([above, held, nothing]), first, count)
    return found


def _with_band(found: Peaks, rows: np.ndarray, first: int, count: int) -> Peaks:
    """The brightest of those found and of a band from row `first` on, which has REACH more rows above and below."""
    padded = np.pad(rows, ((0, 0), (REACH, REACH)), constant_values=-np.inf)
    inner = padded[REACH:-REACH, REACH:-REACH]
    # Nothing else can be a peak, or be kept.
    least = found.values[-1] if len(found.values) == count else -np.inf
    floor = np.min(padded, where=padded > -np.inf, initial=np.inf)
    candidates = np.flatnonzero((inner > least) & (inner > floor))
    values = inner[np.unravel_index(candidates, inner.shape)]
    wanted = FIRST_TRY * count
    while True:
        # From the brightest on: how many must be looked at is not known before.
        enough = len(values) <= wanted
        cut = -np.inf if enough else np.partition(values, len(values) - wanted)[len(values) - wanted]
        bright = candidates[values >= cut]
        slow, fast = np.unravel_index(bright, inner.shape)
        peaks = _are_peaks(padded, slow + REACH, fast + REACH)
        if enough or peaks.sum() >= count:
            break
        wanted *= 8
    places = np.stack([slow[peaks] + first, fast[peaks]], axis=1)
    values = np.concatenate([found.values, inner[slow[peaks], fast[peaks]]])
    places = np.concatenate([found.places, places])
    # Stable: of equals the earlier ones stay.
    best = np.argsort(-values, kind="stable")[:count]
    return Peaks(places[best], values[best])


def _are_peaks(padded: np.ndarray, slow: np.ndarray, fast: np.ndarray) -> np.ndarray:
    """Whether pixels are brighter than those before them within reach, than some, and no darker than those after."""
    values = padded[slow, fast]
    peaks = np.ones(len(values), bool)
    above_some = np.zeros(len(values), bool)
    for down in range(-REACH, REACH + 1):
        for across in range(-REACH, REACH + 1):
            if (down, across) != (0, 0):
                others = padded[slow + down, fast + across]
                peaks &= values > others if (down, across) < (0, 0) else values >= others
                above_some |= (values > others) & (others > -np.inf)
    return peaks & above_some


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
