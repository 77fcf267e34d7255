"""Expected photons, the input of the noise: frames and panels of a store, or of an image file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tilesim.errors import InputError
from tilesim.formats.image import format_of, open_image
from tilesim.io.reading import unreadable
from tilesim.model import Experiment
from tilesim.model.sampling import Region
from tilesim.store.layout import FrameCoordinate
from tilesim.store.read import open_store, stored_coordinates
from tilesim.store.write import layout_of
from tilesim.tiling.plan import default_tile
from tilesim.tools.noise import Measurement, Read
from tilesim.tools.source import Source, open_source


@dataclass(frozen=True)
class Expected:
    """What there is to measure."""

    source: Source
    """Shape, panels, and the geometry where it is known."""
    coordinates: tuple[FrameCoordinate, ...]
    """Values for every frame; the first are their numbers."""
    tile: tuple[int, int]
    """Pixels (slow, fast) that are stored together, or a good choice."""
    attributes: dict
    """What tilesim's store says of itself; empty for a file."""

    @property
    def path(self) -> str:
        return self.source.path

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (slow, fast) of a panel."""
        return self.source.shape

    @property
    def frames(self) -> Sequence[int]:
        """Number of every frame: in file names, and in the key of the noise."""
        return self.coordinates[0].values

    @property
    def experiment(self) -> Experiment | None:
        """Of the first frame, where it is known; its table is empty."""
        return self.source.first

    @property
    def fluence(self) -> float | None:
        """That the photons were computed for, photons/m^2; None where it is not known or not one."""
        if self.experiment is None or self._varies("fluence", "flux", "exposure", "beamsize"):
            return None
        return self.experiment.beam.fluence

    def region(self, panel: int = 0) -> Region:
        """The part of a panel that was simulated; all where frames differ in it, or nothing is known."""
        slow, fast = self.shape
        if self.experiment is None or self._varies("roi"):
            return Region(0, slow, 0, fast)
        return self.experiment.of_panel(panel).region

    def measurement(self, measurement: Measurement, panel: int) -> Measurement:
        """The same of another panel."""
        return replace(measurement, region=self.region(panel))

    def _varies(self, *flags: str) -> bool:
        return any(coordinate.name in flags for coordinate in self.coordinates)

    def read(self, frame: int, panel: int = 0) -> Read:
        """Access to the pixels of frame and panel, both counted from 0; damage raises StoreError or InputError."""
        return open_image(self.path, shape=self.shape, frame=frame, panel=panel).block

    def identity(self) -> dict:
        """What tells this input from another one; of a file a digest of all its bytes."""
        if not self.attributes:
            return {"digest": digest_of(self.path)}
        known = {name: self.attributes.get(name) for name in ("digest", "job_digest", "status")}
        # An image that was mended since is another one.
        return known | {"missing": len(self.attributes.get("missing") or [])}


def open_expected(path: str, shape: tuple[int, int] | None = None, flags: Sequence[str] = ()) -> Expected:
    """The image or images at `path`, of any format that is read; reads no pixels.

    shape  pixels (slow, fast) of a float file, which does not say; None: those of the flags, or a square
    flags  of nanoBragg, which tell the geometry

    Raises InputError.
    """
    if format_of(path) == "store":
        source = open_source(path, flags)
        attributes, array = open_store(path)
        return Expected(source, stored_coordinates(path), layout_of(array).plan.tile, attributes)
    if shape is None and flags:
        shape = open_source(path, flags).shape
    image = open_image(path, shape=shape)
    source = open_source(path, flags, tuple(image.shape))
    if image.panels > 1:
        raise InputError(f"{path} has {image.panels} panels; expected a store, or an image of one panel")
    return Expected(source, (FrameCoordinate("frame", range(image.frames)),), default_tile(source.shape), {})


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
