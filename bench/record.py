"""What all benchmarks share: the lysozyme geometry, its input, the machine, the table on the screen, the file."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
GEOMETRY = (
    "-exposure 1 -flux 1e18 -beamsize 1.0 -spindle_axis -1 0 0 -Xbeam 217.742295 -Ybeam 213.907080 "
    "-distance 231.274660 -lambda 0.976800 -pixel 0.172 -detpixels_x 2463 -detpixels_y 2527 "
    "-odet_vector -0.000088 0.004914 -0.999988 -sdet_vector -0.005998 -0.999970 -0.004913 "
    "-fdet_vector 0.999982 -0.005998 -0.000118 -beam_vector 0.00051387949 0.0 -0.99999986"
).split()
LYSOZYME = [
    *GEOMETRY,
    *"-nonoise -nopgm -nointerpolate -oversample 1 -Na 36 -Nb 47 -Nc 29 -osc 0.1 -phi 0 -phisteps 10".split(),
]
"""The lysozyme command but for its input."""


def input_flags(folder: Path) -> tuple[list[str], str]:
    """-mat and -hkl of the real data, or of the synthetic example written into `folder`, and which of them."""
    real = os.environ.get("TILESIM_LYSOZYME")
    if real:
        return ["-mat", f"{real}/A.mat", "-hkl", f"{real}/scaled.hkl"], "lysozyme"
    from tilesim.example import write_example

    write_example(folder / "example")
    return ["-mat", f"{folder}/example/A.mat", "-hkl", f"{folder}/example/lysozyme.hkl"], "synthetic"


def machine() -> dict:
    """What the figures were measured on, and when, and of which commit."""
    return {
        "date": date.today().isoformat(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "commit": commit(),
        "command": " ".join(["python -m bench", *sys.argv[1:]]),
        "versions": {"python": platform.python_version(), "torch": version("torch"), "tilesim": version("tilesim")},
    }


def save(name: str, result: dict, add: bool = False) -> None:
    """Write bench/results/NAME-DATE.json, or `add` to what is there."""
    path = HERE / "results" / f"{name}-{date.today().isoformat()}.json"
    if add and path.exists():
        result = json.loads(path.read_text()) | result
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"wrote {path.relative_to(HERE.parent)}")


def table(columns: Sequence[str], rows: Sequence[dict]) -> None:
    """Print rows of figures; what is not known stays empty."""
    texts = [[_text(name, row.get(name)) for name in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    for line in (columns, *texts):
        print("  ".join(word.rjust(width) for word, width in zip(line, widths, strict=True)))


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    if name == "spread":
        return f"{value:.0%}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def commit() -> str:
    """Of the source that is measured; a mark where it has changed since."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def cpu_model() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
