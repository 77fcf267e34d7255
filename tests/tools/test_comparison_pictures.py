"""Pictures of two images: whatever is in them, whatever their shape."""

import numpy as np
import pytest
from matplotlib.image import imread

from tilesim.images.pixels import ArrayImage
from tilesim.tools.compare import Rectangle
from tilesim.tools.comparison_pictures import _largest_gaps, draw_comparison

RNG = np.random.default_rng(2)
NOISE = RNG.gamma(0.3, 50, (40, 30)).astype(np.float32)
HOLES = np.where(RNG.random((40, 30)) < 0.2, np.nan, np.where(NOISE > 100, np.inf, NOISE))
PAIRS = {
    "holes and infinite": (HOLES, NOISE[::-1].copy()),
    "nothing": (np.full((40, 30), np.nan), NOISE),
    "dark": (np.zeros((40, 30)), np.zeros((40, 30))),
    "strip": (np.ones((1, 70)), np.zeros((1, 70))),
    "wide": (np.ones((3, 2500), np.uint16), np.zeros((3, 2500), np.int64)),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_any_two_images_can_be_drawn(kind, tmp_path):
    a, b = map(ArrayImage, PAIRS[kind])
    paths = draw_comparison(str(tmp_path), a, b, ("one", "other"), [Rectangle(0, 1, 0, 0)])
    shapes = [imread(path).shape for path in paths]
    assert shapes[0] == shapes[1] and shapes[3][1] > shapes[0][1]


def test_blocks_show_the_difference_that_is_farthest_from_zero():
    a, b = np.zeros((4, 4)), np.zeros((4, 4))
    a[0, 1], b[1, 1], b[2, 3], a[3, 0] = 3, 5, 2, np.nan
    gaps = _largest_gaps(ArrayImage(a), ArrayImage(b), 2)
    np.testing.assert_array_equal(gaps, [[-5, 0], [0, -2]])
    assert np.isnan(_largest_gaps(ArrayImage(a), ArrayImage(b), 1)[3, 0])
