"""Datasets: the images of a store or file with their experiments, exactly where tilesim wrote them."""

import json

import numpy as np
import pytest
from exported import skewed

from tilesim.errors import InputError
from tilesim.images.opening import open_dataset


def test_panels_in_one_image_are_told_apart(tmp_path):
    values = np.random.default_rng(1).random((60, 30), np.float32)
    values.tofile(tmp_path / "a.bin")
    opened = open_dataset(tmp_path / "a.bin", experiment=skewed(3))
    assert (opened.shape, opened.panels, len(opened), opened.frames) == ((20, 30), 3, 1, (0,))
    for number in range(3):
        image, panel = opened.pixels(0, number), values[20 * number : 20 * (number + 1)]
        assert np.array_equal(np.concatenate([band for _, band in image.bands(7)]), panel)
        assert [first for first, _ in image.bands(7)] == [0, 7, 14]
        assert np.array_equal(image.block(slice(3, 99), slice(5, 8)), panel[3:, 5:8])
    assert np.array_equal(np.asarray(opened.image(0)), values.reshape(3, 20, 30))


def test_an_image_of_another_size_is_refused(tmp_path):
    np.zeros((20, 30), "<f4").tofile(tmp_path / "a.bin")
    with pytest.raises(InputError, match="30 x 60 pixels"):
        open_dataset(tmp_path / "a.bin", experiment=skewed(3))
    with pytest.raises(InputError, match="holds 1 panels of"):
        open_dataset(tmp_path / "a.bin", experiment=skewed(3), shape=(20, 30))


def test_what_is_not_stated_is_asked_for(tmp_path):
    np.zeros((20, 20), "<f4").tofile(tmp_path / "a.bin")
    opened = open_dataset(tmp_path / "a.bin")
    assert "no JSON file beside it" in opened.unknown
    with pytest.raises(InputError, match=r"does not state the geometry.*expected --geometry FILE, or nanoBragg flags"):
        opened.experiment(0)
    (tmp_path / "a.bin.json").write_text(json.dumps({"format": "tilesim float image", "shape": [10, 40]}))
    assert open_dataset(tmp_path / "a.bin").shape == (10, 40)
