"""Arrays of the truth beside an image: diffracted photons, mean wavelength, mean Miller indices of every pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import zarr
from zarr.abc.store import Store as Files

from tilesim.frozen import frozen
from tilesim.store.compression import Compression
from tilesim.store.layout import Layout
from tilesim.store.metadata import UNREADABLE
from tilesim.store.place import delete_object, has_object
from tilesim.tiling.tile import Tile

GROUP = "truth"
DTYPE = "float32"


@frozen
class TruthArray:
    """One array, whose tiles are those of the image."""

    name: str
    units: str
    long_name: str
    rows: slice
    """Rows of the truth (row, slow, fast) of a tile that it holds"""
    parts: str = ""
    """Name of a last axis, along which a pixel has one number for each row; empty: a pixel has one number"""

    @property
    def path(self) -> str:
        return f"{GROUP}/{self.name}"

    def object_name(self, layout: Layout, tile: Tile) -> str:
        """Path of the tile's chunk or shard below the group of the store."""
        return f"{layout.object_name(tile, self.path)}{'/0' if self.parts else ''}"

    def of_tile(self, truth: np.ndarray) -> np.ndarray:
        """What it holds of a tile's truth (..., row, slow, fast)."""
        return np.moveaxis(truth[..., self.rows, :, :], -3, -1) if self.parts else truth[..., self.rows.start, :, :]


TRUTH_ARRAYS = (
    TruthArray("photons", "photons/pixel", "diffracted photons, without background", slice(0, 1)),
    TruthArray("wavelength", "m", "mean wavelength of the diffracted photons", slice(1, 2)),
    TruthArray("hkl", "1", "mean Miller indices of the diffracted photons", slice(2, 5), "index"),
)


def create_truth(root: zarr.Group, layout: Layout, compression: Compression) -> None:
    """Write the metadata of the arrays of an image of this layout."""
    group = root.create_group(GROUP)
    for one in TRUTH_ARRAYS:
        last = (one.rows.stop - one.rows.start,) if one.parts else ()
        group.create_array(
            one.name,
            shape=(*layout.shape, *last),
            dtype=DTYPE,
            chunks=(*layout.chunks, *last),
            shards=None if layout.shards is None else (*layout.shards, *last),
            compressors=compression.codecs(DTYPE),
            fill_value=np.float32(np.nan),
            dimension_names=(*layout.dimensions, *filter(None, [one.parts])),
            attributes={"units": one.units, "long_name": one.long_name},
        )


@frozen
class StoredTruth:
    """The arrays of a store that has them, opened."""

    files: Files
    layout: Layout
    arrays: tuple[zarr.Array[Any], ...]
    """One for each of TRUTH_ARRAYS"""

    def write(self, tile: Tile, truth: np.ndarray) -> None:
        """Write the truth of one tile, (row, slow, fast) or (frame, row, slow, fast): an object of each array."""
        for one, array in zip(TRUTH_ARRAYS, self.arrays, strict=True):
            name, values = one.object_name(self.layout, tile), np.asarray(one.of_tile(truth), DTYPE)
            write_object_of(self.files, array, self.layout.plan.index(tile), values, name)

    def has(self, tile: Tile) -> bool:
        """Whether there are objects for the tile in all arrays, sound or not."""
        return all(has_object(self.files, one.object_name(self.layout, tile)) for one in TRUTH_ARRAYS)

    def sound(self, tile: Tile) -> bool:
        """Whether the objects of a tile can be read."""
        try:
            for array in self.arrays:
                array[self.layout.plan.index(tile)]
        except UNREADABLE:
            return False
        return True


def write_object_of(
    files: Files, array: zarr.Array[Any], where: tuple[int | slice, ...], values: np.ndarray, name: str
) -> None:
    """Write the values of one object, replacing it."""
    try:
        array[where] = values
    except ValueError:
        # zarr reads a shard before it fills it in part, as at the edges: a damaged one must go first.
        delete_object(files, name)
        array[where] = values
