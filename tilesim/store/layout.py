"""What a store looks like, before any of it exists: shapes, chunks, codec and attributes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tilesim.frozen import frozen
from tilesim.store.compression import OVERHEAD, Compression
from tilesim.tiling.plan import TilePlan, even_edge
from tilesim.tiling.tile import Tile

FORMATS = (1, 2, 3)
"""Versions of the layout that are read."""
RESUMED = (2, 3)
"""Versions that are written: 3 where tiles have several frames, and 2, which earlier programs read."""
LEVEL = "0"
"""Group of the full-resolution image."""
IMAGE = "intensity"
IMAGE_PATH = f"{LEVEL}/{IMAGE}"
DIMENSIONS = ("frame", "panel", "slow", "fast")
"""Axes of an image; that of a detector of one panel has no `panel`."""
INNER_CHUNK = 512
"""Largest edge of a chunk inside a shard: fastest to write and still quick to read in part (measured)."""
CHECKSUM, SHARD_ENTRY = 4, 16
"""Bytes of the checksum of a chunk or index, and of a chunk's entry in the index of its shard."""
SHARD_FROM = 1024
"""Tiles with both edges at least this become shards, where whole chunks fill them."""


@frozen
class Pixels:
    """What the numbers of an image are, and how they are stored."""

    dtype: str = "float32"
    blank: float = math.nan
    """What shows a tile that is missing for what it is."""
    units: str = "photons/pixel"
    long_name: str = "diffracted intensity"

    compression: Compression | None = None
    """None: that of a store that is resumed, or by default that of the dtype."""


PHOTONS = Pixels()
"""Pixels of a simulated image."""


@frozen
class Layout:
    """Images stored so that one tile is one object: a chunk or a shard."""

    shape: tuple[int, ...]
    """(frame, slow, fast), or (frame, panel, slow, fast) for a detector of several panels."""
    tile: tuple[int, int]
    """Pixels (slow, fast)."""
    chunk: tuple[int, int]
    """Pixels (slow, fast); the tile itself where there are no shards."""
    dtype: str = PHOTONS.dtype
    frames: int = 1
    """Frames of a tile, each in chunks of its own."""

    @classmethod
    def of_plan(cls, plan: TilePlan, dtype: str = PHOTONS.dtype) -> Layout:
        chunk, shard = zip(*map(whole_chunks, plan.tile), strict=True)
        # A shard may reach beyond the far edge of the image, but not over another tile.
        fits = all(t in (s, n) for s, t, n in zip(shard, plan.tile, plan.shape[-2:], strict=True))
        if min(plan.tile) < SHARD_FROM or not fits:
            chunk = shard = plan.tile
        return cls(plan.shape, shard, chunk, dtype, plan.frames)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Names of the axes of `shape`."""
        return dimensions(len(self.shape))

    @property
    def chunks(self) -> tuple[int, ...]:
        return (*(1 for _ in self.shape[:-2]), *self.chunk)

    @property
    def shards(self) -> tuple[int, ...] | None:
        if self.chunk == self.tile and self.frames == 1:
            return None
        return (self.frames, *(1 for _ in self.shape[1:-2]), *self.tile)

    @property
    def image_bytes(self) -> int:
        """Bytes of all tiles on disk at most, if they cannot be compressed.

        Chunks at the edges are stored whole, each has a checksum.
        """
        pixel = np.dtype(self.dtype).itemsize
        chunks = len(TilePlan(self.shape, self.chunk)) * (math.prod(self.chunk) * pixel + OVERHEAD + CHECKSUM)
        if not self.shards:
            return chunks
        # A shard ends in a table of where its chunks begin and how long they are.
        inner = self.frames * math.prod(self.tile) // math.prod(self.chunk)
        return chunks + len(self.plan) * (inner * SHARD_ENTRY + CHECKSUM)

    @property
    def plan(self) -> TilePlan:
        """The tiles that fill the store."""
        return TilePlan(self.shape, self.tile, self.frames)

    def object_name(self, tile: Tile, path: str = IMAGE_PATH) -> str:
        """Path of the tile's chunk or shard below the group of the store (zarr v3, default key encoding).

        path  of the array
        """
        images = (tile.frame // self.frames, tile.panel)[: len(self.shape) - 2]
        place = (*images, tile.slow_start // self.tile[0], tile.fast_start // self.tile[1])
        return f"{path}/c/{'/'.join(map(str, place))}"


def whole_chunks(edge: int) -> tuple[int, int]:
    """Edge of the fewest nearly equal chunks that cover so many pixels, and of all of them together."""
    count = math.ceil(edge / INNER_CHUNK)
    chunk = even_edge(edge, count)
    return chunk, count * chunk


def dimensions(count: int) -> tuple[str, ...]:
    """Names of the axes of an image of `count` axes."""
    return tuple(name for name in DIMENSIONS if count == len(DIMENSIONS) or name != "panel")


def ome_attributes(pixel: float, name: str, axes: int = 3) -> dict[str, Any]:
    """Metadata after OME-Zarr 0.5: one level, scale and position of pixel centres in mm from the panel's corner.

    pixel  edge, millimetres
    axes   of the image; viewers know panels as channels
    """
    images = axes - 2
    kinds = {"frame": {"type": "time"}, "panel": {"type": "channel"}}
    space = {"type": "space", "unit": "millimeter"}
    named = [{"name": axis, **kinds.get(axis, space)} for axis in dimensions(axes)]
    transformations = [
        {"type": "scale", "scale": [1.0] * images + [pixel, pixel]},
        {"type": "translation", "translation": [0.0] * images + [pixel / 2, pixel / 2]},
    ]
    dataset = {"path": IMAGE_PATH, "coordinateTransformations": transformations}
    return {"version": "0.5", "multiscales": [{"name": name, "axes": named, "datasets": [dataset]}]}


def tilesim_attributes(
    provenance: Mapping[str, Any], status: str, statistics: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What tilesim says of its own store: format, status (creating, incomplete, complete), statistics, provenance.

    Of the provenance tilesim itself reads `digest` (Experiment.digest), other keys ending in "digest",
    `experiment` (Experiment.to_dict), `command_line` and `corrections` (lists), `versions` and `seeds` (dicts),
    `strict_c` (a bool), `precision`, `device`, `backend`, `compression` (Compression as text).
    """
    own = {"format": RESUMED[provenance.get("tile_frames", 1) > 1], "status": status, "statistics": statistics}
    attributes: dict[str, Any] = jsonable({**provenance, **own})
    return attributes


def jsonable(value: Any) -> Any:
    """`value` as strict JSON has it: numpy numbers plain, NaN and infinity None, tuples lists, the rest strings."""
    if isinstance(value, dict):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(v) for v in value]
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | None) else str(value)


@frozen
class FrameCoordinate:
    """A value for every frame: a parameter of the experiments, or a figure of the images."""

    name: str
    values: Sequence[Any]
    """Numbers, tuples of equally many numbers, or texts."""
    units: str | None = None
    long_name: str | None = None
    axis: str = ""
    """Dimension of tuples; empty: one of this coordinate alone"""

    def encoded(self) -> tuple[np.ndarray, tuple[str, ...], dict[str, str]]:
        """Array, its dimensions, its attributes."""
        about = {key: text for key, text in (("units", self.units), ("long_name", self.long_name)) if text}
        if any(isinstance(value, str) for value in self.values):
            return np.array(self.values, np.dtypes.StringDType()), DIMENSIONS[:1], about
        values = np.array(self.values)
        values = values.astype(np.int64 if values.dtype.kind in "iub" else np.float64)
        dimensions = DIMENSIONS[:1] if values.ndim == 1 else (DIMENSIONS[0], self.axis or f"{self.name}_component")
        return values, dimensions, about
