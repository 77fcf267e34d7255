"""`tilesim export`: a store or image to the files of other programs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import click

from tilesim_cli.arguments import described_options
from tilesim_cli.command import FILE, FLAGS, ExampledCommand

FORMATS = ("float", "smv", "cbf", "tiff", "edf", "nxmx", "cxi", "expt", "png")


@click.command(
    "export",
    cls=ExampledCommand,
    examples=(
        "out.zarr out.img --round",
        "series.zarr frame_{image:05d}.cbf --scale 1 --frame 0:10",
        "series.zarr series.h5 --format nxmx --round",
        "out.bin out.cbf --round -- -distance 100 -detpixels 1024 -pixel 0.1 -lambda 1",
    ),
    options_metavar="[OPTIONS]",
    epilog="docs/export.md says what each format keeps.",
)
@click.argument("source", metavar="IN", type=click.Path())
@click.argument("out", metavar="OUT", type=click.Path())
@click.argument("flags", metavar="[-- NANOBRAGG_FLAGS ...]", nargs=-1, type=FLAGS)
@click.option("--format", "form", type=click.Choice(FORMATS), help="What to write [by the ending of OUT].")
@click.option("--frame", "frames", metavar="N|A:B", help="A frame, or frames A to B - 1, by number [all].")
@click.option("--panel", type=click.IntRange(min=0), metavar="N", help="One panel [all].")
@click.option("--scale", type=float, metavar="X", help="Multiply photons by X and round, for integer formats.")
@click.option("--round", "rounded", is_flag=True, help="Round photons, for integer formats (as --scale 1).")
@click.option("--adc", type=float, metavar="N", help="Offset added to SMV pixels [40; 0 to counts].")
@click.option("--expt", metavar="FILE", type=FILE, help="Write the true models beside the images, for DIALS.")
@click.option("--geom", metavar="FILE", type=FILE, help="Write a CrystFEL geometry beside a .cxi or .h5 file.")
@click.option("--stream", metavar="FILE", type=FILE, help="Write a CrystFEL stream of the true crystals beside it.")
@click.option("--lst", metavar="FILE", type=FILE, help="Write a list of its events for indexamajig.")
@click.option(
    "--axes",
    type=click.Choice(["imgcif", "mcstas", "lab"]),
    default="imgcif",
    help="Laboratory frame of the models: incident beam along -z, along +z, or as simulated [imgcif].",
)
@click.option(
    "--material",
    type=click.Choice(["Si", "CdTe", "GaAs"]),
    help="Sensor material, where the experiment does not state it [Si].",
)
@described_options
@click.option("--quiet", is_flag=True, help="Print errors and warnings only.")
def command(source: str, out: str, flags: tuple[str, ...], quiet: bool, **options: Any) -> None:
    """Write the image in IN, a store or any image file, to OUT in the format of another program.

    In OUT, {frame}, {image} (which is frame + 1) and {panel} are filled in, with a width as in {frame:05d}.
    nanoBragg flags behind -- describe the geometry of an image that does not state it itself.
    """
    from tilesim.geometry.axes import Axes
    from tilesim.images.registry import Format, format_named
    from tilesim.series.progress import counting
    from tilesim.tools.crystfel import Beside
    from tilesim.tools.export import EXPORTED, Selection, export_images
    from tilesim_cli.described import chosen_frames, chosen_panels, opened
    from tilesim_cli.launch import warn, wrote

    form = Format(options["form"]) if options["form"] else format_named(out, EXPORTED, ", or --format")
    scale = _scale(options)
    if form in (Format.FLOAT, Format.PNG, Format.EXPT) and scale is not None:
        raise click.UsageError(f"--scale and --round are for integer formats, not for {form}")
    data = opened(source, flags, options)
    frames, panels = chosen_frames(data, options["frames"]), chosen_panels(data, options["panel"])
    if len(panels) < data.panels and form in (Format.NXMX, Format.CXI, Format.EXPT):
        raise click.UsageError(f"--panel does not go with {form}, which holds the whole detector")
    beside = Beside(options["geom"], options["stream"], options["lst"])
    axes = Axes(options["axes"])
    chosen = Selection(form, frames, panels, scale, options["adc"], axes, options["expt"], options["material"], beside)
    images = 0 if form == Format.EXPT else len(frames) * len(panels)
    with counting("exporting", images, "images", not quiet) as on_image:
        done = export_images(data, out, chosen, on_image)
    for remark in done.remarks:
        warn(remark)
    if not quiet:
        for line in wrote(done.files):
            click.echo(line)


def _scale(options: Mapping[str, Any]) -> float | None:
    scale: float | None = options["scale"]
    if scale is None:
        return 1.0 if options["rounded"] else None
    if options["rounded"]:
        raise click.UsageError("--scale rounds already; expected it or --round")
    if not (math.isfinite(scale) and scale > 0):
        raise click.UsageError(f"--scale is {scale:g}; expected a finite number above 0")
    return scale
