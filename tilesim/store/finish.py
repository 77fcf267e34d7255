"""Finishing a store once its tiles are there: figures, what is missing, consolidated metadata."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import zarr

from tilesim.errors import StoreError
from tilesim.store.create import uninterrupted, write_coordinate
from tilesim.store.layout import IMAGE_PATH, LEVEL, FrameCoordinate, jsonable
from tilesim.store.place import is_url, list_objects, open_place, store_errors
from tilesim.store.stale import drop_levels
from tilesim.store.store import Store, read_attributes
from tilesim.store.truth import GROUP as TRUTH


def count_present(place: str, axes: int = 3) -> int:
    """Tiles for which there is an object, dark ones included; the image has `axes` axes."""
    depth = IMAGE_PATH.count("/") + 2 + axes
    names = list_objects(place, f"{IMAGE_PATH}/c")
    return sum(name.count("/") + 1 == depth and name.rpartition("/")[2].isdecimal() for name in names)


def finish_store(
    store: Store,
    statistics: Mapping[str, Any] | None,
    *,
    per_frame: Sequence[FrameCoordinate] = (),
    missing: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Record statistics and what is missing; where that is nothing, the store is complete.

    Raises StoreError where tiles are not there, another job has taken the place meanwhile, or writing fails.
    """
    if (read_attributes(store.place) or {}).get("job_digest") != store.job_digest:
        raise StoreError(f"{store.place} was replaced or removed by somebody else while it was being filled")
    lacking = len(store.layout.plan) - count_present(store.place, len(store.layout.shape))
    if lacking and not missing:
        raise StoreError(f"{store.place} is not complete: {lacking} of {len(store.layout.plan)} tiles are not there")
    with store_errors(store.place):
        uninterrupted(_finish, store, statistics, per_frame, missing)


def _finish(
    store: Store,
    statistics: Mapping[str, Any] | None,
    per_frame: Sequence[FrameCoordinate],
    missing: Sequence[Mapping[str, Any]],
) -> None:
    # Made while tiles were missing, or not finished.
    drop_levels(store.place, stale_only=True)
    files = open_place(store.place)
    root = zarr.open_group(files, mode="r+", use_consolidated=False, zarr_format=3)
    level = zarr.open_group(files, path=LEVEL, mode="r+", use_consolidated=False, zarr_format=3)
    for figure in per_frame:
        write_coordinate(level, figure.name, *figure.encoded())
    attributes: Any = root.attrs["tilesim"]
    root.attrs["tilesim"] = {
        **attributes,
        "statistics": jsonable(statistics),
        "missing": jsonable(list(missing)),
        "status": "incomplete" if missing else "complete",
    }
    _drop_unfinished(store.place)
    with warnings.catch_warnings():
        # zarr warns that consolidation is not in the v3 specification yet; xarray warns without it.
        warnings.filterwarnings("ignore", message="Consolidated metadata", category=UserWarning)
        zarr.consolidate_metadata(files, path=LEVEL, zarr_format=3)
        zarr.consolidate_metadata(files, zarr_format=3)


def _drop_unfinished(place: str) -> None:
    """Remove what writers left who were killed while they wrote (zarr writes beside the object and renames)."""
    if is_url(place):
        return
    for folder in (IMAGE_PATH, TRUTH):
        for path in Path(place, folder).rglob("*.partial"):
            with contextlib.suppress(OSError):
                path.unlink()
