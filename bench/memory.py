"""Peak resident memory of whole commands, and what they need beyond a bare `import torch`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from bench.command import COMMANDS, program
from bench.record import LYSOZYME, input_flags, machine, save, table

MANY = (
    "-default_F 100 -cell 78 78 38 90 90 90 -N 20 -nonoise -nopgm -nointerpolate -distance 200 -lambda 1 -oversample 1 "
    "-detpixels 512 -roi 250 251 250 250 -mosaic_spread 0.5 -mosaic_domains 10000 -phi 0.1 -osc 1 -phisteps 100 "
    "-dispersion 1 -dispsteps 50"
)
"""Fifty million orientations and sources for each of two pixels."""


def main(arguments: list[str]) -> None:
    """Run, print the table, write bench/results/memory-DATE.json."""
    argparse.ArgumentParser(prog="python -m bench memory", description=__doc__).parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TILESIM_BENCH_FOLDER")) as folder:
        data, source = input_flags(Path(folder))
        lysozyme = [*data, *LYSOZYME]
        commands = {
            "import torch": [sys.executable, "-c", "import torch"],
            "lysozyme": run(*lysozyme),
            "lysozyme, store and picture": run(*lysozyme, "--zarr", "a.zarr", "--preview", "a.png", "--overwrite"),
            "lysozyme, eager": run(*lysozyme, "--backend", "eager"),
            "10000 mosaic x 100 phi x 50 sources": run(*MANY.split()),
            **{name: run(*words.split()) for name, words in COMMANDS.items() if words},
        }
        peaks = {name: peak(words, folder) for name, words in commands.items()}
    rows = [
        {
            "command": name,
            "peak_MB": bytes_ / 1e6,
            "beyond_torch_MB": (bytes_ - peaks["import torch"]) / 1e6,
        }
        for name, bytes_ in peaks.items()
    ]
    table(("command", "peak_MB", "beyond_torch_MB"), rows)
    save("memory", {**machine(), "structure_factors": source, "rows": rows})


def run(*words: str) -> list[str]:
    return [*program(), "run", *words, "-floatfile", "a.bin", "--quiet"]


def peak(words: list[str], folder: str) -> int:
    """Bytes of a process at its largest."""
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        os.execv(words[0], words)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{' '.join(words)} ended with status {os.waitstatus_to_exitcode(status)}")
    return usage.ru_maxrss * 1024
