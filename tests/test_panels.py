"""Detectors of several panels: a plane cut into panels is the plane, through every way that an image is made."""

import dataclasses
import json
import math

import numpy as np
import pytest
from distribution import QUIET, expected, pixels, work
from panels import PANELS, ROWS, cut, plane

import tilesim
from tilesim.engine.job import make_job
from tilesim.engine.statistics import summarize
from tilesim.engine.tally import Tally
from tilesim.engine.work import compute_here
from tilesim.images.stored import StoredImage
from tilesim.model import Detector, PixelMask, Region
from tilesim.store.describe import describe_store
from tilesim.store.verify import verify_store
from tilesim.tiling.plan import TilePlan


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-9 * np.abs(wanted).max())


@pytest.mark.parametrize("simulate", [tilesim.simulate, tilesim.simulate_now])
def test_a_plane_cut_into_panels_is_the_plane(simulate):
    whole = tilesim.simulate_now(plane(), precision="double", backend="eager")
    options = {"tile": (3, 10)} if simulate is tilesim.simulate else {}
    parts = np.asarray(simulate(cut(plane()), precision="double", backend="eager", **options))
    assert parts.shape == (PANELS, ROWS, 31) and whole.max() > 0
    close(parts.reshape(whole.shape), whole)


def test_one_panel_has_the_bytes_that_it_has_alone():
    several = cut(plane())
    image = tilesim.simulate_now(several, backend="eager")
    for number, part in enumerate(image):
        alone = several.replace(detector=Detector(several.detector.panels[number]))
        np.testing.assert_array_equal(part, tilesim.simulate_now(alone, backend="eager"))


def test_region_and_mask_are_of_the_stacked_image():
    active = np.random.default_rng(3).random((PANELS * ROWS, 31)) > 0.3
    region = Region(3, 14, 4, 29)
    part = plane(mask=PixelMask(active), sampling=plane().sampling.replace(roi=region))
    whole = tilesim.simulate_now(part, precision="double", backend="eager")
    parts = tilesim.simulate_now(cut(part), precision="double", backend="eager")
    close(parts.reshape(whole.shape), whole)
    np.testing.assert_array_equal(parts.reshape(whole.shape) > 0, (whole > 0))
    assert cut(part).rendered_pixels == part.rendered_pixels == active[3:14, 4:29].sum()


def test_statistics_are_those_of_the_plane(tmp_path):
    def summary(experiment, name):
        one = work(tmp_path / name, experiment, tile=(2, 9))
        tally = Tally(len(one.function.plan))
        for _, report in compute_here([one]):
            tally.add(one.function.plan.number(report.tile), *report.figures)
        return summarize(experiment, tally.total)

    whole, parts = summary(plane(), "a.zarr"), summary(cut(plane()), "b.zarr")
    for field in dataclasses.fields(whole):
        found, wanted = getattr(parts, field.name), getattr(whole, field.name)
        assert found == pytest.approx(wanted, rel=1e-5), field.name


def test_numbers_places_and_tiles_of_a_plan_agree():
    plan = TilePlan((2, 3, 7, 10), (4, 5))
    seen = np.zeros(plan.shape, int)
    for number, tile in enumerate(plan):
        assert plan.number(tile) == number and plan[number] == tile
        seen[plan.index(tile)] += 1
        seen[tile.frame].reshape(plan.image)[plan.stacked(tile)] += 1
    assert (seen == 2).all() and plan.each == 12 and len(plan) == 24


@pytest.mark.filterwarnings(*QUIET)
def test_a_store_has_a_panel_dimension_and_is_read_stacked_or_by_panel(tmp_path):
    import xarray

    two = [cut(plane()), cut(plane(water_size=1e-5))]
    one = work(tmp_path / "a.zarr", two, tile=(3, 9))
    assert len(list(compute_here([one]))) == len(one.function.plan)
    images = np.stack([tilesim.simulate_now(e, backend="eager") for e in two])
    with xarray.open_zarr(tmp_path / "a.zarr", group="0", consolidated=False) as data:
        assert data.intensity.dims == ("frame", "panel", "slow", "fast")
        np.testing.assert_array_equal(data.intensity, images)
        np.testing.assert_array_equal(data.panel, range(PANELS))
    shape = (PANELS * ROWS, 31)
    stacked = list(StoredImage(one.store, 1, None).bands(2))
    assert [first for first, _ in stacked] == sorted({first for first, _ in stacked})
    np.testing.assert_array_equal(np.concatenate([band for _, band in stacked]), images[1].reshape(shape))
    single = np.concatenate([band for _, band in StoredImage(one.store, 1, 2).bands(4)])
    np.testing.assert_array_equal(single, images[1, 2])
    described = describe_store(one.store)
    assert described["tiles"] == {
        "present": len(one.function.plan),
        "total": len(one.function.plan),
        "shape": [3, 9],
        "frames": 1,
    }
    assert json.dumps(described)
    [scales] = json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())["attributes"]["ome"]["multiscales"]
    assert [axis["name"] for axis in scales["axes"]] == ["frame", "panel", "slow", "fast"]


def test_a_lost_tile_of_a_panel_is_named_and_computed_again(tmp_path):
    one = work(tmp_path / "a.zarr", cut(plane()), tile=(3, 31))
    list(compute_here([one]))
    before = pixels(one)
    (tmp_path / "a.zarr" / "0/intensity/c/0/2/1/0").unlink()
    found = verify_store(one.store)
    assert [str(tile) for tile in found.missing] == ["tile frame 0 panel 2 slow 3:5 fast 0:31"] and not found.damaged
    again = dataclasses.replace(one, known=True)
    restored = [report.restored for _, report in compute_here([again])]
    assert restored.count(False) == 1 and pixels(again) == before


@pytest.mark.filterwarnings(*QUIET)
def test_two_workers_give_the_same_bytes(tmp_path):
    from distributed import LocalCluster

    from tilesim.engine.access import Access
    from tilesim.engine.connect import connect
    from tilesim.engine.dispatch import run_on_workers

    with (
        LocalCluster(2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        connect(Access(0, cluster.scheduler_address, None, None, 30.0), "cpu") as joined,
    ):
        joined.await_workers(lambda line: None)
        one = work(tmp_path / "a.zarr", cut(plane()), tile=(3, 9))
        assert len(list(run_on_workers(joined, [one]))) == len(one.function.plan)
    assert pixels(one) == expected(tmp_path / "b.zarr", one)


def test_kernels_of_the_panels_share_table_and_mosaic_matrices():
    from tilesim.engine.lowered import JobRunner

    job = make_job(cut(plane()), (3, 9), backend="eager", device="cpu")
    lowered = JobRunner(job)
    first, last = lowered.kernel(job.plan[0]), lowered.kernel(job.plan[len(job.plan) - 1])
    assert first.setup.lattice.table is last.setup.lattice.table
    assert first.experiment.crystal.mosaic_matrices is last.experiment.crystal.mosaic_matrices


def test_strict_runs_have_one_panel_as_nanobragg_has():
    strict = plane(sampling=plane().sampling.replace(strict_c=True))
    with pytest.raises(tilesim.PlanError, match="with --strict-c expected one"):
        tilesim.simulate_now(cut(strict))
    assert math.isfinite(tilesim.simulate_now(strict).max())
