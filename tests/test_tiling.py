"""Tiles and plans: every pixel once, in storage order, whatever the shapes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilesim.errors import PlanError
from tilesim.tiling.budget import Budget, check_budget
from tilesim.tiling.plan import TilePlan, default_tile


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 50), st.integers(1, 50)),
)
def test_tiles_cover_every_pixel_once(shape, tile):
    plan = TilePlan(shape, tile)
    count = np.zeros(shape, int)
    for piece in plan:
        count[(piece.frame, *piece.slices)] += 1
    assert (count == 1).all()
    assert [plan[n] for n in range(len(plan))] == sorted(plan)


def test_a_tile_without_pixels_is_refused():
    with pytest.raises(PlanError, match="0 x 4"):
        TilePlan((1, 8, 8), (0, 4))


def test_a_plan_of_ten_million_tiles_is_a_range_and_not_a_list():
    plan = TilePlan((1000, 10_000, 10_000), (100, 100))
    assert len(plan) == 10_000_000
    assert plan[9_999_999].slow_stop == 10_000


def test_a_job_that_cannot_fit_is_refused_with_its_terms():
    with pytest.raises(PlanError, match="smaller --tile"):
        check_budget(Budget(tile=2**60, block=1, orientations=1, table=1, threads=2))
    check_budget(Budget(tile=1, block=1, orientations=1, table=1, threads=2))


@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_default_tiles_are_many_and_of_round_edges(slow, fast):
    tile = default_tile((slow, fast))
    assert all(edge % 64 == 0 and 64 <= edge <= 512 for edge in tile)
    _, *grid = TilePlan((1, slow, fast), tile).grid
    for pixels, edge, tiles in zip((slow, fast), tile, grid, strict=True):
        assert tiles >= 4 or edge == 64
        assert edge == 512 or pixels < 2048


@pytest.mark.parametrize(
    "shape, tile",
    [
        ((4096, 2048), (512, 512)),
        ((1024, 1024), (256, 256)),
        ((1679, 1475), (448, 384)),
        ((520, 100), (128, 64)),
        ((1, 9), (64, 64)),
    ],
)
def test_default_tiles_follow_the_image(shape, tile):
    assert default_tile(shape) == tile
