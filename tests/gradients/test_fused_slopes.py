"""The fused derivatives against the differentiable twin of the definition, for every parameter."""

import numpy as np
import pytest
from experiments import plain
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from varied import PRECISIONS, SHAPES, experiments, found_by, names_of

from tilesim.gradients.twin import jacobian, values_of
from tilesim.kernels import library
from tilesim.model import MosaicSpread
from tilesim.model.vectors import IDENTITY

pytestmark = pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")


@pytest.mark.parametrize("shape", SHAPES)
def test_every_derivative_is_that_of_the_twin(shape):
    seen = set()

    @settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
    @given(experiments(shape), st.sampled_from([0.0, 4e-10]))
    def check(experiment, dmin):
        experiment = experiment.replace(sampling=experiment.sampling.replace(dmin=dmin))
        names = names_of(experiment)
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

    check()
    assert {"crystal.rotation", "crystal.cell", "beam.wavelength", "detector.distance"} <= seen


def test_a_part_asked_for_alone_is_the_same_to_the_bit():
    experiment = plain(crystal=plain().crystal.replace(shape="gauss"))
    every = found_by(experiment, names_of(experiment), "mixed")[1]
    alone = found_by(experiment, ["crystal.rotation"], "mixed")[1]
    assert np.abs(alone).max() > 0
    assert alone.tobytes() == every[:3].tobytes()


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
