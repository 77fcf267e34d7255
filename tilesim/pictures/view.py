"""A part of an image, reduced to blocks of pixels, as it is looked at."""

from __future__ import annotations

import dataclasses
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
    maxima_means: np.ndarray | None = None
    """Means of the pixels of blocks that are maxima, where they were asked for."""

    @property
    def means(self) -> np.ndarray:
        """Means of the pixels (slow, fast) of every block."""
        return self.blocks if self.maxima_means is None else self.maxima_means

    @property
    def described(self) -> str:
        """What a block is, in words; nothing where it is a pixel."""
        return f"{self.reduced} of {self.factor} x {self.factor} pixels" if self.factor > 1 else ""


def coarser(view: View, times: int) -> View:
    """The same in blocks of `times` x `times` of its blocks: maxima of maxima, means of means."""
    if times == 1:
        return view
    factor = view.factor * times
    starts = (view.region.slow_start, view.region.fast_start)
    # Blocks begin at multiples of their size, wherever the region does.
    before = [start // view.factor % times for start in starts]
    after = [-(lead + n) % times for lead, n in zip(before, view.blocks.shape, strict=True)]
    padded = np.pad(view.blocks, list(zip(before, after, strict=True)), constant_values=np.nan)
    parts = padded.reshape(padded.shape[0] // times, times, padded.shape[1] // times, times)
    region = dataclasses.replace(
        view.region, slow_start=starts[0] // factor * factor, fast_start=starts[1] // factor * factor
    )
    reduced = _mean(parts) if view.reduced == MEAN else np.fmax.reduce(parts, axis=(1, 3))
    return View(reduced, region, factor, view.reduced, view.units)


def _mean(parts: np.ndarray) -> np.ndarray:
    """The means (slow, fast) of parts (slow, rows, fast, columns), of what is there."""
    counts = np.isfinite(parts).sum(axis=(1, 3))
    sums = np.where(np.isfinite(parts), parts, 0.0).sum(axis=(1, 3))
    means: np.ndarray = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means


class BlockMeans:
    """The means of blocks of `factor` x `factor` pixels, of bands as they come; NaN where a block has no number."""

    def __init__(self, factor: int) -> None:
        self._factor = factor
        self._rows: list[np.ndarray] = []

    def watching(self, bands: Iterable[tuple[int, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
        """The same bands, each of which begins on a block, as they are read by somebody else."""
        for start, band in bands:
            after = [-n % self._factor for n in band.shape]
            padded = np.pad(np.asarray(band, np.float64), [(0, n) for n in after], constant_values=np.nan)
            rows, columns = (n // self._factor for n in padded.shape)
            self._rows.append(_mean(padded.reshape(rows, self._factor, columns, self._factor)))
            yield start, band

    @property
    def blocks(self) -> np.ndarray:
        """(slow, fast), of all bands so far."""
        return np.concatenate(self._rows)


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
