"""What commands share that take an image and, behind --, nanoBragg's flags for what the image does not state."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tilesim.images.dataset import Dataset

SERIES = ("--frames", "--frame-osc")
"""Options of a run that an image has an answer of its own to."""


def opened(path: str, flags: Sequence[str], options: Mapping[str, Any]) -> Dataset:
    """The dataset at a path, with what flags and options say of its experiments; warnings go to standard error."""
    from tilesim.images.opening import open_dataset
    from tilesim_cli.launch import warn

    flags = _describing(flags)
    described = {name: options.get(name) for name in ("geometry", "experiment", "detector")}
    if not flags and all(value is None for value in described.values()):
        data = open_dataset(path, shape=options["shape"])
    else:
        from tilesim.nanobragg.described import open_described
        from tilesim.nanobragg.options import Options

        strict = bool(options.get("strict_c"))
        data = open_described(path, flags, options=Options.read(described), shape=options["shape"], strict_c=strict)
    for line in data.warnings:
        warn(line)
    return data


def started(geometry: str, flags: Sequence[str], data: str, shape: tuple[int, int] | None) -> tuple[Dataset, Dataset]:
    """What a geometry and flags say of where to begin, and the dataset at a path with what it says itself.

    They may differ, for they are where to begin; a dataset that does not know its experiments has those of the start.
    """
    from tilesim.images.opening import open_dataset
    from tilesim.images.registry import Format, format_of
    from tilesim.nanobragg.described import described_experiment
    from tilesim.nanobragg.options import Options
    from tilesim_cli.launch import warn

    experiment, warnings, read = described_experiment(_describing(flags), Options.read({"geometry": geometry}))
    if shape is None and format_of(data) == Format.FLOAT:
        shape = experiment.shape
    own = open_dataset(data, shape=shape)
    start = replace(open_dataset(data, experiment=experiment, shape=shape, warnings=warnings), read=read)
    for line in start.warnings:
        warn(line)
    kept = own.exact and not own.unknown and (own.shape, own.panels) == (start.shape, start.panels)
    return start, own if kept else start


def _describing(words: Sequence[str]) -> list[str]:
    """The words of a run without those that say where it goes and who computes it. Raises UsageError."""
    from tilesim.nanobragg.options import OPTIONS
    from tilesim_cli.run import command as run

    own, flags = run.split(click.Context(run, info_name="run"), list(words))
    kept: list[str] = []
    keeping = False
    for word in own:
        name = word.partition("=")[0]
        if word.startswith("--"):
            if name in SERIES:
                raise click.UsageError(f"{name} stands behind --; expected frames to follow each other by their -osc")
            keeping = name in OPTIONS
        kept += [word] if keeping else []
    return [*kept, *flags]


def chosen_frames(data: Dataset, text: str | None) -> tuple[int, ...]:
    """Frames by number, N or A:B for A to B - 1, counted from 0; all where nothing is said. Raises UsageError."""
    if text is None:
        return tuple(range(len(data)))
    found = re.fullmatch(r"(\d+)|(\d*):(\d*)", text, re.ASCII)
    if not found:
        raise click.UsageError(f"--frame {text}; expected a number, or A:B for frames A to B - 1")
    if found[1]:
        return (data.place(int(found[1])),)
    first, last = int(found[2] or 0), int(found[3]) if found[3] else data.frames[-1] + 1
    places = tuple(k for k, number in enumerate(data.frames) if first <= number < last)
    if not places or last > data.frames[-1] + 1:
        known = f"{data.frames[0]} to {data.frames[-1]}" if len(data) > 1 else str(data.frames[0])
        raise click.UsageError(f"--frame {text}: {data.path} has {len(data)} frames, numbered {known}")
    return places


def chosen_panels(data: Dataset, number: int | None) -> tuple[int, ...]:
    """One panel, or all where nothing is said. Raises UsageError."""
    if number is None:
        return tuple(range(data.panels))
    if number >= data.panels:
        raise click.UsageError(f"--panel {number}: {data.path} has {data.panels}, numbered from 0")
    return (number,)
