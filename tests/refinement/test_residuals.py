"""What is minimised: its slope is that of weighted least squares, its least value where measured is expected."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilesim.errors import InputError
from tilesim.refinement.residuals import FitSums, Weighting, check_counts, fit_sums

COUNTS = st.floats(-3.0, 1e4)
EXPECTED = st.floats(1e-3, 1e4)


def deviance(measured, expected, weighting):
    return fit_sums(np.array([measured]), np.array([expected]), np.zeros((1, 1)), weighting).deviance


@given(COUNTS, EXPECTED, st.sampled_from([0.0, 0.5, 2.0]), st.sampled_from([None, 3.0]))
def test_the_slope_of_the_deviance_is_residual_over_variance(measured, expected, readout, robust):
    weighting, step = Weighting(readout, robust), 1e-5 * expected
    sums = fit_sums(np.array([measured]), np.array([expected]), np.ones((1, 1)), weighting)
    before, after = (deviance(measured, expected + shift, weighting) for shift in (-step, step))
    slope = (after - before) / (2.0 * step)
    assert slope == pytest.approx(-2.0 * sums.vector[0], rel=1e-3, abs=1e-6 * max(1.0, abs(sums.deviance) / step))
    if robust is None:
        assert sums.vector[0] == pytest.approx((measured - expected) / (expected + weighting.constant))


@given(st.floats(0.0, 1e4), st.floats(0.0, 1e4), st.sampled_from([0.0, 2.0]))
def test_the_deviance_is_least_where_what_is_measured_is_expected(measured, expected, readout):
    weighting = Weighting(readout)
    assert deviance(measured, measured, weighting) == pytest.approx(0.0, abs=1e-9)
    assert deviance(measured, expected, weighting) >= -1e-9


def test_a_distant_pixel_pulls_no_harder_than_the_limit():
    weighting = Weighting(1.0, robust=4.0)
    near, far, farther = (
        fit_sums(np.array([x]), np.array([100.0]), np.ones((1, 1)), weighting) for x in (110.0, 400.0, 4000.0)
    )
    assert (near.outliers, far.outliers, farther.outliers) == (0, 1, 1)
    assert 0 < near.vector[0] < far.vector[0]
    plain = fit_sums(np.array([4000.0]), np.array([100.0]), np.ones((1, 1)), Weighting(1.0))
    assert farther.vector[0] < 0.2 * plain.vector[0]


def test_sums_of_parts_are_the_sum_of_the_whole():
    rng = np.random.default_rng(2)
    expected, slopes = rng.uniform(1, 50, 40), rng.normal(size=(3, 40))
    measured = rng.poisson(expected).astype(float)
    whole = fit_sums(measured, expected, slopes, Weighting(1.0, 2.0))
    parts = [fit_sums(measured[s], expected[s], slopes[:, s], Weighting(1.0, 2.0)) for s in (slice(15), slice(15, 40))]
    joined = FitSums.nothing(3).merge(parts[0]).merge(parts[1])
    np.testing.assert_allclose(joined.matrix, whole.matrix, rtol=1e-12)
    np.testing.assert_allclose(joined.vector, whole.vector, rtol=1e-12)
    assert (joined.pixels, joined.outliers) == (40, whole.outliers) and whole.outliers > 0
    assert joined.deviance == pytest.approx(whole.deviance) and whole.matrix[0, 0] > 0


def test_counts_below_what_the_read_out_explains_are_refused():
    check_counts("data", -9.0, Weighting(1.0))
    with pytest.raises(InputError, match="image has pixels down to -11 photons"):
        check_counts("image", -11.0, Weighting(1.0))
