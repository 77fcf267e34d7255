"""The truth beside an image in a store: written with its tiles, read by others, repaired, verified, refused."""

import shutil

import numpy as np
import pytest
import xarray
from click.testing import CliRunner
from experiments import plain

import tilesim
from tilesim import InputError, Outputs, Source
from tilesim.compute import tile_truth
from tilesim.engine.job import lower_job, make_job
from tilesim.store.store import Store
from tilesim.store.verify import verify_store
from tilesim.tiling.tile import Tile
from tilesim_cli.run import command

COLOURS = (Source((0.0, 0.0, 1.0), 1e-10, 1.5), Source((0.0, 0.0, 1.0), 1.03e-10, 0.5))
BLUE_AND_RED = plain(beam=plain().beam.replace(sources=COLOURS), water_size=2e-5)
SERIES = tilesim.Series(BLUE_AND_RED, scan_start=[0.1, 0.11, 0.12])
HOW = {"tile": (8, 16), "backend": "eager", "precision": "double", "progress": False}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("truth") / "x.zarr"
    assert tilesim.run(SERIES, store=path, truth=True, **HOW).missing == ()
    return path


def contents(path, folder=""):
    return {str(one.relative_to(path)): one.read_bytes() for one in (path / folder).rglob("c/**/*") if one.is_file()}


def test_others_read_what_the_kernel_gives(stored):
    with xarray.open_zarr(stored, group="truth") as data, xarray.open_zarr(stored, group="0") as images:
        assert data.hkl.dims == ("frame", "slow", "fast", "index") and data.wavelength.attrs["units"] == "m"
        for frame in range(3):
            kernel = lower_job(make_job(SERIES[frame], None, "double", "cpu", "eager"))
            wanted = tile_truth(kernel, Tile(0, 0, 0, 23, 0, 31))
            np.testing.assert_array_equal(data.photons[frame], wanted[0])
            np.testing.assert_array_equal(data.wavelength[frame], wanted[1])
            np.testing.assert_array_equal(np.moveaxis(data.hkl[frame].values, -1, 0), wanted[2:])
            assert (images.intensity[frame] > data.photons[frame]).all()  # water
            assert data.photons[frame].max() > 0


def test_the_image_is_the_same_without(stored, tmp_path):
    tilesim.run(SERIES, store=tmp_path / "y.zarr", **HOW)
    assert contents(tmp_path / "y.zarr", "0/intensity") == contents(stored, "0/intensity")
    assert not (tmp_path / "y.zarr" / "truth").exists()


@pytest.mark.parametrize("harm", ["missing", "damaged", "gone"])
def test_what_is_missing_or_damaged_is_found_and_repaired(stored, tmp_path, harm):
    path = tmp_path / "x.zarr"
    shutil.copytree(stored, path)
    chunk = path / "truth" / "hkl" / "c" / "1" / "0" / "1" / "0"
    if harm == "gone":
        shutil.rmtree(path / "truth")
        with pytest.raises(InputError, match="its truth/photons is gone"):
            Store.open(path)
    else:
        chunk.unlink() if harm == "missing" else chunk.write_bytes(chunk.read_bytes()[:-9])
        found = verify_store(Store.open(path))
        assert [tile.frame for tile in getattr(found, harm)] == [1] and not found.intact
    results = tilesim.run(SERIES, store=path, truth=True, resume=True, **HOW)
    assert results.computed == (len(Store.open(path).plan) if harm == "gone" else 1)
    assert contents(path) == contents(stored) and verify_store(Store.open(path)).intact


def test_tiles_of_several_frames_and_panels_have_the_same_truth(tmp_path):
    panel = plain().detector.panels[0]
    beside = panel.replace(origin=(panel.origin[0] + 0.014, *panel.origin[1:]))
    pair = BLUE_AND_RED.replace(detector=tilesim.Detector((panel, beside)))
    series = tilesim.Series(pair, scan_start=[0.1 + 0.001 * k for k in range(130)])
    tilesim.run(series, store=tmp_path / "x.zarr", truth=True, backend="eager", progress=False)
    assert Store.open(tmp_path / "x.zarr").plan.frames == 2
    with xarray.open_zarr(tmp_path / "x.zarr", group="truth") as data:
        kernel = lower_job(make_job(series[129], None, "mixed", "cpu", "eager"), panel=1)
        wanted = tile_truth(kernel, Tile(0, 0, 0, 23, 0, 31))
        assert wanted[0].max() > 0
        np.testing.assert_array_equal(data.photons[129, 1], wanted[0])
        np.testing.assert_array_equal(np.moveaxis(data.hkl[129, 1].values, -1, 0), wanted[2:])


def test_a_store_without_it_is_not_resumed_with_it(tmp_path):
    tilesim.run(BLUE_AND_RED, store=tmp_path / "x.zarr", **HOW)
    with pytest.raises(tilesim.StoreError, match="it was computed with no --truth, which is given now"):
        tilesim.run(BLUE_AND_RED, store=tmp_path / "x.zarr", truth=True, resume=True, **HOW)


def test_it_needs_a_store_and_the_corrected_sum(tmp_path):
    with pytest.raises(InputError, match="--truth without a store"):
        tilesim.run(BLUE_AND_RED, files=Outputs(float_file=str(tmp_path / "x.bin")), truth=True)
    flags = "-default_F 100 -cell 50 60 70 90 90 90 -N 5 -detpixels 16 -distance 100".split()
    done = CliRunner().invoke(command, [*flags, "--truth", "--strict-c", "--zarr", str(tmp_path / "x.zarr")])
    assert isinstance(done.exception, InputError) and "--truth with --strict-c" in str(done.exception)
    assert list(tmp_path.iterdir()) == []
