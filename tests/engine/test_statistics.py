"""The printed statistics: any split of the image merges to those of the whole."""

import math

import numpy as np
import pytest
from experiments import ALL
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tilesim.engine.inline import run_inline
from tilesim.engine.job import make_job
from tilesim.engine.lazy import simulate_now
from tilesim.engine.statistics import Statistics, summarize
from tilesim.kernels import fused, library
from tilesim.kernels.sums import sum_pixels

compiler = pytest.mark.skipif(not library.compiler(), reason="no C++ compiler")
EXPERIMENT = ALL["rich"]
PIXELS = st.floats(width=32, allow_subnormal=False) | st.sampled_from([0.0, 3.5])


@pytest.fixture(scope="module")
def image():
    return simulate_now(EXPERIMENT, "mixed", "cpu", "eager")


def statistics_of(experiment, tile):
    statistics = Statistics()
    for report in run_inline(make_job(experiment, tile, "mixed", "cpu", "eager"), []):
        statistics = statistics.merge(*report.figures)
    return statistics


@given(tile=st.tuples(st.integers(5, 23), st.integers(5, 31)))
@settings(max_examples=5)
def test_statistics_follow_the_definitions_for_any_tiling(image, tile):
    statistics = statistics_of(EXPERIMENT, tile)
    found = summarize(EXPERIMENT, statistics)
    region = EXPERIMENT.region
    inside = np.zeros(EXPERIMENT.shape, bool)
    inside[region.slow_start : region.slow_stop, region.fast_start : region.fast_stop] = True
    rendered = image[inside & EXPERIMENT.mask.active].astype(np.float64)
    assert found.rendered_pixels == rendered.size == EXPERIMENT.rendered_pixels
    assert found.mean == pytest.approx(rendered.mean(), rel=1e-12)
    squares = (image[inside & EXPERIMENT.mask.active] ** 2).sum(dtype=np.float64)
    assert found.rms == pytest.approx(math.sqrt(squares / (rendered.size - 1)), rel=1e-12)
    assert found.rmsd == pytest.approx(rendered.std(ddof=1), rel=1e-12)
    # In the reference masked pixels count as zeros in rmsd alone (K16).
    everything = np.concatenate([rendered, np.zeros(region.pixels - rendered.size)])
    rmsd = math.sqrt(((everything - rendered.mean()) ** 2).sum() / (region.pixels - 1))
    strict = EXPERIMENT.replace(sampling=EXPERIMENT.sampling.replace(strict_c=True))
    assert summarize(strict, statistics).rmsd == pytest.approx(rmsd, rel=1e-12) != found.rmsd
    assert found.max_I == image.max()
    assert found.brightest == tuple(np.unravel_index(image.argmax(), image.shape))


@compiler
@given(arrays(np.float32, st.integers(1, 200), elements=PIXELS))
def test_the_compiled_sums_are_those_of_numpy(values):
    found, wanted = fused.sum_pixels(values), sum_pixels(values)
    assert (found.maximum, found.brightest) == (wanted.maximum, wanted.brightest)
    assert (found.not_finite, found.negative) == (wanted.not_finite, wanted.negative)
    with np.errstate(all="ignore"):
        scale = np.abs(values.astype(np.float64))
        for name, size in (("mean", scale.max()), ("squares", scale.max() ** 2), ("deviation", scale.max() ** 2)):
            if np.isfinite(getattr(wanted, name)):
                assert getattr(found, name) == pytest.approx(getattr(wanted, name), abs=1e-12 * size * len(values))


@compiler
def test_the_compiled_sums_of_many_pixels():
    values = np.random.default_rng(4).gamma(0.3, 50.0, 1_000_003).astype(np.float32)
    found, wanted = fused.sum_pixels(values[1:]), sum_pixels(values[1:])
    assert found.mean == pytest.approx(wanted.mean, rel=1e-13) != 0
    assert found.deviation == pytest.approx(wanted.deviation, rel=1e-12) != 0
    assert found.squares == pytest.approx(wanted.squares, rel=1e-12) != 0
    assert (found.maximum, found.brightest) == (wanted.maximum, wanted.brightest)


def test_the_first_of_equal_maxima_is_reported_in_raster_order():
    left = Statistics(1, 5.0, 0.0, 25.0, 5.0, (3, 9), 0.0)
    right = Statistics(1, 5.0, 0.0, 25.0, 5.0, (2, 12), 0.0)
    assert left.merge(right).brightest == right.merge(left).brightest == (2, 12)


def test_an_image_without_rendered_pixels_has_zeros():
    summary = summarize(EXPERIMENT, Statistics())
    assert (summary.max_I, summary.mean, summary.rms, summary.max_x) == (0.0, 0.0, 0.0, 0.0)
