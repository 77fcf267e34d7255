"""What the reference prints while it renders: blocks of -printout, interpolation warning (spec files 9, item 23)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from tilesim.compute import rendered_pixels
from tilesim.frozen import frozen
from tilesim.kernels.amorphous import lower_background
from tilesim.kernels.tensors import CPU_BLOCK, TensorKernel, lower
from tilesim.model import Experiment
from tilesim.nanobragg.settings import Settings
from tilesim.physics.factors import FactorTable, interpolable, nearest, tricubic
from tilesim.physics.geometry import norm, scattering_vector
from tilesim.physics.intensity import (
    KernelSetup,
    PixelList,
    first_accepted,
    interpolation_allowed,
    numbered_orientations,
    photons,
    rays,
    source_polarization,
    sweep,
    waves,
)
from tilesim.physics.lattice import Axes, miller_indices, nearest_node, signed_lattice_factor
from tilesim.physics.rotate import mosaic_cells
from tilesim.physics.strict import strict_photons
from tilesim.tiling.tile import Tile


@frozen
class Account:
    """How some pixels come about, (n,) float64; "last" is as the loops of the sum end."""

    stol: Tensor
    """sin(theta) / lambda of the last source, 1/m"""
    position: Tensor
    """(3, n) metres, last sub-pixel of the last layer"""
    hkl: Axes
    """Last evaluation that dmin accepts, as the next three; zero where there is none, and the reference prints
    what an earlier pixel left"""
    node: Axes
    factor: Tensor
    """Also where the lattice factor is zero, and the reference prints what an earlier evaluation left"""
    lattice_factor: Tensor
    intensity: Tensor
    """The sum as it stands after the last evaluation; strict: with water, and with its running products"""
    polar: Tensor
    """In use at the end, as omega and capture"""
    omega: Tensor
    capture: Tensor
    photons: Tensor


def print_rendering(experiment: Experiment, settings: Settings, latch: int | None, say: Callable[[str], None]) -> str:
    """Hand over, line by line, what is printed during rendering; the start of a line that is left unfinished.

    The pixels that -printout and -printout_pixel choose come in raster order; a block of pixels is in memory
    at a time. All is computed again, in double precision on the host.
    """
    lowered = lower(experiment, "double", latch=latch)
    unfinished, switched_at = "", None if latch is None else latch // lowered.setup.evaluations
    for numbers in _chosen(experiment, settings.printout_pixel) if settings.printout else ():
        # The first pixel of the image may start unrotated, and so goes alone.
        lead = 1 if numbers[0] == lowered.first_pixel else 0
        for part in filter(len, (numbers[:lead], numbers[lead:])):
            for number, block in zip(part.tolist(), pixel_blocks(lowered, part), strict=True):
                if switched_at is not None and number >= switched_at:
                    unfinished, switched_at = _warn(lowered, latch, say), None
                for line in block:
                    say(unfinished + line)
                    unfinished = ""
    return unfinished if switched_at is None else _warn(lowered, latch, say)


def printout_lines(lowered: TensorKernel, slow: int, fast: int) -> tuple[str, ...]:
    """The reference's block for one pixel; `lowered` is in double precision on the host."""
    return next(pixel_blocks(lowered, np.array([slow * lowered.experiment.shape[1] + fast])))


def pixel_blocks(lowered: TensorKernel, numbers: np.ndarray) -> Iterator[tuple[str, ...]]:
    """The blocks of some pixels, 14 lines each.

    lowered  in double precision on the host
    numbers  (n,) int64, slow x width + fast; the first rendered pixel of the image comes alone
    """
    pixels = _pixels(lowered, numbers)
    account = account_for(lowered, pixels)
    cell_lines = _cell_lines(_last_cell(lowered.setup))
    x, y, z = account.position
    # The reference takes the beam along x here, whatever it is.
    forward = torch.sin(torch.atan2(torch.hypot(y, z), x) / 2.0) / (lowered.experiment.beam.wavelength * 1e10)
    node = [x0 + 0.0 for x0 in account.node]  # no negative zero
    columns = (account.stol, forward, x, y, z, *account.hkl, *node, account.factor, account.lattice_factor)
    columns += (account.intensity, account.polar, account.omega, account.capture, account.photons.float())
    rows = zip(*(column.tolist() for column in columns), strict=True)
    for slow, fast, row in zip(pixels.slow.tolist(), pixels.fast.tolist(), rows, strict=True):
        stol, forward, x, y, z, h, k, l, h0, k0, l0, factor, latt, intensity, polar, omega, capture, value = row
        yield (
            f"{fast:4.0f} {slow:4.0f} : stol = {stol:g} or {forward:g}",
            f"at {x:g} {y:g} {z:g}",
            f"hkl= {h:f} {k:f} {l:f}  hkl0= {h0:.0f} {k0:.0f} {l0:.0f}",
            f" F_cell={factor:g}  F_latt={latt:g}   I = {intensity:g}",
            f"I/steps {intensity / lowered.experiment.steps:15.10g}",
            f"polar   {polar:15.10g}",
            f"omega   {omega:15.10g}",
            f"capfrac {capture:15.10g}",
            f"pixel   {value:15.10g}",
            *cell_lines,
        )


def account_for(lowered: TensorKernel, pixels: PixelList) -> Account:
    """Follow the sum over some pixels to its end."""
    setup, strict = lowered.setup, lowered.experiment.sampling.strict_c
    first_of_image = lowered.first_pixel is not None and pixels.number[0].item() == lowered.first_pixel
    if strict:
        value, _ = strict_photons(setup, pixels, first_of_image=first_of_image)
    else:
        value, _ = photons(setup, pixels)
    amorphous = lower_background(lowered.experiment)
    if amorphous is not None:
        value = value + torch.from_numpy(amorphous.photons(pixels.number.numpy()))
    zero = torch.zeros_like(pixels.slow)
    q, group, reached = (zero, zero, zero), zero, zero.bool()
    polar = zero + (0.0 if setup.polarizations else 1.0)
    intensity = zero + (setup.background if strict else 0.0)
    unrotated = first_of_image
    for ray in rays(setup, pixels):
        for wave in waves(setup, ray):
            here = torch.ones_like(reached) if wave.accepted is None else wave.accepted
            factor = source_polarization(setup, wave.source, ray.diffracted)
            polar = torch.where(here, factor, polar) if setup.oversample_polar else first_accepted(polar, factor, wave)
            q = tuple(torch.where(here, new, old) for new, old in zip(wave.q, q, strict=True))
            group = torch.where(here, float(wave.group), group)
            reached = reached | here
            weight = 1.0 if strict else setup.weights[wave.source]
            intensity = intensity + sweep(setup, pixels, wave, unrotated_start=unrotated) * weight
            unrotated = False
    if strict and (setup.oversample_thick or setup.oversample_polar or setup.oversample_omega):
        intensity = _running(setup, pixels, first_of_image, ray.capture, polar, ray.omega)
    hkl = miller_indices(q, _last_cell(setup).tolist())
    node = nearest_node(hkl)
    number = (group * setup.orientations).long() + setup.orientations - 1
    allowed = interpolation_allowed(setup, pixels, number)
    return Account(
        stol=0.5 * norm(scattering_vector(ray.diffracted, setup.incident[-1], setup.wavelengths[-1])),
        position=ray.position,
        hkl=hkl,
        node=node,
        factor=torch.where(reached, _met_amplitude(setup, group, hkl, node, allowed), 0.0),
        lattice_factor=torch.where(reached, signed_lattice_factor(hkl, node, setup.lattice), 0.0),
        intensity=intensity,
        polar=polar,
        omega=ray.omega,
        capture=ray.capture,
        photons=value,
    )


def _chosen(experiment: Experiment, pixel: tuple[int, int] | None) -> Iterator[np.ndarray]:
    """Numbers of the pixels to print, at most CPU_BLOCK at a time; none is empty.

    pixel  fast, slow; None or a negative fast index are all rendered pixels
    """
    region = experiment.region
    rows, columns = (region.slow_start, region.slow_stop), (0, experiment.shape[1])
    if pixel is not None and pixel[0] >= 0:
        rows, columns = (pixel[1], pixel[1] + 1), (pixel[0], pixel[0] + 1)
    for slow in range(*rows):
        numbers = rendered_pixels(experiment, Tile(0, 0, slow, slow + 1, *columns))
        for start in range(0, len(numbers), CPU_BLOCK):
            yield numbers[start : start + CPU_BLOCK]


def _pixels(lowered: TensorKernel, numbers: np.ndarray) -> PixelList:
    slow, fast, number = (torch.from_numpy(x) for x in (*np.divmod(numbers, lowered.experiment.shape[1]), numbers))
    return PixelList(slow.to(torch.float64), fast.to(torch.float64), number)


def _warn(lowered: TensorKernel, latch: int, say: Callable[[str], None]) -> str:
    """Say which evaluation switched interpolation off; the second line of that warning, which has no end."""
    setup = lowered.setup
    number, evaluation = divmod(latch, setup.evaluations)
    unrotated = number == lowered.first_pixel
    for ray in rays(setup, _pixels(lowered, np.array([number]))):
        for wave in waves(setup, ray):
            for current, cell in numbered_orientations(setup, wave.group, unrotated):
                if current == evaluation:
                    hkl = miller_indices(wave.q, cell)
                    h, k, l = (x.item() for x in hkl)
                    h0, k0, l0 = (int(x.item()) for x in nearest_node(hkl))
                    say(
                        "WARNING: out of range for three point interpolation: h,k,l,h0,k0,l0: "
                        f"{h:g},{k:g},{l:g},{h0},{k0},{l0} "
                    )
                    return "WARNING: further warnings will not be printed! "
            unrotated = False
    raise AssertionError(f"evaluation {latch} is not one of this image")


def _running(
    setup: KernelSetup, pixels: PixelList, first_of_image: bool, capture: Tensor, polar: Tensor, omega: Tensor
) -> Tensor:
    """The reference's running sum (n,): its photons without what is only applied at the end."""
    value, _ = strict_photons(replace(setup, scale=1.0), pixels, first_of_image=first_of_image)
    applied = torch.ones_like(value)
    for factor, running in (
        (capture, setup.oversample_thick),
        (polar, setup.oversample_polar),
        (omega, setup.oversample_omega),
    ):
        applied = applied if running else applied * factor
    # Where a factor is zero nothing can be recovered; mostly dmin rejected all sources and left the water alone.
    return torch.where(applied == 0, setup.background, value / applied)


def _last_cell(setup: KernelSetup) -> Tensor:
    """Cell (3, 3), rows a, b, c in metres, of the last spindle step and the last mosaic domain."""
    grain = setup.grains[-1]
    last, mosaic = grain.turned[-1], grain.mosaic[-1]
    if torch.equal(mosaic, torch.eye(3, dtype=torch.float64)[None]):
        return last  # a product would lose the sign of a zero
    return mosaic_cells(last, mosaic[-1:])[0]


def _met_amplitude(setup: KernelSetup, group: Tensor, hkl: Axes, node: Axes, allowed: Tensor | None) -> Tensor:
    """Structure factors (n,) that the sources of some waves, numbered by `group` (n,), meet."""
    grain = setup.grains[-1]
    amplitude = _amplitude(hkl, node, grain.lattice.table, allowed)
    if len(grain.lattices) > 1:
        source = torch.remainder(group, len(setup.wavelengths))
        for number in source.unique().int().tolist():
            own = _amplitude(hkl, node, setup.lattice_of(number, grain).table, allowed)
            amplitude = torch.where(source == number, own, amplitude)
    return amplitude


def _amplitude(hkl: Axes, node: Axes, table: FactorTable, allowed: Tensor | None) -> Tensor:
    """Structure factors (n,) with their sign (spec intensity 5)."""
    amplitude = nearest(node, table)
    return (
        amplitude
        if allowed is None
        else torch.where(interpolable(hkl, table) & allowed, tricubic(hkl, table), amplitude)
    )


def _cell_lines(cell: Tensor) -> list[str]:
    rows = ((cell.T * 1e10).tolist()[i] for i in range(3))
    return [
        "real-space cell vectors (Angstrom):",
        f"     {'a':<10}  {'b':<10}  {'c':<10}",
        *(f"{axis}: {a:11.8f} {b:11.8f} {c:11.8f}" for axis, (a, b, c) in zip("XYZ", rows, strict=True)),
    ]
