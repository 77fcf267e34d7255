"""Reading a store: what it holds, in plain values, and its image band by band."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import zarr

from tilesim.errors import InputError
from tilesim.model import Beam, Panel
from tilesim.model.resolution import beam_centre, resolution_limits
from tilesim.model.serial import from_plain
from tilesim.store.layout import IMAGE_PATH, read_attributes
from tilesim.store.write import present_tiles
from tilesim.tiling.plan import TilePlan


def describe_store(path: str | os.PathLike) -> dict:
    """All that is worth knowing of the store at `path`, as plain JSON-able values; reads no pixels.

    What the store does not say is None. Raises InputError where `path` is no store of tilesim's.
    """
    attributes, image = _open(path)
    tile = (image.shards or image.chunks)[1:]
    plan = TilePlan(image.shape, tile)
    return {
        "path": os.fspath(path),
        "status": attributes.get("status"),
        "shape": list(image.shape),
        "dimensions": list(image.metadata.dimension_names or ()),
        "dtype": str(image.dtype),
        "units": image.attrs.get("units"),
        "chunks": list(image.chunks),
        "shards": list(image.shards) if image.shards else None,
        "tiles": {"present": len(present_tiles(path, plan)), "total": len(plan), "shape": list(tile)},
        "bytes_on_disk": _bytes_below(path),
        **_geometry(attributes.get("experiment")),
        "statistics": attributes.get("statistics"),
        "command_line": attributes.get("command_line"),
        "strict_c": attributes.get("strict_c"),
        "corrections": attributes.get("corrections"),
        "seeds": attributes.get("seeds"),
        "precision": attributes.get("precision"),
        "device": attributes.get("device"),
        "backend": attributes.get("backend"),
        "versions": attributes.get("versions") or {},
        "digests": {k: v for k, v in attributes.items() if k.endswith("digest")},
        "format": attributes["format"],
    }


def read_bands(path: str | os.PathLike, frame: int = 0) -> Iterator[tuple[int, np.ndarray]]:
    """The image of one frame from top to bottom: pairs of (first slow index, photons (rows, fast) float32).

    A band is one row of chunks, so each chunk is read once. Tiles that are missing are NaN.
    """
    _, image = _open(path)
    rows = image.chunks[1]
    return ((start, image[frame, start : start + rows]) for start in range(0, image.shape[1], rows))


def _open(path: str | os.PathLike) -> tuple[dict, zarr.Array]:
    """The attributes and the image of a store."""
    folder = Path(path)
    if not folder.exists():
        raise InputError(f"{os.fspath(path)}: there is no such store")
    attributes = read_attributes(folder)
    if attributes is None:
        raise InputError(f"{os.fspath(path)}: expected a store made by tilesim (a zarr folder), found something else")
    try:
        return attributes, zarr.open_array(folder / IMAGE_PATH, mode="r")
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{os.fspath(path)}: the store is damaged, its {IMAGE_PATH} cannot be opened") from error


def _geometry(experiment: dict | None) -> dict:
    """Wavelength, distance, pixel, beam centre and resolution, in the units of the field."""
    names = ("wavelength_angstrom", "distance_mm", "pixel_mm", "beam_centre_pixel", "resolution_angstrom")
    try:
        panel = from_plain(Panel, experiment["detector"]["panels"][0])
        beam = from_plain(Beam, experiment["beam"])
    except (KeyError, TypeError, IndexError):
        return dict.fromkeys(names)
    centre = beam_centre(panel, beam)
    complete, corner = resolution_limits(panel, beam)
    values = (
        beam.wavelength * 1e10,
        panel.distance * 1e3,
        panel.pixel_size * 1e3,
        {"slow": centre[0], "fast": centre[1]} if centre else None,
        {"complete": complete * 1e10 if complete else None, "corner": corner * 1e10},
    )
    return dict(zip(names, values, strict=True))


def _bytes_below(path: str | os.PathLike) -> int:
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)
