"""The frames of a series: experiment, files and name of each, in order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, overload

from tilesim.errors import InputError
from tilesim.files.outputs import Outputs
from tilesim.frozen import frozen
from tilesim.model import Experiment, Series
from tilesim.nanobragg.command import Command
from tilesim.nanobragg.settings import RTD

DEFAULT_TEMPLATE = "floatimage_{frame:05d}.bin"


@frozen
class Frame:
    """One image: what to simulate, and which files to make of it."""

    number: int
    """In file names, in the store's coordinate `frame`, and in the key of the noise"""
    series: Series
    """What it is a frame of"""
    place: int
    """Which one, counted from 0"""
    outputs: Outputs
    name: str = ""
    """For people, in a batch"""
    labels: Mapping[str, Any] = field(default_factory=dict)
    """What sets it apart in the words of a batch file, by key"""
    command: Command | None = None
    """The command line that it is of, for nanoBragg's own headers and report; None for all others"""

    @property
    def experiment(self) -> Experiment:
        """What to simulate: derived when it is asked for, of a hundred thousand frames too."""
        return self.series[self.place]


@frozen(eq=False)
class Frames(Sequence[Frame]):
    """All frames of a job, each made when it is asked for."""

    series: Series
    outputs: Outputs = Outputs()
    """With names that are filled in for each frame"""
    commands: tuple[Command, ...] = ()
    """Where the experiments come from, if from nanoBragg's command lines"""
    of: tuple[int, ...] = ()
    """Number of the command of each frame, -1 for none; empty where there is one for all, or none"""
    labels: tuple[Mapping[str, Any], ...] = ()
    """Labels of each frame; empty where there are none"""

    def __len__(self) -> int:
        return len(self.series)

    @overload
    def __getitem__(self, place: int) -> Frame: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Frame]: ...
    def __getitem__(self, place: int | slice) -> Frame | Sequence[Frame]:
        if isinstance(place, slice):
            return [self[k] for k in range(len(self))[place]]
        return Frame(
            int(self.series.numbers[place]),
            self.series,
            place % len(self),
            self.files(place),
            self._name(place),
            self.labels[place] if self.labels else {},
            self._command(place),
        )

    def __iter__(self) -> Iterator[Frame]:
        return (self[k] for k in range(len(self)))

    def files(self, place: int) -> Outputs:
        """The outputs of one frame."""
        return self.outputs.filled(int(self.series.numbers[place]), self._name(place))

    def _name(self, place: int) -> str:
        return self.series.names[place] if self.series.names else ""

    def _command(self, place: int) -> Command | None:
        number = self.of[place] if self.of else 0
        return self.commands[number] if self.commands and number >= 0 else None

    def take(self, places: Sequence[int]) -> Frames:
        """Some of the frames, counted from 0."""
        return Frames(
            self.series.take(places),
            self.outputs,
            self.commands,
            tuple(self.of[k] for k in places) if self.of else (),
            tuple(self.labels[k] for k in places) if self.labels else (),
        )

    @property
    def corrections(self) -> list[str]:
        """Numbers of the corrections of nanoBragg that affect any of the frames, in order."""
        found = {number for command in self.commands for number in command.corrections}
        strict = any(command.strict_c for command in self.commands)
        if self.commands and not strict and "K1" not in found:
            turned = self.series.representatives({name for name in self.series.columns if not name.startswith("scan")})
            if any(_starts_at_zero(self.series[frame]) for frame, _ in turned):
                found.add("K1")
        return sorted(found, key=lambda k: int(k[1:]))


def _starts_at_zero(experiment: Experiment) -> bool:
    """Whether a sweep holds the angle 0, which the reference does not rotate to (K1)."""
    angles = experiment.scan.angles
    return 0.0 in angles and any(angles)


def frames_of_command(command: Command, count: int = 1, advance: float | None = None) -> Frames:
    """The frames of one command: frame k is the image of the same flags with -phi PHI + k x `advance` degrees.

    advance  degrees; None: the command's own oscillation, so that a rotation goes on without a gap

    Raises InputError where a series has no advance, or file names do not distinguish its frames.
    """
    command.outputs.check(count)
    starts = spindle_starts(command, count, advance)
    columns: dict[str, Any] = {"scan.start": starts} if count > 1 else {}
    if count > 1 and command.spectra is not None:
        columns["spectrum"] = [command.spectra.of_frame(k) for k in range(count)]
    return Frames(Series(command.experiment, columns), command.outputs, (of_series(command, count, advance),))


def of_series(command: Command, count: int, advance: float | None) -> Command:
    """The command with the options of its series among the arguments, for people who read where images come from."""
    if count == 1:
        return command
    step = () if advance is None else ("--frame-osc", f"{advance:.15g}")
    return replace(command, arguments=(*command.arguments, "--frames", str(count), *step))


def spindle_starts(command: Command, count: int, advance: float | None) -> list[float]:
    """Spindle angle of each frame of a series, radians. Raises InputError."""
    if count > 1:  # what reads batch files costs a twentieth of the start of a command
        from tilesim.series.batchfile import check_count

        check_count("--frames", count)
    own = command.oscillation * RTD
    if count > 1 and advance is None and own == 0.0:
        raise InputError("--frames without --frame-osc and -osc; expected degrees from frame to frame")
    step = own if advance is None else advance
    if not math.isfinite(step):
        raise InputError(f"--frame-osc is {step}; expected a finite number of degrees")
    first = command.experiment.scan.start
    return [first, *((first * RTD + k * step) / RTD for k in range(1, count))]


def files_of_command(command: Command, count: int, stored: bool, preview: str | None) -> Outputs:
    """The files of a command, or of a series of it; those with a default name where nothing else holds the image.

    stored  whether a store will hold the image, too
    """
    outputs = command.outputs.replace(preview=preview)
    if command.settings.float_file is not None or outputs.float_file is None:
        return outputs
    if not command.strict_c and (stored or preview is not None):
        return outputs.replace(float_file=None)
    return outputs.replace(float_file=DEFAULT_TEMPLATE) if count > 1 else outputs
