"""`tilesim run`: a nanoBragg command line to its files."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from tilesim_cli.arguments import MixedCommand, simulation_options
from tilesim_cli.progress import progress


@click.command("run", cls=MixedCommand, options_metavar="[OPTIONS] NANOBRAGG_FLAGS ...")
@simulation_options
@click.option("--dry-run", is_flag=True, help="Say what would be done, and stop (as `tilesim plan`).")
@click.pass_context
def command(ctx: click.Context, **options) -> None:
    """Simulate an image: take a nanoBragg command line and put `tilesim run` in front of its flags.

    Options with two dashes are tilesim's and may stand anywhere among the flags.
    """
    from tilesim_cli.plan import prepare, print_plan

    prepared, job = prepare(ctx.args, options)
    if options["dry_run"]:
        print_plan(prepared, job, options)
        return
    from tilesim.run.extras import extras_of
    from tilesim.run.render import carry_out, note, noted

    # JSON on standard output stands there alone.
    say = (lambda line: None) if options["quiet"] or options["json_file"] == "-" else click.echo
    for line in prepared.report:
        say(line)
    prepared = noted(prepared)
    remark = note(prepared)
    if remark:
        click.echo(remark, err=True)
    if sys.stdout is not None:
        sys.stdout.flush()
    shown = not options["quiet"] and prepared.settings.progress and not prepared.settings.printout
    with progress(len(job.plan), job.evaluations, shown) as on_tile:
        outcome = carry_out(prepared, job, extras_of(options), on_tile, say=say)
    for line in outcome.report:
        say(line)
    for warning in outcome.warnings:
        click.echo(f"WARNING: {warning}", err=True)
    for path in (options["zarr"], options["preview"]):
        if path:
            say(f"wrote {path}")
    if options["json_file"]:
        write_json(options["json_file"], _account(prepared, job, outcome))


def _account(prepared, job, outcome) -> dict:
    from tilesim.run.render import describe

    about = describe(prepared, job)
    return {
        **about,
        "statistics": asdict(outcome.summary),
        "files": list(outcome.files),
        "seconds": outcome.seconds,
        "steps": job.evaluations,
        "steps_per_second": job.evaluations / outcome.seconds,
        "dtype": outcome.dtype,
        "tiles": len(job.plan),
    }


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
