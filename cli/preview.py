"""`tilesim preview`: a picture of an image, or a page that shows it in a browser."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from tilesim_cli.arguments import described_options
from tilesim_cli.command import FLAGS, ExampledCommand

if TYPE_CHECKING:
    from tilesim.model.sampling import Region


MOST = 1e100
"""Value at most that a scale of grey ends at, on either side of 0."""


@click.command(
    "preview",
    cls=ExampledCommand,
    examples=(
        "out.zarr out.png",
        "out.zarr page.html",
        "series.zarr series.html",
        "series.zarr spots.png --frame 3 --region 0:512 0:512 --spots 30",
        "out.bin out.png -- -distance 100 -detpixels 1024 -pixel 0.1 -lambda 1",
    ),
    options_metavar="[OPTIONS]",
    epilog="docs/preview.md shows what it draws.",
)
@click.argument("source", metavar="IN", type=click.Path())
@click.argument("out", metavar="OUT.png|OUT.html", type=click.Path())
@click.argument("flags", metavar="[-- NANOBRAGG_FLAGS ...]", nargs=-1, type=FLAGS)
@click.option("--frame", metavar="N|A:B", help="Frame by its number, or frames A to B - 1 [the first; page all].")
@click.option("--panel", type=click.IntRange(min=0), metavar="N", help="One panel of the detector [all].")
@click.option("--stack", is_flag=True, help="Panels one below the other [assembled by their geometry].")
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
@click.option("--min", "low", type=click.FloatRange(-MOST, MOST), metavar="V", help="Value shown white.")
@click.option("--max", "high", type=click.FloatRange(-MOST, MOST), metavar="V", help="Value shown black.")
@click.option("--rings/--no-rings", default=None, help="Resolution rings [where the geometry is known].")
@click.option("--spots", type=click.IntRange(min=1), metavar="N", help="Label the N brightest predicted spots in view.")
@click.option("--profile", is_flag=True, help="Add the mean of all pixels against resolution.")
@click.option("--histogram", is_flag=True, help="Add how often which pixel value occurs.")
@click.option("--title", help="The line above [wavelength, distance, oscillation].")
@described_options
@click.option("--quiet", is_flag=True, help="Print errors and warnings only.")
def command(source: str, out: str, flags: tuple[str, ...], **options: Any) -> None:
    """Draw the image in IN, a store or an image file of any format, as a PNG or as a page with pan and zoom.

    Several frames are a page with slider, thumbnails, projections and plots of what varies, a PNG with a thumbnail of
    each, or files of their own where OUT holds {frame}, as in p_{frame:03d}.png.

    nanoBragg flags behind -- describe the geometry of an image that does not state it itself.
    """
    from tilesim.files.templates import check_template, fields_of, fill
    from tilesim.series.progress import counting
    from tilesim.tools.preview import draw_dataset
    from tilesim.tools.previewchoices import PreviewChoices, is_page, shown_shape
    from tilesim_cli.described import chosen_frames, opened
    from tilesim_cli.launch import warn

    page, each = is_page(out), "frame" in fields_of(out)
    if each:
        check_template("OUT", out, ["frame"])
    same = ("size", "zoom", "scale", "low", "high", "rings", "profile", "histogram", "title", "stack")
    choices = PreviewChoices(spots=options["spots"] or 0, **{name: options[name] for name in same})
    data = opened(source, flags, options)
    first = options["frame"] is None and not each and not page
    places = (0,) if first else chosen_frames(data, options["frame"])
    shape = shown_shape(data, places[0], options["panel"], choices)
    chosen = replace(choices, region=_region(options["region"], shape))
    say = (lambda line: None) if options["quiet"] else click.echo
    with counting("drawing", len(places), "frames", not options["quiet"]) as on_frame:
        for group in [(place,) for place in places] if each else [places]:
            name = fill(out, data.frames[group[0]])
            drawn = draw_dataset(data, name, group, options["panel"], chosen, on_frame)
            for remark in drawn.remarks:
                warn(remark)
            for line in (*drawn.said, f"wrote {name}" + (f": {len(group)} frames" if len(group) > 1 else "")):
                say(line)


def _region(texts: tuple[str, str] | None, shape: tuple[int, int]) -> Region | None:
    """The region that --region names, of an image of `shape` pixels."""
    from tilesim.model.sampling import Region

    if texts is None:
        return None
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
