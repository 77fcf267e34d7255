"""Expected photons, the input of the noise: frames and panels of a store, or one image of a file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tilesim.errors import InputError, StoreError
from tilesim.io.reading import printable, unreadable
from tilesim.model import Panel
from tilesim.model.sampling import Region
from tilesim.model.serial import from_plain
from tilesim.store.layout import FrameCoordinate
from tilesim.store.place import is_url, store_errors
from tilesim.store.read import open_store, stored_coordinates
from tilesim.store.write import UNREADABLE, layout_of
from tilesim.tiling.plan import default_tile
from tilesim.tools.noise import Read


@dataclass(frozen=True)
class Expected:
    """What there is to measure."""

    path: str
    shape: tuple[int, int]
    """Pixels (slow, fast) of a panel."""
    panels: int
    coordinates: tuple[FrameCoordinate, ...]
    """Values for every frame; the first are their numbers."""
    tile: tuple[int, int]
    """Pixels (slow, fast) that are stored together, or a good choice."""
    attributes: dict
    """What tilesim's store says of itself; empty for a file."""

    @property
    def frames(self) -> Sequence[int]:
        """Number of every frame: in file names, and in the key of the noise."""
        return self.coordinates[0].values

    @property
    def stored(self) -> bool:
        return bool(self.attributes)

    def panel(self, number: int = 0) -> Panel | None:
        """Geometry of a panel, where it is known."""
        try:
            return from_plain(Panel, self.attributes["experiment"]["detector"]["panels"][number])
        except (KeyError, TypeError, IndexError):
            return None

    @property
    def fluence(self) -> float | None:
        """That the photons were computed for, photons/m^2, where it is known."""
        try:
            return float(self.attributes["experiment"]["beam"]["fluence"])
        except (KeyError, TypeError):
            return None

    @property
    def region(self) -> Region:
        """The part that was simulated; all where frames differ in it, or nothing is known."""
        whole = Region(0, self.shape[0], 0, self.shape[1])
        try:
            plain = self.attributes["experiment"]["sampling"]["roi"]
        except (KeyError, TypeError):
            return whole
        if plain is None or any(coordinate.name == "roi" for coordinate in self.coordinates):
            return whole
        return from_plain(Region, plain).clipped(*self.shape)

    def read(self, frame: int, panel: int = 0) -> Read:
        """Access to the pixels of frame (counted from 0) and panel; damage raises StoreError."""
        if not self.stored:
            return file_reader(self.path, self.shape)
        _, image = open_store(self.path)
        index = (frame,) if image.ndim == 3 else (frame, panel)

        def pixels(rows: slice, columns: slice) -> np.ndarray:
            with store_errors(self.path, "read"):
                try:
                    return np.asarray(image[(*index, rows, columns)])
                except UNREADABLE as error:
                    if isinstance(error, OSError):
                        raise
                    raise StoreError(f"cannot read {self.path}: rows {rows.start} on are damaged ({error})") from error

        return pixels

    def identity(self) -> dict:
        """What tells this input from another one; of a file a digest of all its bytes."""
        if not self.stored:
            return {"digest": digest_of(self.path)}
        known = {name: self.attributes.get(name) for name in ("digest", "job_digest", "status")}
        # An image that was mended since is another one.
        return known | {"missing": len(self.attributes.get("missing") or [])}


def open_expected(path: str, shape: tuple[int, int] | None = None) -> Expected:
    """The image or images at `path`; reads no pixels.

    shape  pixels (slow, fast) of a float file, which does not say; None: a square

    Raises InputError.
    """
    if is_url(path) or os.path.isdir(path):
        attributes, image = open_store(path)
        panels = image.shape[1] if image.ndim == 4 else 1
        layout = layout_of(image)
        return Expected(path, tuple(image.shape[-2:]), panels, stored_coordinates(path), layout.tile, attributes)
    found = shape or square_of(path)
    return Expected(path, found, 1, (FrameCoordinate("frame", [0]),), default_tile(found), {})


def square_of(path: str) -> tuple[int, int]:
    """Pixels (slow, fast) of a float file that is a square. Raises InputError where it is none."""
    try:
        count, rest = divmod(os.path.getsize(path), 4)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    edge = int(count**0.5 + 0.5)
    if rest or edge < 1 or edge * edge != count:
        raise InputError(
            f"{printable(path)}: {4 * count + rest} bytes are no square image of 4-byte floats; expected --shape SxF"
        )
    return edge, edge


def file_reader(path: str, shape: tuple[int, int]) -> Read:
    """Access to the pixels of a float file. Raises InputError where it has another size."""
    from tilesim.io.floatfile import open_float_image

    open_float_image(path, shape).discard()
    pixels = np.memmap(path, "<f4", "r", shape=shape)
    return lambda rows, columns: pixels[rows, columns]


def open_mask(path: str, shape: tuple[int, int]) -> Read:
    """Access to the pixels of a mask. Raises InputError where it is no image of `shape` (slow, fast)."""
    if os.path.isdir(path) or is_url(path):
        mask = open_expected(path)
        if mask.shape != shape:
            raise InputError(f"{printable(path)} has {mask.shape} pixels (slow, fast); expected {shape}")
        return mask.read(0)
    return file_reader(path, shape)


def digest_of(path: str) -> str:
    """SHA-256 of a file. Raises InputError."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
