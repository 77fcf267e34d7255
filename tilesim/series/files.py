"""The files of one finished image, made from its bands: float file, SMV, PGM, noise, picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

from tilesim.engine.statistics import Summary
from tilesim.errors import StoreError
from tilesim.files.replace import all_together
from tilesim.images.absent import as_numbers, outside
from tilesim.images.flat import band_rows, write_banded
from tilesim.nanobragg.command import Command
from tilesim.nanobragg.report import result_lines, scale_lines
from tilesim.series.frames import Frame
from tilesim.series.images import FinishedImage, Scales, write_images


def report_frame(
    frame: Frame, latch: int | None, summary: Summary, say: Callable[[str], None] | None = None
) -> tuple[str, ...]:
    """The reference's lines on an image before its files (spec files 9, items 23 and 24); none without a command.

    say  takes what the reference prints while it renders, line by line; without it the lines begin with that
    """
    command = frame.command
    if command is None:
        return ()
    printed: list[str] = []
    unfinished = ""
    if command.settings.printout or latch is not None:
        from tilesim.nanobragg.printout import print_rendering

        unfinished = print_rendering(frame.experiment, command.settings, latch, say or printed.append)
    return (*printed, *result_lines(frame.outputs, frame.experiment.shape, summary, unfinished))


def write_float_file(frame: Frame, image: FinishedImage) -> None:
    """The float file that the frame names, if it does; all or nothing. Raises StoreError."""
    path = frame.outputs.float_file
    if path is not None:
        write_banded(path, b"", (band for _, band in image.bands(band_rows(image.shape))))


def write_files(frame: Frame, image: FinishedImage, summary: Summary) -> Scales:
    """All files of a frame, or none: the float file and what `make_files` makes. Raises StoreError."""
    with all_together():
        write_float_file(frame, image)
        return make_files(frame, image, summary)


def make_files(frame: Frame, image: FinishedImage, summary: Summary) -> Scales:
    """Write all that is made of the float image. Raises StoreError."""
    scales = write_images(frame, image, summary)
    if frame.outputs.preview is not None:
        from tilesim.pictures.picture import draw_preview

        bands, where = image.bands(band_rows(image.shape)), outside(frame.experiment)
        shown = bands if where is None else ((n, as_numbers(band, where[n : n + len(band)])) for n, band in bands)
        draw_preview(frame.outputs.preview, shown, frame.experiment)
    return scales


def report_files(frame: Frame, scales: Scales) -> tuple[str, ...]:
    """The reference's lines on the files of a frame (items 25 to 30); none without a command."""
    return scale_lines(frame.outputs, **asdict(scales)) if frame.command is not None else ()


def write_caches(commands: Sequence[Command]) -> tuple[str, ...]:
    """Write the cache of the structure factors, a convenience: where that fails, one warning, as in the reference."""
    from tilesim.reflections.fdump import write_fdump

    wanted = {command.cache_file: command.experiment.factors for command in commands if command.cache_file is not None}
    failed = []
    for path, factors in wanted.items():
        try:
            write_fdump(path, factors)
        except StoreError as error:
            failed.append(f"unable to write the dump file: {error}")
    return tuple(failed)
