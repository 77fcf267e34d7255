"""`tilesim noise`: the noise of beam and detector on images that are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from tilesim_cli.arguments import COMPRESSION, described_options, engine_options, parse_tile
from tilesim_cli.command import FILE, FLAGS, ExampledCommand

if TYPE_CHECKING:
    from tilesim.engine.cluster import Cluster
    from tilesim.engine.work import Engine
    from tilesim.images.dataset import Dataset
    from tilesim.model.gainswitch import GainSwitching
    from tilesim.model.noise import Noise
    from tilesim.tools.measuring import MeasuredFrame, NoiseResult
    from tilesim.tools.noise import NoiseFigures
    from tilesim.tools.noisejob import NoiseJob


@click.command(
    "noise",
    cls=ExampledCommand,
    examples=(
        "out.zarr noisy.img --flicker 0.01 --calibration 0.02 --readout 3",
        "series.zarr noisy.zarr --psf gauss --psf-fwhm 90 --seed 1 --workers 4",
        "out.zarr dark.zarr --switching jungfrau --dark 0",
    ),
    options_metavar="[OPTIONS]",
    epilog="docs/noise.md says what each effect is.",
)
@click.argument("source", metavar="IN", type=click.Path())
@click.argument("target", metavar="OUT", type=click.Path())
@click.argument("flags", metavar="[-- NANOBRAGG_FLAGS ...]", nargs=-1, type=FLAGS)
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
@click.option("--switching", metavar="jungfrau|epix10k", help="Pixels that switch their gain (docs/noise.md).")
@click.option("--dark", type=click.IntRange(min=0), metavar="STAGE", help="A dark frame, in a gain stage from 0.")
@click.option("--pedestal-map", metavar="FILE", type=FILE, help="Image of every pixel's offset, units.")
@click.option("--gain-map", metavar="FILE", type=FILE, help="Image of every pixel's units per photon.")
@click.option("--noise-map", metavar="FILE", type=FILE, help="Image of every pixel's read-out noise, units.")
@click.option("--overload", type=float, metavar="X", help="Largest value of a pixel [the largest number].")
@click.option("--dead", metavar="FILE", type=FILE, help="Image that is not 0 where pixels see nothing.")
@click.option("--hot", metavar="FILE", type=FILE, help="Image that is not 0 where pixels are overloaded.")
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
@click.option("--pixel", type=float, metavar="MM", help="Edge of a pixel where the input does not state it.")
@click.option("--frame", metavar="N|A:B", help="A frame, or frames A to B - 1, by number [all].")
@click.option("--panel", type=click.IntRange(min=0), metavar="N", help="One panel [all].")
@click.option("--tile", metavar="N|SxF", callback=parse_tile, help="Pixels of a tile [that of the input].")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Threads of this process [one per core].")
@engine_options
@click.option(
    "--json", "json_file", metavar="FILE", type=FILE, help="Write what was done as JSON; - is standard output."
)
@COMPRESSION
@click.option("--overwrite", is_flag=True, help="Replace an existing store.")
@click.option("--resume", is_flag=True, help="Resume an interrupted run; repair damaged tiles.")
@click.option("--quiet", is_flag=True, help="Print errors and warnings only.")
def command(source: str, target: str, flags: tuple[str, ...], **options: Any) -> None:
    """Add the noise of beam and detector to the image, or to all frames, in IN, and write OUT.

    IN is a zarr store, or a float, SMV, CBF, TIFF, EDF or HDF5 file. OUT is one of these by its ending (.zarr or a URL,
    .bin, .img, .cbf, .tif, .edf, .h5); of a series a file's name holds {frame}. nanoBragg flags behind -- describe the
    geometry of a file that does not state it itself. Every random number belongs to its seed, frame and pixel, so the
    result depends neither on tiles nor on threads or workers.
    """
    from tilesim.errors import InputError
    from tilesim.series.launch import connected
    from tilesim.series.targets import json_output
    from tilesim.tools.gains import MAPS
    from tilesim.tools.measuring import check_measured, pixel_type_of
    from tilesim.tools.noisejob import MASKS, noise_job
    from tilesim_cli.described import chosen_frames, chosen_panels, opened
    from tilesim_cli.launch import access_of, files_of, telling_when_done, warn
    from tilesim_cli.summary import complain_of_missing

    access = access_of(options, "torch")
    if options["resume"] and options["overwrite"]:
        raise InputError("--resume and --overwrite exclude each other")
    pixel_type = pixel_type_of(target, options["dtype"])
    data = opened(source, flags, options)
    frames, panels = chosen_frames(data, options["frame"]), chosen_panels(data, options["panel"])
    named = {name: options[name.replace("-", "_")] for name in (*MASKS, *MAPS)}
    masks = {name: path for name, path in named.items() if path is not None}
    noise = noise_of(data, options)
    job = noise_job(data, noise, pixel_type, frames=frames, panels=panels, masks=masks, tile=options["tile"])
    check_measured(job, target, files_of(access), json_output(options["json_file"]))
    if data.attributes.get("noise") and noise.photon_noise:
        warn(f"{source} holds noise already; its photons are counted again")
    with telling_when_done() as done, connected(access, "cpu", warn, not options["quiet"]) as cluster:
        result = record(target, job, cluster, options)
        done()
    if options["json_file"]:
        from tilesim_cli.summary import write_json

        write_json(options["json_file"], summary(result, job))
    complain_of_missing(result.missing)


def noise_of(data: Dataset, options: Mapping[str, Any]) -> Noise:
    """The noise that options ask for. Raises InputError."""
    from tilesim.errors import InputError
    from tilesim.model.noise import Noise, PointSpread

    scale, fluence = options["scale"], options["fluence"]
    if fluence is not None:
        from tilesim.model.checks import not_negative
        from tilesim.tools.noisejob import fluence_of

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
    if options["dark"] is not None:
        scale = 0.0
    switching = switching_of(data, options)
    return Noise(scale=scale, point_spread=spread, switching=switching, **{name: options[name] for name in same})


def switching_of(data: Dataset, options: Mapping[str, Any]) -> GainSwitching | None:
    """The stages of gain that options ask for. Raises InputError."""
    from tilesim.errors import InputError
    from tilesim.model.gainswitch import NAMED

    name, dark = options["switching"], options["dark"]
    if name is None:
        if dark:
            raise InputError(f"--dark {dark} without gain stages; expected --switching, or --dark 0")
        return None
    if name not in NAMED:
        raise InputError(f"--switching {name[:40]}; expected one of {', '.join(NAMED)}")
    usual = (options["gain"], options["offset"], options["readout"]) == (1.0, 40.0, 0.0)
    if not usual or options["overload"] is not None:
        raise InputError(
            "--switching has gain, offset, read-out noise and end of its own; expected none of them beside"
        )
    if data.unknown:
        raise InputError(f"--switching needs the photon energy; {data.unknown}")
    energies = {experiment.beam.energy for experiment in data.series}
    middle = sum(energies) / len(energies)
    return NAMED[name](middle).replace(forced=dark)


def pixel_mm(data: Dataset, given: float | None, why: str) -> float:
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


def record(target: str, job: NoiseJob, cluster: Cluster | None, options: Mapping[str, Any]) -> NoiseResult:
    """Compute and write, showing progress, with a line on every image and warnings."""
    from tilesim.images.registry import Format, format_named
    from tilesim.series.progress import progress
    from tilesim.tools.measuring import NOISY, measure
    from tilesim_cli.launch import warn, wrote

    say: Callable[[str], None] = click.echo
    if options["quiet"] or options["json_file"] == "-":
        say = lambda line: None  # noqa: E731
    kept = format_named(target, NOISY) == Format.STORE
    # A store that goes in the end may have pixels of any size.
    edge = pixel_mm(job.source, options["pixel"], "a store") if kept or not job.source.unknown else 1.0

    few = len(job.frames) * len(job.panels) <= SHOWN_IMAGES

    def on_frame(frame: MeasuredFrame) -> None:
        for panel, figures in sorted(frame.panels.items()) if few else ():
            say(image_line(frame.number, panel if len(job.panels) > 1 else None, figures, job))
        for path in frame.files if few else ():
            say(f"wrote {path}")

    pixels = len(job.frames) * len(job.panels) * job.source.shape[0] * job.source.shape[1]
    how: dict[str, Any] = {"lines": False} if cluster is None else {"lines": False, "crew": lambda: cluster.crew}
    with progress(len(job.plan), pixels, not options["quiet"], "measuring", "pixels", **how) as on_tile:
        result = measure(
            job,
            target,
            pixel_size=edge * 1e-3,
            engine=engine_of(cluster, options["threads"]),
            on_tile=on_tile,
            on_frame=on_frame,
            **{name: options[name] for name in ("resume", "overwrite", "compression")},
        )
    if not few:
        say(images_line(result, job))
    shown = {path for frame in result.frames for path in frame.files} if few else set()
    for line in wrote([path for path in result.files if path not in shown]):
        say(line)
    for line in dict.fromkeys(line for frame in result.frames for line in frame.warnings):
        warn(line)
    warn_of_pixels([figures for frame in result.frames for figures in frame.panels.values()], job)
    return result


def engine_of(cluster: Cluster | None, threads: int | None) -> Engine:
    """What runs the tiles: workers, or threads of this process."""
    if cluster is not None:
        from tilesim.engine.dispatch import run_on_workers
        from tilesim_cli.launch import warn

        return partial(run_on_workers, cluster, warn=warn)
    from tilesim.engine.work import compute_here

    return partial(compute_here, threads=threads)


SHOWN_IMAGES = 20
"""Images, of a frame or a panel of it, that have a line each; more have one together."""


def images_line(result: NoiseResult, job: NoiseJob) -> str:
    """One line on many images."""
    found = [figures for frame in result.frames for figures in frame.panels.values()]
    photons, overloads = sum(one.photons(job.noise) for one in found), sum(one.overloads for one in found)
    what = f"{len(result.frames)} frames, {len(found)} images"
    return f"{what}: {photons:.0f} photons, {overloads} overloads; --json lists each"


def image_line(number: int, panel: int | None, figures: NoiseFigures, job: NoiseJob) -> str:
    """One line on a frame, or a panel of it."""
    name = f"frame {number}" + ("" if panel is None else f" panel {panel}")
    line = f"{name}: {figures.photons(job.noise):.0f} photons, {figures.overloads} overloads"
    return line + (f", {figures.blank} pixels without a value" if figures.blank else "")


def warn_of_pixels(figures: Sequence[NoiseFigures], job: NoiseJob) -> None:
    """Say what may surprise in the input."""
    from tilesim_cli.launch import warn

    blank, negative = sum(one.blank for one in figures), sum(one.negative for one in figures)
    if blank:
        warn(f"{blank} pixels have no value in {job.source.path}; they are {job.pixel_type.blank:.0f}")
    if negative:
        warn(f"{negative} pixels of {job.source.path} are negative; they count as 0")


def summary(result: NoiseResult, job: NoiseJob) -> dict[str, Any]:
    """What was done, as plain values."""
    from dataclasses import asdict

    from tilesim.tools.measuring import noise_provenance

    about, how = noise_provenance(job), job.measurement(0, 0)
    return {
        "input": job.source.path,
        **{name: about[name] for name in ("source", "noise", "masks", "seeds", "versions")},
        "files": list(result.files),
        "images": [
            {"frame": frame.number, "panel": panel, **figures.as_plain(how)}
            for frame in result.frames
            for panel, figures in sorted(frame.panels.items())
        ],
        "restored_tiles": result.restored,
        "workers": result.workers,
        "complete": not result.missing,
        "missing": [asdict(one) for one in result.missing],
    }
