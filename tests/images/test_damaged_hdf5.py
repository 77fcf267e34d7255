"""HDF5 files with holes, cut short and changed: an image or one line, never a crash or a loop, by a bounded child."""

import os
import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import breaking
import h5py
import hdf5plugin
import numpy as np
import pytest
from exported import skewed

from tilesim.errors import InputError, TilesimError
from tilesim.files import apart
from tilesim.files.apart import LostError
from tilesim.files.hdf5 import read_hdf5
from tilesim.images.banded import Bands
from tilesim.images.nxmx import nxmx_counts, write_nxmx
from tilesim.images.opening import open_dataset
from tilesim.images.pixels import ArrayImage
from tilesim.instruments.files import read_detector
from tilesim.model import Series

WAYS = 100
SHAPE = (20, 30)


@pytest.fixture
def hasty(monkeypatch):
    """Damaged files are given up soon."""
    monkeypatch.setattr(apart, "LIMIT", 0.5)


def damaged(data, number):
    """The bytes of a file with one damage that belongs to a number."""
    chance = random.Random(number)
    content = bytearray(data)
    start = chance.randrange(8, len(content))
    kind = number % 4
    if kind == 0:
        return bytes(content[:start])
    if kind == 1:
        stop = min(len(content), start + chance.choice((8, 64, 512, 4096)))
        content[start:stop] = bytes(stop - start)
    elif kind == 2:
        for _ in range(chance.randint(1, 20)):
            content[chance.randrange(8, len(content))] ^= 1 << chance.randrange(8)
    else:
        stop = min(len(content), start + chance.choice((8, 512)))
        content[start:stop] = chance.randbytes(stop - start)
    return bytes(content)


def test_a_hundred_damages_of_an_exported_file_give_an_image_or_one_line(tmp_path, hasty):
    path = tmp_path / "a.h5"
    values = np.arange(600.0).reshape(SHAPE)
    counts = nxmx_counts(None)
    write_nxmx(path, Series(skewed()), lambda f, p: Bands(ArrayImage(values), counts))
    data, read, refused = path.read_bytes(), 0, 0
    for number in range(WAYS):
        path.write_bytes(damaged(data, number))
        for use in (look, read_detector)[: 2 if number % 4 == 1 else 1]:
            try:
                use(path)
                read += 1
            except TilesimError as error:
                refused += 1
                assert "\n" not in str(error) and "a.h5" in str(error), str(error)
    assert read > WAYS / 4 and refused > WAYS / 4


def test_a_crash_and_a_loop_in_the_library_are_one_line_each(tmp_path, hasty, monkeypatch):
    path = tmp_path / "a.h5"
    h5py.File(path, "w").close()
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(breaking.__file__))
    apart._here.end()
    with pytest.raises(InputError, match=r"a\.h5: the HDF5 file is damaged: it ended its reader \(SIGSEGV\)"):
        read_hdf5(breaking.crash, path)
    with pytest.raises(InputError, match=r"a\.h5: the HDF5 file is damaged: it was not read after 0\.5 s of work"):
        read_hdf5(breaking.loop, path)
    apart._here.end()


def test_a_child_serves_many_calls_and_is_replaced_when_it_dies():
    first = apart.apart(os.getpid)
    assert first == apart.apart(os.getpid) != os.getpid()
    with pytest.raises(LostError, match="SIGABRT"):
        apart.apart(os.abort)
    assert apart.apart(os.getpid) not in (first, os.getpid())
    with pytest.raises(ZeroDivisionError):
        apart.apart(divmod, 1, 0)
    assert np.array_equal(apart.apart(np.arange, 10**6), np.arange(10**6))


def test_the_child_ends_with_its_parent():
    code = "import os, sys; from tilesim.files.apart import apart; print(apart(os.getpid), flush=True); os._exit(0)"
    child = int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    state = Path(f"/proc/{child}/stat")
    with suppress(FileNotFoundError, ProcessLookupError):
        while state.read_text().rpartition(")")[2].split()[0] != "Z":  # it takes as long as it takes
            os.sched_yield()


# What is missing


def virtual(path, sources, shape, dtype="u2", fill=0):
    """A file of one virtual dataset: (slice of its frames, file, dataset, shape) each."""
    layout = h5py.VirtualLayout(shape, dtype)
    for frames, name, inner, size in sources:
        layout[frames] = h5py.VirtualSource(name, inner, size)
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("entry/data/data", layout, fillvalue=fill)


def part(path, value, frames=2):
    with h5py.File(path, "w") as file:
        file.create_dataset("d", data=np.full((frames, 4, 5), value, "u2"), chunks=(1, 4, 5), **hdf5plugin.Bitshuffle())


def look(path, frame=0):
    return open_dataset(path).numbers(frame).block(slice(None), slice(None))


def test_sources_of_virtual_datasets_that_are_missing_are_named(tmp_path):
    part(tmp_path / "one.h5", 3)
    sources = [(slice(0, 2), "one.h5", "d", (2, 4, 5)), (slice(2, 4), "two.h5", "d", (2, 4, 5))]
    virtual(tmp_path / "v.h5", sources, (6, 4, 5))
    assert (look(tmp_path / "v.h5", 1) == 3).all()
    with pytest.raises(InputError, match=r"v\.h5: /entry/data/data is made of two\.h5, which is not there"):
        look(tmp_path / "v.h5", 3)
    # Nobody says what frame 5 is.
    assert np.isnan(look(tmp_path / "v.h5", 5)).all()
    part(tmp_path / "two.h5", 4, frames=1)
    with pytest.raises(InputError, match=r"is made of more than d in .*two\.h5 holds"):
        look(tmp_path / "v.h5", 3)
    virtual(tmp_path / "w.h5", [(slice(0, 6), "v.h5", "entry/data/data", (6, 4, 5))], (6, 4, 5))
    os.unlink(tmp_path / "two.h5")
    assert (look(tmp_path / "w.h5", 1) == 3).all()
    with pytest.raises(InputError, match=r"v\.h5: /entry/data/data is made of two\.h5, which is not there"):
        look(tmp_path / "w.h5", 2)
    virtual(tmp_path / "x.h5", [(slice(0, 2), "one.h5", "other", (2, 4, 5))], (2, 4, 5))
    with pytest.raises(InputError, match=r"is made of other in .*one\.h5, which is not there"):
        look(tmp_path / "x.h5")


def test_a_gap_of_a_virtual_dataset_has_no_value(tmp_path):
    part(tmp_path / "one.h5", 3, frames=1)
    layout = h5py.VirtualLayout((1, 10, 5), "u2")
    layout[0, :4], layout[0, 6:] = (h5py.VirtualSource("one.h5", "d", (1, 4, 5))[0] for _ in range(2))
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file.create_virtual_dataset("entry/data/data", layout)
    found = look(tmp_path / "v.h5")
    assert np.isnan(found[4:6]).all() and (found[[0, 3, 6, 9]] == 3).all()


def test_raw_storage_outside_of_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with h5py.File("a.h5", "w") as file:
        file.create_dataset("entry/data/data", (1, 4, 5), "u2", external=[("raw.bin", 0, 40)])
    with pytest.raises(InputError, match=r"a\.h5: .* is made of raw\.bin, which cannot be read: No such file"):
        look("a.h5")
    np.full(15, 7, "u2").tofile("raw.bin")
    with pytest.raises(InputError, match=r"is made of 40 bytes in raw\.bin, which holds 30 of them"):
        look("a.h5")
    np.full(20, 7, "u2").tofile("raw.bin")
    assert (look("a.h5") == 7).all()


def test_what_nobody_wrote_has_no_value(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("entry/data/data", (3, 4, 5), "u2", chunks=(1, 4, 5))
        data[0] = 9
    assert (look(tmp_path / "a.h5") == 9).all() and np.isnan(look(tmp_path / "a.h5", 2)).all()
