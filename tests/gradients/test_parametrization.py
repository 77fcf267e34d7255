"""Parametrisation: free coordinates, constraints, lattice systems, groups; and the experiments that they lead to."""

import math

import numpy as np
import pytest
from experiments import plain
from hypothesis import given, settings
from hypothesis import strategies as st
from stills import still
from varied import tilted

from tilesim import Bounded, Detector, Free, InputError, Parameters, Positive
from tilesim.gradients.lattices import SYSTEMS

CELLS = {
    "cubic": (7e-9, 7e-9, 7e-9, 90, 90, 90),
    "hexagonal": (7e-9, 7e-9, 9e-9, 90, 90, 120),
    "tetragonal": (7e-9, 7e-9, 9e-9, 90, 90, 90),
    "rhombohedral": (7e-9, 7e-9, 7e-9, 80, 80, 80),
    "orthorhombic": (6e-9, 7e-9, 9e-9, 90, 90, 90),
    "monoclinic": (6e-9, 7e-9, 9e-9, 90, 100, 90),
    "triclinic": (6e-9, 7e-9, 9e-9, 85, 100, 95),
}
FREE = {"cubic": 1, "hexagonal": 2, "tetragonal": 2, "rhombohedral": 2, "orthorhombic": 3, "monoclinic": 4}


def with_cell(name):
    a, b, c, *angles = CELLS[name]
    crystal = type(plain().crystal).from_cell(a, b, c, *map(math.radians, angles), cells=(5, 5, 5))
    return plain(crystal=crystal.rotated((1.0, 2.0, 3.0), 0.5))


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_keeps_its_lattice_system_however_it_is_moved(name):
    parameters = Parameters(with_cell(name), ["cell", "rotation"])
    count = FREE.get(name, 6)
    assert len(parameters.labels) == count + 3
    step = [0.01] * count + [0.0] * 3
    moved = parameters.start.moved(step).experiment.crystal.cell
    assert SYSTEMS[name].off(moved) < 1e-12 and moved[0] == pytest.approx(1.01 * CELLS[name][0])
    with pytest.raises(InputError, match=f"lattice {'cubic' if name != 'cubic' else 'hexagonal'}: the cell"):
        Parameters(with_cell(name), "cell", lattice="cubic" if name != "cubic" else "hexagonal")


@settings(max_examples=15)
@given(st.floats(-0.02, 0.02), st.floats(-0.3, 0.3), st.floats(-0.001, 0.001))
def test_slopes_are_the_derivatives_of_the_values_that_an_experiment_gets(cell, cells, rotation):
    kinds = {"cell": Bounded(0.9, 1.2), "cells": Positive(), "rotation": Bounded(-0.1, 0.1), "scale": Free()}
    start = Parameters(still(), kinds).start
    there = start.moved([cell] * 2 + [cells] * 3 + [rotation] * 3 + [0.1])
    tiny = 1e-6
    for place in range(len(there.coordinates)):
        steps = [np.eye(len(there.coordinates))[place] * sign * tiny for sign in (-1, 1)]
        before, after = (there.moved(step).values for step in steps)
        expected = np.zeros(len(there.values))
        expected[place] = there.scales[place]
        scale = np.abs(there.scales).max()
        np.testing.assert_allclose((after - before) / (2 * tiny), expected, rtol=1e-5, atol=1e-9 * scale)
    assert there.slopes.shape == (6 + 3 + 3 + 1, 9)
    # a and b are tied: both follow the first coordinate.
    assert there.slopes[0, 0] == there.slopes[1, 0] == there.scales[0] > 0


def test_the_experiment_has_the_values_of_the_point():
    start = Parameters(still(), {"cell": Bounded(0.99, 1.01), "N": None, "distance": None, "scale": None}).start
    there = start.moved([0.3, -0.2, 0.1, -0.1, 0.05, 1e-4, 0.5])
    values = dict(zip(there.parameters.labels, there.values, strict=True))
    found = there.experiment
    assert found.crystal.cell[0] == pytest.approx(values["crystal.cell.a"]) != pytest.approx(77e-10, rel=1e-4)
    assert found.crystal.cells[1] == pytest.approx(values["crystal.cells.b"]) == pytest.approx(6 * math.exp(-0.1))
    assert found.beam.fluence == pytest.approx(still().beam.fluence * math.exp(0.5))
    assert found.detector.panels[0].distance - 0.1 == pytest.approx(values["detector.distance"]) == pytest.approx(1e-4)


def test_what_counts_from_zero_adds_up_over_steps():
    point = Parameters(still(), ["rotation", "distance"]).start
    for _ in range(3):
        point = point.moved([0.0, 0.001, 0.0, 2e-5])
    assert point.values == pytest.approx([0.0, 0.003, 0.0, 6e-5])
    expected = still().crystal.rotated((0.0, 1.0, 0.0), 0.003)
    np.testing.assert_allclose(point.experiment.crystal.orientation, expected.orientation, atol=1e-12)


def test_bounds_are_never_left_and_priors_pull():
    parameters = Parameters(still(), {"cell": Bounded(0.99, 1.02, prior=0.001)})
    for step in (-50.0, -1.0, 0.7, 3.0, 1e3):
        ratio = parameters.start.moved([step, step]).values / parameters.start.values
        assert (ratio >= 0.99 - 1e-12).all() and (ratio <= 1.02 + 1e-12).all()
    there = parameters.start.moved([0.2, 0.0])
    residuals, slopes = there.prior
    assert residuals[0] == pytest.approx((parameters.start.values[0] - there.values[0]) / (0.001 * 77e-10))
    assert residuals[0] < -0.5 and residuals[1] == 0.0 and slopes[0] > 0


def test_groups_of_panels_have_parameters_of_their_own():
    experiment = plain(detector=Detector([tilted(across=0.011 * n) for n in range(3)]))
    parameters = Parameters(experiment, ["detector.distance"], groups=[(0, 2), (1,)])
    assert parameters.names == ("detector[0,2].distance", "detector[1].distance")
    moved = parameters.start.moved([1e-4, 0.0]).experiment.detector.panels
    shifts = [one.origin[2] - before.origin[2] for one, before in zip(moved, experiment.detector.panels, strict=True)]
    assert shifts == pytest.approx([1e-4, 0.0, 1e-4])


@pytest.mark.parametrize(
    ("varied", "said"),
    [
        ({"rotation": Positive()}, "expected one above 0 for Positive"),
        ({"cell": 3.0}, r"parameter cell has 3.0; expected Free\(\)"),
        (["N", "crystal.cells"], "listed twice"),
        ({"distance": Bounded(0.001, 0.002)}, "begins at 0; expected that between 0.001 and 0.002"),
    ],
)
def test_what_makes_no_sense_is_refused(varied, said):
    with pytest.raises(InputError, match=said):
        Parameters(still(), varied)
    with pytest.raises(InputError, match="bounds 2 and 1"):
        Bounded(2, 1)
    with pytest.raises(InputError, match="prior of a parameter is 0"):
        Free(prior=0)
