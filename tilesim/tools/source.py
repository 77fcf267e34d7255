"""What an export reads: the frames and panels of a store or an image file, and the experiment behind each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tilesim.errors import InputError, TilesimError
from tilesim.formats.image import Image, format_of, open_image
from tilesim.formats.nxmx import Exposure
from tilesim.formats.pixels import Banded
from tilesim.io.reading import printable
from tilesim.io.smv import read_smv_header
from tilesim.model import Experiment, StructureFactors, checks
from tilesim.model.experiment import PARTS
from tilesim.model.serial import from_plain
from tilesim.nanobragg.argv import read_settings
from tilesim.nanobragg.command import Command
from tilesim.nanobragg.resolve import read_command
from tilesim.nanobragg.settings import Settings
from tilesim.store.read import open_store, stored_coordinates

SAME_GEOMETRY = ("frame", "phi", "name", "N", "Na", "Nb", "Nc", "seed", "hkl", "default_F")
"""What may vary in a batch without another beam, crystal axis or detector."""
GEOMETRY = ("beam", "crystal", "detector", "scan", "sampling")
"""Parts of an experiment that a store keeps whole."""


@dataclass(frozen=True)
class Source:
    """A store or an image file."""

    path: str
    shape: tuple[int, int]
    """Pixels (slow, fast) of a panel."""
    frames: int = 1
    panels: int = 1
    first: Experiment | None = None
    """Of frame 0; its table is empty. None where nobody told the geometry."""
    starts: tuple[float, ...] | None = None
    """Spindle angle of each frame, radians; None: one follows the other."""
    varied: tuple[str, ...] = ()
    """Flags that are not the same in all frames, so that frame 0 does not tell the geometry of the others."""
    offset: float | None = None
    """What a dark pixel holds, where the image says so: it was measured, and nothing is to be added again."""
    gain: float = 1.0
    """Detector units per photon."""
    stacked: bool = False
    """Whether the file has the panels of a frame one below the other in one image, as `tilesim run` writes them."""
    notes: dict = field(default_factory=dict)
    """Where the pixels come from."""
    exposure: Exposure = Exposure()
    warnings: tuple[str, ...] = ()
    """On the flags, one line each."""

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
        start = scan.start + frame * scan.oscillation if self.starts is None else self.starts[frame]
        return self.first if start == scan.start else self.first.replace(scan=scan.replace(start=start))

    def image(self, frame: int, panel: int) -> Image:
        """The pixels of one panel of a frame."""
        if not self.stacked:
            return open_image(self.path, shape=self.shape, frame=frame, panel=panel)
        slow, fast = self.shape
        return Part(open_image(self.path, shape=(self.panels * slow, fast), frame=frame), panel * slow, slow)


class Part(Banded):
    """Some rows of an image as an image."""

    def __init__(self, image: Image, first: int, rows: int) -> None:
        self.shape = (rows, image.shape[1])
        self.dtype = image.dtype
        self._image, self._first = image, first

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        first, last, _ = rows.indices(self.shape[0])
        return self._image.block(slice(self._first + first, self._first + last), columns)


def open_source(
    path: str, flags: Sequence[str] = (), shape: tuple[int, int] | None = None, strict_c: bool = False
) -> Source:
    """A store or image file, with the geometry of nanoBragg `flags`, else with that of the store. Raises InputError.

    shape  pixels (slow, fast) of a float file, with all panels; else those of the flags, else it is square
    """
    command = read_command(("-default_F", "1", *flags), strict_c) if flags else None
    kind = format_of(path)
    if shape is None and command is not None and kind == "float":
        shape = command.experiment.shape
    image = open_image(path, shape=shape)
    if kind == "store":
        source = _store(path, image, command)
    else:
        panels = len(command.experiment.detector.panels) if command else 1
        stacked = panels > 1 == image.panels and image.shape == command.experiment.shape
        source = Source(
            path,
            command.experiment.panel_shape if stacked else image.shape,
            image.frames,
            panels if stacked else image.panels,
            command and command.experiment,
            stacked=stacked,
            offset=read_smv_header(path).value("ADC_OFFSET") if kind == "smv" else None,
            notes={"source": os.path.basename(path), **({"command_line": list(flags)} if flags else {})},
            exposure=_exposure(command and command.settings),
        )
    if source.first is not None:
        _check_detector(source)
    return replace(source, warnings=command.warnings) if command else source


def _check_detector(source: Source) -> None:
    panels = source.first.detector.panels
    if len(panels) != source.panels or any(panel.shape != source.shape for panel in panels):
        raise InputError(
            f"{printable(source.path)} holds {source.panels} panels of {source.shape} pixels (slow, fast), but its "
            f"geometry is that of {len(panels)} of {panels[0].shape}"
        )


def _store(path: str, image: Image, command: Command | None) -> Source:
    attributes, _ = open_store(path)
    kept = ("digest", "command_line", "strict_c", "corrections", "seeds", "versions", "noise", "experiment")
    notes = {"source": os.path.basename(path), **{name: attributes[name] for name in kept if name in attributes}}
    about = {**_detector_units(path, attributes.get("noise")), "notes": notes}
    size = (path, image.shape, image.frames, image.panels)
    if command is not None:
        return Source(*size, command.experiment, **about, exposure=_exposure(command.settings))
    first = _stored_experiment(path, attributes)
    values = {one.name: np.array(one.values) for one in stored_coordinates(path)}
    starts = (first.scan.start,) * image.frames if first else None
    if "phi" in values and values["phi"].ndim == 1:
        starts = tuple(np.radians(values["phi"]).tolist())
    varied = tuple(name for name, value in values.items() if name not in SAME_GEOMETRY and (value != value[0]).any())
    return Source(*size, first, starts, varied, **about, exposure=_exposure(_settings(attributes)))


def _stored_experiment(path: str, attributes: dict) -> Experiment | None:
    """The geometry of a store's experiment; its table, mask and background are described there, not kept."""
    plain = attributes.get("experiment")
    if plain is None:
        return None
    try:
        parts = {name: from_plain(PARTS[name], plain[name]) for name in GEOMETRY}
        return Experiment(**parts, factors=StructureFactors.constant(0.0))
    except (KeyError, TypeError, ValueError, IndexError, StopIteration) as error:
        raise InputError(f"{path}: the experiment in the store cannot be read ({error})") from None


def _detector_units(path: str, noise: object) -> dict:
    """Offset and gain of an image that was measured. Raises InputError where they are no numbers."""
    if noise is None:
        return {}
    try:
        return {name: checks.finite(f"{name} of the noise", noise[name]) for name in ("offset", "gain")}
    except (KeyError, TypeError, InputError) as error:
        raise InputError(f"{path}: what the store says of its noise cannot be read ({error})") from None


def _settings(attributes: dict) -> Settings | None:
    """The flags that a store was made by, as far as they can still be read."""
    words = attributes.get("command_line")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return None
    try:
        return read_settings(words, strict_c=bool(attributes.get("strict_c")))
    except TilesimError:
        return None


def _exposure(settings: Settings | None) -> Exposure:
    if settings is None or not settings.exposure > 0:
        return Exposure()
    if not settings.flux > 0:
        return Exposure(settings.exposure)
    return Exposure(settings.exposure, settings.flux, settings.beamsize)
