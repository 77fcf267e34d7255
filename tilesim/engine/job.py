"""The job: everything that decides the bytes of a series, and so everything that a task must know."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tilesim.compute import Kernel, check_precision
from tilesim.engine.backend import kernels, resolve_backend, resolve_device
from tilesim.errors import InputError, PlanError
from tilesim.frozen import frozen
from tilesim.kernels.amorphous import with_background
from tilesim.model import Crystal, Experiment, Series
from tilesim.model.checks import whole_numbers
from tilesim.tiling.budget import Budget, memory_budget
from tilesim.tiling.plan import TilePlan, default_frames, default_tile

if TYPE_CHECKING:
    from tilesim.engine.lowered import JobRunner

STAND_IN = Crystal((1e-8, 0.0, 0.0), (0.0, 1e-8, 0.0), (0.0, 0.0, 1e-8))


@frozen
class Job:
    """A series, its tiling, and how to compute it; a value that travels to any process."""

    series: Series
    plan: TilePlan
    precision: str
    """mixed or double"""
    device: str
    """Resolved: cpu, cuda:N, or cuda for the device that a worker owns"""
    backend: str
    """Resolved: eager, fused, or fused (no FMA)"""
    latches: tuple[int | None, ...]
    """One per frame, strict only: see `tensors.find_latch`"""
    truth: bool = False
    """Whether the truth of pixels is computed with them (physics/truth.py)"""

    @property
    def experiment(self) -> Experiment:
        """Experiment of the first frame; all have its detector shape."""
        return self.series[0]

    @property
    def block(self) -> int:
        """Pixels per pass of the kernel."""
        return kernels(self.backend, self.device).block_of(self.device)

    @property
    def numbers_per_pixel(self) -> int:
        """Float64 numbers that the kernel holds for each pixel of a pass."""
        return kernels(self.backend, self.device).NUMBERS_PER_PIXEL

    @property
    def evaluations(self) -> int:
        """Lattice evaluations of all frames: pixels x sub-pixels x layers x sources x phi x mosaic."""
        return steps_of(self.series)

    def ready(self) -> JobRunner:
        """The job ready to render in this process: imports torch if that is what it takes."""
        from tilesim.engine.lowered import JobRunner

        kernels(self.backend, self.device)
        return JobRunner(self)

    @cached_property
    def digest(self) -> str:
        """SHA-256 that names the bytes of all frames; of the device only its kind matters."""
        kind = self.device.partition(":")[0]
        tile = [self.plan.tile] if self.plan.frames == 1 else [self.plan.tile, self.plan.frames]
        own = ["truth"] if self.truth else []
        parts = [self.series.digest, self.plan.shape, *tile, self.precision, kind, self.backend, *own]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def make_job(
    experiments: Experiment | Sequence[Experiment],
    tile: int | tuple[int, int] | None = None,
    precision: str = "mixed",
    device: str = "auto",
    backend: str = "auto",
    say: Callable[[str], None] = lambda line: None,
    frames: int | None = None,
) -> Job:
    """The job of one experiment, or of one per frame, on this machine. Raises PlanError, InputError.

    tile     pixels (slow, fast) of a tile, or the edge of a square one; None chooses
    device   auto, cpu, cuda or cuda:N, found on this machine
    backend  auto, eager or fused
    say      takes a line when the fused kernel is being compiled
    frames   of a tile; None chooses
    """
    series = checked_series(experiments)
    _check_text(device=device, backend=backend)
    device = resolve_device(device)
    backend = resolve_backend(backend, steps_of(series), device, say)
    return lay_out(series, tile, precision, device, backend, frames)


def lay_out(
    experiments: Experiment | Sequence[Experiment],
    tile: int | tuple[int, int] | None,
    precision: str,
    device: str,
    backend: str,
    frames: int | None = None,
) -> Job:
    """A job whose device and backend are resolved already; raises as `make_job`."""
    series = experiments if isinstance(experiments, Series) else checked_series(experiments)
    _check_text(precision=precision)
    check_precision(precision)
    shape = _shape(series[0])
    panels, count = math.prod(shape[:-2]), len(series)
    chosen = default_tile((shape[-2], shape[-1]), panels, count) if tile is None else _tile_shape(tile)
    if frames is None:
        frames = default_frames(count, chosen, steps_of(series) / (count * math.prod(shape)))
    plan = TilePlan((count, *shape), chosen, frames)
    latches = _latches(series)
    return Job(series, plan, precision, device, backend, latches)


def job_budget(job: Job, threads: int) -> Budget:
    """Memory of a job that runs `threads` tiles at a time."""
    return memory_budget(job.experiment, job.plan, job.block, job.numbers_per_pixel, threads, job.truth)


def steps_of(series: Series) -> int:
    """Lattice evaluations of all its experiments."""
    found = ((series[frame], count) for frame, count in series.representatives())
    return sum(count * e.rendered_pixels * e.evaluations for e, count in found)


def checked_series(given: Experiment | Sequence[Experiment]) -> Series:
    """One experiment for each frame, all of one shape. Raises InputError, PlanError."""
    series = Series.of(given)
    shape = _shape(series[0])
    for frame, _ in series.representatives():
        experiment = series[frame]
        _check_panels(experiment)
        if _shape(experiment) != shape:
            raise PlanError(f"frames of {shape} and {_shape(experiment)} pixels (slow, fast); expected one shape")
    return series


def _shape(experiment: Experiment) -> tuple[int, ...]:
    """Pixels (slow, fast), or (panel, slow, fast) of several panels."""
    panels = len(experiment.detector.panels)
    return experiment.panel_shape if panels == 1 else (panels, *experiment.panel_shape)


def _check_panels(experiment: Experiment) -> None:
    """Raise PlanError unless the panels can share an array."""
    first, *others = experiment.detector.panels
    for number, panel in enumerate(others, 1):
        if panel.shape != first.shape:
            raise PlanError(
                f"panel {number} has {panel.shape[0]} x {panel.shape[1]} pixels (slow x fast), panel 0 has "
                f"{first.shape[0]} x {first.shape[1]}; expected one shape, as an Instrument makes it"
            )
    if others and experiment.sampling.strict_c:
        raise PlanError(f"the detector has {1 + len(others)} panels; with --strict-c expected one, as nanoBragg has")


def _check_text(**named: str) -> None:
    for name, value in named.items():
        if not isinstance(value, str):
            raise PlanError(f"{name} is {value!r}; expected text")


def _tile_shape(tile: object) -> tuple[int, int]:
    """Pixels (slow, fast) from what a caller gave. Raises PlanError."""
    single = isinstance(tile, str) or not isinstance(tile, Iterable)
    try:
        slow, fast = whole_numbers("tile", (tile, tile) if single else tile, 2, at_least=1)
    except InputError:
        raise PlanError(f"tile is {tile!r}; expected pixels such as 512 or (256, 1024), (slow, fast)") from None
    return slow, fast


def lower_job(job: Job, frame: int = 0, panel: int = 0, table: Any = None) -> Kernel:
    """The kernel of one panel of a frame of a job, with its table (made here unless given) and background."""
    experiment, latch = diffracting(job.series[frame].of_panel(panel)), job.latches[frame]
    return with_background(kernels(job.backend, job.device).lower(experiment, job.precision, job.device, latch, table))


def diffracting(experiment: Experiment) -> Experiment:
    """The experiment itself, or for one without a crystal one with a stand-in of amplitude zero, as kernels want it."""
    return experiment if experiment.crystal is not None else experiment.replace(crystal=STAND_IN)


def _latches(series: Series) -> tuple[int | None, ...]:
    if not any(series[frame].sampling.strict_c for frame, _ in series.representatives()):
        return (None,) * len(series)
    return tuple(map(_latch, series))


def _latch(experiment: Experiment) -> int | None:
    if not (experiment.sampling.strict_c and experiment.sampling.interpolate):
        return None
    from tilesim.kernels.tensors import find_latch

    return find_latch(experiment)
