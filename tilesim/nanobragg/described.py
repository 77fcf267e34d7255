"""Images whose geometry nanoBragg's flags describe, and whether these agree with what the image says itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tilesim.errors import InputError
from tilesim.files.inventory import NamedFile
from tilesim.files.reading import printable
from tilesim.images.dataset import Dataset
from tilesim.images.opening import open_dataset
from tilesim.images.registry import Format, format_of
from tilesim.model import Detector, Experiment, StructureFactors
from tilesim.model.factors import AbsentFactors
from tilesim.nanobragg.cell import NoCell
from tilesim.nanobragg.inputs import files_read
from tilesim.nanobragg.options import NOTHING, Options, split_options
from tilesim.nanobragg.resolve import read_command

SAME = 1e-6
"""Relative difference of numbers that count as the same: people write fewer digits than files hold."""
ANY_CELL = ("-cell", "100", "100", "100", "90", "90", "90")


def open_described(
    path: str | os.PathLike[str],
    flags: Sequence[str] = (),
    *,
    options: Options = NOTHING,
    shape: tuple[int, int] | None = None,
    strict_c: bool = False,
) -> Dataset:
    """A store or image file with its own experiments, or those that nanoBragg's flags and options describe.

    shape  pixels (slow, fast) of a float file, panels stacked

    Raises InputError, also where the flags contradict what tilesim itself has kept with the image. Where they
    contradict another program's header they win, and the dataset warns.
    """
    if not flags and not options.given:
        return open_dataset(path, shape=shape)
    experiment, warnings, read = described_experiment(flags, options, strict_c)
    name = os.fspath(path)
    if shape is None and format_of(path) == Format.FLOAT and not os.path.exists(f"{name}.json"):
        shape = experiment.shape
    own = open_dataset(path, shape=shape)
    if not own.unknown:
        differs = contradictions(own.experiment(0), experiment)
        if own.exact:
            if differs:
                raise InputError(
                    f"{printable(name)} states its experiment itself, and the flags behind -- contradict "
                    f"it: {', '.join(differs)}; expected no flags, or the same"
                )
            return replace(own, read=read)
        warnings += tuple(f"the flags behind -- win over the header: {one}" for one in differs)
    given = [*flags, *options.tokens()]
    data = open_dataset(path, experiment=experiment, shape=shape, warnings=warnings, notes={"command_line": given})
    return replace(data, read=read)


def described_experiment(
    flags: Sequence[str], options: Options = NOTHING, strict_c: bool = False
) -> tuple[Experiment, tuple[str, ...], tuple[NamedFile, ...]]:
    """The experiment of a command line that need not name crystal or structure factors, its warnings and its files.

    Without -mat, -cell or a file that has a cell there is no crystal. Raises InputError.
    """
    chosen = options.over(split_options(flags, strict_c)[1])
    named = any(token.startswith(("-hkl", "-default_F")) for token in flags) or chosen.model
    amplitude = () if named else ("-default_F", "1")
    try:
        command, oriented = read_command((*amplitude, *flags), strict_c, options=options), True
    except NoCell:
        command, oriented = read_command((*amplitude, *ANY_CELL, *flags), strict_c, options=options), False
    experiment = command.experiment
    if not oriented:
        experiment = experiment.replace(crystal=None, factors=StructureFactors.constant(0.0))
    elif not named:
        experiment = experiment.replace(factors=AbsentFactors.unstated("the flags behind --"))
    return experiment, command.warnings, files_read(command)


def contradictions(kept: Experiment, described: Experiment) -> tuple[str, ...]:
    """What a description says otherwise than the experiment that was kept; a crystal only where both have one."""
    beam, other = kept.beam, described.beam
    differs = [
        ("wavelength", beam.wavelength * 1e10, other.wavelength * 1e10, "A"),
        ("panels", len(kept.detector.panels), len(described.detector.panels), ""),
        ("distance", _distance(kept.detector), _distance(described.detector), "mm"),
        ("pixel", kept.detector.panels[0].pixel_size * 1e3, described.detector.panels[0].pixel_size * 1e3, "mm"),
    ]
    found = [f"{name} {theirs:.7g} instead of {ours:.7g} {unit}".rstrip() for name, ours, theirs, unit in differs
             if not np.isclose(ours, theirs, rtol=SAME, atol=0.0)]  # fmt: skip
    if not found and not _same_detector(kept.detector, described.detector):
        found.append("another place or shape of the detector")
    if kept.crystal is not None and described.crystal is not None:
        vectors = [np.array([crystal.a, crystal.b, crystal.c]) for crystal in (kept.crystal, described.crystal)]
        if not _close(*vectors):
            found.append("another unit cell or orientation")
    if not _close(kept.beam.direction, described.beam.direction):
        found.append("another direction of the incident beam")
    if not _close(kept.scan.axis, described.scan.axis):
        found.append("another spindle")
    return tuple(found)


def _distance(detector: Detector) -> float:
    return detector.panels[0].distance * 1e3


def _same_detector(one: Detector, other: Detector) -> bool:
    return all(
        a.shape == b.shape and _close((a.origin, a.fast, a.slow), (b.origin, b.fast, b.slow))
        for a, b in zip(one.panels, other.panels, strict=True)
    )


def _close(a: object, b: object) -> bool:
    """Whether vectors agree, relative to the longest component."""
    one, other = np.asarray(a, float), np.asarray(b, float)
    return bool(np.abs(one - other).max() <= SAME * max(np.abs(one).max(), np.abs(other).max()))
