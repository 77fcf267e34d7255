"""HDF5 on a disk that fills up: one line, and nothing remains."""

import errno
import os

import h5py
import numpy as np
import pytest

from tilesim.errors import StoreError
from tilesim.files.deferred import replacing_deferred


def write(path):
    with replacing_deferred(path) as target, h5py.File(target, "w") as file:
        file["a/b"] = np.arange(5000)
        file.create_dataset("c", data=np.ones((100, 100)), chunks=(10, 10), compression="gzip")
        file["a"].attrs["x"] = "y" * 1000


def test_what_is_written_is_what_is_read(tmp_path):
    write(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5") as file:
        assert np.array_equal(file["a/b"], np.arange(5000)) and file["c"][...].sum() == 10000
    assert os.listdir(tmp_path) == ["x.h5"]


@pytest.mark.parametrize("room", [0, 100, 5000, 30000])
def test_a_full_disk_is_one_line_and_nothing_remains(tmp_path, monkeypatch, room):
    write_at = os.pwrite

    def full(descriptor, data, place):
        if place + len(data) > room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_at(descriptor, data, place)

    monkeypatch.setattr(os, "pwrite", full)
    (tmp_path / "x.h5").write_bytes(b"old")
    with pytest.raises(StoreError, match=r"^cannot write [^\n]*x\.h5: No space left on device$"):
        write(tmp_path / "x.h5")
    assert os.listdir(tmp_path) == ["x.h5"] and (tmp_path / "x.h5").read_bytes() == b"old"
