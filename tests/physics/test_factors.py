"""Structure factors: look-up, range test and tricubic interpolation."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tilesim.physics.factors import interpolable, make_table, nearest_squared, tricubic

RNG = np.random.default_rng(3)
GRID = RNG.uniform(1, 9, (7, 6, 5))
MINIMUM = (-3, -2, 4)
TABLE = make_table(torch.tensor(GRID), MINIMUM, 2.5, torch.float64, torch.device("cpu"))


def point(*hkl):
    return tuple(torch.tensor([float(x)], dtype=torch.float64) for x in hkl)


@given(st.integers(-9, 9), st.integers(-9, 9), st.integers(-2, 14))
def test_entries_come_from_the_grid_and_the_default_from_outside(h, k, l):
    where = np.array([h, k, l]) - MINIMUM
    inside = (where >= 0).all() and (where < GRID.shape).all()
    expected = GRID[tuple(where)] if inside else 2.5
    assert nearest_squared(point(h, k, l), TABLE).item() == pytest.approx(expected**2, rel=1e-14)


def test_without_a_table_everything_is_the_default():
    table = make_table(torch.zeros(0, 0, 0), (0, 0, 0), 7.0, torch.float32, torch.device("cpu"))
    assert nearest_squared(point(-30, 0, 12), table).item() == 49.0


def test_interpolation_is_exact_on_cubic_polynomials():
    def polynomial(h, k, l):
        return 1 + h - 2 * k * k + l**3 + h * k * l

    axes = [np.arange(n) + m for n, m in zip((8, 8, 8), MINIMUM, strict=True)]
    table = make_table(
        torch.tensor(polynomial(*np.meshgrid(*axes, indexing="ij")).astype(float)),
        MINIMUM,
        0.0,
        torch.float64,
        torch.device("cpu"),
    )
    hkl = (0.37, 1.91, 6.5)
    assert interpolable(point(*hkl), table).item()
    assert tricubic(point(*hkl), table).item() == pytest.approx(polynomial(*hkl), rel=1e-12)


@pytest.mark.parametrize("h, inside", [(-1.0, True), (-1.001, False), (1.0, True), (1.001, False)])
def test_the_range_test_keeps_two_entries_on_either_side(h, inside):
    assert interpolable(point(h, 0.5, 6.0), TABLE).item() is inside
