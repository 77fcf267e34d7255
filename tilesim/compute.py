"""One tile of an image, by whichever kernel computes its pixels."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tilesim.errors import PlanError
from tilesim.frozen import frozen
from tilesim.model import Experiment, StructureFactors
from tilesim.tiling.tile import Tile

Numbers = npt.NDArray[np.int64]
"""Numbers (n,) of pixels, slow x width + fast: their places in the image."""
FloatArray = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Pixels = npt.NDArray[np.float32]
"""Photons (n,) of some pixels of an image"""
PRECISIONS = ("mixed", "double")
MOMENTS = 5
"""Numbers of the truth of a pixel: photons, wavelength, h, k, l."""
FLOAT32_ROOM = 1e36
"""Largest term that is summed in float32; beyond it everything is float64."""


@frozen
class Sharing:
    """What some kernels have in common, so that they can be used together; those of equal keys can."""

    key: Hashable
    photons: Callable[[Sequence[Any], Numbers, FloatArray], float] = field(compare=False)
    """Fills an array (kernel, n), whose rows are contiguous, with the photons of such kernels; the sum of solid angles
    of each"""


class Kernel(Protocol):
    """An experiment made ready for one device in one precision, to compute any of its pixels."""

    @property
    def experiment(self) -> Experiment:
        """The experiment that was made ready."""

    @property
    def device(self) -> str:
        """Device of the calculation."""

    @property
    def dtype(self) -> str:
        """Type of the sum's terms: float32 or float64."""

    @property
    def block(self) -> int:
        """Pixels per call."""

    def photons(self, numbers: Numbers) -> tuple[npt.NDArray[np.float64], float]:
        """Photons (n,) of the pixels with these numbers, and the sum of their solid angles."""

    def truth(self, numbers: Numbers) -> npt.NDArray[np.float64]:
        """Photons without background, mean wavelength in metres, mean h, k, l of these pixels: (5, n).

        Means are weighted with photons, NaN where there are none (physics/truth.py). Not for strict experiments.
        """

    def solid_angle(self, numbers: Numbers) -> float:
        """The sum of the solid angles in use over these pixels, their layers and sub-pixels, steradian."""

    @property
    def shared(self) -> Sharing | None:
        """What it may share with kernels of other frames; None: it is always used alone."""


@frozen
class PixelSums:
    """Sums over some pixels."""

    mean: float
    deviation: float
    """Sum of squared deviations from the mean."""
    squares: float
    """Sum of the squares, each rounded to float32 as the reference does."""
    maximum: float
    """Largest pixel; 0 where none is positive."""
    brightest: int
    """Place of the first pixel that has it; -1 where none is positive."""
    not_finite: int
    """Pixels that are NaN or infinite."""
    negative: int


class KernelModule(Protocol):
    """A module of kernels: one way of computing pixels, on one kind of device."""

    @property
    def NUMBERS_PER_PIXEL(self) -> int:
        """Float64 numbers that a call holds for each pixel."""

    def block_of(self, device: str) -> int:
        """Pixels per call on a device."""

    def lower_table(self, factors: StructureFactors, summed: str, device: str, wavelengths: Sequence[float]) -> Any:
        """The structure factors ready for look-up by sources of `wavelengths`; `summed` is the type of squares."""

    def sum_pixels(self, values: Pixels) -> PixelSums:
        """Sums over pixels (n,), of which there is at least one."""

    def lower(self, experiment: Experiment, precision: str, device: str, latch: int | None, table: Any) -> Kernel:
        """The kernel of an experiment, with its table (made here where that is None)."""


@frozen
class TileImage:
    """The pixels of one tile."""

    tile: Tile
    photons: npt.NDArray[np.float32]
    """(slow, fast); zero outside the region of interest and where masked"""
    solid_angle: float
    """Sum of the solid angles in use over pixels, layers and sub-pixels, steradian"""


def simulate_tile(kernel: Kernel, tile: Tile) -> TileImage:
    """Compute one tile. The result depends on the experiment and the pixel only, not on the tile's shape."""
    _, [image] = simulate_frames([kernel], tile)
    return image


def simulate_frames(kernels: Sequence[Kernel], tile: Tile) -> tuple[npt.NDArray[np.float32], list[TileImage]]:
    """Compute the same pixels by several kernels, one for each frame: those that share are used together.

    Returns the pixels (frame, slow, fast), and the images whose pixels they are.
    """
    photons, images = np.empty((len(kernels), *tile.shape), np.float32), list[TileImage]()
    for some in _alike(kernels):
        rows = photons[len(images) : len(images) + len(some)]
        angles = _simulate_together(some, tile, rows)
        images += [TileImage(tile, row, angles) for row in rows]
    return photons, images


def _alike(kernels: Sequence[Kernel]) -> Iterator[list[Kernel]]:
    """Kernels that follow each other and share, and the others one by one."""
    some = list(kernels[:1])
    for kernel in kernels[1:]:
        if kernel.shared is None or kernel.shared != some[0].shared:
            yield some
            some = []
        some.append(kernel)
    yield some


def _simulate_together(kernels: Sequence[Kernel], tile: Tile, photons: npt.NDArray[np.float32]) -> float:
    """Fill the pixels (frame, slow, fast) of kernels that share; the sum of their solid angles in each frame."""
    first, done, solid_angle = kernels[0], 0, 0.0
    within, active = rendered_part(first.experiment, tile)
    count = photons[0][within].size if active is None else int(np.count_nonzero(active))
    whole = count == tile.pixels
    values = photons.reshape(len(kernels), -1) if whole else np.empty((len(kernels), count), np.float32)
    with np.errstate(over="ignore"):  # beyond float32 is infinity, as in the reference
        for numbers in rendered_blocks(first.experiment, tile, first.block):
            part = slice(done, done + len(numbers))
            if first.shared is not None:
                angles = first.shared.photons(kernels, numbers, values[:, part])
            else:
                values[0, part], angles = first.photons(numbers)
            solid_angle += angles
            done = part.stop
    if not whole:
        photons.fill(0.0)
        for image, row in zip(photons, values, strict=True):
            rendered = image[within]
            rendered[... if active is None else active] = row.reshape(rendered.shape) if active is None else row
    return solid_angle


def known_tile(kernel: Kernel, tile: Tile, values: npt.NDArray[np.float32]) -> TileImage:
    """What `simulate_tile` gave when it made `values` (slow, fast): only the solid angle is computed again."""
    return TileImage(
        tile, values, sum(map(kernel.solid_angle, rendered_blocks(kernel.experiment, tile, kernel.block)), 0.0)
    )


def tile_truth(kernel: Kernel, tile: Tile) -> npt.NDArray[np.float32]:
    """The truth (5, slow, fast) of the pixels of a tile; that of no photons outside the region and where masked."""
    found = np.full((MOMENTS, *tile.shape), np.nan, np.float32)
    found[0] = 0.0
    within, active = rendered_part(kernel.experiment, tile)
    values = [*map(kernel.truth, rendered_blocks(kernel.experiment, tile, kernel.block))]
    if values:
        rendered = found[(slice(None), *within)]
        row = np.concatenate(values, axis=1)
        with np.errstate(over="ignore"):  # beyond float32 is infinity, as in the image
            rendered[... if active is None else (slice(None), active)] = (
                row.reshape(rendered.shape) if active is None else row
            )
    return found


def rendered_part(experiment: Experiment, tile: Tile) -> tuple[tuple[slice, slice], npt.NDArray[np.bool_] | None]:
    """The part of a tile's array that is in the region, and which pixels of it are not masked (None: all)."""
    region = experiment.region
    slow = _common(tile.slow_start, tile.slow_stop, region.slow_start, region.slow_stop)
    fast = _common(tile.fast_start, tile.fast_stop, region.fast_start, region.fast_stop)
    active = None if experiment.mask is None else experiment.mask.active[slice(*slow), slice(*fast)]
    within = (slice(*(n - tile.slow_start for n in slow)), slice(*(n - tile.fast_start for n in fast)))
    return within, active


def rendered_pixels(experiment: Experiment, tile: Tile) -> Numbers:
    """The pixels of a tile that are in the region and not masked."""
    return next(rendered_blocks(experiment, tile, tile.pixels), np.empty(0, np.int64))


def rendered_blocks(experiment: Experiment, tile: Tile, most: int) -> Iterator[Numbers]:
    """The same in order, at most so many at a time: they stay in a cache, which those of a large tile leave."""
    (slow, fast), active = rendered_part(experiment, tile)
    width = fast.stop - fast.start
    rows = max(1, most // max(1, width))
    columns = np.arange(fast.start, fast.stop) + tile.fast_start
    for top in range(slow.start, slow.stop, rows):
        some = slice(top, min(top + rows, slow.stop))
        numbers: Numbers = (np.arange(some.start, some.stop) + tile.slow_start)[:, None] * experiment.shape[1] + columns
        wanted = numbers.ravel() if active is None else numbers[active[top - slow.start :][: len(numbers)]]
        for start in range(0, len(wanted), most):
            yield wanted[start : start + most]


def _common(start: int, stop: int, low: int, high: int) -> tuple[int, int]:
    """The half-open range that two ranges share; empty ranges begin where they end."""
    first = min(max(start, low), stop)
    return first, max(first, min(stop, high))


def check_precision(precision: str) -> None:
    """Raise PlanError for a precision that does not exist."""
    if precision not in PRECISIONS:
        raise PlanError(f"precision is {precision!r}; expected one of {', '.join(PRECISIONS)}")


def summed_type(experiment: Experiment, precision: str) -> str:
    """Type of the terms of the sum: float64 also where one could leave the range of float32."""
    tallest = experiment.factors.highest * max((crystal.tallest for crystal in experiment.crystals), default=1.0)
    return "float64" if precision == "double" or tallest * tallest > FLOAT32_ROOM else "float32"
