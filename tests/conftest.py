"""What all tests share: experiments on the path, one profile of hypothesis, clusters on loopback."""

import logging
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

settings.register_profile(
    "tilesim", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("tilesim")


@pytest.fixture(scope="session", autouse=True)
def torch_in_forks():
    """Worker processes that tests start have torch from what they are forked from: its import takes three seconds."""
    from tilesim.engine import forks

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forks, "PRELOADED", (*forks.PRELOADED, "torch"))
        yield


@pytest.fixture(scope="session")
def forks():
    """Worker processes are forked, as those of `--workers` are: where they are spawned each imports for a second."""
    pytest.importorskip("distributed")
    import dask

    from tilesim.engine.forks import begin

    begin()
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        yield


@pytest.fixture
def cluster(forks):
    """`cluster(2)` starts a scheduler and worker processes with nannies; all end with the test."""
    import dask
    import distributed

    running = []

    def start(workers=2, threads=1, **options):
        spec = {"n_workers": workers, "threads_per_worker": threads, "processes": True, "host": "127.0.0.1"}
        quiet = {"dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
        running.append(distributed.LocalCluster(**{**spec, **quiet, **options}))
        return running[-1]

    yield start
    for one in running:
        # Where its scheduler has died it would be asked for thirty seconds.
        with dask.config.set({"distributed.comm.timeouts.connect": "2s"}):
            one.close()


@pytest.fixture
def connected(cluster):
    """`connected(2)` starts a cluster and gives tilesim's view of it, with its workers admitted."""
    import distributed

    from tilesim.engine.cluster import Cluster

    clients = []

    def start(workers=2, **options):
        client = distributed.Client(cluster(workers, **options), set_as_default=False)
        clients.append(client)
        found = Cluster(client, timeout=60.0)
        found.await_workers()
        return found

    yield start
    for client in clients:
        client.close()


@pytest.fixture(scope="session")
def browser():
    """A browser that shows pages without a screen; a test is skipped where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no chromium")
    return found
