"""The state of a refinement in a file: what resuming it takes, exactly."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np

from tilesim.errors import InputError, StoreError
from tilesim.files.replace import check_writable, replacing
from tilesim.gradients.parametrization import Parameters, Point
from tilesim.model import Experiment
from tilesim.refinement.levenberg import Fit
from tilesim.refinement.loop import Progress, Step
from tilesim.refinement.refining import Refining
from tilesim.refinement.residuals import FitSums
from tilesim.refinement.stages import Stage, parameters_of

FORMAT = 2


class Kept:
    """The file that keeps where a refinement is, if any."""

    def __init__(self, path: str | None, plan: Refining, resume: bool = True) -> None:
        self._path, self._plan, self._resume = path, plan, resume
        self._digest = "" if path is None else plan.digest
        if path is not None:
            check_writable(path)

    def read(self) -> Progress | None:
        """Where an interrupted refinement was; None where none was begun or it is not resumed. Raises StoreError."""
        if self._path is None or not self._resume:
            return None
        return read_state(self._path, self._digest, self._plan.parameters, self._plan.stages)

    def write(self, progress: Progress) -> None:
        """Keep where it is now. Raises StoreError."""
        if self._path is not None:
            write_state(self._path, self._digest, progress)

    def remove(self) -> None:
        """Do away with the file, the refinement being done."""
        if self._path is not None:
            with suppress(FileNotFoundError):
                os.remove(self._path)


def write_state(path: str, digest: str, progress: Progress) -> None:
    """Write where a refinement is, all or nothing. Raises StoreError."""
    plain = {
        "format": FORMAT,
        "digest": digest,
        "stage": progress.stage,
        "number": progress.number,
        "fits": [_fit_as_plain(fit) for fit in progress.fits],
        "known": [dict(one) for one in progress.known],
        "history": [asdict(step) for step in progress.history],
    }
    with replacing(path) as file:
        file.write(json.dumps(plain).encode())


def read_state(path: str, digest: str, parameters: Sequence[Parameters], stages: Sequence[Stage]) -> Progress | None:
    """Where a refinement was; None where there is no such file. Raises StoreError where it is of another one."""
    try:
        with open(path, encoding="utf-8") as file:
            plain = json.load(file)
        if plain["format"] != FORMAT or plain["digest"] != digest:
            raise StoreError(f"{os.path.relpath(path)} is of another refinement; expected the same, or no --resume")
        stage = plain["stage"]
        fits = tuple(_fit(one, stages, stage, parameters) for one in plain["fits"])
        history = tuple(Step(**step) for step in plain["history"])
        return Progress(stage, plain["number"], fits, tuple(plain["known"]), history)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, IndexError, InputError) as error:
        raise StoreError(f"{os.path.relpath(path)} cannot be resumed ({error}); expected no --resume") from None


def _of_stage(stages: Sequence[Stage], number: int, parameters: Parameters) -> Parameters:
    found = parameters_of(stages[number], parameters)
    if found is None:
        raise InputError(f"stage {number} varies nothing")
    return found


def _point_as_plain(point: Point) -> dict[str, Any]:
    return {"experiment": point.experiment.to_dict(), "coordinates": list(point.coordinates)}


def _point(plain: dict[str, Any], parameters: Parameters) -> Point:
    known = parameters.experiment
    curve = None if known.background is None else known.background.curve
    experiment = Experiment.from_dict(plain["experiment"], known.factors, known.mask, curve)
    return Point(parameters, experiment, tuple(plain["coordinates"]))


def _fit_as_plain(fit: Fit) -> dict[str, Any]:
    return {
        "frames": fit.frames,
        "points": [_point_as_plain(point) for point in fit.points],
        "sums": [{**asdict(one), "matrix": one.matrix.tolist(), "vector": one.vector.tolist()} for one in fit.sums],
        "shared": fit.shared,
        "damping": fit.damping,
        "steps": fit.steps,
    }


def _fit(plain: dict[str, Any], stages: Sequence[Stage], stage: int, parameters: Sequence[Parameters]) -> Fit:
    frames = tuple(plain["frames"])
    points = tuple(
        _point(one, _of_stage(stages, stage, parameters[frame]))
        for frame, one in zip(frames, plain["points"], strict=True)
    )
    sums = tuple(
        FitSums(**{**one, "matrix": np.array(one["matrix"]), "vector": np.array(one["vector"])})
        for one in plain["sums"]
    )
    return Fit(frames, points, sums, tuple(plain["shared"]), plain["damping"], plain["steps"])
