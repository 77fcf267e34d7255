"""Expected photons, the input of the noise: frames and panels of a store, or of an image file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from tilesim.formats.image import format_of, open_image
from tilesim.io.reading import unreadable
from tilesim.model import Panel
from tilesim.model.sampling import Region
from tilesim.model.serial import from_plain
from tilesim.store.layout import FrameCoordinate
from tilesim.store.read import open_store, stored_coordinates
from tilesim.store.write import layout_of
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
        """Access to the pixels of frame and panel, both counted from 0; damage raises StoreError or InputError."""
        return open_image(self.path, shape=self.shape, frame=frame, panel=panel).block

    def identity(self) -> dict:
        """What tells this input from another one; of a file a digest of all its bytes."""
        if not self.stored:
            return {"digest": digest_of(self.path)}
        known = {name: self.attributes.get(name) for name in ("digest", "job_digest", "status")}
        # An image that was mended since is another one.
        return known | {"missing": len(self.attributes.get("missing") or [])}


def open_expected(path: str, shape: tuple[int, int] | None = None) -> Expected:
    """The image or images at `path`, of any format that is read; reads no pixels.

    shape  pixels (slow, fast) of a float file, which does not say; None: a square

    Raises InputError.
    """
    image = open_image(path, shape=shape)
    if format_of(path) == "store":
        attributes, array = open_store(path)
        coordinates, tile = stored_coordinates(path), layout_of(array).tile
    else:
        attributes, coordinates = {}, (FrameCoordinate("frame", range(image.frames)),)
        tile = default_tile(image.shape)
    return Expected(path, image.shape, image.panels, coordinates, tile, attributes)


def open_mask(path: str, shape: tuple[int, int]) -> Read:
    """Access to the pixels of a mask. Raises InputError where it is no image of `shape` (slow, fast)."""
    return open_image(path, shape=shape).block


def digest_of(path: str) -> str:
    """SHA-256 of a file. Raises InputError."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
