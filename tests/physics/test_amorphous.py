"""The background: its curve, its absolute scale, and that every kernel adds the same."""

import math

import numpy as np
import pytest
import torch
from experiments import ALL, panel, plain, rich, veiled
from hypothesis import given
from hypothesis import strategies as st

from tilesim.engine.job import lower_job, make_job
from tilesim.engine.lazy import simulate_now
from tilesim.kernels import tensors
from tilesim.kernels.amorphous import BLOCK, lower_background
from tilesim.model import Background, Beam, Detector, Sampling, ScatteringCurve, Sensor, Source
from tilesim.physics import amorphous
from tilesim.physics.absorb import capture_fraction
from tilesim.physics.background import water_background
from tilesim.physics.polarize import polarization_factor

R_E_SQUARED, AVOGADRO = 7.94079248018965e-30, 6.02214179e23
FLAT = ScatteringCurve((0.0, 1e9), (3.0, 3.0))
SLAB = Background(FLAT, 2e-4, 1100.0, 0.02)
ALL_PIXELS = np.arange(23 * 31)
FACING = Detector((panel(),))


def background_of(experiment, numbers=ALL_PIXELS):
    return lower_background(experiment).photons(numbers)


SIZE = 2e-5


def hazy(background=SLAB, size=SIZE, **changes):
    experiment = plain(**changes)
    return experiment.replace(beam=experiment.beam.replace(size=size), background=background)


def places(detector=FACING):
    """Positions (3, slow, fast) of the pixel centres."""
    one = detector.panels[0]
    slow, fast = np.mgrid[: one.shape[0], : one.shape[1]]
    axes = np.array([one.slow, one.fast])
    along = np.einsum("kij,kx->xij", np.stack([slow + 0.5, fast + 0.5]) * one.pixel_size, axes)
    return np.array(one.origin)[:, None, None] + along


# --- absolute scale


def test_a_flat_curve_gives_molecules_times_thomson_scattering():
    r = places()
    distance = np.sqrt((r * r).sum(0))
    molecules = 2e-4 * 4e-10 * 1100.0 / 0.02 * AVOGADRO
    omega = 4e-4**2 * 0.06 / distance**3
    unpolarised = 0.5 * (1 + (r[2] / distance) ** 2)
    wanted = 1e24 * R_E_SQUARED * molecules * 9.0 * omega * unpolarised
    got = background_of(hazy(beam=Beam((0.0, 0.0, 1.0), 1e-10, 1e24, (1.0, 0.0, 0.0), 0.0)))
    np.testing.assert_allclose(got, wanted.ravel(), rtol=1e-12)


def test_a_flat_curve_is_the_water_term_of_the_reference():
    water = Background(ScatteringCurve((0.0, 1e9), (2.57, 2.57)), 2e-5, 1000.0, 0.018)
    without, _ = tensors.lower(plain(), "double").photons(ALL_PIXELS)
    wet, _ = tensors.lower(plain(water_size=2e-5), "double").photons(ALL_PIXELS)
    np.testing.assert_allclose(background_of(hazy(water)), wet - without, rtol=1e-9)
    assert water.molecules(SIZE) * 2.57**2 == pytest.approx(water_background(2e-5, 1.0))


def test_a_sphere_of_detectors_counts_the_thomson_cross_section():
    """Six panels around the sample see every direction: the total is 8 pi / 3 r_e^2 for each electron squared."""
    total, n = 0.0, 150
    for axis in range(3):
        for side in (-1.0, 1.0):
            normal, slow, fast = (np.roll(v, axis) for v in ((0.0, 0.0, side), (0.0, 1.0, 0.0), (side, 0.0, 0.0)))
            origin = 0.1 * (normal - slow - fast)
            cube = panel((n, n)).replace(
                origin=origin, fast=fast, slow=slow, normal=normal, pixel_size=0.2 / n, close_distance=0.1
            )
            total += background_of(hazy(detector=Detector((cube,))), np.arange(n * n)).sum()
    assert total == pytest.approx(8 * math.pi / 3 * R_E_SQUARED * 1e24 * SLAB.molecules(SIZE) * 9.0, rel=1e-4)


@pytest.mark.parametrize("field", ["thickness", "density"])
def test_photons_grow_with_the_molecules_in_the_beam(field):
    more = hazy(SLAB.replace(**{field: getattr(SLAB, field) * 3}))
    np.testing.assert_allclose(background_of(more), 3 * background_of(hazy()), rtol=1e-14)
    assert not background_of(hazy(SLAB.replace(**{field: 0.0}))).any()
    np.testing.assert_allclose(background_of(hazy(size=2 * SIZE)), 4 * background_of(hazy()), rtol=1e-14)


def test_polarisation_is_the_definition_s_and_can_be_switched_off():
    off = background_of(hazy(beam=plain().beam.replace(kahn_factor=None)))
    for kahn in (0.0, 0.3, 1.0):
        experiment = hazy(beam=plain().beam.replace(kahn_factor=kahn))
        r = places().reshape(3, -1)
        diffracted = torch.from_numpy(r / np.sqrt((r * r).sum(0)))
        beam, axis = torch.tensor([0.0, 0.0, 1.0]).double(), torch.tensor([1.0, 0.0, 0.0]).double()
        factor = polarization_factor(kahn, beam, diffracted, axis).numpy()
        np.testing.assert_allclose(background_of(experiment), off * factor, rtol=1e-12)


def test_every_layer_of_a_sensor_counts_what_it_absorbs():
    one = Detector((panel(sensor=Sensor(1, 4e-4, 2e3)),))
    ratio = background_of(hazy(detector=one)) / background_of(hazy())
    cosine = (0.06 / np.sqrt((places() ** 2).sum(0))).ravel()
    np.testing.assert_allclose(ratio, 1 - np.exp(-0.8 / cosine), rtol=1e-12)
    wanted = capture_fraction(0, 4e-4, 2e3, torch.from_numpy(cosine)).numpy()
    np.testing.assert_allclose(ratio, wanted, rtol=1e-12)
    thin = Detector((panel(sensor=Sensor(4, 1e-8, 2e3)),))  # too thin for the depth to matter
    once = Detector((panel(sensor=Sensor(1, 4e-8, 2e3)),))
    layered, whole = (background_of(hazy(detector=d)) for d in (thin, once))
    np.testing.assert_allclose(layered, whole, rtol=1e-5)


def test_sources_are_averaged_by_weight():
    straight = Source((0.0, 0.0, 1.0), 1e-10)
    sources = [
        straight.replace(weight=0.5),
        straight.replace(wavelength=1.2e-10),
        Source((0.0, 0.28, 0.96), 1e-10, 1.5),
    ]
    curve = ScatteringCurve(np.linspace(0, 9e8, 40), 3 + np.cos(np.linspace(0, 9, 40)))

    def seen(*waves):
        beam = plain().beam.replace(sources=waves)
        return background_of(hazy(SLAB.replace(curve=curve), beam=beam))

    apart = sum(seen(source) for source in sources) / 3
    np.testing.assert_allclose(seen(*sources), apart, rtol=1e-12)
    assert not np.allclose(seen(sources[0]) * 2, seen(sources[1]), rtol=1e-3)


def test_curved_and_point_pixels_follow_the_kernel():
    for detector, sampling in (
        (Detector((panel(curved_radius=0.06),)), Sampling()),
        (FACING, Sampling(point_pixel=True)),
    ):
        water = Background(ScatteringCurve((0.0, 1e9), (2.57, 2.57)), 2e-5, 1000.0, 0.018)
        changes = {"detector": detector, "sampling": sampling}
        dry, _ = tensors.lower(plain(**changes), "double").photons(ALL_PIXELS)
        wet, _ = tensors.lower(plain(water_size=2e-5, **changes), "double").photons(ALL_PIXELS)
        np.testing.assert_allclose(background_of(hazy(water, **changes)), wet - dry, rtol=1e-9)


# --- the curve


def curves():
    gaps = st.lists(st.floats(1e-3, 10.0), min_size=1, max_size=12)
    return gaps.flatmap(
        lambda g: st.lists(st.floats(0.0, 100.0), min_size=len(g) + 1, max_size=len(g) + 1).map(
            lambda values: (np.concatenate([[0.0], np.cumsum(g)]) * 1e8, np.array(values))
        )
    )


@given(curves())
def test_the_interpolant_meets_its_points_is_held_beyond_them_and_never_negative(curve):
    points, values = curve
    pieces = amorphous.interpolant(points, values)
    np.testing.assert_allclose(amorphous.amplitude(pieces, points), values, rtol=1e-9, atol=1e-7)
    beyond = amorphous.amplitude(pieces, np.array([0.0, points[-1] * 3, 1e300]))
    np.testing.assert_allclose(beyond, values[[0, -1, -1]], rtol=1e-9, atol=1e-7)
    between = amorphous.amplitude(pieces, np.linspace(points[0], points[-1], 301))
    assert (between >= 0).all() and np.isfinite(between).all()


@pytest.mark.parametrize(("count", "order"), [(2, 1), (3, 2), (9, 2)])
def test_polynomials_are_met_exactly_between_the_points(count, order):
    points = np.sort(np.random.default_rng(count).uniform(0, 1e9, count))
    x = points[0] + (points[-1] - points[0]) * np.linspace(0, 1, 97)
    for power in range(order + 1):
        pieces = amorphous.interpolant(points, (points / 1e8) ** power)
        np.testing.assert_allclose(amorphous.amplitude(pieces, x), (x / 1e8) ** power, rtol=1e-9)


def test_cubics_are_met_exactly_away_from_the_ends():
    points = np.cumsum(np.random.default_rng(5).uniform(1e7, 2e8, 12))
    x = np.linspace(points[1], points[-2], 97)
    cubic = np.polynomial.Polynomial([900.0, -3.0, 0.5, 0.25])
    pieces = amorphous.interpolant(points, cubic(points / 1e8))
    np.testing.assert_allclose(amorphous.amplitude(pieces, x), cubic(x / 1e8), rtol=1e-9)


# --- with a kernel


def render(experiment, backend="eager", precision="double"):
    return lower_job(make_job(experiment, None, precision, "cpu", backend)).photons(ALL_PIXELS)


@pytest.mark.parametrize("backend", ["eager", "fused"])
@pytest.mark.parametrize("precision", ["mixed", "double"])
def test_every_kernel_adds_the_same(backend, precision):
    clear, angles = render(rich(), backend, precision)
    hidden, same = render(ALL["veiled"], backend, precision)
    added = background_of(ALL["veiled"])
    assert added.max() > 1e-3 * clear.max() and same == angles
    np.testing.assert_array_equal(hidden, clear + added)


def test_it_is_added_once_whatever_the_sub_pixels_orientations_and_dmin():
    few = veiled(sampling=Sampling(), scan=plain().scan, crystal=plain().crystal)
    np.testing.assert_array_equal(background_of(few), background_of(ALL["veiled"]))


def test_a_pixel_does_not_depend_on_its_neighbours_in_the_list():
    many = np.tile(ALL_PIXELS, BLOCK // len(ALL_PIXELS) + 2)
    values = background_of(ALL["veiled"], many)
    np.testing.assert_array_equal(values, np.resize(background_of(ALL["veiled"]), len(many)))
    some = np.random.default_rng(2).permutation(ALL_PIXELS)[:101]
    np.testing.assert_array_equal(background_of(ALL["veiled"], some), values[some])
    assert not len(background_of(ALL["veiled"], some[:0]))


def test_every_panel_sees_it():
    one = panel()
    other = one.replace(origin=(-0.0061, 0.0055, 0.06))
    both = simulate_now(hazy(detector=Detector((one, other))), "double", "cpu", "eager")
    for image, alone in zip(both, (one, other), strict=True):
        wanted = simulate_now(hazy(detector=Detector((alone,))), "double", "cpu", "eager")
        np.testing.assert_array_equal(image, wanted)


def test_without_a_background_the_kernel_is_the_plain_one():
    assert isinstance(lower_job(make_job(plain(), None, "double", "cpu", "eager")), tensors.TensorKernel)
