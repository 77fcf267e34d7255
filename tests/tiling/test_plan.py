"""Tiles and plans: every pixel once, in storage order, whatever the shapes."""

from dataclasses import astuple

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
    assert [plan[n] for n in range(len(plan))] == sorted(plan, key=astuple)


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
def test_default_tiles_are_many_and_nearly_equal(slow, fast):
    tile = default_tile((slow, fast))
    _, *grid = TilePlan((1, slow, fast), tile).grid
    for pixels, edge, tiles in zip((slow, fast), tile, grid, strict=True):
        assert 64 <= edge <= 512 or edge == pixels < 64
        assert tiles >= 4 or pixels < 256
        # Not even a pixel for each tile is stored beyond the image.
        assert 0 <= edge * tiles - pixels < tiles


@pytest.mark.parametrize(
    "shape, tile",
    [
        ((4096, 2048), (512, 512)),
        ((1024, 1024), (256, 256)),
        ((1679, 1475), (420, 369)),
        ((2162, 2068), (433, 414)),
        ((2527, 2463), (506, 493)),
        ((520, 100), (130, 100)),
        ((130, 127), (65, 127)),
        ((1, 9), (1, 9)),
    ],
)
def test_default_tiles_follow_the_image(shape, tile):
    assert default_tile(shape) == tile


@pytest.mark.parametrize(("shape", "tile"), [((512, 1028), (512, 343)), ((195, 487), (195, 487))])
def test_panels_are_tiled_evenly_too(shape, tile):
    assert default_tile(shape, panels=8) == tile
