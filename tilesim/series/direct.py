"""Rendering of one image in this process, without a store: tiles straight into the float image, all files or none."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from time import perf_counter

import numpy as np

from tilesim.engine.inline import run_inline
from tilesim.engine.job import Job
from tilesim.engine.soundness import unsound
from tilesim.engine.statistics import Statistics, summarize
from tilesim.engine.tally import Tally
from tilesim.engine.task import TileFailure, TileReport
from tilesim.errors import TileError
from tilesim.files.replace import all_together
from tilesim.images.floatfile import FloatImage
from tilesim.series.files import make_files, report_files, report_frame, write_caches
from tilesim.series.frames import Frame
from tilesim.series.results import FrameResult, Results
from tilesim.tiling.tile import Tile


def render(
    frame: Frame,
    job: Job,
    on_tile: Callable[[TileReport], None] = lambda report: None,
    threads: int | None = None,
    say: Callable[[str], None] | None = None,
) -> Results:
    """Simulate one image and write all its files, or nothing. Raises InputError, StoreError or TileError.

    on_tile is called in this thread as tiles are finished, in storage order.
    say takes what the reference prints while it renders, line by line; without it the report begins with that.
    """
    start = perf_counter()
    tally, dtypes = Tally[Statistics](len(job.plan)), set[str]()
    with all_together(), _float_image(frame) as image:

        def store(tile: Tile, values: np.ndarray) -> None:
            image.write(job.plan.stacked(tile), values)

        with contextlib.closing(run_inline(job, [store], threads)) as events:
            for number, event in enumerate(events):
                if isinstance(event, TileFailure):
                    raise TileError(event.reason)
                tally.add(number, *event.figures)
                dtypes.add(event.dtype)
                on_tile(event)
        seconds = perf_counter() - start
        summary = summarize(job.experiment, tally.total)
        lines = report_frame(frame, job.latches[0], summary, say)
        fault = unsound(job.experiment, tally.total)
        warnings = ((fault,) if fault else ()) + write_caches([frame.command] if frame.command else [])
        lines += report_files(frame, make_files(frame, image, summary))
        if frame.outputs.float_file is not None:
            image.commit()
    result = FrameResult([frame], 0, summary, lines, frame.outputs.named)
    return Results((result,), seconds=seconds, computed=len(job.plan), dtypes=tuple(sorted(dtypes)), warnings=warnings)


def _float_image(frame: Frame) -> FloatImage:
    """The float image itself, or one that only the other images are made from, beside the first of them."""
    name = frame.outputs.float_file
    if name is None:
        name = os.path.join(os.path.dirname(os.path.realpath(frame.outputs.named[0])), ".tilesim-float")
    return FloatImage.create(name, frame.experiment.shape)
