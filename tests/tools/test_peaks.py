"""Brightest local maxima: against looking at every pixel, whatever the bands; matching; resampling."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilesim.images import flat
from tilesim.images.pixels import ArrayImage
from tilesim.tools.peaks import REACH, Peaks, brightest_peaks, compare_peaks, match_peaks
from tilesim.tools.resample import ResampledImage, common_shape


def slowly(image, count):
    """The same by the definition."""
    found = []
    for slow, fast in np.ndindex(image.shape):
        value = image[slow, fast]
        rows = range(max(0, slow - REACH), min(image.shape[0], slow + REACH + 1))
        columns = range(max(0, fast - REACH), min(image.shape[1], fast + REACH + 1))
        others = [(i, j) for i in rows for j in columns if np.isfinite(image[i, j]) and (i, j) != (slow, fast)]
        if (
            np.isfinite(value)
            and all(image[p] < value or (image[p] == value and p > (slow, fast)) for p in others)
            and any(image[p] < value for p in others)
        ):
            found.append((-value, slow, fast))
    return [(slow, fast) for _, slow, fast in sorted(found)[:count]]


@pytest.mark.parametrize("rows", [1, 4, 5, 1000])
@pytest.mark.parametrize("shape", [(1, 30), (3, 20), (26, 9), (17, 1)])
def test_the_peaks_are_those_of_the_definition(rows, shape, monkeypatch):
    monkeypatch.setattr(flat, "BAND_PIXELS", rows * shape[1])
    rng = np.random.default_rng(3)
    # Few values, so that there are plateaus and ties; some pixels are missing.
    image = rng.integers(0, 5, shape).astype(np.float32)
    image[rng.random(shape) < 0.1] = np.nan
    for count in (3, 1000):
        assert [tuple(p) for p in brightest_peaks(ArrayImage(image), count).places] == slowly(image, count)


def test_a_flat_image_has_no_peaks():
    for value in (0.0, 7.0, np.nan):
        assert len(brightest_peaks(ArrayImage(np.full((9, 9), value)), 5).values) == 0
    match = compare_peaks(ArrayImage(np.zeros((9, 9))), ArrayImage(np.zeros((9, 9))), 5)
    assert match.matched == 0 and match.mean_shift is None and match.alone == (0, 0)


def spots(places, shape=(60, 80)):
    image = np.zeros(shape, np.float32)
    for n, place in enumerate(places):
        image[place] = 100 - n
    return ArrayImage(image)


PLACES = [(5, 5), (5, 40), (30, 10), (30, 60), (50, 30)]


def test_equal_images_have_no_shift():
    match = compare_peaks(spots(PLACES), spots(PLACES), 5)
    assert (match.matched, match.alone, match.mean_shift, match.largest_shift) == (5, (0, 0), 0, 0)


def test_shifts_are_measured_in_pixels():
    moved = [(s, f + 3) if n == 2 else (s, f) for n, (s, f) in enumerate(PLACES)]
    match = compare_peaks(spots(moved), spots(PLACES), 5)
    assert match.mean_shift == pytest.approx(3 / 5) and match.largest_shift == 3 and match.largest_at == (30, 13)


def test_peaks_without_a_partner_are_alone():
    match = compare_peaks(spots([*PLACES[:4], (10, 70)]), spots(PLACES), 5)
    assert match.matched == 4 and match.alone == (1, 1) and match.largest_shift == 0


def test_peaks_of_another_rank_are_found():
    # The last of the first three is the fourth of the others.
    match = compare_peaks(spots([PLACES[n] for n in (0, 1, 3, 2)]), spots(PLACES[:4]), 3)
    assert match.alone == (0, 0) and match.largest_shift == 0 and match.matched == 4


def test_no_peak_is_matched_twice():
    near = Peaks(np.array([[10, 10], [10, 12]]), np.array([2.0, 1.0]))
    match = match_peaks(near, Peaks(np.array([[10, 11]]), np.array([1.0])), 2)
    assert match.matched == 1 and match.alone == (1, 0) and match.largest_shift == 1


SIDE = st.integers(1, 30)


@given(SIDE, SIDE, SIDE, SIDE, st.integers(0, 99), st.sampled_from([1, 40, 10**6]))
def test_resampling_keeps_the_photons(slow, fast, other_slow, other_fast, seed, pixels):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flat, "BAND_PIXELS", pixels)
        check_resampling(slow, fast, other_slow, other_fast, seed)


def weights(old, new):
    """By the definition: the share of each old pixel in each new one."""
    edges = [(np.arange(n + 1) / n)[:, None] for n in (old, new)]
    low = np.maximum(edges[0][:-1].T, edges[1][:-1])
    high = np.minimum(edges[0][1:].T, edges[1][1:])
    return np.maximum(high - low, 0) * old


def check_resampling(slow, fast, other_slow, other_fast, seed):
    image = np.random.default_rng(seed).random((slow, fast)) * 100
    small = ResampledImage(ArrayImage(image), (other_slow, other_fast))
    whole = small.block(slice(None), slice(None))
    assert whole.shape == (other_slow, other_fast)
    assert whole.sum() == pytest.approx(image.sum(), rel=1e-12)
    expected = weights(slow, other_slow) @ image @ weights(fast, other_fast).T
    np.testing.assert_allclose(whole, expected, rtol=1e-9)
    np.testing.assert_allclose(np.concatenate([band for _, band in small.bands(3)]), whole, rtol=1e-12)
    cut = seed % other_slow
    np.testing.assert_allclose(small.block(slice(cut, None), slice(1, 4)), whole[cut:, 1:4], rtol=1e-12)


def test_whole_pixels_are_summed_and_halves_shared():
    image = ArrayImage(np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]]))
    np.testing.assert_allclose(ResampledImage(image, (1, 3)).block(slice(None), slice(None)), [[9, 18, 36]])
    np.testing.assert_allclose(ResampledImage(image, (2, 2)).block(slice(None), slice(None)), [[2, 5], [16, 40]])


def test_a_missing_pixel_is_missing_where_it_counts_only():
    image = np.ones((4, 6))
    image[1, 1] = np.nan
    small = ResampledImage(ArrayImage(image), (2, 3)).block(slice(None), slice(None))
    assert np.isnan(small[0, 0]) and (small.ravel()[1:] == 4).all()


def test_the_common_grid_is_the_coarser_one():
    assert common_shape((10, 20), (15, 12)) == (10, 12)
