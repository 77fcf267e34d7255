"""Tools in another folder than the run's: what a store needs is in it, and files are the same to the byte."""

import json
import shutil

import numpy as np
import pytest
from commands import BASE
from samples import smv

EXPORTS = ("a.bin", "a.img", "a.cbf", "a.tif", "a.edf", "a.h5", "a.expt")


@pytest.fixture
def stored(tilesim, folder):
    """A store whose command line names every kind of file by a relative path, and then loses them all."""
    pixels = np.ones((12, 12), np.uint16)
    pixels[3:5, 2:7] = 0
    smv(folder / "mask.img", pixels)
    (folder / "water.stol").write_text("0 2.5\n0.2 6\n0.5 3\n1 1\n")
    flags = (*BASE, *"-mask mask.img -stol water.stol -exposure 0.2 -beamsize 0.05 -fluence 1e24 -osc 1".split())
    thick = ("--background-thickness", "0.1", "--background-density", "1", "--background-mw", "18")
    (folder / "run").mkdir()
    done = tilesim("run", *flags, *thick, "--zarr", "run/a.zarr", "--frames", "2", "--quiet")
    assert done.status == 0, done.err
    return folder


def made_in(tilesim, place, store):
    """What the tools write in a folder, by name."""
    for name in EXPORTS:
        words = ("--frame", "1") if name not in ("a.h5", "a.expt") else ()
        words += ("--scale", "1000") if name in ("a.img", "a.cbf", "a.h5") else ()
        done = tilesim("export", store, place / name, *words, "--quiet")
        assert done.status == 0, (name, done.err)
    assert tilesim("preview", store, place / "a.png", "--frame", "1", "--spots", "3").status == 0
    assert tilesim("noise", store, place / "n{frame}.cbf", "--quiet").status == 0
    assert tilesim("trace", "--pixel", "6", "7", store, "--json", place / "trace.json", "--quiet").status == 0
    assert tilesim("rerun", store, "--exact", "--json", place / "rerun.json").status == 0
    return {path.name: path.read_bytes() for path in sorted(place.iterdir())}


def test_every_tool_gives_the_same_bytes_in_another_folder(tilesim, stored, tmp_path_factory, monkeypatch):
    first, second = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("there")
    here = made_in(tilesim, first, "run/a.zarr")
    other = tmp_path_factory.mktemp("elsewhere")
    shutil.move(stored / "run" / "a.zarr", other / "a.zarr")
    for name in ("A.mat", "P1.hkl", "mask.img", "water.stol"):
        (stored / name).unlink()
    monkeypatch.chdir(other)
    there = made_in(tilesim, second, "a.zarr")
    assert len(here) == len(there) >= len(EXPORTS) + 5
    # JSON names the store by the path that was given.
    named = {name for name in here if name.endswith(".json")}
    assert {name for name in here if here[name] != there[name]} <= named
    for name in named:
        a, b = (json.loads(files[name].replace(b"run/a.zarr", b"a.zarr")) for files in (here, there))
        assert a == b
    mask = np.isnan(np.fromfile(second / "a.bin", "<f4").reshape(12, 12))
    assert mask[3:5, 2:7].all() and mask.sum() < 100


def test_what_a_store_says_of_itself_is_the_same_in_another_folder(tilesim, stored, tmp_path, monkeypatch):
    before = json.loads(tilesim("info", "run/a.zarr", "--json").out)
    monkeypatch.chdir(stored / "run")
    after = json.loads(tilesim("info", "a.zarr", "--json").out)
    assert {key for key in before if before[key] != after[key]} == {"path"}
