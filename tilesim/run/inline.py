"""The in-process runner: tiles through a few threads; what every other runner must reproduce byte for byte."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from time import perf_counter

import numpy as np

from tilesim.errors import TileError, TilesimError
from tilesim.run.job import Job, lower_job
from tilesim.run.statistics import Statistics, tile_statistics
from tilesim.simulate import Lowered, simulate_tile
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


def run_tile(job: Job, lowered: Lowered, tile: Tile, sinks: Sequence[Sink]) -> TileReport:
    """Compute one tile and hand it to every sink. Raises TileError, naming the tile, or a sink's StoreError."""
    start = perf_counter()
    try:
        image = simulate_tile(lowered, tile)
    except TilesimError:
        raise
    except Exception as error:
        raise TileError(f"{tile}: {type(error).__name__}: {error}") from error
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

    Stopping the iteration early (or an error) cancels what has not started.
    """
    lowered = lower_job(job)
    threads = threads or default_threads(job)
    tiles = iter(job.plan)
    with ThreadPoolExecutor(threads, thread_name_prefix="tile") as pool:
        running = deque(pool.submit(run_tile, job, lowered, tile, sinks) for tile in islice(tiles, 2 * threads))
        try:
            while running:
                report = running.popleft().result()
                for tile in islice(tiles, 1):
                    running.append(pool.submit(run_tile, job, lowered, tile, sinks))
                yield report
        finally:
            for future in running:
                future.cancel()


def default_threads(job: Job) -> int:
    """One thread per core that this process may use; one for a GPU, which is fed by it alone."""
    return 1 if job.device != "cpu" else len(os.sched_getaffinity(0))
