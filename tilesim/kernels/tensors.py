"""The definition of the physics made ready for a device: an experiment lowered to tensors, its pixels by torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from tilesim.compute import Numbers
from tilesim.frozen import frozen
from tilesim.kernels.derived import PADDING, DerivedGrain, derive, raster
from tilesim.kernels.sums import sum_pixels as sum_pixels
from tilesim.kernels.tables import Channels, bordered_parts, channels_of
from tilesim.model import AnomalousFactors, Diffuse, Experiment, StructureFactors
from tilesim.model.vectors import Vector
from tilesim.physics.diffuse import LiquidMotion
from tilesim.physics.factors import FactorTable, make_parts, make_table
from tilesim.physics.intensity import Grain, KernelSetup, PixelList, Sweep, photons, rays, sweep
from tilesim.physics.lattice import Lattice
from tilesim.physics.rotate import spindle_cells
from tilesim.physics.strict import first_exit, strict_photons
from tilesim.physics.truth import truth

CPU_BLOCK = 24576
"""Pixels per pass on a CPU: few enough for the cache and for one thread, enough to hide the cost of a call."""
GPU_BLOCK = 2**20
NUMBERS_PER_PIXEL = 90
"""Float64 numbers per pixel of a block, at the widest (tests/test_budget.py measures it)."""


@frozen
class TensorKernel:
    """An experiment on one device in one precision: a `tilesim.compute.Kernel`."""

    experiment: Experiment
    setup: KernelSetup
    device: str
    block: int
    """Pixels per pass"""
    first_pixel: int | None = None
    """Strict only: the pixel whose first spindle step is not carried over (spec intensity 8.1)"""
    sweep: Sweep = sweep
    """The sum over orientations: the definition, or a faster form"""
    shared: None = None
    """As `Kernel.shared`"""

    @property
    def dtype(self) -> str:
        return str(self.setup.lattice.dtype).removeprefix("torch.")

    def photons(self, numbers: Numbers) -> tuple[npt.NDArray[np.float64], float]:
        """As `Kernel.photons`."""
        pixels = pixels_of(numbers, self)
        if not self.experiment.sampling.strict_c:
            values, omega = photons(self.setup, pixels, self.sweep)
        else:
            values, omega = strict_photons(self.setup, pixels, sweep=self.sweep)
            if numbers[0] == self.first_pixel:
                first, _ = strict_photons(self.setup, pixels_of(numbers[:1], self), True, self.sweep)
                values = torch.cat([first[:1], values[1:]])
        return values[: len(numbers)].cpu().numpy(), _sum(omega, numbers)

    def truth(self, numbers: Numbers) -> npt.NDArray[np.float64]:
        """As `Kernel.truth`, by the definition."""
        found: npt.NDArray[np.float64] = truth(self.setup, pixels_of(numbers, self))[:, : len(numbers)].cpu().numpy()
        return found

    def solid_angle(self, numbers: Numbers) -> float:
        """As `Kernel.solid_angle`."""
        pixels = pixels_of(numbers, self)
        return _sum(sum((ray.omega for ray in rays(self.setup, pixels)), torch.zeros_like(pixels.slow)), numbers)


def lower(
    experiment: Experiment,
    precision: str = "mixed",
    device: str | torch.device = "cpu",
    latch: int | None = None,
    table: tuple[FactorTable, ...] | None = None,
    sweep: Sweep = sweep,
) -> TensorKernel:
    """Tensors on `device` from the nouns of `experiment`.

    precision  "mixed": float64 up to the fractions of h, k, l, then float32; "double": all float64
    latch      strict only, from `find_latch`
    table      from `lower_table` for the same structure factors, type and device; None makes it
    sweep      a faster form of `intensity.sweep`
    """
    derived, device = derive(experiment, precision), torch.device(device)
    beam, crystal, scan, sampling = experiment.beam, experiment.lattice, experiment.scan, experiment.sampling
    panel = experiment.detector.panels[0]

    def tensor(values: Sequence[float] | Sequence[Vector]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64, device=device)

    waves = [source.wavelength for source in beam.waves]
    channels = channels_of(experiment.factors, waves)
    tables = _by_channel(table or lower_table(experiment.factors, derived.summed, device, waves), channels)

    def grain(one: DerivedGrain) -> Grain:
        numbers = (one.cells, one.matrix, one.volume, one.fudge, one.reciprocal)
        dtype = getattr(torch, derived.summed)
        lattices = tuple(Lattice(crystal.shape.value, *numbers, table, dtype) for table in tables)
        cell = torch.tensor(one.cell, dtype=torch.float64)
        turned = spindle_cells(cell, scan.axis, derived.angles)
        mosaic = torch.tensor(one.mosaic, dtype=torch.float64)
        return Grain(lattices, cell, turned, mosaic, one.weight, _motion(one.diffuse, one.star))

    setup = KernelSetup(
        grains=tuple(map(grain, derived.grains)),
        incident=tensor([s.direction for s in beam.waves]),
        wavelengths=tuple(s.wavelength for s in beam.waves),
        weights=tuple(s.weight for s in beam.waves),
        polarizations=tuple((factor, tensor(axis)) for factor, axis in beam.polarizations),
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
        layer_thickness=derived.layer_thickness,
        attenuation=derived.attenuation,
        absorbing=derived.absorbing,
        oversample=sampling.oversample,
        dmin=sampling.dmin,
        interpolate=derived.interpolate,
        oversample_thick=sampling.oversample_thick,
        oversample_polar=derived.oversample_polar,
        oversample_omega=sampling.oversample_omega,
        background=derived.background,
        scale=derived.scale,
        latch=latch if sampling.strict_c else None,
        channel_of=channels.of_source,
    )
    return TensorKernel(experiment, setup, str(device), block_of(device.type), derived.first_pixel, sweep)


def _motion(diffuse: Diffuse | None, star: np.ndarray | None) -> LiquidMotion | None:
    if diffuse is None:
        return None
    own = None if star is None else torch.tensor(star)
    rotations = torch.tensor(diffuse.symmetry.matrices)
    return LiquidMotion(diffuse.gamma, diffuse.sigma, diffuse.height, diffuse.stencil, rotations, own)


def block_of(device: str) -> int:
    """Pixels per pass on a device."""
    return CPU_BLOCK if device == "cpu" else GPU_BLOCK


def lower_table(
    factors: StructureFactors, summed: str, device: str | torch.device, wavelengths: Sequence[float]
) -> tuple[FactorTable, ...]:
    """The structure factors on a device, ready for look-up by sources of `wavelengths`: a table, or one per channel.

    summed  type of their squares
    """
    dtype, where = getattr(torch, summed), torch.device(device)
    channels = channels_of(factors, wavelengths)
    if channels.mixture is not None and isinstance(factors, AnomalousFactors):
        return (make_parts(torch.from_numpy(bordered_parts(factors)), factors.minimum, dtype, where),)
    grids = (torch.tensor(factors.at(wavelength)) for wavelength in channels.wavelengths)
    return tuple(make_table(grid, factors.minimum, factors.default, dtype, where) for grid in grids)


def _by_channel(tables: tuple[FactorTable, ...], channels: Channels) -> tuple[FactorTable, ...]:
    """A table for each channel, or the one for all."""
    if channels.mixture is None:
        return tables
    return tuple(replace(tables[0], mixture=torch.view_as_real(torch.from_numpy(row))) for row in channels.mixture)


def find_latch(experiment: Experiment) -> int | None:
    """Number of the first evaluation of the image that cannot be interpolated, in raster order (spec intensity 8.2).

    None where interpolation is off or all evaluations have their neighbours in the table. In a table that is too small
    for any, only the reference gives interpolation up; the image is the same.
    """
    lowered = lower(experiment, "double")
    if not (lowered.setup.interpolate or (experiment.sampling.strict_c and experiment.sampling.interpolate)):
        return None
    for numbers in raster(experiment):
        if numbers[0] == lowered.first_pixel:
            found = first_exit(lowered.setup, pixels_of(numbers[:1], lowered), first_of_image=True)
            if found is not None:
                return found
        found = first_exit(lowered.setup, pixels_of(numbers, lowered))
        if found is not None:
            return found
    return None


def _sum(omega: torch.Tensor, numbers: Numbers) -> float:
    return float(omega[: len(numbers)].cpu().numpy().sum())


def pixels_of(numbers: Numbers, lowered: TensorKernel) -> PixelList:
    """The pixels with these numbers, the last one repeated up to a whole number of vectors."""
    padded = np.pad(numbers, (0, -len(numbers) % PADDING), mode="edge")
    slow, fast = np.divmod(padded, lowered.experiment.shape[1])
    indices = [torch.from_numpy(x).to(lowered.device) for x in (slow, fast, padded)]
    return PixelList(indices[0].to(torch.float64), indices[1].to(torch.float64), indices[2])
