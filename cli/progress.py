"""Progress of a run: a bar with rate and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter


@contextmanager
def progress(tiles: int, steps: int, wanted: bool) -> Iterator:
    """Yields a function to call with each tile's report; writes to standard error."""
    if not wanted:
        yield lambda report: None
    elif sys.stderr.isatty():
        with _bar(tiles, steps) as advance:
            yield advance
    else:
        yield _lines(tiles, steps)


@contextmanager
def _bar(tiles: int, steps: int) -> Iterator:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("simulating"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} tiles"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=tiles, rate="")
        start, done = perf_counter(), 0

        def advance(report) -> None:
            nonlocal done
            done += 1
            bar.update(task, advance=1, rate=_rate(steps * done / tiles, perf_counter() - start))

        yield advance


def _lines(tiles: int, steps: int):
    start, done, said = perf_counter(), 0, 0

    def advance(report) -> None:
        nonlocal done, said
        done += 1
        percent = 100 * done // tiles
        if percent // 10 > said // 10:
            said = percent
            seconds = perf_counter() - start
            left = seconds * (tiles - done) / done
            rate = _rate(steps * done / tiles, seconds)
            print(f"{percent}% done ({done} of {tiles} tiles, {rate}, {left:.0f} s left)", file=sys.stderr, flush=True)

    return advance


def _rate(steps: float, seconds: float) -> str:
    return f"{steps / max(seconds, 1e-9) / 1e6:.1f} M steps/s"
