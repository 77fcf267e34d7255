"""The fused derivatives against the differentiable twin of the definition, for every parameter."""

import numpy as np
import pytest
from experiments import plain, rich
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from varied import PRECISIONS, SHAPES, experiments, found_by, names_of

from tilesim.gradients.chain import coefficients
from tilesim.gradients.parameters import parse_parameters
from tilesim.gradients.twin import jacobian, values_of
from tilesim.kernels import fused, library
from tilesim.kernels.slopes import SlopesKernel
from tilesim.model import MosaicSpread, Source, StructureFactors
from tilesim.model.vectors import IDENTITY, unit

pytestmark = pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")


def agree(experiment, names, seen):
    """Assert that derivatives are those of the twin; add to `seen` which are not zero everywhere."""
    image, slopes = jacobian(experiment, values_of(experiment, names))
    expected = np.concatenate([slopes[name].numpy() for name in names])
    labels = [(name, place) for name in names for place in range(len(slopes[name]))]
    assert image.max() > 0
    for precision, allowed in PRECISIONS.items():
        photons, found = found_by(experiment, names, precision)
        np.testing.assert_allclose(photons.ravel(), image.numpy().ravel(), rtol=1e-5)
        for label, one, other in zip(labels, found, expected, strict=True):
            largest = np.abs(other).max()
            off = np.abs(one - other.reshape(one.shape)).max()
            assert off <= allowed * largest, f"{label} {precision}: {off / largest:.1e}"
            seen.update({label[0]} if largest else set())


@pytest.mark.parametrize("shape", SHAPES)
def test_every_derivative_is_that_of_the_twin(shape):
    seen = set()

    @settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
    @given(experiments(shape), st.sampled_from([0.0, 4e-10]))
    def check(experiment, dmin):
        experiment = experiment.replace(sampling=experiment.sampling.replace(dmin=dmin))
        agree(experiment, names_of(experiment), seen)

    check()
    assert {"crystal.rotation", "crystal.cell", "beam.wavelength", "detector.distance"} <= seen


@pytest.mark.parametrize("dmin", [0.0, 4e-10])
def test_sources_have_polarisations_of_their_own_and_water_their_mean(dmin):
    sources = (
        Source((0.0, 0.0, 1.0), 1e-10, 1.5, kahn_factor=0.9),
        Source(unit((0.02, 0.01, 1.0)), 1.01e-10, 0.5, polarization_axis=unit((0.6, 0.8, 0.0))),
    )
    sampling, seen = plain().sampling.replace(oversample=2, dmin=dmin), set()
    experiment = plain(beam=plain().beam.replace(sources=sources), sampling=sampling, water_size=3e-7)
    names = ["crystal.rotation", "beam.rotation", "beam.wavelength", "detector.translation", "detector.rotation"]
    agree(experiment, [*names, "water_size"], seen)
    dark = experiment.replace(factors=StructureFactors.constant(0.0))
    agree(dark, ["beam.rotation", "detector.translation"], seen)
    assert seen == {*names, "water_size"}


def test_reciprocal_vectors_that_are_those_of_the_cell_but_for_rounding_are_as_good_as_none_given():
    crystal = plain().crystal.replace(shape="gauss")
    star = np.array(crystal.star) * (1.0 + 1e-13)
    own, given = (
        found_by(plain(crystal=one), ["crystal.cell"], "double")[1]
        for one in (crystal, crystal.replace(reciprocal=star))
    )
    assert np.abs(own).max() > 0
    np.testing.assert_allclose(own, given, rtol=0, atol=1e-10 * np.abs(own).max())


@pytest.mark.parametrize("shape", ["square", "gauss"])
def test_a_part_asked_for_alone_is_the_same_to_the_bit(shape):
    experiment = rich()
    experiment = experiment.replace(crystal=experiment.crystal.replace(shape=shape))
    names = names_of(experiment)
    every, start = found_by(experiment, names, "mixed")[1], 0
    for one in parse_parameters(names, experiment):
        alone = found_by(experiment, [one.name], "mixed")[1]
        assert alone.tobytes() == every[start : start + one.size].tobytes(), one.name
        start += one.size
    assert np.abs(every).max() > 0


def test_sums_of_products_are_those_of_the_derivatives():
    experiment, rng = plain(), np.random.default_rng(5)
    names, numbers = ["crystal.rotation", "beam.fluence", "detector.distance"], np.arange(3, 640)
    table = coefficients(experiment, 0, parse_parameters(names, experiment))
    kernel = SlopesKernel(fused.lower(experiment, "double"), table)
    photons, found = kernel.derivatives(numbers)
    data, weights = photons + rng.normal(size=len(numbers)), rng.uniform(0.5, 2.0, len(numbers))
    others = rng.normal(size=(3, len(numbers)))
    every = np.concatenate([found, others, (data - photons)[None]])
    assert (np.abs(every).max(axis=1) > 0).all()
    np.testing.assert_allclose(kernel.normal(numbers, data, weights, others), (every * weights) @ every.T, rtol=1e-9)
    np.testing.assert_allclose(kernel.pulled_back(numbers, data), found @ data, rtol=1e-9)


def test_the_derivative_with_a_mosaic_spread_of_0_is_0():
    name, slopes = "crystal.mosaic_spread.sigma", []
    for sigma in (0.0, 0.01):
        crystal = plain().crystal.replace(mosaic_rotations=(IDENTITY,), mosaic_spread=MosaicSpread(sigma, 4))
        slopes.append(np.abs(found_by(plain(crystal=crystal), [name], "double")[1]).max())
    assert slopes[0] <= 1e-12 * slopes[1] and slopes[1] > 0


def test_derivatives_of_a_pixel_do_not_depend_on_the_list_it_is_in():
    experiment = plain()
    names = names_of(experiment)
    whole, some = found_by(experiment, names, "mixed")[1], np.array([3, 77, 78, 500, 501, 712])
    assert np.abs(whole).max() > 0
    assert found_by(experiment, names, "mixed", some)[1].tobytes() == whole[:, :, some].tobytes()
