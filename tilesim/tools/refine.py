"""`tilesim.refine`: parameters of experiments fitted to measured pixels, on threads or workers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tilesim.gradients.constraints import Constraint
from tilesim.model import Experiment
from tilesim.refinement.loop import Progress
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
    shared: str | Sequence[str] = (),
    lattice: str | None = None,
    groups: Sequence[Sequence[int]] = (),
    readout: float | None = None,
    robust: float | None = None,
    gain: float | None = None,
    offset: float | None = None,
    background: Any = 0.0,
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
    shared : str or sequence of str
        Parameters that all frames have in common, such as "detector.translation"; the others are each frame's own.
        They begin at the mean of the frames; those that count from 0 are one shift from each frame's own place.
    lattice, groups
        As for `Parameters`.
    readout : float, optional
        Standard deviation of the read-out noise in photons; the variance of a pixel is its expected photons plus that
        squared. By default what a store of `add_noise` states, else 0.
    robust : float, optional
        Standard deviations beyond which a pixel pulls no harder (Huber); by default none is held back.
    gain, offset : float, optional
        Detector units of a photon, and of none; by default those that a dataset states.
    background : float, array_like, Dataset or path
        Photons that are expected in every pixel besides those of the experiment, or an image of them.
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
    from tilesim.refinement.matched import matched
    from tilesim.refinement.report import step_line
    from tilesim.refinement.state import Kept
    from tilesim.series.launch import connected
    from tilesim.tools.reached import access_of, engine_of

    experiments, measured = matched(experiment, data, gain, offset, background=background)
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
            print(step_line(now), flush=True)

    with connected(access, "cpu") as cluster:
        return plan.run(engine_of(cluster), watch, begun)
