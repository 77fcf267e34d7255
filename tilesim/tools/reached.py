"""Where the verbs of Python run: in this process, or on workers that are reached as their arguments say."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tilesim.errors import InputError
from tilesim.model.checks import whole_number

if TYPE_CHECKING:
    from tilesim.engine.access import Access
    from tilesim.files.inventory import NamedFile

Path = str | os.PathLike[str]


def access_of(workers: int | None, scheduler: str | None, scheduler_file: Path | None) -> Access | None:
    """How to reach workers; None for this process. Raises InputError."""
    ways = {"workers": workers, "scheduler": scheduler, "scheduler_file": scheduler_file}
    given = [name for name, value in ways.items() if value is not None]
    if len(given) > 1:
        raise InputError(f"{given[0]} and {given[1]} exclude each other")
    if not given:
        return None
    from tilesim.engine.access import Access

    if workers is not None:
        workers = whole_number("workers", workers, at_least=1)
    return Access(workers or 0, scheduler, None if scheduler_file is None else os.fspath(scheduler_file))


def read_for(access: Access | None) -> tuple[NamedFile, ...]:
    """The files that are read to reach workers."""
    return () if access is None else access.files


def engine_of(cluster: Any) -> Callable[..., Any]:
    """The engine of a cluster; that of this process where it is None."""
    from functools import partial

    if cluster is None:
        from tilesim.engine.work import compute_here

        return compute_here
    from tilesim.engine.dispatch import run_on_workers

    return partial(run_on_workers, cluster)
