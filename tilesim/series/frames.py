"""The frames of a series: one resolved command each, with its own spindle angle, file names and parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tilesim.errors import InputError
from tilesim.io.batchfile import check_count, check_template, fill_name
from tilesim.nanobragg.command import Command, Outputs
from tilesim.nanobragg.settings import RTD

FILES = {
    "float_file": "-floatfile",
    "int_file": "-intfile",
    "noise_file": "-noisefile",
    "pgm_file": "-pgmfile",
}
"""Fields of `Outputs` that name a file of one frame, and the flag of each."""
DEFAULT_TEMPLATE = "floatimage_{frame:05d}.bin"


@dataclass(frozen=True)
class Frame:
    """One image: what to simulate and which files to make of it."""

    number: int
    """In file names, in the store's coordinate `frame`, and in the key of the noise."""
    command: Command
    preview: str | None = None
    """PNG for the eye."""
    name: str = ""
    """Of the experiment in a batch."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """What sets this frame apart, by flag; they become coordinates of the store."""


def file_names(frame: Frame) -> tuple[str, ...]:
    """The files of a frame."""
    return (*frame.command.outputs.named, *filter(None, (frame.preview,)))


def expand(
    command: Command,
    count: int = 1,
    advance: float | None = None,
    *,
    first: int = 0,
    name: str = "",
    preview: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> tuple[Frame, ...]:
    """The frames of one command: frame k is the image of the same flags with -phi PHI + k x `advance` degrees.

    advance  degrees; None: the command's own oscillation, so that a rotation goes on without a gap
    first    number of the first frame

    File names may hold {frame}, which each frame fills with its number. Raises InputError where a series has no
    advance.
    """
    check_count("--frames", count)
    own = command.oscillation * RTD
    if count > 1 and advance is None and own == 0.0:
        raise InputError("--frames without --frame-osc and -osc; expected degrees from frame to frame")
    step = own if advance is None else advance
    if not math.isfinite(step):
        raise InputError(f"--frame-osc is {step}; expected a finite number of degrees")
    start = command.experiment.scan.start * RTD
    frames = []
    for k in range(count):
        turned = command if k == 0 else _turned(command, (start + k * step) / RTD)
        number = first + k
        outputs = named_outputs(command.outputs, number, name)
        picture = preview and fill_name(preview, number, name)
        series = {"phi": start + k * step} if count > 1 else {}
        frames.append(Frame(number, replace(turned, outputs=outputs), picture, name, {**(parameters or {}), **series}))
    return tuple(frames)


def named_outputs(outputs: Outputs, number: int, name: str = "") -> Outputs:
    """The outputs of one frame: {frame} and {name} in file names filled in."""
    names = {f: getattr(outputs, f) for f in FILES}
    return replace(outputs, **{f: fill_name(n, number, name) for f, n in names.items() if n and "{" in n})


def check_names(command: Command, preview: str | None, count: int) -> None:
    """Raise InputError where a file of many frames has one name."""
    for field_name, flag in FILES.items():
        template = getattr(command.outputs, field_name)
        if template is not None:
            check_template(flag, template, count)
    if preview is not None:
        check_template("--preview", preview, count)


def of_series(command: Command, stored: bool) -> Command:
    """The command with what a series writes where no file is named: one float file each, unless a store is."""
    outputs = command.outputs
    if command.settings.float_file is not None or outputs.float_file is None:
        return command
    return replace(command, outputs=replace(outputs, float_file=None if stored else DEFAULT_TEMPLATE))


def _turned(command: Command, start: float) -> Command:
    experiment = command.experiment
    turned = experiment.replace(scan=experiment.scan.replace(start=start))
    corrections = command.corrections
    angles = turned.scan.angles
    if not command.strict_c and 0.0 in angles and any(angles) and "K1" not in corrections:
        corrections = ("K1", *corrections)
    return replace(command, experiment=turned, corrections=corrections)
