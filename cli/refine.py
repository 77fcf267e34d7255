"""`tilesim refine`: parameters of an experiment fitted to measured images."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import click

from tilesim_cli.arguments import engine_options, parse_tile
from tilesim_cli.command import FILE, FLAGS, ExampledCommand

if TYPE_CHECKING:
    from tilesim.engine.work import Engine, Event, Work
    from tilesim.files.inventory import NamedFile
    from tilesim.gradients.constraints import Constraint
    from tilesim.images.dataset import Dataset
    from tilesim.refinement.loop import Progress
    from tilesim.refinement.refining import Refining
    from tilesim.refinement.result import Refinement
    from tilesim.refinement.state import Kept

NOT_CONVERGED = 1
GEOMETRIES = (".expt", ".geom", ".toml")
"""Endings of files that are the geometry of DATA, to which flags add the rest."""
OUTPUTS = {"expt": "--expt", "zarr": "--zarr", "residuals": "--residuals", "json_file": "--json"}
EPILOG = "Exit status: 0 converged, 1 not converged, 2 bad input. docs/refine.md has a worked example."


MOST = 1e9
"""Photons, or standard deviations, whose squares are numbers."""


@click.command(
    "refine",
    cls=ExampledCommand,
    examples=(
        "start.zarr measured.cbf --vary rotation,scale --expt refined.expt --residuals residuals.png",
        "start.expt measured.zarr --vary rotation,cell,distance --shared distance -- -hkl P1.hkl -N 10",
    ),
    options_metavar="[OPTIONS]",
    epilog=EPILOG,
)
@click.argument("experiment", metavar="EXPERIMENT", type=click.Path())
@click.argument("data", metavar="DATA", type=click.Path())
@click.argument("flags", metavar="[-- NANOBRAGG_FLAGS ...]", nargs=-1, type=FLAGS)
@click.option("--vary", required=True, metavar="NAME,...", help="Parameters: rotation,cell,N,eta,scale,distance,...")
@click.option("--bound", "bounds", multiple=True, metavar="NAME=LOW:HIGH", help="Bounds; factors of the start.")
@click.option("--prior", "priors", multiple=True, metavar="NAME=SD", help="How well it is known, relative to it.")
@click.option("--shared", metavar="NAME,...", help="Parameters that all frames have in common, such as distance.")
@click.option("--lattice", metavar="SYSTEM", help="Lattice system that the cell keeps [that of the cell].")
@click.option("--group", "groups", multiple=True, metavar="A:B,...", help="A rigid group of panels; may be repeated.")
@click.option("--readout", type=click.FloatRange(0, MOST), metavar="X", help="Read-out noise, photons [as DATA says].")
@click.option(
    "--robust",
    type=click.FloatRange(0, MOST, min_open=True),
    metavar="X",
    help="Standard deviations beyond which a pixel pulls no harder.",
)
@click.option("--gain", type=float, metavar="X", help="Detector units of a photon [as DATA says, or 1].")
@click.option("--offset", type=float, metavar="X", help="Detector units of a dark pixel [as DATA says, or 0].")
@click.option(
    "--background",
    metavar="X|FILE",
    type=FILE,
    help="Photons of a pixel besides the experiment's, or an image of them.",
)
@click.option("--shoebox", type=click.IntRange(min=0), metavar="N", help="Only pixels that near predicted reflections.")
@click.option("--widths", metavar="W,...,1", help="How many times broader reflections are, stage by stage.")
@click.option("--steps", type=click.IntRange(min=1), default=50, metavar="N", help="Steps of the last stage, at most.")
@click.option("--frame", "frames", metavar="N|A:B", help="A frame of DATA, or frames A to B - 1, by number [all].")
@click.option("--shape", metavar="SxF", callback=parse_tile, help="Pixels of a float file DATA, slow x fast [square].")
@click.option("--strict-c", is_flag=True, hidden=True)
@click.option("--expt", metavar="FILE.expt", type=FILE, help="Write the refined models for DIALS.")
@click.option(
    "--zarr", metavar="DIR", type=FILE, help="Write the refined images as a store, which holds the experiments too."
)
@click.option("--residuals", metavar="FILE.png", type=FILE, help="Draw residuals before and after; {frame} of several.")
@click.option("--json", "json_file", metavar="FILE", type=FILE, help="Write the numbers as JSON; - is standard output.")
@click.option("--overwrite", is_flag=True, help="Replace an existing store.")
@click.option("--resume", is_flag=True, help="Resume an interrupted refinement with the same outputs.")
@engine_options
@click.option("--quiet", is_flag=True, help="Print errors and warnings only.")
@click.pass_context
def command(ctx: click.Context, experiment: str, data: str, flags: tuple[str, ...], **options: Any) -> None:
    """Fit parameters of EXPERIMENT to the image, or to all frames, in DATA.

    EXPERIMENT is a store of `tilesim run`, an image that holds its experiment, or a geometry such as a DIALS .expt with
    nanoBragg flags behind -- for the rest, as for `run`. DATA is any image that tilesim reads, in detector units.
    """
    from tilesim.engine.backend import resolve_backend
    from tilesim.files.inventory import NamedFile, check_files
    from tilesim.refinement.report import report_lines
    from tilesim.refinement.state import Kept
    from tilesim.series.launch import connected
    from tilesim_cli.launch import access_of, files_of, telling_when_done, warn

    access = access_of(options)
    start, source, places = _read(experiment, data, flags, options)
    named = [
        NamedFile("--background", name) for name in [_number_or_name(options["background"])] if isinstance(name, str)
    ]
    check_files([*start.inputs, *source.inputs, *named, *files_of(access)], *_outputs(options))
    _check_outputs(options, len(places))
    plan = _plan(start, source, places, options)
    state = _state_file(options)
    kept = Kept(state, plan, options["resume"])
    begun = kept.read()
    resolve_backend("fused", 0, "cpu")
    loud = not (options["quiet"] or options["json_file"] == "-")
    with telling_when_done() as done, connected(access, "cpu", warn, not options["quiet"]) as cluster:
        with _saying_what_is_kept(state):
            found = plan.run(_engine(cluster, loud), lambda now: _step(now, kept, loud), begun)
        numbers = tuple(source.frames[place] for place in places)
        if loud:
            for line in report_lines(found, numbers):
                click.echo(line)
        for line in found.warnings:
            warn(line)
        written = _write(found, plan, source, numbers, cluster, options)
        done()
    if options["json_file"]:
        _write_json(found, experiment, data, numbers, written, options)
    kept.remove()
    if loud:
        for path in (*written, *filter(None, [options["json_file"]])):
            click.echo(f"wrote {path}")
    ctx.exit(0 if found.converged else NOT_CONVERGED)


@contextmanager
def _saying_what_is_kept(state: str | None) -> Iterator[None]:
    """What ends the refinement early says how to go on."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and state and os.path.exists(state):
            error.add_note("the same command with --resume goes on from the last step")
        raise


def _read(
    experiment: str, data: str, flags: Sequence[str], options: Mapping[str, Any]
) -> tuple[Dataset, Dataset, tuple[int, ...]]:
    """Where the start is read from, the measured images, and which of their frames. Raises InputError."""
    from tilesim_cli.described import chosen_frames, opened, started

    described = {"shape": options["shape"], "strict_c": False}
    if experiment.lower().endswith(GEOMETRIES):
        start, source = started(experiment, flags, data, options["shape"])
        return start, source, chosen_frames(source, options["frames"])
    source = opened(data, (), described)
    return opened(experiment, flags, {**described, "shape": None}), source, chosen_frames(source, options["frames"])


def _plan(start: Dataset, source: Dataset, places: tuple[int, ...], options: Mapping[str, Any]) -> Refining:
    """The refinement, checked. Raises InputError."""
    from tilesim.refinement.matched import matched
    from tilesim.refinement.refining import refining

    experiments, measured = matched(
        start, source, options["gain"], options["offset"], places, _number_or_name(options["background"])
    )
    same = ("lattice", "readout", "robust", "shoebox", "steps")
    return refining(
        experiments,
        measured,
        constraints_of(options["vary"], options["bounds"], options["priors"]),
        shared=_names(options["shared"]),
        groups=[_panels(text) for text in options["groups"]],
        widths=_numbers("--widths", options["widths"]),
        **{name: options[name] for name in same},
    )


def constraints_of(vary: str, bounds: Sequence[str], priors: Sequence[str]) -> dict[str, Constraint | None]:
    """Constraints by the name of the parameter. Raises UsageError."""
    from tilesim.gradients.constraints import Bounded, Free

    found: dict[str, Constraint | None] = dict.fromkeys(_names(vary))
    deviations = {}
    for text in priors:
        name, value = _assigned("--prior", text, found)
        deviations[name] = _number("--prior", value)
    for text in bounds:
        name, value = _assigned("--bound", text, found)
        low, colon, high = value.partition(":")
        if not colon:
            raise click.UsageError(f"--bound {text}; expected NAME=LOW:HIGH, such as cell=0.99:1.01")
        found[name] = Bounded(_number("--bound", low), _number("--bound", high), prior=deviations.pop(name, None))
    return {**found, **{name: Free(prior=value) for name, value in deviations.items()}}


def _assigned(option: str, text: str, known: Mapping[str, object]) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not value or name not in known:
        raise click.UsageError(f"{option} {text}; expected NAME=... with a name of --vary: {', '.join(known)}")
    return name, value


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in _apart(text or "") if name.strip()]


def _apart(text: str) -> list[str]:
    """Parts between commas, but for those within brackets, as in detector[0,3].distance."""
    parts, depth = [""], 0
    for letter in text:
        depth += {"[": 1, "]": -1}.get(letter, 0)
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _numbers(option: str, text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise click.UsageError(f"{option} {text[:60]}; expected numbers") from None


def _number(option: str, text: str) -> float:
    found = _numbers(option, text) or []
    if len(found) != 1:
        raise click.UsageError(f"{option} {text[:60]}; expected one number")
    return found[0]


def _number_or_name(text: str | None) -> float | str:
    """A number where it is one; 0 where nothing is said."""
    try:
        return float(text or 0.0)
    except ValueError:
        return text or ""


def _panels(text: str) -> list[int]:
    """Numbers of panels, such as 0:4,7."""
    found: list[int] = []
    for part in text.split(","):
        first, colon, stop = part.partition(":")
        if not (first.isdecimal() and (stop.isdecimal() or not colon)) or (colon and int(stop) <= int(first)):
            raise click.UsageError(f"--group {text[:60]}; expected panels such as 0:4,7")
        found += range(int(first), int(stop) if colon else int(first) + 1)
    return found


def _outputs(options: Mapping[str, Any]) -> tuple[list[NamedFile], list[NamedFile]]:
    """Files and stores that are written."""
    from tilesim.files.inventory import NamedFile

    named = {label: options[name] for name, label in OUTPUTS.items() if options[name] not in (None, "-")}
    store = named.pop("--zarr", None)
    files = [NamedFile(label, name) for label, name in named.items()]
    return files, [] if store is None else [NamedFile("--zarr", store)]


def _check_outputs(options: Mapping[str, Any], count: int) -> None:
    """Refuse before any work what could not be written after it. Raises InputError, StoreError."""
    from tilesim.errors import InputError
    from tilesim.files.replace import is_special
    from tilesim.files.templates import check_template, fields_of, one_for_many
    from tilesim.refinement.written import check_store

    if (picture := options["residuals"]) is not None:
        check_template("--residuals", picture, ("frame", "image"))
        if count > 1 and not fields_of(picture):
            raise one_for_many("--residuals", picture, count)
        if not picture.lower().endswith(".png") and not is_special(picture):
            raise InputError(f"--residuals {picture} would be a PNG; expected a name that ends in .png")
    if options["zarr"] is not None and not options["resume"]:
        check_store(options["zarr"], options["overwrite"])


def _state_file(options: Mapping[str, Any]) -> str | None:
    """The hidden file beside the first output that keeps where the refinement is. Raises UsageError."""
    from tilesim.files.replace import hidden_place

    files, stores = _outputs(options)
    local = [one.path for one in (*files, *stores) if "://" not in one.path]
    if not local and options["resume"]:
        raise click.UsageError(
            "--resume without an output; expected the --expt, --zarr, --residuals or --json of before"
        )
    if not local:
        return None
    folder, name = os.path.split(os.path.realpath(local[0]))
    store = os.path.isdir(local[0])  # which is replaced in the end
    return os.path.join(folder, f".{name}.state") if store else f"{hidden_place(local[0])}.state"


def _engine(cluster: Any, loud: bool) -> Engine:
    """What runs the tiles, with a bar where there is a terminal."""
    from tilesim.series.progress import counting
    from tilesim.tools.reached import engine_of

    engine = engine_of(cluster)

    def counted(works: Sequence[Work]) -> Generator[Event]:
        tiles = sum(len(work.function.plan) for work in works)
        with counting("comparing", tiles, "tiles", loud) as tick, closing(engine(works)) as events:
            for event in events:
                tick()
                yield event

    return counted


def _step(now: Progress, kept: Kept, loud: bool) -> None:
    """Keep where it is, and say so."""
    from tilesim.refinement.report import step_line

    kept.write(now)
    if loud:
        click.echo(step_line(now))


def _write(
    found: Refinement,
    plan: Refining,
    source: Dataset,
    numbers: tuple[int, ...],
    cluster: Any,
    options: Mapping[str, Any],
) -> list[str]:
    """Write what was asked for; the names. Raises StoreError, InputError."""
    from tilesim.files.templates import fill
    from tilesim.images.expt import ModelImages, write_expt
    from tilesim.model import Series
    from tilesim.refinement.picture import draw_residuals

    written = []
    series = Series.of([frame.experiment for frame in found.frames], numbers=numbers)
    if (path := options["expt"]) is not None:
        images = os.path.relpath(os.path.abspath(source.path), os.path.dirname(os.path.abspath(path)))
        write_expt(path, series, images=ModelImages((images,)))
        written.append(path)
    if (path := options["zarr"]) is not None:
        from tilesim.refinement.written import write_store

        write_store(path, series, cluster, options["overwrite"])
        written.append(path)
    if (path := options["residuals"]) is not None:
        for place, (number, frame) in enumerate(zip(numbers, found.frames, strict=True)):
            name, start = fill(path, number, 0), plan.parameters[place].experiment
            draw_residuals(name, plan.measured, place, start, frame.experiment, plan.weighting)
            written.append(name)
    return written


def _write_json(
    found: Refinement,
    experiment: str,
    data: str,
    numbers: tuple[int, ...],
    written: list[str],
    options: Mapping[str, Any],
) -> None:
    from tilesim_cli.summary import write_json

    plain = found.as_plain()
    for number, frame in zip(numbers, plain["frames"], strict=True):
        frame["frame"] = number
    write_json(options["json_file"], {"experiment": experiment, "data": data, **plain, "files": written})
