"""The preview image: header and pixels of spec files 8."""

import math

import numpy as np

from tilesim.images.pgm import pgm_header, pgm_pixels


def test_header():
    assert pgm_header((3, 5), 0.123456789) == b"P5\n5 3\n# pixels scaled by 0.123457\n255\n"
    assert pgm_header((1, 1), 1e-7) == b"P5\n1 1\n# pixels scaled by 1e-07\n255\n"


def test_pixels_are_truncated_and_clamped_above_only():
    values = np.array([[0, 0.999, 254.9, 255, 1e30], [-0.9, -1, -257.5, -1e12, math.nan]], dtype=np.float32)
    pixels = pgm_pixels(values, 1.0)
    assert pixels.dtype == np.uint8
    assert pixels.tolist() == [[0, 0, 254, 255, 255], [0, 255, 255, 0, 0]]
    assert pgm_pixels(np.float32([math.inf, -math.inf, 10]), 2.0).tolist() == [255, 0, 20]
    assert pgm_pixels(np.float32([math.inf]), 0.0).tolist() == [0]
