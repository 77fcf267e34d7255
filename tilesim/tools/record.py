"""Writing images with noise: flat files, or a store that is filled tile by tile and can be resumed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tilesim.io.flat import write_banded
from tilesim.model import Panel
from tilesim.model.serial import to_plain
from tilesim.store.create import create_store
from tilesim.store.layout import FrameCoordinate, Pixels
from tilesim.store.place import normal_place
from tilesim.store.write import finish_store, open_image
from tilesim.tiling.plan import TilePlan
from tilesim.tiling.tile import Tile
from tilesim.tools.expected import Expected
from tilesim.tools.measure import NoisyImage, in_threads
from tilesim.tools.noise import Measurement, Tally

BAND_PIXELS = 2**20
"""Pixels that are written at a time."""
FIGURES = {"max_I", "mean", "total"}
"""Coordinates of a store that describe its pixels, which change."""
FRAME_FIGURES = {"mean": "detector units", "largest": "detector units", "photons": "photons", "overloads": None}


@dataclass(frozen=True)
class Recorded:
    """One frame that was written."""

    number: int
    path: str
    tally: Tally
    restored: int = 0
    """Tiles that were there already."""


def write_flat(path: str, image: NoisyImage, header: bytes = b"") -> Tally:
    """Write header and pixels, little-endian, all or nothing. Raises StoreError."""
    rows = max(1, BAND_PIXELS // image.shape[1])
    write_banded(path, header, (band for _, band in image.bands(rows)))
    return image.tally


def smv_header(expected: Expected, measurement: Measurement) -> bytes:
    """The header of an SMV file: size, pixel where it is known, and what the numbers mean."""
    panel = expected.panel()
    items = (
        ("DIM", "2"),
        ("BYTE_ORDER", "little_endian"),
        ("TYPE", "unsigned_short"),
        ("SIZE1", str(expected.shape[1])),
        ("SIZE2", str(expected.shape[0])),
        *(() if panel is None else (("PIXEL_SIZE", f"{panel.pixel_size * 1e3:g}"),)),
        ("ADC_OFFSET", f"{measurement.noise.offset:g}"),
        ("GAIN", f"{measurement.noise.gain:g}"),
        ("CCD_IMAGE_SATURATION", f"{measurement.overload:g}"),
    )
    return ("{\nHEADER_BYTES=512;\n" + "".join(f"{key}={value};\n" for key, value in items) + "}\f").encode().ljust(512)


def provenance(expected: Expected, measurement: Measurement, masks: dict[str, str], tile: tuple[int, int]) -> dict:
    """Where noisy images come from: that of the input, and what was done to it.

    masks  digests of the masks, by name
    """
    from importlib.metadata import version

    import tilesim

    source = expected.identity()
    noise = {**to_plain(measurement.noise), "dtype": measurement.numbers.dtype, "overload": measurement.overload}
    what = {"source": source, "noise": noise, "masks": masks}
    kept = ("experiment", "command_line", "strict_c", "corrections", "precision", "device", "backend", "seeds")
    seeds = {"noise": measurement.noise.seed, "calibration": measurement.noise.calibration_seed}
    found = {name: expected.attributes[name] for name in kept if name in expected.attributes}
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
    expected: Expected,
    measurement: Measurement,
    panel: Panel,
    about: dict,
    *,
    tile: tuple[int, int],
    frames: Sequence[int],
    overwrite: bool = False,
    resume: bool = False,
    threads: int | None = None,
    on_frame: Callable[[Recorded], None] = lambda recorded: None,
) -> list[Recorded]:
    """Fill a store with the noisy images of some frames (counted from 0), tile by tile through some threads.

    panel    whose pixel size the store tells
    about    from `provenance`
    resume   whether tiles of the same job may be there, which are kept where they are intact

    Raises StoreError, and InputError where the input is damaged; a store that was begun keeps what was done.
    """
    shape = expected.shape
    place, plan = normal_place(path), TilePlan((len(frames), *shape), tile)
    pixels = Pixels(measurement.numbers.dtype, measurement.numbers.blank, "detector units", "detector signal")
    kept = [
        dataclasses.replace(one, values=[one.values[frame] for frame in frames])
        for one in expected.coordinates
        if one.name not in FIGURES
    ]
    handle = create_store(
        place, plan, panel, about, coordinates=kept, pixels=pixels, overwrite=overwrite, resume=resume
    )
    target = open_image(handle)
    images = {}

    def work(tile: Tile) -> tuple[Tally, bool]:
        if tile.frame not in images:
            frame = frames[tile.frame]
            number = expected.frames[frame]
            images[tile.frame] = NoisyImage(measurement, expected.read(frame), frame=number, tile=tile.shape)
        known = target.read(tile) if resume else None
        values, figures = images[tile.frame].measure(tile, known)
        if known is None:
            target.write(tile, values)
        return figures, known is not None

    done: list[Recorded] = []
    current, restored, left = Tally(), 0, plan.grid[1] * plan.grid[2]
    for item, (figures, known) in in_threads(work, plan, threads):
        current, restored, left = current + figures, restored + known, left - 1
        if left == 0:
            images.pop(item.frame, None)
            done.append(Recorded(expected.frames[frames[item.frame]], path, current, restored))
            on_frame(done[-1])
            current, restored, left = Tally(), 0, plan.grid[1] * plan.grid[2]
    figures = [figures_of(one.tally, measurement) for one in done]
    per_frame = [FrameCoordinate(name, [f[name] for f in figures], unit) for name, unit in FRAME_FIGURES.items()]
    finish_store(
        handle,
        figures[0] if len(done) == 1 else None,
        per_frame=per_frame if len(done) > 1 else (),
    )
    return done


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
