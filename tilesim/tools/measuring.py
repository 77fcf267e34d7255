"""Measuring a dataset into a store or files of any format, by any engine, and resuming that."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tilesim.engine.task import TileFailure, TileReport
from tilesim.engine.work import Engine, compute_here
from tilesim.errors import InputError
from tilesim.files.inventory import NamedFile, check_files
from tilesim.files.reading import printable
from tilesim.files.replace import hidden_place
from tilesim.files.templates import check_template, fill, fill_panel, one_for_many
from tilesim.frozen import frozen
from tilesim.images.dataset import Dataset
from tilesim.images.flatfloat import float_files
from tilesim.images.registry import STACKED, WHOLE_SERIES, Format, format_named
from tilesim.images.stills import stills_of
from tilesim.series.filling import Filling, Finisher, fill_stores, telling_what_is_kept
from tilesim.series.provenance import shown, versions
from tilesim.series.results import Missing
from tilesim.store.compression import Compression
from tilesim.store.create import Contents, create_store
from tilesim.store.finish import finish_store
from tilesim.store.layout import FrameCoordinate, Pixels
from tilesim.store.place import delete_store, normal_place
from tilesim.store.store import Store
from tilesim.tools.export import Selection, export_images
from tilesim.tools.noise import PIXEL_TYPES, NoiseFigures, PixelType
from tilesim.tools.noisejob import NoiseJob, PanelFigures

NOISY = (Format.STORE, Format.FLOAT, Format.SMV, Format.CBF, Format.TIFF, Format.EDF, Format.NXMX, Format.CXI)
MARKED = 2.0**31 - 3
"""Largest count of formats whose readers take larger ones for marks of pixels without a value."""
FIXED = {
    Format.FLOAT: PIXEL_TYPES["float32"],
    # As nanoBragg writes them: the largest number is an overload.
    Format.SMV: PixelType("uint16", 65535.0, 0.0),
    Format.CBF: PixelType("int32", MARKED, -1.0),
    Format.NXMX: PixelType("uint32", MARKED, 2.0**32 - 1),
}
"""Formats that hold one type of numbers; the others hold 32-bit whole numbers or what was asked for."""
PIXEL_FIGURES = {"max_I", "mean", "total"}
"""Coordinates of a store that describe its pixels, which change."""
FRAME_FIGURES = {"mean": "detector units", "largest": "detector units", "photons": "photons", "overloads": None}
KEPT = ("command_line", "strict_c", "corrections", "precision", "device", "backend", "seeds")
"""What a store of noisy images says of the simulation as its source did."""


@frozen
class MeasuredFrame:
    """One frame that was measured."""

    number: int
    panels: Mapping[int, NoiseFigures]
    """Figures by number of the panel"""
    files: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@frozen
class NoiseResult:
    """What was measured, and what could not be."""

    frames: tuple[MeasuredFrame, ...]
    files: tuple[str, ...]
    """Stores and files that were written"""
    missing: tuple[Missing, ...] = ()
    restored: int = 0
    """Tiles that were there already"""
    workers: int = 0


def pixel_type_of(path: str, dtype: str | None) -> PixelType:
    """The numbers that an output holds. Raises InputError where it cannot hold those of `dtype`."""
    form = format_named(path, NOISY)
    if form not in FIXED:
        return PIXEL_TYPES[dtype or "int32"]
    if dtype not in (None, FIXED[form].dtype):
        raise InputError(
            f"--dtype {dtype}: {printable(path)} holds {FIXED[form].dtype}; expected a .zarr, .tif or .edf"
        )
    return FIXED[form]


def file_names(target: str, job: NoiseJob) -> list[str]:
    """The files of all frames. Raises InputError where two images would have one name."""
    form = format_named(target, NOISY)
    check_template("OUT", target, ("frame", "image", "panel"))
    numbers, panels = job.numbers, job.panels
    names = {(frame, panel): fill(target, frame, panel) for frame in numbers for panel in panels}
    distinct = list(dict.fromkeys(names.values()))
    if form in (Format.CBF, Format.NXMX, Format.CXI):
        job.source.series  # noqa: B018  (their headers need a geometry)
    if form == Format.CXI:
        stills_of(job.source.series.take(job.frames))  # what CrystFEL cannot describe shows at once
    if form in WHOLE_SERIES:
        if len(distinct) > 1:
            raise InputError(f"{printable(target)}: one such file holds all frames; expected no braces")
        if len(panels) < job.source.panels:
            raise InputError(f"{printable(target)} holds the whole detector; expected no --panel")
        return distinct
    if len({name for (_, panel), name in names.items() if panel == panels[0]}) < len(numbers):
        raise one_for_many("OUT", target, len(numbers), "frame", or_else=", or --frame N")
    if form not in STACKED and len(distinct) < len(names):
        raise one_for_many("OUT", target, len(panels), "panel", or_else=", or --panel N")
    return distinct


def _is_float(target: str) -> bool:
    return format_named(target, NOISY) == Format.FLOAT


def check_measured(
    job: NoiseJob, target: str, read: Sequence[NamedFile] = (), written: Sequence[NamedFile] = ()
) -> None:
    """Raise InputError where an output is an input, or two outputs are one; StoreError where one cannot be written.

    read, written  files besides those of the job
    """
    masks = (NamedFile(f"--{name}", path) for name, path in job.masks.items())
    inputs = [*job.source.inputs, *masks, *read]
    if format_named(target, NOISY) == Format.STORE:
        check_files(inputs, written, [NamedFile("OUT", target)])
        return
    names = file_names(target, job)
    files = [one for name in names for one in float_files(name)] if _is_float(target) else names
    outputs = (NamedFile("OUT", name) for name in files)
    check_files(inputs, [*outputs, *written], [NamedFile("OUT", hidden_place(names[0]))])


def measure(
    job: NoiseJob,
    target: str,
    *,
    pixel_size: float,
    engine: Engine = compute_here,
    compression: Compression | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_tile: Callable[[TileReport | TileFailure], None] = lambda event: None,
    on_frame: Callable[[MeasuredFrame], None] = lambda frame: None,
) -> NoiseResult:
    """Measure all frames of a job into `target`: a store, or files by the ending of a name with {frame} and {panel}.

    Files are made from a store that goes when they are all there.

    pixel_size   edge of a pixel, metres
    compression  of the store; None: that of one that is resumed, or the default
    resume       whether tiles of the same job may be there, which are kept where they are intact
    on_tile      called with every tile, on_frame with every frame that is complete with its files

    Raises StoreError, ClusterError, and InputError where the input is damaged or a file cannot be made of it; a store
    that was begun keeps what was done, and the error says so.
    """
    check_measured(job, target)
    output = _Output(job, target)
    running: list[Filling] = []
    done: dict[int, MeasuredFrame] = {}
    with telling_what_is_kept([output.name], len(job.plan), running), Finisher(1, tolerant=False) as finisher:
        # Nobody looks after a store that is not kept.
        replaced = overwrite or not (output.kept or resume)
        contents = _contents(job, pixel_size, compression)
        store = create_store(output.place, job.plan, contents, name=output.name, overwrite=replaced, resume=resume)
        running.append(Filling(job, store, job.numbers))

        def finish(filling: Filling, place: int, figures: PanelFigures) -> None:
            def settled(made: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
                done[place] = MeasuredFrame(job.numbers[place], figures.parts, *made)
                on_frame(done[place])

            finisher.begin(job.numbers[place], lambda: output.write_frame(store, place), settled)

        filled = fill_stores(running, engine, finish, resume=resume, on_tile=on_tile)
        finisher.wait()
        frames = tuple(done[place] for place in sorted(done))
        _finish_store(job, store, frames, filled.missing)
        files = output.write_series(store) if not filled.missing else ()
        if not (output.kept or filled.missing):
            delete_store(store.place)
    made = tuple(dict.fromkeys(name for frame in frames for name in frame.files))
    written = (target,) if output.kept else (*made, *files)
    return NoiseResult(frames, written, filled.missing, running[0].restored, filled.workers)


class _Output:
    """Where measured images go: a store, or files that are made of a hidden one."""

    def __init__(self, job: NoiseJob, target: str) -> None:
        self.form = format_named(target, NOISY)
        self.kept = self.form == Format.STORE
        self._job = job
        panel = job.panels[0] if len(job.panels) < job.source.panels else None
        self._template = target if panel is None else fill_panel(target, panel)
        names = [target] if self.kept else file_names(target, job)
        self.place = normal_place(target) if self.kept else hidden_place(names[0])
        self.name = target if self.kept else os.path.relpath(self.place)

    def write_frame(self, store: Store, place: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The files of a complete frame, and warnings; none where they hold all frames."""
        if self.kept or self.form in WHOLE_SERIES:
            return (), ()
        return self._export(store, (place,))

    def write_series(self, store: Store) -> tuple[str, ...]:
        """The files that hold all frames."""
        if self.kept or self.form not in WHOLE_SERIES:
            return ()
        return self._export(store, tuple(range(len(self._job.frames))))[0]

    def _export(self, store: Store, places: tuple[int, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        job = self._job
        panels = len(job.panels)
        data = Dataset(
            store.name,
            Format.STORE,
            job.source.shape,
            panels,
            job.numbers,
            store,
            job.series if job.series is not None else job.source.unknown,
        )
        found = export_images(data, self._template, Selection(self.form, places, tuple(range(panels))))
        return tuple(found.files), tuple(found.remarks)


def noise_provenance(job: NoiseJob) -> dict[str, Any]:
    """Where noisy images come from: that of the input, and what was done to it."""
    data = job.source
    found = {name: data.attributes[name] for name in KEPT if name in data.attributes}
    found |= {name: value for name, value in data.beside.items() if name == "command_line"}
    if job.series is not None:
        found["experiment"] = shown(job.series[0])
    seeds = {"noise": job.noise.seed, "calibration": job.noise.calibration_seed}
    return {
        **found,
        "digest": job.content_digest,
        "job_digest": job.digest,
        "seeds": {**(found.get("seeds") or {}), **seeds},
        **job.about,
        "tile": list(job.plan.tile),
        **({"tile_frames": job.plan.frames} if job.plan.frames > 1 else {}),
        "versions": versions("torch", "numpy", "zarr"),
    }


def _contents(job: NoiseJob, pixel_size: float, compression: Compression | None) -> Contents:
    kind = job.pixel_type
    return Contents(
        noise_provenance(job),
        pixel_size,
        job.series,
        coordinates=_coordinates(job),
        pixels=Pixels(kind.dtype, kind.blank, "detector units", "detector signal", compression),
    )


def _coordinates(job: NoiseJob) -> list[FrameCoordinate]:
    """Those of the input that describe frames and not pixels."""
    data = job.source
    known = data.store.coordinates if data.store else (FrameCoordinate("frame", list(data.frames)),)
    return [
        dataclasses.replace(one, values=[one.values[frame] for frame in job.frames])
        for one in known
        if one.name not in PIXEL_FIGURES
    ]


def _finish_store(job: NoiseJob, store: Store, frames: Sequence[MeasuredFrame], missing: Sequence[Missing]) -> None:
    """Record figures, of each frame where there are several, and what is missing."""
    figures = [PanelFigures(one.panels).total.as_plain(job.measurement(0, 0)) for one in frames]
    single = figures[0] if len(figures) == len(job.frames) == 1 else None
    per_frame = []
    if len(job.frames) > 1 and len(figures) == len(job.frames):
        named = FRAME_FIGURES.items()
        per_frame = [FrameCoordinate(name, [one[name] for one in figures], unit) for name, unit in named]
    finish_store(store, single, per_frame=per_frame, missing=[dataclasses.asdict(one) for one in missing])
