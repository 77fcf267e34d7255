"""`tilesim plan`: what `run` would do with the same arguments."""

from __future__ import annotations

import math
from collections.abc import Sequence

import click

from tilesim_cli.arguments import MixedCommand, simulation_options


@click.command("plan", cls=MixedCommand, options_metavar="[OPTIONS] NANOBRAGG_FLAGS ...")
@simulation_options
@click.pass_context
def command(ctx: click.Context, **options) -> None:
    """Say what `tilesim run` with the same arguments would do and how long it would take, and stop."""
    prepared, job = prepare(ctx.args, options)
    print_plan(prepared, job, options)


def prepare(arguments: Sequence[str], options: dict):
    """The resolved command and the job for it, checked as far as can be without computing. Raises tilesim's errors."""
    from tilesim.nanobragg.resolve import read_command

    prepared = read_command(arguments, options["strict_c"], write_fdump=options["write_fdump"])
    if not options["quiet"]:
        for warning in prepared.warnings:
            click.echo(f"WARNING: {warning}", err=True)

    from tilesim.run.extras import check_outputs, extras_of

    check_outputs(prepared, extras_of(options))

    # torch from here on: what can be refused without it has been.
    from tilesim.run.inline import default_threads
    from tilesim.run.job import make_job
    from tilesim.tiling.budget import check_budget, memory_budget

    job = make_job(prepared.experiment, options["tile"], options["precision"], options["device"], options["backend"])
    check_budget(memory_budget(job.experiment, job.plan, job.block, default_threads(job)))
    return prepared, job


def print_plan(prepared, job, options: dict) -> None:
    """Tiles, steps, bytes, memory and expected time; JSON as well where asked for."""
    from tilesim.run.calibrate import try_out
    from tilesim.run.extras import extras_of, output_sizes, short_disks
    from tilesim.run.inline import default_threads
    from tilesim.tiling.budget import memory_budget

    extras = extras_of(options)
    threads = default_threads(job)
    memory = memory_budget(job.experiment, job.plan, job.block, threads)
    # Before the trial: it takes a moment, and these do not depend on it.
    files = output_sizes(prepared, extras, job.plan)
    disks = short_disks(prepared, extras, files)
    trial = try_out(job)
    # A thread without a tile does nothing.
    rate = trial.steps_per_second * min(threads, len(job.plan)) if trial else None
    seconds = job.evaluations / rate if rate else 0.0
    experiment = job.experiment
    tile = job.plan.tile
    rows = [
        ("image", f"{experiment.shape[0]} x {experiment.shape[1]} pixels (slow x fast)"),
        ("rendered", f"{experiment.rendered_pixels} pixels"),
        (
            "steps",
            f"{job.evaluations:.4g} = pixels x {experiment.sampling.oversample}^2 sub-pixels"
            f" x {experiment.layers} layers x {len(experiment.beam.waves)} sources"
            f" x {experiment.scan.steps} phi steps x {len(experiment.crystal.mosaic_rotations)} mosaic domains",
        ),
        ("tiles", f"{len(job.plan)} of {tile[0]} x {tile[1]} pixels"),
        ("device", f"{job.device}, {threads} threads, {job.backend} kernel, {job.precision} precision"),
        (
            "memory",
            f"{memory.total / 1e6:.1f} MB besides the libraries: {memory.per_thread / 1e6:.1f} MB per thread"
            f" (tile {memory.tile / 1e6:.1f}, kernel {memory.block / 1e6:.1f}, orientations"
            f" {memory.orientations / 1e6:.1f}), structure factors {memory.table / 1e6:.1f} MB",
        ),
        *(("writes", f"{name}: {'small' if size is None else f'{size} bytes'}") for name, size in files.items()),
        *(
            ("disk", f"TOO SMALL: {folder} has {free / 1e6:.1f} MB free, the files need {need / 1e6:.1f} MB")
            for folder, need, free in disks
        ),
    ]
    if trial:
        rows.append(("rate", f"{rate / 1e6:.1f} M steps/s (measured just now)"))
    if trial and trial.compile_seconds:
        rows.append(("compiling", f"{readable_time(trial.compile_seconds)}, once"))
    rows.append(("expected", f"{readable_time(seconds)} of computing"))
    if not options["quiet"] and options["json_file"] != "-":
        for name, value in rows:
            click.echo(f"{name:<9} {value}")
    if options["json_file"]:
        from tilesim_cli.run import write_json

        write_json(
            options["json_file"],
            {
                "shape": experiment.shape,
                "rendered_pixels": experiment.rendered_pixels,
                "steps": job.evaluations,
                "tiles": len(job.plan),
                "tile": tile,
                "device": job.device,
                "backend": job.backend,
                "precision": job.precision,
                "threads": threads,
                "memory_bytes": memory.total,
                "memory_per_thread_bytes": memory.per_thread,
                "files": files,
                "short_disks": [
                    {"folder": folder, "needed_bytes": need, "free_bytes": free} for folder, need, free in disks
                ],
                "steps_per_second": rate,
                "compile_seconds": trial.compile_seconds if trial else 0.0,
                "expected_seconds": seconds,
                "digest": job.digest,
            },
        )


def readable_time(seconds: float) -> str:
    """Such as 0.8 s, 42 s, 4 min, 1 h 17 min, 12 days: two figures or so, as good as the estimate."""
    if seconds < 9.95:
        return f"{seconds:.1f} s" if seconds >= 0.05 or seconds == 0 else "less than 0.1 s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        hours, minutes = divmod(minutes, 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{math.ceil(minutes / (24 * 60))} days"
