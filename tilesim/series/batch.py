"""A batch file carried to its frames: one command per experiment, grouped into stores by detector shape."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

from tilesim.errors import InputError
from tilesim.formats.factors import read_factors
from tilesim.io.batchfile import Batch, BatchEntry, check_count, check_template
from tilesim.nanobragg.command import Command
from tilesim.nanobragg.resolve import read_command
from tilesim.series.frames import FILES, Frame, expand
from tilesim.series.provenance import noted
from tilesim.series.results import Missing

KEPT_TABLES = 8
"""Files of structure factors that are in memory while commands are resolved; experiments share what they read."""
TEMPLATES = {"float_file": "floatfile", "int_file": "intfile", "noise_file": "noisefile", "pgm_file": "pgmfile"}
"""Fields of `Outputs`, and the key of the batch file for each."""


def frames_of_batch(
    batch: Batch,
    strict_c: bool = False,
    words: Sequence[str] = (),
    *,
    keep_going: bool = False,
    warn: Callable[[str], None] = lambda line: None,
) -> tuple[tuple[Frame, ...], tuple[Missing, ...]]:
    """Every frame of every experiment, numbered through the file from 0.

    words       before the arguments of every experiment
    keep_going  an experiment that cannot be resolved is told of as missing, and its frame numbers stay unused;
                otherwise it raises InputError, naming the experiment

    Each kind of warning is told once.
    """
    total = sum(entry.frames for entry in batch.entries)
    check_count(batch.path, total)
    for key in (*TEMPLATES.values(), "preview"):
        if (template := getattr(batch, key)) is not None:
            check_template(key, template, total)
    if batch.zarr is None and not any(getattr(batch, key) for key in (*TEMPLATES.values(), "preview")):
        raise InputError(f"{batch.path} names no output; expected zarr or floatfile")
    read_table = lru_cache(KEPT_TABLES)(read_factors)
    frames: list[Frame] = []
    missing: list[Missing] = []
    number, told = 0, set()
    for place, entry in enumerate(batch.entries, 1):
        try:
            command = noted(_command(batch, entry, strict_c, words, read_table))
            frames += expand(
                command,
                entry.frames,
                entry.frame_osc,
                first=number,
                name=entry.name,
                preview=batch.preview,
                parameters=entry.parameters,
            )
            for line in set(command.warnings) - told:
                told.add(line)
                warn(f"{_which(batch, entry, place)}: {line}")
        except InputError as error:
            problem = f"{_which(batch, entry, place)}: {error}"
            if not keep_going:
                raise InputError(problem) from error
            missing += [Missing(number + k, "experiment", problem) for k in range(entry.frames)]
        number += entry.frames
    return tuple(frames), tuple(missing)


def grouped(frames: Sequence[Frame], zarr: str) -> dict[str, tuple[Frame, ...]]:
    """Frames by store: one where all have panels of one shape and pixel size, else one for each kind."""
    kinds: dict[tuple, list[Frame]] = {}
    for frame in frames:
        experiment = frame.command.experiment
        panels = experiment.detector.panels
        kinds.setdefault((experiment.shape, panels[0].pixel_size, len(panels)), []).append(frame)
    if len(kinds) == 1:
        return {zarr: tuple(frames)}
    stem, suffix = os.path.splitext(zarr)
    seen: Counter = Counter()
    named: dict[str, tuple[Frame, ...]] = {}
    for (shape, *_), members in kinds.items():
        seen[shape] += 1
        again = f"-{seen[shape]}" if seen[shape] > 1 else ""
        named[f"{stem}-{shape[0]}x{shape[1]}{again}{suffix}"] = tuple(members)
    return named


def _command(batch: Batch, entry: BatchEntry, strict_c: bool, words: Sequence[str], read_table) -> Command:
    command = read_command([*words, *entry.arguments], strict_c, read_table=read_table)
    settings = command.settings
    for field, flag in FILES.items():
        if getattr(settings, field) is not None:
            raise InputError(f"{flag} names one file; expected the key {TEMPLATES[field]} at the top of the file")
    files = {field: getattr(batch, key) for field, key in TEMPLATES.items()}
    # K12 and K14 depend on the files, which the batch names.
    corrections = tuple(number for number in command.corrections if number not in ("K12", "K14"))
    if not strict_c and (files["int_file"] or files["noise_file"]):
        corrections += ("K12",)
    outputs = replace(command.outputs, fdump_file=None, **files)
    return replace(command, outputs=outputs, corrections=corrections)


def _which(batch: Batch, entry: BatchEntry, place: int) -> str:
    name = f" ({entry.name})" if entry.name else ""
    return f"{batch.path}, experiment {place}{name}"
