"""A pixel depends on the experiment alone: any tiling, any slice, any order give the same bytes."""

from functools import cache

import numpy as np
import pytest
from experiments import ALL
from hypothesis import given, settings
from hypothesis import strategies as st

from tilesim.compute import simulate_frames, simulate_tile
from tilesim.engine.inline import run_inline
from tilesim.engine.job import lower_job, make_job
from tilesim.engine.lazy import simulate, simulate_now

SLOW, FAST = 23, 31


def image_of(experiment, tile, precision="mixed"):
    job = make_job(experiment, tile, precision, "cpu", "eager")
    lowered, image = lower_job(job), np.full(experiment.shape, np.nan, np.float32)
    for piece in job.plan:
        image[piece.slices] = simulate_tile(lowered, piece).photons
    return image


@cache
def whole_of(name, precision="mixed"):
    """The image as one tile."""
    return image_of(ALL[name], (SLOW, FAST), precision)


@pytest.mark.parametrize("tile", [(SLOW, 1), (1, FAST), (8, 64)])
@pytest.mark.parametrize("name", ALL)
def test_any_tiling_gives_the_bytes_of_the_whole_detector(name, tile):
    assert whole_of(name).max() > 0
    np.testing.assert_array_equal(image_of(ALL[name], tile), whole_of(name))


@given(st.tuples(st.integers(5, SLOW), st.integers(5, FAST)), st.sampled_from(["mixed", "double"]))
@settings(max_examples=6)
def test_drawn_tile_shapes_give_the_same_bytes(tile, precision):
    np.testing.assert_array_equal(image_of(ALL["rich"], tile, precision), whole_of("rich", precision))


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_do_not_change_a_byte(threads):
    job = make_job(ALL["rich"], (4, 9), "mixed", "cpu", "eager")
    image = np.full(ALL["rich"].shape, np.nan, np.float32)

    def keep(tile, values):
        image[tile.slices] = values

    reports = list(run_inline(job, [keep], threads))
    np.testing.assert_array_equal(image, whole_of("rich"))
    assert [r.tile for r in reports] == list(job.plan)


@given(st.data())
@settings(max_examples=8)
def test_slices_of_the_lazy_image_are_slices_of_the_image(data):
    rows = sorted(data.draw(st.tuples(st.integers(0, SLOW), st.integers(0, SLOW))))
    columns = sorted(data.draw(st.tuples(st.integers(0, FAST), st.integers(0, FAST))))
    part = (slice(*rows), slice(*columns))
    lazy = simulate(ALL["plain"], (6, 10), "mixed", "cpu", "eager")
    np.testing.assert_array_equal(lazy[part].compute(scheduler="threads"), whole_of("plain")[part])


def test_a_slice_computes_only_the_tiles_that_it_touches(monkeypatch):
    computed = []

    def counted(kernels, tile):
        computed.append((tile.slow_start, tile.fast_start))
        return simulate_frames(kernels, tile)

    monkeypatch.setattr("tilesim.engine.lowered.simulate_frames", counted)
    lazy = simulate(ALL["plain"], (6, 10), "mixed", "cpu", "eager")
    assert computed == []
    lazy[7:11, 12:25].compute(scheduler="synchronous")
    assert sorted(computed) == [(6, 10), (6, 20)]


def test_the_eager_form_is_the_lazy_one_computed():
    np.testing.assert_array_equal(
        simulate_now(ALL["interpolated"], device="cpu", backend="eager"), whole_of("interpolated")
    )


@pytest.mark.parametrize("name", [n for n in ALL if "strict" not in n])
def test_mixed_precision_is_within_the_golden_metric_of_double(name):
    double = whole_of(name, "double").astype(np.float64)
    error = np.abs(whole_of(name) - double) / np.maximum(np.abs(double), 1e-6 * np.abs(double).max())
    assert error.max() < 1e-5
