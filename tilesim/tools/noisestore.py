"""Images with noise in a store, which is filled tile by tile and can be resumed."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tilesim.images.dataset import Dataset
from tilesim.model.serial import to_plain
from tilesim.series.provenance import shown
from tilesim.store.compression import Compression
from tilesim.store.create import Contents, create_store
from tilesim.store.finish import finish_store
from tilesim.store.layout import FrameCoordinate, Pixels
from tilesim.store.place import normal_place
from tilesim.tiling.plan import TilePlan
from tilesim.tiling.tile import Tile
from tilesim.tools.expected import coordinates_of, identity, known_series, measurement_of
from tilesim.tools.measure import NoisyImage, in_threads
from tilesim.tools.noise import Measurement, Tally

FIGURES = {"max_I", "mean", "total"}
"""Coordinates of a store that describe its pixels, which change."""
FRAME_FIGURES = {"mean": "detector units", "largest": "detector units", "photons": "photons", "overloads": None}


@dataclass(frozen=True)
class Recorded:
    """One frame that was written, or one panel of it."""

    number: int
    path: str
    tally: Tally
    restored: int = 0
    """Tiles that were there already."""
    panel: int = 0


def provenance(
    data: Dataset, measurement: Measurement, masks: dict[str, str], tile: tuple[int, int], panels: Sequence[int]
) -> dict:
    """Where noisy images come from: that of the input, and what was done to it.

    masks   digests of the masks, by name
    panels  that are measured: the others are left out of the experiment
    """
    from importlib.metadata import version

    import tilesim

    source = identity(data)
    noise = {**to_plain(measurement.noise), "dtype": measurement.numbers.dtype, "overload": measurement.overload}
    what = {"source": source, "noise": noise, "masks": masks, "panels": list(panels)}
    kept = ("command_line", "strict_c", "corrections", "precision", "device", "backend", "seeds")
    seeds = {"noise": measurement.noise.seed, "calibration": measurement.noise.calibration_seed}
    found = {name: data.attributes[name] for name in kept if name in data.attributes}
    found |= {name: value for name, value in data.beside.items() if name == "command_line"}
    series = known_series(data, [0], panels)
    if series is not None:
        found["experiment"] = shown(series[0])
    return {
        **found,
        "digest": _digest(what),
        "job_digest": _digest({**what, "tile": list(tile)}),
        "seeds": {**(found.get("seeds") or {}), **seeds},
        "source": source,
        "noise": noise,
        "masks": masks,
        "tile": list(tile),
        "versions": {
            "tilesim": tilesim.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy", "zarr")},
        },
    }


def _digest(plain: dict) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


def write_store(
    path: str,
    data: Dataset,
    measurement: Measurement,
    pixel_size: float,
    about: dict,
    *,
    frames: Sequence[int],
    panels: Sequence[int],
    tile: tuple[int, int],
    threads: int | None = None,
    compression: Compression | None = None,
    overwrite: bool = False,
    resume: bool = False,
) -> Iterator[Recorded]:
    """Fill a store with the noisy images of some frames (counted from 0), and tell of each when it is complete.

    pixel_size   metres
    about        from `provenance`
    compression  None: that of a store that is resumed, or the default
    resume       whether tiles of the same job may be there, which are kept where they are intact

    Raises StoreError, and InputError where the input is damaged; a store that was begun keeps what was done, and the
    error says so.
    """
    images = (len(frames), len(panels)) if len(panels) > 1 else (len(frames),)
    plan = TilePlan((*images, *data.shape), tile)
    contents = Contents(
        about,
        pixel_size,
        known_series(data, frames, panels),
        coordinates=_coordinates(data, frames),
        pixels=Pixels(
            measurement.numbers.dtype, measurement.numbers.blank, "detector units", "detector signal", compression
        ),
    )
    target = create_store(normal_place(path), plan, contents, name=path, overwrite=overwrite, resume=resume)
    at_work: dict[tuple[int, int], NoisyImage] = {}

    def work(tile: Tile) -> tuple[Tally, bool]:
        which = (tile.frame, tile.panel)
        if which not in at_work:
            frame, panel = frames[tile.frame], panels[tile.panel]
            read, number = data.pixels(frame, panel).block, data.frames[frame]
            how = measurement_of(measurement, data, frame, panel)
            at_work[which] = NoisyImage(how, read, frame=number, panel=panel, tile=plan.tile)
        known = target.read(tile) if resume else None
        values, figures = at_work[which].measure(tile, known)
        if known is None:
            target.write(tile, values)
        return figures, known is not None

    done: list[Recorded] = []
    each, tiles = plan.grid[-2] * plan.grid[-1], 0
    current, restored = Tally(), 0
    with _telling_what_is_kept(path, lambda: tiles, len(plan)):
        for item, (figures, known) in in_threads(work, plan, threads):
            current, restored, tiles = current + figures, restored + known, tiles + 1
            if tiles % each == 0:
                at_work.pop((item.frame, item.panel), None)
                number = data.frames[frames[item.frame]]
                done.append(Recorded(number, path, current, restored, panels[item.panel]))
                yield done[-1]
                current, restored = Tally(), 0
        told = [figures_of(_sum(done[k : k + len(panels)]), measurement) for k in range(0, len(done), len(panels))]
        per_frame = [FrameCoordinate(name, [one[name] for one in told], unit) for name, unit in FRAME_FIGURES.items()]
        finish_store(target, told[0] if len(told) == 1 else None, per_frame=per_frame if len(told) > 1 else ())


def _sum(recorded: Sequence[Recorded]) -> Tally:
    """The figures of all panels of a frame."""
    return sum((one.tally for one in recorded), start=Tally())


def _coordinates(data: Dataset, frames: Sequence[int]) -> list[FrameCoordinate]:
    """Those of the input that describe frames and not pixels."""
    return [
        dataclasses.replace(one, values=[one.values[frame] for frame in frames])
        for one in coordinates_of(data)
        if one.name not in FIGURES
    ]


@contextlib.contextmanager
def _telling_what_is_kept(path: str, tiles: Callable[[], int], total: int) -> Iterator[None]:
    """Add to whatever ends the work what it leaves behind."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"{tiles()} of {total} tiles are kept in {path}: --resume computes the rest")
        raise


def figures_of(tally: Tally, measurement: Measurement) -> dict:
    """What to tell of a frame, as plain values; None where no pixel has a value."""
    mean = tally.total / tally.pixels if tally.pixels else None
    return {
        "pixels": tally.pixels,
        "mean": mean,
        "largest": tally.largest if tally.pixels else None,
        "photons": tally.photons(measurement.noise),
        "overloads": tally.overloads,
        "overload": measurement.overload,
        "blank": tally.blank,
        "negative": tally.negative,
    }
