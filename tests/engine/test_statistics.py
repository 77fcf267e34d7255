"""The printed statistics: any split of the image merges to those of the whole."""

import math

import numpy as np
import pytest
from experiments import ALL
from hypothesis import given, settings
from hypothesis import strategies as st

from tilesim.engine.inline import run_inline
from tilesim.engine.job import make_job
from tilesim.engine.lazy import simulate_now
from tilesim.engine.statistics import Statistics, summarize

EXPERIMENT = ALL["rich"]
IMAGE = simulate_now(EXPERIMENT, "mixed", "cpu", "eager")


def statistics_of(experiment, tile):
    statistics = Statistics()
    for report in run_inline(make_job(experiment, tile, "mixed", "cpu", "eager"), []):
        statistics = statistics.merge(*report.figures)
    return statistics


@given(st.tuples(st.integers(3, 23), st.integers(3, 31)))
@settings(max_examples=6)
def test_statistics_follow_the_definitions_for_any_tiling(tile):
    statistics = statistics_of(EXPERIMENT, tile)
    found = summarize(EXPERIMENT, statistics)
    region = EXPERIMENT.region
    inside = np.zeros(EXPERIMENT.shape, bool)
    inside[region.slow_start : region.slow_stop, region.fast_start : region.fast_stop] = True
    rendered = IMAGE[inside & EXPERIMENT.mask.active].astype(np.float64)
    assert found.rendered_pixels == rendered.size == EXPERIMENT.rendered_pixels
    assert found.mean == pytest.approx(rendered.mean(), rel=1e-12)
    squares = (IMAGE[inside & EXPERIMENT.mask.active] ** 2).sum(dtype=np.float64)
    assert found.rms == pytest.approx(math.sqrt(squares / (rendered.size - 1)), rel=1e-12)
    assert found.rmsd == pytest.approx(rendered.std(ddof=1), rel=1e-12)
    # In the reference masked pixels count as zeros in rmsd alone (K16).
    everything = np.concatenate([rendered, np.zeros(region.pixels - rendered.size)])
    rmsd = math.sqrt(((everything - rendered.mean()) ** 2).sum() / (region.pixels - 1))
    strict = EXPERIMENT.replace(sampling=EXPERIMENT.sampling.replace(strict_c=True))
    assert summarize(strict, statistics).rmsd == pytest.approx(rmsd, rel=1e-12) != found.rmsd
    assert found.max_I == IMAGE.max()
    assert found.brightest == tuple(np.unravel_index(IMAGE.argmax(), IMAGE.shape))


def test_the_first_of_equal_maxima_is_reported_in_raster_order():
    left = Statistics(1, 5.0, 0.0, 25.0, 5.0, (3, 9), 0.0)
    right = Statistics(1, 5.0, 0.0, 25.0, 5.0, (2, 12), 0.0)
    assert left.merge(right).brightest == right.merge(left).brightest == (2, 12)


def test_an_image_without_rendered_pixels_has_zeros():
    summary = summarize(EXPERIMENT, Statistics())
    assert (summary.max_I, summary.mean, summary.rms, summary.max_x) == (0.0, 0.0, 0.0, 0.0)
