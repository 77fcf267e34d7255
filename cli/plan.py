"""`tilesim plan`: what `run` would do with the same arguments."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from tilesim_cli.arguments import simulation_options
from tilesim_cli.mixed import MixedCommand

if TYPE_CHECKING:
    from tilesim.engine.cluster import Cluster
    from tilesim.engine.job import Job
    from tilesim.series.launch import Launch


@click.command("plan", cls=MixedCommand, options_metavar="[OPTIONS] NANOBRAGG_FLAGS ...")
@simulation_options
@click.pass_context
def command(ctx: click.Context, **options: Any) -> None:
    """Say what `tilesim run` with the same arguments would do and how long it would take, and stop."""
    from tilesim_cli.launch import access_of, frames_of, launched, read

    access = access_of(options)
    frames = frames_of(read(ctx.args, options), options, access)
    with launched([(frames, options["zarr"])], options, access) as launch:
        print_plan(launch, options)


def print_plan(launch: Launch, options: Mapping[str, Any]) -> None:
    """Workers, tiles, steps, bytes, memory and expected time; JSON as well where asked for."""
    from tilesim.engine.job import job_budget
    from tilesim.series.targets import output_sizes, short_disks

    [rendering] = launch.renderings
    job, frames = rendering.job, rendering.frames
    where = here(job) if launch.cluster is None else there(job, launch.cluster)
    memory = job_budget(job, where["threads_each"])
    # Before the trial: it takes a moment, and these do not depend on it.
    files = output_sizes(frames, job.plan, options["zarr"], options["json_file"], job.truth)
    disks = short_disks(files, hidden(launch))
    # A store may turn out smaller.
    small, most = ("PERHAPS TOO SMALL", "at most ") if not launch.direct else ("TOO SMALL", "")
    trial = where.pop("trial")()
    # A thread without a tile does nothing.
    rate = trial.steps_per_second * min(where["threads"], len(job.plan)) if trial else None
    seconds = job.evaluations / rate if rate else 0.0
    experiment, tile = job.experiment, job.plan.tile
    listed = list(files.items())
    blocks = 1.0 if experiment.crystal is None else experiment.crystal.blocks
    rows = [
        ("image", f"{experiment.shape[0]} x {experiment.shape[1]} pixels (slow x fast)"),
        *([("frames", str(len(frames)))] if len(frames) > 1 else []),
        ("rendered", f"{experiment.rendered_pixels} pixels"),
        (
            "steps",
            f"{job.evaluations:.4g} = pixels x {experiment.sampling.oversample}^2 sub-pixels"
            f" x {experiment.layers} layers x {len(experiment.beam.waves)} sources"
            f" x {experiment.scan.steps} phi steps x {experiment.orientations} mosaic domains"
            + (" x frames" if len(frames) > 1 else ""),
        ),
        *([("blocks", f"{blocks:.6g} mosaic blocks, computed as one")] if blocks != 1.0 else []),
        ("tiles", f"{len(job.plan)} of {job.plan.size} pixels"),
        ("device", f"{job.device}, {where['threads']} threads, {job.backend} kernel, {job.precision} precision"),
        *where["rows"],
        (
            "memory",
            f"{memory.total / 1e6:.1f} MB besides the libraries: {memory.per_thread / 1e6:.1f} MB per thread"
            f" (tile {memory.tile / 1e6:.1f}, kernel {memory.block / 1e6:.1f}, orientations"
            f" {memory.orientations / 1e6:.1f}), structure factors {memory.table / 1e6:.1f} MB",
        ),
        *(
            ("writes", f"{name}: {readable_size(size, name == options['zarr'])}")
            for name, size in listed[:SHOWN_FILES] + listed[max(SHOWN_FILES, len(listed) - 1) :]
        ),
        *([("", f"and {len(listed) - SHOWN_FILES - 1} more")] if len(listed) > SHOWN_FILES + 1 else []),
        *(
            ("disk", f"{small}: {folder} has {readable_bytes(free)} free, the files need {most}{readable_bytes(need)}")
            for folder, need, free in disks
        ),
    ]
    if trial:
        rows.append(("rate", f"{rate / 1e6:.1f} M steps/s (measured just now)"))
    rows.append(("expected", f"{readable_time(seconds)} of computing"))
    if not options["quiet"] and options["json_file"] != "-":
        for name, value in rows:
            click.echo(f"{name:<9} {value}")
        for line in frames.commands[0].completeness_lines:
            click.echo(line)
    if options["json_file"]:
        from tilesim_cli.summary import completeness, write_json

        write_json(
            options["json_file"],
            {
                "shape": experiment.shape,
                "frames": len(frames),
                "rendered_pixels": experiment.rendered_pixels,
                "steps": job.evaluations,
                "tiles": len(job.plan),
                "tile": tile,
                "device": job.device,
                "backend": job.backend,
                "precision": job.precision,
                "threads": where["threads"],
                "workers": where["workers"],
                "in_flight": where["in_flight"],
                "memory_bytes": memory.total,
                "memory_per_thread_bytes": memory.per_thread,
                "files": files,
                "short_disks": [
                    {"folder": folder, "needed_bytes": need, "free_bytes": free} for folder, need, free in disks
                ],
                "steps_per_second": rate,
                "expected_seconds": seconds,
                "completeness": completeness(frames),
                "digest": job.digest,
            },
        )


SHOWN_FILES = 8
"""Files shown of those that a run writes; of more the last one is named too."""


def here(job: Job) -> dict[str, Any]:
    """Threads of this process."""
    from tilesim.engine.calibrate import try_out
    from tilesim.engine.inline import default_threads

    threads = default_threads(job)
    return {
        "threads": threads,
        "threads_each": threads,
        "workers": 0,
        "in_flight": 2 * threads,
        "rows": [],
        "trial": lambda: try_out(job),
    }


def there(job: Job, cluster: Cluster) -> dict[str, Any]:
    """Workers that are compatible, and those that are not."""
    from tilesim.engine.dispatch import window

    usable = list(cluster.compatible.values())
    threads, memory = cluster.threads, min(worker.memory for worker in usable)
    gpus = sum(worker.gpus for worker in usable)
    limit = f", {memory / 1e9:.1f} GB each" if memory else ""
    flight = window(threads)
    rows = [
        ("workers", f"{len(usable)} at {cluster.address}: {threads} threads, {gpus} GPUs{limit}"),
        ("in flight", f"{flight[0]} to {flight[1]} tiles"),
        *(("not used", f"{address}: {reason}") for address, reason in cluster.incompatible.items()),
    ]
    return {
        "threads": threads,
        "threads_each": max(worker.threads for worker in usable),
        "workers": len(usable),
        "in_flight": flight[0],
        "rows": rows,
        "trial": lambda: cluster.try_out(job),
    }


def hidden(launch: Launch) -> tuple[str, int] | None:
    """Path and bytes of what is on disk only while a run lasts."""
    from tilesim.store.layout import Layout

    [rendering] = launch.renderings
    if not launch.direct:
        return None if rendering.kept else (rendering.place, Layout.of_plan(rendering.job.plan).image_bytes)
    outputs = rendering.frames.files(0)
    if outputs.float_file is not None:
        return None
    return outputs.named[0], 4 * math.prod(rendering.job.experiment.shape)


def readable_size(size: int | None, compressed: bool) -> str:
    """Bytes of an output, which compression may make fewer."""
    return "small" if size is None else f"{'at most ' if compressed else ''}{readable_bytes(size)}"


def readable_bytes(size: float) -> str:
    """Such as 840 bytes, 12 kB, 3.4 GB: two figures or so."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 999.5 or unit == "TB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if size >= 9.95 or unit == "bytes" else f"{size:.1f} {unit}"


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
