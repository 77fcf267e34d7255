"""`tilesim export`: a store or image to the files of other programs."""

from __future__ import annotations

import math
import re

import click

from tilesim_cli.arguments import parse_tile

FORMATS = ("float", "smv", "cbf", "tiff", "edf", "nxmx", "expt", "png")


@click.command("export", options_metavar="[OPTIONS]", epilog="docs/export.md says what each format keeps.")
@click.argument("source", metavar="IN", type=click.Path())
@click.argument("out", metavar="OUT", type=click.Path())
@click.argument("flags", metavar="[-- NANOBRAGG_FLAGS ...]", nargs=-1, type=click.UNPROCESSED)
@click.option("--format", "form", type=click.Choice(FORMATS), help="What to write [by the ending of OUT].")
@click.option("--frame", "frames", metavar="N|A:B", help="A frame, or frames A to B - 1 [all].")
@click.option("--panel", type=click.IntRange(min=0), metavar="N", help="One panel [all].")
@click.option("--scale", type=float, metavar="X", help="Multiply photons by X and round, for integer formats.")
@click.option("--round", "rounded", is_flag=True, help="Round photons, for integer formats (as --scale 1).")
@click.option("--adc", type=float, metavar="N", help="What SMV pixels get in addition [40; 0 to counts].")
@click.option("--expt", metavar="FILE", help="Write the true models beside the images, for DIALS.")
@click.option(
    "--axes",
    type=click.Choice(["imgcif", "mcstas", "lab"]),
    default="imgcif",
    help="Laboratory frame of the models: light along -z, along +z, or as simulated [imgcif].",
)
@click.option(
    "--material", type=click.Choice(["Si", "CdTe", "GaAs"]), default="Si", help="Sensor, where one was simulated [Si]."
)
@click.option("--shape", metavar="SxF", callback=parse_tile, help="Pixels of a float file, slow x fast [square].")
@click.option("--strict-c", is_flag=True, help="Read the flags with nanoBragg's defects, as the run did.")
@click.option("--quiet", is_flag=True, help="Print errors and warnings only.")
def command(source: str, out: str, flags: tuple[str, ...], quiet: bool, **options) -> None:
    """Write the image in IN, a store or any image file, to OUT in the format of another program.

    In OUT, {frame}, {image} (which is frame + 1) and {panel} are filled in, with a width as in {frame:05d}.
    nanoBragg flags behind -- tell the geometry of an image that does not tell it itself.
    """
    from tilesim.formats.axes import Axes
    from tilesim.tools.export import EXPORTED, Wanted, export
    from tilesim.tools.names import Format, format_of
    from tilesim.tools.source import open_source

    form = Format(options["form"]) if options["form"] else format_of(out, EXPORTED, ", or --format")
    scale = _scale(options)
    if form in (Format.FLOAT, Format.PNG, Format.EXPT) and scale is not None:
        raise click.UsageError(f"--scale and --round are for integer formats, not for {form}")
    found = open_source(source, flags, options["shape"], options["strict_c"])
    frames = _frames(options["frames"], found.frames)
    panel = options["panel"]
    if panel is not None and panel >= found.panels:
        raise click.UsageError(f"--panel {panel}: {source} has {found.panels}, numbered from 0")
    panels = tuple(range(found.panels)) if panel is None else (panel,)
    if panel is not None and form in (Format.NXMX, Format.EXPT) and found.panels > 1:
        raise click.UsageError(f"--panel does not go with {form}, which holds the whole detector")
    wanted = Wanted(
        form, frames, panels, scale, options["adc"], Axes(options["axes"]), options["expt"], options["material"]
    )
    done = export(found, out, wanted)
    for remark in (*found.warnings, *done.remarks):
        click.echo(f"WARNING: {remark}", err=True)
    if not quiet:
        for path in done.files:
            click.echo(f"wrote {path}")


def _scale(options: dict) -> float | None:
    scale = options["scale"]
    if scale is None:
        return 1.0 if options["rounded"] else None
    if options["rounded"]:
        raise click.UsageError("--scale rounds already; expected it or --round")
    if not (math.isfinite(scale) and scale > 0):
        raise click.UsageError(f"--scale is {scale:g}; expected a finite number above 0")
    return scale


def _frames(text: str | None, count: int) -> tuple[int, ...]:
    """The frames that --frame names."""
    if text is None:
        return tuple(range(count))
    found = re.fullmatch(r"(\d+)|(\d*):(\d*)", text, re.ASCII)
    if not found:
        raise click.UsageError(f"--frame {text}; expected a number, or A:B for frames A to B - 1")
    first = int(found[1] or found[2] or 0)
    last = first + 1 if found[1] else int(found[3] or count)
    if not first < last <= count:
        raise click.UsageError(f"--frame {text}: the input has {count} frames, numbered from 0")
    return tuple(range(first, last))
