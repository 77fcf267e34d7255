"""Pixels beyond all structure factors are left out: no byte of an image, its truth or its derivatives changes."""

import math

import numpy as np
import pytest
import varied
from experiments import ALL, plain
from hypothesis import given, settings
from hypothesis import strategies as st

from tilesim.gradients.chain import coefficients
from tilesim.gradients.parameters import parse_parameters
from tilesim.kernels import fused, library, outermost
from tilesim.kernels.slopes import SlopesKernel
from tilesim.model import AnomalousCurve, AnomalousFactors, ChannelFactors, StructureFactors

pytestmark = pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")
EVERY_PIXEL = np.arange(23 * 31)


def pixel_by_pixel(kernel):
    """Photons of every pixel, each in a block of its own, so that it alone decides what is left out."""
    return np.concatenate([kernel.photons(EVERY_PIXEL[n : n + 1])[0] for n in EVERY_PIXEL])


@st.composite
def tables(draw, by_energy=True):
    """Small tables with holes, by photon energy or not, whose amplitudes end well inside of the detector."""
    shape, low = draw(st.tuples(*[st.integers(4, 7)] * 3)), draw(st.tuples(*[st.integers(-5, -1)] * 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    filled = rng.random(shape) < draw(st.sampled_from([0.02, 0.3, 1.0]))
    kind = draw(st.sampled_from(["plain", "mixed", "tables", "channels"])) if by_energy else "plain"
    one = rng.uniform(5, 120, shape) * filled
    if kind == "plain":
        return StructureFactors(one, low)
    if kind == "channels":
        return ChannelFactors({w: StructureFactors(one * (w > 1e-10), low) for w in (0.99e-10, 1e-10, 1.01e-10)})
    curves = [
        AnomalousCurve(f"E{n}", [11.0, 13.0], [-2.0, 1.0], [0.5, 2.0]) for n in range(1 if kind == "mixed" else 5)
    ]
    parts = [one * n * np.exp(1j * n) for n in range(1, len(curves) + 2)]
    return AnomalousFactors(parts, curves, 1e-10, low)


@st.composite
def experiments(draw):
    """Every kind of experiment on a detector so close that it goes far beyond the table."""
    base = ALL[draw(st.sampled_from(list(ALL)))]
    panel = base.detector.panels[0]
    close = panel.replace(origin=(-0.0061, -0.0048, 0.012), close_distance=0.012)
    table = draw(tables(by_energy=not base.sampling.strict_c))
    found = base.replace(detector=base.detector.replace(panels=(close,)), factors=table)
    return found.replace(crystal=found.crystal.rotated((0.3, 1.0, 0.2), draw(st.floats(0, 6))))


@given(experiments(), st.sampled_from(["mixed", "double"]))
@settings(max_examples=80, deadline=None)
def test_no_byte_changes(experiment, precision):
    everything, kernel = fused.lower(experiment, precision, skip=False), fused.lower(experiment, precision)
    assert pixel_by_pixel(kernel).tobytes() == everything.photons(EVERY_PIXEL)[0].tobytes()
    assert kernel.truth(EVERY_PIXEL).tobytes() == everything.truth(EVERY_PIXEL).tobytes()


def limit_of(experiment):
    """Squared length of scattering vectors, 1/m^2, from which the first grain is left out."""
    return fused.lower(experiment)._grains[0].outermost


def test_the_limit_is_the_length_of_the_outermost_reflection_and_half_the_diagonal_of_a_cell():
    grid = np.zeros((9, 9, 9))
    grid[4, 4, 4], grid[7, 4, 4], grid[4, 2, 4] = 9.0, 1.0, 2.0
    cell = {"a": (3e-9, 0.0, 0.0), "b": (0.0, 4e-9, 0.0), "c": (0.0, 0.0, 5e-9)}
    experiment = plain(crystal=plain().crystal.replace(**cell), factors=StructureFactors(grid, (-4, -4, -4)))
    diagonal = math.hypot(1 / 3e-9, 1 / 4e-9, 1 / 5e-9)
    assert limit_of(experiment) == pytest.approx((3 / 3e-9 + diagonal / 2) ** 2, rel=1e-5)
    interpolated = experiment.replace(sampling=experiment.sampling.replace(interpolate=True))
    assert limit_of(interpolated) == pytest.approx((3 / 3e-9 + 2 * diagonal) ** 2, rel=1e-5)


def test_nothing_is_left_out_where_zero_is_not_all_that_follows():
    table = StructureFactors(np.ones((5, 5, 5)), (-2, -2, -2))
    assert limit_of(plain(factors=table)) < math.inf
    assert limit_of(plain(factors=table.replace(default=1.0))) == math.inf
    assert limit_of(plain(factors=table, crystal=plain().crystal.replace(cells=(1e7, 1e7, 1e7)))) == math.inf
    assert fused.lower(plain(factors=table), skip=False)._grains[0].outermost == math.inf


def test_rotations_that_stretch_a_little_are_allowed_for():
    edge, cell = np.array([[3.0, 0.0, 0.0]]), np.diag([2e-9, 3e-9, 4e-9])
    plain_limit = outermost.outermost(edge, cell, cell[None], np.eye(3)[None], 0.5)
    stretched = outermost.outermost(edge, cell, 0.999 * cell[None], np.eye(3)[None], 0.5)
    assert stretched > plain_limit / 0.999**2
    assert outermost.outermost(edge, cell, 0.1 * cell[None], np.eye(3)[None], 0.5) == math.inf


@pytest.mark.parametrize("shape", varied.SHAPES)
def test_derivatives_are_the_same(shape):
    base = plain().replace(crystal=plain().crystal.replace(shape=shape, fudge=0.4, cells=(3, 3, 4)))
    panel = base.detector.panels[0].replace(origin=(-0.0061, -0.0048, 0.02), close_distance=0.02)
    grid = np.random.default_rng(3).uniform(5, 120, (7, 7, 9))
    experiment = base.replace(
        detector=base.detector.replace(panels=(panel,)), factors=StructureFactors(grid, (-3, -3, -4))
    )
    names = ["crystal.rotation", "crystal.cell", "crystal.cells", "beam.wavelength", "detector.distance"]
    table = coefficients(experiment, 0, parse_parameters(names, experiment))
    kernels = (SlopesKernel(fused.lower(experiment, "double", skip=skip), table) for skip in (True, False))
    (photons, slopes), (all_photons, all_slopes) = (kernel.derivatives(EVERY_PIXEL) for kernel in kernels)
    assert slopes.any() and (photons == 0).any()
    assert photons.tobytes() == all_photons.tobytes()
    np.testing.assert_array_equal(slopes, all_slopes)
