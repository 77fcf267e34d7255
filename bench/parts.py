"""CPU time of a still in a series by its parts: experiment, what the kernel derives from it, kernel, statistics, store.

One tile of several frames is made by the functions that a run calls, on one thread, the best of three.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable

import tilesim
from bench.record import machine, save, table
from tilesim.compute import simulate_frames
from tilesim.engine.job import make_job
from tilesim.engine.statistics import tile_statistics
from tilesim.kernels import fused
from tilesim.store.create import Contents, create_store

FLAGS = (
    "-cell 78 78 38 90 90 90 -default_F 100 -nointerpolate -oversample 1 -distance 100 -lambda 1 -pixel 0.2 -N 20 "
    "-flux 1e12 -exposure 1 -beamsize 0.002 -detpixels {edge}"
)
CASES = (
    ("gauss", 512, False),
    ("square", 512, False),
    ("gauss", 512, True),
    ("gauss", 2114, False),
    ("square", 2114, False),
)
"""Shape of the crystal, edge of the image, and whether there is a background of water."""
SHOTS = 2000


def main(arguments: list[str]) -> None:
    """Run, print the table, write bench/results/parts-DATE.json."""
    parser = argparse.ArgumentParser(prog="python -m bench parts", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    rows = []
    for shape, edge, wet in CASES:
        water = tilesim.Slab("water", thickness=2e-6) if wet else None
        still = tilesim.from_nanobragg(FLAGS.format(edge=edge), background=water)
        still = still.replace(crystal=still.crystal.replace(shape=shape))
        rows.append({"shape": shape, "edge": edge, "water": wet, **parts(still, options.repeats)})
    table(tuple(rows[0]), rows)
    save("parts", {**machine(), "flags": FLAGS, "shots": SHOTS, "repeats": options.repeats, "rows": rows})


def parts(still: tilesim.Experiment, repeats: int) -> dict[str, float]:
    """Milliseconds of each part, for a whole frame."""
    job = make_job(tilesim.draw(still, SHOTS, orientation="uniform"), backend="fused", device="cpu")
    tile = job.plan[len(job.plan) // 2]
    places = job.plan.parts(tile, None)
    tiles = job.plan.each  # of a frame

    def each(work: Callable[[], object]) -> float:
        return 1e3 * min(seconds(work) for _ in range(repeats)) / tile.frames

    found = {"experiment": each(lambda: list(job.series.take(tile.places)))}
    experiments = [job.series[frame] for frame in tile.places]
    found["derived"] = each(lambda: [fused.lower(one) for one in experiments])
    runner = job.ready()
    kernels = [runner.kernel(part) for part, _ in places]
    pixels, images = simulate_frames(kernels, places[0][0])
    found["kernel"] = tiles * each(lambda: simulate_frames(kernels, places[0][0]))
    found["statistics"] = tiles * each(
        lambda: [
            tile_statistics(one.experiment, image, fused.sum_pixels) for one, image in zip(kernels, images, strict=True)
        ]
    )
    with tempfile.TemporaryDirectory() as folder:
        store = create_store(f"{folder}/s.zarr", job.plan, Contents({}, 1e-4)).ready()
        found["store"] = tiles * each(lambda: store.write(tile, pixels))
    return {**found, "all": sum(found.values())}


def seconds(work: Callable[[], object]) -> float:
    """CPU time."""
    start = time.process_time()
    work()
    return time.process_time() - start
