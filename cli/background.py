"""`tilesim background`: the scattering curve of what is in the beam, from a measured image."""

from __future__ import annotations

from typing import Any

import click

from tilesim_cli.arguments import described_options
from tilesim_cli.command import FLAGS, ExampledCommand


@click.command(
    "background",
    cls=ExampledCommand,
    examples=(
        "frame.cbf -o water.stol --background-thickness 0.5 --background-density 1 --background-mw 18.015",
        "a.img -o air.stol --background-thickness 100 --background-density 0.0012 --background-mw 29 -- -distance 250",
    ),
    options_metavar="[OPTIONS]",
    epilog="docs/background.md says how it is measured.",
)
@click.argument("source", metavar="IMAGE", type=click.Path())
@click.argument("flags", metavar="[-- NANOBRAGG_FLAGS ...]", nargs=-1, type=FLAGS)
@click.option("-o", "--output", "table", required=True, metavar="TABLE.stol", help="The table to write.")
@click.option("--background-thickness", type=float, required=True, metavar="MM", help="Length of the material.")
@click.option("--background-density", type=float, required=True, metavar="G_CM3", help="Its density.")
@click.option("--background-mw", type=float, required=True, metavar="G_MOL", help="Molar mass of its molecules.")
@click.option("--rings", type=click.IntRange(2, 10000), default=200, metavar="N", help="Rings to the corner [200].")
@click.option("--offset", type=float, metavar="X", help="Value of a dark pixel [what the image says, else 0].")
@click.option("--gain", type=float, metavar="X", help="Units per photon [what the image says, else 1].")
@click.option("--beamsize", type=float, metavar="MM", help="Edge of the beam, where the image does not say it.")
@click.option("--frame", metavar="N", help="Which frame, of several.")
@described_options
@click.option("--quiet", is_flag=True, help="Print errors and warnings only.")
def command(source: str, flags: tuple[str, ...], table: str, quiet: bool, **options: Any) -> None:
    """Measure the scattering curve of the background of IMAGE, and write the table that -stol reads.

    It is the robust mean over rings, so that Bragg peaks and bad pixels do not count. --geometry, or nanoBragg flags
    behind --, describe an image that does not state its geometry, and its beam: -flux, -exposure, -beamsize.
    """
    from tilesim.files.inventory import NamedFile, check_files
    from tilesim.files.replace import replacing
    from tilesim.model.checks import finite, not_negative, positive
    from tilesim.tools.backgroundcurve import Slice, measured_curve
    from tilesim_cli.described import chosen_frames, opened
    from tilesim_cli.launch import warn

    material = Slice(
        positive("--background-thickness", options["background_thickness"]) * 1e-3,
        positive("--background-density", options["background_density"]) * 1e3,
        positive("--background-mw", options["background_mw"]) * 1e-3,
    )
    data = opened(source, flags, options)
    frames = chosen_frames(data, options["frame"])
    if len(frames) > 1:
        raise click.UsageError(f"{source} has {len(data)} frames; expected --frame N")
    check_files(data.inputs, [NamedFile("-o", table)])
    beamsize = options["beamsize"]
    offset = (data.offset or 0.0) if options["offset"] is None else finite("--offset", options["offset"])
    curve = measured_curve(
        data,
        frames[0],
        material,
        rings=options["rings"],
        offset=offset,
        gain=data.gain if options["gain"] is None else positive("--gain", options["gain"]),
        beamsize=None if beamsize is None else not_negative("--beamsize", beamsize) * 1e-3,
    )
    for remark in curve.remarks:
        warn(remark)
    with replacing(table) as file:
        file.writelines(f"{line}\n".encode() for line in curve.lines())
    if not quiet:
        click.echo(f"wrote {table}: {len(curve.stol)} rings to {0.5e10 / curve.stol[-1]:.3g} A")
