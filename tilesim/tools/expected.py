"""Expected photons, the input of the noise: what a dataset says of where they were simulated, and for which fluence."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tilesim.files.reading import unreadable
from tilesim.images.dataset import Dataset
from tilesim.model import Series
from tilesim.model.sampling import Region
from tilesim.store.layout import FrameCoordinate
from tilesim.tiling.plan import default_tile
from tilesim.tools.noise import Measurement


def coordinates_of(data: Dataset) -> tuple[FrameCoordinate, ...]:
    """Values of every frame, their numbers first."""
    return data.store.coordinates if data.store else (FrameCoordinate("frame", list(data.frames)),)


def tile_of(data: Dataset) -> tuple[int, int]:
    """Pixels (slow, fast) that are stored together, or a good choice."""
    return data.store.plan.tile if data.store else default_tile(data.shape)


def fluence_of(data: Dataset) -> float | None:
    """Photons/m^2 that all frames were computed for; None where that is not known, or not one."""
    if data.unknown:
        return None
    fluences = {experiment.beam.fluence for experiment in data.series}
    return fluences.pop() if len(fluences) == 1 else None


def region_of(data: Dataset, frame: int, panel: int) -> Region:
    """The part of a panel that was simulated; all where nothing is known."""
    if data.unknown:
        return Region(0, data.shape[0], 0, data.shape[1])
    return data.experiment(frame).of_panel(panel).region


def measurement_of(measurement: Measurement, data: Dataset, frame: int, panel: int) -> Measurement:
    """The same of another frame and panel."""
    return replace(measurement, region=region_of(data, frame, panel))


def known_series(data: Dataset, frames: Sequence[int], panels: Sequence[int]) -> Series | None:
    """The experiments of some frames, of one panel or all; None where they are not known."""
    if data.unknown:
        return None
    series = data.series.take(frames)
    if len(panels) == data.panels:
        return series
    views = [experiment.of_panel(panels[0]) for experiment in series]
    return Series.of(views, numbers=series.numbers.tolist(), names=series.names)


def identity(data: Dataset) -> dict[str, Any]:
    """What tells this input from another one; of a file a digest of all its bytes."""
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
