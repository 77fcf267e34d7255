"""`tilesim background` and gain stages of `tilesim noise`, from the command line."""

import h5py
import numpy as np
import pytest
from commands import BASE

WATER = ("--background-thickness", "0.1", "--background-density", "1", "--background-mw", "18")


@pytest.fixture
def store(tilesim, folder):
    beam = ("-flux", "1e12", "-exposure", "1", "-beamsize", "0.05")
    slab = ("--background", "water", "--background-thickness", "0.1")
    assert tilesim("run", *BASE, *beam, *slab, "-detpixels", "60", "--zarr", "z.zarr", "--quiet").status == 0


def test_a_table_is_written_for_stol(tilesim, folder, store):
    result = tilesim("background", "z.zarr", "-o", "w.stol", *WATER, "--rings", "8")
    assert result.status == 0 and result.out.startswith("wrote w.stol: ")
    rows = np.loadtxt(folder / "w.stol")
    assert rows.shape[1] == 3 and (np.diff(rows[:, 0]) > 0).all() and rows[:, 1].min() > 0
    again = tilesim("run", *BASE, "-beamsize", "0.05", "-stol", "w.stol", *WATER, "--zarr", "y.zarr", "--quiet")
    assert again.status == 0


def test_what_is_missing_is_one_line(tilesim, folder, store):
    result = tilesim("background", "z.zarr", "-o", "z.zarr", *WATER)
    assert result.status == 2 and result.err.count("\n") == 1
    result = tilesim("background", "z.zarr", "-o", "w.stol", *WATER, "--rings", "9000")
    assert result.status == 2 and "rings have 100 pixels or more" in result.err and not (folder / "w.stol").exists()


def test_dark_frames_are_those_of_a_stage(tilesim, folder, store):
    dark = ("--switching", "jungfrau", "--dark", "1")
    assert tilesim("noise", "z.zarr", "d.h5", *dark, "--quiet").status == 0
    with h5py.File(folder / "d.h5") as file:
        words = file["entry/data/data"][()]
    assert (words >> 14 == 1).all() and abs((words & 16383).mean() - 14299.5) < 1.0
    result = tilesim("noise", "z.zarr", "d.zarr", *dark, "--gain", "2")
    assert result.status == 2 and "--switching has gain" in result.err
    result = tilesim("noise", "z.zarr", "d.zarr", "--switching", "pilatus")
    assert result.status == 2 and "expected one of jungfrau, epix10k" in result.err
