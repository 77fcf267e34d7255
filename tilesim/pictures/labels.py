"""Labels of spots and rings: which spots are worth one, and where it does not lie on another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tilesim.frozen import frozen
from tilesim.geometry.prediction import Spots
from tilesim.pictures.view import View

CHARACTER, LINE = 6.5, 13
"""Pixels of a picture for a character of a label, and for its height."""
NEAR = 6
"""Radius of the circle around a spot, pixels of a picture; more in an enlarged one."""
REACH = 2
"""Blocks around the predicted place in which the spot's maximum is looked for."""
LABEL_LIMIT = 10_000
CROSS = 10
"""Half the cross at the beam centre, pixels of a picture."""


@frozen
class Label:
    """A predicted reflection that is labelled by its Miller indices."""

    hkl: tuple[int, int, int]
    slow: float
    """Pixels, as the next."""
    fast: float
    value: float
    """The brightest block near it."""

    @property
    def text(self) -> str:
        return " ".join(map(str, self.hkl))


def brightest(spots: Spots, view: View, count: int) -> list[Label]:
    """The `count` predicted spots in a view that are brightest, as its blocks have it, and lie on a spot.

    Of reflections that fall together the one nearest to the brightest block is labelled.
    """
    blocks = view.blocks
    rows, columns, inside = _blocks_of(spots, view)
    if inside.size == 0:
        return []
    padded = np.pad(np.where(np.isfinite(blocks), blocks, -np.inf), REACH, constant_values=-np.inf)
    window = np.lib.stride_tricks.sliding_window_view(padded, (2 * REACH + 1, 2 * REACH + 1))
    near = window[rows[inside], columns[inside]].reshape(inside.size, -1)
    best, place = near.max(axis=1), near.argmax(axis=1)
    there = np.isfinite(best)
    finite = blocks[np.isfinite(blocks)]
    level = float(np.median(finite)) if finite.size else np.inf
    there &= best > level
    peak = np.stack(
        [rows[inside] + place // (2 * REACH + 1) - REACH, columns[inside] + place % (2 * REACH + 1) - REACH]
    )
    away = np.hypot(*(peak - np.stack([rows[inside], columns[inside]])))
    labels, seen = [], set()
    for n in np.lexsort((away, -best)):
        if len(labels) == min(count, LABEL_LIMIT) or not there[n]:
            break
        key = tuple(peak[:, n])
        if key not in seen:
            seen.add(key)
            spot = inside[n]
            hkl = tuple(int(x) for x in spots.hkl[spot])
            labels.append(Label(hkl, float(spots.slow[spot]), float(spots.fast[spot]), float(best[n])))
    return labels


def in_view(spots: Spots, view: View) -> int:
    """How many predicted reflections lie in a view, where it has a value."""
    rows, columns, inside = _blocks_of(spots, view)
    return int(np.isfinite(view.blocks[rows[inside], columns[inside]]).sum())


def _blocks_of(spots: Spots, view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row and column (n,) of the block of each reflection, and which of them (m,) are blocks of the view."""
    region, (slow, fast) = view.region, view.blocks.shape
    rows, columns = (
        np.floor((at - start) / view.factor).astype(np.int64)
        for at, start in ((spots.slow, region.slow_start), (spots.fast, region.fast_start))
    )
    return rows, columns, np.flatnonzero((rows >= 0) & (columns >= 0) & (rows < slow) & (columns < fast))


def reach(view: View, enlarged: int) -> float:
    """Radius of the circle around a spot, pixels of the picture."""
    return max(NEAR, 2.5 * enlarged / view.factor)


def placed(
    labels: Sequence[Label], view: View, enlarged: int, taken: Sequence[tuple[tuple[float, float], str]] = ()
) -> Iterator[tuple[Label, tuple[float, float], int | None]]:
    """Each label with the middle of its box, (fast, slow) pixels of the image; None last where there is no room.

    taken  middles (fast, slow) and texts that are drawn already
    """
    scale = view.factor / enlarged  # pixels of the image for one of the picture
    radius = reach(view, enlarged)
    boxes = [_box(*at, text, scale) for at, text in taken]
    boxes += [_square(one.fast, one.slow, radius * scale) for one in labels]
    region = view.region
    for number, label in enumerate(labels):
        wide, high = len(label.text) * CHARACTER / 2 + radius + 2, LINE / 2 + radius + 2
        own = len(taken) + number
        found = None
        for at, (x, y) in enumerate(((0, -high), (wide, 0), (0, high), (-wide, 0))):
            middle = (label.fast + x * scale, label.slow + y * scale)
            box = _box(*middle, label.text, scale)
            free = all(not _meet(box, other) for n, other in enumerate(boxes) if n != own)
            within = box[0] >= region.fast_start and box[2] <= region.fast_stop
            if free and within and box[1] >= region.slow_start and box[3] <= region.slow_stop:
                found = (middle, at)
                boxes.append(box)
                break
        yield label, *(found or ((label.fast, label.slow), None))


def apart(
    wanted: Iterable[tuple[tuple[float, float], str]],
    view: View,
    enlarged: int,
    cross: tuple[float, float] | None = None,
) -> list[tuple[tuple[float, float], str]]:
    """The labels, middles (fast, slow) and texts, without those that would lie on an earlier one or on a cross.

    Each is moved so that all of it is in the view.
    """
    scale = view.factor / enlarged
    boxes = [] if cross is None else [_square(*cross, CROSS * scale)]
    kept = []
    for at, text in wanted:
        middle = _moved_within(view, scale, at, text)
        box = _box(*middle, text, scale)
        if not any(_meet(box, other) for other in boxes):
            boxes.append(box)
            kept.append((middle, text))
    return kept


def _moved_within(view: View, scale: float, middle: tuple[float, float], text: str) -> tuple[float, float]:
    """The middle of a label (fast, slow), moved so that all of its text is in the view."""
    left, top, right, bottom = _box(*middle, text + " ", scale)  # and its halo
    region = view.region
    fast = middle[0] + max(0.0, region.fast_start - left) - max(0.0, right - region.fast_stop)
    return fast, middle[1] + max(0.0, region.slow_start - top) - max(0.0, bottom - region.slow_stop)


def _box(fast: float, slow: float, text: str, scale: float) -> tuple[float, float, float, float]:
    wide, high = len(text) * CHARACTER / 2 * scale, LINE / 2 * scale
    return fast - wide, slow - high, fast + wide, slow + high


def _square(fast: float, slow: float, half: float) -> tuple[float, float, float, float]:
    return fast - half, slow - half, fast + half, slow + half


def _meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
