"""Predicted spots: Laue's condition, checked against it and against what is simulated."""

import math

import numpy as np
import pytest

from tilesim.errors import InputError
from tilesim.geometry.prediction import predict_spots
from tilesim.geometry.resolution import beam_centre, positions
from tilesim.model import Beam, Crystal, Panel
from tilesim.model.scan import Scan

BEAM = Beam((1.0, 0.0, 0.0), 1e-10)
CELL = {"a": 30e-10, "b": 40e-10, "c": 50e-10}


def panel(**changes):
    made = Panel.facing(0.1, 1e-4, (900, 1100), beam=(1.0, 0.0, 0.0), fast=(0.0, 1.0, 0.0), beam_centre=(300, 500))
    return made.replace(**changes)


def crystal(cells=400, **changes):
    return Crystal.from_cell(*CELL.values(), cells=(cells,) * 3).replace(**changes)


def scattering(spots, on):
    """Scattering vectors (n, 3) in 1/m of the places where spots are predicted."""
    place = positions(on, BEAM, spots.slow, spots.fast)
    return (place / np.linalg.norm(place, axis=1, keepdims=True) - np.array(BEAM.direction)) / BEAM.wavelength


@pytest.mark.parametrize("axis", [(0.0, 0.0, 1.0), (0.0, 0.6, 0.8)])
def test_each_spot_is_a_lattice_vector_turned_within_the_rotation(axis):
    scan = Scan(axis=axis, start=math.radians(20), step=math.radians(0.1), steps=51)
    spots = predict_spots(crystal(), BEAM, scan, panel())
    assert len(spots.hkl) > 100
    g = spots.hkl @ np.array(crystal().star)
    q = scattering(spots, panel())
    # A rotation keeps length and the part along its axis, but for those that are only near.
    width = 2 / (400 * 30e-10)
    np.testing.assert_allclose(np.linalg.norm(q, axis=1), np.linalg.norm(g, axis=1), atol=width)
    np.testing.assert_allclose(q @ axis, g @ axis, atol=width)
    across = np.cross(axis, g)
    angle = np.degrees(np.arctan2((q * across).sum(axis=1), (q * g).sum(axis=1) - (q @ axis) * (g @ axis)))
    far = np.linalg.norm(across, axis=1) > 2e8
    assert (angle[far] > 20 - 1).all() and (angle[far] < 25 + 1).all()


def test_all_reflections_that_cross_the_sphere_are_there():
    scan = Scan(start=0.3, step=0.002, steps=26)
    spots = predict_spots(crystal(4000), BEAM, scan, panel())
    found = {tuple(hkl) for hkl in spots.hkl}
    star, incident = np.array(crystal().star), np.array([1e10, 0, 0])
    checked = 0
    for hkl in np.ndindex(17, 17, 17):
        hkl = np.array(hkl) - 8
        distances = []
        for phi in (0.3, 0.35):
            turn = np.array([[math.cos(phi), -math.sin(phi), 0], [math.sin(phi), math.cos(phi), 0], [0, 0, 1]])
            ray = incident + turn @ (hkl @ star)
            distances.append(np.linalg.norm(ray) - 1e10)
        if hkl.any() and distances[0] * distances[1] < 0:
            on = panel()
            ray = ray / ray[0] * 0.1
            offset = ray - np.array(on.origin)
            slow, fast = offset @ on.slow / 1e-4, offset @ on.fast / 1e-4
            if 5 < slow < 895 and 5 < fast < 1095:
                checked += 1
                assert tuple(hkl) in found, hkl
    assert checked > 20


def test_a_still_of_a_small_crystal_has_more_spots():
    scan = Scan(start=0.3)
    counts = [len(predict_spots(crystal(cells), BEAM, scan, panel()).hkl) for cells in (1000, 100, 10)]
    assert counts == sorted(counts) and counts[2] > 5 * counts[1] > 0


def test_the_direct_beam_is_no_spot():
    spots = predict_spots(crystal(5), BEAM, Scan(), panel())
    assert spots.hkl.any(axis=1).all()
    assert beam_centre(panel(), BEAM) == pytest.approx((300, 500))


def test_what_cannot_be_predicted_is_refused():
    with pytest.raises(InputError, match="curved"):
        predict_spots(crystal(), BEAM, Scan(), panel(curved_radius=0.1))
    huge = Crystal.from_cell(5e-7, 5e-7, 5e-7)
    with pytest.raises(InputError, match="up to 10\\^9"):
        predict_spots(huge, BEAM, Scan(), panel())
