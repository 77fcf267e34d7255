"""`tilesim rerun`: stored frames computed again, and compared with what is stored."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from tilesim_cli.command import FILE, ExampledCommand

if TYPE_CHECKING:
    from tilesim.tools.rerun import FrameAgreement


@click.command(
    "rerun",
    cls=ExampledCommand,
    examples=(
        "out.zarr",
        "series.zarr --frame 0:5 --exact",
    ),
    options_metavar="[OPTIONS]",
    epilog="Exit status: 0 the same within the tolerance, 1 not the same, 2 bad input.",
)
@click.argument("store", type=click.Path())
@click.option("--frame", "frames", metavar="N|A:B", help="A frame, or frames A to B - 1, by number [all].")
@click.option("--source", metavar="IN", help="Images that the noise in STORE was added to, to add it again.")
@click.option("--device", metavar="auto|cpu|cuda[:n]", help="Device to compute on [that of the store].")
@click.option("--tolerance", type=click.FloatRange(min=0), default=1e-5, metavar="X", help="Golden metric [1e-5].")
@click.option("--exact", is_flag=True, help="Demand the same bytes.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Threads that compute [one per core].")
@click.option("--json", "json_file", metavar="FILE", type=FILE, help="Write the figures as JSON; - is standard output.")
@click.option("--quiet", is_flag=True, help="Print nothing; the exit status says it.")
@click.pass_context
def command(ctx: click.Context, store: str, **options: Any) -> None:
    """Compute the frames in STORE again, from what the store itself holds, and compare them with the stored pixels."""
    from tilesim.files.inventory import check_files
    from tilesim.images.opening import open_dataset
    from tilesim.series.progress import progress
    from tilesim.series.targets import json_output
    from tilesim.tools.rerun import compare_again, measuring_again, rendering_again
    from tilesim_cli.described import chosen_frames
    from tilesim_cli.summary import write_json

    data = open_dataset(store)
    if data.store is None:
        raise click.UsageError(f"{store}: expected a store, found a {data.format} file")
    places = chosen_frames(data, options["frames"])
    source = open_dataset(options["source"]) if options["source"] else None
    check_files([*data.inputs, *(source.inputs if source else ())], json_output(options["json_file"]))
    if source is not None:
        function = measuring_again(data.store, places, source)
    else:
        function = rendering_again(data.store, places, options["device"])
    quiet = options["quiet"] or options["json_file"] == "-"
    found = []
    pixels = len(places) * data.panels * data.shape[0] * data.shape[1]
    with progress(len(function.plan), pixels, not options["quiet"], "computing", "pixels", lines=False) as on_tile:
        for frame in compare_again(data.store, places, function, options["threads"], on_tile):
            found.append(frame)
            if not quiet:
                click.echo(line(frame))
    tolerance = 0.0 if options["exact"] else options["tolerance"]
    within = all(frame.within(tolerance) for frame in found)
    if options["json_file"]:
        plain = {"path": store, "tolerance": tolerance, "within": within, "frames": [asdict(one) for one in found]}
        write_json(options["json_file"], plain)
    ctx.exit(0 if within else 1)


def line(frame: FrameAgreement) -> str:
    """One line on a frame."""
    if frame.identical == frame.tiles:
        return f"frame {frame.number}: {frame.tiles} tiles, the same to the byte"
    differ = frame.tiles - frame.identical - frame.missing
    text = f"frame {frame.number}: {frame.identical} of {frame.tiles} tiles the same to the byte"
    text += f", {differ} differ (golden metric {frame.metric:.3g})" if differ else ""
    return text + (f", {frame.missing} missing or damaged" if frame.missing else "")
