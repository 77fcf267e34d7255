"""Wall time of whole commands, process start to files on disk, against the reference program on the same cores.

The reference binary is named by NB_C_BIN; without it its columns are empty. Caches are warm: every command has run
once before. The programs take turns.
"""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.record import LYSOZYME, input_flags, machine, save, table

CELL = "-default_F 100 -cell 78 78 38 90 90 90 -N 20 -nonoise -nopgm -nointerpolate -distance 200 -lambda 1"
COMMANDS = {
    "lysozyme": "",
    "mosaic 50, phi 10": (
        f"{CELL} -detpixels 1024 -oversample 1 -mosaic_spread 0.5 -mosaic_domains 50 -phi 0.1 -osc 1 -phisteps 10"
    ),
    "oversample 2, wavelengths 10": f"{CELL} -detpixels 2048 -oversample 2 -dispersion 1 -dispsteps 10",
    "4096 x 4096": f"{CELL} -detpixels 4096 -oversample 1",
    "128 x 128": f"{CELL} -detpixels 128 -oversample 1",
}
ALONE = {"--help": ["--help"], "an error": ["run", "-distance", "ten"]}
"""What the reference has nothing like."""


def main(arguments: list[str]) -> None:
    """Run, print the table, write bench/results/command-DATE.json."""
    parser = argparse.ArgumentParser(prog="python -m bench command", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--commands", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    options = parser.parse_args(arguments)
    binary, rows = os.environ.get("NB_C_BIN"), []
    with tempfile.TemporaryDirectory(dir=os.environ.get("TILESIM_BENCH_FOLDER")) as folder:
        data, source = input_flags(Path(folder))
        for name in options.commands:
            words = [*data, *LYSOZYME] if name == "lysozyme" else shlex.split(COMMANDS[name])
            programs = {"tilesim": [*program(), "run", *words, "-floatfile", "a.bin", "--quiet"]}
            if binary:
                programs["reference"] = [binary, *words, "-floatfile", "b.bin", "-intfile", "b.img"]
            rows.append(row(name, words, in_turn(programs, folder, options.repeats)))
        for name, words in ALONE.items():
            rows.append(row(name, words, in_turn({"tilesim": [*program(), *words]}, folder, options.repeats)))
    table(("command", "tilesim", "spread", "reference", "ratio"), rows)
    save("command", {**machine(), "structure_factors": source, "repeats": options.repeats, "rows": rows})


def program() -> list[str]:
    """The installed command, of this Python."""
    return [os.path.join(os.path.dirname(sys.executable), "tilesim")]


def in_turn(programs: dict[str, list[str]], folder: str, repeats: int) -> dict[str, list[float]]:
    """Seconds of each program, after one run that warms the caches."""
    seconds = {name: [] for name in programs}
    for number in range(repeats + 1):
        for name, words in programs.items():
            start = time.perf_counter()
            subprocess.run(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            if number:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def row(name: str, words: list[str], seconds: dict[str, list[float]]) -> dict:
    """Medians, the spread of tilesim's, and the ratio of the wall times."""
    median = statistics.median(seconds["tilesim"])
    reference = statistics.median(seconds["reference"]) if "reference" in seconds else None
    return {
        "command": name,
        "tilesim": median,
        "spread": (max(seconds["tilesim"]) - min(seconds["tilesim"])) / median,
        "reference": reference,
        "ratio": reference and median / reference,
        "seconds": seconds,
        "words": " ".join(word for word in words if "/" not in word),
    }
