"""The process that worker processes of this machine are forked from, once it has imported what they use."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker

PRELOADED = ("tilesim.engine.preloaded",)
"""With these imports done, a fork is a worker in a tenth of a second."""
ENVIRONMENT = {
    # It runs with -c, for which Python would look for modules in the working folder first.
    "PYTHONSAFEPATH": "1",
    # Forks do not take its threads along.
    "OPENBLAS_NUM_THREADS": "1",
    # As dask gives workers, whose torch may read it here.
    "OMP_NUM_THREADS": "1",
}

UNSAID = "ignore:resource_tracker:UserWarning"
"""What Python's tracker need not say: that it removes the semaphore of a worker that was killed."""


def begin(*more: str) -> None:
    """Start that process, unless it is there. It imports, `more` modules too, while this one goes on.

    Ctrl-C at the terminal is for this process alone, which ends its workers in order: SIGINT is blocked there.
    """
    with _environment({"PYTHONWARNINGS": ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), UNSAID)))}):
        resource_tracker.ensure_running()  # unblocks SIGINT here when it starts: it must not start later
    forkserver.set_forkserver_preload([*PRELOADED, *more])
    with _blocked(signal.SIGINT), _environment(ENVIRONMENT):
        forkserver.ensure_running()


@contextmanager
def _blocked(number: signal.Signals) -> Iterator[None]:
    """A signal waits meanwhile in this thread; in a process that is started here, always."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """The environment with other values meanwhile."""
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
