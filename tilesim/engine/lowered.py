"""Rendering as a tile function: the kernels of a job's frames and panels, each lowered when its first tile comes."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Any

import numpy as np

from tilesim.compute import Kernel, known_tile, simulate_frames, summed_type, tile_truth
from tilesim.engine.backend import check_rounding, kernels
from tilesim.engine.job import Job, lower_job
from tilesim.engine.soundness import check_sound
from tilesim.engine.statistics import tile_statistics
from tilesim.engine.task import TileResult
from tilesim.kernels.tables import table_key
from tilesim.tiling.tile import Tile

KEPT_KERNELS = 16
"""More than are in work at a time, and small, since they share their tables; of tiles of several frames more."""
KEPT_TABLES = 2


class JobRunner:
    """The last few kernels of a job, for several threads of one process, which share their tables."""

    def __init__(self, job: Job) -> None:
        check_rounding(job.backend, job.device)
        self.job = job
        self._module = kernels(job.backend, job.device)
        self._kernels: OrderedDict[tuple[int, int], Kernel] = OrderedDict()
        self._tables: OrderedDict[tuple[str, str, tuple[float, ...]], Any] = OrderedDict()
        self._lock = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return JobRunner, (self.job,)  # kernels are made where they are used

    def __call__(self, tile: Tile, known: np.ndarray | None = None) -> TileResult:
        """The pixels of a tile, float32 photons, with their statistics. Raises TileError where they are none."""
        plan = self.job.plan
        parts = plan.parts(tile, known)
        lowered = [self.kernel(part) for part, _ in parts]
        if known is None:
            photons, images = simulate_frames(lowered, parts[0][0])
            values = photons if plan.frames > 1 else photons[0]
        else:
            values, images = known, [known_tile(kernel, *part) for kernel, part in zip(lowered, parts, strict=True)]
        figures = []
        for kernel, image, (part, _) in zip(lowered, images, parts, strict=True):
            figures.append(tile_statistics(kernel.experiment, image, self._module.sum_pixels))
            check_sound(kernel.experiment, part, figures[-1])
        dtypes = "/".join(sorted({kernel.dtype for kernel in lowered}))
        truth = None
        if self.job.truth and known is None:
            truth = plan.joined([tile_truth(kernel, part) for kernel, (part, _) in zip(lowered, parts, strict=True)])
        return TileResult(values, tuple(figures), lowered[0].device, dtypes, truth)

    def kernel(self, tile: Tile) -> Kernel:
        """The kernel of the tile's panel and frame."""
        place = (tile.frame, tile.panel)
        with self._lock:
            if place not in self._kernels:
                self._kernels[place] = lower_job(self.job, *place, self._table(tile.frame))
            self._kernels.move_to_end(place)
            while len(self._kernels) > max(KEPT_KERNELS, 3 * self.job.plan.frames):
                self._kernels.popitem(last=False)
            return self._kernels[place]

    def _table(self, frame: int) -> Any:
        job, experiment = self.job, self.job.series[frame]
        summed, factors = summed_type(experiment, job.precision), experiment.factors
        waves = [source.wavelength for source in experiment.beam.waves]
        key = (factors.digest, summed, table_key(factors, waves))
        if key not in self._tables:
            self._tables[key] = self._module.lower_table(factors, summed, job.device, waves)
        self._tables.move_to_end(key)
        while len(self._tables) > KEPT_TABLES:
            self._tables.popitem(last=False)
        return self._tables[key]
