"""Which pixels of an image have no value: the one place that says so, for marks among numbers and for masks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tilesim.frozen import frozen
from tilesim.model import Experiment

ABSENT = -1
"""What a pixel without a value is among signed whole numbers; among unsigned ones it is their largest."""


@frozen
class Marks:
    """Numbers that stand for no value. NaN always does."""

    least: float | None = None
    """Smaller numbers do."""
    most: float | None = None
    """Larger numbers do."""
    blank: float | None = None
    """This number does."""

    def found(self, pixels: np.ndarray) -> np.ndarray:
        """Where pixels (slow, fast) hold such a number."""
        where: np.ndarray = np.isnan(pixels) if pixels.dtype.kind == "f" else np.zeros(pixels.shape, bool)
        # An unsigned number is not below 0, whatever numpy makes of -1 there.
        if self.least is not None and pixels.dtype.kind != "u":
            where |= pixels < self.least
        if self.most is not None:
            where |= pixels > self.most
        if self.blank is not None:
            where |= pixels == self.blank
        return where


def usual_marks(dtype: np.dtype) -> Marks:
    """What detectors and programs agree on: NaN; below 0; the largest number, of 32 bits and more also that before it.

    These two are -1 and -2 of a signed type of the same size.
    """
    if dtype.kind == "f":
        return Marks()
    if dtype.kind == "i":
        return Marks(least=0)
    return unsigned_marks(8 * dtype.itemsize, 1 if dtype.itemsize < 4 else 2)


def unsigned_marks(bits: int, count: int) -> Marks:
    """The `count` largest numbers of so many bits, and what is larger still."""
    return Marks(most=2**bits - 1 - count)


def mark_of(dtype: np.dtype) -> float:
    """What a pixel without a value is in a file of numbers of a type, by the usual marks."""
    if dtype.kind == "f":
        return float("nan")
    return ABSENT if dtype.kind == "i" else int(np.iinfo(dtype).max)


def blank_marks(fill: Any) -> Marks:
    """The fill value of a store or dataset: 0 is a number like others."""
    number = 0 if fill is None else np.asarray(fill).item()
    return Marks(blank=number if number and math.isfinite(number) else None)


def outside(experiment: Experiment) -> np.ndarray | None:
    """Where an image (slow, fast), panels stacked, has no value: masked, or not in the region; None for nowhere."""
    (slow, fast), region, mask = experiment.shape, experiment.region, experiment.mask
    if region.pixels == slow * fast and (mask is None or mask.active.all()):
        return None
    where = np.ones((slow, fast), bool)
    inside = (slice(region.slow_start, region.slow_stop), slice(region.fast_start, region.fast_stop))
    where[inside] = False if mask is None else ~mask.active[inside]
    return where


def as_numbers(pixels: np.ndarray, absent: np.ndarray) -> np.ndarray:
    """Pixels as floats, NaN where they have no value."""
    if pixels.dtype.kind == "f":
        return np.where(absent, np.nan, pixels).astype(pixels.dtype) if absent.any() else pixels
    # Whole numbers of 16 bits are exact in single precision.
    numbers = pixels.astype(np.float32 if pixels.dtype.itemsize <= 2 else np.float64)
    numbers[absent] = np.nan
    return numbers
