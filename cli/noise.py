"""`tilesim noise`: the noise of beam and detector on images that are there."""

from __future__ import annotations

import os

import click

from tilesim_cli.arguments import COMPRESSION, parse_tile


@click.command("noise", options_metavar="[OPTIONS]", epilog="docs/noise.md says what each effect is.")
@click.argument("source", metavar="IN", type=click.Path())
@click.argument("target", metavar="OUT", type=click.Path())
@click.argument("flags", metavar="[-- NANOBRAGG_FLAGS ...]", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--scale", type=float, default=1.0, metavar="X", help="More flux, exposure or crystal: all photons x X [1]."
)
@click.option("--fluence", type=float, metavar="F", help="Photons/m^2 instead of those of the simulation (stores).")
@click.option("--flicker", type=float, default=0.0, metavar="RMS", help="Of the beam from frame to frame, 0.02 is 2 %.")
@click.option("--calibration", type=float, default=0.0, metavar="RMS", help="Static error of every pixel, 0.03 is 3 %.")
@click.option("--module-calibration", type=float, default=0.0, metavar="RMS", help="Static error of every module.")
@click.option("--module", metavar="SxF", callback=parse_tile, help="Pixels of a module, slow x fast [the panel].")
@click.option("--photon-noise/--no-photon-noise", default=True, help="Count photons one by one [yes].")
@click.option("--psf", type=click.Choice(["gauss", "fiber"]), help="Point spread: Gaussian, or fibre-coupled.")
@click.option("--psf-fwhm", type=float, metavar="UM", help="Full width of the spread at half maximum, micrometres.")
@click.option("--psf-radius", type=click.IntRange(min=1), metavar="PIXELS", help="Where the spread ends [by shape].")
@click.option("--gain", type=float, default=1.0, metavar="X", help="Detector units per photon [1].")
@click.option("--offset", type=float, default=40.0, metavar="X", help="Detector units of a dark pixel [40].")
@click.option("--readout", type=float, default=0.0, metavar="RMS", help="Read-out noise, detector units.")
@click.option("--overload", type=float, metavar="X", help="Largest value of a pixel [the largest number].")
@click.option("--dead", type=click.Path(), metavar="FILE", help="Image that is not 0 where pixels see nothing.")
@click.option("--hot", type=click.Path(), metavar="FILE", help="Image that is not 0 where pixels are overloaded.")
@click.option("--seed", type=int, default=1, metavar="N", help="Of what differs from frame to frame [1].")
@click.option("--calibration-seed", type=int, default=123456789, metavar="N", help="Of the detector [123456789].")
@click.option("--dtype", type=click.Choice(["uint16", "int32", "float32"]), help="Of a store, TIFF, EDF [int32].")
@click.option("--shape", metavar="SxF", callback=parse_tile, help="Pixels of a float file, slow x fast [a square].")
@click.option("--pixel", type=float, metavar="MM", help="Edge of a pixel where the input does not say.")
@click.option("--frame", type=int, metavar="N", help="Only the frame of this number.")
@click.option("--panel", type=click.IntRange(min=0), metavar="N", help="Only this panel.")
@click.option("--tile", metavar="N|SxF", callback=parse_tile, help="Pixels of a tile [that of the input].")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="That compute [one per core].")
@click.option("--json", "json_file", metavar="FILE", help="Write what was done as JSON; - is standard output.")
@COMPRESSION
@click.option("--overwrite", is_flag=True, help="Replace an existing store.")
@click.option("--resume", is_flag=True, help="Go on with the store of an interrupted run.")
@click.option("--quiet", is_flag=True, help="Print errors and warnings only.")
def command(source: str, target: str, flags: tuple[str, ...], **options) -> None:
    """Add the noise of beam and detector to the image, or to all frames, in IN, and write OUT.

    IN is a zarr store, or a float, SMV, CBF, TIFF, EDF or HDF5 file. OUT is one of these by its ending (.zarr or a URL,
    .bin, .img, .cbf, .tif, .edf, .h5); of a series a file's name holds {frame}. nanoBragg flags behind -- tell the
    geometry of a file that does not tell it itself. Every random number belongs to its seed, frame and pixel, so the
    result depends neither on tiles nor on threads.
    """
    from tilesim.tools.expected import open_expected
    from tilesim.tools.noisefiles import numbers_of

    numbers = numbers_of(target, options["dtype"])
    expected = open_expected(source, options["shape"], flags)
    frames, panels = chosen_frames(expected, options["frame"]), chosen_panels(expected, options["panel"])
    check_target(source, target, expected, frames, panels, options)
    noise = noise_of(expected, options)
    measurement, masks = prepared(expected, noise, numbers, options)
    if expected.attributes.get("noise") and noise.photon_noise:
        click.echo(f"WARNING: {source} holds noise already; its photons are counted again", err=True)
    record(target, expected, measurement, masks, frames, panels, options)


def check_target(source: str, target: str, expected, frames: list[int], panels: list[int], options: dict) -> None:
    """Raise InputError where an output is an input, or two outputs are one; StoreError where one cannot be written."""
    from tilesim.errors import InputError
    from tilesim.io.reading import printable
    from tilesim.io.replace import check_writable, is_special
    from tilesim.tools.names import Format
    from tilesim.tools.noisefiles import file_names, noisy_format

    files = [options["json_file"]] if options["json_file"] not in (None, "-") else []
    if noisy_format(target) != Format.STORE:
        names = file_names(target, [expected.frames[frame] for frame in frames], panels)
        files += dict.fromkeys(names.values())
    inputs = {os.path.realpath(path) for path in (source, options["dead"], options["hot"]) if path}
    seen = set()
    for path in (target, *files):
        real = os.path.realpath(path)
        if is_special(path) and not os.path.isdir(path):
            continue
        if real in inputs:
            raise InputError(f"{printable(path)} is an input; expected another name for an output")
        if real in seen and path != target:
            raise InputError(f"{printable(path)} is named for two outputs; expected a file of its own for each")
        seen.add(real)
    for path in files:
        check_writable(path)


def chosen_frames(expected, number: int | None) -> list[int]:
    """The frames to measure, counted from 0. Raises InputError where there is none of this number."""
    from tilesim.errors import InputError

    if number is None:
        return list(range(len(expected.frames)))
    if number not in expected.frames:
        first, last = expected.frames[0], expected.frames[-1]
        raise InputError(f"--frame {number}: {expected.path} has frames {first} to {last}")
    return [list(expected.frames).index(number)]


def chosen_panels(expected, number: int | None) -> list[int]:
    """The panels to measure. Raises InputError where there is none of this number."""
    from tilesim.errors import InputError

    count = expected.source.panels
    if number is not None and number >= count:
        raise InputError(f"--panel {number}: {expected.path} has {count}, numbered from 0")
    return list(range(count)) if number is None else [number]


def noise_of(expected, options: dict):
    """The noise that options ask for. Raises InputError."""
    from tilesim.errors import InputError
    from tilesim.model.noise import Noise, PointSpread

    scale, fluence = options["scale"], options["fluence"]
    if fluence is not None:
        from tilesim.model.checks import not_negative

        known = expected.fluence
        if not known:
            raise InputError(f"--fluence: {expected.path} does not say its own; expected a store of one, or --scale")
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

    if expected.experiment is not None:
        return expected.experiment.detector.panels[0].pixel_size * 1e3
    if given is None:
        raise InputError(
            f"{why} needs the size of a pixel, which {expected.path} does not say; expected --pixel MM, or nanoBragg "
            "flags behind --"
        )
    return positive("--pixel", given)


def prepared(expected, noise, numbers, options: dict):
    """How every frame is measured, and the digests of the masks. Raises InputError."""
    from tilesim.tools.expected import digest_of, open_mask
    from tilesim.tools.noise import Measurement

    masks = {name: options[name] for name in ("dead", "hot") if options[name] is not None}
    reads = {name: open_mask(path, expected.shape) for name, path in masks.items()}
    measurement = Measurement(noise, numbers, expected.shape, expected.region(), **reads)
    return measurement, {name: digest_of(path) for name, path in masks.items()}


def record(
    target: str, expected, measurement, masks: dict, frames: list[int], panels: list[int], options: dict
) -> None:
    """Compute and write, with a line on every image, warnings and the account."""
    from tilesim.tools.names import Format
    from tilesim.tools.noisefiles import noisy_format, write_files
    from tilesim.tools.noisestore import provenance, write_store

    say = (lambda line: None) if options["quiet"] or options["json_file"] == "-" else click.echo
    tile = options["tile"] or expected.tile
    about = provenance(expected, measurement, masks, tile, panels)
    how = {"tile": tile, "threads": options["threads"]}
    if noisy_format(target) == Format.STORE:
        edge = pixel_mm(expected, options["pixel"], "a store") * 1e-3
        how |= {name: options[name] for name in ("resume", "overwrite", "compression")}
        events = write_store(target, expected, measurement, edge, about, frames=frames, panels=panels, **how)
    else:
        notes = {name: about[name] for name in ("source", "noise", "masks", "seeds", "versions")}
        events = write_files(target, expected, measurement, frames, panels, notes=notes, **how)
    recorded, several = [], len(panels) > 1
    for one in events:
        if recorded and recorded[-1].path != one.path:
            say(f"wrote {recorded[-1].path}")
        recorded.append(one)
        say(image_line(one, measurement, several))
    say(f"wrote {recorded[-1].path}")
    warn(recorded, expected, measurement)
    if options["json_file"]:
        from tilesim_cli.run import write_json

        write_json(options["json_file"], account(recorded, expected, measurement, about))


def image_line(recorded, measurement, several: bool) -> str:
    """One line on a frame, or a panel of it."""
    tally = recorded.tally
    name = f"frame {recorded.number}" + (f" panel {recorded.panel}" if several else "")
    line = f"{name}: {tally.photons(measurement.noise):.0f} photons, {tally.overloads} overloads"
    return line + (f", {tally.blank} pixels without a value" if tally.blank else "")


def warn(recorded: list, expected, measurement) -> None:
    """Say what may surprise in the input."""
    blank = sum(one.tally.blank for one in recorded)
    negative = sum(one.tally.negative for one in recorded)
    if blank:
        mark = f"{measurement.numbers.blank:.0f}"
        click.echo(f"WARNING: {blank} pixels have no value in {expected.path}; they are {mark}", err=True)
    if negative:
        click.echo(f"WARNING: {negative} pixels of {expected.path} are negative; they count as 0", err=True)


def account(recorded: list, expected, measurement, about: dict) -> dict:
    """What was done, as plain values."""
    from tilesim.tools.noisestore import figures_of

    return {
        "input": expected.path,
        **{name: about[name] for name in ("source", "noise", "masks", "seeds", "versions")},
        "files": list(dict.fromkeys(one.path for one in recorded)),
        "images": [{"frame": one.number, "panel": one.panel, **figures_of(one.tally, measurement)} for one in recorded],
        "restored_tiles": sum(one.restored for one in recorded),
    }
