"""CPU time and files of a series of stills, all told, in threads and by workers, and of the reference program.

Each shot is a small gaussian crystal in an orientation of its own. The programs run one after the other in one call;
the reference renders `--reference` of the shots, one process each, without planning and without a store. CPU times are
those of the processes and all their children, so they hold on a busy machine, too, where wall times do not.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import resource
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from bench.command import program
from bench.record import machine, save, table

FLAGS = (
    "-cell 78 78 38 90 90 90 -default_F 100 -nonoise -nopgm -nointerpolate -oversample 1 -distance 100 -lambda 1 "
    "-pixel 0.2"
)
SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of Linux."""
BATCH = """flags = "{flags}"
zarr = "{name}.zarr"
shots = {shots}
[draw]
orientation = "uniform"
fluence = {{ distribution = "gamma", sd = 0.4, relative = true }}
"""


def main(arguments: list[str]) -> None:
    """Run, print the table, write bench/results/stills-DATE.json."""
    parser = argparse.ArgumentParser(prog="python -m bench stills", description=__doc__.splitlines()[0])
    parser.add_argument("--shots", type=int, default=2000)
    parser.add_argument("--edge", type=int, default=512, help="pixels along an edge")
    parser.add_argument("--shape", choices=("gauss", "square"), default="gauss")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2], help="worker processes of further runs")
    parser.add_argument(
        "--reference", type=int, default=20, help="shots that the reference renders, if NB_C_BIN is set"
    )
    parser.add_argument("--planned", type=int, default=100_000, help="shots of the run that only plans")
    options = parser.parse_args(arguments)
    _adopt()
    flags = f"{FLAGS} -N 20 -detpixels {options.edge}" + (" -gauss_xtal" if options.shape == "gauss" else "")
    with tempfile.TemporaryDirectory(dir=os.environ.get("TILESIM_BENCH_FOLDER")) as folder:
        rows = [ours(folder, flags, "threads", options.shots, [])]
        for count in options.workers:
            rows.append(ours(folder, flags, f"workers-{count}", options.shots, ["--workers", str(count)]))
        rows.append(ours(folder, flags, "planning", options.planned, ["--dry-run"]))
        if binary := os.environ.get("NB_C_BIN"):
            rows.append(reference(folder, flags, binary, options.reference))
    table(("run", "shots", "wall_s", "cpu_s", "cpu_ms_per_shot", "files", "megabytes", "peak_mb"), rows)
    save("stills", {**machine(), "flags": flags, "rows": rows})


def ours(folder: str, flags: str, name: str, shots: int, words: list[str]) -> dict:
    """A batch of so many shots, from the start of the command to its end."""
    Path(folder, f"{name}.toml").write_text(BATCH.format(flags=flags, name=name, shots=shots))
    figures = timed([*program(), "batch", f"{name}.toml", "--quiet", *words], folder)
    paths = [path for path in Path(folder, f"{name}.zarr").rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in paths) / 1e6
    return {"run": name, "shots": shots, **figures, **_each(figures, shots), "files": len(paths), "megabytes": size}


def reference(folder: str, flags: str, binary: str, shots: int) -> dict:
    """Some shots by the reference, each in an orientation of its own."""
    total = {"wall_s": 0.0, "cpu_s": 0.0, "peak_mb": 0.0}
    for shot in range(shots):
        words = [*flags.split(), "-misset", str(7 * shot), str(11 * shot), str(13 * shot)]
        found = timed([binary, *words, "-floatfile", "c.bin", "-intfile", "c.img"], folder)
        total = {name: total[name] + found[name] for name in ("wall_s", "cpu_s")} | {"peak_mb": found["peak_mb"]}
    return {"run": "reference", "shots": shots, **total, **_each(total, shots)}


def timed(words: list[str], folder: str) -> dict[str, float]:
    """Seconds of wall and CPU of a command with its children, and the largest resident size of any so far."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(words, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    wall = time.perf_counter() - start
    _reap()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": wall, "cpu_s": cpu, "peak_mb": after.ru_maxrss / 1e3}


def _adopt() -> None:
    """Have processes whose parents have ended come to this one, as worker processes do: their CPU time counts."""
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)


def _reap() -> None:
    """Wait for all that was started meanwhile."""
    with suppress(ChildProcessError):
        while True:
            os.wait()


def _each(figures: dict[str, float], shots: int) -> dict[str, float]:
    return {"cpu_ms_per_shot": figures["cpu_s"] / shots * 1e3}
