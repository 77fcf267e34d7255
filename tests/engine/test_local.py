"""Worker processes of this machine: what they load, what they inherit, and starts that go wrong."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import dask.config
import pytest
from commands import LIMIT
from distribution import QUIET

from tilesim.engine.access import Access
from tilesim.engine.backend import count_gpus
from tilesim.engine.connect import connect
from tilesim.errors import ClusterError
from tilesim.kernels import library

pytestmark = [pytest.mark.filterwarnings(*QUIET)]
KEYS = ("key", "cert")
UNUSED = ("torch", "triton", "dask.array", "dask.dataframe", "pandas", "matplotlib", "bokeh", "numpy.testing", "gemmi")


def ready(processes):
    """A connected cluster of so many worker processes, all of them compatible."""
    return connect(Access(processes=processes), "cpu")


LOADED = """
import sys
sys.path.insert(0, sys.argv[1])
from distribution import work
from experiments import plain
from tilesim.engine.access import Access
from tilesim.engine.connect import connect
from tilesim.engine.dispatch import run_on_workers
with connect(Access(processes=1), "cpu") as found:
    found.await_workers()
    done = list(run_on_workers(found, [work("a.zarr", [plain()], backend="fused")]))
    print(len(done), *found.client.run(lambda: sorted(sys.modules)).values())
"""


@pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")
def test_a_worker_of_a_cpu_job_loads_only_what_it_uses(tmp_path):
    # By itself: what the workers of other tests are forked from has torch.
    words = [sys.executable, "-c", LOADED, str(Path(__file__).parents[1])]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    count, _, loaded = done.stdout.partition(" ")
    assert int(count) > 1 and "'tilesim.engine.task'" in loaded
    assert [name for name in UNUSED if f"'{name}'" in loaded] == []


def test_workers_have_the_environment_of_the_moment_they_start_at(monkeypatch):
    with ready(1) as found:
        assert set(found.client.run(os.environ.get, "TILESIM_TEST").values()) == {None}
    monkeypatch.setenv("TILESIM_TEST", "later")
    with ready(1) as found:
        assert set(found.client.run(os.environ.get, "TILESIM_TEST").values()) == {"later"}


@pytest.fixture
def dying(tmp_path):
    """`dying(times)` has that many worker processes killed while they start; `dying.count()` tells how many were."""
    folder = tmp_path / "deaths"
    folder.mkdir()
    preload = tmp_path / "die.py"

    def start(times):
        preload.write_text(
            "import os, signal\n"
            "def dask_setup(worker):\n"
            f"    if len(os.listdir({str(folder)!r})) < {times}:\n"
            f"        open(os.path.join({str(folder)!r}, str(os.getpid())), 'w').close()\n"
            "        os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        return dask.config.set({"distributed.worker.preload": [str(preload)]})

    start.count = lambda: len(os.listdir(folder))
    return start


def test_a_worker_that_is_killed_while_it_starts_is_started_again(dying):
    with dying(1), ready(2) as found:
        found.await_workers()
        assert dying.count() >= 1 and len(found.compatible) == 2


def test_workers_that_are_always_killed_while_they_start_end_the_run(dying):
    with dying(1000), pytest.raises(ClusterError, match="worker processes do not start, tried 3 times") as told:
        ready(2).__enter__()
    assert "\n" not in str(told.value)
    assert dying.count() >= 3
    assert multiprocessing.active_children() == []


def test_what_a_killed_worker_leaves_is_removed_without_a_word():
    code = "from tilesim.engine.forks import begin; begin(); "
    code += "from multiprocessing.resource_tracker import register; register('/left', 'semaphore')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=True)
    assert done.stderr == ""


def test_settings_for_a_cluster_elsewhere_are_not_for_this_one():
    tls = {
        f"distributed.comm.tls.{who}.{what}": "/no.pem" for who in ("scheduler", "worker", "client") for what in KEYS
    }
    elsewhere = {
        **tls,
        "distributed.comm.tls.ca-file": "/no.pem",
        "distributed.comm.require-encryption": True,
        "distributed.comm.default-scheme": "tls",
        "distributed.client.security-loader": "no.such.loader",
        "distributed.scheduler.idle-timeout": "1ms",
    }
    with dask.config.set(elsewhere), ready(1) as found:
        found.await_workers()
        assert found.address.startswith("tcp://127.0.0.1:")


def test_who_is_there_does_not_depend_on_the_timer_of_the_client():
    with dask.config.set({"distributed.client.scheduler-info-interval": "1ms"}), ready(1) as found:
        found.await_workers()
        assert [len(found.there()) for _ in range(300)] == [1] * 300


def test_without_the_driver_nobody_imports_torch_to_count_gpus(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert count_gpus() == 0
