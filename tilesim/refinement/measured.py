"""Measured photons: the pixels of a dataset or of arrays, read tile by tile where they are compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tilesim.errors import InputError
from tilesim.images.dataset import Dataset
from tilesim.tiling.tile import Tile

Array = npt.NDArray[np.float64]


class Measured(Protocol):
    """The measured pixels of all frames of a fit."""

    @property
    def name(self) -> str:
        """What it is, for people."""

    @property
    def readout(self) -> float:
        """Standard deviation of the read-out, photons, as far as it is known."""

    @property
    def over(self) -> Measured | float:
        """Background: photons of every pixel, or of each."""

    def photons(self, tile: Tile, frame: int) -> Array:
        """Photons (slow, fast) of a tile in a frame; NaN where a pixel has no value."""

    def background(self, tile: Tile, frame: int) -> Array | float:
        """Photons that are expected there besides those of the experiment."""


@dataclass(frozen=True, kw_only=True)
class OverBackground:
    """What images are measured over."""

    over: Measured | float = 0.0
    """Background: photons of every pixel, or of each"""

    def background(self, tile: Tile, frame: int) -> Array | float:
        return self.over if isinstance(self.over, float) else np.maximum(self.over.photons(tile, frame), 0.0)


@dataclass(frozen=True)
class MeasuredImages(OverBackground):
    """Frames of a dataset, which every process reads itself."""

    source: Dataset
    frames: tuple[int, ...]
    """Places in the dataset"""
    gain: float
    """Detector units of a photon"""
    offset: float
    """Detector units of none"""
    readout: float = 0.0

    @property
    def name(self) -> str:
        return self.source.path

    def photons(self, tile: Tile, frame: int) -> Array:
        image = self.source.numbers(self.frames[frame], tile.panel)
        values = np.asarray(image.block(*tile.slices), np.float64)
        return (values - self.offset) / self.gain


@dataclass(frozen=True, eq=False)
class MeasuredArrays(OverBackground):
    """Arrays of photons, which travel to the workers."""

    arrays: Sequence[npt.NDArray[np.generic]]
    """One (slow, fast) or (panel, slow, fast) for each frame"""
    name: str = "data"
    readout: float = 0.0

    def photons(self, tile: Tile, frame: int) -> Array:
        array = self.arrays[frame]
        part = array[tile.panel] if array.ndim == 3 else array
        return np.asarray(part[tile.slices], np.float64)


@dataclass(frozen=True)
class Readout:
    """How photons became the numbers of a dataset."""

    gain: float
    """Detector units of a photon"""
    offset: float
    """Mean of a pixel without photons"""
    noise: float
    """Standard deviation of the read-out, photons"""


def stated_readout(source: Dataset) -> Readout:
    """What a dataset says of its read-out; one unit for a photon where it says nothing."""
    gain, offset, noise = source.gain, source.offset or 0.0, source.attributes.get("noise")
    stated = noise if isinstance(noise, dict) else {}
    readout = stated.get("readout") or 0.0
    dropped = str(stated.get("dtype", "")).startswith(("int", "uint")) and (readout or not float(gain).is_integer())
    if dropped:  # the fractions of whole numbers: half a unit on the average, and a twelfth of variance
        return Readout(gain, offset - 0.5, math.sqrt(readout * readout + 1.0 / 12.0) / gain)
    return Readout(gain, offset, readout / gain)


def measured_arrays(data: object, shape: tuple[int, ...], frames: int) -> MeasuredArrays:
    """Arrays of the shape of the image, one for each frame. Raises InputError."""
    listed = data if isinstance(data, list | tuple) else [data]
    arrays = [np.asarray(one) for one in listed]
    if len(arrays) == 1 and frames > 1 and arrays[0].shape == (frames, *shape):
        arrays = list(arrays[0])
    if len(arrays) != frames:
        raise InputError(f"data has {len(arrays)} images for {frames} experiments; expected one for each")
    for array in arrays:
        if array.shape != shape:
            raise InputError(f"data has the shape {array.shape}; expected that of the image, {shape}")
    return MeasuredArrays(arrays)
