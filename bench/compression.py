"""Size of stored images, and how fast their tiles are written and read, by compression; and what it costs a run.

Tiles go through tilesim's own access to its stores, zarr and checksums included, from one thread. Everything takes
turns, and the fastest of some rounds counts: the machine may be shared. Files stay in the page cache, so a slow disk
would favour what is smaller.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.command import in_turn, program
from bench.record import LYSOZYME, input_flags, machine, save, table
from tilesim.model.noise import Noise
from tilesim.store.compression import Compression, parse_compression
from tilesim.store.create import create_store
from tilesim.store.layout import Layout, Pixels
from tilesim.store.write import open_image
from tilesim.tiling.plan import TilePlan, default_tile

GEOMETRY = (
    "-lambda 0.9768 -distance 250 -pixel 0.075 -detpixels_x 2068 -detpixels_y 2162 -oversample 1 -nointerpolate "
    "-flux 1e12 -exposure 0.1 -beamsize 0.05 -N 20 -phi 10"
)
CRYSTALS = {
    "square": "-osc 0.5 -phisteps 5",
    "square, water": "-osc 0.5 -phisteps 5 --background water --background-thickness 0.1",
    "gauss, still": "-osc 0 -phisteps 1 -gauss_xtal -mosaic_spread 0.3 -mosaic_domains 50",
}
"""Of the example's input; counts are those of the second one with Poisson's noise."""


@dataclass(frozen=True)
class Other(Compression):
    """What a user of tilesim cannot choose."""

    shuffle: str = "noshuffle"
    """Or `zarr`: the zstd of zarr itself, without Blosc."""

    def __str__(self) -> str:
        return f"{super().__str__()} {self.shuffle}"

    def codecs(self, dtype: str) -> list:
        from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

        if self.shuffle == "zarr":
            return [ZstdCodec(level=self.level), Crc32cCodec()]
        size = np.dtype(dtype).itemsize
        blosc = BloscCodec(cname=self.method, clevel=self.level, shuffle=self.shuffle, typesize=size)
        return [blosc, Crc32cCodec()]


CHOICES = [
    *map(parse_compression, ("none", "lz4:1", "lz4:5", "lz4:9", "zstd:1", "zstd:3", "zstd:5")),
    *(Other(method, level, s) for s in ("noshuffle", "bitshuffle") for method, level in (("lz4", 5), ("zstd", 1))),
    Other("zstd", 1, "zarr"),
]


def main(arguments: list[str]) -> None:
    """Run, print the tables, write bench/results/compression-DATE.json."""
    parser = argparse.ArgumentParser(prog="python -m bench compression", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args(arguments).repeats
    with tempfile.TemporaryDirectory(dir=os.environ.get("TILESIM_BENCH_FOLDER")) as folder:
        data, source = input_flags(Path(folder))
        rows = [row for name, image in images(data).items() for row in measured(name, image, folder, repeats)]
        table(("image", "compression", "ratio", "write_MB_per_s", "read_MB_per_s"), rows)
        runs = commands(data, folder, repeats)
    table(("command", "compression", "seconds"), runs)
    save("compression", {**machine(), "structure_factors": source, "repeats": repeats, "rows": rows, "runs": runs})


def images(data: list[str]) -> dict[str, np.ndarray]:
    """What is stored."""
    import tilesim
    from tilesim.tools.lazynoise import add_noise

    lazy = {
        name: tilesim.simulate(tilesim.from_nanobragg([*data, *GEOMETRY.split(), *words.split()]))
        for name, words in CRYSTALS.items()
    }
    found = {name: image.compute() for name, image in lazy.items()}
    counted = add_noise(lazy["square, water"], Noise(offset=0.0), dtype="int32")
    return {**found, "counts, int32": counted.compute()}


def measured(name: str, image: np.ndarray, folder: str, repeats: int) -> list[dict]:
    """One row for each compression."""
    best = {str(one): [float("inf"), float("inf"), 0] for one in CHOICES}
    for _ in range(repeats):
        for one in CHOICES:
            wrote, read, size = once(image, one, f"{folder}/a.zarr")
            known = best[str(one)]
            best[str(one)] = [min(known[0], wrote), min(known[1], read), size]
    megabytes = image.nbytes / 1e6
    return [
        {
            "image": name,
            "compression": choice,
            "ratio": image.nbytes / size,
            "write_MB_per_s": megabytes / wrote,
            "read_MB_per_s": megabytes / read,
        }
        for choice, (wrote, read, size) in best.items()
    ]


def once(image: np.ndarray, compression: Compression, place: str) -> tuple[float, float, int]:
    """Seconds to write and to read all tiles of an image, and the bytes of them."""
    from tilesim.model import Panel

    plan = TilePlan((1, *image.shape), default_tile(image.shape))
    panel, about = Panel.facing(0.25, 75e-6, image.shape), {"digest": "", "job_digest": ""}
    pixels = Pixels(str(image.dtype), 0, compression=compression)
    stored = open_image(create_store(place, plan, panel, about, pixels=pixels, overwrite=True))
    start = time.perf_counter()
    for tile in plan:
        stored.write(tile, image[tile.slices])
    written = time.perf_counter()
    for tile in plan:
        stored.read(tile)
    done = time.perf_counter()
    names = (Path(place, Layout.of_plan(plan).object_name(tile)) for tile in plan)
    return written - start, done - written, sum(path.stat().st_size for path in names)


def commands(data: list[str], folder: str, repeats: int) -> list[dict]:
    """Seconds of the lysozyme command that writes a store, threads and all."""
    words = [*program(), "run", *data, *LYSOZYME, "--zarr", "b.zarr", "--overwrite", "--quiet", "--compression"]
    seconds = in_turn({choice: [*words, choice] for choice in ("none", "lz4", "zstd")}, folder, repeats)
    return [
        {"command": "lysozyme --zarr", "compression": choice, "seconds": min(taken)}
        for choice, taken in seconds.items()
    ]
