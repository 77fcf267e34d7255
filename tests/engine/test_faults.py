"""Faults on worker processes, injected by a plugin that every worker gets, also one that comes back after its death."""

import os
import signal
from contextlib import suppress

import pytest
from distribution import QUIET, expected, pixels, work
from experiments import plain

from tilesim.engine import cluster, dispatch
from tilesim.engine.cluster import Cluster
from tilesim.engine.dispatch import run_on_workers
from tilesim.engine.job import lay_out
from tilesim.engine.task import TileFailure, TileReport
from tilesim.errors import ClusterError, PlanError, StoreError
from tilesim.kernels import library

pytestmark = [pytest.mark.filterwarnings(*QUIET)]


@pytest.fixture(autouse=True)
def attentive(monkeypatch):
    """The client asks more often who is there."""
    monkeypatch.setattr(dispatch, "LOOK_SECONDS", 0.2)


def fault(what, tiles, folder, times=10**6):
    """A plugin that does harm where a worker computes one of some tiles, so many times at most for each.

    Defined in a function, so that it is sent by value: workers do not see the tests.
    """
    import distributed

    class Fault(distributed.WorkerPlugin):
        name = "fault"

        def setup(self, worker):
            from tilesim.engine import worker as module

            run_tile = module.run_tile

            async def begun():
                """Wait until the nanny knows that its worker runs: dask may lose one that dies before."""
                import asyncio

                from distributed.protocol.pickle import dumps

                status = dumps(lambda dask_worker: dask_worker.process.status.name)
                while (await worker.rpc(worker.nanny).run(function=status))["result"] != "running":
                    await asyncio.sleep(0.02)

            def harmed(function, runner, tile, *how):
                from tilesim.errors import StoreError, TileError

                count = os.path.join(folder, f"{tile.slow_start}-{tile.fast_start}")
                done = os.path.getsize(count) if os.path.exists(count) else 0
                if (tile.slow_start, tile.fast_start) in tiles and done < times:
                    with open(count, "a") as file:
                        file.write("x")
                    if what == "die":
                        distributed.utils.sync(worker.loop, begun)
                        os.kill(os.getpid(), signal.SIGKILL)
                    raise StoreError("cannot write z: full") if what == "full" else TileError(f"{tile}: no memory")
                return run_tile(function, runner, tile, *how)

            module.run_tile = harmed

    return Fault()


@pytest.fixture
def harmed(connected, tmp_path):
    """`harmed(2, what, tiles, ...)` is a cluster with that fault; `harmed.count(tile)` says how often it struck."""
    folder = tmp_path / "faults"
    folder.mkdir()

    def start(workers, *how, **options):
        found = connected(workers)
        found.client.register_plugin(fault(*how, folder=str(folder), **options))
        return found

    start.count = lambda slow, fast: (folder / f"{slow}-{fast}").stat().st_size
    return start


def answers(found, one):
    """What became of every tile, by its place."""
    done = {}
    for _, event in run_on_workers(found, [one]):
        done[event.tile.slow_start, event.tile.fast_start] = event
    assert len(done) == len(one.function.plan)
    return done


def test_a_tile_that_fails_once_is_computed_by_another_worker(harmed, tmp_path):
    one = work(tmp_path / "a.zarr", [plain()])
    found = harmed(2, "fail", {(7, 11)}, times=1)
    done = answers(found, one)
    assert all(isinstance(event, TileReport) for event in done.values())
    assert harmed.count(7, 11) == 1
    assert pixels(one) == expected(tmp_path / "here.zarr", one)


def test_a_tile_that_always_fails_is_named_and_the_rest_is_done(harmed, tmp_path):
    one = work(tmp_path / "a.zarr", [plain()])
    done = answers(harmed(2, "fail", {(7, 11)}), one)
    failures = [event for event in done.values() if isinstance(event, TileFailure)]
    assert [event.reason for event in failures] == ["tile frame 0 panel 0 slow 7:14 fast 11:22: no memory"]
    assert 1 < harmed.count(7, 11) < 5
    stored, wanted = pixels(one), expected(tmp_path / "here.zarr", one)
    missing = [number for number in wanted if stored[number] is None]
    assert [one.function.plan[number] for number in missing] == [failures[0].tile]
    assert all(stored[number] == wanted[number] for number in wanted if number not in missing)


def test_a_tile_that_kills_its_workers_is_set_aside_and_its_neighbours_are_not_blamed(harmed, tmp_path):
    one = work(tmp_path / "a.zarr", [plain()])
    found = harmed(2, "die", {(7, 11)})
    done = answers(found, one)
    failures = [event for event in done.values() if isinstance(event, TileFailure)]
    assert [(event.tile.slow_start, event.tile.fast_start) for event in failures] == [(7, 11)]
    assert "every worker that had it died" in failures[0].reason
    assert harmed.count(7, 11) <= 10


def test_a_worker_that_dies_once_of_a_tile_costs_nothing(harmed, tmp_path):
    one = work(tmp_path / "a.zarr", [plain()])
    done = answers(harmed(2, "die", {(0, 0), (14, 22)}, times=1), one)
    assert all(isinstance(event, TileReport) for event in done.values())
    assert pixels(one) == expected(tmp_path / "here.zarr", one)


def test_tiles_that_no_worker_can_store_end_the_run(harmed, tmp_path):
    with pytest.raises(StoreError, match=r"cannot write z: full \(worker tcp://127"):
        answers(harmed(2, "full", {(7, 11)}), work(tmp_path / "a.zarr", [plain()]))


def test_a_tile_that_waits_for_a_worker_that_has_gone_is_sent_to_another(harmed, tmp_path, monkeypatch):
    monkeypatch.setattr(dispatch, "FETCH_SECONDS", 1.0)
    one = work(tmp_path / "a.zarr", [plain()], (3, 4))
    found = harmed(2, "fail", {(6, 8)}, times=1)
    first, second = found.compatible
    found.incompatible["tcp://127.0.0.1:1"] = "it is not there"  # so that tiles are sent to the compatible ones by name
    events = run_on_workers(found, [one])
    done = [next(events)[1]]
    for pid in found.client.run(os.getpid, workers=[first, second]).values():
        os.kill(pid, signal.SIGKILL)
    done += [event for _, event in events]
    assert len(done) == len(one.function.plan) and all(isinstance(event, TileReport) for event in done)
    assert pixels(one) == expected(tmp_path / "here.zarr", one)


def test_where_every_worker_refuses_the_run_ends_after_the_timeout(connected, tmp_path):
    found, said = connected(1), []
    found.timeout = 1.0

    def age():
        from tilesim.engine import worker

        worker.versions = lambda: {"tilesim": "0", "torch": "0"}

    found.client.run(age)
    with pytest.raises(ClusterError, match="no worker"):
        list(run_on_workers(found, [work(tmp_path / "a.zarr", [plain()])], said.append))
    assert any("is not used" in line for line in said)


def test_a_store_that_vanishes_ends_the_run(connected, tmp_path):
    one = work(tmp_path / "a.zarr", [plain()], (2, 2))
    reports = run_on_workers(connected(1), [one])
    next(reports)
    os.rename(tmp_path / "a.zarr", tmp_path / "b.zarr")
    with pytest.raises(StoreError, match=r"removed or replaced|no store"):
        list(reports)
    assert not (tmp_path / "a.zarr" / "zarr.json").exists()


def test_a_store_that_workers_cannot_see_is_told(connected, tmp_path):
    one = work(tmp_path / "a.zarr", [plain()])
    os.rename(tmp_path / "a.zarr", tmp_path / "b.zarr")
    with pytest.raises(StoreError, match="a folder shared with the client"):
        list(run_on_workers(connected(1), [one]))


def test_a_scheduler_that_dies_is_told(connected, tmp_path):
    found = connected(1)
    one = work(tmp_path / "a.zarr", [plain()], (2, 2))
    reports = run_on_workers(found, [one])
    next(reports)
    found.client.cluster.sync(found.client.cluster.scheduler.close)
    with pytest.raises(ClusterError, match="was lost"):
        list(reports)


def test_a_cluster_without_workers_is_reported_after_the_timeout(connected, tmp_path):
    found = connected(1)
    found.timeout = 1.0
    said = []
    reports = run_on_workers(found, [work(tmp_path / "a.zarr", [plain()], (2, 2))], said.append)
    next(reports)
    found.client.cluster.scale(0)
    with pytest.raises(ClusterError, match="no worker has come back"):
        list(reports)
    assert any("no worker is left" in line for line in said)


def pause(found, workers=None):
    """Have workers out of memory, as dask sees it, and return when they take no tasks any more."""

    async def paused(dask_worker):
        import asyncio

        dask_worker.memory_manager.memory_pause_fraction = 1e-9
        while dask_worker.status.name != "paused":
            await asyncio.sleep(0.01)

    found.client.run(paused, workers=workers)


def test_where_all_workers_are_paused_the_run_says_so_and_ends_after_the_timeout(connected, tmp_path):
    found, said = connected(1), []
    pause(found)
    found.timeout = 1.0
    with pytest.raises(ClusterError, match=r"took tiles in 1 s: tcp://127.* paused for want of memory \("):
        list(run_on_workers(found, [work(tmp_path / "a.zarr", [plain()])], said.append))
    [line] = said
    assert "takes tiles" in line and "paused for want of memory" in line
    late = Cluster(found.client, 1.0)
    with pytest.raises(ClusterError, match="paused for want of memory"):
        late.await_workers(said.append)


def test_what_waits_for_a_paused_worker_is_sent_to_another(connected, tmp_path):
    one = work(tmp_path / "a.zarr", [plain()], (2, 2))
    found = connected(2)
    found.timeout = 1.0
    events = run_on_workers(found, [one])
    done = [next(events)[1]]
    pause(found, [done[0].worker])
    done += [event for _, event in events]
    assert len(done) == len(one.function.plan) and all(isinstance(event, TileReport) for event in done)
    assert pixels(one) == expected(tmp_path / "here.zarr", one)


@pytest.fixture
def stopped():
    """`stopped(found)` stops all workers of a cluster, as a debugger does, until the test ends.

    It is asked for behind the cluster, which would wait for them when it ends before they go on.
    """
    pids = []

    def stop(found):
        pids.extend(found.client.run(os.getpid).values())
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)

    yield stop
    for pid in pids:
        with suppress(ProcessLookupError):  # replaced meanwhile
            os.kill(pid, signal.SIGCONT)


def test_where_all_workers_are_stopped_the_run_says_so_and_ends_after_the_timeout(
    connected, stopped, tmp_path, monkeypatch
):
    for module, name in ((cluster, "SILENT_SECONDS"), (cluster, "ANSWER_SECONDS"), (dispatch, "FETCH_SECONDS")):
        monkeypatch.setattr(module, name, 1.0)
    found, said = connected(2), []
    found.timeout = 1.0
    events = run_on_workers(found, [work(tmp_path / "a.zarr", [plain()], (2, 2))], said.append)
    next(events)
    stopped(found)
    with pytest.raises(ClusterError, match=r"took tiles in 1 s: tcp://127.* not heard of for \d+ s"):
        list(events)
    assert "takes tiles" in said[0]
    late = Cluster(found.client, 1.0)
    with pytest.raises(ClusterError, match="no worker has come"):
        late.await_workers()


@pytest.mark.parametrize("name", ["tilesim", "torch"])
def test_a_worker_with_another_version_is_not_used(connected, tmp_path, name):
    found = connected(2)
    other = next(iter(found.compatible))

    def age(dask_worker):
        from tilesim.engine import worker

        found = worker.versions()
        worker.versions = lambda: {**found, name: "0.0.1"}

    found.client.run(age, workers=[other])
    late = Cluster(found.client, 5.0)
    late.refresh()
    assert list(late.compatible) == [address for address in found.compatible if address != other]
    assert late.incompatible[other].startswith(f"it has {name} 0.0.1, the client has ")
    workers = {event.worker for _, event in run_on_workers(late, [work(tmp_path / "a.zarr", [plain()])])}
    assert workers == set(late.compatible)
    # One that the client did not ask beforehand refuses by itself.
    refused = {event.worker for _, event in run_on_workers(found, [work(tmp_path / "b.zarr", [plain()])])}
    assert other not in refused and f"it has {name} 0.0.1" in found.incompatible[other]


@pytest.mark.skipif(library.compiler() is None or not library.has_fma(), reason="no C++ compiler, or no FMA")
def test_workers_that_round_otherwise_are_not_used(connected):
    found = connected(2)
    other = min(found.compatible)

    def lose_fma():
        from tilesim.kernels import library

        library.has_fma = lambda: False

    found.client.run(lose_fma, workers=[other])
    late = Cluster(found.client, 5.0)
    late.refresh()
    assert {worker.backend for worker in late.compatible.values()} == {"fused", "fused (no FMA)"}
    assert late.resolve("cpu", "auto", 1e12) == ("cpu", "fused")
    assert list(late.incompatible) == [other] and "TILESIM_LEVEL" in late.incompatible[other]
    # Nor does a process compute a job of the other rounding, whoever asks it.
    job = lay_out([plain()], None, "mixed", "cpu", "fused (no FMA)")
    assert job.digest != lay_out([plain()], None, "mixed", "cpu", "fused").digest
    with pytest.raises(PlanError, match="rounds otherwise"):
        job.ready()


def test_a_device_that_no_worker_has_is_refused(connected):
    found = connected(1)
    with pytest.raises(ClusterError, match="no CUDA device"):
        found.resolve("cuda", "eager", 1.0)
