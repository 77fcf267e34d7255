"""One tile of a job, computed or read back, and what is reported of it: the same on a thread and on a worker."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from time import perf_counter

import numpy as np

from tilesim.compute import Kernel, TileImage, known_tile, simulate_tile, summed_type
from tilesim.engine.backend import kernels
from tilesim.engine.job import Job, lower_job
from tilesim.engine.statistics import Statistics, tile_statistics
from tilesim.errors import TileError, TilesimError
from tilesim.tiling.tile import Tile

KEPT_KERNELS = 16
"""More than are in work at a time, and small, since they share their tables."""
KEPT_TABLES = 2


@dataclass(frozen=True)
class TileReport:
    """What became of one tile."""

    tile: Tile
    statistics: Statistics
    seconds: float
    device: str
    dtype: str
    """Of the sum's terms."""
    backend: str
    digest: str
    """Of the job that was really computed."""
    restored: bool = False
    """Found in the store and read back, not computed."""
    worker: str = ""
    """Address; empty in this process."""


@dataclass(frozen=True)
class TileFailure:
    """A tile that could not be computed, or not stored."""

    tile: Tile | None
    """None where the worker did not look at it."""
    reason: str
    worker: str = ""
    """Address; empty in this process."""
    kind: str = "computing"
    """Or "storing", or "refusing" where the worker is unfit for the job."""


class Frames:
    """The kernels of the panels of a job's frames, each made when its first tile comes; the last few are kept.

    For several threads of one process, which share their tables.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self._kernels: OrderedDict[tuple[int, int], Kernel] = OrderedDict()
        self._tables: OrderedDict[tuple, object] = OrderedDict()
        self._lock = Lock()

    def __reduce__(self) -> tuple:
        return Frames, (self.job,)  # kernels are made where they are used

    def kernel(self, tile: Tile) -> Kernel:
        """The kernel of the tile's panel and frame."""
        place = (tile.frame, tile.panel)
        with self._lock:
            if place not in self._kernels:
                self._kernels[place] = lower_job(self.job, *place, self._table(tile.frame))
            self._kernels.move_to_end(place)
            while len(self._kernels) > KEPT_KERNELS:
                self._kernels.popitem(last=False)
            return self._kernels[place]

    def _table(self, frame: int):
        experiment = self.job.series[frame]
        summed = summed_type(experiment, self.job.precision)
        key = (experiment.factors.digest, summed)
        if key not in self._tables:
            self._tables[key] = kernels(self.job.backend, self.job.device).lower_table(
                experiment.factors, summed, self.job.device
            )
        self._tables.move_to_end(key)
        while len(self._tables) > KEPT_TABLES:
            self._tables.popitem(last=False)
        return self._tables[key]


def compute_tile(kernel: Kernel, tile: Tile, known: np.ndarray | None = None) -> TileImage:
    """The pixels of one tile, computed unless they are `known`. Raises TileError, which names the tile."""
    try:
        return simulate_tile(kernel, tile) if known is None else known_tile(kernel, tile, known)
    except TilesimError:
        raise
    except Exception as error:
        raise TileError(f"{tile}: {type(error).__name__}: {error}") from error


def report_tile(job: Job, kernel: Kernel, image: TileImage, start: float, **more) -> TileReport:
    """What to tell of a tile that was begun at `start` (perf_counter) and is stored now."""
    return TileReport(
        image.tile,
        tile_statistics(kernel.experiment, image),
        perf_counter() - start,
        kernel.device,
        kernel.dtype,
        job.backend,
        job.digest,
        **more,
    )
