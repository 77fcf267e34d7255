"""The job: everything that decides the bytes of an image, and so everything that a task must know."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from tilesim.errors import InputError, PlanError
from tilesim.model import Experiment
from tilesim.model.checks import instance, whole_numbers
from tilesim.tiling.plan import TilePlan


@dataclass(frozen=True)
class Job:
    """An experiment, its tiling, and how to compute it; a value that travels to any process."""

    experiment: Experiment
    plan: TilePlan
    precision: str
    """mixed or double"""
    device: str
    """Resolved: cpu or cuda:N"""
    backend: str
    """Resolved: eager or compiled"""
    latch: int | None = None
    """Strict only: see `compute.find_latch`"""

    @property
    def block(self) -> int:
        """Pixels per pass of the kernel."""
        from tilesim.compute import COMPILED_BLOCK, CPU_BLOCK, GPU_BLOCK

        if self.device != "cpu":
            return GPU_BLOCK
        return COMPILED_BLOCK if self.backend == "compiled" else CPU_BLOCK

    @property
    def evaluations(self) -> int:
        """Lattice evaluations of the whole image: pixels x sub-pixels x layers x sources x phi x mosaic."""
        return self.plan.shape[0] * self.experiment.rendered_pixels * self.experiment.evaluations

    @cached_property
    def digest(self) -> str:
        """SHA-256 that names the image's bytes; of the device only its kind matters."""
        kind = self.device.partition(":")[0]
        parts = [self.experiment.digest, self.plan.shape, self.plan.tile, self.precision, kind, self.backend]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def make_job(
    experiment: Experiment,
    tile: int | tuple[int, int] | None = None,
    precision: str = "mixed",
    device: str = "auto",
    backend: str = "auto",
) -> Job:
    """Resolve device, backend and tiling for one image. Raises PlanError, InputError where there is no experiment.

    tile  pixels (slow, fast) of a tile, or the edge of a square one; None chooses
    """
    from tilesim.compute import PRECISIONS, find_latch
    from tilesim.run.backend import resolve_backend, resolve_device
    from tilesim.tiling.plan import TilePlan, default_tile

    instance("experiment", experiment, Experiment)
    panels = len(experiment.detector.panels)
    if panels != 1:
        raise PlanError(f"the detector has {panels} panels; one panel is simulated so far")
    for name, value in (("precision", precision), ("device", device), ("backend", backend)):
        if not isinstance(value, str):
            raise PlanError(f"{name} is {value!r}; expected text")
    if precision not in PRECISIONS:
        raise PlanError(f"precision is {precision!r}; expected one of {', '.join(PRECISIONS)}")
    plan = TilePlan((1, *experiment.shape), default_tile(experiment.shape) if tile is None else _tile_shape(tile))
    steps = experiment.rendered_pixels * experiment.evaluations
    latch = find_latch(experiment) if experiment.sampling.strict_c else None
    return Job(experiment, plan, precision, resolve_device(device), resolve_backend(backend, steps), latch)


def _tile_shape(tile) -> tuple[int, int]:
    """Pixels (slow, fast) from what a caller gave. Raises PlanError."""
    single = isinstance(tile, str) or not isinstance(tile, Iterable)
    try:
        return whole_numbers("tile", (tile, tile) if single else tile, 2, at_least=1)
    except InputError:
        raise PlanError(f"tile is {tile!r}; expected pixels such as 512 or (256, 1024), (slow, fast)") from None


def lower_job(job: Job, accumulate=None):
    """The job's experiment as tensors on its device, with its kernel (made here unless given)."""
    import torch

    from tilesim.compute import lower
    from tilesim.run.backend import as_tensors, make_accumulate

    convert = None if job.backend == "eager" else lambda lattice: as_tensors(lattice, torch.device(job.device))
    kernel = accumulate or make_accumulate(job.backend)
    return lower(job.experiment, job.precision, job.device, kernel, job.latch, convert, job.block)
