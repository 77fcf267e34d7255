"""Stores that earlier versions wrote (format 1), kept as data: read exactly, and what they lack is asked for.

series  -detpixels_fast 10 -detpixels_slow 12 -osc 1, two frames; batch  lambda = [1.5, 1.4] on 12 x 12 pixels; both
have the crystal and the structure factors of commands.py.
"""

import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from commands import BASE

import tilesim as library

DATA = Path(__file__).parents[1] / "data" / "format-1"
SERIES = (*BASE, *"-detpixels_fast 10 -detpixels_slow 12 -osc 1".split())


@pytest.fixture(params=["series", "batch"])
def earlier(request, folder):
    return unpacked(request.param, folder)


def unpacked(name, folder):
    with zipfile.ZipFile(DATA / f"{name}.zip") as archive:
        archive.extractall(folder)
    return f"{name}.zarr"


def test_pixels_are_read_exactly(earlier, tilesim, folder):
    assert json.loads(tilesim("info", earlier, "--json").out)["format"] == 1
    assert tilesim("verify", earlier).status == 0
    image = library.open(earlier).image(1).compute()
    if earlier == "series.zarr":
        done = tilesim("run", *SERIES, "--frames", "2", "-floatfile", "a{frame}.bin")
    else:
        done = tilesim("run", *BASE, "-lambda", "1.4", "-floatfile", "a1.bin")
    assert done.status == 0 and image.max() > 0
    np.testing.assert_array_equal(image, np.fromfile("a1.bin", "<f4").reshape(image.shape))


def test_a_series_keeps_its_geometry(tilesim, folder):
    store = unpacked("series", folder)
    assert tilesim("export", store, "a.h5", "--scale", "1000").status == 0
    with h5py.File("a.h5") as file:
        assert file["entry/instrument/beam/incident_wavelength"][()] == pytest.approx(1.5)
        assert file["entry/sample/transformations/omega"][()] == pytest.approx([0.0, 1.0])
        # What format 1 did not keep does not look like a measurement.
        assert "count_time" not in file["entry/instrument/detector"]
        assert "flux" not in file["entry/instrument/beam"] and "total_flux" not in file["entry/instrument/beam"]
    assert tilesim("preview", store, "a.png", "--frame", "1", "--spots", "2").status == 0
    assert tilesim("noise", store, "n.zarr").status == 0
    assert json.loads(tilesim("info", "n.zarr", "--json").out)["experiments"]["tables"] is False
    assert tilesim("rerun", "n.zarr", "--source", store, "--exact").status == 0
    for words in (("rerun", store), ("trace", "--pixel", "3", "4", store)):
        refused = tilesim(*words)
        assert refused.status == 2 and refused.err.count("\n") == 1
        assert "does not hold the structure factors of P1.hkl" in refused.err


def test_a_batch_asks_for_the_geometry_that_it_did_not_keep(tilesim, folder, made):
    store = unpacked("batch", folder)
    before = made()
    for words in (("export", store, "a.h5"), ("export", store, "a.expt"), ("noise", store, "a_{frame}.cbf")):
        refused = tilesim(*words)
        assert refused.status == 2 and refused.err.count("\n") == 1
        assert "frames differ in lambda" in refused.err and refused.err.count("; expected") == 1
    assert made() == before
    done = tilesim("export", store, "a.cbf", "--frame", "1", "--scale", "1", "--", *BASE, "-lambda", "1.4")
    assert done.status == 0 and b"Wavelength 1.4 A" in Path("a.cbf").read_bytes()
    # Without rings a picture needs no geometry, and noise in a store the size of a pixel only.
    assert tilesim("preview", store, "a.png").status == 0
    assert "--pixel" in tilesim("noise", store, "n.zarr").err
    assert tilesim("noise", store, "n.zarr", "--pixel", "1").status == 0


def test_it_is_not_resumed(tilesim, folder):
    store = unpacked("series", folder)
    refused = tilesim("run", *SERIES, "--frames", "2", "--zarr", store, "--resume")
    assert refused.status == 2 and "its format is 1, not 2" in refused.err and "Traceback" not in refused.err
    assert tilesim("verify", store).status == 0
