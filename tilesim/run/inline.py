"""The in-process runner: tiles through a few threads; what every other runner must reproduce byte for byte."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from threading import Condition
from time import perf_counter

import numpy as np

from tilesim.compute import Lowered, simulate_tile
from tilesim.errors import TileError, TilesimError
from tilesim.run.job import Job, lower_job
from tilesim.run.statistics import Statistics, tile_statistics
from tilesim.tiling.tile import Tile

Sink = Callable[[Tile, np.ndarray], None]
"""Stores the float32 pixels (slow, fast) of one tile; called from several threads."""


@dataclass(frozen=True)
class TileReport:
    """What became of one tile."""

    tile: Tile
    statistics: Statistics
    seconds: float
    device: str
    dtype: str
    """Of the sum's terms."""
    digest: str
    """Of the job that was really computed."""


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


def run_tile(job: Job, lowered: Lowered, tile: Tile, sinks: Sequence[Sink], gate: Gate) -> TileReport:
    """Compute one tile and hand it to every sink, unless `gate` is closed meanwhile.

    Raises TileError, naming the tile, a sink's StoreError, or Stopped.
    """
    start = perf_counter()
    try:
        image = simulate_tile(lowered, tile)
    except TilesimError:
        raise
    except Exception as error:
        raise TileError(f"{tile}: {type(error).__name__}: {error}") from error
    with gate.passing():
        for sink in sinks:
            sink(tile, image.photons)
    return TileReport(
        tile,
        tile_statistics(job.experiment, image),
        perf_counter() - start,
        str(lowered.device),
        str(lowered.setup.lattice.dtype).removeprefix("torch."),
        job.digest,
    )


def run_inline(job: Job, sinks: Sequence[Sink], threads: int | None = None) -> Iterator[TileReport]:
    """Compute every tile of a job; reports come in storage order, a bounded number of tiles is in flight.

    Stopping the iteration early (or an error, or Ctrl-C) drops what has not started and does not wait for what
    has: such a tile is computed to its end, but not stored.
    """
    import torch

    lowered = lower_job(job)
    threads = threads or default_threads(job)
    tiles, gate = iter(job.plan), Gate()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="tile")
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # tiles run side by side, each on one thread
    try:
        running = deque(pool.submit(run_tile, job, lowered, tile, sinks, gate) for tile in islice(tiles, 2 * threads))
        while running:
            report = running.popleft().result()
            running.extend(pool.submit(run_tile, job, lowered, tile, sinks, gate) for tile in islice(tiles, 1))
            yield report
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        gate.close()
        torch.set_num_threads(before)


def default_threads(job: Job) -> int:
    """One thread per core that this process may use, or OMP_NUM_THREADS as for the reference; one feeds a GPU."""
    if job.device != "cpu":
        return 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) > 0 else len(os.sched_getaffinity(0))
