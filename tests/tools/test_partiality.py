"""The partiality of reflections: what is recorded, against images of crystals that turn through the Ewald sphere."""

import math

import numpy as np
import pytest
from experiments import plain

import tilesim
from tilesim import Beam, Crystal, Detector, MosaicFrame, Panel, Sampling, Scan, SizeSpread, Source, StructureFactors
from tilesim.tools.partiality import PROFILES, SERIES_BELOW, partialities

HKL = np.array([[4, 0, 0]])
WAVE = 1e-10
BETA = math.radians(100)
SINE = WAVE * 4 / (5e-9 * math.sin(BETA)) / 2
"""Of half the scattering angle of (4 0 0)"""
BRAGG = math.asin(SINE)
BEAM = Beam((0.0, 0.0, 1.0), WAVE, 1e28, kahn_factor=None)


def panel(pixel):
    """A panel of 96 x 96 pixels around the reflection, a metre away."""
    middle, half = math.tan(2 * BRAGG), 48 * pixel
    axes = {"fast": (1.0, 0.0, 0.0), "slow": (0.0, 1.0, 0.0), "normal": (0.0, 0.0, 1.0)}
    return Panel((middle - half, -half, 1.0), **axes, pixel_size=pixel, shape=(96, 96), close_distance=1.0)


WIDE, FINE = panel(3e-4), panel(1e-4)
SHAPES = {
    "square": {"cells": (18, 24, 21)},
    "round": {"cells": (18, 24, 21), "fudge": 1.2},
    "gauss": {"cells": (7, 8, 9)},
    "tophat": {"cells": (7, 8, 9), "fudge": 0.8},
    "gauss-hkl": {"cells": (18.5, 24, 21), "cells_off_diagonal": (4.0, -3.0, 2.0)},
    "tophat-hkl": {"cells": (18.5, 24, 21), "cells_off_diagonal": (4.0, -3.0, 2.0)},
}
WIDTH = 1 / (20 * 5e-9) / (4 / 5e-9)
"""Angle by which a reflection turns through the sphere, about"""


def crystal(turn=0.0, **fields):
    """A crystal with (4 0 0) on the Ewald sphere, turned off it by an angle; no axis of it lies anywhere special."""
    standard = Crystal.from_cell(5e-9, 4.4e-9, 4.8e-9, math.pi / 2, BETA, math.pi / 2, **fields)
    return standard.rotated((1.0, 0.0, 0.0), 0.7).rotated((0.0, 1.0, 0.0), BRAGG + turn)


def shot(one, **changes):
    """An image in which that is the only reflection."""
    grid = StructureFactors(np.full((1, 1, 1), 100.0), (4, 0, 0), default=0.0)
    fields = {"beam": BEAM, "detector": Detector((FINE,)), "factors": grid, "scan": Scan((1.0, 0.0, 0.0), 0.0)}
    return plain(**{**fields, "crystal": one, **changes})


def recorded(experiment):
    return float(tilesim.simulate_now(experiment, "double", "cpu", "eager").sum(dtype=float))


def partiality(experiment):
    [value] = partialities(experiment, HKL)
    return value


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_share_of_what_is_recorded_on_the_sphere(shape):
    turns = WIDTH * np.array([-1.3, -0.8, -0.4, -0.15, 0.0, 0.3, 0.6, 1.0, 2.1])
    crystals = [crystal(turn, shape=shape, **SHAPES[shape]) for turn in turns]
    fringes = shape in ("square", "round")
    seen = {"detector": Detector((WIDE if fringes else FINE,)), "sampling": Sampling(oversample=1 if fringes else 3)}
    drawn = np.array([recorded(shot(one, **seen)) for one in crystals])
    found = np.array([partiality(shot(one)) for one in crystals])
    assert drawn[4] > 0 and found[4] == pytest.approx(1.0, abs=1e-9)
    np.testing.assert_allclose(found, drawn / drawn[4], atol=0.02)
    assert (np.diff(found[:5]) >= 0).all() and found[0] < 0.3 < found[2] < 0.97


def test_a_gaussian_falls_with_the_square_of_the_excitation_error_in_units_of_one_over_its_size():
    for turn in (0.0, 0.3 * WIDTH, -0.8 * WIDTH):
        cube = Crystal.from_cell(5e-9, 5e-9, 5e-9, shape="gauss-hkl", cells=(20, 20, 20))
        turned = cube.rotated((0.0, 1.0, 0.0), math.asin(WAVE * 4 / 5e-9 / 2) + turn)
        node = np.array([0.0, 0.0, 1 / WAVE]) + 4 * np.array(turned.star[0])
        error = np.linalg.norm(node) - 1 / WAVE
        assert partiality(shot(turned)) == pytest.approx(math.exp(-2 / 0.63 * (error * 20 * 5e-9) ** 2), rel=1e-6)


def test_domains_sizes_steps_and_wavelengths_count_with_their_weights():
    turn = (math.cos(0.01), 0.0, math.sin(0.01), 0.0, 1.0, 0.0, -math.sin(0.01), 0.0, math.cos(0.01))
    fields = {"shape": "gauss-hkl", "cells": (20, 20, 20), "sizes": SizeSpread((0.6, 1.2), (0.7, 0.3))}
    still = crystal(0.003, **fields)
    domains = ((1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), turn)
    beam = BEAM.replace(sources=(Source((0.0, 0.0, 1.0), WAVE, 1.4), Source((0.0, 0.0, 1.0), 1.01 * WAVE, 0.6)))
    scan = Scan((0.0, 1.0, 0.0), -0.004, 0.003, 3)
    mixed = shot(still.replace(mosaic_rotations=domains, mosaic_frame=MosaicFrame.CRYSTAL), beam=beam, scan=scan)
    full = recorded(shot(crystal(**fields)))  # one wavelength, one step
    red = full * 1.01**2
    assert partiality(mixed) == pytest.approx(recorded(mixed) / (0.7 * full + 0.3 * red), abs=0.01)
    assert 0.1 < partiality(mixed) < 0.9


@pytest.mark.parametrize("shape", PROFILES)
def test_power_series_and_closed_forms_meet(shape):
    extent = np.array([[3e7, -1e7, 2e7]] * 2)
    scale = 3e7 / 2 if shape == "square" else math.sqrt(14) * 1e7
    error = SERIES_BELOW * np.array([1 - 1e-6, 1 + 1e-6]) * scale / math.pi
    below, above = PROFILES[shape](error, extent, 1.0)
    assert below == pytest.approx(above, rel=1e-8) and below > 0


def test_a_shot_without_reflections_has_none():
    assert partialities(shot(crystal()), np.empty((0, 3), np.int64)).shape == (0,)
