"""Reading a store again, every object of it, to find what is missing or damaged."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from tilesim.store.place import normal_place, open_place, store_errors
from tilesim.store.read import open_store
from tilesim.store.write import UNREADABLE, StoredImage
from tilesim.tiling.tile import Tile


@dataclass(frozen=True)
class Verification:
    """What is wrong with a store."""

    total: int
    """Tiles"""
    missing: tuple[Tile, ...]
    damaged: tuple[Tile, ...]
    status: str
    """What the store says of itself."""
    coordinates: tuple[str, ...] = ()
    """Names of the arrays beside the image that cannot be read."""

    @property
    def intact(self) -> bool:
        return not (self.missing or self.damaged or self.coordinates) and self.status == "complete"


def verify_store(
    path: str | os.PathLike, on_tile: Callable[[Tile], None] = lambda tile: None, threads: int | None = None
) -> Verification:
    """Read every tile of a store and compare its checksums; a bounded number is in memory.

    Raises InputError where there is no store of tilesim's.
    """
    place = normal_place(path)
    attributes, array = open_store(path)
    image = StoredImage(place, array)
    missing, damaged = [], []
    for tile, found in _checked(image, threads or min(8, os.cpu_count() or 1)):
        if found == "missing":
            missing.append(tile)
        elif found == "damaged":
            damaged.append(tile)
        on_tile(tile)
    unreadable = tuple(_unreadable_coordinates(place))
    return Verification(len(image.layout.plan), tuple(missing), tuple(damaged), attributes.get("status"), unreadable)


def _checked(image: StoredImage, threads: int) -> Iterator[tuple[Tile, str]]:
    """Every tile with what is wrong with it, or nothing."""

    def check(tile: Tile) -> tuple[Tile, str]:
        if not image.has(tile):
            return tile, "missing"
        return tile, "" if image.read(tile) is not None else "damaged"

    tiles = iter(image.layout.plan)
    with ThreadPoolExecutor(threads, thread_name_prefix="verify") as pool:
        waiting = deque(pool.submit(check, tile) for tile in islice(tiles, 2 * threads))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(check, tile) for tile in islice(tiles, 1))
            yield result


def _unreadable_coordinates(place: str) -> Iterator[str]:
    import zarr

    from tilesim.store.layout import IMAGE, LEVEL

    with store_errors(place, "read"):
        level = zarr.open_group(open_place(place, read_only=True), path=LEVEL, mode="r", use_consolidated=False)
        for name, array in level.arrays():
            try:
                if name != IMAGE:
                    array[...]
            except UNREADABLE:
                yield name
