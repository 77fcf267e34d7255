"""Figures of two images: against plain numpy, with missing pixels, in bands of any height."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilesim.errors import InputError
from tilesim.images import flat
from tilesim.images.image import open_image
from tilesim.images.pixels import ArrayImage, ImagePart
from tilesim.tools.agreement import agreement
from tilesim.tools.compare import Rectangle, as_plain, compare
from tilesim.tools.paired import even


def images(seed=0, shape=(23, 17), scale=0.01):
    rng = np.random.default_rng(seed)
    b = rng.gamma(0.5, 100, shape)
    a = b * (1 + scale * rng.standard_normal(shape))
    return a, b


def found(a, b, **options):
    return agreement(ArrayImage(np.asarray(a)), ArrayImage(np.asarray(b)), **options)


@pytest.fixture(params=[1, 40, 2**20])
def band_pixels(request, monkeypatch):
    monkeypatch.setattr(flat, "BAND_PIXELS", request.param)


def test_the_figures_are_those_of_numpy(band_pixels):
    a, b = images()
    got = found(a, b)
    assert got.pixels == a.size and got.not_finite == (0, 0) and got.first_not_finite is None
    assert got.correlation == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1], abs=1e-14)
    assert got.mean_square == pytest.approx(np.mean((a - b) ** 2), rel=1e-13)
    assert got.sums == pytest.approx((a.sum(), b.sum()), rel=1e-14)
    assert got.ratio == pytest.approx(a.sum() / b.sum(), rel=1e-14)
    for top, figure in (
        (got.absolute, np.abs(a - b)),
        (got.relative, np.abs(a - b) / b),
        (got.golden, np.abs(a - b) / np.maximum(b, 1e-6 * b.max())),
    ):
        assert top.value == figure.max() and top.pixel == np.unravel_index(figure.argmax(), a.shape)
        assert (top.a, top.b) == (a[top.pixel], b[top.pixel])


def test_equal_images_have_no_difference():
    a, _ = images()
    got = found(a, a)
    assert got.within(0.0) and got.golden.value == 0 and got.absolute.pixel is None
    assert got.correlation == pytest.approx(1, abs=1e-15) and got.ratio == 1


def test_correlation_holds_far_from_zero():
    a, b = images()
    assert found(a + 1e8, b + 1e8).correlation == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1], abs=1e-9)


def test_a_constant_image_has_no_correlation():
    a, b = images()
    assert found(np.full_like(a, 3.0), b).correlation is None
    assert found(np.zeros((3, 4)), np.zeros((3, 4))).within(0.0)


def test_pixels_that_are_no_numbers_are_counted_named_and_left_out(band_pixels):
    a, b = images()
    a[7, 3], a[20, 1], b[9, 9], b[7, 3] = np.nan, np.inf, np.nan, np.nan
    got = found(a, b)
    good = np.isfinite(a) & np.isfinite(b)
    assert got.not_finite == (2, 2) and got.first_not_finite == (7, 3) and got.pixels == good.sum()
    assert not got.within(math.inf)
    assert got.mean_square == pytest.approx(np.mean((a - b)[good] ** 2), rel=1e-12)
    assert got.correlation == pytest.approx(np.corrcoef(a[good], b[good])[0, 1], abs=1e-13)
    assert got.absolute.value == np.abs(a - b)[good].max()
    nothing = found(np.full((2, 2), np.nan), np.ones((2, 2)))
    assert nothing.pixels == 0 and not nothing.within(1.0)


def test_a_difference_from_a_dark_image_is_infinitely_large():
    got = found([[0.0, 1.0]], [[0.0, 0.0]])
    assert got.golden.value == math.inf and got.golden.pixel == (0, 1) and got.ratio is None
    assert got.relative.value == 0 and not got.within(1e9)


def test_integers_are_subtracted_as_numbers():
    got = found(np.array([[0, 3]], np.uint16), np.array([[5, 3]], np.uint16))
    assert got.absolute.value == 5 and got.sums == (3, 8)


def test_images_of_different_shapes_are_refused():
    with pytest.raises(InputError, match=r"different shapes, 17 x 23 and 5 x 4 pixels .* --resample"):
        found(images()[0], np.zeros((4, 5)))


def test_a_region_is_that_part_alone_and_its_places_are_those_of_the_image():
    a, b = images()
    region = Rectangle(3, 8, 5, 20)
    comparison, _, _ = compare(ArrayImage(a), ArrayImage(b), [region], tolerance=1e-5, peaks=0)
    ((_, got),) = comparison.regions
    inner_a, inner_b = a[5:21, 3:9], b[5:21, 3:9]
    assert got.pixels == inner_a.size and got.sums == pytest.approx((inner_a.sum(), inner_b.sum()))
    place = np.unravel_index(np.abs(inner_a - inner_b).argmax(), inner_a.shape)
    assert got.absolute.pixel == (place[0] + 5, place[1] + 3)
    assert as_plain(comparison)["regions"][0]["roi"] == [3, 8, 5, 20]


def test_with_regions_only_they_are_judged():
    a, b = images(scale=0)
    a[0, 0] += 1
    outside, _, _ = compare(ArrayImage(a), ArrayImage(b), [Rectangle(1, 16, 1, 22)], tolerance=1e-5, peaks=0)
    inside, _, _ = compare(ArrayImage(a), ArrayImage(b), [Rectangle(0, 0, 0, 0)], tolerance=1e-5, peaks=0)
    assert outside.within and not inside.within and not outside.whole.within(1e-5)


@pytest.mark.parametrize("corners", [(0, 17, 0, 3), (5, 4, 0, 3), (-1, 4, 0, 3), (0, 4, 0, 23)])
def test_a_region_outside_the_image_is_refused(corners):
    a, b = (ArrayImage(image) for image in images())
    with pytest.raises(InputError, match=r"--roi .*: expected fast first, .* within 0 to 16 and 0 to 22"):
        compare(a, b, [Rectangle(*corners)], tolerance=1.0, peaks=0)


def test_an_incomplete_store_of_integers_is_not_the_same():
    class Incomplete(ArrayImage):
        complete = False

    comparison, _, _ = compare(Incomplete(np.ones((3, 3), int)), ArrayImage(np.ones((3, 3))), tolerance=1.0, peaks=0)
    assert not comparison.within and comparison.complete == (False, True)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 12))
def test_bands_of_any_heights_become_even(heights, rows):
    pixels = np.arange(3 * sum(heights)).reshape(-1, 3)
    cuts = np.cumsum([0, *heights])
    bands = ((int(i), pixels[i:j]) for i, j in itertools.pairwise(cuts))
    made = list(even(bands, rows))
    assert [first for first, _ in made] == list(range(0, len(pixels), rows))
    assert all(len(band) == rows for _, band in made[:-1])
    np.testing.assert_array_equal(np.concatenate([band for _, band in made]), pixels)


def test_a_part_of_a_part():
    pixels = np.arange(200).reshape(10, 20)
    part = ImagePart(ImagePart(ArrayImage(pixels), slice(2, 9), slice(3, 15)), slice(1, 4), slice(2, None))
    assert part.shape == (3, 10)
    np.testing.assert_array_equal(part.block(slice(None), slice(1, 3)), pixels[3:6, 6:8])


def test_memory_does_not_grow_with_the_image(tmp_path, monkeypatch):
    monkeypatch.setattr(flat, "BAND_PIXELS", 2**15)
    paths = [tmp_path / "a.bin", tmp_path / "b.bin"]
    for path in paths:
        np.random.default_rng(1).random(1024 * 1024, np.float32).tofile(path)
    tracemalloc.start()
    try:
        comparison, _, _ = compare(*map(open_image, paths), tolerance=0.0, peaks=5)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert comparison.within and comparison.peaks.matched >= 5
    # As float64 an image is 8 MB, a band 0.25 MB.
    assert peak < 6e6
