"""A command carried out: its experiment simulated, and the files that it names written."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from time import perf_counter

from tilesim.errors import StoreError
from tilesim.io.floatfile import FloatImage
from tilesim.io.replace import all_together
from tilesim.nanobragg.command import Command
from tilesim.nanobragg.report import result_lines, scale_lines
from tilesim.run.extras import Extras, check_outputs
from tilesim.run.images import BAND_PIXELS, write_images
from tilesim.run.inline import TileReport, run_inline
from tilesim.run.job import Job
from tilesim.run.printout import print_rendering
from tilesim.run.statistics import Statistics, Summary, summarize


@dataclass(frozen=True)
class Outcome:
    """What a run made."""

    summary: Summary
    report: tuple[str, ...]
    """The reference's lines after rendering (spec files 9, items 24 to 30), after item 23 unless it was said."""
    files: tuple[str, ...]
    warnings: tuple[str, ...]
    seconds: float
    """Of computing and writing the tiles."""
    dtype: str
    """Of the terms that were summed, as the tiles report it."""


def carry_out(
    command: Command,
    job: Job,
    extras: Extras,
    on_tile: Callable[[TileReport], None] = lambda report: None,
    threads: int | None = None,
    say: Callable[[str], None] | None = None,
) -> Outcome:
    """Simulate and write everything, or nothing. Raises InputError, StoreError or TileError.

    on_tile is called in this thread as tiles are finished, in storage order.
    say takes what the reference prints while it renders, line by line; without it the report begins with that.
    """
    check_outputs(command, extras)
    start = perf_counter()
    with all_together(), contextlib.ExitStack() as stack:
        sinks, image, store = [], None, None
        if command.outputs.named or extras.preview:
            image = stack.enter_context(_float_image(command, extras))
            sinks.append(image.write)
        if extras.zarr is not None:
            from tilesim.store.create import create_store, discard_store
            from tilesim.store.write import finish_store, write_tile

            panel = command.experiment.detector.panels[0]
            provenance = describe(command, job)
            store = create_store(extras.zarr, job.plan, panel, provenance, overwrite=extras.overwrite)
            stack.callback(discard_store, store)
            sinks.append(partial(write_tile, store))
        statistics, dtypes = Statistics(), set()
        with contextlib.closing(run_inline(job, sinks, threads)) as reports:
            for report in reports:
                if report.digest != job.digest:
                    raise StoreError(f"{report.tile} was computed for another job; its pixels were not used")
                statistics = statistics.merge(report.statistics)
                dtypes.add(report.dtype)
                on_tile(report)
        seconds = perf_counter() - start
        summary = summarize(command.experiment, statistics)
        files = [*command.outputs.named]
        printed: list[str] = []
        unfinished = print_rendering(command, job, say or printed.append)
        lines = (*printed, *result_lines(command, summary, unfinished))
        warnings = _write_fdump(command)
        if image is not None:
            scales = write_images(command, image, summary)
            lines += scale_lines(command.outputs, **asdict(scales))
        if extras.preview is not None:
            _preview(command, extras.preview, image)
            files.append(extras.preview)
        if command.outputs.float_file is not None:
            image.commit()
        if store is not None:
            finish_store(store, asdict(summary))
            files.append(extras.zarr)
    return Outcome(summary, lines, tuple(files), warnings, seconds, "/".join(sorted(dtypes)))


def describe(command: Command, job: Job) -> dict:
    """Where an image comes from, as plain values: experiment, command line, seeds, versions, precision, device."""
    from importlib.metadata import version

    import tilesim

    settings = command.settings
    return {
        "digest": command.experiment.digest,
        "job_digest": job.digest,
        "experiment": command.experiment.to_dict(),
        "command_line": list(command.arguments),
        "strict_c": command.strict_c,
        "corrections": list(command.corrections),
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


def noted(command: Command) -> Command:
    """The command with K3 among its corrections, where interpolation meets the edge of the table."""
    if command.strict_c or not command.experiment.sampling.interpolate:
        return command
    from tilesim.compute import find_latch

    if find_latch(command.experiment) is None:
        return command
    return replace(command, corrections=tuple(sorted({*command.corrections, "K3"}, key=lambda k: int(k[1:]))))


def note(command: Command) -> str | None:
    """The one line that says which corrections of the reference affect this run; None for none."""
    if not command.corrections:
        return None
    return (
        f"NOTE: this run departs from nanoBragg by {', '.join(command.corrections)}; docs/corrections.md says why, "
        "--strict-c reproduces nanoBragg"
    )


def _float_image(command: Command, extras: Extras) -> FloatImage:
    """The float image itself, or one that only the other images are made from, beside the first of them."""
    name = command.outputs.float_file
    if name is None:
        first = command.outputs.named[0] if command.outputs.named else extras.preview
        name = os.path.join(os.path.dirname(os.path.realpath(first)), ".tilesim-float")
    return FloatImage.create(name, command.experiment.shape)


def _write_fdump(command: Command) -> tuple[str, ...]:
    """The cache is a convenience: where it cannot be written, a warning says so, as in the reference."""
    from tilesim.io.fdump import write_fdump

    if command.outputs.fdump_file is None:
        return ()
    try:
        write_fdump(command.outputs.fdump_file, command.experiment.factors)
    except StoreError as error:
        return (f"unable to write the dump file: {error}",)
    return ()


def _preview(command: Command, path: str, image: FloatImage) -> None:
    from tilesim.preview import draw_preview

    draw_preview(path, image.bands(max(1, BAND_PIXELS // image.shape[1])), command.experiment)
