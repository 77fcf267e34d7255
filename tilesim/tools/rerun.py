"""Computing stored frames again, from the store alone, and comparing them with what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from tilesim.engine.inline import run_inline
from tilesim.engine.job import make_job
from tilesim.engine.task import TileFailure, TileFunction, TileReport
from tilesim.errors import InputError, TileError
from tilesim.images.dataset import Dataset
from tilesim.images.stored import StoredImage
from tilesim.model.noise import Noise
from tilesim.model.serial import from_plain
from tilesim.store.store import Store
from tilesim.tiling.tile import Tile
from tilesim.tools.agreement import FLOOR
from tilesim.tools.noise import PixelType
from tilesim.tools.noisejob import identity, noise_job


@dataclass
class FrameAgreement:
    """How a frame that was computed again agrees with the stored one."""

    number: int
    brightest: float
    """Largest finite |value| that is stored"""
    tiles: int = 0
    identical: int = 0
    """Tiles that are the same to the byte"""
    missing: int = 0
    """Tiles that are not in the store, or damaged"""
    metric: float = 0.0
    """Golden metric of the others"""

    def add(self, stored: np.ndarray | None, again: np.ndarray) -> None:
        """Count a tile."""
        self.tiles += 1
        if stored is None:
            self.missing += 1
        elif stored.tobytes() == again.astype(stored.dtype).tobytes():
            self.identical += 1
        else:
            self.metric = max(self.metric, _metric(again.astype(float), stored.astype(float), self.brightest))

    def within(self, tolerance: float) -> bool:
        """Whether all tiles are there, and the same within a golden metric."""
        return self.missing == 0 and self.metric <= tolerance


def rendering_again(store: Store, places: Sequence[int], device: str | None = None) -> TileFunction:
    """The job that computes frames of a store again. Raises InputError where the store does not hold what it takes.

    device  None: the kind of device that the store was computed on
    """
    about = store.attributes
    if about.get("noise"):
        raise InputError(f"{store.name} holds noise; expected --source, the images that it was added to")
    series = store.series.take(places)
    for experiment in series:
        experiment.factors.grid  # noqa: B018  (says what is missing where it is)
    return make_job(series, store.plan.tile, about["precision"], device or about["device"], about["backend"], frames=1)


def measuring_again(store: Store, places: Sequence[int], source: Dataset) -> TileFunction:
    """The job that adds the noise of a store to its source again. Raises InputError where the source is another one."""
    about = store.attributes
    if not about.get("noise"):
        raise InputError(f"{store.name} holds no noise; expected no --source")
    if about.get("masks"):
        raise InputError(f"{store.name} was measured with masks ({', '.join(about['masks'])}), which it does not hold")
    if about.get("source") != identity(source):
        raise InputError(f"{source.path} is not the source of {store.name}, or was changed since")
    fields = {name: value for name, value in about["noise"].items() if name in Noise.__dataclass_fields__}
    frames = [source.place(store.numbers[place]) for place in places]
    panels, noise = about.get("panels"), from_plain(Noise, fields)
    kind: PixelType | str = about["noise"]["dtype"]
    if kind == "uint16" and store.array.fill_value == 0:
        kind = PixelType("uint16", 65535.0, 0.0)  # of stores that had no mark of their own
    return noise_job(source, noise, kind, frames=frames, panels=panels, tile=store.plan.tile, tile_frames=1)


def compare_again(
    store: Store,
    places: Sequence[int],
    function: TileFunction,
    threads: int | None = None,
    on_tile: Callable[[TileReport], None] = lambda report: None,
) -> Iterator[FrameAgreement]:
    """Run a function and compare its frames, `places` of a store, one after the other. Raises TileError, StoreError."""
    found = {k: FrameAgreement(store.numbers[place], _brightest(store, place)) for k, place in enumerate(places)}

    def compare(tile: Tile, values: np.ndarray) -> None:
        stored = store.read(replace(tile, frame=places[tile.frame]))
        pairs[tile] = (None if stored is None else stored.reshape(values.shape), values)

    pairs: dict[Tile, tuple[np.ndarray | None, np.ndarray]] = {}
    with closing(run_inline(function, [compare], threads)) as events:
        for event in events:
            if isinstance(event, TileFailure):
                raise TileError(event.reason)
            frame = found[event.tile.frame]
            frame.add(*pairs.pop(event.tile))
            on_tile(event)
            if frame.tiles == function.plan.each:
                yield frame


def _metric(again: np.ndarray, stored: np.ndarray, brightest: float) -> float:
    if not np.array_equal(np.isfinite(again), np.isfinite(stored)):
        return np.inf
    there = np.isfinite(stored)
    gap = np.abs(again[there] - stored[there])
    size = np.maximum(np.abs(stored[there]), FLOOR * brightest)
    return float(np.max(gap / np.maximum(size, np.finfo(float).tiny), initial=0.0))


def _brightest(store: Store, place: int) -> float:
    bands = (band for _, band in StoredImage(store, place, None).bands(4096))
    return max((float(np.abs(band[np.isfinite(band)]).max(initial=0.0)) for band in bands), default=0.0)
