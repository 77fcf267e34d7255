"""Noise as a tile function: the expected photons of a dataset, measured tile by tile in any process."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np

from tilesim.engine.task import TileResult
from tilesim.errors import InputError
from tilesim.files.reading import unreadable
from tilesim.frozen import frozen
from tilesim.images.dataset import Dataset
from tilesim.images.image import open_image
from tilesim.images.pixels import Image
from tilesim.model import Series
from tilesim.model.noise import Noise
from tilesim.model.sampling import Region
from tilesim.model.serial import to_plain
from tilesim.tiling.plan import TilePlan, default_tile
from tilesim.tiling.tile import Tile
from tilesim.tools.gains import MAPS, PixelMap, open_map
from tilesim.tools.noise import PIXEL_TYPES, Measurement, NoiseFigures, PixelType, measured, noise_figures

MASKS = ("dead", "hot")
Maps = list[dict[str, PixelMap]]
"""Maps by name, for each panel."""
KEPT_IMAGES = 16
"""Images of a process that stay open."""


@frozen
class PanelFigures:
    """Figures of the panels of a frame."""

    parts: Mapping[int, NoiseFigures]
    """By number of the panel in the input"""

    def merge(self, other: PanelFigures) -> PanelFigures:
        """The figures of both parts."""
        joined = dict(self.parts)
        for panel, figures in other.parts.items():
            joined[panel] = joined[panel].merge(figures) if panel in joined else figures
        return PanelFigures(joined)

    @property
    def total(self) -> NoiseFigures:
        """Figures of all panels together."""
        total = NoiseFigures()
        for panel in sorted(self.parts):
            total = total.merge(self.parts[panel])
        return total


@frozen
class NoiseJob:
    """Frames and panels of a dataset, and how they are measured."""

    source: Dataset
    noise: Noise
    pixel_type: PixelType
    frames: tuple[int, ...]
    """Places in the dataset, counted from 0"""
    panels: tuple[int, ...]
    plan: TilePlan
    regions: tuple[tuple[Region, ...], ...]
    """Parts of the panels that were simulated, by frame; one entry where all frames are alike"""
    masks: Mapping[str, str] = field(default_factory=dict)
    """Image files by name: dead and hot, where not zero, a pixel sees nothing or is overloaded; and maps of pixels"""
    identity: Mapping[str, Any] = field(default_factory=dict)
    """Digest by which the source is recognised"""
    mask_digests: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"
    backend: str = "eager"

    @property
    def numbers(self) -> tuple[int, ...]:
        """Number of every frame: in file names, and in the key of the noise."""
        return tuple(self.source.frames[frame] for frame in self.frames)

    @property
    def about(self) -> dict[str, Any]:
        """What decides the pixels, as plain values."""
        first, noise = self.measurement(0, 0), to_plain(self.noise)
        if self.noise.switching is None:  # stores that were begun before there was such a thing
            del noise["switching"]
        return {
            "source": dict(self.identity),
            "noise": {**noise, "dtype": self.pixel_type.dtype, "overload": first.overload},
            "masks": dict(self.mask_digests),
            "panels": list(self.panels),
        }

    @cached_property
    def content_digest(self) -> str:
        """SHA-256 that names the pixels, whatever tiles they are stored in."""
        return _digest({**self.about, "frames": self.numbers})

    @cached_property
    def digest(self) -> str:
        """SHA-256 that names the bytes of all tiles."""
        tile = {"tile": list(self.plan.tile)} | ({"tile_frames": self.plan.frames} if self.plan.frames > 1 else {})
        return _digest({**self.about, "frames": self.numbers, **tile})

    @cached_property
    def series(self) -> Series | None:
        """The experiments of the frames and panels; None where they are not known."""
        if self.source.unknown:
            return None
        series = self.source.series.take(self.frames)
        if len(self.panels) == self.source.panels:
            return series
        views = [experiment.of_panel(self.panels[0]) for experiment in series]
        return Series.of(views, numbers=series.numbers.tolist(), names=series.names)

    def measurement(
        self, frame: int, panel: int, masks: Mapping[str, Image] | None = None, maps: Maps | None = None
    ) -> Measurement:
        """How a frame and panel of the plan are measured."""
        regions = self.regions[frame % len(self.regions)]
        reads = {name: image.block for name, image in (masks or {}).items()}
        own = maps[panel] if maps else {}
        return Measurement(self.noise, self.pixel_type, self.source.shape, regions[panel], maps=own, **reads)

    @property
    def stages(self) -> int:
        """Stages of gain."""
        return 1 if self.noise.switching is None else len(self.noise.switching.stages)

    def ready(self) -> Measuring:
        """The job ready to run in this process. Raises InputError where a mask cannot be read."""
        return Measuring(self)


class Measuring:
    """Measures tiles of a job, for several threads of one process."""

    def __init__(self, job: NoiseJob) -> None:
        self._job = job
        shape, count = job.source.shape, job.source.panels
        self.masks = {name: open_image(path, shape=shape) for name, path in job.masks.items() if name in MASKS}
        maps = {name: path for name, path in job.masks.items() if name in MAPS}
        self.maps: Maps = [
            {name: open_map(name, path, shape, job.stages, panel, count) for name, path in maps.items()}
            for panel in job.panels
        ]
        self._images: OrderedDict[tuple[int, int], Image] = OrderedDict()
        self._lock = Lock()

    def __call__(self, tile: Tile, known: np.ndarray | None = None) -> TileResult:
        """The pixels of a tile with noise, and the figures of its panel in each frame."""
        job, plan = self._job, self._job.plan
        done = [self._frame(part, pixels) for part, pixels in plan.parts(tile, known)]
        values, figures = zip(*done, strict=True)
        return TileResult(plan.joined(values), figures, job.device, "float64")

    def _frame(self, tile: Tile, known: np.ndarray | None) -> tuple[np.ndarray, PanelFigures]:
        """The part of a tile in one frame."""
        job = self._job
        measurement = job.measurement(tile.frame, tile.panel, self.masks, self.maps)
        read = self._image(tile).block
        panel = job.panels[tile.panel]
        # Noise belongs to the numbers of the input, however few of its frames and panels are measured.
        there = replace(tile, frame=job.source.frames[job.frames[tile.frame]], panel=panel)
        values = measured(measurement, read, there) if known is None else known
        figures = noise_figures(measurement, read, there, values)
        return values, PanelFigures({panel: figures})

    def _image(self, tile: Tile) -> Image:
        job, place = self._job, (tile.frame, tile.panel)
        with self._lock:
            if place not in self._images:
                self._images[place] = job.source.numbers(job.frames[tile.frame], job.panels[tile.panel])
            self._images.move_to_end(place)
            while len(self._images) > KEPT_IMAGES:
                self._images.popitem(last=False)
            return self._images[place]


def noise_job(
    source: Dataset,
    noise: Noise,
    pixel_type: PixelType | str = "int32",
    *,
    frames: Sequence[int] | None = None,
    panels: Sequence[int] | None = None,
    masks: Mapping[str, str] | None = None,
    tile: tuple[int, int] | None = None,
    tile_frames: int | None = None,
) -> NoiseJob:
    """The job of measuring a dataset.

    frames  places, counted from 0; None: all
    panels  one panel, or None: all
    masks   image files by name: dead and hot, pedestal-map, gain-map and noise-map
    tile    pixels (slow, fast) of a tile; None: that of the input
    tile_frames  frames of a tile; None: as many as those of the input have

    Raises InputError where the noise does not go with the pixels, or a mask is not one.
    """
    if isinstance(pixel_type, str):
        if pixel_type not in PIXEL_TYPES:
            raise InputError(f"pixels of type {pixel_type!r}; expected one of {', '.join(PIXEL_TYPES)}")
        pixel_type = PIXEL_TYPES[pixel_type]
    frames = tuple(range(len(source)) if frames is None else frames)
    panels = tuple(range(source.panels) if panels is None else panels)
    images = (len(frames), len(panels)) if len(panels) > 1 else (len(frames),)
    if tile is None:
        tile = source.store.plan.tile if source.store else default_tile(source.shape)
    if tile_frames is None:
        tile_frames = source.store.plan.frames if source.store else 1
    job = NoiseJob(
        source,
        noise,
        pixel_type,
        frames,
        panels,
        TilePlan((*images, *source.shape), tile, tile_frames),
        _regions(source, frames, panels),
        masks or {},
        identity(source),
        {name: digest_of(path) for name, path in (masks or {}).items()},
    )
    ready = job.ready()
    job.measurement(0, 0, ready.masks, ready.maps)  # what does not go together shows at once
    return job


def fluence_of(data: Dataset) -> float | None:
    """Photons/m^2 that all frames were computed for; None where that is not known, or not one."""
    if data.unknown:
        return None
    fluences = {experiment.beam.fluence for experiment in data.series}
    return fluences.pop() if len(fluences) == 1 else None


def identity(data: Dataset) -> dict[str, Any]:
    """Digest by which a source is recognised; of a file, of all its bytes."""
    if data.listed:
        files = {id(one): one for one, _ in data.listed}.values()
        return {"digest": _digest({one.path: digest_of(one.path) for one in files} | {"list": digest_of(data.path)})}
    if data.store is None:
        return {"digest": digest_of(data.path)}
    known = {name: data.attributes.get(name) for name in ("digest", "job_digest", "status")}
    # An image that was repaired since is another one.
    return known | {"missing": len(data.attributes.get("missing") or [])}


def digest_of(path: str) -> str:
    """SHA-256 of a file. Raises InputError."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error


def _regions(source: Dataset, frames: Sequence[int], panels: Sequence[int]) -> tuple[tuple[Region, ...], ...]:
    """Parts that were simulated; all of a panel where nothing is known."""
    slow, fast = source.shape
    if source.unknown:
        return (tuple(Region(0, slow, 0, fast) for _ in panels),)
    varied = any(name.startswith(("sampling", "detector")) for name in source.series.columns)
    experiments = (source.experiment(frame) for frame in (frames if varied else frames[:1]))
    return tuple(tuple(experiment.of_panel(panel).region for panel in panels) for experiment in experiments)


def _digest(plain: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()
