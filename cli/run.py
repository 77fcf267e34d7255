"""`tilesim run`: a nanoBragg command line to its files."""

from __future__ import annotations

import json
import sys

import click

from tilesim_cli.arguments import MixedCommand, simulation_options
from tilesim_cli.progress import progress


@click.command("run", cls=MixedCommand, options_metavar="[OPTIONS] NANOBRAGG_FLAGS ...")
@simulation_options
@click.option("--dry-run", is_flag=True, help="Say what would be done, and stop (as `tilesim plan`).")
@click.pass_context
def command(ctx: click.Context, **options) -> None:
    """Simulate an image, or a series: take a nanoBragg command line and put `tilesim run` in front of its flags.

    Options with two dashes are tilesim's and may stand anywhere among the flags.
    """
    from tilesim_cli.launch import launched, read, telling_when_done

    prepared = read(ctx.args, options)
    if options["dry_run"]:
        from tilesim_cli.plan import print_plan

        with launched(prepared, options) as launch:
            print_plan(launch, options)
        return
    with telling_when_done() as done, launched(prepared, options, begin=True) as launch:
        # JSON on standard output stands there alone.
        say = (lambda line: None) if options["quiet"] or options["json_file"] == "-" else click.echo
        for line in (*prepared.report, *prepared.completeness_lines):
            say(line)
        if prepared.settings.trace_pixel is not None:
            from tilesim_cli.trace import trace_lines

            trace_lines(prepared, prepared.settings.trace_pixel, say)
        results = carry_out(launch, options, say)
        done()
    for warning in results.warnings:
        click.echo(f"WARNING: {warning}", err=True)
    for path in (*results.stores, *(r.frame.preview for r in results.frames if r.frame.preview and r.files)):
        say(f"wrote {path}")
    if options["json_file"]:
        write_json(options["json_file"], account(launch, results))
    complain_of_missing(results.missing)


def carry_out(launch, options: dict, say):
    """Compute and write, showing progress; lines of the report go to `say`."""
    from tilesim.run.provenance import corrections, note

    remark = note(corrections(launch.frames))
    if remark:
        click.echo(remark, err=True)
    if sys.stdout is not None:
        sys.stdout.flush()
    settings = launch.frames[0].command.settings
    shown = not options["quiet"] and settings.progress and not settings.printout
    job = launch.job
    with progress(len(job.plan), job.evaluations, shown) as on_tile:
        if launch.place is None:
            from tilesim.run.render import carry_out

            results = carry_out(launch.frames[0], job, on_tile, say=say)
        else:
            from tilesim.run.stored import carry_out_series

            results = carry_out_series([launch.series], on_tile=on_tile, **how(launch.cluster, options))
    for result in results.frames:
        for line in frame_lines(result, len(results.frames)):
            say(line)
    return results


MOST_MAKERS = 32
"""Frames whose files are made at a time by workers; each has a thread of this process that waits."""


def how(cluster, options: dict) -> dict:
    """The engine, who makes files, and what to do with a store that is there."""
    chosen = {name: options[name] for name in ("resume", "overwrite", "compression")}
    if cluster is not None:
        from functools import partial

        from tilesim.run.dispatch import run_on_workers
        from tilesim_cli.launch import warn

        chosen["engine"] = partial(run_on_workers, cluster, warn=warn)
        if options["assemble"] == "workers":
            from tilesim.run.assemble import make_on_workers

            chosen |= {"maker": partial(make_on_workers, cluster), "makers": min(len(cluster.fit), MOST_MAKERS)}
    return chosen


def frame_lines(result, count: int) -> tuple[str, ...]:
    """What to print of a frame: the reference's lines on a single image, one line on each of a series."""
    if count == 1 or result.summary is None:
        return result.lines
    return (frame_line(result),)


def frame_line(result) -> str:
    """One line on a frame of a series."""
    s = result.summary
    name = f" {result.frame.name}" if result.frame.name else ""
    return f"frame {result.frame.number}{name}: max {s.max_I:g} mean {s.mean:g} total {s.total:g} photons"


def account(launch, results) -> dict:
    """What was done, as plain values."""
    from dataclasses import asdict

    from tilesim.run.provenance import describe

    job = launch.job
    first = results.frames[0]
    plain = {
        **describe(launch.frames, job),
        "statistics": asdict(first.summary) if len(results.frames) == 1 and first.summary else None,
        **account_of(results),
        "steps": job.evaluations,
        "steps_per_second": job.evaluations / results.seconds if not results.restored else None,
        "tiles": len(job.plan),
        "completeness": completeness(launch.frames),
    }
    if len(results.frames) > 1:
        plain["frames"] = frames_account(results)
    return plain


def completeness(frames) -> list[dict]:
    """Shells of resolution with d-spacings in metres, null for infinity; empty where nobody asked for them."""
    from dataclasses import asdict

    return [asdict(shell) for shell in frames[0].command.completeness]


def account_of(results) -> dict:
    """Files, time, what is missing."""
    from dataclasses import asdict

    return {
        "files": [*(path for result in results.frames for path in result.files), *results.stores],
        "seconds": results.seconds,
        "dtype": "/".join(results.dtypes),
        "computed_tiles": results.computed,
        "restored_tiles": results.restored,
        "workers": results.workers,
        "complete": not results.missing,
        "missing": [asdict(missing) for missing in results.missing],
    }


def frames_account(results) -> list[dict]:
    """One entry per frame."""
    from dataclasses import asdict

    return [
        {
            "frame": result.frame.number,
            "name": result.frame.name,
            "parameters": dict(result.frame.parameters),
            "complete": result.summary is not None,
            "statistics": asdict(result.summary) if result.summary else None,
            "files": list(result.files),
        }
        for result in results.frames
    ]


SHOWN = 10
"""Missing tiles that are named on standard error; the JSON has all."""


def complain_of_missing(missing) -> None:
    """Leave with status 1 where something is missing, naming it."""
    if not missing:
        return
    for one in missing[:SHOWN]:
        click.echo(f"tilesim: frame {one.frame}: {one.why}", err=True)
    more = f", {SHOWN} of them are named here" if len(missing) > SHOWN else ""
    click.echo(f"tilesim: {len(missing)} tiles, files or frames are missing{more}; --resume tries them again", err=True)
    click.get_current_context().exit(1)


def write_json(path: str, value: dict) -> None:
    """Write one JSON object to a file, whole or not at all, or to standard output."""
    from tilesim.io.replace import replacing
    from tilesim.store.layout import jsonable

    text = json.dumps(jsonable(value), indent=2) + "\n"
    if path == "-":
        click.echo(text, nl=False)
        return
    with replacing(path) as file:
        file.write(text.encode())
