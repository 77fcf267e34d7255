"""Lattice factors against the formulas as they are written down, and at their limits."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tilesim.physics.factors import make_table
from tilesim.physics.lattice import Lattice, grating, lattice_squared, nearest_node


def lattice(shape, cells, dtype=torch.float64, fudge=1.0, matrix=None):
    reciprocal = ((0.03, 0.001, 0.0), (0.0, 0.025, 0.002), (0.0, 0.0, 0.02))
    table = make_table(torch.ones(1, 1, 1), (0, 0, 0), 1.0, dtype, torch.device("cpu"))
    n = np.diag(cells).astype(float) if matrix is None else matrix
    height = float(np.linalg.det(n)) if matrix is not None else float(math.prod(cells))
    return Lattice(shape, tuple(map(float, cells)), n.tolist(), height, fudge, reciprocal, table, dtype)


def squared(shape, cells, hkl, **options):
    points = tuple(torch.tensor([float(x)], dtype=torch.float64) for x in hkl)
    return lattice_squared(points, nearest_node(points), lattice(shape, cells, **options)).item()


def test_exact_halves_go_down():
    values = torch.tensor([0.5, -0.5, 1.5, 2.4, -2.6], dtype=torch.float64)
    assert nearest_node((values, values, values))[2].tolist() == [0.0, -1.0, 1.0, 2.0, -3.0]


@pytest.mark.parametrize(
    "shape, height",
    [
        ("square", 1.0),
        ("round", 0.723601254558268),
        ("gauss", 1.0),
        ("tophat", 1.0),
        ("gauss-hkl", 1.0),
        ("tophat-hkl", 1.0),
    ],
)
def test_a_node_has_the_height_of_all_cells(shape, height):
    assert squared(shape, (3, 4, 5), (2, -1, 7)) == pytest.approx((60 * height) ** 2, rel=1e-12)


@given(st.floats(-40, 40).filter(lambda h: abs(h - round(h)) > 1e-3), st.integers(1, 60))
def test_the_grating_is_the_ratio_of_sines(h, n):
    exact = (math.sin(math.pi * n * h) / math.sin(math.pi * h)) ** 2
    x = torch.tensor([h - math.ceil(h - 0.5)], dtype=torch.float64)
    assert grating(x, float(n), torch.float64).item() ** 2 == pytest.approx(exact, rel=1e-7, abs=1e-9)
    single = grating(x, float(n), torch.float32).item() ** 2
    assert single == pytest.approx(exact, rel=3e-6, abs=1e-6)


@given(st.floats(-0.5, 0.5).filter(lambda x: abs(x) > 1e-3), st.floats(0.3, 60))
def test_the_grating_of_a_real_number_of_cells_counts_from_the_node(x, n):
    exact = (math.sin(math.pi * n * x) / math.sin(math.pi * x)) ** 2
    for node in (0, 1, -7):
        assert squared("square", (n, 1, 1), (node + x, 0, 0)) == pytest.approx(exact, rel=1e-7, abs=1e-9)


def test_a_real_number_of_cells_next_to_a_node_is_right_in_single_precision():
    exact = (math.sin(math.pi * 20.5 * 0.001) / math.sin(math.pi * 0.001)) ** 2
    assert squared("square", (20.5, 1, 1), (20.001, 0, 0), dtype=torch.float32) == pytest.approx(exact, rel=1e-5)


MATRIX = np.array([[9.5, 1.1, 0.5], [1.1, 7.2, -0.7], [0.5, -0.7, 6.4]])


def test_the_gaussian_in_hkl_measures_the_distance_in_cells_and_ends():
    delta = np.array([0.05, -0.08, 0.1])
    v = MATRIX @ delta
    wanted = (np.linalg.det(MATRIX) * math.exp(-0.5 * v @ v / 0.63)) ** 2
    options = {"fudge": 0.5, "matrix": MATRIX}
    assert squared("gauss-hkl", (9.5, 7.2, 6.4), delta - 3, **options) == pytest.approx(wanted, rel=1e-12)
    for exponent, zero in ((34.99, False), (35.01, True)):
        fudge = exponent * 0.63 / (v @ v)
        found = squared("gauss-hkl", (9.5, 7.2, 6.4), delta, fudge=fudge, matrix=MATRIX)
        assert (found == 0.0) == zero


def test_the_tophat_in_hkl_is_an_ellipsoid():
    delta = np.array([0.05, -0.08, 0.1])
    v = MATRIX @ delta
    inside, outside = 0.396 / (v @ v), 0.398 / (v @ v)
    height = np.linalg.det(MATRIX) ** 2
    found = squared("tophat-hkl", (9.5, 7.2, 6.4), delta, fudge=inside, matrix=MATRIX)
    assert found == pytest.approx(height, rel=1e-12)
    assert squared("tophat-hkl", (9.5, 7.2, 6.4), delta, fudge=outside, matrix=MATRIX) == 0.0


def test_both_gaussians_are_one_where_an_edge_is_the_square_of_its_cells():
    cells, delta = (5, 5, 5), (0.06, 0.1, -0.02)
    star = lattice("gauss", cells)
    cubic = dataclasses.replace(star, reciprocal=tuple(tuple(row) for row in np.eye(3) / 25.0))
    points = tuple(torch.tensor([x], dtype=torch.float64) for x in delta)
    found = lattice_squared(points, nearest_node(points), cubic).item()
    assert found == pytest.approx(squared("gauss-hkl", cells, delta), rel=1e-12)


def test_one_cell_has_no_interference():
    assert squared("square", (1, 1, 1), (0.3, 1.7, -0.45)) == pytest.approx(1.0, rel=1e-12)


@given(st.floats(1e-9, 0.5), st.integers(2, 40))
def test_the_round_shape_is_the_transform_of_a_sphere(delta, n):
    x = math.pi * delta * n
    exact = (3 * (math.sin(x) / x - math.cos(x)) / x**2) if x > 0.05 else 1 - x**2 / 10 + x**4 / 280
    expected = (n**3 * 0.723601254558268 * exact) ** 2
    assert squared("round", (n, n, n), (delta, 0, 0)) == pytest.approx(expected, rel=1e-7, abs=1e-6)
    top = (n**3) ** 2
    single = squared("round", (n, n, n), (delta, 0, 0), dtype=torch.float32)
    assert abs(single - expected) <= 1e-5 * max(expected, 1e-6 * top)


def test_gauss_and_tophat_measure_the_distance_in_reciprocal_angstrom():
    star = np.array([[0.03, 0.001, 0.0], [0.0, 0.025, 0.002], [0.0, 0.0, 0.02]])
    delta = np.array([0.1, -0.05, 0.2])
    distance = float(((delta @ star) ** 2).sum()) * 24**2
    gauss = (24 * math.exp(-distance / 0.63 * 0.5)) ** 2
    assert squared("gauss", (2, 3, 4), delta + 1, fudge=0.5) == pytest.approx(gauss, rel=1e-12)
    inside, outside = 0.39 / distance, 0.40 / distance
    assert squared("tophat", (2, 3, 4), delta, fudge=inside) == 24**2
    assert squared("tophat", (2, 3, 4), delta, fudge=outside) == 0.0
