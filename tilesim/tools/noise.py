"""The noise of beam and detector on a part of an image: each pixel by itself, whatever part is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import field
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model.noise import Noise, PointSpread
from tilesim.model.sampling import Region
from tilesim.physics.poisson import poisson_counts
from tilesim.physics.response import digitised, flicker_factor, module_factors, pixel_factors, read_out
from tilesim.physics.spread import KERNELS, needed, spectrum_of, spread
from tilesim.tiling.tile import Tile
from tilesim.tools.gains import Gains, PixelMap, coded, decoded, gains_of

Read = Callable[[slice, slice], np.ndarray]
"""Pixels (slow, fast) of rows and columns of one frame and panel."""


@frozen
class PixelType:
    """Type of the numbers that detectors write."""

    dtype: str
    largest: float
    blank: float
    """Mark of a pixel that was not simulated"""

    @property
    def whole(self) -> bool:
        return np.dtype(self.dtype).kind in "iu"


PIXEL_TYPES = {
    "uint16": PixelType("uint16", 65534.0, 65535.0),
    "int32": PixelType("int32", 2.0**31 - 1, -1.0),
    "float32": PixelType("float32", math.inf, math.nan),
}
"""The mark is that of `tilesim.images.absent`; what is measured stays below it."""


@frozen
class Measurement:
    """How one frame of one panel is measured."""

    noise: Noise
    pixel_type: PixelType
    shape: tuple[int, int]
    """Pixels (slow, fast) of the panel."""
    region: Region
    """The part that was simulated; the rest has no value."""
    dead: Read | None = None
    """Where not zero, a pixel sees nothing."""
    hot: Read | None = None
    """Where not zero, a pixel is overloaded in every frame."""
    maps: Mapping[str, PixelMap] = field(default_factory=dict)
    """Offset, gain and noise of every pixel, by name."""

    def __post_init__(self) -> None:
        if self.overload > self.pixel_type.largest:
            raise InputError(
                f"overload is {self.overload:g}; expected at most {self.pixel_type.largest:.0f}, the largest number of"
                f" {self.pixel_type.dtype} pixels"
            )
        if self.hot is not None and math.isinf(self.overload):
            raise InputError(f"hot pixels among {self.pixel_type.dtype} pixels need an overload value")

    @property
    def overload(self) -> float:
        """Largest value of a pixel, detector units."""
        wanted = self.noise.overload
        if wanted is None:
            return self.pixel_type.largest
        return float(np.dtype(self.pixel_type.dtype).type(wanted)) if wanted <= self.pixel_type.largest else wanted


def measured(measurement: Measurement, read: Read, tile: Tile) -> np.ndarray:
    """The pixels of one tile with noise.

    read     expected photons; NaN where there are none, and those pixels have no value in the result either
    returns  (slow, fast) of the pixel type
    """
    noise, pixel_type = measurement.noise, measurement.pixel_type
    signal, blank = _detected_photons(measurement, read, tile)
    rows, columns = tile.slices
    if measurement.dead is not None:
        signal[_where(measurement.dead, rows, columns)] = 0.0
    pixel = _pixel_indices((rows.start, rows.stop), (columns.start, columns.stop), measurement.shape)
    source = {"seed": noise.seed, "frame": tile.frame, "panel": tile.panel}
    gains = gains_of(noise, measurement.maps, rows, columns)
    if gains is None:
        flat = signal.reshape(-1)
        units = read_out(flat, pixel, gain=noise.gain, offset=noise.offset, noise=noise.readout, **source)
        units = units.reshape(signal.shape)
    else:
        units, stage = gains.units(signal, pixel, source)
        if noise.switching is not None:
            units = coded(units, stage, noise.switching, pixel_type.whole)
    units = digitised(units, measurement.overload) if pixel_type.whole else units.clamp(max=measurement.overload)
    if measurement.hot is not None:
        units[_where(measurement.hot, rows, columns)] = measurement.overload
    units[blank] = pixel_type.blank
    with np.errstate(over="ignore"):
        return units.to(torch.float64).numpy().astype(pixel_type.dtype)


def _detected_photons(measurement: Measurement, read: Read, tile: Tile) -> tuple[Tensor, Tensor]:
    """Photons that the pixels of a tile see, and which of them have no value; float64 and bool tensors."""
    noise, shape = measurement.noise, measurement.shape
    rows, columns = (tile.slow_start, tile.slow_stop), (tile.fast_start, tile.fast_stop)
    if noise.point_spread is None:
        return _counted(measurement, read, tile, rows, columns)
    radius = noise.point_spread.radius
    around = (needed(rows, radius, shape[0]), needed(columns, radius, shape[1]))
    photons, blank = _counted(measurement, read, tile, *around)
    (top, _), (left, _) = around
    inside = (slice(rows[0] - top, rows[1] - top), slice(columns[0] - left, columns[1] - left))
    infinite = photons[inside].isinf()
    photons[photons.isinf()] = 0.0
    signal = spread(photons, (top, left), rows, columns, _spectrum(noise.point_spread), radius)
    signal[infinite] = math.inf
    return signal, blank[inside]


def _counted(
    measurement: Measurement, read: Read, tile: Tile, rows: tuple[int, int], columns: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Photons that arrive at some pixels, before they spread, and which pixels have no value (there they are 0)."""
    noise, shape = measurement.noise, measurement.shape
    photons = torch.from_numpy(np.array(read(slice(*rows), slice(*columns)), np.float64))
    blank = _blank(photons, measurement.region, (rows[0], columns[0]))
    photons[blank] = 0.0
    photons *= noise.scale
    if noise.flicker > 0.0:
        photons *= flicker_factor(noise.flicker, seed=noise.seed, frame=tile.frame)
    pixel = _pixel_indices(rows, columns, shape)
    detector = {"seed": noise.calibration_seed, "panel": tile.panel}
    if noise.calibration > 0.0:
        photons *= pixel_factors(noise.calibration, pixel, **detector).reshape(photons.shape)
    if noise.module_calibration > 0.0:
        module = noise.module or shape
        across = -(-shape[1] // module[1])
        numbers = (torch.arange(*rows), torch.arange(*columns))
        photons *= module_factors(noise.module_calibration, *numbers, module, across, **detector)
    if noise.photon_noise:
        frame = {"seed": noise.seed, "frame": tile.frame, "panel": tile.panel}
        photons = poisson_counts(photons.reshape(-1), pixel, **frame).reshape(photons.shape)
    return photons, blank


def _blank(photons: Tensor, region: Region, corner: tuple[int, int]) -> Tensor:
    """Where pixels (a tensor that begins at pixel `corner`) have no value: NaN, or outside the region."""
    blank = photons.isnan()
    blank[: max(0, region.slow_start - corner[0])] = True
    blank[max(0, region.slow_stop - corner[0]) :] = True
    blank[:, : max(0, region.fast_start - corner[1])] = True
    blank[:, max(0, region.fast_stop - corner[1]) :] = True
    return blank


def _pixel_indices(rows: tuple[int, int], columns: tuple[int, int], shape: tuple[int, int]) -> Tensor:
    """(n,) int64: index in the panel of every pixel of a part of it."""
    return (torch.arange(*rows)[:, None] * shape[1] + torch.arange(*columns)).reshape(-1)


def _where(mask: Read, rows: slice, columns: slice) -> Tensor:
    return torch.from_numpy(np.asarray(mask(rows, columns)) != 0)


def _linear(gains: Gains, measurement: Measurement, values: np.ndarray) -> np.ndarray:
    """What pixels (slow, fast) would hold with the gain and the offset of the noise, whatever their own."""
    noise = measurement.noise
    units, stage = decoded(np.nan_to_num(values.astype(np.float64)), gains.switching)
    if noise.switching is None:
        units, stage = torch.from_numpy(values.astype(np.float64)), torch.zeros(values.shape, dtype=torch.int64)
    linear: np.ndarray = (gains.photons(units, stage) * noise.gain + noise.offset).numpy()
    return linear


@lru_cache(maxsize=2)
def _spectrum(point_spread: PointSpread) -> Tensor:
    """Weights of the kernel, scaled to a sum of 1."""
    kernel = KERNELS[point_spread.shape.value](point_spread.fwhm, point_spread.radius)
    return spectrum_of(kernel / kernel.sum())


@frozen
class NoiseFigures:
    """What is said of some measured pixels; figures of tiles merged in any order are those of the image."""

    pixels: int = 0
    """Pixels that have a value"""
    total: float = 0.0
    """Detector units"""
    largest: float = -math.inf
    overloads: int = 0
    """Pixels at the overload value that are not hot"""
    blank: int = 0
    """Pixels without a value"""
    negative: int = 0
    """Pixels where less than 0 photons were expected; they count as 0"""

    def merge(self, other: NoiseFigures) -> NoiseFigures:
        """The figures of both parts."""
        return NoiseFigures(
            self.pixels + other.pixels,
            self.total + other.total,
            max(self.largest, other.largest),
            self.overloads + other.overloads,
            self.blank + other.blank,
            self.negative + other.negative,
        )

    def photons(self, noise: Noise) -> float:
        """Photons that were read above the offset."""
        return (self.total - noise.offset * self.pixels) / noise.gain

    def as_plain(self, measurement: Measurement) -> dict[str, float | int | None]:
        """The figures as plain values; None where no pixel has a value."""
        return {
            "pixels": self.pixels,
            "mean": self.total / self.pixels if self.pixels else None,
            "largest": self.largest if self.pixels else None,
            "photons": self.photons(measurement.noise),
            "overloads": self.overloads,
            "overload": measurement.overload,
            "blank": self.blank,
            "negative": self.negative,
        }


def noise_figures(measurement: Measurement, read: Read, tile: Tile, values: np.ndarray) -> NoiseFigures:
    """The figures of a tile with noise (`values`), which may have been computed by an earlier run."""
    rows, columns = tile.slices
    expected = torch.from_numpy(np.array(read(rows, columns), np.float64))
    blank = _blank(expected, measurement.region, (rows.start, columns.start)).numpy()
    valid = values[~blank].astype(np.float64)
    gains = gains_of(measurement.noise, measurement.maps, rows, columns)
    if gains is not None:
        valid = _linear(gains, measurement, values)[~blank]
    above = (values >= measurement.overload) & ~blank
    if measurement.hot is not None:
        above &= np.asarray(measurement.hot(rows, columns)) == 0
    return NoiseFigures(
        int(valid.size),
        float(valid.sum()),
        float(valid.max(initial=-math.inf)),
        int(above.sum()),
        int(blank.sum()),
        int((expected.numpy()[~blank] < 0.0).sum()),
    )
