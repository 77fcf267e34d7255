"""Small stores for tests: made, filled, described, verified, damaged."""

from pathlib import Path

import numpy as np
import zarr

from tilesim.images.stored import StoredImage
from tilesim.model import Beam, Crystal, Detector, Experiment, Panel, Series, StructureFactors
from tilesim.store.create import Contents, create_store
from tilesim.store.describe import describe_store
from tilesim.store.finish import finish_store
from tilesim.store.layout import Layout
from tilesim.store.place import normal_place
from tilesim.store.store import Store
from tilesim.store.verify import verify_store
from tilesim.tiling.plan import TilePlan

PIXEL = 1e-4
STATISTICS = {"max_I": np.float32(7.5), "rms": float("nan"), "brightest": (3, 4)}


def make_panel(shape):
    slow, fast = shape
    origin = (0.1, slow * PIXEL / 2, -fast * PIXEL / 2)
    return Panel(origin, (0, 0, 1), (0, -1, 0), (1, 0, 0), PIXEL, shape, 0.1)


def make_experiment(shape, wavelength=1e-10):
    cell = ((1e-9, 0, 0), (0, 1e-9, 0), (0, 0, 1e-9))
    detector = Detector((make_panel(shape),))
    return Experiment(Beam((1.0, 0, 0), wavelength), Crystal(*cell), detector, StructureFactors.constant(1.0))


def make_provenance(shape, wavelength=1e-10):
    experiment = make_experiment(shape, wavelength)
    return {
        "digest": experiment.digest,
        "job_digest": experiment.digest[::-1],
        "experiment": experiment.to_dict(),
        "command_line": ["-hkl", "a b.hkl"],
        "precision": "mixed",
        "device": "cpu",
        "backend": "eager",
        "versions": {"tilesim": "0", "zarr": zarr.__version__},
    }


def make_image(shape):
    """Every pixel differs, so that one in the wrong place shows."""
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def start(path, plan, wavelength=1e-10, **options):
    shape = plan.shape[1:]
    provenance = make_provenance(shape, wavelength) | {"tile": list(plan.tile)}
    provenance["job_digest"] += str(plan.tile)
    given = {name: options.pop(name) for name in ("coordinates", "pixels") if name in options}
    series = Series.of([make_experiment(shape, wavelength)] * plan.shape[0])
    contents = Contents(provenance, PIXEL, series, **given)
    return create_store(normal_place(path), plan, contents, **options)


def described(path):
    return describe_store(Store.open(path))


def verified(path, *options):
    return verify_store(Store.open(path), *options)


def bands(path, rows=10, sound=False):
    return StoredImage(Store.open(path), 0, None, sound).bands(rows)


def fill(path, plan, image=None, **options):
    image = make_image(plan.shape) if image is None else image
    handle = start(path, plan, **options)
    write_all(handle, image)
    finish_store(handle, STATISTICS)
    return image


def write_all(handle, image):
    for tile in handle.plan:
        handle.write(tile, image[(tile.frame, *tile.slices)])


def read_all(path):
    return zarr.open_array(Path(path) / "0" / "intensity", mode="r")[:]


def chunk_of(path, plan, number=0):
    return Path(path) / Layout.of_plan(plan).object_name(plan[number])


RAGGED = TilePlan((2, 50, 70), (20, 32))
SHARDED = TilePlan((1, 1100, 1300), (1024, 1024))
BEYOND = TilePlan((1, 1100, 1301), (1100, 1301))
"""One tile, of a shard that reaches beyond the image."""


def flip(path):
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[:-50])
