"""Memory of a job as a sum of named terms, so that a plan can be refused before it runs."""

from __future__ import annotations

import os

from tilesim.errors import PlanError
from tilesim.frozen import frozen
from tilesim.model import Experiment
from tilesim.tiling.plan import TilePlan


@frozen
class Budget:
    """Bytes, by what they are for."""

    tile: int
    """One tile's pixels, their numbers and the copies made for the outputs; per thread."""
    block: int
    """Arrays of the kernel; per thread."""
    orientations: int
    """Cell vectors of the mosaic domains of one spindle step; per thread."""
    table: int
    """Structure factors, as read and as looked up; once."""
    threads: int

    @property
    def per_thread(self) -> int:
        return self.tile + self.block + self.orientations

    @property
    def total(self) -> int:
        return self.per_thread * self.threads + self.table


def memory_budget(
    experiment: Experiment, plan: TilePlan, block: int, numbers: int, threads: int, truth: bool = False
) -> Budget:
    """Memory of a job that runs `threads` tiles at a time.

    block    pixels of a call of the kernel
    numbers  float64 numbers that it holds for each of them
    truth    whether five numbers are held for every pixel besides, as computed, joined, and as written
    """
    tile = plan.tile[0] * plan.tile[1]
    beside = tile * 5 * (8 + 8 + (2 * plan.frames + 2) * 4) if truth else 0
    return Budget(
        # Of several frames those that are done wait as they are, and compressed.
        tile=tile * (4 + 4 + 3 * 8 + 8) + (plan.frames - 1) * tile * (4 + 4) + beside,
        block=min(block, tile) * (numbers + 1) * 8 if plan.frames > 1 else min(block, tile) * numbers * 8,
        orientations=experiment.orientations * 2 * 9 * 8,
        table=experiment.factors.held_bytes(len({wave.wavelength for wave in experiment.beam.waves})),
        threads=threads,
    )


def check_budget(budget: Budget) -> None:
    """Raise PlanError where the job would not fit into the memory that is free now."""
    free = available_memory()
    if free is not None and budget.total > free:
        raise PlanError(
            f"the job needs {budget.total / 1e6:.0f} MB ({budget.per_thread / 1e6:.0f} MB for each of "
            f"{budget.threads} threads, {budget.table / 1e6:.0f} MB for the structure factors) but {free / 1e6:.0f} MB "
            "are free; use a smaller --tile"
        )


def available_memory() -> int | None:
    """Bytes that can be had without swapping; None where the system does not say."""
    try:
        with open("/proc/meminfo") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None
