"""Tiles for workers: larger where they would be mostly the scheduler's work, smaller where memory is short."""

import pytest
from experiments import panel, plain

from tilesim.engine.calibrate import Trial
from tilesim.engine.job import make_job
from tilesim.errors import PlanError
from tilesim.model import Detector
from tilesim.store.layout import Layout
from tilesim.tiling.plan import TilePlan, default_tile

sizing = pytest.importorskip("tilesim.engine.sizing")
cluster = pytest.importorskip("tilesim.engine.cluster")

LARGE = TilePlan((100, 16384, 16384), (512, 512))


class Found:
    """What `sized_job` asks of a cluster."""

    def __init__(self, threads=2, memory=10**10, rate=1e9):
        worker = cluster.Worker("tcp://a:1", threads, memory, 0, 0.0, False, False)
        self.compatible, self.threads, self.rate, self.asked = {worker.address: worker}, threads, rate, 0

    def try_out(self, job):
        self.asked += 1
        return Trial(self.rate)


def test_many_short_tiles_grow_until_they_are_worth_a_task():
    assert sizing.grown(LARGE, 0.01, 4).tile == (2048, 2048)
    assert sizing.grown(LARGE, 0.06, 4).tile == (1024, 1024)
    assert sizing.grown(LARGE, 0.5, 4).tile == (512, 512)
    assert sizing.grown(LARGE, 1e-9, 4).tile == (4096, 4096)


def test_grown_tiles_are_even_and_of_whole_chunks():
    series = TilePlan((1000, 2162, 2068), default_tile((2162, 2068)))
    assert series.tile == (433, 414)
    found = [sizing.grown(series, seconds, 1) for seconds in (0.04, 0.02, 0.01)]
    assert [plan.tile for plan in found] == [(722, 690), (1083, 1035), (2162, 2068)]
    assert [plan.grid for plan in found] == [(1000, 3, 3), (1000, 2, 2), (1000, 1, 1)]
    layouts = [Layout.of_plan(plan) for plan in (series, *found)]
    assert [(one.tile, one.chunk) for one in layouts[2:]] == [((1083, 1035), (361, 345)), ((2165, 2070), (433, 414))]
    pixels = 4 * 1000 * 2162 * 2068
    assert all(pixels < one.image_bytes < 1.005 * pixels for one in layouts)


def test_tiles_do_not_grow_where_threads_would_run_out_of_them():
    few = TilePlan((1, 4096, 4096), (512, 512))
    assert sizing.grown(few, 1e-6, 2).tile == (512, 512)
    assert sizing.grown(LARGE, 1e-6, 10**6).tile == (512, 512)
    assert sizing.grown(TilePlan((10**4, 64, 64), (64, 64)), 1e-6, 1).tile == (64, 64)


def job(tile=None, edge=600):
    return make_job(plain(detector=Detector((panel((edge, edge)),))), tile, "mixed", "cpu", "eager")


def test_small_jobs_and_chosen_tiles_stay_as_they_are_without_a_trial():
    for one, chosen in ((job(), False), (job((4, 4)), True)):
        found = Found()
        assert sizing.sized_job(one, found, chosen).plan == one.plan
        assert found.asked == 0


def test_many_tiles_are_tried_out_and_sized():
    found, one = Found(threads=1), job((16, 16))
    assert max(sizing.sized_job(one, found, False).plan.tile) > 16
    assert found.asked == 1
    assert sizing.sized_job(one, Found(threads=1, rate=100.0), False).plan == one.plan


def test_tiles_shrink_to_the_memory_of_the_workers_or_are_refused():
    one = job(edge=3000)
    need = sizing.job_budget(one, 1).total
    small = sizing.sized_job(one, Found(1, int(need / sizing.SHARE_OF_MEMORY) - 1), False)
    assert (one.plan.tile, small.plan.tile) == ((500, 500), (250, 250))
    with pytest.raises(PlanError, match=r"tcp://a:1 has 1 MB; use a smaller --tile"):
        sizing.sized_job(one, Found(1, 10**6), False)
    with pytest.raises(PlanError, match="use a smaller --tile"):
        sizing.sized_job(one, Found(1, need), True)
