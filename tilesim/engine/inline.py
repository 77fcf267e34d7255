"""The in-process runner: tiles through a few threads; what every other runner must reproduce byte for byte."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from threading import Condition
from time import perf_counter

import numpy as np

from tilesim.engine.backend import one_thread_each
from tilesim.engine.job import Job
from tilesim.engine.task import Frames, TileFailure, TileReport, compute_tile, report_tile
from tilesim.errors import TileError
from tilesim.tiling.tile import Tile

Sink = Callable[[Tile, np.ndarray], None]
"""Stores the float32 pixels (slow, fast) of one tile; called from several threads."""
Known = Callable[[Tile], np.ndarray | None]
"""The pixels of a tile that an earlier run has stored already, or None."""


class Stopped(Exception):
    """The run ended before this tile was stored."""


class Gate:
    """What tiles pass on their way to the sinks; once it is closed, no sink is at work, nor will be."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._inside = 0
        self._closed = False

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Raises Stopped where the gate is closed."""
        with self._changed:
            if self._closed:
                raise Stopped
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Let nobody in any more, and wait for those inside."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: self._inside == 0)


def run_tile(
    frames: Frames, tile: Tile, sinks: Sequence[Sink], gate: Gate, known: Known | None = None
) -> TileReport | TileFailure:
    """Compute one tile and hand it to every sink, unless `gate` is closed meanwhile.

    A tile that is known already is not computed, and no sink gets it.
    Raises a sink's StoreError, or Stopped.
    """
    start, job = perf_counter(), frames.job
    stored = known(tile) if known else None
    try:
        kernel = frames.kernel(tile)
        image = compute_tile(kernel, tile, stored)
    except TileError as error:
        return TileFailure(tile, str(error))
    if stored is None:
        with gate.passing():
            for sink in sinks:
                sink(tile, image.photons)
    return report_tile(job, kernel, image, start, restored=stored is not None)


def run_inline(
    job: Job, sinks: Sequence[Sink], threads: int | None = None, known: Known | None = None
) -> Iterator[TileReport | TileFailure]:
    """Compute every tile of a job; what became of them comes in storage order, a bounded number is in flight.

    Stopping the iteration early (or an error, or Ctrl-C) drops what has not started and does not wait for what
    has: such a tile is computed to its end, but not stored.
    """
    frames = Frames(job)
    frames.kernel(job.plan[0])  # imports torch if that is what it takes
    restore = one_thread_each()  # tiles run side by side, each on one thread
    threads = threads or default_threads(job)
    tiles, gate = iter(job.plan), Gate()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="tile")

    def begin(count: int):
        return [pool.submit(run_tile, frames, tile, sinks, gate, known) for tile in islice(tiles, count)]

    try:
        running = deque(begin(2 * threads))
        while running:
            done = running.popleft().result()
            running.extend(begin(1))
            yield done
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        gate.close()
        restore()


def default_threads(job: Job) -> int:
    """One thread per core that this process may use, or OMP_NUM_THREADS as for the reference; one feeds a GPU."""
    return usable_cores() if job.device == "cpu" else 1


def usable_cores() -> int:
    """Cores to compute on: those that this process may use, or OMP_NUM_THREADS."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) > 0 else len(os.sched_getaffinity(0))
