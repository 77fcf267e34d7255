"""Worker processes on this machine, on loopback: one per GPU, or sharing the cores."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, cast

import dask.config
from distributed import Nanny, Scheduler, SpecCluster

from tilesim.engine import forks
from tilesim.engine.backend import count_gpus
from tilesim.engine.inline import usable_cores
from tilesim.errors import ClusterError

ALLOWED_FAILURES = 2
"""Workers of our own that one tile may kill before its future fails; a facility's scheduler has its own number."""
FILES, FILES_EACH = 96, 12
"""Open files that this process may need, and for each worker process; counted were 24 and 11, without a store."""
STARTS = 3
"""Attempts to have all processes up: one may be killed while it starts."""
SETTINGS = {
    "distributed.worker.multiprocessing-method": "forkserver",
    # Of a cluster elsewhere: these processes speak plain TCP on loopback, and stay for as long as the run does.
    "distributed.comm.default-scheme": "tcp",
    "distributed.comm.require-encryption": False,
    "distributed.client.security-loader": None,
    "distributed.scheduler.idle-timeout": None,
    "distributed.scheduler.no-workers-timeout": None,
    "distributed.comm.tls.ca-file": None,
    **{
        f"distributed.comm.tls.{who}.{what}": None
        for who in ("scheduler", "worker", "client")
        for what in ("key", "cert")
    },
    # The rest is for who watches a status page, which there is none of. Stacks of every process are sampled a
    # hundred times a second otherwise, event loops fifty times, and all disks of the machine twice.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.system-monitor.disk": False,
    # Of messages and transitions, for dask's developers.
    "distributed.admin.low-level-log-length": 100,
}


def local_threads(processes: int) -> int:
    """Threads of each of so many worker processes, such that all cores are used and none twice."""
    return max(1, usable_cores() // processes)


@contextlib.contextmanager
def local_cluster(processes: int, device: str) -> Iterator[SpecCluster]:
    """Scheduler and worker processes until the block ends; a process that dies is replaced. Raises ClusterError."""
    specification = _specification(processes, device)
    _allow_files(FILES + FILES_EACH * processes)
    with dask.config.set(SETTINGS), _without_main(), _started(specification) as cluster:
        yield cluster


def _specification(processes: int, device: str) -> dict[str, Any]:
    """What there is to be, as `SpecCluster` takes it."""
    gpus = count_gpus() if device in ("auto", "cuda") else 0
    if device == "cuda" and gpus < processes:
        raise ClusterError(f"--workers {processes} with --device cuda: torch finds {gpus} CUDA devices, one for each")
    on_gpu = gpus >= processes
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // processes
    options = {
        "nthreads": 1 if on_gpu else local_threads(processes),
        "memory_limit": memory,
        "host": "127.0.0.1",
        "silence_logs": logging.CRITICAL,
        "dashboard": False,
        "resources": {"GPU": 1} if on_gpu else {},
    }

    def environment(number: int) -> dict[str, Any]:
        # As it is now: what they are forked from may have begun with another.
        return {**os.environ, "CUDA_VISIBLE_DEVICES": _visible(number) if on_gpu else ""}

    workers = {n: {"cls": Nanny, "options": {**options, "env": environment(n)}} for n in range(processes)}
    # Without its page dask still opens a port for health.
    scheduler = {"host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"}
    scheduler["allowed_failures"] = ALLOWED_FAILURES
    return {"workers": workers, "scheduler": {"cls": Scheduler, "options": scheduler}}


def _visible(number: int) -> str:
    """The device of worker `number`, among those that this process may see."""
    mine = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return mine.split(",")[number] if mine else str(number)


def _allow_files(count: int) -> None:
    """Have so many open files allowed. Raises ClusterError where the system's limit is lower."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise ClusterError(f"worker processes need up to {count} open files, the limit is {hard} (ulimit -n)")
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def _started(specification: dict[str, Any]) -> SpecCluster:
    """The cluster with all its workers. Raises ClusterError where they do not come up."""
    reason = ""
    for _ in range(STARTS):
        try:
            forks.begin()
            # dask imports these, where they are installed, to have them in what is forked: 0.3 s and 35 MB.
            with _unimportable("pandas", "lz4"):
                return SpecCluster(**specification, silence_logs=logging.CRITICAL)
        except Exception as error:  # whatever dask met when one did not come up
            reason = " ".join(str(_origin(error)).split())
    raise ClusterError(f"worker processes do not start, tried {STARTS} times; the last time: {reason}")


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Processes that are started meanwhile, or replaced, do not run the user's script once more.

    multiprocessing imports the main module into each new process, unless its name is that of a program: it needs a
    guard for that, which a script of a few lines does not have, and workers need nothing of it.
    """
    main = sys.modules["__main__"]
    before = main.__spec__
    main.__spec__ = ModuleSpec("__main__", None)
    try:
        yield
    finally:
        main.__spec__ = before


def _origin(error: BaseException) -> BaseException:
    """What an error began with."""
    while before := error.__cause__ or error.__context__:
        error = before
    return error


@contextlib.contextmanager
def _unimportable(*names: str) -> Iterator[None]:
    """Importing these raises ImportError meanwhile, unless they are there already."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden, cast(ModuleType, None)))
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
