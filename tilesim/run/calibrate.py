"""How fast this machine computes an experiment: a fraction of a second of its own kernel."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

from tilesim.compute import simulate_tile
from tilesim.run.backend import make_accumulate
from tilesim.run.job import Job, lower_job
from tilesim.tiling.plan import TilePlan

MAX_STEPS_EACH = 8
"""Of sources, spindle steps and mosaic domains in the trial."""


def steps_per_second(job: Job) -> float:
    """Lattice evaluations per second of one thread, from a block of pixels in the middle of the region.

    Compiled kernels are timed after they are compiled.
    """
    experiment = job.experiment
    small = experiment.replace(
        beam=replace(experiment.beam, sources=experiment.beam.sources[:MAX_STEPS_EACH]),
        crystal=replace(experiment.crystal, mosaic_rotations=experiment.crystal.mosaic_rotations[:MAX_STEPS_EACH]),
        scan=replace(experiment.scan, steps=min(experiment.scan.steps, MAX_STEPS_EACH)),
        sampling=replace(experiment.sampling, oversample=1),
        mask=None,
    )
    region = experiment.region
    rows = max(1, min(region.slow_stop - region.slow_start, job.block // max(1, region.fast_stop - region.fast_start)))
    middle = (region.slow_start + region.slow_stop - rows) // 2
    trial = replace(job, experiment=small, plan=TilePlan(job.plan.shape, (rows, job.plan.shape[2])), latch=None)
    tile = replace(trial.plan[0], slow_start=middle, slow_stop=middle + rows)
    lowered = lower_job(trial, make_accumulate(job.backend))
    simulate_tile(lowered, tile)
    start = perf_counter()
    simulate_tile(lowered, tile)
    pixels = rows * (region.fast_stop - region.fast_start)
    return pixels * small.evaluations / (perf_counter() - start)
