"""The float image on disk: tiles in, bands out, and failures that leave nothing behind."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilesim.errors import InputError, StoreError
from tilesim.images import floatfile
from tilesim.images.floatfile import FloatImage
from tilesim.images.image import open_image
from tilesim.tiling.plan import TilePlan


def pixels(slow, fast):
    return np.arange(slow * fast, dtype=np.float32).reshape(slow, fast)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 5), st.integers(1, 5), st.integers(1, 13))
def test_tiles_in_bands_out(tmp_path_factory, slow, fast, tile_slow, tile_fast, rows):
    path = tmp_path_factory.mktemp("float") / "a.bin"
    whole = pixels(slow, fast)
    with FloatImage.create(path, (slow, fast)) as image:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda t: image.write(t, whole[t.slices]), TilePlan((1, slow, fast), (tile_slow, tile_fast))))
        assert not path.exists()
        image.commit()
        # It stays readable after it was put in place.
        assert np.array_equal(np.concatenate([band for _, band in image.bands(rows)]), whole)
    assert path.read_bytes() == whole.astype("<f4").tobytes()
    starts, bands = zip(*open_image(path, shape=(slow, fast)).bands(rows), strict=True)
    assert list(starts) == list(range(0, slow, rows)) and np.array_equal(np.concatenate(bands), whole)
    assert path.exists()


def test_slices_doubles_and_unwritten_pixels(tmp_path):
    with FloatImage.create(tmp_path / "a", (2, 3)) as image:
        image.write((slice(0, 1), slice(1, None)), np.array([[1.5, np.inf]]))
        assert [band.tolist() for _, band in image.bands(5)] == [[[0, 1.5, np.inf], [0, 0, 0]]]
        with pytest.raises(ValueError, match="pixels for a tile"):
            image.write((slice(0, 1), slice(0, 1)), np.zeros((1, 2)))
    assert not os.listdir(tmp_path)


def test_discard_keeps_the_old_file(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    image = FloatImage.create(tmp_path / "a", (4, 4))
    assert len(os.listdir(tmp_path)) == 2
    image.discard()
    image.discard()
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_bytes() == b"old"
    with pytest.raises(StoreError, match="discarded already"):
        image.commit()


def test_a_pipe_gets_a_copy():
    reader, writer = os.pipe()
    with FloatImage.create(f"/dev/fd/{writer}", (3, 2)) as image:
        image.write((slice(None), slice(None)), pixels(3, 2))
        image.commit()
    assert os.read(reader, 100) == pixels(3, 2).astype("<f4").tobytes()
    os.close(reader)
    os.close(writer)


def test_a_full_disk_is_found_at_once(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StoreError, match=r"^cannot write .*/a: No space left on device$"):
        FloatImage.create(tmp_path / "a", (4, 4))
    assert not os.listdir(tmp_path)


def test_file_systems_that_cannot_reserve(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    with FloatImage.create(tmp_path / "a", (4, 4)) as image:
        image.commit()
    assert (tmp_path / "a").stat().st_size == 64


def test_no_folder(tmp_path):
    with pytest.raises(StoreError, match="there is no folder"):
        FloatImage.create(tmp_path / "no" / "a", (1, 1))


def test_a_file_that_shrinks_while_read(tmp_path):
    with FloatImage.create(tmp_path / "a", (2, 2)) as image:
        image.commit()
        os.truncate(tmp_path / "a", 8)
        with pytest.raises(InputError, match="ended"):
            list(image.bands(1))


def test_partial_writes_are_continued(tmp_path, monkeypatch):
    real = os.pwrite
    monkeypatch.setattr(floatfile.os, "pwrite", lambda fd, data, offset: real(fd, data[:3], offset))
    with FloatImage.create(tmp_path / "a", (2, 2)) as image:
        image.write((slice(None), slice(None)), pixels(2, 2))
        assert next(image.bands(2))[1].tolist() == [[0, 1], [2, 3]]
