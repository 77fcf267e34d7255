"""`tilesim.gradient` and the sums over its pixels: lazily by tiles, and the same however an image is cut."""

import dask
import numpy as np
import pytest
from experiments import plain, rich
from varied import tilted

import tilesim
from tilesim import Detector, InputError, Source
from tilesim.kernels import library
from tilesim.model import Background, ScatteringCurve

pytestmark = pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")
NAMES = ["crystal.rotation", "crystal.cells", "beam.fluence"]
POLARIZED = [Source((0.0, 0.0, 1.0), 1e-10, kahn_factor=factor) for factor in (0.2, 0.9)]


@pytest.fixture(autouse=True)
def here():
    with dask.config.set(scheduler="synchronous"):
        yield


def test_a_slice_computes_its_tile_and_tiles_do_not_count():
    whole = tilesim.gradient(plain(), NAMES)
    cut = tilesim.gradient(plain(), NAMES, tile=10)
    assert whole.shape == (7, 23, 31) and cut.chunks == ((7,), (10, 10, 3), (10, 10, 10, 1))
    found = whole.compute()
    assert all(np.abs(one).max() > 0 for one in found)
    assert cut.compute().tobytes() == found.tobytes()
    assert cut[1, 3:9, 11:13].compute().tobytes() == found[1, 3:9, 11:13].tobytes()


def test_fluence_is_the_scale_of_the_image_and_of_its_background():
    beam = plain().beam.replace(size=1e-4)
    background = Background(ScatteringCurve((0.0, 1e9), (3.0, 3.0)), 2e-4, 1100.0, 0.02)
    experiment = plain(beam=beam, background=background)
    image = tilesim.simulate_now(experiment, "double")
    fluence, thickness = tilesim.gradient(
        experiment, ["beam.fluence", "background.thickness"], precision="double"
    ).compute()
    np.testing.assert_allclose(fluence * beam.fluence, image, rtol=1e-6)
    without = tilesim.simulate_now(plain(beam=beam), "double")
    np.testing.assert_allclose(thickness * background.thickness, image - without, rtol=1e-4)
    assert without.max() > 0 and thickness.min() > 0


def test_panels_have_an_axis_and_their_own_derivatives():
    experiment = plain(detector=Detector([tilted(), tilted(across=0.011)]))
    found = tilesim.gradient(experiment, ["detector[1].translation", "detector.distance"]).compute()
    assert found.shape == (4, 2, 24, 24)
    assert (found[:3, 0] == 0).all() and np.abs(found[:3, 1]).max() > 0
    direct = found[3]
    assert np.abs(direct[0]).max() > 0
    np.testing.assert_allclose(direct[1], found[2, 1], rtol=1e-12)  # the beam runs along z


def test_pixels_outside_of_region_and_mask_are_zero():
    experiment = rich()
    [found] = tilesim.gradient(experiment, "beam.fluence").compute()
    outside = np.ones((23, 31), bool)
    outside[1:22, 2:30] = ~experiment.mask.active[1:22, 2:30]
    assert (found[outside] == 0).all() and (found[~outside] > 0).any()


def test_normal_equations_and_pullback_are_sums_over_the_gradient():
    experiment, rng = plain(), np.random.default_rng(3)
    slopes = tilesim.gradient(experiment, NAMES, precision="double").compute().reshape(7, -1)
    image = tilesim.simulate_now(experiment, "double").astype(float)
    data, variance = image + rng.normal(size=image.shape), rng.uniform(1.0, 2.0, image.shape)
    found = tilesim.normal_equations(experiment, data, variance, NAMES, precision="double")
    weights, residuals = 1.0 / variance.ravel(), (data - image).ravel()
    np.testing.assert_allclose(found.matrix, (slopes * weights) @ slopes.T, rtol=1e-9)
    np.testing.assert_allclose(found.vector, (slopes * weights) @ residuals, rtol=1e-4)
    assert found.chi_squared == pytest.approx(float(residuals**2 @ weights), rel=1e-5)
    assert found.pixels == 23 * 31 and found.names == ("crystal.rotation",) * 3 + ("crystal.cells",) * 3 + (
        "beam.fluence",
    )
    pulled = tilesim.pullback(experiment, data, NAMES, precision="double")
    np.testing.assert_allclose(np.concatenate(list(pulled.values())), slopes @ data.ravel(), rtol=1e-9)


def test_sums_are_the_same_for_any_number_of_threads_and_count_the_pixels_asked_for():
    where = np.zeros((23, 31), bool)
    where[4:9, 5:20] = True
    experiment = plain()
    arguments = (experiment, np.ones((23, 31)), 2.0, NAMES, where, 8)
    one = tilesim.normal_equations(*arguments)
    with dask.config.set(scheduler="threads", num_workers=3):
        many = tilesim.normal_equations(*arguments)
    assert one.pixels == 75 and np.abs(one.vector).min() > 0
    assert one.matrix.tobytes() == many.matrix.tobytes() and one.chi_squared == many.chi_squared


def test_pixels_without_a_value_or_a_variance_are_left_out():
    data, variance = np.full((23, 31), 2.0), np.full((23, 31), 3.0)
    data[4, 5:9] = np.nan
    variance[7, 3], variance[8, 3], data[9, 3], variance[9, 3] = np.nan, np.inf, np.nan, 0.0
    where = ~np.isnan(data) & np.isfinite(variance)
    found = tilesim.normal_equations(plain(), data, variance, NAMES, tile=8)
    alone = tilesim.normal_equations(plain(), np.where(where, data, 0.0), 3.0, NAMES, where, tile=8)
    assert found.pixels == alone.pixels == 23 * 31 - 7 and np.abs(found.vector).min() > 0
    assert found.matrix.tobytes() == alone.matrix.tobytes() and found.vector.tobytes() == alone.vector.tobytes()
    assert found.chi_squared == alone.chi_squared


def test_a_variance_that_is_not_above_0_and_infinite_data_are_errors_that_name_the_pixel():
    variance, two = np.ones((2, 24, 24)), plain(detector=Detector([tilted(), tilted(across=0.011)]))
    variance[1, 20, 7] = -2.0
    with pytest.raises(InputError, match=r"^variance is -2 at pixel \(20, 7\) of panel 1; expected a number above 0"):
        tilesim.normal_equations(two, variance, variance, NAMES, tile=9)
    with pytest.raises(InputError, match=r"^variance is 0 at pixel \(0, 0\); expected"):
        tilesim.normal_equations(plain(), np.ones((23, 31)), 0.0, NAMES)
    data = np.ones((23, 31))
    data[5, 30] = np.inf
    with pytest.raises(InputError, match=r"^data is inf at pixel \(5, 30\); expected photons, or NaN"):
        tilesim.normal_equations(plain(), data, 1.0, NAMES)
    masked = np.ones((23, 31), bool)
    masked[5, 30] = False
    assert tilesim.normal_equations(plain(), data, 1.0, NAMES, masked).pixels == 23 * 31 - 1


def test_workers_give_the_bytes_of_threads(cluster):
    distributed = pytest.importorskip("distributed")
    arguments = (plain(), np.ones((23, 31)), 2.0, NAMES, None, 8)

    def found():
        slopes = tilesim.gradient(plain(), NAMES, 8).compute()
        pulled = tilesim.pullback(plain(), slopes[0], "factors", 8)["factors"]
        return tilesim.normal_equations(*arguments), slopes, pulled

    one, slopes, pulled = found()
    with distributed.Client(cluster(2)) as client:
        many, far, far_pulled = found()
        assert client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.task_prefixes)) > 0  # not here
    assert np.abs(slopes).max() > 0 and far.tobytes() == slopes.tobytes()
    assert one.matrix.tobytes() == many.matrix.tobytes() and one.vector.tobytes() == many.vector.tobytes()
    assert len(pulled.values) > 0 and far_pulled.values.tobytes() == pulled.values.tobytes()


@pytest.mark.parametrize(
    ("changes", "wrt", "named"),
    [
        ({}, "crystal.colour", "parameter crystal.colour is not known; expected one of crystal.rotation"),
        ({}, [], "no parameter to vary"),
        ({}, ["crystal.cell", "crystal.cell"], "listed twice"),
        ({}, "detector[3].distance", "the experiment has 1 panels"),
        ({}, "crystal.mosaic_spread.sigma", "the experiment has none"),
        ({"crystal": plain().crystal.replace(shape="tophat")}, "crystal.cell", "the shape tophat"),
        ({"sampling": plain().sampling.replace(strict_c=True)}, "crystal.cell", "strict_c"),
        ({"beam": plain().beam.replace(sources=POLARIZED)}, "beam.kahn_factor", "a polarisation of their own"),
        ({"crystal": plain().crystal.replace(share=0.0)}, "crystal.share", "not computed where it is 0"),
    ],
)
def test_what_has_no_derivative_is_refused_with_the_reason(changes, wrt, named):
    with pytest.raises(InputError) as error:
        tilesim.gradient(plain(**changes), wrt)
    assert named in str(error.value) and "\n" not in str(error.value)


def test_arrays_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"data has the shape \(3, 4\); expected that of the image, \(23, 31\)"):
        tilesim.normal_equations(plain(), np.ones((3, 4)), 1.0, NAMES)
