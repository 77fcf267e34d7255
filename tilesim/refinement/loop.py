"""The loop of a refinement: fits side by side, each step one pass over the tiles of all that have not converged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from tilesim.frozen import frozen
from tilesim.gradients.parametrization import Parameters, Point
from tilesim.model import Experiment
from tilesim.refinement.common import belongs
from tilesim.refinement.levenberg import Fit
from tilesim.refinement.residuals import FitSums
from tilesim.refinement.stages import Stage, broadened, carried, parameters_of, positions_of, starting_point

Evaluate = Callable[[Sequence[Experiment], Sequence[int], Sequence[str]], list[FitSums]]
"""The sums of experiments against their frames, with respect to parameters of these names."""
MOST_SCALE_STEPS = 5
MOST_BROAD_STEPS = 20
NEAR_ENOUGH = 1e-4
"""Distance from the minimum, relative to the deviance, that is near enough where reflections are broader."""


@frozen
class Step:
    """What one pass over the tiles came to."""

    stage: int
    width: float
    scale_alone: bool
    number: int
    """From 1, within its stage; 0: where the stage begins"""
    deviance: float
    """Deviance of all frames"""
    chi_squared: float
    pixels: int
    better: int
    """Fits that it made better"""
    running: int
    """Fits that go on"""


@frozen
class Progress:
    """Where a refinement is: what `resumed` needs to go on with the same bytes."""

    stage: int = 0
    number: int = 0
    """Steps of the stage"""
    fits: tuple[Fit, ...] = ()
    known: tuple[Mapping[str, float], ...] = ()
    """Coordinates of positions that earlier stages found, by name, for each frame"""
    history: tuple[Step, ...] = field(default=())


Watch = Callable[[Progress], Any]


def refine_frames(
    parameters: Sequence[Parameters],
    shared: Sequence[str],
    stages: Sequence[Stage],
    evaluate: Evaluate,
    most_steps: int,
    watch: Watch = lambda progress: None,
    progress: Progress | None = None,
) -> Progress:
    """The fits of all frames after the last stage.

    parameters  of each frame, all of the same names
    shared      parameters that all frames have in common; with some, the frames are one fit
    watch       called after every pass
    progress    where an earlier call was interrupted
    """
    now = progress or Progress(known=({},) * len(parameters))
    for place in range(now.stage, len(stages)):
        stage = stages[place]
        own = [parameters_of(stage, one) for one in parameters]
        if own[0] is None:
            continue
        if not now.fits or now.stage != place:
            now = _begun(now, place, stage, [one for one in own if one is not None], shared, evaluate)
            watch(now)
        most = MOST_SCALE_STEPS if stage.scale_alone else MOST_BROAD_STEPS if stage.width != 1 else most_steps
        names = now.fits[0].points[0].parameters.names
        while now.number < most and (running := [n for n, fit in enumerate(now.fits) if _goes_on(fit, stage)]):
            now = _stepped(now, stage, running, names, evaluate)
            watch(now)
    return now


def _goes_on(fit: Fit, stage: Stage) -> bool:
    if stage.width == 1:
        return not (fit.converged or fit.stalled)
    return not (fit.distance < NEAR_ENOUGH * fit.deviance or fit.stalled)


def _begun(
    now: Progress, place: int, stage: Stage, own: Sequence[Parameters], shared: Sequence[str], evaluate: Evaluate
) -> Progress:
    """Where a stage begins: the last one at the start itself if that is better, for broad reflections may mislead."""
    before = {n: point for fit in now.fits for n, point in zip(fit.frames, fit.points, strict=True)}
    known = tuple({**one, **(positions_of(before[n]) if before else {})} for n, one in enumerate(now.known))
    labels, names = own[0].labels, own[0].names
    common = tuple(n for n, label in enumerate(labels) if any(belongs(label, name) for name in shared))
    groups = [tuple(range(len(own)))] if common else [(frame,) for frame in range(len(own))]
    fits: list[Fit] = []
    for earlier in [before, {}] if before and stage.width == 1 else [before]:
        points = [
            _starting(stage, parameters, earlier.get(frame), known[frame] if earlier else {})
            for frame, parameters in enumerate(own)
        ]
        sums = evaluate([point.experiment for point in points], range(len(points)), names)
        found = [Fit(some, tuple(points[n] for n in some), tuple(sums[n] for n in some), common) for some in groups]
        fits = [min(pair, key=lambda fit: fit.deviance) for pair in zip(fits or found, found, strict=True)]
    return _noted(Progress(place, 0, tuple(fits), known, now.history), stage, 0)


def _starting(stage: Stage, parameters: Parameters, earlier: Point | None, known: Mapping[str, float]) -> Point:
    """Where one frame begins a stage, from where an earlier one ended."""
    if earlier is not None and stage.width != 1 and not stage.scale_alone:
        return starting_point(parameters, earlier.experiment, known)  # with the scale that was just found
    start = parameters.experiment
    experiment = start if earlier is None else carried(earlier.experiment, start)
    return starting_point(parameters, broadened(experiment, stage.width), known)


def _stepped(now: Progress, stage: Stage, running: Sequence[int], names: Sequence[str], evaluate: Evaluate) -> Progress:
    """After the next step of the fits that go on."""
    trials = {n: now.fits[n].trial() for n in running}
    wanted = [
        (n, frame, point)
        for n, one in trials.items()
        if one
        for frame, point in zip(one.frames, one.points, strict=True)
    ]
    experiments, frames = [point.experiment for *_, point in wanted], [frame for _, frame, _ in wanted]
    found = iter(evaluate(experiments, frames, names) if wanted else ())
    fits, better = list(now.fits), 0
    for n, one in trials.items():
        trial = one and replace(one, sums=tuple(next(found) for _ in one.frames))
        judged = fits[n].judged(trial)
        better += judged.points is not fits[n].points
        fits[n] = judged
    return _noted(replace(now, number=now.number + 1, fits=tuple(fits)), stage, better)


def _noted(now: Progress, stage: Stage, better: int) -> Progress:
    sums = [one for fit in now.fits for one in fit.sums]
    step = Step(
        now.stage,
        stage.width,
        stage.scale_alone,
        now.number,
        sum(fit.deviance for fit in now.fits),
        sum(one.chi_squared for one in sums),
        sum(one.pixels for one in sums),
        better,
        sum(_goes_on(fit, stage) for fit in now.fits),
    )
    return replace(now, history=(*now.history, step))
