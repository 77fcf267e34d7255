"""The store: the zarr folder or URL of an image or a series, opened once and passed on."""

from __future__ import annotations

import contextlib
import os
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from zarr.abc.store import Store as Files

from tilesim.errors import InputError, StoreError
from tilesim.model import Series
from tilesim.store.earlier import earlier_series
from tilesim.store.experiments import read_series
from tilesim.store.layout import FORMATS, IMAGE, IMAGE_PATH, LEVEL, FrameCoordinate, Layout, dimensions
from tilesim.store.metadata import UNREADABLE, check_attributes, is_whole, open_array, open_group, read_member
from tilesim.store.place import (
    ROOT,
    has_object,
    is_taken,
    is_url,
    names_beside,
    normal_place,
    open_place,
    read_json,
    store_errors,
)
from tilesim.store.truth import TRUTH_ARRAYS, StoredTruth, write_object_of
from tilesim.tiling.plan import TilePlan
from tilesim.tiling.tile import Tile

CREATING = "creating"
"""Status of a store that has no room for tiles yet."""


class Store:
    """A store of tilesim's; any thread may use it, and where it is sent it is opened again.

    What it says of itself is read once; `check_unchanged` asks whether it is still the same.
    """

    def __init__(self, place: str, name: str | None = None, job_digest: str | None = None) -> None:
        """
        place       from `normal_place`
        name        the same as the user wrote it, for messages
        job_digest  of the job that the store must be of; None takes any
        """
        self.place = place
        self.name = place if name is None else name
        self._expected = job_digest

    def __reduce__(self) -> tuple[Any, ...]:
        return Store, (self.place, self.name, self.job_digest)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Store:
        """The store at a path or URL. Raises InputError where there is none of tilesim's, or its image is damaged."""
        place, name = normal_place(path), os.fspath(path)
        if not is_taken(place):
            raise InputError(f"{name}: there is no such store")
        store = cls(place, name)
        if read_attributes(place) is None:
            raise InputError(f"{name}: expected a store made by tilesim (a zarr folder), found something else")
        store.check_image()
        return store

    # --- what it says of itself

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """Its `tilesim` attributes. Raises StoreError where there is no such store, or that of another job."""
        where = os.uname().nodename
        found = read_attributes(self.place)
        if found is None:
            expected = "the URL" if is_url(self.place) else "a folder shared with the client, or a URL such as s3://"
            raise StoreError(f"there is no store at {self.place} as seen from {where}; expected {expected}")
        if self._expected is not None and found.get("job_digest") != self._expected:
            raise StoreError(f"{self.place} holds another job as seen from {where}")
        check_attributes(found, self.name)
        return found

    @property
    def job_digest(self) -> str | None:
        """Digest of the job whose tiles it takes; None where its provenance names none."""
        return self.attributes.get("job_digest")

    @property
    def status(self) -> str:
        """creating, incomplete or complete."""
        return str(self.attributes.get("status"))

    @property
    def complete(self) -> bool:
        return self.status == "complete"

    @property
    def format(self) -> int:
        """Version of its layout."""
        return int(self.attributes["format"])

    @cached_property
    def files(self) -> Files:
        """zarr's access to its objects."""
        return open_place(self.place)

    @cached_property
    def array(self) -> zarr.Array[Any]:
        """Its image (frame, slow, fast) or (frame, panel, slow, fast). Raises StoreError where it is damaged."""
        try:
            array = self.open_array(IMAGE_PATH, mode="r+")
        except InputError as error:
            raise StoreError(f"{error}; --resume repairs it") from error
        # Tiles equal to the fill value are stored too, and so count as written.
        return array.with_config({"write_empty_chunks": True})

    @cached_property
    def truth(self) -> StoredTruth | None:
        """The arrays of the truth beside its image; None where it has none. Raises StoreError where one is damaged."""
        if not self.attributes.get("truth"):
            return None
        try:
            arrays = [self.open_array(one.path, mode="r+") for one in TRUTH_ARRAYS]
        except InputError as error:
            raise StoreError(f"{error}; --resume repairs it") from error
        written = tuple(array.with_config({"write_empty_chunks": True}) for array in arrays)
        return StoredTruth(self.files, self.layout, written)

    def open_array(self, path: str, mode: Literal["r", "r+"] = "r", whole: bool = False) -> zarr.Array[Any]:
        """An array by its path, its metadata checked. Raises InputError where it is gone or damaged, StoreError.

        whole  whether it will be read whole
        """
        with store_errors(self.place, "read"):
            try:
                return open_array(self.files, path, self.name, mode, whole)
            except KeyError:
                raise InputError(f"{self.name}: the store is damaged, its {path} is gone") from None

    def check_image(self) -> None:
        """Raise InputError unless its image is one, as large as its coordinates say."""
        self.attributes  # noqa: B018
        try:
            array, _ = self.array, self.truth
        except StoreError as error:
            raise InputError(str(error)) from error
        if array.ndim not in (3, 4) or min(array.shape) < 1:
            raise InputError(f"{self.name}: expected an image of (frame, slow, fast), found {array.ndim} dimensions")
        # One that is gone is damage that may be repaired; of one that is damaged those who read it will tell.
        with contextlib.suppress(KeyError):
            for name, count in zip(dimensions(array.ndim), array.shape, strict=True):
                found = read_member(self.files, f"{LEVEL}/{name}", self.name).get("shape")
                if found != [count]:
                    raise InputError(
                        f"{self.name}: its {IMAGE_PATH} has {count} along {name}, but its {LEVEL}/{name} has the shape "
                        f"{found}; expected the same"
                    )

    @cached_property
    def layout(self) -> Layout:
        return layout_of(self.array)

    @property
    def plan(self) -> TilePlan:
        """The tiles that fill it."""
        return self.layout.plan

    @cached_property
    def group(self) -> zarr.Group:
        """Its root, read as it is now and not as it was consolidated. Raises InputError where it is damaged."""
        with store_errors(self.place, "read"):
            return open_group(self.files, "", self.name)

    @cached_property
    def coordinates(self) -> tuple[FrameCoordinate, ...]:
        """Values of every frame, their numbers first. Raises StoreError where one of them is damaged."""
        listed = self.array.attrs.get("coordinates", "")
        if not isinstance(listed, str) or any("/" in name or name.startswith(".") for name in listed.split()):
            raise StoreError(f"{self.name}: its {IMAGE_PATH} has coordinates {listed!r:.40}; expected names")
        names = ("frame", *listed.split())
        return tuple(self._coordinate(name) for name in names)

    @cached_property
    def figures(self) -> tuple[FrameCoordinate, ...]:
        """Statistics of every frame, where a series was finished. Raises StoreError where one of them is damaged."""
        known = {one.name for one in self.coordinates}
        with store_errors(self.place, "read"):
            there = sorted(name.strip("/") for name in names_beside(self.files, LEVEL))
        found = (name for name in there if name not in (ROOT, IMAGE) and name not in known)
        return tuple(self._coordinate(name) for name in found if self._is_of_frames(name))

    def _is_of_frames(self, name: str) -> bool:
        """Whether an array has values of every frame, and is not the image."""
        try:
            plain = read_member(self.files, f"{LEVEL}/{name}", self.name)
        except KeyError:
            return False
        names: list[str | None] = plain.get("dimension_names") or [None]
        return plain["node_type"] == "array" and names[0] == "frame"

    def _coordinate(self, name: str) -> FrameCoordinate:
        where = f"cannot read {self.name}: its coordinate {name}"
        try:
            array = self.open_array(f"{LEVEL}/{name}", whole=True)
            values = np.asarray(array[...]).tolist()
        except InputError as error:
            raise StoreError(f"{where} is damaged or gone ({str(error).removeprefix(f'{self.name}: ')})") from error
        except UNREADABLE as error:
            raise StoreError(f"{where} is damaged or gone") from error
        about: dict[str, Any] = dict(array.attrs)
        if array.ndim < 1 or len(values) != self.array.shape[0]:
            raise StoreError(f"{where} has the shape {array.shape}; expected a value for each of {self.array.shape[0]}")
        for key in ("units", "long_name"):
            if not isinstance(about.get(key), str | None):
                raise StoreError(f"{where} has {key} {about[key]!r:.40}; expected text")
        if "meanings" in about:  # texts of format 1
            meanings = about["meanings"]
            if not isinstance(meanings, list) or not all(number in range(len(meanings)) for number in values):
                raise StoreError(f"{where} has meanings {meanings!r:.40}; expected a text for each number")
            values = [meanings[number] for number in values]
        values = [tuple(value) if isinstance(value, list) else value for value in values]
        return FrameCoordinate(name, values, about.get("units"), about.get("long_name"))

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Number of every frame."""
        values = self.coordinates[0].values
        if not all(is_whole(value) for value in values):
            raise StoreError(f"{self.name}: its {LEVEL}/frame is {values!r:.40}; expected whole numbers")
        return tuple(values)

    @cached_property
    def series(self) -> Series:
        """The experiments of its frames. Raises InputError where it does not hold what they take."""
        try:
            if self.format == 1:
                return earlier_series(self.attributes, self.coordinates, self.name)
            names = next((one.values for one in self.coordinates if one.name == "name"), ())
            return read_series(self.group, self.numbers, names, self.name)
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from None
        except UNREADABLE as error:
            raise InputError(
                f"{self.name}: the experiments in the store are damaged; expected what a run wrote"
            ) from error

    # --- tiles

    @cached_property
    def _local(self) -> Path | None:
        return None if is_url(self.place) else Path(self.place) / IMAGE_PATH / ROOT

    @cached_property
    def _mark(self) -> tuple[int, int] | None:
        return self._look()

    def _look(self) -> tuple[int, int] | None:
        """Identity of this local store, which another one in its place does not share."""
        if self._local is None:
            return None
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found = self._local.stat()
            return found.st_ino, found.st_mtime_ns
        return None

    def ready(self) -> Store:
        """The store itself, seen to be there and of its job. Raises StoreError."""
        self.attributes, self.array, self.truth, self._mark  # noqa: B018
        return self

    def write(self, tile: Tile, values: np.ndarray, truth: np.ndarray | None = None) -> None:
        """Write the pixels of one tile, (slow, fast) or (frame, slow, fast): exactly one object, replaced atomically.

        Before them their truth is written, where there is one. May be repeated. Raises StoreError where the tile is not
        one of the store's, or cannot be written.
        """
        check_tile(self.layout, tile, np.shape(values))
        with store_errors(self.place):
            # zarr would make the folders of a store again that was removed meanwhile, or fill another run's.
            if self._look() != self._mark:
                raise StoreError(
                    f"cannot write {self.place}: the store was removed or replaced while it was being filled"
                )
            pixels = np.asarray(values, dtype=self.array.dtype)
            if self.truth is not None and truth is not None:
                self.truth.write(tile, truth)
            name = self.layout.object_name(tile)
            write_object_of(self.files, self.array, self.plan.index(tile), pixels, name)

    def read(self, tile: Tile) -> np.ndarray | None:
        """The pixels of one tile, as they are written; None where they or their truth are missing or damaged.

        Raises StoreError.
        """
        with store_errors(self.place, "read"):
            if not self.has(tile) or (self.truth is not None and not self.truth.sound(tile)):
                return None
            try:
                return np.asarray(self.array[self.plan.index(tile)])
            except UNREADABLE:
                return None

    def has(self, tile: Tile) -> bool:
        """Whether there is an object for the tile, and for its truth, sound or not."""
        here = has_object(self.files, self.layout.object_name(tile))
        return here and (self.truth is None or self.truth.has(tile))

    def check_unchanged(self) -> None:
        """Raise StoreError where another job has taken its place."""
        if (read_attributes(self.place) or {}).get("job_digest") != self.job_digest:
            raise StoreError(f"{self.place} was replaced or removed by somebody else")


def read_attributes(place: str) -> dict[str, Any] | None:
    """The `tilesim` attributes of the store at `place`; None where it is no store of tilesim's.

    Raises InputError for a format that is not known: that of a newer version.
    """
    plain = read_json(place, ROOT) or {}
    holder = plain.get("attributes")
    attributes = holder.get("tilesim") if isinstance(holder, dict) else None
    if not isinstance(attributes, dict) or "format" not in attributes or plain.get("node_type") != "group":
        return None
    if not is_whole(attributes["format"]) or attributes["format"] not in FORMATS:
        raise InputError(
            f"{place}: its format is {attributes['format']!r:.40}; expected one of {', '.join(map(str, FORMATS))}, "
            "which this version of tilesim reads"
        )
    return attributes


def layout_of(array: zarr.Array[Any]) -> Layout:
    """The layout of an image that is there."""
    objects = array.shards or array.chunks
    return Layout(array.shape, edges(objects), edges(array.chunks), str(array.dtype), objects[0])


def edges(shape: tuple[int, ...]) -> tuple[int, int]:
    """The last two of a shape: (slow, fast)."""
    slow, fast = shape[-2:]
    return slow, fast


def dimension_names(array: zarr.Array[Any]) -> tuple[str, ...]:
    """Names of the axes of an array, empty where it has none."""
    return tuple(name or "" for name in getattr(array.metadata, "dimension_names", None) or ())


def check_tile(layout: Layout, tile: Tile, shape: tuple[int, ...]) -> None:
    """Raise StoreError unless `tile` is exactly one object of the store and `shape` is its own."""
    if not (0 <= tile.panel < layout.plan.panels and 0 <= tile.frame < layout.shape[0]):
        panels = f"{layout.plan.panels} panels" if layout.plan.panels > 1 else "panel 0"
        raise StoreError(f"{tile} is not in this store of {layout.shape[0]} frames of {panels}")
    bounds = ((tile.slow_start, tile.slow_stop), (tile.fast_start, tile.fast_stop))
    whole = min(layout.frames, layout.shape[0] - tile.frame) == tile.frames and tile.frame % layout.frames == 0
    aligned = whole and all(
        0 <= start < size and start % step == 0 and stop == min(start + step, size)
        for (start, stop), step, size in zip(bounds, layout.tile, layout.shape[-2:], strict=True)
    )
    if not aligned:
        raise StoreError(
            f"{tile} is not one whole tile of the store, which are {layout.tile[0]} x {layout.tile[1]} pixels"
            f" (slow x fast) on an image of {layout.shape[-2]} x {layout.shape[-1]}: two tasks writing parts of one"
            " object would lose each other's pixels. Use the tiles of the TilePlan that the store was created with"
        )
    expected = (tile.frames, *tile.shape) if layout.frames > 1 else tile.shape
    if tuple(shape) != expected:
        raise StoreError(f"{tile} has {expected} pixels (slow, fast) but the values have shape {tuple(shape)}")
