"""What every kernel derives from an experiment in the same way, as plain numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from tilesim.compute import Numbers, check_precision, rendered_pixels, summed_type
from tilesim.frozen import frozen
from tilesim.model import Crystal, Diffuse, Experiment, MosaicFrame
from tilesim.model.vectors import Vector, rotate_about, scale
from tilesim.physics.background import water_background
from tilesim.physics.reach import reach_of
from tilesim.tiling.tile import Tile

SEARCHED = 24576
"""Pixels of a list when an image is gone through in raster order."""
PADDING = 64
"""Lists are padded to a multiple of this: vector instructions then treat every pixel alike (no scalar tail)."""
SHAPES = ("square", "round", "gauss", "tophat", "gauss-hkl", "tophat-hkl")
"""Shapes of crystals, in the order in which compiled kernels number them."""


@frozen
class DerivedGrain:
    """Mosaic domains of one lattice and one size."""

    cell: tuple[Vector, Vector, Vector]
    """a, b, c in metres, unrotated"""
    cells: tuple[float, float, float]
    matrix: tuple[Vector, Vector, Vector]
    """N: the cells on its diagonal"""
    volume: float
    """Lattice factor on a node: the cells of the crystal, or 1"""
    fudge: float
    reach: float
    """Squared distance from a node, as the shape measures it and times fudge, from which it is zero"""
    reciprocal: tuple[Vector, Vector, Vector]
    """a*, b*, c* in 1/angstrom"""
    mosaic: np.ndarray
    """(1 or phi, m, 3, 3) rotations after the spindle"""
    weight: float
    diffuse: Diffuse | None
    star: np.ndarray | None
    """(3, 3) columns a*, b*, c* in 1/m in the frame of the crystal, where diffuse scattering is in that"""


@frozen
class Derived:
    """Lengths in metres, angles in radians."""

    summed: str
    """Type of the sum's terms: float32 or float64"""
    angles: tuple[float, ...]
    """Angles of the spindle, as they are used"""
    first_pixel: int | None
    """Strict only: the pixel whose first spindle step is not carried over (spec intensity 8.1)"""
    grains: tuple[DerivedGrain, ...]
    layer_thickness: float
    attenuation: float
    absorbing: bool
    interpolate: bool
    oversample_polar: bool
    """Always where sources are of unlike polarisation"""
    background: float
    """Water, photons per steradian"""
    scale: float
    """r_e^2 x fluence / steps"""


def derive(experiment: Experiment, precision: str) -> Derived:
    """Raises PlanError for an unknown precision."""
    check_precision(precision)
    scan, sampling = experiment.scan, experiment.sampling
    angles, first_pixel = scan.angles, None
    if sampling.strict_c and 0.0 in angles and any(angles):
        first_pixel = _first_pixel(experiment) if angles[0] == 0.0 else None
        angles = carried_over(angles)
    # Without a sensor nothing is absorbed; the reference's -oversample_thick then captures nothing at all.
    sensor = experiment.detector.panels[0].sensor
    nothing_captured = sensor is None and sampling.strict_c and sampling.oversample_thick
    return Derived(
        summed=summed_type(experiment, precision),
        angles=angles,
        first_pixel=first_pixel,
        grains=tuple(derive_grains(experiment, angles)),
        layer_thickness=sensor.layer_thickness if sensor else 0.0,
        attenuation=sensor.attenuation_at(experiment.beam.wavelength) if sensor else 0.0,
        absorbing=sensor is not None or nothing_captured,
        # With fewer than four entries along an axis no index has all its neighbours.
        interpolate=sampling.interpolate and min(experiment.factors.grid.shape) >= 4,
        oversample_polar=sampling.oversample_polar or len(experiment.beam.polarizations) > 1,
        background=water_background(experiment.water_size, experiment.photon_scale),
        scale=experiment.photon_scale / experiment.steps,
    )


def derive_grains(experiment: Experiment, angles: Sequence[float]) -> Iterator[DerivedGrain]:
    """Every size of every crystal; weights are relative to the steps of the experiment."""
    for crystal in experiment.crystals:
        mosaic, weight = _mosaic(crystal, experiment.scan.axis, angles), crystal.weight
        weight *= experiment.domains / crystal.domains
        if crystal.sizes is None:
            yield _grain(experiment, crystal, mosaic, weight)
        else:
            for factor, share in zip(crystal.sizes.factors, crystal.sizes.shares, strict=True):
                yield _grain(experiment, crystal.grown(factor), mosaic, weight * share)


def _grain(experiment: Experiment, crystal: Crystal, mosaic: np.ndarray, weight: float) -> DerivedGrain:
    na, nb, nc = map(float, crystal.cells)
    a, b, c = (scale(v, 1e-10) for v in crystal.star)
    return DerivedGrain(
        cell=(crystal.a, crystal.b, crystal.c),
        cells=(na, nb, nc),
        matrix=crystal.cells_matrix,
        volume=crystal.node_factor,
        fudge=crystal.fudge,
        reach=reach_of(crystal.shape.value, _most(experiment, crystal)),
        reciprocal=(a, b, c),
        mosaic=mosaic,
        weight=weight,
        diffuse=crystal.diffuse,
        star=_own_star(crystal),
    )


def _most(experiment: Experiment, crystal: Crystal) -> float | None:
    """Logarithm of the photons of a steradian if all terms of a pixel stand on a node; None where that is unknown."""
    if experiment.sampling.strict_c:
        return None
    weight = max(abs(wave.weight) for wave in experiment.beam.waves)
    lattices = sum(one.weight for one in experiment.crystals)
    amplitudes = (experiment.factors.highest, crystal.tallest)
    known = (experiment.photon_scale, weight, lattices, experiment.layers, *amplitudes, *amplitudes)
    if not all(0.0 <= value < math.inf for value in known):
        return None
    return sum(math.log(value) if value > 0.0 else -math.inf for value in known)


def _own_star(crystal: Crystal) -> np.ndarray | None:
    if crystal.diffuse is None or crystal.diffuse.frame == MosaicFrame.LAB:
        return None
    star: np.ndarray = crystal.orientation.T @ np.linalg.inv([crystal.a, crystal.b, crystal.c])
    return star


def _mosaic(crystal: Crystal, axis: Vector, angles: Sequence[float]) -> np.ndarray:
    """Mosaic rotations (1 or phi, m, 3, 3) after the spindle; of each angle where they turn with the crystal."""
    matrices = crystal.mosaic_matrices
    if crystal.mosaic_frame == MosaicFrame.LAB or not any(angles):
        return matrices[None]
    basis = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    turns = [np.array([rotate_about(v, axis, angle) for v in basis]).T for angle in angles]
    return np.stack([turn @ matrices @ turn.T for turn in turns])


def carried_over(angles: Sequence[float]) -> tuple[float, ...]:
    """The angles that the reference really uses: an exact zero keeps the step before it (spec intensity 8.1).

    The first step keeps the last one of the sweep before, that is of the previous evaluation.
    """
    return tuple(angles[k - 1] if angle == 0.0 else angle for k, angle in enumerate(angles))


def raster(experiment: Experiment) -> Iterator[Numbers]:
    """Numbers of the rendered pixels in raster order, in lists of a bounded length; no list is empty."""
    region, width = experiment.region, experiment.shape[1]
    rows = max(1, SEARCHED // width)
    for slow in range(region.slow_start, region.slow_stop, rows):
        numbers = rendered_pixels(experiment, Tile(0, 0, slow, min(slow + rows, region.slow_stop), 0, width))
        for start in range(0, len(numbers), SEARCHED):
            yield numbers[start : start + SEARCHED]


def _first_pixel(experiment: Experiment) -> int | None:
    """Number of the first rendered pixel of the image."""
    return next((int(numbers[0]) for numbers in raster(experiment)), None)
