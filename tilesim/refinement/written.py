"""The store of a refinement: the images of the refined experiments, which it holds."""

from __future__ import annotations

from functools import partial
from typing import Any

from tilesim.errors import StoreError
from tilesim.files.outputs import Outputs
from tilesim.model import Series
from tilesim.series.frames import Frames
from tilesim.series.launch import Choices, Rendering, make, store_place
from tilesim.series.rendering import render_all
from tilesim.store.create import check_target
from tilesim.store.place import is_taken, normal_place


def check_store(path: str, overwrite: bool) -> None:
    """Raise StoreError where a store is in the way, before it takes a refinement to notice."""
    place = normal_place(path)
    if is_taken(place) and not overwrite:
        raise StoreError(f"{place} exists; expected --overwrite to replace it, or another name")
    check_target(place, {}, overwrite=True, resume=False)


def write_store(path: str, series: Series, cluster: Any, overwrite: bool) -> None:
    """Compute the images of a series into a store, on workers where there are some. Raises StoreError, PlanError."""
    frames, choices = Frames(series, Outputs()), Choices(overwrite=overwrite)
    place = store_place(frames, path)
    job = make(frames, choices, cluster, place)
    engine: dict[str, Any] = {}
    if cluster is not None:
        from tilesim.engine.dispatch import run_on_workers

        engine = {"engine": partial(run_on_workers, cluster)}
    results = render_all([Rendering(frames, job, place, path)], overwrite=overwrite, **engine)
    if results.missing:
        raise StoreError(f"{path}: {len(results.missing)} tiles are missing: {results.missing[0].why}")
