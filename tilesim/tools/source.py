"""What an export reads: the frames and panels of a store or an image file, and the experiment behind each."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from tilesim.errors import InputError, TilesimError
from tilesim.formats.axes import oscillation
from tilesim.formats.banded import Readable
from tilesim.formats.nxmx import Exposure
from tilesim.io.floatfile import open_float_image
from tilesim.io.reading import printable
from tilesim.model import Experiment, StructureFactors
from tilesim.model.serial import from_plain
from tilesim.nanobragg.argv import read_settings
from tilesim.nanobragg.resolve import read_command
from tilesim.nanobragg.settings import Settings

SAME_GEOMETRY = ("phi", "name", "N", "Na", "Nb", "Nc", "fluence", "flux", "seed", "hkl", "default_F")
"""What may vary in a batch without another wavelength, crystal axis or detector."""


@dataclass(frozen=True)
class Source:
    """A store or an image file."""

    path: str
    shape: tuple[int, int] | None
    """Pixels (slow, fast) of a panel; None: the file itself says."""
    frames: int = 1
    panels: int = 1
    first: Experiment | None = None
    """Of frame 0; its table is empty. None where nobody told the geometry."""
    starts: tuple[float, ...] | None = None
    """Spindle angle of each frame, radians; None: one follows the other."""
    varied: tuple[str, ...] = ()
    """Flags that are not the same in all frames, so that frame 0 does not tell the geometry of the others."""
    stored: bool = False
    notes: dict = field(default_factory=dict)
    """Where the pixels come from."""
    exposure: Exposure = Exposure()

    def experiment(self, frame: int) -> Experiment:
        """Of one frame. Raises InputError where it is not known."""
        if self.first is None:
            raise InputError(
                f"{printable(self.path)} does not tell the geometry; "
                "expected nanoBragg flags behind --, such as: -- -mat A.mat -lambda 1 -distance 100 -pixel 0.1"
            )
        if self.varied and frame:
            raise InputError(
                f"{printable(self.path)}: frames differ in {', '.join(self.varied)}, and the geometry of frame {frame} "
                "is not kept; expected its nanoBragg flags behind --"
            )
        scan = self.first.scan
        start = scan.start + frame * oscillation(scan) if self.starts is None else self.starts[frame]
        return self.first if start == scan.start else self.first.replace(scan=scan.replace(start=start))

    def image(self, frame: int, panel: int) -> Readable:
        """The pixels of one panel of a frame."""
        if self.stored:
            return _Stored(self.path, frame, panel)
        return _Float(self.path, self.shape)


def open_source(
    path: str, flags: Sequence[str] = (), shape: tuple[int, int] | None = None, strict_c: bool = False
) -> Source:
    """A store or image file, with the geometry of nanoBragg `flags`, else with that of the store. Raises InputError.

    shape  pixels (slow, fast) of a float file; else those of the flags, else it is square
    """
    command = read_command(("-default_F", "1", *flags), strict_c) if flags else None
    experiment = command and command.experiment
    if os.path.isdir(path) or "://" in path:
        return _store(path, command)
    if shape is None and experiment is not None:
        shape = experiment.shape
    if experiment is not None and shape != experiment.shape:
        raise InputError(f"--shape {shape[0]}x{shape[1]}: the flags make a detector of {experiment.shape} pixels")
    shape = shape or _square(path)
    notes = {"source": os.path.basename(path), **({"command_line": list(flags)} if flags else {})}
    return Source(path, shape, first=experiment, notes=notes, exposure=_exposure(command.settings if command else None))


def _store(path: str, command) -> Source:
    from tilesim.store.read import frame_coordinates, open_store

    attributes, image = open_store(path)
    panels = image.shape[1] if len(image.shape) == 4 else 1
    shape = tuple(image.shape[-2:])
    coordinates = frame_coordinates(path)
    kept = ("digest", "job_digest", "command_line", "strict_c", "corrections", "seeds", "versions", "experiment")
    notes = {"source": os.path.basename(path), **{name: attributes[name] for name in kept if name in attributes}}
    if command is None:
        first = _stored_experiment(path, attributes)
        settings = _settings(attributes)
        phi = coordinates.get("phi")
        starts = tuple(np.radians(phi).tolist()) if phi is not None and phi.ndim == 1 else None
        varied = tuple(name for name in coordinates if name not in SAME_GEOMETRY and np.ptp(coordinates[name], 0).any())
    else:
        first, settings, starts, varied = command.experiment, command.settings, None, ()
    if first is not None and (first.shape != shape or len(first.detector.panels) != panels):
        raise InputError(
            f"{path} holds {panels} panels of {shape} pixels (slow, fast), but its geometry is that of "
            f"{len(first.detector.panels)} of {first.shape}"
        )
    if starts is None and image.shape[0] > 1 and command is None:
        starts = (first.scan.start,) * image.shape[0] if first else None
    return Source(path, shape, image.shape[0], panels, first, starts, varied, True, notes, _exposure(settings))


def _stored_experiment(path: str, attributes: dict) -> Experiment | None:
    """The experiment of a store, with an empty table: that is described there, not kept, and so is the mask."""
    plain = attributes.get("experiment")
    if plain is None:
        return None
    try:
        return from_plain(Experiment, {**plain, "factors": StructureFactors.constant(0.0), "mask": None})
    except (KeyError, TypeError, ValueError, IndexError, StopIteration) as error:
        raise InputError(f"{path}: the experiment in the store cannot be read ({error})") from None


def _settings(attributes: dict) -> Settings | None:
    """The flags that a store was made by, as far as they can still be read."""
    try:
        return read_settings(attributes.get("command_line") or [], strict_c=bool(attributes.get("strict_c")))
    except TilesimError:
        return None


def _exposure(settings: Settings | None) -> Exposure:
    if settings is None or not settings.exposure > 0:
        return Exposure()
    if not settings.flux > 0:
        return Exposure(settings.exposure)
    return Exposure(settings.exposure, settings.flux, settings.beamsize)


def _square(path: str) -> tuple[int, int]:
    """The shape of a float file that has as many rows as columns. Raises InputError."""
    try:
        size = os.path.getsize(path)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {printable(path)}: {getattr(error, 'strerror', None) or error}") from None
    edge = math.isqrt(size // 4)
    if not size or edge * edge * 4 != size:
        raise InputError(f"{printable(path)}: expected a square float image, found {size} bytes; say --shape SLOWxFAST")
    return edge, edge


class _Stored:
    """One panel of a frame of a store."""

    def __init__(self, path: str, frame: int, panel: int) -> None:
        from tilesim.store.read import open_store

        self.path = path
        self._image = open_store(path)[1]
        self._where = (frame,) if len(self._image.shape) == 3 else (frame, panel)
        self.shape: tuple[int, int] = tuple(self._image.shape[-2:])

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        return self._image[(*self._where, rows, columns)]

    def bands(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        height = self._image.chunks[-2]
        for top in range(0, self.shape[0], height):
            band = self.block(slice(top, min(top + height, self.shape[0])), slice(0, self.shape[1]))
            for first in range(0, len(band), rows):
                yield top + first, band[first : first + rows]


class _Float:
    """A float file."""

    def __init__(self, path: str, shape: tuple[int, int]) -> None:
        self.path, self.shape = path, shape
        open_float_image(path, shape).discard()

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        first, last, _ = rows.indices(self.shape[0])
        return np.concatenate([band for top, band in self.bands(1) if first <= top < last])[:, columns]

    def bands(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        with open_float_image(self.path, self.shape) as image:
            yield from image.bands(rows)
