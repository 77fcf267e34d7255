"""How fast this machine computes an experiment: about a second of its own kernel."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

from tilesim.compute import Kernel, rendered_pixels, simulate_tile
from tilesim.engine.backend import one_thread_each
from tilesim.engine.job import Job, lower_job
from tilesim.frozen import frozen
from tilesim.model import Crystal, Detector, Experiment, Series
from tilesim.tiling.plan import TilePlan
from tilesim.tiling.tile import Tile

MAX_STEPS_EACH = 8
"""Most sources, spindle steps, mosaic domains and sensor layers in the trial."""
PASSES = 3
"""The best of so many counts: a machine is never faster than it is, but often busy."""
MAX_SECONDS = 1.0
"""No further pass begins that would likely end after this, the first pass (which warms up) apart."""


@frozen
class Trial:
    """What the trial found."""

    steps_per_second: float
    """Lattice evaluations of one thread."""


def try_out(job: Job) -> Trial | None:
    """Time a block of pixels in the middle of the region on one thread; None where there is nothing to render."""
    if job.evaluations == 0:
        return None
    kernel, tile = _trial(job)
    restore = one_thread_each()  # as a run has it: tiles side by side, each on one thread
    try:
        return _time(kernel, tile)
    finally:
        restore()


def _trial(job: Job) -> tuple[Kernel, Tile]:
    """The kernel of a shortened experiment, and a block of pixels in the middle of the region."""
    experiment = _shortened(_lit(job.experiment))
    region = experiment.region
    columns = region.fast_stop - region.fast_start
    rows = max(1, min(region.slow_stop - region.slow_start, job.block // columns))
    middle = (region.slow_start + region.slow_stop - rows) // 2
    plan = TilePlan((1, *job.plan.shape[-2:]), (rows, job.plan.shape[-1]))
    trial = replace(job, series=Series.of((experiment,)), plan=plan, latches=(None,))
    return lower_job(trial), replace(trial.plan[0], slow_start=middle, slow_stop=middle + rows)


def _lit(experiment: Experiment) -> Experiment:
    """The view of a panel in the middle of those that are rendered."""
    views = (experiment.of_panel(n) for n in range(len(experiment.detector.panels)))
    lit = [view for view in views if view.region.pixels]
    return lit[len(lit) // 2]


def _time(kernel: Kernel, tile: Tile) -> Trial:

    def one_pass() -> float:
        start = perf_counter()
        simulate_tile(kernel, tile)
        return perf_counter() - start

    one_pass()
    seconds = [one_pass()]
    while len(seconds) < PASSES and sum(seconds) + min(seconds) < MAX_SECONDS:
        seconds.append(one_pass())
    return Trial(len(rendered_pixels(kernel.experiment, tile)) * kernel.experiment.evaluations / min(seconds))


def _few_domains(crystal: Crystal) -> Crystal:
    if crystal.domains <= MAX_STEPS_EACH:
        return crystal
    return crystal.with_domains(crystal.mosaic_matrices[:MAX_STEPS_EACH])


def _shortened(experiment: Experiment) -> Experiment:
    """The experiment with few steps of each kind, so that a pass is short."""
    panel, crystal = experiment.detector.panels[0], experiment.crystal
    if panel.sensor is not None:
        sensor = replace(panel.sensor, layers=min(panel.sensor.layers, MAX_STEPS_EACH))
        panel = replace(panel, sensor=sensor)
    return experiment.replace(
        beam=replace(experiment.beam, sources=experiment.beam.sources[:MAX_STEPS_EACH]),
        crystal=crystal and _few_domains(crystal),
        other_crystals=tuple(map(_few_domains, experiment.other_crystals[: MAX_STEPS_EACH - 1])),
        detector=Detector((panel,)),
        scan=replace(experiment.scan, steps=min(experiment.scan.steps, MAX_STEPS_EACH)),
        sampling=replace(experiment.sampling, oversample=1),
        mask=None,
    )
