"""A part of an image, reduced to blocks of pixels, as it is looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tilesim.model.sampling import Region

MAXIMUM, MEAN = "maximum", "mean"


@dataclass(frozen=True)
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
