"""Measured photons: the pixels of a dataset or of arrays, read tile by tile where they are compared."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.images.dataset import Dataset
from tilesim.tiling.tile import Tile

Array = npt.NDArray[np.float64]


class Measured(Protocol):
    """The measured pixels of all frames of a fit."""

    @property
    def name(self) -> str:
        """What it is, for people."""

    @property
    def digest(self) -> str:
        """SHA-256 that names the pixels: of their values, or of the file as it is now and what is made of it."""

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


@frozen(kw_only=True)
class OverBackground:
    """What images are measured over."""

    over: Measured | float = 0.0
    """Background: photons of every pixel, or of each"""

    def _digest(self, *about: object) -> str:
        over = self.over if isinstance(self.over, float) else self.over.digest
        return hashlib.sha256(json.dumps([*about, over]).encode()).hexdigest()

    def background(self, tile: Tile, frame: int) -> Array | float:
        return self.over if isinstance(self.over, float) else np.maximum(self.over.photons(tile, frame), 0.0)


@frozen
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

    @property
    def digest(self) -> str:
        about = [self.source.path, self.frames, self.gain, self.offset, self.readout]
        return self._digest(*about, _stamp(self.source.path))

    def photons(self, tile: Tile, frame: int) -> Array:
        image = self.source.numbers(self.frames[frame], tile.panel)
        values = np.asarray(image.block(*tile.slices), np.float64)
        return (values - self.offset) / self.gain


@frozen(eq=False)
class MeasuredArrays(OverBackground):
    """Arrays of photons, which travel to the workers."""

    arrays: Sequence[npt.NDArray[np.generic]]
    """One (slow, fast) or (panel, slow, fast) for each frame"""
    name: str = "data"
    readout: float = 0.0

    @property
    def digest(self) -> str:
        return self._digest(self.name, *(hashlib.sha256(one.tobytes()).hexdigest() for one in self.arrays))

    def photons(self, tile: Tile, frame: int) -> Array:
        array = self.arrays[frame]
        part = array[tile.panel] if array.ndim == 3 else array
        return np.asarray(part[tile.slices], np.float64)


@frozen
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


def measured_arrays(data: object, shape: tuple[int, ...], frames: int, name: str = "data") -> MeasuredArrays:
    """Arrays of the shape of the image, one for each frame; NaN where they are masked. Raises InputError."""
    whole = not isinstance(data, list | tuple) or all(isinstance(one, list | tuple | int | float) for one in data)
    arrays = [_array(one, name) for one in ([data] if whole else data)]  # type: ignore[attr-defined]
    if len(arrays) == 1 and arrays[0].shape == (frames, *shape):
        arrays = list(arrays[0])
    if len(arrays) != frames:
        raise InputError(f"{name} has {len(arrays)} images for {frames} experiments; expected one for each")
    for array in arrays:
        if array.shape != shape:
            raise InputError(f"{name} has the shape {array.shape}; expected that of the image, {shape}")
    return MeasuredArrays(arrays, name)


def _array(one: Any, name: str) -> npt.NDArray[np.generic]:
    try:
        array = np.ma.filled(one.astype(np.float64), np.nan) if np.ma.isMaskedArray(one) else np.asarray(one)
    except ValueError:
        raise InputError(f"{name} has rows of different lengths; expected an array") from None
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} is an array of {array.dtype}; expected real numbers")
    return array


def _stamp(path: str) -> list[int] | None:
    """When a local file, or the attributes of a store, were written last, and their size."""
    with suppress(OSError):
        found = os.stat(os.path.join(path, "zarr.json") if os.path.isdir(path) else path)
        return [found.st_mtime_ns, found.st_size]
    return None
