"""Tiles sized for workers: not too small for the scheduler, not too large for memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from tilesim.engine.cluster import Cluster
from tilesim.engine.job import Job, job_budget
from tilesim.errors import PlanError
from tilesim.store.layout import whole_chunks
from tilesim.tiling.plan import TilePlan, even_edge

WORTH_SECONDS = 0.1
"""A tile of less is mostly the scheduler's work, where there are many of them."""
MANY_TILES = 64
"""For each thread: with fewer, larger tiles would leave threads idle at the end."""
LARGEST_TILE = 4096
"""Edge, pixels."""
SHARE_OF_MEMORY = 0.6
"""Share of a worker's memory for its tiles; the libraries and the structure factors need the rest."""


def sized_job(job: Job, cluster: Cluster, chosen: bool) -> Job:
    """The job with tiles that suit the workers, unless they were `chosen`. Raises PlanError where memory is short.

    Tiles grow only where there are very many of them and the trial of the kernel finds them short: a job that
    takes no longer than minutes has the same tiles on every machine.
    """
    if not chosen and len(job.plan) > MANY_TILES * cluster.threads:
        job = replace(job, plan=grown(job.plan, trial_seconds(job, cluster), cluster.threads))
    while short := _short_of_memory(job, cluster):
        if not chosen and job.plan.frames > 1:
            job = replace(job, plan=replace(job.plan, frames=job.plan.frames // 2))
            continue
        if chosen or min(job.plan.tile) <= 64:
            raise PlanError(f"{short}; use a smaller --tile, or fewer threads for each worker")
        job = replace(job, plan=_divided(job.plan, [2 * n for n in job.plan.grid[-2:]]))
    return job


def grown(plan: TilePlan, seconds: float, threads: int) -> TilePlan:
    """The plan with half as many tiles along each axis while one takes less than is worth a task and they are many.

    seconds  of one tile of `plan`
    """
    while seconds < WORTH_SECONDS and len(plan) > MANY_TILES * threads:
        larger = _divided(plan, [math.ceil(n / 2) for n in plan.grid[-2:]])
        if larger == plan or max(larger.tile) > LARGEST_TILE:
            break
        seconds *= math.prod(larger.tile) / math.prod(plan.tile)
        plan = larger
    return plan


def _divided(plan: TilePlan, parts: Sequence[int]) -> TilePlan:
    """The plan with so many nearly equal tiles along (slow, fast), of whole chunks where they are large."""
    edges = (even_edge(pixels, count) for pixels, count in zip(plan.shape[-2:], parts, strict=True))
    slow, fast = (whole_chunks(edge)[1] for edge in edges)
    return TilePlan(plan.shape, (slow, fast), plan.frames)


def trial_seconds(job: Job, cluster: Cluster) -> float:
    """Seconds of one tile on one thread of a worker, by a trial of the kernel there."""
    trial = cluster.try_out(job)
    return job.evaluations / len(job.plan) / trial.steps_per_second if trial else 0.0


def _short_of_memory(job: Job, cluster: Cluster) -> str:
    for worker in cluster.compatible.values():
        budget = job_budget(job, worker.threads)
        if worker.memory and budget.total > SHARE_OF_MEMORY * worker.memory:
            return (
                f"the job needs {budget.total / 1e6:.0f} MB on a worker of {worker.threads} threads, "
                f"{worker.address} has {worker.memory / 1e6:.0f} MB"
            )
    return ""
