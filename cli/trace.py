"""`tilesim trace`: every intermediate value of one pixel, and where two such logs part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from tilesim_cli.arguments import experiment_options
from tilesim_cli.command import FILE
from tilesim_cli.mixed import MixedCommand

if TYPE_CHECKING:
    from tilesim.files.inventory import NamedFile
    from tilesim.model import Experiment
    from tilesim.nanobragg.command import Stage
    from tilesim.tools.tracelog import Traced

    Described = tuple[Experiment, Sequence[Stage], dict[str, Any], Sequence[NamedFile]]

Say = Callable[[str], None]
NONE, DIFFERENT = 0, 1


@click.command(
    "trace",
    cls=MixedCommand,
    first=(),
    options_metavar="[OPTIONS] STORE | NANOBRAGG_FLAGS ...",
    examples=(
        "--pixel 120 130 -- -hkl P1.hkl -mat A.mat -distance 100 -N 5",
        "--pixel 120 130 out.zarr --frame 3",
        "-hkl P1.hkl -mat A.mat -distance 100 -N 5 -trace_pixel 120 130 --strict-c > ours.log",
        "--compare ours.log theirs.log",
    ),
    exit_statuses=(
        ("0", "done; the logs agree"),
        ("1", "the logs differ"),
        ("2", "bad input: flags, files, a log without TRACE lines"),
    ),
)
@click.option(
    "--pixel", type=int, nargs=2, metavar="S F", help="Which pixel, slow and fast index (as -trace_pixel S F)."
)
@click.option("--frame", type=click.IntRange(min=0), metavar="N", help="Frame of a store by its number [the first].")
@click.option("--most", type=click.IntRange(min=0), metavar="N", help="Print N evaluations only; sums are of all.")
@click.option(
    "--json", "json_file", metavar="FILE", type=FILE, help="Write the values as JSON too; - is standard output."
)
@click.option("--strict-c", is_flag=True, help="As nanoBragg computes it, defects included (`tilesim corrections`).")
@click.option("--quiet", is_flag=True, help="Print no values.")
@click.option("--compare", type=click.Path(), nargs=2, metavar="A B", help="Compare two logs instead.")
@click.option("--tolerance", type=float, metavar="X", help="Relative, for --compare [1e-6].")
@experiment_options
@click.pass_context
def command(ctx: click.Context, **options: Any) -> None:
    """Print every value that makes up one pixel: orientation, detector, ray, Miller indices, factors, scale.

    The experiment is that of a STORE, which needs no flags, or of nanoBragg flags.

    Lines are `TRACE: name value ...`, in double precision and SI units where the name says no other. --compare A B sets
    two such logs against each other, or those of instrumented nanoBragg builds and ports (TRACE_C:, TRACE_PY:), and
    names the first value that differs.
    """
    if options["compare"]:
        ctx.exit(_compare(ctx, options))
    if options["tolerance"] is not None:
        raise click.UsageError("--tolerance goes with --compare")
    from tilesim.errors import InputError
    from tilesim.files.inventory import check_files
    from tilesim.series.targets import json_output

    experiment, stages, about, read = (_stored if ctx.args and not ctx.args[0].startswith("-") else _described)(
        ctx, options
    )
    pixel = options["pixel"] or about.pop("pixel", None)
    if pixel is None:
        raise InputError("which pixel? expected --pixel SLOW FAST")
    json_file = options["json_file"]
    check_files(read, json_output(json_file))
    say: Say = (lambda line: None) if options["quiet"] or json_file == "-" else click.echo
    traced: list[dict[str, Any]] | None = [] if json_file else None
    trace_lines(experiment, pixel, say, options["most"], traced, stages)
    if json_file:
        import tilesim
        from tilesim_cli.summary import write_json

        strict = experiment.sampling.strict_c
        plain = {"tilesim": tilesim.__version__, **about, "strict_c": strict, "pixel": list(pixel), "trace": traced}
        write_json(json_file, plain)


def _described(ctx: click.Context, options: Mapping[str, Any]) -> Described:
    """The experiment of a command line, how it came about, what to say of it, and which files were read for it."""
    from tilesim.nanobragg.inputs import files_read
    from tilesim_cli.launch import read

    if options["frame"] is not None:
        raise click.UsageError("--frame goes with a store")
    command = read(ctx.args, {**options, "write_fdump": False, "completeness": None})
    about = {"command_line": list(command.arguments), "pixel": command.settings.trace_pixel}
    return command.experiment, command.stages, about, files_read(command)


def _stored(ctx: click.Context, options: Mapping[str, Any]) -> Described:
    """The same of a store or of an image file that holds its experiments."""
    from tilesim_cli.described import opened

    path, *flags = ctx.args
    data = opened(path, flags, {**options, "shape": None})
    number = data.frames[0] if options["frame"] is None else options["frame"]
    about = {"command_line": data.attributes.get("command_line"), "source": path, "frame": number}
    return data.experiment(data.place(number)), (), about, data.inputs


def trace_lines(
    experiment: Experiment,
    pixel: tuple[int, int],
    say: Say,
    most: int | None = None,
    kept: list[dict[str, Any]] | None = None,
    stages: Sequence[Stage] = (),
) -> None:
    """Hand over the lines of one pixel; the values go to `kept` as well. Raises InputError."""
    from tilesim.tools.trace import trace_pixel

    def tell(traced: Traced) -> None:
        say(traced.text)
        if kept is not None:
            kept.append(traced.plain)

    trace_pixel(experiment, *pixel, tell, most, stages)


def _compare(ctx: click.Context, options: Mapping[str, Any]) -> int:
    """Exit status."""
    import math

    given = [f"--{name}" for name in ("pixel", "frame", "most") if options[name] is not None]
    if ctx.args or given:
        raise click.UsageError(f"--compare takes two logs alone; found {(*given, *ctx.args)[0]!r} besides")
    tolerance = 1e-6 if options["tolerance"] is None else options["tolerance"]
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise click.UsageError(f"--tolerance is {tolerance}; expected 0 or more")
    from tilesim.files.inventory import NamedFile, check_files
    from tilesim.series.targets import json_output
    from tilesim.tools.tracelog import read_trace
    from tilesim.tools.traces import account, compare_traces, comparison_lines

    names = options["compare"]
    check_files([NamedFile("--compare", name) for name in names], json_output(options["json_file"]))
    comparison = compare_traces(*map(read_trace, names), tolerance)
    if not options["quiet"] and options["json_file"] != "-":
        for line in comparison_lines(comparison, names):
            click.echo(line)
    if options["json_file"]:
        from tilesim_cli.summary import write_json

        write_json(options["json_file"], account(comparison))
    return DIFFERENT if comparison.differences else NONE
