"""The differentiable twin of the definition against central differences of the image, for every parameter."""

import numpy as np
import pytest
from experiments import plain
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from varied import SHAPES, central, experiments, names_of, rendered

from tilesim.gradients.twin import jacobian, values_of
from tilesim.model import MosaicSpread
from tilesim.model.vectors import IDENTITY

AT_A_TIME = 4
"""Parameters of one example."""


@pytest.mark.parametrize("shape", SHAPES)
def test_every_derivative_is_the_central_difference(shape):
    largest_of_all = set()

    @settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
    @given(experiments(shape), st.randoms(use_true_random=False))
    def check(experiment, random):
        names = random.sample(names_of(experiment), AT_A_TIME)
        image, slopes = jacobian(experiment, values_of(experiment, names))
        expected, _ = rendered(experiment)
        np.testing.assert_allclose(image.numpy().ravel(), expected.ravel(), rtol=1e-9)
        assert image.max() > 0
        for name in names:
            slope = slopes[name].numpy()
            place = random.randrange(len(slope))
            largest = np.abs(slope[place]).max()
            if largest:
                found, stays = central(experiment, name, place, largest)
                assert stays.mean() > 0.3
                off = np.abs(found - slope[place].reshape(found.shape))[stays].max() / largest
                assert off <= 1e-7, f"{name} {place}: {off:.1e}"
                largest_of_all.add(name)

    check()
    assert len(largest_of_all) > AT_A_TIME  # derivatives that are not zero everywhere


def test_a_polarisation_factor_of_zero_has_a_derivative():
    experiment = plain(beam=plain().beam.replace(kahn_factor=0.0))
    _, slopes = jacobian(experiment, values_of(experiment, ["beam.kahn_factor"]))
    slope = slopes["beam.kahn_factor"].numpy().ravel()
    assert np.abs(slope).max() > 0
    found, _ = central(experiment, "beam.kahn_factor", 0, np.abs(slope).max())
    np.testing.assert_allclose(found[0], slope, atol=1e-7 * np.abs(slope).max())


@pytest.mark.parametrize("axes", ["spiral", "random"])
@pytest.mark.parametrize("frame", ["lab", "crystal"])
def test_a_mosaic_spread_of_0_has_a_derivative_of_0_and_a_curvature(frame, axes):
    """The image is even in the spread: each domain comes with its inverse."""
    name = "crystal.mosaic_spread.sigma"

    def spread(sigma):
        crystal = plain().crystal.replace(mosaic_rotations=(IDENTITY,), mosaic_frame=frame)
        return plain(crystal=crystal.replace(mosaic_spread=MosaicSpread(sigma, 4, axes)))

    def slope(sigma):
        return jacobian(spread(sigma), values_of(spread(sigma), [name]))[1][name].numpy().ravel()

    largest = np.abs(slope(1e-2)).max()
    assert largest > 0
    assert np.abs(slope(0.0)).max() <= 1e-12 * largest
    # From 0 on the image changes with the square of the spread: by the differences of both sides, which are alike.
    (still, nodes), (near, _), (far, last) = (rendered(spread(sigma)) for sigma in (0.0, 5e-4, 1e-3))
    stays = (nodes == last).all(axis=(1, 2)).ravel()
    near, far = ((one - still).ravel()[stays] for one in (near, far))
    assert stays.mean() > 0.9 and np.abs(near).max() > 1e-6 * still.max()
    np.testing.assert_allclose(far, 4.0 * near, atol=1e-3 * np.abs(far).max())
