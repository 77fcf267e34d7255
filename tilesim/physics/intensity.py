"""The sum over a pixel: layers, sub-pixels, sources, spindle steps and mosaic domains, in that fixed order.

Pixels are a flat list, so a tile, a region of interest or one pixel are the same to the kernel. No array
is ever larger than a few numbers per pixel of the list: everything else is looped over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from tilesim.physics.absorb import capture_fraction
from tilesim.physics.diffuse import LiquidMotion, diffuse_squared, wave_matrices
from tilesim.physics.factors import Axes, interpolable, nearest_squared, tricubic
from tilesim.physics.geometry import (
    column,
    curved_positions,
    dot,
    norm,
    positions,
    resolved,
    scattering_vector,
    solid_angle,
)
from tilesim.physics.lattice import Lattice, lattice_squared, miller_indices, nearest_node
from tilesim.physics.polarize import polarization_factor
from tilesim.physics.rotate import mosaic_cells
from tilesim.physics.varied import rows_of
from tilesim.physics.watch import Watch, unwatched


@dataclass(frozen=True)
class Grain:
    """Mosaic domains of one lattice and one size: what is summed over with one lattice factor."""

    lattices: tuple[Lattice, ...]
    """The lattice with the structure factors at the photon energy of each channel of the beam"""
    cell: Tensor
    """(3, 3) float64, rows a, b, c in metres, unrotated; on the host, as the next two"""
    turned: Tensor
    """(phi, 3, 3) float64, the cell at every spindle step"""
    mosaic: Tensor
    """(1 or phi, m, 3, 3) float64, applied after the spindle; several where the domains turn with the crystal"""
    weight: float = 1.0
    motion: LiquidMotion | None = None
    """What scatters between the reflections"""

    @property
    def lattice(self) -> Lattice:
        """With the structure factors of the first channel."""
        return self.lattices[0]

    @property
    def orientations(self) -> int:
        return len(self.turned) * self.mosaic.shape[1]


@dataclass(frozen=True)
class KernelSetup:
    """An experiment as tensors and numbers, ready for the kernel; lengths in metres, angles in radians."""

    grains: tuple[Grain, ...]
    """Strictly one"""
    incident: Tensor
    """(sources, 3) float64"""
    wavelengths: tuple[float, ...]
    weights: tuple[float, ...]
    polarizations: tuple[tuple[float, Tensor], ...]
    """Kahn factor and field (3,) of every source; one where all are alike, none where the correction is off"""
    origin: Tensor
    """(3,) float64; as fast_axis, slow_axis, normal and beam"""
    fast_axis: Tensor
    slow_axis: Tensor
    normal: Tensor
    beam: Tensor
    pixel_size: float
    close_distance: float
    curved_radius: float | None
    point_pixel: bool
    layers: int
    layer_thickness: float
    attenuation: float
    absorbing: bool
    oversample: int
    dmin: float
    interpolate: bool
    oversample_thick: bool
    oversample_polar: bool
    oversample_omega: bool
    background: float
    """Water, photons per steradian"""
    scale: float
    """r_e^2 x fluence / steps"""
    latch: int | None
    """Strict only: number of the first evaluation of the image at which interpolation is switched off"""
    channel_of: tuple[int, ...]
    """Number of the channel of every source"""
    bent_axes: tuple[Tensor, Tensor] | None = None
    """Axes (slow, fast) that a curved detector is bent about; None: those of the panel"""

    def lattice_of(self, source: int, grain: Grain) -> Lattice:
        """The lattice of a grain with the structure factors that a source meets."""
        return grain.lattices[self.channel_of[source]]

    @property
    def lattice(self) -> Lattice:
        """That of the last grain; all share its shape, tables and type."""
        return self.grains[-1].lattice

    @property
    def orientations(self) -> int:
        return sum(grain.orientations for grain in self.grains)

    @property
    def evaluations(self) -> int:
        """Lattice evaluations per pixel."""
        return self.layers * self.oversample**2 * len(self.wavelengths) * self.orientations


@dataclass(frozen=True)
class PixelList:
    """A flat list of pixels of one panel."""

    slow: Tensor
    """(n,) float64 indices"""
    fast: Tensor
    number: Tensor
    """(n,) int64, slow x width + fast: the place in the image"""


@dataclass(frozen=True)
class Ray:
    """One sub-pixel of one layer for every pixel of a list."""

    group: int
    """layer x sub-pixels + sub-pixel, in the reference's order"""
    position: Tensor
    """(3, n) metres"""
    airpath: Tensor
    """(n,) metres"""
    diffracted: Tensor
    """(3, n) unit vectors"""
    omega: Tensor
    """(n,) solid angle in use"""
    capture: Tensor
    """(n,) capture fraction in use"""
    starts_layer: bool
    ends_layer: bool


@dataclass(frozen=True)
class Wave:
    """One source as one ray sees it."""

    source: int
    group: int
    """ray x sources + source"""
    q: Axes
    """Scattering vectors, 1/m, (n,) for x, y, z"""
    accepted: Tensor | None
    """(n,) what dmin leaves; None: everything"""


Cell = Sequence[Sequence[float]]
"""One orientation of the cell: rows a, b, c in metres."""
Sweep = Callable[..., Tensor]
"""`sweep` or a faster form of it."""


def evaluate(hkl: Axes, lattice: Lattice, allowed: Tensor | None = None) -> Tensor:
    """Squared structure factor times squared lattice factor (n,) at fractional Miller indices.

    allowed  (n,) where the structure factor is interpolated if its neighbours are in the table; None: nowhere
    """
    node = nearest_node(hkl)
    factor = nearest_squared(node, lattice.table)
    if allowed is not None:
        between = tricubic(hkl, lattice.table)
        inside = interpolable(hkl, lattice.table) & allowed
        factor = torch.where(inside, (between * between).to(factor.dtype), factor)
    return lattice_squared(hkl, node, lattice).mul_(factor)


def rays(setup: KernelSetup, pixels: PixelList) -> Iterator[Ray]:
    """Every sub-pixel of every layer, in the reference's order, with the factors in use (spec intensity 6)."""
    n = setup.oversample
    edge = setup.pixel_size / n
    omega = None
    for layer in range(setup.layers):
        capture = None if setup.absorbing else torch.ones_like(pixels.slow)
        for sub in range(n * n):
            slow = edge * (pixels.slow * n + sub // n) + edge / 2.0
            fast = edge * (pixels.fast * n + sub % n) + edge / 2.0
            depth = layer * setup.layer_thickness
            r = positions(slow, fast, depth, setup.origin, setup.slow_axis, setup.fast_axis, setup.normal)
            if setup.curved_radius is not None:
                axes = setup.bent_axes or (setup.slow_axis, setup.fast_axis)
                r = curved_positions(r, setup.curved_radius, setup.beam, *axes)
            airpath = norm(r)
            diffracted = r / airpath
            if omega is None or setup.oversample_omega:
                omega = solid_angle(airpath, setup.pixel_size, setup.close_distance, setup.point_pixel)
            if capture is None or (setup.oversample_thick and setup.absorbing):
                parallax = dot(column(setup.normal), diffracted)
                capture = capture_fraction(layer, setup.layer_thickness, setup.attenuation, parallax)
            yield Ray(layer * n * n + sub, r, airpath, diffracted, omega, capture, sub == 0, sub == n * n - 1)


def waves(setup: KernelSetup, ray: Ray, watch: Watch = unwatched) -> Iterator[Wave]:
    """Every source of a ray that dmin does not reject for all pixels (spec intensity 3); `watch` sees all of them."""
    for source, wavelength in enumerate(setup.wavelengths):
        q = scattering_vector(ray.diffracted, setup.incident[source], wavelength)
        accepted = resolved(q, setup.dmin) if setup.dmin > 0 else None
        wave = Wave(source, ray.group * len(setup.wavelengths) + source, tuple(q), accepted)
        watch("wave", wave)
        if accepted is None or accepted.any():
            yield wave


def numbered_orientations(
    setup: KernelSetup, group: int, unrotated_start: bool = False, place: int = 0
) -> Iterator[tuple[int, Cell]]:
    """Every orientation of a grain for one wave with its number among the evaluations of a pixel; spindle outermost.

    unrotated_start  the first spindle step is the unrotated cell whatever its angle (spec intensity 8.1)
    place            of the grain
    """
    grain = setup.grains[place]
    number = group * setup.orientations + sum(one.orientations for one in setup.grains[:place])
    for step, turned in enumerate(grain.turned):
        first = step == 0 and unrotated_start
        cells = mosaic_cells(grain.cell if first else turned, grain.mosaic[step % len(grain.mosaic)])
        for cell in rows_of(cells):
            yield number, cell
            number += 1


def interpolation_allowed(setup: KernelSetup, pixels: PixelList, number: int) -> Tensor | None:
    """Where evaluation `number` of a pixel may interpolate (n,): everywhere, or before the reference's latch."""
    if not setup.interpolate:
        return None
    if setup.latch is None:
        return torch.ones_like(pixels.number, dtype=torch.bool)
    return pixels.number * setup.evaluations + number < setup.latch


def sweep(
    setup: KernelSetup, pixels: PixelList, wave: Wave, unrotated_start: bool = False, watch: Watch = unwatched
) -> Tensor:
    """Sum over all orientations for one wave (n,) float64; zero where dmin rejects it."""
    total = torch.zeros_like(wave.q[0])
    for place, grain in enumerate(setup.grains):
        part, lattice = torch.zeros_like(total), setup.lattice_of(wave.source, grain)
        for number, cell in numbered_orientations(setup, wave.group, unrotated_start, place):
            allowed = interpolation_allowed(setup, pixels, number)
            value = evaluate(miller_indices(wave.q, cell), lattice, allowed)
            if grain.motion is not None:
                value = value + diffuse(grain.motion, wave.q, cell, lattice)
            watch("evaluation", wave, number, cell, allowed, value)
            part = part + value
        watch("grain", grain.weight)
        total = total + part * grain.weight
    return total if wave.accepted is None else torch.where(wave.accepted, total, 0.0)


def diffuse(motion: LiquidMotion, q: Axes, cell: Cell, lattice: Lattice) -> Tensor:
    """Diffuse intensity of one orientation (n,), squared structure factors included."""
    hkl = miller_indices(q, cell)
    waves = wave_matrices(torch.tensor([cell], dtype=torch.float64), motion)[0]
    return diffuse_squared(hkl, nearest_node(hkl), waves, motion, lattice.table)


def source_polarization(setup: KernelSetup, source: int, diffracted: Tensor) -> Tensor:
    """Polarisation factor (n,) for one source; one where the correction is off."""
    if not setup.polarizations:
        return torch.ones_like(diffracted[0])
    kahn, axis = setup.polarizations[source % len(setup.polarizations)]
    return polarization_factor(kahn, setup.incident[source], diffracted, axis)


def water_polarization(setup: KernelSetup, diffracted: Tensor) -> Tensor:
    """Polarisation factor (n,) of the background: that of the first source, or the mean over unlike ones."""
    if len(setup.polarizations) < 2:
        return source_polarization(setup, 0, diffracted)
    total = torch.zeros_like(diffracted[0])
    for source, weight in enumerate(setup.weights):
        total = total + source_polarization(setup, source, diffracted) * weight
    return total / len(setup.weights)


def first_accepted(polar: Tensor, factor: Tensor, wave: Wave) -> Tensor:
    """The polarisation in use (n,): that of the first wave that dmin accepts, kept from then on."""
    due = polar == 0 if wave.accepted is None else (polar == 0) & wave.accepted
    return torch.where(due, factor, polar)


def times_oversampled(setup: KernelSetup, term: Tensor, ray: Ray, polar: Tensor) -> Tensor:
    """A term (n,) of the sum times the factors that each term has of its own; the others are applied at the end."""
    if setup.oversample_thick:
        term = term * ray.capture
    if setup.oversample_polar:
        term = term * polar
    if setup.oversample_omega:
        term = term * ray.omega
    return term


def photons(
    setup: KernelSetup, pixels: PixelList, sweep: Sweep = sweep, watch: Watch = unwatched
) -> tuple[Tensor, Tensor]:
    """Photons (n,) and the sum of the solid angles in use (n,), float64 (docs/corrections.md)."""
    zero = torch.zeros_like(pixels.slow)
    total = layer_sum = background = omega_sum = polar = zero
    some = rays(setup, pixels)
    first = next(some)
    for ray in chain((first,), some):
        watch("ray", ray)
        omega_sum = omega_sum + ray.omega
        if ray.starts_layer:
            background = background + ray.capture
        for wave in waves(setup, ray, watch):
            factor = source_polarization(setup, wave.source, ray.diffracted)
            polar = first_accepted(polar, factor, wave)
            watch("polarization", factor, polar)
            term = sweep(setup, pixels, wave) * setup.weights[wave.source]
            term = times_oversampled(setup, term, ray, factor)
            layer_sum = layer_sum + term
            watch("term", term)
        if ray.ends_layer:
            total = total + (layer_sum if setup.oversample_thick else layer_sum * ray.capture)
            watch("layer", layer_sum, total)
            layer_sum = zero
    watch("sum", total)
    if not setup.oversample_polar:
        total = total * polar
    if not setup.oversample_omega:
        total = total * first.omega
    total = total * setup.scale
    watch("scaled", total)
    if setup.background > 0:
        isotropic = water_polarization(setup, first.diffracted) * first.omega * background
        watch("background", background, isotropic)
        total = total + setup.background * isotropic
    return total, omega_sum
