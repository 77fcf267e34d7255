"""Frames that are rendered together by the fused kernel: the bytes of each are those that it has alone."""

from threading import Thread

import numpy as np
import pytest
from experiments import ALL

from tilesim import Distribution, Series, draw
from tilesim.engine.job import make_job
from tilesim.kernels import fused, library

pytestmark = pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")
FLUENCE = {"fluence": Distribution("gamma", sd=0.4, relative=True)}
ENERGY = {"energy": Distribution("normal", sd=30.0)}


@pytest.mark.parametrize(
    ("name", "draws", "together"),
    [
        ("plain", FLUENCE | ENERGY, True),
        ("interpolated", FLUENCE, True),
        ("rich", FLUENCE, True),
        ("rich", ENERGY, False),  # the sensor absorbs otherwise, and dmin rejects other pixels
        ("plain", {"distance": Distribution("normal", sd=1e-4), "blank": 0.4}, False),
        ("veiled", FLUENCE, True),
        ("veiled", ENERGY, False),
    ],
)
@pytest.mark.parametrize("precision", ["mixed", "double"])
def test_the_bytes_of_a_frame_are_those_that_it_has_alone(name, draws, together, precision):
    series = draw(ALL[name], 5, orientation="uniform", **draws)
    several, alone = (make_job(series, (16, 64), precision, "cpu", "fused", frames=n) for n in (3, 1))
    runner, single = several.ready(), alone.ready()
    bright = 0.0
    for tile in several.plan:
        done = runner(tile)
        for (part, pixels), figures in zip(several.plan.parts(tile, done.values), done.figures, strict=True):
            expected = single(part)
            assert pixels.tobytes() == expected.values.tobytes() and (figures,) == expected.figures
            bright = max(bright, pixels.max())
    assert bright > 0
    first, second = (runner.kernel(several.plan[0].of_frame(k)).shared for k in (0, 1))
    assert (first is not None and first == second) == together


def test_water_of_any_frame_counts_for_all():
    dark = ALL["plain"].replace(water_size=2e-5)
    series = Series(dark, fluence=[0.0, 1e24])
    done = make_job(series, None, "mixed", "cpu", "fused", frames=2)
    runner, single = done.ready(), make_job(series, None, "mixed", "cpu", "fused", frames=1).ready()
    for tile in done.plan:
        values = runner(tile).values
        assert not values[0].any() and values[1].any()
        assert values[1].tobytes() == single(tile.of_frame(1)).values.tobytes()


def test_a_frame_that_interpolates_may_follow_one_that_does_not():
    one = ALL["interpolated"]
    nearest = one.replace(sampling=one.sampling.replace(interpolate=False))
    kernels, numbers = [fused.lower(nearest), fused.lower(one)], np.arange(one.shape[0] * one.shape[1])
    assert kernels[0].shared == kernels[1].shared
    together = np.zeros((2, len(numbers)))
    # A thread that has computed nothing keeps nothing.
    worker = Thread(target=fused.photons_together, args=(kernels, numbers, together))
    worker.start()
    worker.join()
    for kernel, values in zip(kernels, together, strict=True):
        assert values.max() > 0 and values.tobytes() == kernel.photons(numbers)[0].tobytes()
    assert np.abs(together[1] - together[0]).max() > 1e-3 * together.max()
