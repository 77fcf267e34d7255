"""Tiles of several frames: the same pixels in fewer objects, resumed, verified, measured and computed again."""

import math
import pickle
import shutil

import numpy as np
import pytest
from distribution import BACKEND
from experiments import plain

import tilesim as api
from tilesim import Distribution, draw
from tilesim.engine.job import make_job
from tilesim.errors import PlanError, StoreError
from tilesim.store.layout import Layout
from tilesim.store.store import Store
from tilesim.store.verify import verify_store
from tilesim.tiling.plan import TilePlan, default_frames, default_tile
from tilesim.tiling.tile import Tile

COUNT = 130
SERIES = draw(plain(), COUNT, orientation="uniform", fluence=Distribution("gamma", sd=0.3, relative=True))
HOW = {"device": "cpu", "backend": BACKEND}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("blocks") / "s.zarr"
    results = api.run(SERIES, store=path, **HOW)
    assert not results.missing and results.computed == COUNT // 2
    return path


def tiles_of(path):
    return {
        str(f.relative_to(path)): f.read_bytes() for f in (path / "0" / "intensity" / "c").rglob("*") if f.is_file()
    }


def test_a_plan_counts_blocks_of_frames():
    plan = TilePlan((7, 2, 5, 6), (5, 4), 3)
    assert plan.grid == (3, 2, 1, 2) and len(plan) == 12 and plan.each == 4
    seen = np.zeros(plan.shape, int)
    for number, tile in enumerate(plan):
        assert plan.number(tile) == number and plan[number] == tile
        seen[plan.index(tile)] += 1
        assert [part.frame for part, _ in plan.parts(tile, None)] == list(tile.places)
    assert (seen == 1).all()
    assert str(plan[11]) == "tile frame 6 panel 1 slow 0:5 fast 4:6"
    assert str(plan[0]) == "tile frames 0:3 panel 0 slow 0:5 fast 0:4"
    assert TilePlan((2, 5, 6), (5, 6), 9).frames == 2
    with pytest.raises(PlanError, match="0 frames"):
        TilePlan((2, 5, 6), (5, 6), 0)


def test_default_tiles_of_many_small_stills_have_several_frames():
    assert default_tile((512, 512), frames=2000) == (512, 512) and default_frames(2000, (512, 512)) == 31
    assert default_tile((512, 512), frames=5) == (128, 128) and default_frames(5, (128, 128)) == 1
    assert default_frames(100_000, (512, 512)) == 32
    assert default_frames(2000, (512, 512), evaluations=10) == 12
    assert default_frames(2000, (512, 512), evaluations=1e6) == 1
    layout = Layout.of_plan(TilePlan((100, 3, 1024, 1024), (1024, 1024), 4))
    assert (layout.chunks, layout.shards) == ((1, 1, 512, 512), (4, 1, 1024, 1024))


def test_the_bytes_of_a_frame_do_not_depend_on_blocks(stored):
    store = Store.open(stored)
    assert (store.plan.frames, store.plan.tile, store.format) == (2, plain().shape, 3)
    assert len(tiles_of(stored)) == COUNT // 2
    for k in (0, 1, 77, COUNT - 1):
        assert np.array_equal(store.array[k], api.simulate_now(SERIES[k], **HOW))
    assert [one.values[77] for one in store.figures if one.name == "max_I"] == [store.array[77].max()]
    assert api.open(stored).experiment(77) == SERIES[77]


def test_a_store_is_resumed_to_the_same_bytes(stored, tmp_path):
    before = tiles_of(stored)
    shutil.copytree(stored, tmp_path / "s.zarr")
    (tmp_path / "s.zarr/0/intensity/c/3/0/0").unlink()
    damaged = tmp_path / "s.zarr/0/intensity/c/9/0/0"
    damaged.write_bytes(damaged.read_bytes()[:-9] + b"123456789")
    found = verify_store(Store.open(tmp_path / "s.zarr"))
    assert [str(tile)[:17] for tile in (*found.missing, *found.damaged)] == ["tile frames 6:8 p", "tile frames 18:20"]
    results = api.run(SERIES, store=tmp_path / "s.zarr", resume=True, **HOW)
    assert (results.computed, results.restored) == (2, COUNT // 2 - 2) and tiles_of(tmp_path / "s.zarr") == before


def test_workers_fill_the_same_objects(stored, tmp_path):
    pytest.importorskip("distributed")
    api.run(SERIES, store=tmp_path / "w.zarr", workers=1, **HOW)
    assert tiles_of(tmp_path / "w.zarr") == tiles_of(stored)


def test_what_a_frame_lacks_is_named_for_each_of_its_block(tmp_path):
    experiments = [one if k != 5 else one.replace(beam=one.beam.replace(fluence=1e300)) for k, one in enumerate(SERIES)]
    results = api.run(experiments, store=tmp_path / "s.zarr", **HOW)
    assert sorted({one.frame for one in results.missing}) == [4, 5]
    assert len([one for one in results.frames if one.summary]) == COUNT - 2


def test_noise_and_runs_again_follow_the_blocks(stored, tmp_path):
    api.add_noise(api.open(stored), api.Noise(seed=2), store=tmp_path / "n.zarr", dtype="int32")
    noisy, alone = Store.open(tmp_path / "n.zarr"), api.add_noise(api.open(stored).image(7), api.Noise(seed=2), frame=7)
    assert noisy.plan.frames == 2 and noisy.complete
    assert np.array_equal(noisy.array[7], np.asarray(alone))


def test_a_part_of_a_block_is_no_tile(stored):
    store = Store.open(stored)
    slow, fast = store.plan.tile
    with pytest.raises(StoreError, match="not one whole tile"):
        store.write(Tile(1, 0, 0, slow, 0, fast, 2), np.zeros((2, slow, fast), np.float32))
    with pytest.raises(StoreError, match="but the values have shape"):
        store.write(store.plan[0], np.zeros((slow, fast), np.float32))


def test_the_job_of_many_shots_is_small():
    job = make_job(draw(plain(), 10_000, orientation="uniform"), **HOW)
    assert len(pickle.dumps(job)) < 1_500_000 and math.ceil(10_000 / job.plan.frames) == len(job.plan)
