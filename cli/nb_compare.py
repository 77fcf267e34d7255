"""`nb-compare`: tilesim in the place of nanobrag_torch, for scripts around its comparison of two programs."""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from tilesim_cli.command import ExampledCommand
from tilesim_cli.resultsfolder import results_folder

if TYPE_CHECKING:
    from tilesim.tools.programs import Program, ProgramRun

C_VARIABLE, PY_VARIABLE = "NB_C_BIN", "NB_PY_BIN"
"""Variables of the environment that name the programs where options do not."""
C_PLACES = ("./golden_suite_generator/nanoBragg", "./nanoBragg")
"""Where the C program is looked for last."""
OF_RUNS = ("c_float.bin", "c_stdout.txt", "c_stderr.txt", "py_float.bin", "py_stdout.txt", "py_stderr.txt")
RESULTS = ("c.png", "py.png", "diff.png", "diff.bin", "summary.json", *OF_RUNS)
"""What the folder for results may hold."""
TOLERANCE = 1e-5
"""That of `tilesim compare`, by which summary.json says whether the images are the same."""
BELOW, SHAPES = 3, 4
"""Exit statuses: the correlation is too low, or no program to compare with; the shapes differ."""


@click.command(
    "nb-compare",
    cls=ExampledCommand,
    examples=("--outdir out -- -default_F 100 -cell 100 100 100 90 90 90 -N 5 -distance 100 -detpixels 64",),
    options_metavar="[OPTIONS]",
    epilog="Exit status: 0 correlated well enough, 3 not so or no C program found, 4 different shapes, 2 bad input or a"
    " program that failed.",
)
@click.argument("words", metavar="-- NANOBRAGG_FLAGS ...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--outdir", type=click.Path(), metavar="DIR", help="Folder for results [comparisons/TIME-HASH].")
@click.option("--roi", type=int, nargs=4, metavar="X1 X2 Y1 Y2", help="Figures of this region, both ends included.")
@click.option("--threshold", type=float, default=0.95, metavar="R", help="Correlation that is enough [0.95].")
@click.option("--resample", is_flag=True, help="Compare images of different shapes on the coarser grid.")
@click.option("--png-scale", type=click.FloatRange(0, 100), default=99.5, metavar="P", help="White percentile [99.5].")
@click.option("--save-diff", is_flag=True, help="Write the difference, diff.bin.")
@click.option("--c-bin", metavar="PROGRAM", help="The C program [NB_C_BIN, then ./nanoBragg].")
@click.option("--py-bin", metavar="PROGRAM", help="The other one [NB_PY_BIN, else tilesim run --strict-c].")
@click.pass_context
def command(ctx: click.Context, words: tuple[str, ...], **options: Any) -> None:
    """Run the C program and tilesim with the same flags, and compare, with the options and results of nb-compare.

    `tilesim compare` says more of two images.
    """
    from tilesim.errors import InputError
    from tilesim.files.inventory import NamedFile, check_files
    from tilesim.nanobragg.inputs import files_read
    from tilesim.nanobragg.resolve import read_command
    from tilesim_cli.complaint import complain

    for name in ("threshold", "png_scale"):
        if options[name] != options[name]:
            raise click.UsageError(f"--{name.replace('_', '-')} is nan; expected a number")
    stray = [word for word in words if word.startswith("--")]
    if stray:
        raise click.UsageError(f"{stray[0]} stands behind --, among nanoBragg's flags; expected it before")
    resolved = read_command(words, strict_c=True)
    try:
        programs = {"c": find_c(options["c_bin"]), "py": find_py(options["py_bin"])}
    except InputError as error:
        complain(str(error))
        ctx.exit(BELOW)
    outdir = default_outdir(words) if options["outdir"] is None else options["outdir"]
    results = [NamedFile("--outdir", os.path.join(outdir, name)) for name in RESULTS]
    check_files(files_read(resolved), stores=results)
    with results_folder(outdir) as (folder, place):
        summary = _compared(ctx, words, programs, resolved, options, folder, place or outdir)
    for line in report(summary):
        click.echo(line)
    passed = summary["correlation"] is not None and summary["correlation"] >= options["threshold"]
    click.echo(f"wrote {outdir}\n{'PASS' if passed else 'FAIL'}: threshold {options['threshold']:g}")
    ctx.exit(0 if passed else BELOW)


def find_c(named: str | None) -> Program:
    """The C program. Raises InputError where there is none."""
    from tilesim.errors import InputError
    from tilesim.tools.programs import find_program

    named = named or os.environ.get(C_VARIABLE) or next(filter(os.path.exists, C_PLACES), None)
    if named is None:
        raise InputError(f"no C program: expected --c-bin, {C_VARIABLE} in the environment, or ./nanoBragg")
    return find_program(named)


def find_py(named: str | None) -> Program:
    """The program on tilesim's side: tilesim itself where none is named. Raises InputError where it is not there."""
    from tilesim.tools.programs import find_program, own_program

    named = named or os.environ.get(PY_VARIABLE)
    if not named:
        return own_program("--strict-c")
    return find_program(shlex.join([sys.executable, named]) if named.endswith(".py") else named)


def default_outdir(words: Sequence[str]) -> str:
    """A folder named by the time and by the flags."""
    of_flags = hashlib.md5(" ".join(words).encode(errors="surrogateescape"), usedforsecurity=False)
    return os.path.join("comparisons", f"{datetime.now():%Y%m%d-%H%M%S}-{of_flags.hexdigest()[:8]}")


def _compared(ctx, words, programs: dict[str, Program], resolved, options: dict, folder: str, outdir: str) -> dict:
    """Run both, compare, and write what belongs into `outdir`: all of it, or nothing."""
    from tilesim.files.replace import all_together, put_in_place
    from tilesim.tools.compare import Rectangle, as_plain, compare
    from tilesim.tools.nbcompare import draw_images, nb_figures
    from tilesim.tools.programs import run_program
    from tilesim_cli.summary import write_json

    has_table = resolved.settings.hkl_file is not None
    ran = {
        name: run_program(program, words, folder, name, os.path.join(outdir, f"{name}_float.bin"), has_table)
        for name, program in programs.items()
    }
    py, c = (_image(ctx, ran[name], programs[name], resolved.experiment.shape) for name in ("py", "c"))
    if tuple(py.shape) != tuple(c.shape) and not options["resample"]:
        _leave(ctx, f"different shapes, {_size(c.shape)} of C and {_size(py.shape)}; expected the same, or --resample")
    regions = [Rectangle(*options["roi"])] if options["roi"] else []
    found, py, c = compare(py, c, regions, tolerance=TOLERANCE, peaks=50, resample=options["resample"])
    seconds = {name: one.seconds for name, one in ran.items()}
    summary = {
        "a": {"command": list(ran["py"].command), "seconds": seconds["py"]},
        "b": {"command": list(ran["c"].command), "seconds": seconds["c"]},
        **as_plain(found),
        **nb_figures(found, py, c),
        **{f"runtime_{name}_ms": int(1000 * time) for name, time in seconds.items()},
        "speedup": seconds["c"] / seconds["py"],
        "args": list(words),
        "c_binary": shlex.join(programs["c"].shown),
        "py_binary": shlex.join(programs["py"].shown),
        "roi": list(options["roi"]) if options["roi"] else None,
        "resample": options["resample"],
        "png_scale_method": "percentile",
        "png_scale_percentile": options["png_scale"],
    }
    with all_together():
        draw_images(outdir, py, c, options["png_scale"], options["save_diff"])
        for name, one in ran.items():
            made = {"float.bin": one.float_file, "stdout.txt": one.log, "stderr.txt": one.errors}
            for ending, path in made.items():
                put_in_place(path, os.path.join(outdir, f"{name}_{ending}"))
        write_json(os.path.join(outdir, "summary.json"), summary)
    return summary


def _image(ctx: click.Context, ran: ProgramRun, program: Program, shape: tuple[int, int]) -> Any:
    """The image that a program made: of the shape that the flags say, or a square."""
    from tilesim.errors import InputError
    from tilesim.images.image import open_image

    for tried in (shape, None):
        try:
            return open_image(ran.float_file, shape=tried)
        except InputError as error:
            text = str(error)
    return _leave(ctx, text.replace(ran.float_file, f"the float file of {shlex.join(program.shown)}"))


def _leave(ctx: click.Context, text: str) -> None:
    """Leave with the status of different shapes."""
    from tilesim_cli.complaint import complain

    complain(text)
    ctx.exit(SHAPES)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]}"


def report(summary: dict) -> list[str]:
    """The figures for people."""
    rows = [
        ("Correlation", summary["correlation"], ".6f"),
        ("RMSE", summary["rmse"], ".6f"),
        ("Max absolute difference", summary["max_abs_diff"], ".6f"),
        ("C sum", summary["c_sum"], ".2f"),
        ("Py sum", summary["py_sum"], ".2f"),
        ("Sum ratio (Py/C)", summary["sum_ratio"], ".6f"),
        ("Mean peak distance", summary["mean_peak_distance"], ".2f"),
        ("Max peak distance", summary["max_peak_distance"], ".2f"),
        ("Runtime speedup (C/Py)", summary["speedup"], ".2f"),
    ]
    return [f"{name}: {'none' if value is None else format(value, form)}" for name, value, form in rows]
