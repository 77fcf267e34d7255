"""A crystal of a size: blocks in the beam, and photons of a reflection against Darwin's formula."""

import math

import numpy as np
import pytest

import tilesim
from tilesim import InputError
from tilesim.geometry.blocks import full_photons
from tilesim.model.vectors import add, rotate_about, scale

EDGE, CELLS, AMPLITUDE, SPACING, WAVELENGTH = 5e-9, 12, 70.0, 5e-10, 1e-10
FLUENCE, TURN, SLOW, PIXEL, PIXELS = 1e20, 0.1, (0.0, 1.0, 0.0), 6e-5, 81
TWO_THETA = 2.0 * math.asin(WAVELENGTH / 2.0 / SPACING)


def block(**fields):
    """A block of which one reflection is on the Ewald sphere, in the equator, in the middle of the scan."""
    half = TWO_THETA / 2.0
    axes = ((math.cos(half), 0.0, -math.sin(half)), (0.0, 1.0, 0.0), (math.sin(half), 0.0, math.cos(half)))
    return tilesim.Crystal(*(scale(v, EDGE) for v in axes), cells=(CELLS,) * 3, **fields)


def passing(crystal):
    """That reflection while the crystal turns about y by TURN, on a detector that faces it."""
    towards, fast = (rotate_about(v, SLOW, TWO_THETA) for v in ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0)))
    corner = scale(add(fast, SLOW), -PIXEL * PIXELS / 2)
    grid = np.zeros((21, 21, 21))
    grid[20, 10, 10] = AMPLITUDE
    return tilesim.Experiment(
        beam=tilesim.Beam((0.0, 0.0, 1.0), WAVELENGTH, FLUENCE, kahn_factor=None),
        crystal=crystal,
        detector=tilesim.Detector(
            (tilesim.Panel(add(scale(towards, 0.1), corner), fast, SLOW, towards, PIXEL, (PIXELS,) * 2),)
        ),
        factors=tilesim.StructureFactors(grid, (-10, -10, -10)),
        scan=tilesim.Scan(SLOW, -TURN / 2, TURN / 200, 200),
        sampling=tilesim.Sampling(oversample=3),
    )


def darwin(volume):
    """Darwin's formula on the equator, of a flux over an angular speed that is the fluence over the angle."""
    power = 7.940792e-30 * WAVELENGTH**3 * AMPLITUDE**2 * volume / EDGE**6
    return FLUENCE / TURN * power / math.sin(TWO_THETA)


SHAPES = {
    "square": ({}, 0.01),
    # The transform of a ball of so few cells ends far out: a twentieth is beyond this scan.
    "round": ({"shape": "round"}, 0.05),
    "round, fudged": ({"shape": "round", "fudge": 1.3}, 0.05),
    "gauss": ({"shape": "gauss", "fudge": 0.1}, 0.01),
    "tophat": ({"shape": "tophat", "fudge": 0.1}, 0.04),
    "tophat-hkl": ({"shape": "tophat-hkl"}, 0.04),
    "oriented": ({"shape": "gauss-hkl", "cells_off_diagonal": (2.0, -1.0, 3.0)}, 0.01),
    "of height 1": ({"shape": "gauss-hkl", "unit_height": True}, 0.01),
    "of several sizes": ({"shape": "gauss-hkl", "sizes": tilesim.SizeSpread((0.7, 1.0, 1.6), (2, 3, 1))}, 0.01),
    "mosaic": ({"shape": "gauss-hkl", "mosaic_spread": tilesim.MosaicSpread(0.003, 8)}, 0.01),
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_integrated_intensity_is_that_of_darwins_formula(name):
    fields, tolerance = SHAPES[name]
    experiment = passing(tilesim.crystal_of_size(block(**fields), (3e-6, 2e-6, 9e-6), beam_size=1.5e-6))
    expected = darwin(3e-6 * 1.5e-6 * 1.5e-6)
    found = float(tilesim.simulate_now(experiment).sum(dtype=np.float64))
    assert found == pytest.approx(expected, rel=tolerance)
    assert full_photons(experiment, AMPLITUDE) / math.sin(TWO_THETA) == pytest.approx(expected, rel=1e-6)


def test_blocks_are_the_volume_in_the_beam_over_that_of_a_block():
    edge = CELLS * EDGE
    assert tilesim.crystal_of_size(block(), 10 * edge).blocks == pytest.approx(1000)
    assert tilesim.crystal_of_size(block(), 10 * edge, beam_size=5 * edge).blocks == pytest.approx(250)
    assert tilesim.crystal_of_size(block(), edge).blocks == pytest.approx(1)


def test_blocks_multiply_bragg_and_diffuse_photons_of_every_lattice():
    one = block(shape="gauss-hkl", diffuse=tilesim.Diffuse(2e-9, 0.4e-10))
    still = {"scan": tilesim.Scan(SLOW, 0.0), "sampling": tilesim.Sampling()}
    some, many = (
        passing(crystal).replace(other_crystals=(crystal.rotated((1, 1, 0), 0.01).replace(share=0.4),), **still)
        for crystal in (one, one.replace(blocks=4.0))
    )
    np.testing.assert_allclose(tilesim.simulate_now(many), 4.0 * tilesim.simulate_now(some), rtol=1e-6)


@pytest.mark.parametrize(
    "fields, size, said",
    [
        ({}, 1e-9, "smaller than one mosaic block"),
        ({}, (1e-6, 1e-6), "expected 3 numbers"),
        ({}, 0.0, "expected metres, from 1e-10 to 0.1"),
        ({}, 20, "edge of the crystal is 20 m; .*; did you mean 2e-05"),
        ({"shape": "round", "fudge": 0.0}, 1e-6, "expected a fudge factor above 0"),
    ],
)
def test_a_size_that_means_nothing_is_refused(fields, size, said):
    with pytest.raises(InputError, match=said):
        tilesim.crystal_of_size(block(**fields), size)


def test_a_beam_of_micrometres_for_metres_is_refused():
    with pytest.raises(InputError, match=r"size of the beam is 10 m; .*; did you mean 1e-05"):
        tilesim.crystal_of_size(block(), 2e-6, beam_size=10)
