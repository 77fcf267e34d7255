"""`tilesim.refine`: parameters of experiments fitted to measured pixels, on threads or workers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tilesim.errors import InputError
from tilesim.gradients.constraints import Constraint
from tilesim.model import Experiment, Series, checks
from tilesim.refinement.loop import Progress, Step
from tilesim.refinement.measured import Measured, MeasuredImages, measured_arrays, stated_readout
from tilesim.refinement.refining import MOST_STEPS, refining
from tilesim.refinement.result import Refinement

if TYPE_CHECKING:
    from tilesim.images.dataset import Dataset

Path = str | os.PathLike[str]


def refine(
    experiment: Experiment | Sequence[Experiment] | Dataset | Path,
    data: Dataset | Path | Any,
    vary: str | Iterable[str] | Mapping[str, Constraint | None],
    *,
    shared: Sequence[str] = (),
    lattice: str | None = None,
    groups: Sequence[Sequence[int]] = (),
    readout: float | None = None,
    robust: float | None = None,
    gain: float | None = None,
    offset: float | None = None,
    where: Any = None,
    shoebox: int | None = None,
    widths: Sequence[float] | None = None,
    steps: int = MOST_STEPS,
    precision: str = "mixed",
    workers: int | None = None,
    scheduler: str | None = None,
    scheduler_file: Path | None = None,
    state: Path | None = None,
    progress: bool | None = None,
) -> Refinement:
    """Fit parameters of experiments to measured pixels, by least squares on derivatives of every pixel.

    Parameters
    ----------
    experiment : Experiment, sequence of Experiment, Dataset or path
        Where to begin: one experiment, or one for each frame of the data.
    data : Dataset, path, array_like or sequence of array_like
        Measured images: any that `open` takes, in detector units, or arrays of photons (slow, fast), or (panel, slow,
        fast) of several panels, NaN where a pixel has no value.
    vary : str, sequence of str or mapping
        Parameters as for `Parameters`, with their constraints.
    shared : sequence of str
        Parameters that all frames have in common, such as "detector.translation"; the others are each frame's own.
    lattice, groups
        As for `Parameters`.
    readout : float, optional
        Standard deviation of the read-out noise in photons; the variance of a pixel is its expected photons plus that
        squared. By default what a store of `add_noise` states, else 0.
    robust : float, optional
        Standard deviations beyond which a pixel pulls no harder (Huber); by default none is held back.
    gain, offset : float, optional
        Detector units of a photon, and of none; by default those that a dataset states.
    where : array_like of bool, optional
        Pixels that count; the others are not computed.
    shoebox : int, optional
        Only pixels at most so many away, along slow and fast, from a reflection that is predicted at the start.
    widths : sequence of float, optional
        How many times broader reflections are in each stage (docs/refine.md); chosen where they are not given.
    steps : int
        Steps of the last stage, at most.
    precision : str
        "mixed" or "double".
    workers, scheduler, scheduler_file
        As for `run`.
    state : path, optional
        File that keeps where the refinement is: where it was interrupted, the same call goes on from there.
    progress : bool, optional
        Whether a line is printed for every step.

    Returns
    -------
    Refinement
        The refined experiments, their numbers with standard errors, and how it went.

    Raises
    ------
    InputError, PlanError, StoreError, ClusterError
        Where something is wrong with the parameters, the pixels or the workers.

    Examples
    --------
    >>> import tilesim
    >>> still = tilesim.from_nanobragg("-default_F 100 -cell 50 60 70 90 90 90 -N 5 -detpixels 64 -distance 100")
    >>> off = still.replace(crystal=still.crystal.rotated((0.0, 1.0, 0.0), 0.002))
    >>> found = tilesim.refine(off, tilesim.simulate_now(still), "rotation")
    >>> found.converged, round(found.frames[0].values["crystal.rotation.y"], 6)
    (True, -0.002)
    """
    from tilesim.engine.backend import resolve_backend
    from tilesim.refinement.state import Kept
    from tilesim.series.launch import connected
    from tilesim.tools.reached import access_of, engine_of

    experiments, measured = matched(experiment, data, gain, offset)
    plan = refining(
        experiments,
        measured,
        vary,
        shared=shared,
        lattice=lattice,
        groups=groups,
        readout=readout,
        robust=robust,
        where=where,
        shoebox=shoebox,
        widths=widths,
        steps=steps,
        precision=precision,
    )
    access = access_of(workers, scheduler, scheduler_file)
    kept = Kept(None if state is None else os.fspath(state), plan)
    begun = kept.read()
    resolve_backend("fused", 0, "cpu")

    def watch(now: Progress) -> None:
        kept.write(now)
        if progress:
            print(line(now), flush=True)

    with connected(access, "cpu") as cluster:
        return plan.run(engine_of(cluster), watch, begun)


def matched(
    experiment: Experiment | Sequence[Experiment] | Dataset | Path,
    data: Dataset | Path | Any,
    gain: float | None = None,
    offset: float | None = None,
    places: Sequence[int] | None = None,
) -> tuple[list[Experiment], Measured]:
    """An experiment for each frame of the measured pixels. Raises InputError where they do not go together.

    places  frames of a dataset, counted from 0; None: all
    """
    from tilesim.images.dataset import Dataset
    from tilesim.images.opening import dataset_of

    if isinstance(experiment, Dataset | str | os.PathLike):
        experiment = dataset_of(experiment).series
    experiments = [experiment] if isinstance(experiment, Experiment) else list(Series.of(experiment))
    first = experiments[0]
    panels, shape = len(first.detector.panels), first.panel_shape
    if not isinstance(data, Dataset | str | os.PathLike):
        if gain is not None or offset is not None:
            raise InputError("gain= and offset= go with a dataset; expected arrays of photons")
        return experiments, measured_arrays(data, shape if panels == 1 else (panels, *shape), len(experiments))
    source = dataset_of(data)
    if (source.shape, source.panels) != (shape, panels):
        raise InputError(
            f"{source.path} has {source.panels} panels of {source.shape} pixels (slow, fast), the experiment {panels} "
            f"of {shape}; expected the same"
        )
    chosen = tuple(range(len(source)) if places is None else places)
    if len(experiments) == len(source) > len(chosen):
        experiments = [experiments[place] for place in chosen]
    if len(experiments) == 1:
        experiments *= len(chosen)
    if len(experiments) != len(chosen):
        raise InputError(f"{source.path} has {len(chosen)} frames for {len(experiments)} experiments; expected as many")
    stated = stated_readout(source)
    gain = checks.positive("gain", stated.gain if gain is None else gain)
    offset = checks.finite("offset", stated.offset if offset is None else offset)
    return experiments, MeasuredImages(source, chosen, gain, offset, stated.noise)


def line(progress: Progress) -> str:
    """One line on the last step."""
    step: Step = progress.history[-1]
    stage = "" if step.width == 1 else f"{step.width:g} times broader{' (scale)' if step.scale_alone else ''}, "
    begins = "begins" if step.number == 0 else f"step {step.number}" + ("" if step.better else ", damped")
    running = f", {step.running} of {len(progress.fits)} go on" if len(progress.fits) > 1 else ""
    each = step.chi_squared / max(step.pixels, 1)
    return f"{stage}{begins}: chi²/pixel {each:.5g}, deviance {step.deviance:.8g}{running}"
