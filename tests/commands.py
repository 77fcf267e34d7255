"""A small command line that tests share, its input, and what a run of it gives."""

import re
from dataclasses import dataclass

MATRIX = " 0.02 0.001 0\n 0 0.025 0.001\n 0.001 0 0.03\n"
REFLECTIONS = "".join(
    f"{h} {k} {l} {20 + (7 * h + 5 * k + 3 * l) % 60}\n"
    for h in range(-5, 6)
    for k in range(-4, 5)
    for l in range(-3, 4)
)
CRYSTAL = ("-mat", "A.mat", "-hkl", "P1.hkl")
BASE = (*CRYSTAL, *"-N 3 -lambda 1.5 -distance 100 -pixel 1 -detpixels 12 -oversample 1 -nointerpolate".split())
"""A command line that no correction affects."""
LIMIT = 300
"""Seconds after which what a test waits for will not come; no machine is so slow."""


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str

    @property
    def note(self) -> list[str]:
        """The corrections that the NOTE line names; empty without one."""
        notes = [line for line in self.err.splitlines() if line.startswith("NOTE:")]
        assert len(notes) <= 1
        return re.findall(r"\bK\d+\b", notes[0].partition(";")[0]) if notes else []
