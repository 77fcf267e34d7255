"""`tilesim noise`: the noise of beam and detector on images that are there."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import click

from tilesim_cli.arguments import COMPRESSION, described_options, parse_tile


@click.command("noise", options_metavar="[OPTIONS]", epilog="docs/noise.md says what each effect is.")
@click.argument("source", metavar="IN", type=click.Path())
@click.argument("target", metavar="OUT", type=click.Path())
@click.argument("flags", metavar="[-- NANOBRAGG_FLAGS ...]", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--scale", type=float, default=1.0, metavar="X", help="More flux, exposure or crystal: all photons x X [1]."
)
@click.option("--fluence", type=float, metavar="F", help="Photons/m^2 instead of those of the simulation (stores).")
@click.option("--flicker", type=float, default=0.0, metavar="RMS", help="Flicker of the incident beam, 0.02 is 2 %.")
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
@click.option("--seed", type=int, default=1, metavar="N", help="Random seed of what differs between frames [1].")
@click.option(
    "--calibration-seed",
    type=int,
    default=123456789,
    metavar="N",
    help="Random seed of the detector's static errors [123456789].",
)
@click.option(
    "--dtype",
    type=click.Choice(["uint16", "int32", "float32"]),
    help="Type of the pixels of a store, TIFF, EDF [int32].",
)
@described_options
@click.option("--pixel", type=float, metavar="MM", help="Edge of a pixel where the input does not say.")
@click.option("--frame", metavar="N|A:B", help="A frame, or frames A to B - 1, by number [all].")
@click.option("--panel", type=click.IntRange(min=0), metavar="N", help="One panel [all].")
@click.option("--tile", metavar="N|SxF", callback=parse_tile, help="Pixels of a tile [that of the input].")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Threads that compute [one per core].")
@click.option("--json", "json_file", metavar="FILE", help="Write what was done as JSON; - is standard output.")
@COMPRESSION
@click.option("--overwrite", is_flag=True, help="Replace an existing store.")
@click.option("--resume", is_flag=True, help="Resume the store of an interrupted run.")
@click.option("--quiet", is_flag=True, help="Print errors and warnings only.")
def command(source: str, target: str, flags: tuple[str, ...], **options: Any) -> None:
    """Add the noise of beam and detector to the image, or to all frames, in IN, and write OUT.

    IN is a zarr store, or a float, SMV, CBF, TIFF, EDF or HDF5 file. OUT is one of these by its ending (.zarr or a URL,
    .bin, .img, .cbf, .tif, .edf, .h5); of a series a file's name holds {frame}. nanoBragg flags behind -- describe the
    geometry of a file that does not state it itself. Every random number belongs to its seed, frame and pixel, so the
    result depends neither on tiles nor on threads.
    """
    from tilesim.tools.noisefiles import numbers_of
    from tilesim_cli.described import chosen_frames, chosen_panels, opened
    from tilesim_cli.launch import warn

    numbers = numbers_of(target, options["dtype"])
    data = opened(source, flags, options)
    frames, panels = chosen_frames(data, options["frame"]), chosen_panels(data, options["panel"])
    check_target(source, target, data, frames, panels, options)
    noise = noise_of(data, options)
    measurement, masks = prepared(data, noise, numbers, options)
    if data.attributes.get("noise") and noise.photon_noise:
        warn(f"{source} holds noise already; its photons are counted again")
    record(target, data, measurement, masks, frames, panels, options)


def check_target(
    source: str, target: str, data, frames: Sequence[int], panels: Sequence[int], options: Mapping[str, Any]
) -> None:
    """Raise InputError where an output is an input, or two outputs are one; StoreError where one cannot be written."""
    from tilesim.errors import InputError
    from tilesim.files.reading import printable
    from tilesim.files.replace import check_writable, is_special
    from tilesim.images.registry import Format
    from tilesim.tools.noisefiles import file_names, noisy_format

    files = [options["json_file"]] if options["json_file"] not in (None, "-") else []
    if noisy_format(target) != Format.STORE:
        names = file_names(target, [data.frames[frame] for frame in frames], panels)
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


def noise_of(data, options: Mapping[str, Any]):
    """The noise that options ask for. Raises InputError."""
    from tilesim.errors import InputError
    from tilesim.model.noise import Noise, PointSpread

    scale, fluence = options["scale"], options["fluence"]
    if fluence is not None:
        from tilesim.model.checks import not_negative
        from tilesim.tools.expected import fluence_of

        known = fluence_of(data)
        if not known:
            raise InputError(f"--fluence: {data.path} does not state its own; expected a store of one, or --scale")
        scale *= not_negative("--fluence", fluence) / known
    spread = None
    if options["psf"] is None and (options["psf_fwhm"] is not None or options["psf_radius"] is not None):
        raise InputError("--psf-fwhm and --psf-radius without a shape; expected --psf gauss or --psf fiber")
    if options["psf"] is not None:
        if options["psf_fwhm"] is None:
            raise InputError("--psf without a width; expected --psf-fwhm in micrometres")
        width = options["psf_fwhm"] * 1e-3 / pixel_mm(data, options["pixel"], "--psf")
        spread = PointSpread(options["psf"], width, options["psf_radius"])
    if options["module"] is not None and not options["module_calibration"]:
        raise InputError("--module without an error; expected --module-calibration")
    same = ("flicker", "calibration", "module_calibration", "module", "photon_noise", "gain", "offset", "readout")
    same += ("overload", "seed", "calibration_seed")
    return Noise(scale=scale, point_spread=spread, **{name: options[name] for name in same})


def pixel_mm(data, given: float | None, why: str) -> float:
    """Edge of a pixel, of the input or as given. Raises InputError."""
    from tilesim.errors import InputError
    from tilesim.model.checks import positive

    if not data.unknown:
        return data.experiment(0).detector.panels[0].pixel_size * 1e3
    if given is None:
        raise InputError(
            f"{why} needs the size of a pixel, which {data.path} does not state; expected --pixel MM, or nanoBragg "
            "flags behind --"
        )
    return positive("--pixel", given)


def prepared(data, noise, numbers, options: Mapping[str, Any]):
    """How every frame is measured, and the digests of the masks. Raises InputError."""
    from tilesim.images.image import open_image
    from tilesim.tools.expected import digest_of, region_of
    from tilesim.tools.noise import Measurement

    masks = {name: options[name] for name in ("dead", "hot") if options[name] is not None}
    reads = {name: open_image(path, shape=data.shape).block for name, path in masks.items()}
    measurement = Measurement(noise, numbers, data.shape, region_of(data, 0, 0), **reads)
    return measurement, {name: digest_of(path) for name, path in masks.items()}


def record(
    target: str,
    data,
    measurement,
    masks: dict,
    frames: Sequence[int],
    panels: Sequence[int],
    options: Mapping[str, Any],
) -> None:
    """Compute and write, with a line on every image, warnings and the summary."""
    from tilesim.images.registry import Format
    from tilesim.tools.expected import tile_of
    from tilesim.tools.noisefiles import noisy_format, write_files
    from tilesim.tools.noisestore import provenance, write_store

    say = (lambda line: None) if options["quiet"] or options["json_file"] == "-" else click.echo
    tile = options["tile"] or tile_of(data)
    about = provenance(data, measurement, masks, tile, panels)
    how = {"tile": tile, "threads": options["threads"]}
    if noisy_format(target) == Format.STORE:
        edge = pixel_mm(data, options["pixel"], "a store") * 1e-3
        how |= {name: options[name] for name in ("resume", "overwrite", "compression")}
        events = write_store(target, data, measurement, edge, about, frames=frames, panels=panels, **how)
    else:
        notes = {name: about[name] for name in ("source", "noise", "masks", "seeds", "versions")}
        events = write_files(target, data, measurement, frames, panels, notes=notes, **how)
    recorded, several = [], len(panels) > 1
    for one in events:
        if recorded and recorded[-1].path != one.path:
            say(f"wrote {recorded[-1].path}")
        recorded.append(one)
        say(image_line(one, measurement, several))
    say(f"wrote {recorded[-1].path}")
    warn_of_pixels(recorded, data, measurement)
    if options["json_file"]:
        from tilesim_cli.summary import write_json

        write_json(options["json_file"], summary(recorded, data, measurement, about))


def image_line(recorded, measurement, several: bool) -> str:
    """One line on a frame, or a panel of it."""
    tally = recorded.tally
    name = f"frame {recorded.number}" + (f" panel {recorded.panel}" if several else "")
    line = f"{name}: {tally.photons(measurement.noise):.0f} photons, {tally.overloads} overloads"
    return line + (f", {tally.blank} pixels without a value" if tally.blank else "")


def warn_of_pixels(recorded: list, data, measurement) -> None:
    """Say what may surprise in the input."""
    blank = sum(one.tally.blank for one in recorded)
    negative = sum(one.tally.negative for one in recorded)
    if blank:
        mark = f"{measurement.numbers.blank:.0f}"
        click.echo(f"WARNING: {blank} pixels have no value in {data.path}; they are {mark}", err=True)
    if negative:
        click.echo(f"WARNING: {negative} pixels of {data.path} are negative; they count as 0", err=True)


def summary(recorded: list, data, measurement, about: dict) -> dict:
    """What was done, as plain values."""
    from tilesim.tools.noisestore import figures_of

    return {
        "input": data.path,
        **{name: about[name] for name in ("source", "noise", "masks", "seeds", "versions")},
        "files": list(dict.fromkeys(one.path for one in recorded)),
        "images": [{"frame": one.number, "panel": one.panel, **figures_of(one.tally, measurement)} for one in recorded],
        "restored_tiles": sum(one.restored for one in recorded),
    }
