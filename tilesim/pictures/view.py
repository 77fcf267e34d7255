"""A part of an image, reduced to blocks of pixels, as it is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np

from tilesim.frozen import frozen
from tilesim.geometry.assembly import Assembly
from tilesim.model.sampling import Region

MAXIMUM, MEAN = "maximum", "mean"


@frozen
class View:
    """Blocks of `factor` x `factor` pixels that cover a region of an image."""

    blocks: np.ndarray
    """(slow, fast); NaN where there is no pixel"""
    region: Region
    """Pixels; it begins on a block, and ends with one or with the image."""
    factor: int = 1
    reduced: str = MAXIMUM
    """What a block is of its pixels."""
    units: str = "photons / pixel"

    @property
    def described(self) -> str:
        """What a block is, in words; nothing where it is a pixel."""
        return f"{self.reduced} of {self.factor} x {self.factor} pixels" if self.factor > 1 else ""


def block_maxima(bands: Iterable[tuple[int, np.ndarray]], shape: tuple[int, int], factor: int) -> np.ndarray:
    """The maxima (slow, fast) of blocks of `factor` x `factor` pixels: a spot of one pixel survives.

    bands  pairs of (first slow index, pixels (rows, fast)) from top to bottom

    NaN only where a block has no number at all.
    """
    blocks = np.full(tuple(-(-n // factor) for n in shape), np.nan)
    columns = np.arange(0, shape[1], factor)
    for start, band in bands:
        rows = np.arange(start, start + len(band))
        first = np.flatnonzero(np.diff(rows // factor, prepend=-1))
        # fmax and not maximum: a NaN must not hide its neighbours.
        maxima = np.fmax.reduceat(np.fmax.reduceat(band, columns, axis=1), first, axis=0)
        where = rows[first] // factor
        blocks[where] = np.fmax(blocks[where], maxima)
    return blocks


def assembled_maxima(bands: Iterable[tuple[int, np.ndarray]], assembly: Assembly, factor: int) -> np.ndarray:
    """The maxima (slow, fast) of blocks of `factor` x `factor` pixels of the plane; NaN where there is no pixel.

    bands  pairs of (first slow index, pixels (rows, fast)) of the panels, stacked along the slow axis
    """
    blocks = np.full(tuple(-(-n // factor) for n in assembly.plane.shape), np.nan)
    for number, first, band in _parts(bands, assembly):
        rows = (first, first + len(band))
        row, column, slow, fast = assembly.sources(number, assembly.box(number, rows, (0, band.shape[1])))
        own = (slow >= rows[0]) & (slow < rows[1])
        at = (row[own] // factor, column[own] // factor)
        np.fmax.at(blocks, at, band[slow[own] - first, fast[own]].astype(np.float64))
    return blocks


def _parts(bands: Iterable[tuple[int, np.ndarray]], assembly: Assembly) -> Iterator[tuple[int, int, np.ndarray]]:
    """Panel, first row on it, and pixels of one part of a band of stacked panels after the other."""
    heights = [panel.shape[0] for panel in assembly.panels]
    tops = np.cumsum([0, *heights])
    for start, band in bands:
        for number, (top, bottom) in enumerate(pairwise(tops)):
            first, last = max(start, int(top)), min(start + len(band), int(bottom))
            if first < last:
                yield number, first - int(top), band[first - start : last - start]
