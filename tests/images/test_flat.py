"""Flat files from bands, and the conversion of a region of interest."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilesim.images.flat import convert_bands, write_banded
from tilesim.model import Region


def test_header_and_bands(tmp_path):
    bands = [np.array([[1, 2]], np.uint16), np.array([[3, 4], [5, 6]], ">u2"), np.zeros((0, 2), np.uint16)]
    write_banded(tmp_path / "a", b"head", bands)
    assert (tmp_path / "a").read_bytes() == b"head" + np.arange(1, 7, dtype="<u2").tobytes()


def test_a_band_that_fails_leaves_nothing(tmp_path):
    def bands():
        yield np.zeros((1, 1))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_banded(tmp_path / "a", b"", bands())
    assert not os.listdir(tmp_path)


bounds = st.integers(-3, 12)


@given(st.builds(Region, bounds, bounds, bounds, bounds), st.integers(1, 7))
def test_pixels_outside_the_region_are_zero_and_unseen(region, rows):
    image = np.arange(1, 64, dtype=np.float32).reshape(7, 9)
    seen = []

    def convert(values):
        seen.extend(values.ravel().tolist())
        return (values + 100).astype(np.uint16)

    bands = [(first, image[first : first + rows]) for first in range(0, 7, rows)]
    result = np.concatenate(list(convert_bands(bands, region, convert)))
    inside = np.zeros(image.shape, bool)
    clipped = region.clipped(7, 9)
    if clipped.pixels:
        inside[clipped.slow_start : clipped.slow_stop, clipped.fast_start : clipped.fast_stop] = True
    assert np.array_equal(result, np.where(inside, image + 100, 0)) and result.dtype == np.uint16
    assert seen == image[inside].tolist()
