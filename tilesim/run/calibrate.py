"""How fast this machine computes an experiment: about a second of its own kernel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter

from tilesim.compute import simulate_tile
from tilesim.model import Detector
from tilesim.run.backend import make_accumulate
from tilesim.run.job import Job, lower_job
from tilesim.tiling.plan import TilePlan

MAX_STEPS_EACH = 8
"""Of sources, spindle steps, mosaic domains and sensor layers in the trial."""
PASSES = 3
"""The best of so many counts: a machine is never faster than it is, but often busy."""
MAX_SECONDS = 1.0
"""No further pass begins that would likely end after this, the first pass (which warms up) apart."""


@dataclass(frozen=True)
class Trial:
    """What the trial found."""

    steps_per_second: float
    """Lattice evaluations of one thread."""
    compile_seconds: float
    """Making the kernel, once per process; 0 where it is not compiled."""


def try_out(job: Job) -> Trial | None:
    """Time a block of pixels in the middle of the region on one thread; None where there is nothing to render."""
    import torch

    if job.evaluations == 0:
        return None
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as a run has it: tiles side by side, each on one thread
    try:
        return _time(job)
    finally:
        torch.set_num_threads(before)


def _time(job: Job) -> Trial:
    experiment = _shortened(job.experiment)
    region = experiment.region
    columns = region.fast_stop - region.fast_start
    rows = max(1, min(region.slow_stop - region.slow_start, job.block // columns))
    middle = (region.slow_start + region.slow_stop - rows) // 2
    plan = TilePlan((1, *job.plan.shape[1:]), (rows, job.plan.shape[2]))
    trial = replace(job, experiments=(experiment,), plan=plan, latches=(None,))
    tile = replace(trial.plan[0], slow_start=middle, slow_stop=middle + rows)
    lowered = lower_job(trial, 0, make_accumulate(job.backend))

    def one_pass() -> float:
        start = perf_counter()
        simulate_tile(lowered, tile)
        return perf_counter() - start

    first = one_pass()
    seconds = [one_pass()]
    while len(seconds) < PASSES and sum(seconds) + min(seconds) < MAX_SECONDS:
        seconds.append(one_pass())
    best = min(seconds)
    compiling = max(0.0, first - best) if job.backend == "compiled" else 0.0
    return Trial(rows * columns * experiment.evaluations / best, compiling)


def _shortened(experiment):
    """The experiment with few steps of each kind, so that a pass is short."""
    panel = experiment.detector.panels[0]
    if panel.sensor is not None:
        sensor = replace(panel.sensor, layers=min(panel.sensor.layers, MAX_STEPS_EACH))
        panel = replace(panel, sensor=sensor)
    return experiment.replace(
        beam=replace(experiment.beam, sources=experiment.beam.sources[:MAX_STEPS_EACH]),
        crystal=replace(experiment.crystal, mosaic_rotations=experiment.crystal.mosaic_rotations[:MAX_STEPS_EACH]),
        detector=Detector((panel,)),
        scan=replace(experiment.scan, steps=min(experiment.scan.steps, MAX_STEPS_EACH)),
        sampling=replace(experiment.sampling, oversample=1),
        mask=None,
    )
