"""`tilesim compare`: two images, or two programs run with the same flags."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tilesim_cli.arguments import parse_tile
from tilesim_cli.command import FILE, FLAGS, ExampledCommand
from tilesim_cli.resultsfolder import results_folder

if TYPE_CHECKING:
    from tilesim.files.inventory import NamedFile
    from tilesim.nanobragg.command import Command

PROGRAMS = ("NB_C_BIN", "NB_PY_BIN")
"""Variables of the environment that name the other program where --against does not."""
RUNS = ("a.bin", "a.log", "b.bin", "b.log")
"""Float files and logs of programs that were run."""
RESULTS = ("a.png", "b.png", "difference.png", "comparison.png", "summary.json", *RUNS)
"""What --outdir may hold."""
PASSED_ON = ("device", "precision", "backend")
"""Options that are tilesim run's."""


def parse_pair(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[int, int]:
    """`3` for both images, or `3,0` for the first and the second."""
    if not re.fullmatch(r"\d{1,9}(,\d{1,9})?", value):
        raise click.BadParameter(f"{value!r}; expected a number from 0, or two such as 3,0 for A and B")
    first, _, second = value.partition(",")
    return int(first), int(second or first)


@click.command(
    "compare",
    cls=ExampledCommand,
    examples=(
        "out.bin reference.bin",
        "out.zarr frame_0001.cbf --frame 0 --outdir compared",
        "--against nanoBragg -- -mat A.mat -hkl P1.hkl -lambda 1 -distance 100 -N 5",
    ),
    options_metavar="[OPTIONS]",
    epilog="Exit status: 0 the same within the tolerance, 1 not the same, 2 bad input or a program that failed.",
)
@click.argument("words", metavar="A B | -- NANOBRAGG_FLAGS ...", nargs=-1, type=FLAGS)
@click.option("--against", metavar="PROGRAM", help="The second program [NB_C_BIN, then NB_PY_BIN, in the environment].")
@click.option("--corrected", is_flag=True, help="Run tilesim without --strict-c, nanoBragg's defects corrected.")
@click.option("--device", metavar="auto|cpu|cuda[:n]", help="Device of the tilesim run [auto].")
@click.option("--precision", type=click.Choice(["mixed", "double"]), help="Precision of the tilesim run [mixed].")
@click.option("--backend", type=click.Choice(["auto", "eager", "fused"]), help="Kernel of the tilesim run [auto].")
@click.option("--shape", metavar="SxF", callback=parse_tile, help="Pixels of float files, slow x fast [square].")
@click.option("--frame", "frames", default="0", callback=parse_pair, metavar="N[,M]", help="Frame of A (and of B) [0].")
@click.option("--panel", "panels", default="0", callback=parse_pair, metavar="N[,M]", help="Panel of A (and of B) [0].")
@click.option(
    "--roi",
    "regions",
    type=int,
    nargs=4,
    multiple=True,
    metavar="X1 X2 Y1 Y2",
    help="Judge by this region, fast first and last, slow first and last (as nanoBragg's -roi); may be repeated.",
)
@click.option("--tolerance", type=click.FloatRange(min=0), default=1e-5, metavar="X", help="Golden metric [1e-5].")
@click.option("--peaks", type=click.IntRange(0, 2000), default=50, metavar="N", help="Brightest peaks to match [50].")
@click.option("--resample", is_flag=True, help="Compare images of different shapes on the coarser grid.")
@click.option("--outdir", metavar="DIR", type=FILE, help="Write summary.json, pictures, float files, logs.")
@click.option("--json", "json_file", metavar="FILE", type=FILE, help="Write the figures as JSON; - is standard output.")
@click.option("--quiet", is_flag=True, help="Print nothing; the exit status says it.")
@click.pass_context
def command(ctx: click.Context, words: tuple[str, ...], **options) -> None:
    """Compare the images A and B, or what tilesim and another program make of the same nanoBragg flags.

    A and B are stores, float files, or SMV, CBF, TIFF, EDF or HDF5 images. B is the reference: the golden metric
    is max |a - b| / max(|b|, 1e-6 max |b|) over the pixels.
    """
    from tilesim.files.inventory import check_files
    from tilesim.nanobragg.inputs import files_read
    from tilesim.nanobragg.resolve import read_command
    from tilesim.series.targets import json_output
    from tilesim.tools.compare import Rectangle

    if options["tolerance"] != options["tolerance"]:
        raise click.UsageError("--tolerance is nan; expected a number, not negative")
    regions = tuple(Rectangle(*region) for region in options["regions"])
    run = bool(words) and any(word.startswith("-") and not os.path.exists(word) for word in words)
    _check(words, run, options)
    resolved = read_command(words, not options["corrected"]) if run else None
    inputs = files_read(resolved) if resolved else _read(words)
    check_files(inputs, json_output(options["json_file"]), stores=_results(options["outdir"]))
    with results_folder(options["outdir"]) as (folder, outdir):
        if resolved is not None:
            account, images = _two_programs(words, resolved, options, folder, outdir)
        else:
            account, images = _two_files(words, options)
        summary = _compared(account, images, regions, options, folder, outdir)
    if options["json_file"]:
        from tilesim_cli.summary import write_json

        write_json(options["json_file"], summary)
    if not options["quiet"] and options["json_file"] != "-":
        for line in report(summary):
            click.echo(line)
    ctx.exit(0 if summary["within"] else 1)


def _check(words: Sequence[str], run: bool, options: dict) -> None:
    """Raise click.UsageError on what does not go together."""
    if not run:
        if options["against"] or options["corrected"] or any(options[name] for name in PASSED_ON):
            raise click.UsageError("--against, --corrected and options of the run need nanoBragg flags, behind --")
        if len(words) != 2:
            raise click.UsageError(f"expected two images, or -- and nanoBragg flags; found {len(words)} names")
        return
    stray = [word for word in words if word.startswith("--")]
    if stray:
        raise click.UsageError(f"{stray[0]} stands behind --, among nanoBragg's flags; expected it before")
    if options["shape"] or any((*options["frames"], *options["panels"])):
        raise click.UsageError("--shape, --frame and --panel go with two images")


def _read(words: Sequence[str]) -> list[NamedFile]:
    """The files of the images A and B, with those that they link to and that lie beside them."""
    from tilesim.files.inventory import NamedFile
    from tilesim.files.linked import linked_files
    from tilesim.images.flatfloat import sidecar_of

    pairs = zip("AB", words, strict=True)
    return [NamedFile(name, one) for name, path in pairs for one in (path, sidecar_of(path), *linked_files(path))]


def _results(outdir: str | None) -> list[NamedFile]:
    """What may be written into the folder for results; the folder is made later."""
    from tilesim.files.inventory import NamedFile

    return [] if outdir is None else [NamedFile("--outdir", os.path.join(outdir, name)) for name in RESULTS]


def _two_files(words: Sequence[str], options: dict) -> tuple[dict, tuple]:
    """What was given, and both images."""
    from tilesim.images.opening import open_dataset
    from tilesim.images.pixels import Image, MaskedImage
    from tilesim.images.registry import format_of

    kinds = [format_of(word) for word in words]
    images: dict[int, Image] = {}
    outside = {}
    # What has a header gives the shape to what has none.
    for n in sorted((0, 1), key=lambda n: kinds[n] == "float"):
        shape = options["shape"] if kinds[n] == "float" else None
        other = images.get(1 - n)
        if kinds[n] == "float" and shape is None and other is not None:
            pixels = other.shape[0] * other.shape[1]
            shape = other.shape if os.path.getsize(words[n]) == 4 * pixels else None
        data, panel = open_dataset(words[n], shape=shape), options["panels"][n]
        # Panels in one picture are compared as one.
        place = (options["frames"][n], None if data.stacked and not panel else panel)
        images[n], outside[n] = data.pixels(*place), data.outside(*place)
    for n, image in images.items():
        # What one of them knows to be masked is no difference.
        masked = outside[1 - n]
        if masked is not None and masked.shape == tuple(image.shape):
            images[n] = MaskedImage(image, masked)
    accounts = [
        {"file": word, "format": kind, "frame": options["frames"][n], "panel": options["panels"][n]}
        for n, (word, kind) in enumerate(zip(words, kinds, strict=True))
    ]
    return {"a": accounts[0], "b": accounts[1]}, (images[0], images[1])


def _two_programs(
    words: Sequence[str], resolved: Command, options: dict, folder: str, outdir: str | None
) -> tuple[dict, tuple]:
    """How both were run, and the images that they made. Raises InputError where one fails."""
    from tilesim.errors import InputError
    from tilesim.images.image import open_image
    from tilesim.tools.programs import find_program, own_program, run_program

    named = options["against"] or next(filter(None, map(os.environ.get, PROGRAMS)), None)
    if named is None:
        raise click.UsageError("--against PROGRAM, or NB_C_BIN in the environment, must name the other program")
    other = find_program(named)
    strict = not options["corrected"]
    if resolved.settings.misset == "random" and resolved.settings.misset_seed is None and not options["quiet"]:
        click.echo("WARNING: a random -misset without -misset_seed is another one in every run", err=True)
    chosen = [word for name in PASSED_ON if options[name] for word in (f"--{name}", options[name])]
    own = own_program(*(["--strict-c"] if strict else []), *chosen)
    has_table = resolved.settings.hkl_file is not None
    account, images = {}, []
    for name, program in (("a", own), ("b", other)):
        final = os.path.join(outdir or "", f"{name}.bin")
        ran = run_program(program, words, folder, name, final, has_table)
        ran.join_logs()
        account[name] = {"command": list(ran.command), "seconds": ran.seconds, "float_file": final if outdir else None}
        try:
            images.append(open_image(ran.float_file, shape=resolved.experiment.shape))
        except InputError as error:
            if name == "a" or not options["resample"]:
                text = str(error).replace(ran.float_file, f"the float file of {shlex.join(program.shown)}")
                raise InputError(text) from None
            images.append(open_image(ran.float_file))
    return account, tuple(images)


def _compared(account: dict, images: tuple, regions: tuple, options: dict, folder: str, outdir: str | None) -> dict:
    """Compare, and write what belongs into `outdir`: all of it, or nothing."""
    from tilesim.files.replace import all_together, put_in_place
    from tilesim.tools.compare import as_plain, compare

    found, a, b = compare(
        *images,
        regions,
        tolerance=options["tolerance"],
        peaks=options["peaks"],
        resample=options["resample"],
    )
    summary = {**account, **as_plain(found)}
    if "seconds" in account["a"]:
        summary["speed_ratio"] = account["b"]["seconds"] / account["a"]["seconds"]
    if outdir is None:
        return summary
    from tilesim.tools.comparison_pictures import draw_comparison
    from tilesim_cli.summary import write_json

    with all_together():
        files = draw_comparison(outdir, a, b, _titles(account["a"], account["b"]), regions)
        for name in RUNS:
            if os.path.exists(os.path.join(folder, name)):
                put_in_place(os.path.join(folder, name), os.path.join(outdir, name))
                files.append(os.path.join(outdir, name))
        files.append(os.path.join(outdir, "summary.json"))
        summary["files"] = files
        write_json(files[-1], summary)
    return summary


def _titles(a: dict, b: dict) -> tuple[str, str]:
    """A few words on each side for a picture: program, or file with as many folders as it takes to tell them apart."""
    paths = [one["command"][0] if "command" in one else one["file"].rstrip("/") for one in (a, b)]
    parts = [path.split("/") for path in paths]
    count = 1 if "command" in a else 2
    while parts[0][-count:] == parts[1][-count:] and count < max(map(len, parts)):
        count += 1
    first, second = ("/".join(one[-count:]) for one in parts)
    return first, second


def report(summary: dict) -> list[str]:
    """The figures for people."""
    rows = [(name, _source(summary[name])) for name in ("a", "b")]
    slow, fast = summary["shape"]
    changed = [name for name, yes in zip("ab", summary["resampled"], strict=True) if yes]
    rows.append(
        ("shape", f"{slow} x {fast} (slow, fast)" + (f", {' and '.join(changed)} resampled" if changed else ""))
    )
    rows += [
        ("incomplete", f"the store of {n}") for n, whole in zip("ab", summary["complete"], strict=True) if not whole
    ]
    rows += _figures(summary)
    peaks = summary["peaks"]
    if peaks:
        rows.append(
            ("peaks", f"{peaks['matched']} matched, {peaks['alone'][0]} of a and {peaks['alone'][1]} of b alone")
        )
        if peaks["matched"]:
            where = f"{_at(peaks['largest_at'])}" if peaks["largest_shift"] else ""
            rows.append(
                ("peak shift", f"mean {peaks['mean_shift']:.4g}, largest {peaks['largest_shift']:.4g} pixels{where}")
            )
    if "speed_ratio" in summary:
        times = (summary["a"]["seconds"], summary["b"]["seconds"])
        rows.append(("time", f"a {times[0]:.3g} s, b {times[1]:.3g} s, ratio b / a {summary['speed_ratio']:.3g}"))
    for region in summary["regions"]:
        rows += [("", ""), ("roi", " ".join(map(str, region["roi"]))), *_figures(region)]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value}".rstrip() for name, value in rows]
    lines += [f"wrote {path}" for path in summary.get("files", ())]
    verdict = "the same" if summary["within"] else "NOT the same"
    by = " in the regions" if summary["judged_by"] == "regions" else ""
    return [*lines, f"{verdict} within {summary['tolerance']:g}{by}"]


def _figures(found: dict) -> list[tuple[str, str]]:
    rows = []
    if any(found["not_finite"]):
        counts = "{} pixels of a and {} of b".format(*found["not_finite"])
        rows.append(("not a number", f"{counts}, the first{_at(found['first_not_finite'])}"))
    correlation = found["correlation"]
    rows += [
        ("correlation", "none: an image is constant" if correlation is None else f"{correlation:.10g}"),
        (
            "mean square difference",
            f"{found['mean_square_difference']:.5g}, its root {found['root_mean_square_difference']:.5g}",
        ),
        ("largest difference", _largest(found["largest_difference"])),
        ("largest relative", _largest(found["largest_relative_difference"])),
        ("golden metric", _largest(found["golden_metric"])),
    ]
    ratio = "" if found["sum_ratio"] is None else f", ratio {found['sum_ratio']:.10g}"
    return [*rows, ("sums", "{:.8g} and {:.8g}".format(*found["sums"]) + ratio)]


def _source(side: dict) -> str:
    if "command" in side:
        return shlex.join(side["command"])
    more = "".join(f", {what} {side[what]}" for what in ("frame", "panel") if side[what])
    return f"{side['file']} ({side['format']}{more})"


def _largest(top: dict) -> str:
    values = "" if top["at"] is None else f"{_at(top['at'])}: {top['a']:.8g} and {top['b']:.8g}"
    return f"{top['value']:.5g}{values}"


def _at(place: dict | None) -> str:
    return f" at slow {place['slow']}, fast {place['fast']}" if place else ""
