"""Tiles on worker processes: the bytes of the in-process engine, whatever happens to the workers."""

import os
import pickle
import random
import signal
from pathlib import Path

import numpy as np
import pytest
from distribution import QUIET, expected, pixels, work
from experiments import ALL, TABLE, panel, plain, rich

from tilesim.engine import dispatch
from tilesim.engine.dispatch import run_on_workers
from tilesim.engine.task import TileReport
from tilesim.engine.work import compute_here
from tilesim.engine.worker import JobPlugin, run_remote
from tilesim.model import Detector, StructureFactors
from tilesim.store.layout import IMAGE_PATH

pytestmark = [pytest.mark.filterwarnings(*QUIET)]


def carried_out(found, works, **options):
    """What became of every tile, by work and number."""
    done = {}
    for number, event in run_on_workers(found, works, **options):
        key = (number, event.tile)
        assert key not in done
        done[key] = event
    assert len(done) == sum(len(one.function.plan) for one in works)
    return done


def turned(frames):
    """A short series of the rich experiment."""
    base = rich()
    return [base.replace(scan=base.scan.replace(start=0.01 * k)) for k in range(frames)]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_any_number_of_workers_gives_the_bytes_of_this_process(connected, tmp_path, workers):
    works = [work(tmp_path / "a.zarr", turned(2)), work(tmp_path / "b.zarr", [ALL["strict interpolated"]])]
    done = carried_out(connected(workers), works)
    assert all(isinstance(event, TileReport) for event in done.values())
    for number, one in enumerate(works):
        assert pixels(one) == expected(tmp_path / f"here{number}.zarr", one)


def objects(one):
    """The bytes of every object of a store's image as they lie on disk, by their names."""
    folder = Path(one.store.place, IMAGE_PATH, "c")
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_workers_and_threads_compress_to_the_same_objects(connected, tmp_path):
    large = plain(detector=Detector((panel((500, 600)),)))
    one, here = (work(tmp_path / name, [large], (250, 300)) for name in ("workers.zarr", "threads.zarr"))
    carried_out(connected(2), [one])
    assert len(list(compute_here([here], threads=2))) == 4
    assert objects(one) == objects(here)
    assert [len(data) < 4 * 250 * 300 for data in objects(one).values()] == [True] * 4


OPTIONS = [
    {"precision": "double"},
    {"tile": (23, 5)},
    {"experiments": [ALL["strict rich"]]},
    {"experiments": [ALL["interpolated"], ALL["interpolated"].replace(water_size=1e-5)]},
    {"experiments": [plain(factors=TABLE.replace(default=9.0))]},
]


def test_every_field_of_the_job_reaches_the_workers(connected, tmp_path):
    works = []
    for number, changed in enumerate(OPTIONS):
        works.append(work(tmp_path / f"{number}.zarr", **{"experiments": [ALL["rich"]], **changed}))
    done = carried_out(connected(2), works)
    for number, one in enumerate(works):
        assert pixels(one) == expected(tmp_path / f"here{number}.zarr", one)
        reports = [event for (work_number, _), event in done.items() if work_number == number]
        assert {report.digest for report in reports} == {one.function.digest}
        assert {report.dtype for report in reports} == {"float64" if one.function.precision == "double" else "float32"}


def test_reports_name_worker_device_and_backend(connected, tmp_path):
    found = connected(2)
    done = carried_out(found, [work(tmp_path / "a.zarr", [plain()], backend="eager")])
    assert {event.worker for event in done.values()} <= set(found.compatible)
    assert {(event.device, event.backend, event.restored) for event in done.values()} == {("cpu", "eager", False)}


@pytest.mark.parametrize("seed", [1, 2])
def test_workers_killed_at_seeded_moments_cost_only_their_tiles(connected, tmp_path, seed):
    found = connected(3)
    one = work(tmp_path / "a.zarr", turned(4), (8, 8))
    rng, count = random.Random(seed), 0
    pids = list(found.client.run(os.getpid).values())
    moments = sorted(rng.sample(range(3, len(one.function.plan) // 2), 2))
    for number, event in enumerate(run_on_workers(found, [one])):
        assert isinstance(event[1], TileReport)
        count += 1
        if number in moments:
            os.kill(pids.pop(rng.randrange(len(pids))), signal.SIGKILL)
    assert count == len(one.function.plan)
    assert pixels(one) == expected(tmp_path / "here.zarr", one)


def test_a_late_joiner_gets_the_job_and_takes_part(cluster, connected, tmp_path):
    found = connected(1)
    one = work(tmp_path / "a.zarr", turned(3), (4, 4))
    reports = run_on_workers(found, [one])
    workers = [next(reports)[1].worker]
    found.client.cluster.scale(2)
    found.client.wait_for_workers(2, timeout=60)
    workers += [event.worker for _, event in reports]
    assert len(workers) == len(one.function.plan)
    assert len(set(workers)) == 2
    assert pixels(one) == expected(tmp_path / "here.zarr", one)


def test_a_worker_that_lacks_the_job_is_not_used_and_told_of(connected, tmp_path):
    found, said = connected(2), []
    lacking = next(iter(found.compatible))
    register = found.client.register_plugin

    def without_one(plugin):
        register(plugin)
        found.client.run(lambda dask_worker: dask_worker.plugins.pop(plugin.name) and None, workers=[lacking])

    found.client.register_plugin = without_one
    one = work(tmp_path / "a.zarr", turned(3), (4, 4))
    workers = {event.worker for _, event in run_on_workers(found, [one], said.append)}
    assert lacking not in workers and len(workers) == 1
    assert "it has not received the job" in found.incompatible[lacking]


def test_tasks_stay_small_when_the_table_grows_a_thousandfold(tmp_path):
    def sizes(edge):
        table = StructureFactors(np.random.default_rng(1).uniform(1, 9, (edge, edge, edge)), (0, 0, 0))
        one = work(tmp_path / f"{edge}.zarr", [plain(factors=table)])
        plugin = JobPlugin("tilesim client run", (one,))
        return len(pickle.dumps(plugin)), len(pickle.dumps((run_remote, plugin.name, 0, 12345678)))

    (small_job, small_task), (large_job, large_task) = sizes(6), sizes(60)
    assert large_job > 100 * small_job
    assert large_task == small_task < 1000


def test_the_jobs_are_released_at_the_end(connected, tmp_path):
    found = connected(2)
    carried_out(found, [work(tmp_path / "a.zarr", [plain()])])
    left = found.client.run(lambda dask_worker: [n for n in dask_worker.plugins if n.startswith("tilesim")])
    assert set(map(tuple, left.values())) == {()}


def test_what_a_client_left_behind_is_taken_away_by_the_next(connected, tmp_path):
    found = connected(1)
    one = work(tmp_path / "a.zarr", [plain()])
    found.client.register_plugin(JobPlugin("tilesim Client-gone 1234", (one,)))
    found.client.register_plugin(JobPlugin(f"tilesim {found.client.id} 1234", (one,)))
    found.compatible.clear()
    found.refresh()
    found.drop_stale_jobs()
    [left] = found.client.run(lambda dask_worker: [n for n in dask_worker.plugins if n.startswith("tilesim")]).values()
    assert left == [f"tilesim {found.client.id} 1234"]


def test_a_bounded_number_of_tiles_is_in_flight(connected, tmp_path, monkeypatch):
    found = connected(1)
    most, send = [], dispatch._Run._send

    def counting(self, items):
        send(self, items)
        most.append(len(self._flight))

    monkeypatch.setattr(dispatch._Run, "_send", counting)
    one = work(tmp_path / "a.zarr", [plain()], (2, 4))
    carried_out(found, [one])
    assert max(most) <= dispatch.window(found.threads)[1] < len(one.function.plan)
