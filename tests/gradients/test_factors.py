"""Derivatives with the amplitudes of reflections against the differentiable twin, and as sums over tiles."""

import dask
import numpy as np
import pytest
import torch
from experiments import plain
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from varied import SHAPES, TABLE, experiments, rendered

import tilesim
from tilesim import InputError
from tilesim.gradients.twin import twin_image
from tilesim.kernels import library

pytestmark = pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")
PRECISIONS = {"double": 1e-8, "mixed": 1e-4}
"""With the error that is allowed, relative to the largest derivative."""


@pytest.fixture(autouse=True)
def here():
    with dask.config.set(scheduler="synchronous"):
        yield


def by_the_twin(experiment, cotangent):
    grid = torch.tensor(experiment.factors.grid, requires_grad=True)
    image = twin_image(experiment, {"factors": grid})
    if not image.requires_grad:
        return np.zeros_like(experiment.factors.grid)
    [found] = torch.autograd.grad((image * torch.tensor(cotangent)).sum(), grid)
    return found.numpy()


def cotangent_of(experiment, seed=3):
    panels = len(experiment.detector.panels)
    shape = experiment.panel_shape if panels == 1 else (panels, *experiment.panel_shape)
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_derivatives_with_amplitudes_are_those_of_the_twin(shape):
    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(experiments(shape), st.sampled_from([0.0, 4e-10]))
    def check(experiment, dmin):
        experiment = experiment.replace(sampling=experiment.sampling.replace(dmin=dmin))
        cotangent = cotangent_of(experiment)
        expected = by_the_twin(experiment, cotangent)
        largest = np.abs(expected).max()
        assume(largest > 0)  # dmin may leave a curved panel dark
        for precision, allowed in PRECISIONS.items():
            found = tilesim.pullback(experiment, cotangent, "factors", tile=16, precision=precision)["factors"]
            assert 0 < len(found.values) == len(np.unique(found.indices, axis=0))
            off = np.abs(found.grid(experiment.factors) - expected).max() / largest
            assert off <= allowed, f"{precision}: {off:.1e}"

    check()


def test_the_twin_has_the_central_difference_of_an_amplitude():
    experiment = plain(factors=TABLE)
    cotangent = cotangent_of(experiment)
    found = by_the_twin(experiment, cotangent)
    place = np.unravel_index(np.abs(found).argmax(), found.shape)
    images = []
    for step in (-1.0, 1.0):
        grid = TABLE.grid.copy()
        grid[place] += step
        images.append(rendered(plain(factors=TABLE.replace(grid=grid)))[0])
    slope = (images[1] - images[0]).ravel() @ cotangent.ravel() / 2.0  # the image is of second order in F
    assert slope == pytest.approx(found[place], rel=1e-8)


def test_only_what_reaches_pixels_that_count_is_listed_in_the_order_of_the_table():
    experiment = plain(factors=TABLE)
    cotangent = np.zeros((23, 31))
    cotangent[4:6, 7:9] = 1.0
    found = tilesim.pullback(experiment, cotangent, ["beam.fluence", "factors"])
    assert list(found) == ["beam.fluence", "factors"] and found["beam.fluence"].shape == (1,)
    listed = found["factors"].indices
    assert 0 < len(listed) < TABLE.grid.size / 10
    assert listed.tolist() == sorted(listed.tolist()) and found["factors"].values.min() > 0
    # The image is of second order in the amplitudes: of the table, and of the default around it, which is none of them.
    table = TABLE.replace(default=0.0)
    image = tilesim.simulate_now(plain(factors=table), "double").astype(float)
    slopes = tilesim.pullback(plain(factors=table), cotangent, "factors", precision="double")["factors"]
    assert (slopes.grid(table) * table.grid).sum() == pytest.approx(2.0 * (image * cotangent).sum(), rel=1e-5)


def test_a_default_alone_has_no_reflections():
    experiment = plain(factors=tilesim.StructureFactors.constant(50.0))
    found = tilesim.pullback(experiment, np.ones((23, 31)), "factors")["factors"]
    assert tilesim.simulate_now(experiment).max() > 0 and len(found.values) == 0 and found.indices.shape == (0, 3)


def test_bytes_are_the_same_for_any_number_of_threads():
    arguments = (plain(factors=TABLE), cotangent_of(plain()), "factors", 8)
    one = tilesim.pullback(*arguments)["factors"]
    with dask.config.set(scheduler="threads", num_workers=3):
        many = tilesim.pullback(*arguments)["factors"]
    assert len(one.values) > 0
    assert one.values.tobytes() == many.values.tobytes() and one.indices.tobytes() == many.indices.tobytes()


def test_amplitudes_are_refused_where_they_are_not_one_number_each():
    with pytest.raises(InputError, match="as many numbers as reflections"):
        tilesim.gradient(plain(factors=TABLE), ["factors"])
    with pytest.raises(InputError, match="factors is listed twice"):
        tilesim.pullback(plain(factors=TABLE), np.ones((23, 31)), ["factors", "factors"])
    channels = tilesim.ChannelFactors({plain().beam.wavelength: TABLE})
    with pytest.raises(InputError, match="follow the photon energy"):
        tilesim.pullback(plain(factors=channels), np.ones((23, 31)), "factors")
    found = tilesim.pullback(plain(factors=TABLE), np.ones((23, 31)), "factors")["factors"]
    with pytest.raises(InputError, match="without some of these reflections"):
        found.grid(tilesim.StructureFactors(np.ones((1, 1, 1))))
