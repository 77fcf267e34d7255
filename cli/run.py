"""`tilesim run`: a nanoBragg command line to its files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from tilesim_cli.arguments import simulation_options
from tilesim_cli.mixed import MixedCommand

if TYPE_CHECKING:
    from tilesim.series.launch import Launch
    from tilesim.series.results import FrameResult, Results

Say = Callable[[str], None]


@click.command("run", cls=MixedCommand, options_metavar="[OPTIONS] NANOBRAGG_FLAGS ...")
@simulation_options
@click.option("--dry-run", is_flag=True, help="Say what would be done, and stop (as `tilesim plan`).")
@click.pass_context
def command(ctx: click.Context, **options: Any) -> None:
    """Simulate an image, or a series: take a nanoBragg command line and put `tilesim run` in front of its flags.

    Options with two dashes are tilesim's and may stand anywhere among the flags.
    """
    from tilesim.nanobragg.sense import on_detector
    from tilesim_cli.launch import access_of, frames_of, launched, read, telling_when_done, warn, wrote
    from tilesim_cli.summary import complain_of_missing, summary, write_json

    access = access_of(options)
    prepared = read(ctx.args, options)
    if options["dry_run"]:
        from tilesim_cli.plan import print_plan

        with launched([(frames_of(prepared, options, access), options["zarr"])], options, access) as launch:
            print_plan(launch, options)
        return
    frames = frames_of(prepared, options, access, begin=True)
    with telling_when_done() as done, launched([(frames, options["zarr"])], options, access) as launch:
        # JSON on standard output stands there alone.
        say: Say = (lambda line: None) if options["quiet"] or options["json_file"] == "-" else click.echo
        for line in (*prepared.report, *prepared.completeness_lines):
            say(line)
        pixel = prepared.settings.trace_pixel
        if pixel is not None and on_detector(prepared.experiment, pixel):
            from tilesim_cli.trace import trace_lines

            trace_lines(prepared.experiment, pixel, say, stages=prepared.stages)
        results = render(launch, options, say)
        done()
    for warning in results.warnings:
        warn(warning)
    for line in wrote([*results.stores, *unreported(results)]):
        say(line)
    if options["json_file"]:
        write_json(options["json_file"], summary(launch, results))
    complain_of_missing(results.missing)


def render(launch: Launch, options: Mapping[str, Any], say: Say) -> Results:
    """Compute and write, showing progress; lines of the report go to `say`."""
    from tilesim.series.progress import progress
    from tilesim.series.provenance import note
    from tilesim_cli.launch import warn

    remark = note([k for one in launch.renderings for k in one.frames.corrections])
    if remark:
        click.echo(remark, err=True)
    if sys.stdout is not None:
        sys.stdout.flush()
    settings = launch.renderings[0].frames.commands[0].settings
    shown = not options["quiet"] and settings.progress and not settings.printout
    with progress(launch.tiles, launch.steps, shown, crew=lambda: launch.crew) as on_tile:
        results = launch.render(on_tile, say, warn)
    for line in result_lines(results):
        say(line)
    return results


def unreported(results: Results) -> list[str]:
    """Files that no line names: of a single image the reference's report has all but the preview."""
    if len(results.frames) == 1:
        return [r.frame.outputs.preview for r in results.frames if r.files and r.frame.outputs.preview]
    return [path for r in results.frames for path in r.files]


SHOWN_FRAMES = 20
"""Frames of a series that have a line each; of more the series has one."""


def result_lines(results: Results) -> tuple[str, ...]:
    """What to print of frames: the reference's lines on a single image, else `series_lines`."""
    if len(results.frames) == 1:
        return results.frames[0].lines
    return series_lines(results.frames)


def series_lines(frames: Sequence[FrameResult]) -> tuple[str, ...]:
    """One line on each complete frame, or one on all where they are many."""
    complete = [result for result in frames if result.summary is not None]
    if len(complete) <= SHOWN_FRAMES:
        return tuple(map(frame_line, complete))
    figures = [result.summary for result in complete]
    mean = sum(one.total for one in figures) / len(figures)
    most = max(one.max_I for one in figures)
    return (f"{len(complete)} frames: max {most:g}, {mean:g} photons each on average; --json and the store list each",)


def frame_line(result: FrameResult) -> str:
    """One line on a frame of a series."""
    s, frame = result.summary, result.frame
    name = f" {frame.name}" if frame.name else ""
    return f"frame {frame.number}{name}: max {s.max_I:g} mean {s.mean:g} total {s.total:g} photons"
