"""Rendering through stores: tiles by any engine, then each frame's files from the store as it completes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from time import perf_counter

from tilesim.engine.soundness import unsound
from tilesim.engine.statistics import Statistics, Summary, summarize
from tilesim.engine.work import Engine, compute_here
from tilesim.images.stored import StoredImage
from tilesim.series.coordinates import coordinates
from tilesim.series.files import report_files, report_frame, write_caches, write_files
from tilesim.series.filling import Filling, Finisher, OnTile, fill_stores, telling_what_is_kept
from tilesim.series.frames import Frame
from tilesim.series.images import Scales
from tilesim.series.launch import Rendering
from tilesim.series.provenance import describe
from tilesim.series.results import FrameResult, Missing, Results
from tilesim.store.create import Contents, create_store
from tilesim.store.finish import finish_store
from tilesim.store.layout import PHOTONS, FrameCoordinate
from tilesim.store.place import delete_store

FIGURES = {"max_I": "photons/pixel", "mean": "photons/pixel", "total": "photons"}
"""Statistics of each frame of a series that its store holds, and their units."""

Maker = Callable[[Frame, StoredImage, Summary], Scales]
"""Makes all files of a complete frame, or none; raises StoreError."""


@dataclass(kw_only=True)
class _Rendered(Filling):
    """The store of one rendering, and what became of its frames."""

    rendering: Rendering
    results: Sequence[FrameResult]
    faults: list[str] = field(default_factory=list)
    """Pixels that are no counts of photons, one line for each frame; strict only."""


def render_all(
    renderings: Sequence[Rendering],
    *,
    engine: Engine = compute_here,
    maker: Maker = write_files,
    makers: int = 1,
    resume: bool = False,
    overwrite: bool = False,
    on_tile: OnTile = lambda event: None,
) -> Results:
    """Compute what is missing in the stores, and make the files of every frame as it completes.

    maker     makes the files of one frame, `makers` of them at a time
    resume    whether stores of the same jobs may be there; their tiles are read back, and computed where damaged
    on_tile   called in this thread with every tile

    A tile that fails is named in the results, in a series a frame's file too, and the rest is completed. Raises
    StoreError, InputError and ClusterError; then, and when interrupted, the stores keep what was done: a note says so.
    """
    start = perf_counter()
    running: list[_Rendered] = []
    several = sum(len(one.frames) for one in renderings) > 1
    total = sum(len(one.job.plan) for one in renderings)
    with telling_what_is_kept([one.name for one in renderings], total, running), Finisher(makers, several) as finisher:
        for one in renderings:
            running.append(_begin(one, resume, overwrite))

        def finish(filling: _Rendered, place: int, figures: Statistics) -> None:
            _finish_frame(filling, place, figures, maker, finisher)

        filled = fill_stores(running, engine, finish, resume=resume, on_tile=on_tile)
        unmade = finisher.wait()
        for filling in running:
            _end(filling, filled.missing, bool(unmade))
        faults = tuple(line for filling in running for line in filling.faults)
        warnings = faults + write_caches([command for one in renderings for command in one.frames.commands])
    restored = sum(one.restored for one in running)
    return Results(
        frames=tuple(result for one in running for result in one.results),
        stores=tuple(one.name for one in renderings if one.kept),
        missing=(*filled.missing, *unmade),
        seconds=perf_counter() - start,
        computed=sum(one.tiles for one in running) - restored,
        restored=restored,
        dtypes=filled.dtypes,
        workers=filled.workers,
        warnings=warnings,
    )


def _begin(rendering: Rendering, resume: bool, overwrite: bool) -> _Rendered:
    frames, job = rendering.frames, rendering.job
    contents = Contents(
        describe(frames, job),
        job.experiment.detector.panels[0].pixel_size,
        # Nobody computes a store again that is not kept.
        frames.series if rendering.kept else None,
        rendering.tables,
        coordinates(frames),
        replace(PHOTONS, compression=rendering.compression),
    )
    # Nor looks after it.
    overwrite = overwrite or not (rendering.kept or resume)
    store = create_store(rendering.place, job.plan, contents, name=rendering.name, overwrite=overwrite, resume=resume)
    results = [FrameResult(frames, place) for place in range(len(frames))]
    return _Rendered(job, store, frames.series.numbers.tolist(), rendering=rendering, results=results)


def _finish_frame(filling: _Rendered, place: int, figures: Statistics, maker: Maker, finisher: Finisher) -> None:
    """Begin the files of a complete frame."""
    job, result = filling.rendering.job, filling.results[place]
    frame = result.frame
    if not figures.sound:
        filling.faults.append(f"frame {frame.number}: {unsound(job.series[place], figures)}")
    result.summary = summary = summarize(job.series.sampled_like(place), figures)
    image, latch = StoredImage(filling.store, place, None, sound=True), job.latches[place]

    def make() -> tuple[str, ...]:
        lines = report_frame(frame, latch, summary)
        return (*lines, *report_files(frame, maker(frame, image, summary)))

    def done(lines: tuple[str, ...]) -> None:
        result.lines, result.files = lines, frame.outputs.named

    if frame.command is None and not frame.outputs.named:
        return  # nothing is made of it
    finisher.begin(frame.number, make, done)


def _end(filling: _Rendered, missing: Sequence[Missing], unmade: bool) -> None:
    """Record what became of the frames in their store, or remove a store that nobody asked for.

    unmade  whether files are still to be made of it
    """
    numbers, results = set(map(int, filling.numbers)), filling.results
    mine = [asdict(m) for m in missing if m.frame in numbers]
    if not (filling.rendering.kept or mine or unmade):
        delete_store(filling.store.place)
        return
    summary = results[0].summary if len(results) == 1 else None
    figures = () if len(results) == 1 else _figures(results)
    finish_store(filling.store, None if summary is None else asdict(summary), per_frame=figures, missing=mine)


def _figures(results: Sequence[FrameResult]) -> tuple[FrameCoordinate, ...]:
    """Statistics per frame; NaN where tiles are missing."""

    def values(name: str) -> list[float]:
        return [getattr(r.summary, name) if r.summary else math.nan for r in results]

    return tuple(FrameCoordinate(name, values(name), units=unit) for name, unit in FIGURES.items())
