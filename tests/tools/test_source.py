"""What an export reads: panels that lie below each other in a file without a header."""

from types import SimpleNamespace

import numpy as np
import pytest
from exported import skewed

from tilesim.errors import InputError
from tilesim.tools import source


@pytest.fixture
def three_panels(monkeypatch):
    """Flags that stand for a detector of three panels of 20 x 30 pixels."""
    command = SimpleNamespace(experiment=skewed(3), settings=None, warnings=())
    monkeypatch.setattr(source, "read_command", lambda *_: command)


def test_panels_in_one_image_are_told_apart(tmp_path, three_panels):
    values = np.random.default_rng(1).random((60, 30), np.float32)
    values.tofile(tmp_path / "a.bin")
    opened = source.open_source(str(tmp_path / "a.bin"), ["-flag"])
    assert (opened.shape, opened.panels, opened.frames) == ((20, 30), 3, 1)
    for number in range(3):
        image, panel = opened.image(0, number), values[20 * number : 20 * (number + 1)]
        assert np.array_equal(np.concatenate([band for _, band in image.bands(7)]), panel)
        assert [first for first, _ in image.bands(7)] == [0, 7, 14]
        assert np.array_equal(image.block(slice(3, 99), slice(5, 8)), panel[3:, 5:8])


def test_an_image_of_another_size_is_refused(tmp_path, three_panels):
    np.zeros((20, 30), "<f4").tofile(tmp_path / "a.bin")
    with pytest.raises(InputError, match="30 x 60 pixels"):
        source.open_source(str(tmp_path / "a.bin"), ["-flag"])
    with pytest.raises(InputError, match="holds 1 panels of"):
        source.open_source(str(tmp_path / "a.bin"), ["-flag"], (20, 30))
