"""The reference's own sum over a pixel, defects included, for --strict-c (spec intensity 6 to 8)."""

from __future__ import annotations

import torch
from torch import Tensor

from tilesim.physics.factors import interpolable
from tilesim.physics.intensity import (
    Cell,
    KernelSetup,
    PixelList,
    Ray,
    Sweep,
    Wave,
    evaluate,
    first_accepted,
    interpolation_allowed,
    numbered_orientations,
    rays,
    source_polarization,
    sweep,
    times_oversampled,
    waves,
)
from tilesim.physics.lattice import lattice_squared, miller_indices, nearest_node
from tilesim.physics.watch import Watch, unwatched


def strict_photons(
    setup: KernelSetup,
    pixels: PixelList,
    first_of_image: bool = False,
    sweep: Sweep = sweep,
    watch: Watch = unwatched,
) -> tuple[Tensor, Tensor]:
    """Photons (n,) and the sum of the solid angles in use (n,), float64, as the reference computes them.

    first_of_image: the list is the first rendered pixel; its first spindle step is not carried over.
    """
    intensity = torch.full_like(pixels.slow, setup.background)
    omega_sum = torch.zeros_like(intensity)
    # Once switched off, the polarisation is one even where dmin rejects every source.
    polar = torch.full_like(intensity, 0.0 if setup.polarizations else 1.0)
    recomputed = setup.oversample_thick or setup.oversample_polar or setup.oversample_omega
    for ray in rays(setup, pixels):
        omega_sum = omega_sum + ray.omega
        watch("ray", ray)
        for wave in waves(setup, ray, watch):
            factor = source_polarization(setup, wave.source, ray.diffracted)
            polar = first_accepted(polar, factor, wave)
            watch("polarization", factor, polar)
            if recomputed:
                intensity = _running_product(setup, pixels, ray, wave, factor, intensity, first_of_image, watch)
            else:
                intensity = intensity + sweep(setup, pixels, wave, first_of_image)
            first_of_image = False
        omega, capture = ray.omega, ray.capture
    watch("sum", intensity)
    value = intensity * setup.scale
    if not setup.oversample_thick:
        value = value * capture
    if not setup.oversample_polar:
        value = value * polar
    if not setup.oversample_omega:
        value = value * omega
    return value, omega_sum


def _running_product(
    setup: KernelSetup,
    pixels: PixelList,
    ray: Ray,
    wave: Wave,
    polar: Tensor,
    intensity: Tensor,
    unrotated_start: bool,
    watch: Watch,
) -> Tensor:
    """I := (I + term) x factors for every orientation of a wave (spec intensity 6)."""
    for number, cell in numbered_orientations(setup, wave.group, unrotated_start):
        allowed = interpolation_allowed(setup, pixels, number)
        value = evaluate(miller_indices(wave.q, cell), setup.lattice_of(wave.source, setup.grains[0]), allowed)
        watch("evaluation", wave, number, cell, allowed, value)
        after = times_oversampled(setup, intensity + value, ray, polar)
        intensity = torch.where(_visited(setup, wave, cell), after, intensity)
        watch("running", intensity)
    return intensity


def _visited(setup: KernelSetup, wave: Wave, cell: Cell) -> Tensor:
    """Where (n,) the reference goes on to the structure factor: not beyond dmin, lattice factor not zero."""
    visited = torch.ones_like(wave.q[0], dtype=torch.bool) if wave.accepted is None else wave.accepted
    if setup.lattice.shape not in ("square", "round") and setup.background == 0:
        hkl = miller_indices(wave.q, cell)
        visited = visited & (lattice_squared(hkl, nearest_node(hkl), setup.lattice) != 0)
    return visited


def first_exit(setup: KernelSetup, pixels: PixelList, first_of_image: bool = False) -> int | None:
    """Number in the whole image of the first evaluation, among these pixels, that cannot be interpolated.

    The number is pixel x evaluations + evaluation; None where every evaluation has its neighbours.
    """
    exits = []
    for ray in rays(setup, pixels):
        for wave in waves(setup, ray):
            for number, cell in numbered_orientations(setup, wave.group, first_of_image):
                outside = ~interpolable(miller_indices(wave.q, cell), setup.lattice.table)
                if outside.any():
                    outside = outside & _visited(setup, wave, cell)
                    exits.extend((pixels.number[outside] * setup.evaluations + number)[:1].tolist())
            first_of_image = False
    return min(exits, default=None)
