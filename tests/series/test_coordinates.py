"""Coordinates of stores: what varies is listed in the units of the field, what does not is left out."""

import math

import numpy as np
import pytest
from experiments import plain

from tilesim.model import Series
from tilesim.series.coordinates import series_coordinates

EXPERIMENT = plain()


def test_a_cell_that_differs_by_rounding_alone_does_not_vary():
    crystal = EXPERIMENT.crystal
    turned = [crystal.rotated((1.0, 0.3, 0.2), 0.1 * k) for k in range(20)]
    assert len({one.cell for one in turned}) > 1  # by the last bits
    [orientation] = series_coordinates(Series(EXPERIMENT, crystal=turned))
    assert orientation.name == "orientation" and len(set(orientation.values)) == 20
    found = np.reshape(orientation.values, (20, 3, 3))
    np.testing.assert_allclose(found, [one.orientation for one in turned], rtol=0, atol=1e-11)


def test_units_are_those_of_the_field():
    found = series_coordinates(Series(EXPERIMENT, wavelength=[1e-10, 1.1e-10], scan_start=[0.0, math.radians(10.1)]))
    by_name = {one.name: one for one in found}
    assert by_name["wavelength"].values == [1.0, 1.1] and by_name["wavelength"].units == "angstrom"
    assert by_name["phi"].values == [0.0, 10.1] and by_name["phi"].units == "degree"


def test_an_exposure_that_no_frame_states_does_not_vary():
    unknown = EXPERIMENT.replace(beam=EXPERIMENT.beam.replace(exposure=None))
    found = series_coordinates(Series(unknown, wavelength=[1e-10, 1.1e-10]))
    assert [one.name for one in found] == ["wavelength"]


@pytest.mark.parametrize("seconds", [[1e-15, 2e-15], [None, 1.0]])
def test_small_and_unknown_values_vary(seconds):
    base = EXPERIMENT
    frames = [base.replace(beam=base.beam.replace(exposure=s)) for s in seconds]
    found = series_coordinates(Series.of(frames))
    assert [one.name for one in found] == ["exposure"]


@pytest.mark.parametrize("column", [{}, {"sampling.dmin": [0.0, 1e-10, 0.0]}], ids=["stated", "derived"])
def test_what_a_blank_shot_lacks_is_no_different_value(column):
    own = EXPERIMENT.crystal.cells
    for cells, varied in (([own] * 3, set()), ([own, own, (1, 2, 3)], {"cells"})):
        found = {
            one.name: one for one in series_coordinates(Series(EXPERIMENT, blank=[1, 0, 0], cells=cells, **column))
        }
        assert found.keys() - {"lattices"} == {"blank"} | varied and found["blank"].values == [1, 0, 0]
    np.testing.assert_array_equal(found["cells"].values, [(math.nan,) * 3, own, (1, 2, 3)])
