"""`tilesim preview`: a picture of an image, or a page to look at it in a browser."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import click

from tilesim_cli.arguments import described_options

SIZE = 1000
PAGE_SIZE = 2048
"""Blocks along the longer edge of an image in a page: it is some MB large then."""


@click.command("preview", options_metavar="[OPTIONS]", epilog="docs/preview.md shows what it draws.")
@click.argument("source", metavar="IN", type=click.Path())
@click.argument("out", metavar="OUT.png|OUT.html", type=click.Path())
@click.argument("flags", metavar="[-- NANOBRAGG_FLAGS ...]", nargs=-1, type=click.UNPROCESSED)
@click.option("--frame", type=click.IntRange(min=0), metavar="N", help="Frame by its number [the first].")
@click.option("--panel", type=click.IntRange(min=0), default=0, metavar="N", help="Panel of the detector [0].")
@click.option(
    "--region", nargs=2, metavar="S0:S1 F0:F1", help="Pixels S0 to S1 - 1 along slow, F0 to F1 - 1 along fast."
)
@click.option(
    "--size",
    type=click.IntRange(16, 20000),
    metavar="N",
    help="Blocks along the longer edge, about [1000; page 2048].",
)
@click.option("--zoom", type=float, metavar="Z", help="Instead: Z pixels of the picture for one of the image.")
@click.option("--scale", type=click.Choice(["auto", "log", "linear", "sqrt"]), default="auto", help="Greys [auto].")
@click.option("--min", "low", type=float, metavar="V", help="Value shown white.")
@click.option("--max", "high", type=float, metavar="V", help="Value shown black.")
@click.option("--rings/--no-rings", default=None, help="Resolution rings [where the geometry is known].")
@click.option("--spots", type=click.IntRange(min=1), metavar="N", help="Label the N brightest predicted spots in view.")
@click.option("--profile", is_flag=True, help="Add the mean of all pixels against resolution.")
@click.option("--histogram", is_flag=True, help="Add how often which pixel value occurs.")
@click.option("--title", help="The line above [wavelength, distance, oscillation].")
@described_options
@click.option("--quiet", is_flag=True, help="Print errors and warnings only.")
def command(source: str, out: str, flags: tuple[str, ...], **options: Any) -> None:
    """Draw the image in IN, a store or an image file of any format, as a PNG or as a page with pan and zoom.

    nanoBragg flags behind -- describe the geometry of an image that does not state it itself.
    """
    from tilesim.files.replace import check_writable
    from tilesim.images.pixels import check_number
    from tilesim.tools.look import Subject
    from tilesim_cli.described import opened
    from tilesim_cli.launch import warn

    page = out.lower().endswith((".html", ".htm"))
    if not page and not out.lower().endswith(".png"):
        raise click.UsageError(f"{out}: expected a name that ends in .png or .html")
    _check(options)
    check_writable(out)
    data = opened(source, flags, options)
    place = 0 if options["frame"] is None else data.place(options["frame"])
    check_number(source, "panel", options["panel"], data.panels)
    subject = Subject(data, place, options["panel"])
    region = _region(options["region"], subject.image.shape)
    for remark in (_page if page else _picture)(subject, region, out, options):
        warn(remark)
    if not options["quiet"]:
        click.echo(f"wrote {out}")


def _picture(subject, region, out: str, options: dict) -> list[str]:
    """Write a PNG; what could not be drawn."""
    from tilesim.pictures.picture import save_picture
    from tilesim.tools.look import look, reduced

    zoom, size = options["zoom"], options["size"] or SIZE
    if zoom is None:
        view = look(subject, region, size)
        enlarged = max(1, size // max(view.blocks.shape))
    else:
        view = reduced(subject, region, 2 ** max(0, round(math.log2(1 / zoom))))
        enlarged = max(1, round(zoom * view.factor))
    _check_size(view, enlarged)
    drawing, remarks = _drawing(subject, view, options)
    save_picture(out, replace(drawing, enlarged=enlarged))
    return remarks


def _page(subject, region, out: str, options: dict) -> list[str]:
    """Write a page; what could not be drawn."""
    from tilesim.pictures.page import TILE, save_page
    from tilesim.tools.look import look, reduced

    zoom, size = options["zoom"], options["size"] or PAGE_SIZE
    if zoom is None:
        view = look(subject, region, size)
    else:
        view = reduced(subject, region, 2 ** max(0, round(math.log2(1 / zoom))))
    _check_size(view, 1)
    drawing, remarks = _drawing(subject, view, options)
    coarser = []
    while max((coarser or [view])[-1].blocks.shape) > 2 * TILE:
        coarser.append(reduced(subject, region, (coarser or [view])[-1].factor * 2))
    save_page(out, drawing, coarser, subject.geometry, options["rings"] is not False)
    return remarks


def _drawing(subject, view, options: dict):
    """The view with all that is drawn over and beside it, and what could not be drawn."""
    from tilesim.pictures.grey import grey_of
    from tilesim.pictures.picture import Drawing, border_of

    overlay = overlays(subject, view, options)
    experiment = subject.experiment
    drawing = Drawing(
        view,
        grey_of(view.blocks, options["scale"], options["low"], options["high"]),
        title_of(subject, options),
        overlay.rings,
        overlay.centre,
        overlay.labels,
        border_of(experiment.of_panel(subject.panel_number).region, subject.image.shape) if experiment else None,
        overlay.curves,
    )
    return drawing, overlay.remarks


def overlays(subject, view, options: dict):
    """What is drawn over and beside the image."""
    from tilesim.tools.look import overlay

    return overlay(
        subject,
        view,
        rings=options["rings"],
        spots=options["spots"] or 0,
        profile=options["profile"],
        histogram=options["histogram"],
    )


def title_of(subject, options: dict) -> str:
    """The line above: what was asked for, or what is known."""
    from tilesim.pictures.picture import default_title

    if options["title"] is not None:
        return options["title"]
    experiment = subject.experiment
    parts = [default_title(subject.panel, experiment.beam, experiment.scan)] if experiment else []
    parts += [f"frame {subject.data.frames[subject.place]}"] if len(subject.data) > 1 else []
    parts += [f"panel {subject.panel_number}"] if subject.data.panels > 1 else []
    return ", ".join(parts)


def _check(options: dict) -> None:
    """Raise UsageError on numbers that make no picture."""
    for name, flag in (("low", "--min"), ("high", "--max"), ("zoom", "--zoom")):
        value = options[name]
        if value is not None and not math.isfinite(value):
            raise click.UsageError(f"{flag} is {value}; expected a finite number")
    if options["zoom"] is not None and not 1e-4 <= options["zoom"] <= 1000:
        raise click.UsageError(f"--zoom is {options['zoom']:g}; expected 0.0001 to 1000")
    if options["zoom"] is not None and options["size"] is not None:
        raise click.UsageError("--zoom and --size say the same thing; expected one of them")
    low, high = options["low"], options["high"]
    if low is not None and high is not None and not low < high:
        raise click.UsageError(f"--min {low:g} --max {high:g}; expected a minimum below the maximum")
    if options["scale"] == "log":
        for flag, value in (("--min", low), ("--max", high)):
            if value is not None and value <= 0:
                raise click.UsageError(f"{flag} is {value:g}; a log scale needs a number above 0")


def _check_size(view, enlarged: int) -> None:
    rows, columns = (n * enlarged for n in view.blocks.shape)
    if max(rows, columns) > 30000 or rows * columns > 10**8:
        raise click.UsageError(
            f"the picture would have {columns} x {rows} pixels; expected a smaller --zoom or --region"
        )


def _region(texts: tuple[str, str] | None, shape: tuple[int, int]):
    """The region that --region names, of an image of `shape` pixels."""
    from tilesim.model.sampling import Region

    if texts is None:
        return Region(0, shape[0], 0, shape[1])
    ends = []
    for text, count, axis in zip(texts, shape, ("slow", "fast"), strict=True):
        found = re.fullmatch(r"(\d*):(\d*)", text, re.ASCII)
        if not found:
            raise click.UsageError(f"--region: {text!r} along {axis}; expected A:B for pixels A to B - 1")
        start, stop = int(found[1] or 0), int(found[2] or count)
        if not start < stop <= count:
            raise click.UsageError(f"--region: {text} along {axis}; expected A:B with 0 <= A < B <= {count}")
        ends += [start, stop]
    return Region(*ends)
