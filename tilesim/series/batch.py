"""The frames of a batch file: one command for each experiment, grouped into series by detector shape."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.files.outputs import FILES, Outputs
from tilesim.model import Experiment, Series
from tilesim.nanobragg.command import Command
from tilesim.nanobragg.factors import ReadTable
from tilesim.nanobragg.notes import UNSTATED_FLUENCE
from tilesim.nanobragg.options import NOTHING, Options, split_options
from tilesim.nanobragg.resolve import read_command
from tilesim.nanobragg.sample import pixel_reach
from tilesim.reflections.tables import read_factors
from tilesim.series.batchfile import KEYS, Batch, BatchEntry, check_count
from tilesim.series.frames import Frames, of_series, spindle_starts
from tilesim.series.provenance import noted
from tilesim.series.results import Missing

StoreKind = tuple[tuple[int, int], float, int]
"""Shape (slow, fast), pixel size (metre) and panels, which are the same for all frames of a store."""
KEPT_TABLES = 8
"""Files of structure factors that are in memory while commands are resolved; experiments share what they read."""


def frames_of_batch(
    batch: Batch,
    strict_c: bool = False,
    options: Options = NOTHING,
    *,
    keep_going: bool = False,
    warn: Callable[[str], None] = lambda line: None,
) -> tuple[dict[StoreKind, Frames], tuple[Missing, ...]]:
    """Every frame of every experiment, numbered through the file from 0, grouped by what fits into one store.

    options     that count where an experiment does not say otherwise
    keep_going  an experiment that cannot be resolved is listed as missing, and its frame numbers stay unused;
                otherwise it raises InputError, naming the experiment

    Each kind of warning is given once.
    """
    total = sum(entry.frames for entry in batch.entries)
    check_count(batch.path, total)
    outputs = batch.outputs
    outputs.check(total)
    if batch.zarr is None and not outputs.named:
        raise InputError(f"{batch.path} names no output; expected zarr or floatfile")
    read_table = lru_cache(KEPT_TABLES)(read_factors)
    groups: dict[StoreKind, _Group] = {}
    missing: list[Missing] = []
    number, warned = 0, set[str]()
    for place, entry in enumerate(batch.entries, 1):
        try:
            command = noted(_command(batch, entry, strict_c, options, read_table))
            part = _part(command, entry, number)
            groups.setdefault(_kind(command.experiment), _Group()).add(command, entry, number, part)
            for line in set(command.warnings) - warned:
                warned.add(line)
                warn(f"{_which(batch, entry, place)}: {line}")
        except InputError as error:
            problem = f"{_which(batch, entry, place)}: {error}"
            if not keep_going:
                raise InputError(problem) from error
            missing += [Missing(number + k, "experiment", problem) for k in range(entry.frames)]
        number += entry.frames
    return {kind: group.frames(outputs) for kind, group in groups.items()}, tuple(missing)


@dataclass
class _Group:
    """Frames that go to one store."""

    parts: list[Series] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    labels: list[Mapping[str, Any]] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    of: list[int] = field(default_factory=list)

    def add(self, command: Command, entry: BatchEntry, first: int, part: Series) -> None:
        count = len(part)
        self.parts.append(part)
        self.numbers += range(first, first + count)
        self.names += [entry.name] * count
        self.labels += [entry.parameters] * count
        # What nanoBragg's own headers say of a drawn shot would be that of the flags.
        self.of += [len(self.commands) if entry.draws is None else -1] * count
        self.commands.append(command if entry.draws else of_series(command, entry.frames, entry.frame_osc))

    def frames(self, outputs: Outputs) -> Frames:
        names = self.names if any(self.names) else ()
        series = Series.join(self.parts, numbers=self.numbers, names=names)
        # Scales, offset and seed are those of the flags.
        own = {name: getattr(self.commands[0].outputs, name) for name in ("scale", "pgm_scale", "adc", "seed")}
        return Frames(series, outputs.replace(**own), tuple(self.commands), tuple(self.of), tuple(self.labels))


def _part(command: Command, entry: BatchEntry, first: int) -> Series:
    """The frames of one command, of which the first has the number `first`. Raises InputError."""
    spectra = {}
    if command.spectra is not None and entry.frames > 1:
        spectra["spectrum"] = [command.spectra.of_frame(first + k) for k in range(entry.frames)]
    if entry.draws is None:
        starts = spindle_starts(command, entry.frames, entry.frame_osc)
        return Series(command.experiment, {"scan.start": starts, **spectra} if len(starts) > 1 else {})
    series = entry.draws.series(command.experiment, first, entry.frames)
    series = Series(series.base, {**series.columns, **spectra}, numbers=series.numbers.tolist()) if spectra else series
    if command.settings.oversample > 0:
        return series
    chosen = recommended_oversample(series)
    if (chosen == command.experiment.sampling.oversample).all():
        return series
    return Series(series.base, {**series.columns, "sampling.oversample": chosen}, numbers=series.numbers.tolist())


def recommended_oversample(series: Series) -> np.ndarray:
    """Sub-pixels (frame,) along an edge that nanoBragg chooses by itself for each shot, as if it had its flags."""
    base, columns = series.base, series.columns
    lengths = np.array(columns.get("unit_cell", np.array([base.lattice.cell])))[:, :3]
    extent = (np.array(columns.get("cells", np.array([base.lattice.cells]))) * lengths).max(axis=1)
    wavelength = np.array(columns.get("wavelength", [base.beam.wavelength]))
    distance = base.detector.panels[0].distance
    nearer = np.array(columns.get("distance", [distance])) / distance
    ratio = 3.0 * extent / (wavelength * nearer * pixel_reach(base.detector.panels, base.beam.direction))
    return np.broadcast_to(np.maximum(1, np.ceil(ratio)).astype(np.int64), len(series))


def _kind(experiment: Experiment) -> StoreKind:
    panels = experiment.detector.panels
    return (experiment.shape, panels[0].pixel_size, len(panels))


def store_names(kinds: Sequence[StoreKind], zarr: str) -> list[str]:
    """The store of each kind of frames: the one that was named, or one for each kind."""
    if len(kinds) == 1:
        return [zarr]
    stem, suffix = os.path.splitext(zarr)
    seen: Counter[tuple[int, int]] = Counter()
    names = []
    for shape, *_ in kinds:
        seen[shape] += 1
        again = f"-{seen[shape]}" if seen[shape] > 1 else ""
        names.append(f"{stem}-{shape[0]}x{shape[1]}{again}{suffix}")
    return names


def _command(batch: Batch, entry: BatchEntry, strict_c: bool, options: Options, read_table: ReadTable) -> Command:
    own, common = Options.read(entry.options), Options.read(entry.common_options)
    _, among = split_options(entry.arguments, strict_c)
    chosen = own.over(among.over(common.over(options)))
    drawn = entry.draws.draws if entry.draws is not None else {}
    if chosen.crystal_size is not None and (sizes := [key for key in ("N", "size") if key in drawn]):
        raise InputError(
            f"draw.{sizes[0]} with crystal_size, whose number of blocks would not follow; expected one of them"
        )
    command = read_command(entry.arguments, strict_c, options=chosen, read_table=read_table)
    for name, flag in FILES.items():
        if getattr(command.settings, name, None) is not None:
            raise InputError(f"{flag} names one file; expected the key {KEYS[name]} at the top of the file")
    # K12 and K14 depend on the files, which the batch names.
    corrections = tuple(number for number in command.corrections if number not in ("K12", "K14"))
    if not strict_c and (batch.outputs.int_file or batch.outputs.noise_file):
        corrections += ("K12",)
    return replace(command, cache_file=None, corrections=corrections, warnings=_warnings(command, chosen, drawn))


def _warnings(command: Command, options: Options, drawn: Mapping[str, Any]) -> tuple[str, ...]:
    """Warnings of a command, as they are where some of it is drawn."""
    stated = "fluence" in drawn and not drawn["fluence"].relative
    lines = tuple(line for line in command.warnings if not (stated and line == UNSTATED_FLUENCE))
    if (
        {"N", "size"} & drawn.keys()
        and command.settings.interpolate is None
        and command.experiment.sampling.interpolate
    ):
        lines += ("interpolation was chosen from -N, not from the sizes that are drawn; see -nointerpolate",)
    of_energies = drawn.keys() & {"energy", "wavelength"} and not command.experiment.factors.by_energy
    if options.model is None or not of_energies:
        return lines
    return (
        *lines,
        f"structure factors of {options.model} are those of the flags' photon energy for all drawn energies",
    )


def _which(batch: Batch, entry: BatchEntry, place: int) -> str:
    name = f" ({entry.name})" if entry.name else ""
    return f"{batch.path}, experiment {place} of {len(batch.entries)}{name}"
