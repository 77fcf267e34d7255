"""Noise on lazy arrays: the same bytes as of the tiled image, for any chunks and any scheduler."""

import dask
import dask.array as da
import numpy as np
import pytest

import tilesim
from tilesim.model import Region
from tilesim.tiling.tile import Tile
from tilesim.tools.lazynoise import noisy_array as add_noise
from tilesim.tools.noise import PIXEL_TYPES, Measurement, measured

SHAPE = (300, 280)
PHOTONS = (np.random.default_rng(8).random(SHAPE) * 20).astype(np.float32)
PHOTONS[100, 130], PHOTONS[7, 3] = 2e5, np.nan
EVERYTHING = tilesim.Noise(flicker=0.1, calibration=0.02, readout=1.5, gain=1.3, seed=5)
SPREADS = [None, tilesim.PointSpread("gauss", 2.0), tilesim.PointSpread("fiber", 0.5)]


def tiled(noise, dtype="float32", frame=2):
    how = Measurement(noise, PIXEL_TYPES[dtype], SHAPE, Region(0, SHAPE[0], 0, SHAPE[1]))
    return measured(how, lambda r, c: PHOTONS[r, c], Tile(frame, 0, 0, SHAPE[0], 0, SHAPE[1]))


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("chunks", [(300, 280), (128, 128), (256, 64), (90, 111), (300, 7)])
def test_chunks_do_not_change_a_byte(spread, chunks):
    noise = EVERYTHING.replace(point_spread=spread)
    lazy = add_noise(da.from_array(PHOTONS, chunks=chunks), noise, frame=2)
    assert lazy.shape == SHAPE
    assert lazy.compute(scheduler="threads").tobytes() == tiled(noise).tobytes()


@pytest.mark.parametrize("dtype", ["uint16", "int32"])
def test_whole_numbers(dtype):
    lazy = add_noise(da.from_array(PHOTONS, chunks=100), EVERYTHING, frame=2, dtype=dtype)
    assert lazy.dtype == dtype
    assert np.array_equal(lazy.compute(), tiled(EVERYTHING, dtype))


def test_a_slice_computes_only_what_it_needs():
    seen = []

    def block(block_info=None):
        place = block_info[None]["array-location"]
        seen.append(place)
        return PHOTONS[tuple(slice(*one) for one in place)]

    image = da.map_blocks(block, chunks=((128, 128, 44), (128, 128, 24)), dtype=np.float32, meta=np.empty((0, 0), "f4"))
    seen.clear()
    noise = EVERYTHING.replace(point_spread=tilesim.PointSpread("gauss", 2.0))
    lazy = add_noise(image, noise, frame=2)
    assert seen == []
    with dask.config.set(scheduler="sync"):
        corner = lazy[:10, :10].compute()
    assert np.array_equal(corner, tiled(noise)[:10, :10], equal_nan=True)
    assert len(seen) == 4


def test_a_simulated_image_can_be_measured_without_storing_it():
    words = "-default_F 20 -cell 50 60 70 90 90 90 -lambda 1.5 -N 3 -detpixels 40 -pixel 1 -distance 100 -roi 5 30 0 39"
    experiment = tilesim.from_nanobragg(words.split())
    image = tilesim.simulate(experiment, tile=16)
    counts = tilesim.add_noise(image, tilesim.Noise(), dtype="int32", region=experiment.region).compute()
    assert (counts[:, 5:31] >= 40).all()
    assert (counts == -1).sum() == 40 * 40 - experiment.region.pixels
