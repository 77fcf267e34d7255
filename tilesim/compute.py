"""Where model meets physics: an experiment lowered to tensors, and one tile of it computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from tilesim.errors import PlanError
from tilesim.model import Experiment, StructureFactors
from tilesim.model.vectors import scale
from tilesim.physics.background import water_background
from tilesim.physics.factors import FactorTable, make_table
from tilesim.physics.intensity import Accumulate, Pixels, Setup, accumulate, photons, rays
from tilesim.physics.lattice import Lattice
from tilesim.physics.rotate import carried_over, spindle_cells
from tilesim.physics.strict import first_exit, strict_photons
from tilesim.tiling.tile import Tile

CPU_BLOCK = 24576
"""Pixels per pass on a CPU: few enough for the cache and for one thread, enough to hide the cost of a call."""
COMPILED_BLOCK = 65536
"""As above for a compiled kernel, whose calls cost more and whose arrays are fewer."""
GPU_BLOCK = 2**20
PADDING = 64
"""Lists are padded to a multiple of this: vector instructions then treat every pixel alike (no scalar tail)."""
FLOAT32_ROOM = 1e36
"""Largest term that is summed in float32; beyond it everything is float64."""

PRECISIONS = ("mixed", "double")


@dataclass(frozen=True)
class Lowered:
    """An experiment on one device in one precision, ready to compute any tile."""

    experiment: Experiment
    setup: Setup
    device: torch.device
    accumulate: Accumulate = accumulate
    block: int = CPU_BLOCK
    """Pixels per pass"""
    first_pixel: int | None = None
    """Strict only: the pixel whose first spindle step is not carried over (spec intensity 8.1)"""


@dataclass(frozen=True)
class TileImage:
    """The pixels of one tile."""

    tile: Tile
    photons: np.ndarray
    """(slow, fast) float32; zero outside the region of interest and where masked"""
    solid_angle: float
    """Sum of the solid angles in use over pixels, layers and sub-pixels, steradian"""


def lower(
    experiment: Experiment,
    precision: str = "mixed",
    device: str | torch.device = "cpu",
    accumulate: Accumulate = accumulate,
    latch: int | None = None,
    convert: Callable[[Lattice], Lattice] | None = None,
    block: int = CPU_BLOCK,
    table: FactorTable | None = None,
) -> Lowered:
    """Tensors on `device` from the nouns of `experiment`.

    precision  "mixed": float64 up to the fractions of h, k, l, then float32; "double": all float64
    latch      strict only, from `find_latch`
    convert    what a compiled kernel makes of the lattice's numbers
    block      pixels per pass
    table      from `lower_table` for the same structure factors, dtype and device; None makes it
    """
    if precision not in PRECISIONS:
        raise PlanError(f"precision is {precision!r}; expected one of {', '.join(PRECISIONS)}")
    device = torch.device(device)
    beam, crystal, scan, sampling = experiment.beam, experiment.crystal, experiment.scan, experiment.sampling
    panel, factors = experiment.detector.panels[0], experiment.factors

    def tensor(values) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64, device=device)

    angles, first_pixel = scan.angles, None
    if sampling.strict_c and 0.0 in angles and any(angles):
        first_pixel = _first_pixel(experiment) if angles[0] == 0.0 else None
        angles = carried_over(angles)

    volume = math.prod(map(float, crystal.cells))
    dtype = summed_dtype(experiment, precision)

    # Without a sensor nothing is absorbed; the reference's -oversample_thick then captures nothing at all.
    sensor = panel.sensor
    nothing_captured = sensor is None and sampling.strict_c and sampling.oversample_thick
    cell = torch.tensor([crystal.a, crystal.b, crystal.c], dtype=torch.float64)
    setup = Setup(
        lattice=Lattice(
            shape=crystal.shape.value,
            cells=tuple(map(float, crystal.cells)),
            volume=volume,
            fudge=crystal.fudge,
            reciprocal=tuple(scale(v, 1e-10) for v in crystal.star),
            table=table or lower_table(factors, dtype, device),
            dtype=dtype,
        ),
        cell=cell,
        turned=spindle_cells(cell, scan.axis, angles),
        mosaic=torch.tensor(crystal.mosaic_rotations, dtype=torch.float64).reshape(-1, 3, 3),
        incident=tensor([s.direction for s in beam.waves]),
        wavelengths=tuple(s.wavelength for s in beam.waves),
        weights=tuple(s.weight for s in beam.waves),
        polarization_axis=tensor(beam.polarization_axis),
        kahn_factor=beam.kahn_factor,
        origin=tensor(panel.origin),
        fast_axis=tensor(panel.fast),
        slow_axis=tensor(panel.slow),
        normal=tensor(panel.normal),
        beam=tensor(beam.direction),
        pixel_size=panel.pixel_size,
        close_distance=panel.distance,
        curved_radius=panel.curved_radius,
        point_pixel=sampling.point_pixel,
        layers=experiment.layers,
        layer_thickness=sensor.layer_thickness if sensor else 0.0,
        attenuation=sensor.attenuation if sensor else 0.0,
        absorbing=sensor is not None or nothing_captured,
        oversample=sampling.oversample,
        dmin=sampling.dmin,
        # With fewer than four entries along an axis no index has all its neighbours.
        interpolate=sampling.interpolate and min(factors.grid.shape) >= 4,
        oversample_thick=sampling.oversample_thick,
        oversample_polar=sampling.oversample_polar,
        oversample_omega=sampling.oversample_omega,
        background=water_background(experiment.water_size, experiment.photon_scale),
        scale=experiment.photon_scale / experiment.steps,
        latch=latch if sampling.strict_c else None,
    )
    if convert is not None:
        setup = replace(setup, lattice=convert(setup.lattice))
    return Lowered(experiment, setup, device, accumulate, block, first_pixel)


def lower_table(factors: StructureFactors, dtype: torch.dtype, device: str | torch.device) -> FactorTable:
    """The structure factors on a device, ready for look-up."""
    return make_table(torch.tensor(factors.grid), factors.minimum, factors.default, dtype, torch.device(device))


def summed_dtype(experiment: Experiment, precision: str) -> torch.dtype:
    """Of the terms of the sum: float64 also where one could leave the range of float32."""
    factors = experiment.factors
    highest = max(abs(factors.default), float(np.abs(factors.grid).max()) if not factors.empty else 0.0)
    tallest = highest * math.prod(map(float, experiment.crystal.cells))
    too_large = tallest * tallest > FLOAT32_ROOM
    return torch.float64 if precision == "double" or too_large else torch.float32


def simulate_tile(lowered: Lowered, tile: Tile) -> TileImage:
    """Compute one tile. The result depends on the experiment and the pixel only, not on the tile's shape."""
    image = np.zeros(tile.pixels, dtype=np.float32)
    wanted = rendered_pixels(lowered.experiment, tile)
    solid_angle = 0.0
    for start in range(0, len(wanted), lowered.block):
        chosen = wanted[start : start + lowered.block]
        values, omega = _compute(lowered, chosen)
        slow, fast = np.divmod(chosen, lowered.experiment.shape[1])
        with np.errstate(over="ignore"):  # beyond float32 is infinity, as in the reference
            image[(slow - tile.slow_start) * tile.shape[1] + (fast - tile.fast_start)] = values
        solid_angle += float(omega.sum())
    return TileImage(tile, image.reshape(tile.shape), solid_angle)


def known_tile(lowered: Lowered, tile: Tile, values: np.ndarray) -> TileImage:
    """What `simulate_tile` gave when it made `values` (slow, fast): only the solid angle is computed anew."""
    wanted = rendered_pixels(lowered.experiment, tile)
    solid_angle = 0.0
    for start in range(0, len(wanted), lowered.block):
        chosen = wanted[start : start + lowered.block]
        omega = sum(ray.omega for ray in rays(lowered.setup, _pixels(chosen, lowered)))
        solid_angle += float(omega[: len(chosen)].cpu().numpy().sum())
    return TileImage(tile, values, solid_angle)


def rendered_pixels(experiment: Experiment, tile: Tile) -> np.ndarray:
    """Numbers (n,) int64, slow x width + fast, of the pixels of a tile that are in the region and not masked."""
    region = experiment.region
    slow = np.arange(max(tile.slow_start, region.slow_start), min(tile.slow_stop, region.slow_stop))
    fast = np.arange(max(tile.fast_start, region.fast_start), min(tile.fast_stop, region.fast_stop))
    numbers = (slow[:, None] * experiment.shape[1] + fast[None, :]).ravel()
    return numbers if experiment.mask is None else numbers[experiment.mask.active.ravel()[numbers]]


def find_latch(experiment: Experiment) -> int | None:
    """Number of the first evaluation of the image that cannot be interpolated, in raster order (spec intensity 8.2).

    None where interpolation is off or all evaluations have their neighbours in the table.
    """
    lowered = lower(experiment, "double")
    if not lowered.setup.interpolate:
        return None
    for numbers in _raster(experiment):
        if numbers[0] == lowered.first_pixel:
            found = first_exit(lowered.setup, _pixels(numbers[:1], lowered), first_of_image=True)
            if found is not None:
                return found
        found = first_exit(lowered.setup, _pixels(numbers, lowered))
        if found is not None:
            return found
    return None


def _first_pixel(experiment: Experiment) -> int | None:
    """Number of the first rendered pixel of the image."""
    return next((int(numbers[0]) for numbers in _raster(experiment)), None)


def _raster(experiment: Experiment) -> Iterator[np.ndarray]:
    """Numbers of the rendered pixels in raster order, in lists of at most about a block; no list is empty."""
    region, width = experiment.region, experiment.shape[1]
    rows = max(1, CPU_BLOCK // width)
    for slow in range(region.slow_start, region.slow_stop, rows):
        numbers = rendered_pixels(experiment, Tile(0, 0, slow, min(slow + rows, region.slow_stop), 0, width))
        for start in range(0, len(numbers), CPU_BLOCK):
            yield numbers[start : start + CPU_BLOCK]


def _compute(lowered: Lowered, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Photons and solid angles (n,) float64 of some pixels."""
    pixels = _pixels(numbers, lowered)
    if not lowered.experiment.sampling.strict_c:
        values, omega = photons(lowered.setup, pixels, lowered.accumulate)
    else:
        values, omega = strict_photons(lowered.setup, pixels, lowered.accumulate)
        if numbers[0] == lowered.first_pixel:
            alone = _pixels(numbers[:1], lowered)
            first, _ = strict_photons(lowered.setup, alone, lowered.accumulate, first_of_image=True)
            values = torch.cat([first[:1], values[1:]])
    return values[: len(numbers)].cpu().numpy(), omega[: len(numbers)].cpu().numpy()


def _pixels(numbers: np.ndarray, lowered: Lowered) -> Pixels:
    """The pixels with these numbers, the last one repeated up to a whole number of vectors."""
    padded = np.pad(numbers, (0, -len(numbers) % PADDING), mode="edge")
    slow, fast = np.divmod(padded, lowered.experiment.shape[1])
    indices = [torch.from_numpy(x).to(lowered.device) for x in (slow, fast, padded)]
    return Pixels(indices[0].to(torch.float64), indices[1].to(torch.float64), indices[2])
