"""`tilesim rerun`: stored frames computed again from the store alone."""

import json
import shutil

import pytest
from commands import BASE

SERIES = ("run", *BASE, "-osc", "1", "-phisteps", "2", "--frames", "3", "--tile", "5", "--zarr", "s.zarr", "--quiet")


@pytest.fixture
def store(tilesim, folder, monkeypatch, tmp_path):
    """A series in `s.zarr`; the input that it was made of is gone, and so is the folder."""
    assert tilesim(*SERIES).status == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(folder / "s.zarr", elsewhere / "s.zarr")
    (folder / "P1.hkl").unlink()
    monkeypatch.chdir(elsewhere)
    return elsewhere / "s.zarr"


def test_every_frame_is_the_same_to_the_byte(tilesim, store):
    done = tilesim("rerun", "s.zarr", "--exact")
    assert done.status == 0, done.err
    assert done.out.splitlines() == [f"frame {k}: 9 tiles, the same to the byte" for k in range(3)]
    part = json.loads(tilesim("rerun", "s.zarr", "--frame", "1:3", "--json", "-").out)
    assert [one["number"] for one in part["frames"]] == [1, 2] and part["within"]


def test_what_differs_is_found(tilesim, store):
    import zarr

    array = zarr.open_array(store / "0/intensity", mode="r+")
    array[2, 0, 0] *= 1 + 1e-6
    done = tilesim("rerun", "s.zarr", "--frame", "2")
    assert done.status == 0 and "8 of 9 tiles the same to the byte, 1 differ (golden metric" in done.out
    assert tilesim("rerun", "s.zarr", "--frame", "2", "--exact").status == 1
    array[2, 0, 0] *= 2
    assert tilesim("rerun", "s.zarr").status == 1
    (store / "0/intensity/c/0/1/1").unlink()
    assert "frame 0: 8 of 9 tiles the same to the byte, 1 missing" in tilesim("rerun", "s.zarr").out


def test_noise_is_added_again_to_its_source_alone(tilesim, store):
    assert tilesim("noise", "s.zarr", "n.zarr", "--readout", "2", "--frame", "1:3").status == 0
    assert "expected --source" in tilesim("rerun", "n.zarr").err
    done = tilesim("rerun", "n.zarr", "--source", "s.zarr", "--exact")
    assert done.status == 0 and done.out.splitlines()[0] == "frame 1: 9 tiles, the same to the byte"
    assert tilesim("noise", "s.zarr", "m.zarr", "--seed", "2").status == 0
    refused = tilesim("rerun", "n.zarr", "--source", "m.zarr")
    assert refused.status == 2 and "m.zarr is not the source of n.zarr" in refused.err


def test_a_store_without_tables_says_what_is_missing(tilesim, folder):
    assert tilesim("run", *BASE, "--zarr", "z.zarr", "--no-tables", "--quiet").status == 0
    refused = tilesim("rerun", "z.zarr")
    assert refused.status == 2 and "z.zarr does not hold the structure factors of P1.hkl" in refused.err
    assert refused.err.count("\n") == 1
