"""Reading a store: what it holds, in plain values, and its image band by band."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import zarr

from tilesim.errors import InputError, StoreError
from tilesim.model import Beam, Panel
from tilesim.model.resolution import beam_centre, resolution_limits
from tilesim.model.serial import from_plain
from tilesim.store.create import CREATING, read_attributes
from tilesim.store.layout import IMAGE_PATH, LEVEL, FrameCoordinate
from tilesim.store.place import has_object, is_taken, is_url, normal_place, open_place, store_errors
from tilesim.store.write import UNREADABLE, count_present, layout_of
from tilesim.tiling.tile import Tile


def describe_store(path: str | os.PathLike) -> dict:
    """All that is worth knowing of the store at `path`, as plain JSON-able values; reads no pixels.

    What the store does not say is None. Raises InputError where `path` is no store of tilesim's.
    """
    attributes, image = open_store(path)
    place = normal_place(path)
    plan = layout_of(image).plan
    return {
        "path": os.fspath(path),
        "status": attributes.get("status"),
        "missing": attributes.get("missing") or [],
        "shape": list(image.shape),
        "dimensions": list(image.metadata.dimension_names or ()),
        "dtype": str(image.dtype),
        "units": image.attrs.get("units"),
        "compression": attributes.get("compression"),
        "chunks": list(image.chunks),
        "shards": list(image.shards) if image.shards else None,
        "tiles": {"present": count_present(place, image.ndim), "total": len(plan), "shape": list(plan.tile)},
        "levels": _coarser(place, attributes),
        "bytes_on_disk": None if is_url(place) else _bytes_below(place),
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


class StoredFrame:
    """One frame of a store, or one panel of it, read in bands of rows; opened when it is first read."""

    def __init__(
        self,
        place: str,
        frame: int,
        shape: tuple[int, int],
        job_digest: str | None = None,
        panel: int | None = None,
    ) -> None:
        self.place = place
        self.job_digest = job_digest
        """Of the job whose store it must be, all tiles there; None: whatever is there, NaN where tiles are missing."""
        self.frame = frame
        self.shape = shape
        """Pixels (slow, fast)."""
        self.panel = panel
        """None: all of them, stacked along the slow axis."""

    def bands(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """First row and float32 photons (up to `rows`, fast), from top to bottom.

        A row of chunks is in memory at a time, and each chunk is read once. Raises StoreError on damage.
        """
        with store_errors(self.place, "read"):
            image = open_stored(self.place)
            plan, height = layout_of(image).plan, image.chunks[-2]
            self._check_job()
            for place, panel in enumerate(range(plan.panels) if self.panel is None else (self.panel,)):
                start = place * image.shape[-2]
                for top in range(0, image.shape[-2], height):
                    tile = Tile(self.frame, panel, top, top + height, 0, image.shape[-1])
                    try:
                        band = image[plan.index(tile)]
                    except UNREADABLE as error:
                        where = f"panel {panel}, rows" if plan.panels > 1 else "rows"
                        raise StoreError(f"cannot read {self.place}: {where} {top} on are damaged ({error})") from error
                    self._check_tiles(image, tile)
                    for first in range(0, len(band), rows):
                        yield start + top + first, band[first : first + rows]

    def _check_job(self) -> None:
        found = (read_attributes(self.place) or {}).get("job_digest")
        if self.job_digest not in (None, found):
            raise StoreError(f"cannot read {self.place}: the store was replaced by that of another job")

    def _check_tiles(self, image: zarr.Array, read: Tile) -> None:
        """Raise StoreError where a tile of the row of chunks that was just `read` is not there: it was removed."""
        if self.job_digest is None:
            return
        layout, store = layout_of(image), open_place(self.place, read_only=True)
        row = read.slow_start // layout.tile[0] * layout.tile[0]
        for column in range(0, self.shape[1], layout.tile[1]):
            if not has_object(store, layout.object_name(Tile(self.frame, read.panel, row, row, column, column))):
                raise StoreError(
                    f"cannot read {self.place}: tiles were removed from the store; did another run use it?"
                )


def stored_choices(place: str) -> dict:
    """What a run chose for a store that is there: the pixels (slow, fast) of its tiles, and the backend."""
    attributes = read_attributes(place)
    if attributes is None or attributes.get("status") == CREATING:
        return {}
    tile = attributes.get("tile")
    chosen = {"tile": tuple(tile) if tile else layout_of(open_stored(place)).plan.tile}
    return chosen | {name: attributes[name] for name in ("backend",) if name in attributes}


def open_stored(place: str) -> zarr.Array:
    """The image of a store, to be read. Raises InputError where it is damaged."""
    try:
        return zarr.open_array(open_place(place, read_only=True), path=IMAGE_PATH, mode="r")
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{place}: the store is damaged, its {IMAGE_PATH} cannot be opened") from error


def open_store(path: str | os.PathLike) -> tuple[dict, zarr.Array]:
    """The attributes and the image of a store. Raises InputError where `path` is none of tilesim's."""
    place, given = normal_place(path), os.fspath(path)
    if not is_taken(place):
        raise InputError(f"{given}: there is no such store")
    attributes = read_attributes(place)
    if attributes is None:
        raise InputError(f"{given}: expected a store made by tilesim (a zarr folder), found something else")
    return attributes, open_stored(place)


def _coarser(place: str, attributes: dict) -> list[list[int]]:
    """Blocks (slow, fast) of each coarser level that was made of this image."""
    from tilesim.store.levels import levels_there

    return [list(level.shape) for level in levels_there(place, attributes)[1:]]


def stored_coordinates(path: str | os.PathLike) -> tuple[FrameCoordinate, ...]:
    """The values that the store at `path` holds for every frame, but for their mere numbers 0, 1, ... of a plain image.

    Raises InputError where `path` is no store of tilesim's, StoreError where one of them is damaged.
    """
    _, image = open_store(path)
    names = ("frame", *str(image.attrs.get("coordinates", "")).split())
    place = normal_place(path)
    store = open_place(place, read_only=True)
    found = []
    for name in names:
        try:
            array = zarr.open_array(store, path=f"{LEVEL}/{name}", mode="r")
            values = array[...].tolist()
        except UNREADABLE as error:
            raise StoreError(f"cannot read {place}: its coordinate {name} is damaged or gone ({error})") from error
        about = dict(array.attrs)
        if "meanings" in about:
            values = [about["meanings"][number] for number in values]
        values = [tuple(value) if isinstance(value, list) else value for value in values]
        found.append(FrameCoordinate(name, values, about.get("units"), about.get("long_name")))
    return tuple(found)


def _geometry(experiment: dict | None) -> dict:
    """Wavelength, distance, pixel, beam centre and resolution, in the units of the field."""
    names = ("wavelength_angstrom", "distance_mm", "pixel_mm", "beam_centre_pixel", "resolution_angstrom")
    try:
        panels = [from_plain(Panel, panel) for panel in experiment["detector"]["panels"]]
        beam = from_plain(Beam, experiment["beam"])
        panel = panels[0]
    except (KeyError, TypeError, IndexError):
        return dict.fromkeys(names)
    # Between several panels the beam may well pass, and rings are not complete.
    centre = beam_centre(panel, beam) if len(panels) == 1 else None
    limits = [resolution_limits(one, beam) for one in panels]
    complete, corner = limits[0][0] if len(panels) == 1 else None, min(corner for _, corner in limits)
    values = (
        beam.wavelength * 1e10,
        panel.distance * 1e3,
        panel.pixel_size * 1e3,
        {"slow": centre[0], "fast": centre[1]} if centre else None,
        {"complete": complete * 1e10 if complete else None, "corner": corner * 1e10},
    )
    return dict(zip(names, values, strict=True))


def _bytes_below(path: str) -> int:
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)
