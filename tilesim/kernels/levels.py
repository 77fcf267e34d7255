"""Levels of x86-64 (of its psABI) that kernels are compiled for, and which of them a processor has."""

from __future__ import annotations

import os
from collections.abc import Collection
from functools import cache
from itertools import takewhile

from tilesim.errors import PlanError

NATIVE = "native"
"""Not a level: whatever the processor has that compiles."""
# By the names that Linux has for them; each level needs those of the ones below as well.
_ADDED = {
    "x86-64": "",
    "x86-64-v2": "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3",
    "x86-64-v3": "abm avx avx2 bmi1 bmi2 f16c fma movbe xsave",
    "x86-64-v4": "avx512f avx512bw avx512cd avx512dq avx512vl",
}
LEVELS = tuple(_ADDED)
"""Least first."""


def levels(flags: Collection[str]) -> tuple[str, ...]:
    """Levels that a processor with these flags has, best first."""
    return tuple(reversed([*takewhile(lambda level: {*_ADDED[level].split()} <= {*flags}, LEVELS)]))


def has_fma(level: str, flags: Collection[str]) -> bool:
    """Whether what is compiled for a level multiplies and adds with one rounding; images differ by that alone."""
    if level == NATIVE:
        return not is_x86() or "fma" in flags
    return "fma" in " ".join(_ADDED[one] for one in LEVELS[: LEVELS.index(level) + 1]).split()


def asked_level() -> str:
    """TILESIM_LEVEL, a level or native; empty where it is left to tilesim. Raises PlanError."""
    asked = os.environ.get("TILESIM_LEVEL", "")
    if asked and asked not in (NATIVE, *LEVELS):
        raise PlanError(f"the environment has TILESIM_LEVEL={asked}; expected one of {', '.join((NATIVE, *LEVELS))}")
    if asked in LEVELS and asked not in levels_here():
        expected = ", ".join((NATIVE, *reversed(levels_here())))
        raise PlanError(f"the environment has TILESIM_LEVEL={asked}, but not the processor; expected one of {expected}")
    return asked


def levels_here() -> tuple[str, ...]:
    """Levels that this processor has, best first."""
    return levels(flags_here()) if is_x86() else ()


def is_x86() -> bool:
    """Whether this process is one of x86-64."""
    return os.uname().machine == "x86_64"


def flags_here() -> tuple[str, ...]:
    """Flags of this processor, as far as the system says."""
    return tuple(" ".join(line.partition(":")[2] for line in processor() if line.startswith("flags")).split())


@cache
def processor() -> tuple[str, ...]:
    """Model and abilities, as far as the system says."""
    try:
        with open("/proc/cpuinfo") as lines:
            first = [*takewhile(str.strip, lines)]
    except OSError:
        return ()
    return tuple(line.strip() for line in first if line.startswith(("model name", "flags", "Features")))
