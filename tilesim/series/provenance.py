"""Where images come from, and where they depart from the reference, for stores, summaries and people."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tilesim.engine.job import Job
from tilesim.model import Experiment
from tilesim.nanobragg.command import Command
from tilesim.nanobragg.corrections import in_words
from tilesim.series.frames import Frames

LONG = 64
"""Entries of a list that the attributes of a store show; its experiments hold all."""


def describe(frames: Frames, job: Job) -> dict[str, Any]:
    """Experiment of the first frame, command line, seeds, versions, precision, device; digests of all frames."""
    command = frames.commands[0] if frames.commands else None
    return {
        "digest": frames.series.digest,
        "job_digest": job.digest,
        "experiment": shown(frames.series[0]),
        "command_line": list(command.arguments) if command else None,
        "strict_c": frames.series.base.sampling.strict_c,
        "corrections": frames.corrections,
        "seeds": _seeds(frames, command),
        "precision": job.precision,
        "device": job.device,
        "backend": job.backend,
        "tile": list(job.plan.tile),
        **({"tile_frames": job.plan.frames} if job.plan.frames > 1 else {}),
        **({"truth": True} if job.truth else {}),
        "versions": versions("torch", "numpy", "zarr", "dask"),
    }


def shown(experiment: Experiment) -> dict[str, Any]:
    """An experiment for people and other programs to read, without its long lists."""
    plain = experiment.to_dict()
    crystals = [("mosaic_rotations", one) for one in (plain["crystal"], *plain["other_crystals"])]
    for field, part in (*crystals, ("sources", plain["beam"])):
        if part and len(part[field]) > LONG:
            part[field] = f"{len(part[field])} of them"
    return plain


def versions(*libraries: str) -> dict[str, str]:
    """Versions of tilesim, Python and some libraries."""
    from importlib.metadata import version

    import tilesim

    own = {"tilesim": tilesim.__version__, "python": platform.python_version()}
    return own | {name: version(name) for name in libraries}


def _seeds(frames: Frames, command: Command | None) -> dict[str, int | None]:
    seeds: dict[str, int | None] = {"noise": frames.outputs.seed}
    if command is not None:
        settings = command.settings
        misset = None if settings.misset_seed is None else -settings.misset_seed
        crystal = command.experiment.crystal
        spread = crystal.mosaic_spread if crystal is not None else None
        seeds |= {"mosaic": -settings.mosaic_seed if spread is None else spread.seed, "misset": misset}
    return seeds


def noted(command: Command) -> Command:
    """The command with K3 among its corrections, where interpolation meets the edge of the table."""
    if command.strict_c or not command.experiment.sampling.interpolate:
        return command
    from tilesim.kernels.tensors import find_latch

    views = (command.experiment.of_panel(n) for n in range(len(command.experiment.detector.panels)))
    if all(find_latch(view) is None for view in views):
        return command
    return replace(command, corrections=(*command.corrections, "K3"))


def note(corrections: Sequence[str]) -> str | None:
    """The one line that says which corrections of the reference affect a run, and how; None for none."""
    # Several stores of a batch may share some.
    numbers = list(dict.fromkeys(corrections))
    if not numbers:
        return None
    asked = f" {numbers[0]}" if len(numbers) == 1 else ""
    return (
        f"NOTE: this run departs from nanoBragg by {', '.join(map(in_words, numbers))}; "
        f"`tilesim corrections{asked}` says why, --strict-c reproduces nanoBragg"
    )
