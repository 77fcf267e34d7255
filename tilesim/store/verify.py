"""Reading a store again, every object of it, to find what is missing or damaged."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from tilesim.frozen import frozen
from tilesim.store.experiments import GROUP
from tilesim.store.layout import IMAGE, LEVEL, dimensions
from tilesim.store.levels import damaged_levels
from tilesim.store.metadata import UNREADABLE, listed_members, read_member
from tilesim.store.place import ROOT, Plain, has_object, names_beside, names_in, read_json, store_errors
from tilesim.store.store import Store
from tilesim.store.truth import GROUP as TRUTH
from tilesim.tiling.tile import Tile


@frozen
class Verification:
    """What is wrong with a store."""

    total: int
    """Tiles"""
    missing: tuple[Tile, ...]
    damaged: tuple[Tile, ...]
    status: str
    """What the store says of itself."""
    coordinates: tuple[str, ...] = ()
    """Names of the arrays beside the image that are gone or cannot be read."""

    levels: tuple[str, ...] = ()
    """Coarser levels that are not what they must be."""

    @property
    def incomplete(self) -> bool:
        """Whether the image itself is not whole."""
        return bool(self.missing or self.damaged or self.coordinates) or self.status != "complete"

    @property
    def intact(self) -> bool:
        return not (self.incomplete or self.levels)


def verify_store(
    store: Store, on_tile: Callable[[Tile], None] = lambda tile: None, threads: int | None = None
) -> Verification:
    """Read every tile of a store and compare its checksums; a bounded number is in memory."""
    missing, damaged = [], []
    for tile, found in _checked(store, threads or min(8, os.cpu_count() or 1)):
        if found == "missing":
            missing.append(tile)
        elif found == "damaged":
            damaged.append(tile)
        on_tile(tile)
    unreadable = (*_unreadable_coordinates(store), *_unreadable_experiments(store), *_wrongly_listed(store))
    return Verification(
        len(store.plan), tuple(missing), tuple(damaged), store.status, unreadable, tuple(damaged_levels(store))
    )


def _checked(store: Store, threads: int) -> Iterator[tuple[Tile, str]]:
    """Every tile with what is wrong with it, or nothing."""

    def check(tile: Tile) -> tuple[Tile, str]:
        if not store.has(tile):
            return tile, "missing"
        return tile, "" if store.read(tile) is not None else "damaged"

    tiles = iter(store.plan)
    with ThreadPoolExecutor(threads, thread_name_prefix="verify") as pool:
        waiting = deque(pool.submit(check, tile) for tile in islice(tiles, 2 * threads))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(check, tile) for tile in islice(tiles, 1))
            yield result


def _wrongly_listed(store: Store) -> Iterator[str]:
    """Members whose metadata are others than the root, or their group, lists; other programs read these."""
    for group in ("", f"{LEVEL}/"):
        for name, listed in listed_members(read_json(store.place, f"{group}{ROOT}") or {}).items():
            judged = (group or name).split("/")[0] in (LEVEL, GROUP, TRUTH)  # of coarser levels others know
            there = read_json(store.place, f"{group}{name}/{ROOT}") if judged else None
            if there is not None and not _same(listed, there):
                yield f"{group}{name} in {group}{ROOT}"


def _same(listed: Plain, there: Plain) -> bool:
    """Whether metadata agree, apart from those of members."""
    inside = "consolidated_metadata"
    return {**listed, inside: None} == {**there, inside: None}


def _unreadable_experiments(store: Store) -> Iterator[str]:
    """Arrays of the experiments that are damaged or gone."""
    if store.format == 1:
        return
    listed = listed_members(read_json(store.place, ROOT) or {})
    with store_errors(store.place, "read"):
        there = {name.removesuffix(f"/{ROOT}") for name in names_in(store.files, GROUP) if name.endswith(f"/{ROOT}")}
        wanted = {key for key in listed if key.split("/")[0] == GROUP} | there
        for path in sorted(wanted):
            try:
                if read_member(store.files, path, store.name)["node_type"] == "group":
                    continue
                node = store.open_array(path, whole=True)
                if node.size:
                    node[...]
                    chunk = "/".join("0" * node.ndim)
                    if not has_object(store.files, f"{path}/c/{chunk}"):
                        raise KeyError(path)
            except UNREADABLE:
                yield path


def _unreadable_coordinates(store: Store) -> Iterator[str]:
    """Arrays beside the image that are damaged or gone; what belongs there is known from several sources."""
    place, image = store.place, store.array
    with store_errors(place, "read"):
        listed = listed_members(read_json(place, ROOT) or {})
        names = {*dimensions(image.ndim), *str(image.attrs.get("coordinates", "")).split()}
        if (read_json(place, f"{LEVEL}/{ROOT}") or {}).get("node_type") != "group":
            yield LEVEL
        names |= {key.split("/")[1] for key in listed if key.count("/") == 1 and key.startswith(f"{LEVEL}/")}
        names |= {name.strip("/") for name in names_beside(store.files, LEVEL)} - {ROOT}
        for name in sorted(names - {IMAGE}):
            try:
                array = store.open_array(f"{LEVEL}/{name}", whole=True)
                array[...]
                present = has_object(store.files, f"{LEVEL}/{name}/c/{'/'.join('0' * array.ndim)}")
            except UNREADABLE:
                present = False
            if not present:
                yield name
