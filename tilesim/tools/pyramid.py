"""The OME-Zarr pyramid of a store: block means of its image, made by dask, one task for each chunk of each level."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tilesim.errors import InputError, StoreError
from tilesim.frozen import frozen
from tilesim.images.absent import blank_marks
from tilesim.images.opening import open_dataset
from tilesim.store.layout import IMAGE_PATH
from tilesim.store.levels import (
    Level,
    check_unchanged,
    create_levels,
    levels_of,
    levels_there,
    list_levels,
    open_level,
)
from tilesim.store.metadata import UNREADABLE
from tilesim.store.place import has_object, store_errors
from tilesim.store.stale import drop_levels, is_whole
from tilesim.store.store import CREATING, Store

if TYPE_CHECKING:
    from distributed import Client


@frozen
class PyramidResult:
    """What became of a store's pyramid."""

    levels: tuple[Level, ...]
    """Coarser than the image; none where it is small."""
    missing: int = 0
    """Tiles that are not there: blocks of them alone are NaN."""
    kept: bool = False
    """Whether it was there already."""


@frozen
class Sums:
    """Sums over 2 x 2 values of one chunk, on its way into the chunk above."""

    top: int
    """First row of blocks in the level above."""
    left: int
    sums: np.ndarray
    """(slow, fast) float64, of the pixels that are there"""
    counts: np.ndarray
    """(slow, fast) int64, how many they are"""


def build_pyramid(
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    client: Client | None = None,
    on_tile: Callable[[], None] = lambda: None,
) -> PyramidResult:
    """Add to a store the groups 1, 2, ... of 2 x 2, 4 x 4, ... block means, down to at most 512 blocks along an edge.

    Blocks are means of the pixels that are there, NaN where there is none. The levels are listed in the store's
    OME-Zarr metadata at the end, all at once. A few tiles and chunks per thread are in memory.

    overwrite  make it again where it is there
    client     of a dask cluster whose workers do the work, which must see the store; None: threads of this process
    on_tile    called for every tile of the image that was read

    Raises InputError where `path` is no store, StoreError where it is damaged or cannot be written.
    """
    data = open_dataset(path)
    store = data.store
    if store is None:
        raise InputError(f"{data.path}: expected a store, found a {data.format} file")
    if store.status == CREATING:
        raise InputError(f"{store.name} is being created; expected a store that a run has filled")
    there, attributes = levels_there(store)[1:], store.attributes
    if there and not overwrite and is_whole(attributes["pyramid"], store.job_digest):
        return PyramidResult(there, kept=True)
    if len(levels_of(store.array)) == 1:
        return PyramidResult(())
    levels = create_levels(store)
    before = {name: value for name, value in attributes.items() if name != "pyramid"}
    compute = _on_threads if client is None else partial(_on_workers, client)
    try:
        missing = 0
        for lead in np.ndindex(*store.array.shape[:-2]):
            missing += compute(*_tasks(store, lead, levels_of(store.array), data.outside(*lead)), on_tile)
        list_levels(store, levels, before, missing)
    except BaseException as error:
        if isinstance(error, StoreError):
            # A run removes levels that are not complete, and they cannot be written any more.
            check_unchanged(store, before)
        drop_levels(store.place)
        raise
    return PyramidResult(levels, missing)


def _on_threads(reads: Sequence[Any], tops: Sequence[Any], on_tile: Callable[[], None]) -> int:
    """Compute the tasks of one frame or panel in this process; the number of its missing tiles."""
    import dask
    from dask.callbacks import Callback

    def after(key: str, *_: object) -> None:
        if str(key).startswith("_read-"):
            on_tile()

    with Callback(posttask=after):
        missing, _ = dask.compute(reads, tops, scheduler="threads")
    return sum(missing)


def _on_workers(client: Client, reads: Sequence[Any], tops: Sequence[Any], on_tile: Callable[[], None]) -> int:
    """The same on the workers of a cluster."""
    from distributed import as_completed

    futures = client.compute([*reads, *tops])
    tiles = {future.key for future in futures[: len(reads)]}
    missing = 0
    for future, found in as_completed(futures, loop=client.loop, with_results=True):
        if future.key in tiles:
            missing += found
            on_tile()
    return missing


def _tasks(
    store: Store, lead: tuple[int, ...], levels: Sequence[Level], outside: np.ndarray | None
) -> tuple[list[Any], list[Any]]:
    """Lazy numbers of missing tiles, of every tile of a frame; lazy chunks of the last level, which all others precede.

    outside  where pixels have no value, besides those that are marked
    """
    from dask import delayed

    read, fill = delayed(_read, pure=False, nout=2), delayed(_fill, pure=False)
    image = levels[0]
    # A key of its own, so that it travels once.
    masked = None if outside is None else delayed(outside, pure=False)
    tiles = {at: read(store, lead, image, *at, masked) for at in np.ndindex(*image.grid)}
    below = {at: sums for at, (sums, _) in tiles.items()}
    for level in levels[1:]:
        groups: dict[tuple[int, int], list] = {}
        for (row, column), part in below.items():
            groups.setdefault((row // 2, column // 2), []).append(part)
        last = level is levels[-1]
        below = {at: fill(store, lead, level, image.tile, *at, parts, last) for at, parts in groups.items()}
    return [missing for _, missing in tiles.values()], list(below.values())


def _read(
    store: Store, lead: tuple[int, ...], image: Level, row: int, column: int, masked: np.ndarray | None
) -> tuple[Sums | None, int]:
    """One tile on its way into level 1, and whether it is missing. Raises StoreError where it is damaged."""
    top, left = row * image.tile[0], column * image.tile[1]
    with store_errors(store.name, "read"):
        name = "/".join(map(str, (IMAGE_PATH, "c", lead[0] // store.layout.frames, *lead[1:], row, column)))
        if not has_object(store.files, name):
            return None, 1
        try:
            pixels = store.array[(*lead, slice(top, top + image.tile[0]), slice(left, left + image.tile[1]))]
        except UNREADABLE as error:
            raise StoreError(
                f"cannot read {store.name}: {name} is damaged ({error}); `tilesim verify` says more"
            ) from error
    there = ~blank_marks(store.array.fill_value).found(pixels)
    if masked is not None:
        there &= ~masked[top : top + pixels.shape[0], left : left + pixels.shape[1]]
    # Few images have gaps within a tile.
    return halved(pixels if there.all() else np.where(there, pixels, 0), there, top, left), 0


def _fill(
    store: Store,
    lead: tuple[int, ...],
    level: Level,
    tile: tuple[int, int],
    row: int,
    column: int,
    parts: Sequence[Sums | None],
    last: bool,
) -> Sums | None:
    """Write one whole chunk of a level; the same on its way into the next level."""
    top, left = row * tile[0], column * tile[1]
    shape = tuple(min(t, n - start) for t, n, start in zip(tile, level.shape, (top, left), strict=True))
    sums, counts = np.zeros(shape), np.zeros(shape, np.int64)
    for part in parts:
        if part is not None:
            rows = slice(part.top - top, part.top - top + part.sums.shape[0])
            columns = slice(part.left - left, part.left - left + part.sums.shape[1])
            with np.errstate(invalid="ignore"):  # infinite pixels of both signs
                sums[rows, columns] += part.sums
            counts[rows, columns] += part.counts
    with np.errstate(invalid="ignore", over="ignore"):
        means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).astype(np.float32)
    array = open_level(store, level)
    with store_errors(store.name):
        array[(*lead, slice(top, top + shape[0]), slice(left, left + shape[1]))] = means
    return None if last else halved(sums, counts, top, left)


def halved(sums: np.ndarray, counts: np.ndarray, top: int, left: int) -> Sums:
    """Sums over blocks of 2 x 2; `top`, `left` say where the array lies, blocks begin at even numbers."""
    rows, columns = (_starts(start, n) for start, n in zip((top, left), sums.shape, strict=True))

    def added(values: np.ndarray, dtype: type) -> np.ndarray:
        return np.add.reduceat(np.add.reduceat(values, columns, axis=1, dtype=dtype), rows, axis=0)

    with np.errstate(invalid="ignore"):
        return Sums(top // 2, left // 2, added(sums, np.float64), added(counts, np.int64))


def _starts(start: int, count: int) -> np.ndarray:
    """Where blocks of two begin in a run of `count` numbers from `start` on."""
    return np.flatnonzero(np.diff(np.arange(start, start + count) // 2, prepend=-1))
