"""`tilesim noise`: the noise of beam and detector on images that are there."""

from __future__ import annotations

import os

import click

from tilesim_cli.arguments import parse_tile

SUFFIXES = {".img": "smv", ".bin": "float", ".zarr": "zarr"}
"""Kinds of output by the end of a name."""
DTYPES = {"smv": "uint16", "float": "float32", "zarr": "int32"}
"""What each kind holds where nobody asks for something else."""


@click.command("noise")
@click.argument("source", metavar="IN", type=click.Path())
@click.argument("target", metavar="OUT", type=click.Path())
@click.option(
    "--scale", type=float, default=1.0, metavar="X", help="Multiply the photons: flux, exposure, crystal [1]."
)
@click.option("--fluence", type=float, metavar="F", help="Photons/m^2 instead of those of the simulation (stores).")
@click.option("--flicker", type=float, default=0.0, metavar="RMS", help="Of the beam from frame to frame, 0.02 is 2 %.")
@click.option("--calibration", type=float, default=0.0, metavar="RMS", help="Static error of every pixel, 0.03 is 3 %.")
@click.option("--module-calibration", type=float, default=0.0, metavar="RMS", help="Static error of every module.")
@click.option("--module", metavar="SxF", callback=parse_tile, help="Pixels of a module, slow x fast [the panel].")
@click.option("--photon-noise/--no-photon-noise", default=True, help="Count photons one by one [yes].")
@click.option("--psf", type=click.Choice(["gauss", "fiber"]), help="Point spread: Gaussian, or fibre-coupled.")
@click.option("--psf-fwhm", type=float, metavar="UM", help="Full width of the spread at half maximum, micrometres.")
@click.option(
    "--psf-radius", type=click.IntRange(min=1), metavar="PIXELS", help="Where the spread ends [by its shape]."
)
@click.option("--gain", type=float, default=1.0, metavar="X", help="Detector units per photon [1].")
@click.option("--offset", type=float, default=40.0, metavar="X", help="Detector units of a dark pixel [40].")
@click.option("--readout", type=float, default=0.0, metavar="RMS", help="Read-out noise, detector units.")
@click.option("--overload", type=float, metavar="X", help="Largest value of a pixel [the largest number].")
@click.option("--dead", type=click.Path(), metavar="FILE", help="Image that is not 0 where pixels see nothing.")
@click.option("--hot", type=click.Path(), metavar="FILE", help="Image that is not 0 where pixels are overloaded.")
@click.option("--seed", type=int, default=1, metavar="N", help="Of what differs from frame to frame [1].")
@click.option("--calibration-seed", type=int, default=123456789, metavar="N", help="Of the detector [123456789].")
@click.option("--dtype", type=click.Choice(["uint16", "int32", "float32"]), help="Numbers of a store [int32].")
@click.option("--shape", metavar="SxF", callback=parse_tile, help="Pixels of a float file, slow x fast [a square].")
@click.option("--pixel", type=float, metavar="MM", help="Edge of a pixel where the input does not say.")
@click.option("--frame", type=int, metavar="N", help="Only the frame of this number.")
@click.option("--tile", metavar="N|SxF", callback=parse_tile, help="Pixels of a tile [that of the input].")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="That compute [one per core].")
@click.option("--json", "json_file", metavar="FILE", help="Write what was done as JSON; - is standard output.")
@click.option("--overwrite", is_flag=True, help="Replace an existing store.")
@click.option("--resume", is_flag=True, help="Go on with the store of an interrupted run.")
@click.option("--quiet", is_flag=True, help="Print errors and warnings only.")
def command(source: str, target: str, **options) -> None:
    """Add the noise of beam and detector to the image, or to all frames, in IN, and write OUT.

    IN is a zarr store or a float file. OUT is by its name an SMV image (.img), a float file (.bin) or a store (.zarr,
    a URL); of a series a file's name holds {frame}. Every random number belongs to its seed, frame and pixel, so
    the result depends neither on tiles nor on threads.
    """
    from tilesim.errors import InputError
    from tilesim.tools.expected import open_expected

    kind = kind_of(target, options["dtype"])
    expected = open_expected(source, options["shape"])
    if expected.panels > 1:
        raise InputError(f"{source} has {expected.panels} panels; expected an image of one panel")
    check_target(source, target, options)
    frames = chosen_frames(expected, options["frame"])
    noise = noise_of(expected, options)
    say = (lambda line: None) if options["quiet"] or options["json_file"] == "-" else click.echo
    if kind != "zarr":
        from tilesim.io.batchfile import check_template

        check_template("OUT", target, len(frames))
    measurement, masks = prepared(expected, noise, options["dtype"] or DTYPES[kind], options)
    warn(expected, noise)
    recorded = record(kind, target, expected, measurement, masks, frames, options, say)
    finish(recorded, expected, measurement, masks, options, say)


def kind_of(target: str, dtype: str | None) -> str:
    """The kind of output that a name asks for. Raises InputError."""
    from tilesim.errors import InputError
    from tilesim.io.reading import printable

    kind = "zarr" if "://" in target else SUFFIXES.get(os.path.splitext(target.rstrip("/"))[1].lower())
    if kind is None:
        raise InputError(f"OUT {printable(target)}: expected a name that ends in {', '.join(SUFFIXES)}")
    if dtype is not None and kind != "zarr" and dtype != DTYPES[kind]:
        raise InputError(f"--dtype {dtype}: a file {printable(target)} holds {DTYPES[kind]}; expected a .zarr store")
    return kind


def check_target(source: str, target: str, options: dict) -> None:
    """Raise InputError where an output is an input, or two outputs are one; StoreError where one cannot be written."""
    from tilesim.errors import InputError
    from tilesim.io.reading import printable
    from tilesim.io.replace import check_writable, is_special

    inputs = {os.path.realpath(path): path for path in (source, options["dead"], options["hot"]) if path}
    json_file = options["json_file"] if options["json_file"] != "-" else None
    for path in filter(None, (target, json_file)):
        if os.path.realpath(path) in inputs and (os.path.isdir(path) or not is_special(path)):
            raise InputError(f"{printable(path)} is an input; expected another name for an output")
    if json_file:
        if os.path.realpath(json_file) == os.path.realpath(target) and not is_special(target):
            raise InputError(f"{printable(target)} is named for two outputs; expected a file of its own for each")
        check_writable(json_file)


def chosen_frames(expected, number: int | None) -> list[int]:
    """The frames to measure, counted from 0. Raises InputError where there is none of this number."""
    from tilesim.errors import InputError

    if number is None:
        return list(range(len(expected.frames)))
    if number not in expected.frames:
        first, last = expected.frames[0], expected.frames[-1]
        raise InputError(f"--frame {number}: {expected.path} has frames {first} to {last}")
    return [list(expected.frames).index(number)]


def noise_of(expected, options: dict):
    """The noise that options ask for. Raises InputError."""
    from tilesim.errors import InputError
    from tilesim.model.noise import Noise, PointSpread

    scale, fluence = options["scale"], options["fluence"]
    if fluence is not None:
        from tilesim.model.checks import not_negative

        known = expected.fluence
        if not known:
            raise InputError(f"--fluence: {expected.path} does not say its own; expected a store, or --scale")
        scale *= not_negative("--fluence", fluence) / known
    spread = None
    if options["psf"] is None and (options["psf_fwhm"] is not None or options["psf_radius"] is not None):
        raise InputError("--psf-fwhm and --psf-radius without a shape; expected --psf gauss or --psf fiber")
    if options["psf"] is not None:
        if options["psf_fwhm"] is None:
            raise InputError("--psf without a width; expected --psf-fwhm in micrometres")
        width = options["psf_fwhm"] * 1e-3 / pixel_mm(expected, options["pixel"], "--psf")
        spread = PointSpread(options["psf"], width, options["psf_radius"])
    if options["module"] is not None and not options["module_calibration"]:
        raise InputError("--module without an error; expected --module-calibration")
    same = ("flicker", "calibration", "module_calibration", "module", "photon_noise", "gain", "offset", "readout")
    same += ("overload", "seed", "calibration_seed")
    return Noise(scale=scale, point_spread=spread, **{name: options[name] for name in same})


def pixel_mm(expected, given: float | None, why: str) -> float:
    """Edge of a pixel, of the input or as given. Raises InputError."""
    from tilesim.errors import InputError
    from tilesim.model.checks import positive

    panel = expected.panel()
    if panel is not None:
        return panel.pixel_size * 1e3
    if given is None:
        raise InputError(f"{why} needs the size of a pixel, which {expected.path} does not say; expected --pixel MM")
    return positive("--pixel", given)


def prepared(expected, noise, dtype: str, options: dict):
    """How every frame is measured, and the digests of the masks. Raises InputError."""
    from tilesim.tools.expected import digest_of, open_mask
    from tilesim.tools.noise import NUMBERS, Measurement

    masks = {name: options[name] for name in ("dead", "hot") if options[name] is not None}
    reads = {name: open_mask(path, expected.shape) for name, path in masks.items()}
    measurement = Measurement(noise, NUMBERS[dtype], expected.shape, expected.region, **reads)
    return measurement, {name: digest_of(path) for name, path in masks.items()}


def warn(expected, noise) -> None:
    """Say what may surprise."""
    if expected.attributes.get("noise") and noise.photon_noise:
        click.echo(f"WARNING: {expected.path} holds noise already; its photons are counted again", err=True)


def record(kind: str, target: str, expected, measurement, masks: dict, frames: list[int], options: dict, say) -> list:
    """Compute and write, one line per frame."""
    from tilesim.tools.measure import NoisyImage
    from tilesim.tools.record import Recorded, provenance, write_flat, write_store

    tile, threads = options["tile"] or expected.tile, options["threads"]

    def tell(recorded) -> None:
        say(frame_line(recorded, measurement))

    if kind == "zarr":
        from tilesim.model import Panel

        panel = expected.panel()
        if panel is None:
            edge = pixel_mm(expected, options["pixel"], "a store") * 1e-3
            panel = Panel.facing(1.0, edge, expected.shape)
        recorded = write_store(
            target,
            expected,
            measurement,
            panel,
            provenance(expected, measurement, masks, tile),
            tile=tile,
            frames=frames,
            overwrite=options["overwrite"],
            resume=options["resume"],
            threads=threads,
            on_frame=tell,
        )
        say(f"wrote {target}")
        return recorded
    from tilesim.io.batchfile import fill_name

    recorded = []
    for frame in frames:
        number = expected.frames[frame]
        image = NoisyImage(measurement, expected.read(frame), frame=number, tile=tile, threads=threads)
        path = fill_name(target, number) if "{" in target else target
        figures = write_flat(path, image, header_of(kind, expected, measurement))
        recorded.append(Recorded(number, path, figures))
        tell(recorded[-1])
        say(f"wrote {path}")
    return recorded


def header_of(kind: str, expected, measurement) -> bytes:
    """What stands before the pixels of a file."""
    if kind != "smv":
        return b""
    from tilesim.tools.record import smv_header

    return smv_header(expected, measurement)


def frame_line(recorded, measurement) -> str:
    """One line on a frame."""
    tally = recorded.tally
    line = f"frame {recorded.number}: {tally.photons(measurement.noise):.0f} photons, {tally.overloads} overloads"
    return line + (f", {tally.blank} pixels without a value" if tally.blank else "")


def finish(recorded: list, expected, measurement, masks: dict, options: dict, say) -> None:
    """Warnings, and the account."""
    blank = sum(one.tally.blank for one in recorded)
    negative = sum(one.tally.negative for one in recorded)
    if blank:
        mark = f"{measurement.numbers.blank:g}"
        click.echo(f"WARNING: {blank} pixels have no value in {expected.path}; they are {mark}", err=True)
    if negative:
        click.echo(f"WARNING: {negative} pixels of {expected.path} are negative; they count as 0", err=True)
    if options["json_file"]:
        from dataclasses import asdict

        from tilesim.model.serial import to_plain
        from tilesim_cli.run import write_json

        account = {
            "input": expected.path,
            "source": expected.identity(),
            "noise": to_plain(measurement.noise),
            "dtype": measurement.numbers.dtype,
            "overload": measurement.overload,
            "masks": masks,
            "files": list(dict.fromkeys(one.path for one in recorded)),
            "frames": [
                {"frame": one.number, "photons": one.tally.photons(measurement.noise), **asdict(one.tally)}
                for one in recorded
            ],
            "restored_tiles": sum(one.restored for one in recorded),
        }
        write_json(options["json_file"], account)
