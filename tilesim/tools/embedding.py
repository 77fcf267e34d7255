"""How much of every frame a page holds: its file has a bound, and all frames have a thumbnail at least."""

from __future__ import annotations

import math

import numpy as np

from tilesim.frozen import frozen
from tilesim.pictures.coding import TILE
from tilesim.pictures.view import View, coarser

BLOCKS = 2**24
"""Blocks of all frames and projections together, besides thumbnails."""
PROJECTIONS = 2
LEAST_EDGE = 128
"""Blocks along the longer edge that are not reduced further: of more frames some have thumbnails alone."""
THUMBNAIL = 96
"""Blocks along the longer edge of a thumbnail, at most."""


@frozen
class Embedding:
    """What is embedded of frames that are read as blocks of one shape."""

    frames: int
    times: int
    """Blocks as they are read that make one of the page, along an edge"""
    large: frozenset[int]
    """Which frames have more than a thumbnail, evenly spaced"""

    @classmethod
    def of(cls, shape: tuple[int, int], frames: int) -> Embedding:
        """For so many frames of blocks (slow, fast)."""
        times = 1
        pictures = frames + (PROJECTIONS if frames > 1 else 0)
        while frames > 1 and pictures * _size(shape, times) > BLOCKS and max(shape) // (2 * times) >= LEAST_EDGE:
            times *= 2
        count = max(1, min(frames, BLOCKS // _size(shape, times) - PROJECTIONS))
        return cls(frames, times, frozenset(np.rint(np.linspace(0, frames - 1, count)).astype(int).tolist()))

    def views(self, number: int, view: View) -> list[View]:
        """What is embedded of the frame of a number, counted from 0, the finest first."""
        large = with_levels(coarser(view, self.times)) if number in self.large else []
        return large if self.frames == 1 else [*large, *_thumbnail(large[-1] if large else view, not large)]

    def projected(self, view: View) -> list[View]:
        """What is embedded of a projection of all frames."""
        return with_levels(coarser(view, self.times))

    def described(self, view: View) -> str:
        """The same in words, for a frame like this."""
        first = coarser(view, self.times)
        size = "{1} x {0} blocks (fast x slow)".format(*first.blocks.shape)
        large = f"{size}, {first.described}" if first.described else f"all {size.replace('blocks', 'pixels')}"
        small = _thumbnail(with_levels(first)[-1], True)[0]
        thumbnails = f"thumbnails: {small.described or 'the same'}"
        if len(self.large) == self.frames:
            return f"Every frame has {large}; {thumbnails}."
        some = f"{len(self.large)} of {self.frames} frames, evenly spaced, have {large}"
        return f"{some}; the others are thumbnails alone; {thumbnails}."


def with_levels(view: View) -> list[View]:
    """A view and coarser ones, down to what fits on a screen."""
    views = [view]
    while max(views[-1].blocks.shape) > 2 * TILE:
        views.append(coarser(views[-1], 2))
    return views


def _thumbnail(view: View, always: bool) -> list[View]:
    """The view in blocks few enough; none where it is small itself, unless it is wanted anyway."""
    times = 2 ** max(0, math.ceil(math.log2(max(view.blocks.shape) / THUMBNAIL)))
    return [coarser(view, times)] if times > 1 or always else []


def _size(shape: tuple[int, int], times: int) -> int:
    return -(-shape[0] // times) * -(-shape[1] // times)
