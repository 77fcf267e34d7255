"""`tilesim trace`: every intermediate value of one pixel, and where two such logs part."""

from __future__ import annotations

from collections.abc import Callable

import click

from tilesim_cli.arguments import MixedCommand, experiment_options

NONE, DIFFERENT = 0, 1


class TraceCommand(MixedCommand):
    """As `run`, with help of its own."""

    examples = (
        "--pixel 120 130 -- -hkl P1.hkl -mat A.mat -distance 100 -N 5",
        "-hkl P1.hkl -mat A.mat -distance 100 -N 5 -trace_pixel 120 130 --strict-c > ours.log",
        "--compare ours.log theirs.log",
    )
    exit_statuses = (
        ("0", "done; the logs agree"),
        ("1", "the logs differ"),
        ("2", "bad input: flags, files, a log without TRACE lines"),
    )


@click.command("trace", cls=TraceCommand, options_metavar="[OPTIONS] NANOBRAGG_FLAGS ...")
@click.option(
    "--pixel", type=int, nargs=2, metavar="S F", help="Which pixel, slow and fast index (as -trace_pixel S F)."
)
@click.option("--most", type=click.IntRange(min=0), metavar="N", help="Print N evaluations only; sums are of all.")
@click.option("--json", "json_file", metavar="FILE", help="Write the values as JSON too; - is standard output.")
@click.option("--strict-c", is_flag=True, help="As nanoBragg computes it, defects included (docs/corrections.md).")
@click.option("--quiet", is_flag=True, help="Print no values.")
@click.option("--compare", type=click.Path(), nargs=2, metavar="A B", help="Compare two logs instead.")
@click.option("--tolerance", type=float, metavar="X", help="Relative, for --compare [1e-6].")
@experiment_options
@click.pass_context
def command(ctx: click.Context, **options) -> None:
    """Print every value that makes up one pixel: orientation, detector, ray, Miller indices, factors, scale.

    Lines are `TRACE: name value ...`, in double precision and SI units where the name says no other. --compare A B sets
    two such logs against each other, or those of instrumented nanoBragg builds and ports (TRACE_C:, TRACE_PY:), and
    names the first value that differs.
    """
    if options["compare"]:
        ctx.exit(_compare(ctx, options))
    if options["tolerance"] is not None:
        raise click.UsageError("--tolerance goes with --compare")
    from tilesim.errors import InputError
    from tilesim_cli.launch import read

    prepared = read(ctx.args, {**options, "write_fdump": False, "completeness": None})
    pixel = options["pixel"] or prepared.settings.trace_pixel
    if pixel is None:
        raise InputError("which pixel? expected --pixel SLOW FAST")
    json_file = options["json_file"]
    say = (lambda line: None) if options["quiet"] or json_file == "-" else click.echo
    traced = [] if json_file else None
    trace_lines(prepared, pixel, say, options["most"], traced)
    if json_file:
        from tilesim_cli.run import write_json

        write_json(json_file, _account(prepared, pixel, traced))


def trace_lines(
    prepared, pixel: tuple[int, int], say: Callable[[str], None], most: int | None = None, kept: list | None = None
) -> None:
    """Hand over the lines of one pixel; the values go to `kept` as well. Raises InputError."""
    from tilesim.tools.trace import trace_pixel

    def tell(traced) -> None:
        say(traced.text)
        if kept is not None:
            kept.append(traced.plain)

    trace_pixel(prepared.experiment, *pixel, tell, most, prepared.stages)


def _account(prepared, pixel: tuple[int, int], traced: list[dict]) -> dict:
    import tilesim

    return {
        "tilesim": tilesim.__version__,
        "command_line": list(prepared.arguments),
        "strict_c": prepared.strict_c,
        "pixel": list(pixel),
        "trace": traced,
    }


def _compare(ctx: click.Context, options: dict) -> int:
    """Exit status."""
    import math

    given = [f"--{name}" for name in ("pixel", "most") if options[name] is not None]
    if ctx.args or given:
        raise click.UsageError(f"--compare takes two logs alone; found {(*given, *ctx.args)[0]!r} besides")
    tolerance = 1e-6 if options["tolerance"] is None else options["tolerance"]
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise click.UsageError(f"--tolerance is {tolerance}; expected 0 or more")
    from tilesim.io.tracelog import read_trace
    from tilesim.tools.traces import account, compare_traces, comparison_lines

    names = options["compare"]
    comparison = compare_traces(*map(read_trace, names), tolerance)
    if not options["quiet"] and options["json_file"] != "-":
        for line in comparison_lines(comparison, names):
            click.echo(line)
    if options["json_file"]:
        from tilesim_cli.run import write_json

        write_json(options["json_file"], account(comparison))
    return DIFFERENT if comparison.differences else NONE
