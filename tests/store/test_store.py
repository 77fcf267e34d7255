"""The zarr store: written by tiles, replaced whole or not at all, and readable by the tools of its users."""

import json
import os
import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dask.array
import numpy as np
import pytest
import xarray
import zarr
from click.testing import CliRunner
from ome_zarr_models.v05.image import Image
from stores import (
    BEYOND,
    PIXEL,
    RAGGED,
    SHARDED,
    bands,
    chunk_of,
    cut,
    described,
    fill,
    flip,
    make_image,
    make_provenance,
    read_all,
    start,
    verified,
    write_all,
)

from tilesim.errors import InputError, StoreError
from tilesim.images.stored import StoredImage
from tilesim.store import create
from tilesim.store.create import Contents, create_store
from tilesim.store.describe import stored_choices
from tilesim.store.finish import count_present, finish_store
from tilesim.store.layout import FrameCoordinate, Layout
from tilesim.store.place import delete_store
from tilesim.store.store import Store
from tilesim.tiling.plan import TilePlan
from tilesim.tiling.tile import Tile
from tilesim_cli.info import command as info


@pytest.mark.parametrize(
    "plan", [RAGGED, SHARDED, BEYOND, TilePlan((1, 7, 1), (3, 1))], ids=["ragged", "sharded", "beyond", "thin"]
)
def test_tools_of_users_read_the_store(tmp_path, plan):
    path = tmp_path / "result.zarr"
    image = fill(path, plan)
    with xarray.open_zarr(path, group="0") as data:
        assert data.intensity.dims == ("frame", "slow", "fast")
        assert data.intensity.dtype == np.float32
        assert data.intensity.attrs["units"] == "photons/pixel"
        assert data.slow.attrs["units"] == "mm"
        np.testing.assert_allclose(data.fast, (np.arange(plan.shape[2]) + 0.5) * 0.1)
        np.testing.assert_array_equal(data.frame, np.arange(plan.shape[0]))
        np.testing.assert_array_equal(data.intensity, image)
    with xarray.open_datatree(path, engine="zarr") as tree:
        assert tree["0"]["intensity"].shape == plan.shape
        assert tree.attrs["tilesim"]["status"] == "complete"
    np.testing.assert_array_equal(dask.array.from_zarr(str(path / "0" / "intensity")), image)
    np.testing.assert_array_equal(np.concatenate([band for _, band in bands(path, 3)]), image[0])
    model = Image.from_zarr(zarr.open_group(path, mode="r"))
    scale, translation = model.ome_attributes.multiscales[0].datasets[0].coordinateTransformations
    assert scale.scale == pytest.approx([1, 0.1, 0.1])
    assert translation.translation == pytest.approx([0, 0.05, 0.05])


def test_a_tile_is_one_object(tmp_path):
    for plan, shards in ((RAGGED, None), (SHARDED, (1, 1024, 1024))):
        path = tmp_path / f"{plan.tile[0]}.zarr"
        fill(path, plan)
        array = zarr.open_array(path / "0" / "intensity", mode="r")
        assert array.shards == shards
        objects = [p for p in (path / "0" / "intensity" / "c").rglob("*") if p.is_file()]
        assert len(objects) == len(plan)


@pytest.mark.parametrize(
    ("tile", "chunk"),
    [
        ((512, 512), (512, 512)),
        ((1024, 2048), (512, 512)),
        ((1024, 1000), (1024, 1000)),
        ((512, 2048), (512, 2048)),
        ((1083, 1500), (361, 500)),
        ((1100, 1024), (1100, 1024)),
    ],
)
def test_large_tiles_are_shards(tile, chunk):
    layout = Layout.of_plan(TilePlan((1, 4096, 4096), tile))
    assert layout.chunk == chunk
    assert (layout.shards is None) == (chunk == tile)


@pytest.mark.parametrize("plan", [RAGGED, SHARDED], ids=["ragged", "sharded"])
@pytest.mark.parametrize("value", [0.0, np.nan])
def test_dark_and_empty_tiles_count_as_written(tmp_path, plan, value):
    handle = pickle.loads(pickle.dumps(start(tmp_path / "a.zarr", plan)))
    assert count_present(handle.place) == 0
    image, last = handle, plan[len(plan) - 1]
    for tile in (plan[0], last):
        image.write(tile, np.full(tile.shape, value))
    assert count_present(handle.place) == 2
    np.testing.assert_array_equal(image.read(last), np.full(last.shape, value, np.float32))
    assert image.read(plan[1]) is None
    with pytest.raises(StoreError, match=f"{len(plan) - 2} of {len(plan)} tiles are not there"):
        finish_store(handle, {})


def test_threads_write_and_rewrite(tmp_path):
    image = make_image(RAGGED.shape)
    handle = start(tmp_path / "a.zarr", RAGGED)
    stored = handle
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda t: stored.write(t, image[(t.frame, *t.slices)]), [*RAGGED, *RAGGED]))
    finish_store(handle, {})
    np.testing.assert_array_equal(read_all(handle.place), image)


@pytest.mark.parametrize(
    ("tile", "shape", "reason"),
    [
        (Tile(0, 0, 10, 30, 0, 32), (20, 32), "lose each other's pixels"),
        (Tile(0, 0, 0, 40, 0, 32), (40, 32), "Use the tiles of the TilePlan"),
        (Tile(0, 0, 40, 60, 0, 32), (20, 32), "not one whole tile"),
        (Tile(0, 0, -20, 0, 0, 32), (20, 32), "not one whole tile"),
        (Tile(2, 0, 0, 20, 0, 32), (20, 32), "2 frames"),
        (Tile(0, 1, 0, 20, 0, 32), (20, 32), "panel 0"),
        (Tile(0, 0, 0, 20, 0, 32), (20, 31), r"values have shape \(20, 31\)"),
    ],
)
def test_misaligned_writes_are_refused(tmp_path, tile, shape, reason):
    handle = start(tmp_path / "a.zarr", RAGGED)
    with pytest.raises(StoreError, match=reason):
        handle.write(tile, np.zeros(shape))
    assert count_present(handle.place) == 0


def test_an_existing_store_is_refused_and_named(tmp_path):
    path = tmp_path / "a.zarr"
    fill(path, RAGGED)
    with pytest.raises(
        StoreError, match=r"a\.zarr exists and holds a complete run of this job; .*--resume .*--overwrite"
    ):
        start(path, RAGGED)
    with pytest.raises(StoreError, match=r"another job: its experiment is \w+, not \w+; expected --overwrite"):
        start(path, RAGGED, wavelength=2e-10)
    assert os.listdir(tmp_path) == ["a.zarr"]


def test_a_store_is_in_its_place_from_the_start_and_says_that_it_is_incomplete(tmp_path):
    handle = start(tmp_path / "a.zarr", RAGGED)
    handle.write(RAGGED[0], np.ones(RAGGED[0].shape))
    assert os.listdir(tmp_path) == ["a.zarr"]
    assert described(tmp_path / "a.zarr")["status"] == "incomplete"
    assert np.nansum(read_all(tmp_path / "a.zarr")) == RAGGED[0].pixels
    with pytest.raises(StoreError, match="an incomplete run of this job; expected --resume"):
        start(tmp_path / "a.zarr", RAGGED)


def test_resuming_goes_on_with_the_store_of_the_same_job_only(tmp_path):
    path = tmp_path / "a.zarr"
    image = start(path, RAGGED, resume=True)
    image.write(RAGGED[3], np.full(RAGGED[3].shape, 5))
    again = start(path, RAGGED, resume=True)
    assert again.read(RAGGED[3]).sum() == 5 * RAGGED[3].pixels
    with pytest.raises(StoreError, match="cannot be resumed, it holds another job: its experiment is"):
        start(path, RAGGED, wavelength=2e-10, resume=True)
    with pytest.raises(StoreError, match=r"it was computed with tile \[20, 32\] instead of \[10, 10\]"):
        start(path, TilePlan(RAGGED.shape, (10, 10)), resume=True)
    assert stored_choices(str(path))["tile"] == (20, 32)
    assert stored_choices(str(tmp_path / "b.zarr")) == {}


def test_overwriting_removes_the_old_store(tmp_path):
    path = tmp_path / "a.zarr"
    image = fill(path, RAGGED)
    handle = start(path, TilePlan(RAGGED.shape, (10, 10)), overwrite=True)
    assert count_present(handle.place) == 0
    write_all(handle, image + 1)
    finish_store(handle, {})
    np.testing.assert_array_equal(read_all(path), image + 1)


@pytest.mark.parametrize("step", range(4))
def test_a_creation_that_was_cut_off_is_done_again(tmp_path, monkeypatch, step):
    path, write, calls = tmp_path / "a.zarr", create.write_coordinate, []

    def dies(*arguments):
        calls.append(1)
        if len(calls) > step:
            raise KeyboardInterrupt
        write(*arguments)

    coordinates = [FrameCoordinate("phi", [0.0, 0.5], "degree")]
    with monkeypatch.context() as patched:
        patched.setattr(create, "write_coordinate", dies)
        with pytest.raises(KeyboardInterrupt):
            start(path, RAGGED, coordinates=coordinates)
    fill(path, RAGGED, resume=True)
    assert verified(path).intact


def test_parameters_and_figures_of_frames_are_coordinates(tmp_path):
    path = tmp_path / "a.zarr"
    coordinates = [
        FrameCoordinate("frame", [4, 7]),
        FrameCoordinate("phi", [0.0, 0.5], "degree", "spindle angle"),
        FrameCoordinate("misset", [(0, 0, 0), (1.5, 2, 3)]),
        FrameCoordinate("hkl", ["b.hkl", "a.hkl"]),
    ]
    handle = start(path, RAGGED, coordinates=coordinates)
    write_all(handle, make_image(RAGGED.shape))
    for total in (9.0, 10.0):
        finish_store(handle, None, per_frame=[FrameCoordinate("total", [8.0, total], "photons")])
    with xarray.open_zarr(path, group="0") as data:
        assert set(data.coords) == {"frame", "slow", "fast", "phi", "misset", "hkl"}
        assert list(data.frame) == [4, 7]
        assert data.phi.attrs["units"] == "degree" and float(data.phi[1]) == 0.5
        assert data.misset.values.tolist() == [[0, 0, 0], [1.5, 2, 3]]
        assert list(data.hkl.values) == ["b.hkl", "a.hkl"]
        assert data.total.values.tolist() == [8, 10]


def test_nothing_but_our_own_store_is_replaced(tmp_path):
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "chapter.txt").write_text("years of work")
    zarr.create_group(tmp_path / "other.zarr", attributes={"made by": "someone else"})
    (tmp_path / "file").write_text("")
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere" / "else")
    for name in ("thesis", "other.zarr", "file", ""):
        with pytest.raises(StoreError, match="not a store made by tilesim"):
            start(tmp_path / name, RAGGED, overwrite=True)
    with pytest.raises(StoreError, match="no folder"):
        start(tmp_path / "lost", RAGGED, overwrite=True)
    assert (foreign / "chapter.txt").read_text() == "years of work"
    assert sorted(os.listdir(tmp_path)) == ["file", "lost", "other.zarr", "thesis"]


def test_a_place_taken_meanwhile_is_left_alone(tmp_path):
    path = tmp_path / "a.zarr"
    handle = start(path, RAGGED)
    write_all(handle, make_image(RAGGED.shape))
    fill(path, RAGGED, wavelength=2e-10, overwrite=True)
    with pytest.raises(StoreError, match="replaced or removed by somebody else"):
        finish_store(handle, {})
    with pytest.raises(StoreError, match="holds another job"):
        pickle.loads(pickle.dumps(handle)).ready()
    assert verified(path).intact


def test_a_full_disk_at_the_start_is_one_line(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tilesim.store.create.write_coordinate", full)
    with pytest.raises(StoreError, match=r"cannot write .*a\.zarr: No space left on device"):
        start(tmp_path / "a.zarr", RAGGED)


def test_errors_of_writing_are_one_line(tmp_path):
    with pytest.raises(StoreError, match="there is no folder"):
        start(tmp_path / "missing" / "a.zarr", RAGGED)
    handle = start(tmp_path / "a.zarr", RAGGED)
    image = handle
    delete_store(handle.place)
    with pytest.raises(StoreError, match="removed or replaced") as caught:
        image.write(RAGGED[0], np.zeros(RAGGED[0].shape))
    assert "\n" not in str(caught.value)
    with pytest.raises(StoreError, match=r"there is no store at .*expected a folder shared with the client"):
        pickle.loads(pickle.dumps(handle)).ready()


@pytest.mark.parametrize("plan", [RAGGED, SHARDED, BEYOND], ids=["chunks", "shards", "beyond"])
@pytest.mark.parametrize("harm", [flip, cut, Path.unlink])
def test_damage_is_found_and_mended(tmp_path, plan, harm):
    path = tmp_path / "a.zarr"
    image = fill(path, plan)
    assert verified(path).intact
    number, seen = len(plan) - 1, []
    harm(chunk_of(path, plan, number))
    stored, tile = start(path, plan, resume=True), plan[number]
    assert stored.read(tile) is None
    found = verified(path, seen.append)
    assert (found.missing, found.damaged) == (((tile,), ()) if harm is Path.unlink else ((), (tile,)))
    assert not found.intact and seen == list(plan)
    stored.write(tile, image[(tile.frame, *tile.slices)])
    assert verified(path).intact
    np.testing.assert_array_equal(read_all(path), image)


def test_a_damaged_coordinate_is_found(tmp_path):
    fill(tmp_path / "a.zarr", RAGGED)
    flip(tmp_path / "a.zarr" / "0" / "fast" / "c" / "0")
    found = verified(tmp_path / "a.zarr")
    assert found.coordinates == ("fast",) and not found.intact


def test_a_damaged_band_is_no_image(tmp_path):
    fill(tmp_path / "a.zarr", RAGGED)
    flip(chunk_of(tmp_path / "a.zarr", RAGGED))
    with pytest.raises(StoreError, match="slow 0, fast 0 or after it is damaged"):
        list(bands(tmp_path / "a.zarr"))


@pytest.mark.parametrize("plan", [RAGGED, SHARDED, BEYOND], ids=["chunks", "shards", "beyond"])
@pytest.mark.parametrize("rows", [1, 7, 20, 33, 4000])
def test_bands_of_any_height_are_the_image(tmp_path, plan, rows):
    image = fill(tmp_path / "a.zarr", plan)
    first = 0
    for top, band in bands(tmp_path / "a.zarr", rows):
        assert top == first and len(band) <= rows
        np.testing.assert_array_equal(band, image[0, top : top + len(band)])
        first += len(band)
    assert first == plan.shape[1]


def test_what_a_killed_writer_left_is_removed_at_the_end(tmp_path):
    handle = start(tmp_path / "a.zarr", RAGGED)
    write_all(handle, make_image(RAGGED.shape))
    left = chunk_of(tmp_path / "a.zarr", RAGGED).with_suffix(".0123.partial")
    left.write_bytes(b"half")
    assert count_present(handle.place) == len(RAGGED)
    finish_store(handle, {})
    assert not left.exists()


def test_what_is_missing_is_recorded(tmp_path):
    handle = start(tmp_path / "a.zarr", RAGGED)
    finish_store(handle, None, missing=[{"frame": 0, "what": str(RAGGED[0]), "why": "no memory"}])
    about = described(tmp_path / "a.zarr")
    assert about["status"] == "incomplete" and about["missing"][0]["why"] == "no memory"
    write_all(handle, make_image(RAGGED.shape))
    finish_store(handle, {})
    about = described(tmp_path / "a.zarr")
    assert about["status"] == "complete" and about["missing"] == []


def test_a_store_describes_itself(tmp_path):
    path = tmp_path / "a.zarr"
    fill(path, RAGGED)
    about = described(path)
    assert json.loads(json.dumps(about, allow_nan=False)) == about
    assert about["status"] == "complete"
    assert about["shape"] == [2, 50, 70]
    assert about["tiles"] == {"present": 18, "total": 18, "shape": [20, 32], "frames": 1}
    assert about["bytes_on_disk"] == sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    assert about["wavelength_angstrom"] == pytest.approx(1.0)
    assert about["distance_mm"] == pytest.approx(100)
    assert about["pixel_mm"] == pytest.approx(0.1)
    assert about["beam_centre_pixel"] == pytest.approx({"slow": 25, "fast": 35})
    half_angles = {
        k: np.arctan(np.hypot(*xy) / 100) / 2 for k, xy in {"complete": (2.5, 0), "corner": (2.5, 3.5)}.items()
    }
    assert about["resolution_angstrom"] == pytest.approx({k: 0.5 / np.sin(t) for k, t in half_angles.items()})
    assert about["statistics"] == {"max_I": 7.5, "rms": None, "brightest": [3, 4]}
    assert set(about["digests"]) == {"digest", "job_digest"}


def test_a_partial_store_describes_itself(tmp_path):
    handle = start(tmp_path / "a.zarr", SHARDED)
    handle.write(SHARDED[0], np.zeros(SHARDED[0].shape))
    about = described(handle.place)
    assert (about["status"], about["tiles"]["present"], about["statistics"]) == ("incomplete", 1, None)
    assert np.isnan(next(iter(bands(handle.place, 5)))[1][0, -1])


def test_info_prints_two_columns_or_json(tmp_path):
    path = str(tmp_path / "a.zarr")
    fill(path, RAGGED)
    lines = CliRunner().invoke(info, [path], catch_exceptions=False).output.splitlines()
    column = lines[0].index(path)
    assert all(line[column - 1] == " " and line[column] != " " for line in lines)
    text = "\n".join(lines)
    for expected in (
        "complete",
        "18 of 18 present",
        "1 A",
        "2 x 50 x 70",
        "-hkl 'a b.hkl'",
        "float32",
        "at the corner",
    ):
        assert expected in text
    printed = CliRunner().invoke(info, [path, "--json"], catch_exceptions=False).output
    assert json.loads(printed) == described(path)


def test_info_says_units_seeds_and_corrections(tmp_path):
    summary = {"max_x": 0.0125, "total": 12.5, "solid_angle": 0.25, "brightest": (3, 4), "max_y": None}
    made = {"strict_c": False, "corrections": ["K1", "K12"], "seeds": {"noise": 5, "mosaic": 7, "misset": None}}
    shape = RAGGED.shape[1:]
    about = {**make_provenance(shape), **made}
    handle = create_store(str(tmp_path / "a.zarr"), RAGGED, Contents(about, PIXEL))
    write_all(handle, make_image(RAGGED.shape))
    finish_store(handle, summary)
    path = handle.place
    lines = CliRunner().invoke(info, [path], catch_exceptions=False).output.splitlines()
    rows = dict(re.split(r"  +", line, maxsplit=1) for line in lines)
    assert (rows["max x"], rows["total"], rows["solid angle"]) == ("12.5 mm", "12.5 photons", "0.25 sr")
    assert rows["brightest"] == "slow 3, fast 4 (pixel)" and "max y" not in rows
    assert rows["seeds"] == "noise 5, mosaic 7"
    assert rows["corrections"].startswith("K1, K12") and rows["strict-c"] == "no"
    assert "digest (physics)" in rows and "job digest (bytes)" in rows
    about = described(path)
    assert {name: about[name] for name in made} == made


def test_other_things_are_not_described(tmp_path):
    (tmp_path / "zarr.json").write_text("[]")
    for path in (tmp_path, tmp_path / "missing", tmp_path / "zarr.json"):
        with pytest.raises(InputError, match="store"):
            described(path)


def test_a_frame_of_a_store_that_another_run_emptied_is_no_image(tmp_path):
    handle = start(tmp_path / "a.zarr", RAGGED)
    image = handle
    write_all(handle, make_image(RAGGED.shape))
    whole = StoredImage(handle, 0, None, sound=True)
    assert sum(len(band) for _, band in whole.bands(7)) == RAGGED.shape[1]
    again = start(tmp_path / "a.zarr", RAGGED, overwrite=True)
    with pytest.raises(StoreError, match="another run"):
        list(whole.bands(7))
    with pytest.raises(StoreError, match="replaced"):
        image.write(RAGGED[0], np.zeros(RAGGED[0].shape))
    write_all(again, make_image(RAGGED.shape))
    assert len(list(whole.bands(7))) > 0
    with pytest.raises(StoreError, match="another job"):
        Store(handle.place, job_digest="other").ready()
