"""Noise on a lazy dask array: a block gets the pixels around it by dask's overlap, and its own noise."""

from __future__ import annotations

from itertools import pairwise

import dask.array as da
import numpy as np

from tilesim.images.absent import as_numbers, usual_marks
from tilesim.model.noise import Noise
from tilesim.model.sampling import Region
from tilesim.physics.spread import BLOCK, needed
from tilesim.tiling.tile import Tile
from tilesim.tools.noise import PIXEL_TYPES, Measurement, measured


def noisy_array(
    image: da.Array,
    noise: Noise,
    *,
    frame: int = 0,
    panel: int = 0,
    dtype: str = "float32",
    region: Region | None = None,
) -> da.Array:
    """A lazy image (slow, fast) as it is measured; the bytes of `tilesim noise`, however it is chunked.

    image         expected photons (slow, fast), such as `tilesim.simulate` gives or an array of a store
    frame, panel  numbers that the noise belongs to
    dtype         "float32", "int32" or "uint16"
    region        that was simulated, None for all: the rest has no value (NaN, -1, 65535), like pixels that are NaN or
                  hold the mark of their type

    Chunks smaller than the point spread reaches are joined first. Raises InputError.
    """
    shape = image.shape
    measurement = Measurement(noise, PIXEL_TYPES[dtype], shape, region or Region(0, shape[0], 0, shape[1]))
    depth = (0, 0)
    if noise.point_spread is not None:
        radius = noise.point_spread.radius
        image = image.rechunk(tuple(_wide_enough(chunks, radius) for chunks in image.chunks))
        depth = tuple(_reach(chunks, radius) for chunks in image.chunks)
    around = da.overlap.overlap(image, dict(enumerate(depth)), dict.fromkeys((0, 1), "none"), allow_rechunk=False)
    starts = tuple(np.cumsum((0, *chunks)).tolist() for chunks in image.chunks)
    return da.map_blocks(
        _measured_block,
        around,
        measurement,
        starts,
        depth,
        frame,
        panel,
        chunks=image.chunks,
        dtype=dtype,
        meta=np.empty((0, 0), dtype),
    )


def _wide_enough(chunks: tuple[int, ...], radius: int) -> tuple[int, ...]:
    """The same chunks, or larger ones where a chunk would need pixels from beyond its neighbour."""
    if min(chunks) >= _reach(chunks, radius):
        return chunks
    size = sum(chunks)
    edge = -(-max(radius, *chunks) // BLOCK) * BLOCK
    count = max(1, size // edge)
    return (*[edge] * (count - 1), size - (count - 1) * edge)


def _reach(chunks: tuple[int, ...], radius: int) -> int:
    """Pixels beyond any chunk along an axis that decide its own."""
    size = sum(chunks)
    spans = [*pairwise(np.cumsum((0, *chunks)).tolist())]
    around = [needed(span, radius, size) for span in spans]
    return max(max(span[0] - need[0], need[1] - span[1]) for span, need in zip(spans, around, strict=True))


def _measured_block(
    around: np.ndarray, measurement: Measurement, starts, depth, frame: int, panel: int, block_id=None
) -> np.ndarray:
    (top, bottom), (left, right) = ((s[k], s[k + 1]) for s, k in zip(starts, block_id, strict=True))
    corner = (max(0, top - depth[0]), max(0, left - depth[1]))

    def read(rows: slice, columns: slice) -> np.ndarray:
        pixels = around[
            rows.start - corner[0] : rows.stop - corner[0], columns.start - corner[1] : columns.stop - corner[1]
        ]
        return as_numbers(pixels, usual_marks(pixels.dtype).found(pixels))

    return measured(measurement, read, Tile(frame, panel, top, bottom, left, right))
