"""Filling a store: one tile is one chunk or shard, written whole, and the store is finished once."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import zarr

from tilesim.errors import StoreError
from tilesim.store.create import StoreHandle, move_into_place, store_errors, uninterrupted
from tilesim.store.layout import IMAGE_PATH, LEVEL, Layout, jsonable
from tilesim.tiling.plan import TilePlan
from tilesim.tiling.tile import Tile

Place = StoreHandle | str | os.PathLike
"""A store under construction, or the folder of one."""


def write_tile(place: Place, tile: Tile, values: np.ndarray) -> None:
    """Write the photons (slow, fast) of one tile: exactly one object, replaced atomically.

    May be called from any thread or process, and again for the same tile.
    Raises StoreError where the tile is not one of the store's, or cannot be written.
    """
    folder = _folder(place)
    array = _open_image(folder)
    check_tile(_layout_of(array), tile, np.shape(values))
    with store_errors(folder):
        array[(tile.frame, *tile.slices)] = np.asarray(values, dtype=array.dtype)


def check_tile(layout: Layout, tile: Tile, shape: tuple[int, ...]) -> None:
    """Raise StoreError unless `tile` is exactly one object of the store and `shape` is its own."""
    if tile.panel != 0 or not 0 <= tile.frame < layout.shape[0]:
        raise StoreError(f"{tile} is not in this store of {layout.shape[0]} frames of panel 0")
    edges = ((tile.slow_start, tile.slow_stop), (tile.fast_start, tile.fast_stop))
    aligned = all(
        0 <= start < size and start % step == 0 and stop == min(start + step, size)
        for (start, stop), step, size in zip(edges, layout.tile, layout.shape[1:], strict=True)
    )
    if not aligned:
        raise StoreError(
            f"{tile} is not one whole tile of the store, which are {layout.tile[0]} x {layout.tile[1]} pixels"
            f" (slow x fast) on an image of {layout.shape[1]} x {layout.shape[2]}: two tasks writing parts of one"
            " object would lose each other's pixels. Use the tiles of the TilePlan that the store was created with"
        )
    if tuple(shape) != tile.shape:
        raise StoreError(f"{tile} has {tile.shape} pixels (slow, fast) but the values have shape {tuple(shape)}")


def present_tiles(place: Place, plan: TilePlan) -> list[Tile]:
    """The tiles of `plan` that have been written whole, dark ones included, in storage order.

    Raises StoreError where the store is laid out for another plan.
    """
    folder = _folder(place)
    layout = _layout_of(_open_image(folder))
    if (layout.shape, layout.tile) != (plan.shape, plan.tile):
        raise StoreError(
            f"{folder} holds tiles of {layout.tile} pixels of an image {layout.shape}, but the plan has tiles of"
            f" {plan.tile} of an image {plan.shape}: its tiles would not match. Use the plan of the store"
        )
    return [tile for tile in plan if (folder / layout.object_name(tile)).is_file()]


def finish_store(handle: StoreHandle, statistics: dict) -> str:
    """Record `statistics` and the status "complete", consolidate the metadata, move the store into place.

    Returns the final path. Raises StoreError where tiles are missing, the place was taken meanwhile, or
    writing fails; the unfinished store then stays hidden, for `discard_store`.
    """
    missing = len(handle.layout.plan) - len(present_tiles(handle, handle.layout.plan))
    if missing:
        raise StoreError(
            f"{handle.path} is not complete: {missing} of {len(handle.layout.plan)} tiles were not written"
        )
    with store_errors(handle.path):
        with warnings.catch_warnings():
            # zarr warns that consolidation is not in the v3 specification yet; xarray warns without it.
            warnings.filterwarnings("ignore", message="Consolidated metadata", category=UserWarning)
            uninterrupted(_complete, handle.folder, statistics)
        move_into_place(handle)
    return handle.path


def _complete(folder: str, statistics: dict) -> None:
    root = zarr.open_group(folder, mode="r+")
    root.attrs["tilesim"] = {**root.attrs["tilesim"], "statistics": jsonable(statistics), "status": "complete"}
    zarr.consolidate_metadata(folder, path=LEVEL)
    zarr.consolidate_metadata(folder)


def _folder(place: Place) -> Path:
    return Path(place.folder if isinstance(place, StoreHandle) else place)


def _open_image(folder: Path) -> zarr.Array:
    """The image, such that tiles equal to the fill value are stored too and so count as written."""
    with store_errors(folder):
        array = zarr.open_array(folder / IMAGE_PATH, mode="r+")
    return array.with_config({"write_empty_chunks": True})


def _layout_of(array: zarr.Array) -> Layout:
    return Layout(array.shape, (array.shards or array.chunks)[1:], array.chunks[1:])
