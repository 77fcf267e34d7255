"""Where images come from, and where they depart from the reference, for stores, accounts and people."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import replace

from tilesim.engine.job import Job
from tilesim.nanobragg.command import Command
from tilesim.series.frames import Frame


def describe(frames: Sequence[Frame], job: Job) -> dict:
    """Experiment, command line, seeds, versions, precision, device; of a series what its first frame has.

    The digest is that of the experiment, or for a series one of the digests of all its experiments.
    """
    from importlib.metadata import version

    import tilesim

    command = frames[0].command
    settings = command.settings
    digests = [experiment.digest for experiment in job.experiments]
    one = digests[0] if len(digests) == 1 else hashlib.sha256(json.dumps(digests).encode()).hexdigest()
    return {
        "digest": one,
        "job_digest": job.digest,
        "experiment": command.experiment.to_dict(),
        "command_line": list(command.arguments),
        "strict_c": command.strict_c,
        "corrections": corrections(frames),
        "seeds": {
            "noise": -command.outputs.seed,
            "mosaic": -settings.mosaic_seed,
            "misset": None if settings.misset_seed is None else -settings.misset_seed,
        },
        "precision": job.precision,
        "device": job.device,
        "backend": job.backend,
        "tile": list(job.plan.tile),
        "versions": {
            "tilesim": tilesim.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy", "zarr", "dask")},
        },
    }


def corrections(frames: Sequence[Frame]) -> list[str]:
    """Numbers of the corrections that affect any of the frames, in order."""
    return sorted({number for frame in frames for number in frame.command.corrections}, key=lambda k: int(k[1:]))


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
    """The one line that says which corrections of the reference affect a run; None for none."""
    if not corrections:
        return None
    return (
        f"NOTE: this run departs from nanoBragg by {', '.join(corrections)}; docs/corrections.md says why, "
        "--strict-c reproduces nanoBragg"
    )
