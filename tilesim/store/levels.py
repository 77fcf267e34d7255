"""Coarser levels of a store: where they lie, that they are listed once they are complete, and when they go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import zarr

from tilesim.errors import StoreError
from tilesim.frozen import frozen
from tilesim.store.create import stored_compression, write_coordinate
from tilesim.store.experiments import array_in, group_in, names_of
from tilesim.store.layout import IMAGE, LEVEL, PHOTONS
from tilesim.store.metadata import UNREADABLE
from tilesim.store.place import (
    ROOT,
    Plain,
    has_object,
    names_beside,
    open_place,
    read_json,
    read_root,
    store_errors,
    write_object,
)
from tilesim.store.stale import drop_levels, write_root
from tilesim.store.store import Store, dimension_names, edges, read_attributes

MEANS = "float32"
"""Type of coarser levels, of counts too."""
SMALL = 512
"""Levels are added until the longer edge has at most this many blocks."""


@frozen
class Level:
    """One level of a store's image; level 0 is the image itself."""

    number: int
    shape: tuple[int, int]
    """Blocks (slow, fast); where the image ends inside a block, that block is counted."""
    tile: tuple[int, int]
    """Blocks of one object, a chunk or a shard."""
    chunk: tuple[int, int]

    @property
    def factor(self) -> int:
        """Edge of a block, pixels."""
        return 1 << self.number

    @property
    def path(self) -> str:
        return f"{self.number}/{IMAGE}"

    @property
    def grid(self) -> tuple[int, int]:
        """Objects along (slow, fast)."""
        (slow, fast), (tall, wide) = self.shape, self.tile
        return -(-slow // tall), -(-fast // wide)


def levels_of(image: zarr.Array[Any]) -> tuple[Level, ...]:
    """The levels that a store's image (..., slow, fast) should have, the image itself first.

    A chunk of a level covers 2 x 2 of the level below, so each tile of the image is read once.
    """
    shape, tile, chunk = edges(image.shape), edges(image.shards or image.chunks), edges(image.chunks)
    levels = [Level(0, shape, tile, chunk)]
    while max(shape) > SMALL:
        shape = (-(-shape[0] // 2), -(-shape[1] // 2))
        if tile == chunk:
            tile = chunk = (min(tile[0], shape[0]), min(tile[1], shape[1]))
        levels.append(Level(len(levels), shape, tile, chunk))
    return tuple(levels)


def levels_there(store: Store) -> tuple[Level, ...]:
    """The levels that can be read, the image itself first: coarser ones where they were made from what is there.

    Says what the store promises, not whether it is true: `open_level` checks.
    """
    wanted = levels_of(store.array)
    pyramid = store.attributes.get("pyramid")
    if not isinstance(pyramid, dict) or pyramid.get("job_digest") != store.job_digest:
        return wanted[:1]
    return wanted if pyramid.get("levels") == len(wanted) - 1 else wanted[:1]


def open_level(store: Store, level: Level) -> zarr.Array[Any]:
    """The array (..., slow, fast) of one level. Raises StoreError where it is not what it must be."""
    image, place = store.array, store.name
    if level.number == 0:
        return image
    try:
        array = store.open_array(level.path, mode="r+")
        # A chunk that is all NaN is stored too: an object that is not there is damage.
        array = array.with_config({"write_empty_chunks": True})
    except (*UNREADABLE, StoreError) as error:
        raise StoreError(
            f"{place}: its {level.path} cannot be opened; `tilesim pyramid --overwrite` repairs it"
        ) from error
    expected = (*image.shape[:-2], *level.shape)
    if array.shape != expected or array.dtype != MEANS:
        raise StoreError(
            f"{place}: its {level.path} is {array.dtype} of shape {array.shape}; expected {MEANS} of shape"
            f" {expected}; `tilesim pyramid --overwrite` repairs it"
        )
    return array


def create_levels(store: Store) -> tuple[Level, ...]:
    """Make room for the coarser levels, all of them empty and none of them listed yet; returns them.

    Levels that are there are removed first. Raises StoreError where the place cannot be written.
    """
    pixel = _pixel_mm(store.place)
    drop_levels(store.place)
    image, levels = store.array, levels_of(store.array)[1:]
    compression = stored_compression(store.place)
    names = dimension_names(image)
    source = group_in(store.group, LEVEL, store.name)
    there = names_of(source)
    with store_errors(store.place):
        for level in levels:
            group = zarr.create_group(store.files, path=str(level.number), zarr_format=3)
            group.create_array(
                IMAGE,
                shape=(*image.shape[:-2], *level.shape),
                dtype=MEANS,
                chunks=(*(1 for _ in image.shape[:-2]), *level.chunk),
                shards=(*(1 for _ in image.shape[:-2]), *level.tile) if level.tile != level.chunk else None,
                compressors=compression.codecs(MEANS),
                fill_value=float("nan"),
                dimension_names=names or None,
                attributes={
                    "units": image.attrs.get("units", PHOTONS.units),
                    "long_name": f"mean of {level.factor} x {level.factor} pixels",
                },
            )
            for name in names[:-2]:
                if name in there:
                    found = array_in(source, name, store.name)
                    write_coordinate(group, name, np.asarray(found[...]), (name,), dict(found.attrs))
            for name, count in zip(names[-2:], level.shape, strict=bool(names)):
                centres = (np.arange(count) + 0.5) * level.factor * pixel
                about = {
                    "units": "mm",
                    "long_name": f"block centre along the {name} axis, from the corner of the panel",
                }
                write_coordinate(group, name, centres, (name,), about)
    return levels


def list_levels(store: Store, levels: tuple[Level, ...], before: Plain, missing: int) -> None:
    """Say in the metadata that the levels are complete, in one atomic step.

    before   the store's attributes when reading began
    missing  tiles that were not there then: blocks of them alone are NaN

    Raises StoreError where the store is another one by now.
    """
    check_unchanged(store, before)
    plain, entries = read_root(store.place), _entries(store.place, levels)
    multiscale, base = _multiscale(store.place, plain)
    multiscale["datasets"] = [base, *(_dataset(base, level) for level in levels)]
    about = {"levels": len(levels), "job_digest": before.get("job_digest"), "missing": missing}
    plain["attributes"]["tilesim"]["pyramid"] = about
    if isinstance(plain.get("consolidated_metadata"), dict):
        plain["consolidated_metadata"]["metadata"] |= entries
    write_root(store.place, plain)


def check_unchanged(store: Store, before: Plain) -> None:
    """Raise StoreError where the attributes of a store are not those that it had before."""
    if read_attributes(store.place) != before:
        raise StoreError(f"{store.name} was changed by a run while its pyramid was made; expected a store at rest")


def damaged_levels(store: Store) -> Iterator[str]:
    """Paths of the coarser levels that are listed but cannot be read, or lack a chunk; reads each chunk."""
    for level in levels_there(store)[1:]:
        try:
            array = open_level(store, level)
            for lead in np.ndindex(*array.shape[:-2]):
                for row, column in np.ndindex(*level.grid):
                    name = "/".join(map(str, (level.path, "c", *lead, row, column)))
                    if not has_object(store.files, name):
                        raise StoreError(f"{store.name}: {name} is missing")
                    rows, columns = (slice(n * t, (n + 1) * t) for n, t in zip((row, column), level.tile, strict=True))
                    array[(*lead, rows, columns)]
        except (*UNREADABLE, StoreError):
            yield level.path


def _dataset(base: Plain, level: Level) -> Plain:
    """The OME-Zarr entry of a level, from that of the image: a block lies at the mean of its pixels' centres."""
    given = {one["type"]: one[one["type"]] for one in base["coordinateTransformations"]}
    pixel = given["scale"][-2:]
    scale = [*given["scale"][:-2], *(p * level.factor for p in pixel)]
    shifts = [t + p * (level.factor - 1) / 2 for t, p in zip(given["translation"][-2:], pixel, strict=True)]
    transformations = [
        {"type": "scale", "scale": scale},
        {"type": "translation", "translation": [*given["translation"][:-2], *shifts]},
    ]
    return {"path": level.path, "coordinateTransformations": transformations}


def _entries(place: str, levels: tuple[Level, ...]) -> dict[str, Plain]:
    """Consolidated metadata of the groups of levels and of the arrays in them, and of each group in itself."""
    entries: dict[str, Plain] = {}
    store = open_place(place)
    for level in levels:
        group = str(level.number)
        names = sorted(name.strip("/") for name in names_beside(store, group))
        arrays = {name: read_json(place, f"{group}/{name}/{ROOT}") or {} for name in names if name != ROOT}
        plain = read_json(place, f"{group}/{ROOT}") or {}
        inline = {"kind": "inline", "must_understand": False}
        with store_errors(place):
            whole = {**plain, "consolidated_metadata": {**inline, "metadata": arrays}}
            write_object(store, f"{group}/{ROOT}", json.dumps(whole, indent=2).encode())
        entries[group] = {**plain, "consolidated_metadata": {**inline, "metadata": {}}}
        entries |= {f"{group}/{name}": array for name, array in arrays.items()}
    return entries


def _pixel_mm(place: str) -> float:
    """Edge of a pixel, millimetres, as the store's metadata has it."""
    _, base = _multiscale(place, read_root(place))
    return float(next(one["scale"] for one in base["coordinateTransformations"] if one["type"] == "scale")[-1])


def _multiscale(place: str, root: Plain) -> tuple[Plain, Plain]:
    """The multiscale image of OME-Zarr and its first dataset, that of the image, checked. Raises StoreError."""
    try:
        multiscale = root["attributes"]["ome"]["multiscales"][0]
        base = multiscale["datasets"][0]
        listed = [(one["type"], one[one["type"]]) for one in base["coordinateTransformations"]]
    except (KeyError, TypeError, IndexError):
        listed = []
    numbers = [kind for kind, values in listed if _are_numbers(values)]
    if sorted(numbers) != ["scale", "translation"] or len(listed) != len(numbers):
        raise StoreError(f"{place}: its attribute ome names no pixel size; expected OME-Zarr 0.5 metadata")
    return multiscale, base


def _are_numbers(values: object) -> bool:
    """Whether values are numbers along two axes or more."""
    if not isinstance(values, list) or len(values) < 2:
        return False
    return all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)
