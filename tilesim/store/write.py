"""Filling a store: one tile is one chunk or shard, written whole, and the store is finished once."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import zarr
from zarr.core.sync import sync

from tilesim.errors import StoreError
from tilesim.store.create import StoreHandle, read_attributes, uninterrupted, write_coordinate
from tilesim.store.layout import IMAGE_PATH, LEVEL, FrameCoordinate, Layout, jsonable
from tilesim.store.place import ROOT, has_object, is_url, list_objects, open_place, store_errors
from tilesim.store.stale import drop_levels
from tilesim.tiling.tile import Tile

UNREADABLE = (ValueError, RuntimeError, TypeError, EOFError, OSError)
"""What zarr raises on a chunk that is truncated or has another checksum."""


class StoredImage:
    """The image of a store, open for writing and reading tiles from any thread; from `open_image`."""

    def __init__(self, place: str, array: zarr.Array) -> None:
        self.place = place
        self.layout = layout_of(array)
        # Tiles equal to the fill value are stored too, and so count as written.
        self._array = array.with_config({"write_empty_chunks": True})
        self._store = open_place(place)
        self._local = None if is_url(place) else Path(place) / IMAGE_PATH / ROOT
        self._mark = self._look()

    def write(self, tile: Tile, values: np.ndarray) -> None:
        """Write the photons (slow, fast) of one tile: exactly one object, replaced atomically.

        May be repeated. Raises StoreError where the tile is not one of the store's, or cannot be written.
        """
        check_tile(self.layout, tile, np.shape(values))
        with store_errors(self.place):
            # zarr would make the folders of a store anew that was removed meanwhile, or fill another run's.
            if self._look() != self._mark:
                raise StoreError(
                    f"cannot write {self.place}: the store was removed or replaced while it was being filled"
                )
            pixels = np.asarray(values, dtype=self._array.dtype)
            where = self.layout.plan.index(tile)
            try:
                self._array[where] = pixels
            except ValueError:
                # zarr reads a shard before it fills it in part, as at the edges: a damaged one must go first.
                sync(self._store.delete(self.layout.object_name(tile)))
                self._array[where] = pixels

    def read(self, tile: Tile) -> np.ndarray | None:
        """The photons (slow, fast) of one tile; None where it is missing or damaged. Raises StoreError."""
        with store_errors(self.place, "read"):
            return self._read(tile) if self.has(tile) else None

    def _look(self) -> tuple[int, int] | None:
        """What tells this local store from another one in its place."""
        if self._local is None:
            return None
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found = self._local.stat()
            return found.st_ino, found.st_mtime_ns
        return None

    def has(self, tile: Tile) -> bool:
        """Whether there is an object for the tile, sound or not."""
        return has_object(self._store, self.layout.object_name(tile))

    def _read(self, tile: Tile) -> np.ndarray | None:
        try:
            return np.asarray(self._array[self.layout.plan.index(tile)])
        except UNREADABLE:
            return None


def open_image(handle: StoreHandle) -> StoredImage:
    """The image of a store that was created, in this or any process that sees the place.

    Raises StoreError where there is no such store, or that of another job.
    """
    found = read_attributes(handle.place)
    if found is None:
        where = "the URL" if is_url(handle.place) else "a folder shared with the client, or a URL such as s3://"
        raise StoreError(f"there is no store at {handle.place} as seen from {os.uname().nodename}; expected {where}")
    if found.get("job_digest") != handle.job_digest:
        raise StoreError(f"{handle.place} holds another job as seen from {os.uname().nodename}")
    with store_errors(handle.place):
        try:
            array = zarr.open_array(open_place(handle.place), path=IMAGE_PATH, mode="r+")
        except (ValueError, KeyError, FileNotFoundError) as error:
            raise StoreError(
                f"{handle.place} is damaged, its {IMAGE_PATH} cannot be opened; --resume mends it"
            ) from error
        return StoredImage(handle.place, array)


def check_tile(layout: Layout, tile: Tile, shape: tuple[int, ...]) -> None:
    """Raise StoreError unless `tile` is exactly one object of the store and `shape` is its own."""
    if not (0 <= tile.panel < layout.plan.panels and 0 <= tile.frame < layout.shape[0]):
        panels = f"{layout.plan.panels} panels" if layout.plan.panels > 1 else "panel 0"
        raise StoreError(f"{tile} is not in this store of {layout.shape[0]} frames of {panels}")
    edges = ((tile.slow_start, tile.slow_stop), (tile.fast_start, tile.fast_stop))
    aligned = all(
        0 <= start < size and start % step == 0 and stop == min(start + step, size)
        for (start, stop), step, size in zip(edges, layout.tile, layout.shape[-2:], strict=True)
    )
    if not aligned:
        raise StoreError(
            f"{tile} is not one whole tile of the store, which are {layout.tile[0]} x {layout.tile[1]} pixels"
            f" (slow x fast) on an image of {layout.shape[-2]} x {layout.shape[-1]}: two tasks writing parts of one"
            " object would lose each other's pixels. Use the tiles of the TilePlan that the store was created with"
        )
    if tuple(shape) != tile.shape:
        raise StoreError(f"{tile} has {tile.shape} pixels (slow, fast) but the values have shape {tuple(shape)}")


def count_present(place: str, axes: int = 3) -> int:
    """Tiles for which there is an object, dark ones included; the image has `axes` axes."""
    depth = IMAGE_PATH.count("/") + 2 + axes
    names = list_objects(place, f"{IMAGE_PATH}/c")
    return sum(name.count("/") + 1 == depth and name.rpartition("/")[2].isdecimal() for name in names)


def finish_store(
    handle: StoreHandle,
    statistics: dict | None,
    *,
    per_frame: Sequence[FrameCoordinate] = (),
    missing: Sequence[Mapping] = (),
) -> None:
    """Record statistics and what is missing; where that is nothing, the store is complete.

    Raises StoreError where tiles are not there, another job has taken the place meanwhile, or writing fails.
    """
    if (read_attributes(handle.place) or {}).get("job_digest") != handle.job_digest:
        raise StoreError(f"{handle.place} was replaced or removed by somebody else while it was being filled")
    lacking = len(handle.layout.plan) - count_present(handle.place, len(handle.layout.shape))
    if lacking and not missing:
        raise StoreError(f"{handle.place} is not complete: {lacking} of {len(handle.layout.plan)} tiles are not there")
    with store_errors(handle.place):
        uninterrupted(_finish, handle, statistics, per_frame, missing)


def _finish(handle: StoreHandle, statistics, per_frame: Sequence[FrameCoordinate], missing: Sequence[Mapping]) -> None:
    # Made while tiles were missing, or not finished.
    drop_levels(handle.place, stale_only=True)
    store = open_place(handle.place)
    root = zarr.open_group(store, mode="r+", use_consolidated=False)
    level = zarr.open_group(store, path=LEVEL, mode="r+", use_consolidated=False)
    for figure in per_frame:
        write_coordinate(level, figure.name, *figure.encoded())
    root.attrs["tilesim"] = {
        **root.attrs["tilesim"],
        "statistics": jsonable(statistics),
        "missing": jsonable(list(missing)),
        "status": "incomplete" if missing else "complete",
    }
    _drop_unfinished(handle.place)
    with warnings.catch_warnings():
        # zarr warns that consolidation is not in the v3 specification yet; xarray warns without it.
        warnings.filterwarnings("ignore", message="Consolidated metadata", category=UserWarning)
        zarr.consolidate_metadata(store, path=LEVEL)
        zarr.consolidate_metadata(store)


def _drop_unfinished(place: str) -> None:
    """Remove what writers left who were killed while they wrote (zarr writes beside the object and renames)."""
    if is_url(place):
        return
    for path in Path(place, IMAGE_PATH).rglob("*.partial"):
        with contextlib.suppress(OSError):
            path.unlink()


def layout_of(array: zarr.Array) -> Layout:
    """The layout of an image that is there."""
    return Layout(array.shape, (array.shards or array.chunks)[-2:], array.chunks[-2:], str(array.dtype))
