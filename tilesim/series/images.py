"""The flat images made from a finished float image, band by band: SMV, PGM and noise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from tilesim.engine.statistics import Summary
from tilesim.frozen import frozen
from tilesim.images.counts import int_pixels
from tilesim.images.flat import band_rows, convert_bands, write_banded
from tilesim.images.pgm import pgm_header, pgm_pixels
from tilesim.model.sampling import Region
from tilesim.series.frames import Frame


class FinishedImage(Protocol):
    """A finished image that is read in bands: a `FloatImage`, or a frame of a store."""

    shape: tuple[int, int]
    """Pixels (slow, fast)."""

    def bands(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """First row and float32 pixels (up to `rows`, fast), from top to bottom."""


@frozen
class Scales:
    """What the pixels of the scaled images were multiplied by, and what the noise added up to."""

    int_scale: float
    pgm_scale: float
    photons: float = 0.0
    overloads: int = 0


class NoiseSampler(Protocol):
    """What draws a noise image; the totals add up as bands are drawn."""

    photons: float
    """Counts before offset and clipping"""
    overloads: int
    """Pixels above 65535"""

    def bands(self, bands: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """uint16 (rows, fast) for each float32 (rows, fast), the whole image in order."""


def write_images(frame: Frame, image: FinishedImage, summary: Summary) -> Scales:
    """Write the SMV, PGM and noise images that the frame names (spec files 7, 8; noise 7). Raises StoreError."""
    outputs, region = frame.outputs, frame.experiment.region
    rows = band_rows(image.shape)
    int_scale = outputs.scale if outputs.scale > 0 else 55000.0 / summary.max_I if summary.max_I > 0 else 1.0
    pgm_scale = outputs.pgm_scale
    if not pgm_scale > 0:
        pgm_scale = 250.0 / (5.0 * summary.rmsd) if summary.rmsd > 0 else int_scale
    if outputs.int_file is not None:
        pixels = convert_bands(image.bands(rows), region, lambda v: int_pixels(v, int_scale, outputs.adc))
        write_banded(outputs.int_file, _header(frame, int_scale), pixels)
    if outputs.pgm_file is not None:
        pixels = convert_bands(image.bands(rows), region, lambda v: pgm_pixels(v, pgm_scale))
        write_banded(outputs.pgm_file, pgm_header(image.shape, pgm_scale), pixels)
    photons, overloads = 0.0, 0
    if outputs.noise_file is not None:
        noise = _noise(frame)
        bands = noise.bands(band for _, band in image.bands(rows))
        write_banded(outputs.noise_file, _header(frame, 1.0), bands)
        photons, overloads = noise.photons, noise.overloads
    return Scales(int_scale, pgm_scale, photons, overloads)


def _header(frame: Frame, scale: float) -> bytes:
    """Header of an SMV image: nanoBragg's own for its command lines, else the one of exported images."""
    if frame.command is not None:
        from tilesim.nanobragg.headers import smv_header

        return smv_header(frame.command, frame.experiment)
    from tilesim.images.smv import stacked_header

    return stacked_header(frame.experiment, frame.outputs.adc, scale)


def _noise(frame: Frame) -> NoiseSampler:
    """What draws the noise image; strictly nanoBragg's sequential stream where its state is known."""
    outputs, region, command = frame.outputs, frame.experiment.region, frame.command
    if command is not None and command.strict_c:
        from tilesim.nanobragg.noise import NoiseReplay

        return NoiseReplay(region, outputs.adc, -outputs.seed, command.noise_state)
    return _Counted(region, outputs.adc, outputs.seed, frame.number)


class _Counted:
    """Photon counts that depend on seed, frame and pixel only; the totals add up as bands are drawn."""

    def __init__(self, region: Region, adc: float, seed: int, frame: int) -> None:
        self.photons = 0.0
        self.overloads = 0
        self._region, self._adc, self._seed, self._frame = region, adc, seed % 2**64, frame

    def bands(self, bands: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """uint16 (rows, fast) for each float32 (rows, fast), the whole image in order."""
        import torch

        from tilesim.physics.poisson import noise_pixels, poisson_counts

        top, region = 0, self._region
        columns = slice(region.fast_start, region.fast_stop)
        for band in bands:
            rows = slice(max(0, region.slow_start - top), max(0, region.slow_stop - top))
            noisy = np.zeros(band.shape, np.uint16)
            means = torch.from_numpy(band[rows, columns].astype(np.float64))
            numbers = torch.arange(band.size).reshape(band.shape)[rows, columns] + top * band.shape[1]
            source = {"seed": self._seed, "frame": self._frame}
            counts = poisson_counts(means.reshape(-1), numbers.reshape(-1), **source)
            pixels, overloads = noise_pixels(counts, self._adc)
            noisy[rows, columns] = pixels.numpy().reshape(means.shape)
            self.photons += float(counts.sum())
            self.overloads += overloads
            top += len(band)
            yield noisy
