"""Shells of resolution on a detector: pixels, lattice points, and how many are listed."""

import math

import numpy as np
import pytest

import tilesim
from tilesim.geometry.completeness import completeness_lines, shells

FLAGS = "-cell 50 60 70 90 100 90 -default_F 1 -lambda 1 -distance 100 -detpixels 100 -pixel 1 -N 2".split()


def experiment(*more):
    return tilesim.from_nanobragg([*FLAGS, *more])


def counted(made, d_max, d_min):
    """Lattice points between two d-spacings, one by one."""
    star = np.array(made.crystal.star)
    h = np.stack(np.meshgrid(*[np.arange(-60, 61)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    s = np.linalg.norm(h @ star, axis=1)
    return int(((s >= 1 / d_max) & (s < 1 / d_min) & (s > 0)).sum())


def test_shells_partition_what_the_detector_sees():
    made = experiment()
    found = shells(made, np.zeros((0, 0, 0), bool))
    assert found[0].d_max == math.inf
    assert [a.d_min for a in found[:-1]] == pytest.approx([b.d_max for b in found[1:]])
    assert sum(s.pixels for s in found) == pytest.approx(1.0)
    theta = math.atan(math.hypot(50, 50) / 100) / 2
    assert found[-1].d_min == pytest.approx(1e-10 / (2 * math.sin(theta)), rel=0.02)
    for s in found:
        assert s.reflections == counted(made, s.d_max, s.d_min) and s.listed == 0


def test_listed_points_count_where_they_are():
    made = experiment()
    grid = np.ones((21, 25, 29))
    known = np.ones(grid.shape, bool)
    known[10:] = False
    made = made.replace(factors=tilesim.StructureFactors(grid, (-10, -12, -14)))
    found = shells(made, known)
    star = np.array(made.crystal.star)
    s = np.linalg.norm((np.argwhere(known) - (10, 12, 14)) @ star, axis=1)
    assert sum(shell.listed for shell in found) == (s < 1 / found[-1].d_min).sum()
    assert found[0].listed == (s < 1 / found[0].d_min).sum() > 0


def test_large_cells_are_estimated():
    made = experiment()
    large = tilesim.from_nanobragg([*FLAGS, "-cell", "500", "600", "700", "90", "100", "90"])
    one, other = (sum(s.reflections for s in shells(x, np.zeros((0, 0, 0), bool))) for x in (made, large))
    assert other == pytest.approx(1000 * one, rel=0.02)


def test_a_detector_beside_the_beam_and_dmin_bound_the_shells():
    aside = shells(experiment("-Xbeam", "-20", "-Ybeam", "50"), np.zeros((0, 0, 0), bool))
    assert 3e-10 < aside[0].d_max < 6e-10
    cut = shells(experiment("-dmin", "3"), np.zeros((0, 0, 0), bool))
    assert cut[-1].d_min == pytest.approx(3e-10) and sum(s.pixels for s in cut) < 1


def test_lines_are_a_table_with_a_sum():
    found = shells(experiment(), np.zeros((0, 0, 0), bool))
    lines = completeness_lines(found, 1.0)
    assert len(lines) == 11 and "inf" in lines[2]
    total = sum(s.reflections for s in found)
    assert lines[-1] == f"0.0 % are listed; {total} of {total} hold -default_F, 1"
    assert completeness_lines((), 1.0) == ()
