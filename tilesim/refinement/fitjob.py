"""The fit as a tile function: what a step is made of, summed over the pixels of each tile in any process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from tilesim.engine.backend import fused_here
from tilesim.engine.job import Job, lay_out
from tilesim.engine.slopes import GradientRunner
from tilesim.engine.tally import Tally
from tilesim.engine.task import TileFailure, TileResult
from tilesim.engine.work import Engine, Work
from tilesim.errors import InputError, TileError
from tilesim.frozen import frozen
from tilesim.model import Experiment
from tilesim.refinement.measured import Measured
from tilesim.refinement.residuals import FitSums, Weighting, fit_sums
from tilesim.tiling.plan import TilePlan
from tilesim.tiling.tile import Tile


@frozen
class FitJob:
    """Experiments, the pixels that were measured of each, and the parameters whose derivatives are wanted."""

    job: Job
    names: tuple[str, ...]
    """Parameters"""
    measured: Measured
    frames: tuple[int, ...]
    """Frame of the measured pixels for each experiment"""
    weighting: Weighting
    device: str = "cpu"

    @property
    def backend(self) -> str:
        """That of the job."""
        return self.job.backend

    @property
    def plan(self) -> TilePlan:
        """The tiles of the job."""
        return self.job.plan

    @cached_property
    def digest(self) -> str:
        """SHA-256 that names the sums, of these measured pixels."""
        about = [self.job.digest, self.names, self.frames, self.weighting.readout, self.weighting.robust]
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()

    def ready(self) -> FitRunner:
        """The job ready to run in this process."""
        return FitRunner(self)


class FitRunner:
    """The sums over the tiles of a fit, for several threads of one process."""

    def __init__(self, fit: FitJob) -> None:
        self._fit, self._derivatives = fit, GradientRunner(fit.job, fit.names)

    def __call__(self, tile: Tile, known: np.ndarray | None = None) -> TileResult:
        """The sums of a tile; pixels that have no value are not computed. Raises InputError."""
        fit, derivatives = self._fit, self._derivatives
        counts = derivatives.rendered(tile, fit.measured.photons(tile, fit.frames[tile.frame]))
        background = derivatives.rendered(tile, fit.measured.background(tile, fit.frames[tile.frame]))
        if np.isinf(counts).any():
            raise InputError(
                f"{fit.measured.name} is infinite in {tile}; expected photons, or NaN where there is no value"
            )
        valued = np.isfinite(counts) & np.isfinite(background)
        wanted, counts, background = derivatives.numbers(tile)[valued], counts[valued], background[valued]
        sums = FitSums.nothing(derivatives.size(tile.frame))
        for part, photons, slopes in derivatives.blocks(tile, wanted):
            sums = sums.merge(fit_sums(counts[part], photons + background[part], slopes, fit.weighting))
        return TileResult(None, (sums,), self._fit.device, "float64")


def evaluate(
    experiments: Sequence[Experiment],
    frames: Sequence[int],
    names: Sequence[str],
    measured: Measured,
    weighting: Weighting,
    engine: Engine,
    tile: tuple[int, int] | None = None,
    precision: str = "mixed",
) -> list[FitSums]:
    """The sums of each experiment against its frame of the measured pixels, the same for any engine.

    Raises TileError where a tile cannot be computed, and what the engine raises.
    """
    job = lay_out(experiments, tile, precision, "cpu", fused_here(), frames=1)
    fit = FitJob(job, tuple(names), measured, tuple(frames), weighting)
    tallies = [Tally[FitSums](job.plan.each) for _ in experiments]
    for _, event in engine([Work(fit)]):
        if isinstance(event, TileFailure):
            raise TileError(event.reason)
        number = job.plan.number(event.tile) % job.plan.each
        tallies[event.tile.frame].add(number, event.figures[0])
    return [tally.total for tally in tallies]
