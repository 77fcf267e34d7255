"""Noise on an image: the same bytes however it is cut, the right figures, and honest gaps."""

import dataclasses
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tilesim.errors import InputError
from tilesim.model import Region
from tilesim.model.noise import Noise, PointSpread
from tilesim.tiling.plan import TilePlan
from tilesim.tiling.tile import Tile
from tilesim.tools.noise import PIXEL_TYPES, Measurement, NoiseFigures, measured, noise_figures

SHAPE = (150, 171)
QUIET = Noise(photon_noise=False, offset=0.0)
"""Nothing happens to the photons."""
EVERYTHING = Noise(
    scale=2.0,
    flicker=0.1,
    calibration=0.03,
    module_calibration=0.05,
    module=(40, 60),
    point_spread=PointSpread("fiber", 0.5),
    gain=1.7,
    readout=3.0,
)


def expected_photons():
    rng = np.random.default_rng(5)
    photons = (rng.random(SHAPE) * 30).astype(np.float32)
    photons[70, 128] = 3e4
    return photons


def measurement(noise, kind="float32", shape=SHAPE, region=None, **masks):
    return Measurement(noise, PIXEL_TYPES[kind], shape, region or Region(0, shape[0], 0, shape[1]), **masks)


def reader(pixels):
    return lambda rows, columns: pixels[rows, columns]


def noisy(photons, noise, kind="float32", tile=None, frame=0, panel=0, threads=2, **more):
    """The whole image, by tiles, and its figures."""
    how, read = measurement(noise, kind, photons.shape, **more), reader(photons)
    out, figures = np.empty(photons.shape, kind), NoiseFigures()
    tiles = [
        dataclasses.replace(t, frame=frame, panel=panel) for t in TilePlan((1, *photons.shape), tile or photons.shape)
    ]
    with ThreadPoolExecutor(threads) as pool:
        for one, values in zip(tiles, pool.map(lambda t: measured(how, read, t), tiles), strict=True):
            out[one.slices] = values
            figures = figures.merge(noise_figures(how, read, one, values))
    return out, figures


@pytest.mark.parametrize("spread", [None, PointSpread("gauss", 1.5), PointSpread("fiber", 0.5)])
@pytest.mark.parametrize("kind", PIXEL_TYPES)
def test_no_tiling_and_no_number_of_threads_changes_a_byte(spread, kind):
    photons, noise = expected_photons(), EVERYTHING.replace(point_spread=spread)
    whole, figures = noisy(photons, noise, kind, threads=1)
    for tile, threads in (((128, 128), 2), ((64, 100), 3), ((150, 37), 1), ((31, 171), 2)):
        cut, same = noisy(photons, noise, kind, tile, threads=threads)
        assert cut.tobytes() == whole.tobytes()
        assert same.overloads == figures.overloads and same.pixels == figures.pixels
        assert same.total == pytest.approx(figures.total, rel=1e-12)


def test_a_block_is_the_same_as_the_part_of_the_image():
    photons = expected_photons()
    how = measurement(EVERYTHING)
    whole = noisy(photons, EVERYTHING, frame=3)[0]
    for rows, columns in ((slice(5, 6), slice(0, 171)), (slice(100, 150), slice(120, 140)), (slice(0, 1), slice(0, 1))):
        part = Tile(3, 0, rows.start, rows.stop, columns.start, columns.stop)
        assert np.array_equal(measured(how, reader(photons), part), whole[rows, columns])


def test_without_any_effect_the_photons_come_back():
    photons = expected_photons()
    out, figures = noisy(photons, QUIET)
    assert np.array_equal(out, photons)
    assert figures.largest == photons.max() and figures.pixels == photons.size


@pytest.mark.parametrize("mean", [0.4, 6.0, 40.0, 5e3])
def test_counts_have_the_mean_and_the_variance_of_poisson(mean):
    photons = np.full((200, 200), mean, np.float32)
    counts, _ = noisy(photons, Noise(offset=0.0), "int32")
    mean = float(np.float32(mean))
    n = counts.size
    assert abs(counts.mean() - mean) < 4 * math.sqrt(mean / n)
    assert abs(counts.var() / mean - 1) < 4 * math.sqrt((2 + 1 / mean) / n)


def test_variances_of_all_effects_add_up():
    """Var = gain^2 (m + (c m)^2) + readout^2, with the calibration error c in the mean of the counts."""
    m, c, gain, readout = 400.0, 0.05, 2.0, 7.0
    photons = np.full((250, 250), m, np.float32)
    units, _ = noisy(photons, Noise(calibration=c, gain=gain, readout=readout, offset=100.0))
    variance = gain**2 * (m + (c * m) ** 2) + readout**2
    n = units.size
    assert abs(units.mean(dtype=float) - (gain * m + 100.0)) < 4 * math.sqrt(variance / n)
    assert units.var(dtype=float) == pytest.approx(variance, rel=4 * math.sqrt(2 / n))


def test_the_detector_stays_and_the_photons_do_not():
    photons = np.full(SHAPE, 1000.0, np.float32)
    static = QUIET.replace(calibration=0.1, module_calibration=0.1, module=(50, 50))
    first, second = (noisy(photons, static, frame=k)[0] for k in (0, 1))
    assert np.array_equal(first, second)
    assert first.std() > 50
    other = noisy(photons, static.replace(calibration_seed=2, module_calibration=0.0))[0]
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.03
    assert not np.array_equal(noisy(photons, static, panel=1)[0], first)
    again = noisy(photons, static.replace(seed=77), frame=5)[0]
    assert np.array_equal(again, first)
    counts = [noisy(photons, Noise(seed=s), frame=k)[0].ravel() for s, k in ((1, 0), (1, 1), (2, 0))]
    assert abs(np.corrcoef(counts) - np.eye(3)).max() < 0.03


def test_flicker_is_one_factor_per_frame():
    photons = np.full(SHAPE, 100.0, np.float32)
    frames = [noisy(photons, QUIET.replace(flicker=0.2), frame=k)[0] for k in range(6)]
    assert len({float(frame[0, 0]) for frame in frames}) == 6
    assert all(np.ptp(frame) == 0.0 for frame in frames)


def test_scale_is_more_light_and_not_a_larger_number():
    photons = np.full((200, 200), 100.0, np.float32)
    counts, _ = noisy(photons, Noise(scale=9.0, offset=0.0))
    assert counts.mean() == pytest.approx(900, rel=0.01)
    assert counts.var() == pytest.approx(900, rel=0.05)


def test_photons_are_counted_before_they_spread():
    """The noise of neighbours is alike where the detector blurs recorded signal."""
    photons = np.full((220, 220), 1000.0, np.float32)
    out, _ = noisy(photons, Noise(offset=0.0, point_spread=PointSpread("gauss", 2.0)))
    inner = out[30:-30, 30:-30].astype(float) - 1000.0
    assert inner.var() < 200
    assert np.corrcoef(inner[:, 1:].ravel(), inner[:, :-1].ravel())[0, 1] > 0.6


def test_a_spread_spot_keeps_its_photons():
    photons = np.zeros((301, 301), np.float32)
    photons[150, 150] = 1e6
    out, figures = noisy(photons, QUIET.replace(point_spread=PointSpread("fiber", 1.0)), tile=(64, 64))
    assert figures.total == pytest.approx(1e6, rel=1e-6)
    assert out[150, 150] == out.max() < 3e5
    assert np.allclose(out, out.T, atol=2e-5) and np.allclose(out, out[::-1], atol=2e-5)


def test_whole_numbers_lose_fractions_and_stop_at_their_ends():
    photons = np.array([[0.0, 0.9, 1.5, 70000.0, 65534.5, 65535.0]], np.float32)
    out, figures = noisy(photons, QUIET, "uint16")
    assert out.tolist() == [[0, 0, 1, 65534, 65534, 65534]]
    assert figures.overloads == 3
    out, figures = noisy(photons, QUIET.replace(overload=1000.5), "int32")
    assert out.tolist() == [[0, 0, 1, 1000, 1000, 1000]]
    assert figures.overloads == 3
    out, figures = noisy(photons, QUIET.replace(overload=100.0))
    assert out.max() == 100.0 and figures.overloads == 3
    assert noisy(photons, QUIET.replace(offset=-50.0), "int32")[0].min() == 0
    assert noisy(photons, QUIET.replace(offset=-50.0))[0].min() == -50.0


def test_pixels_without_photons_have_no_value_but_their_neighbours_do():
    photons = expected_photons()
    photons[20:40, 30:60] = np.nan
    for kind, mark in (("float32", math.nan), ("int32", -1), ("uint16", 65535)):
        out, figures = noisy(photons, EVERYTHING.replace(readout=0.0), kind, (64, 64))
        assert np.array_equal(out[20:40, 30:60], np.full((20, 30), mark, out.dtype), equal_nan=kind == "float32")
        assert figures.blank == 600 and figures.pixels == photons.size - 600
        assert (out[0:20] >= 40).all()


def test_pixels_outside_the_region_have_no_value():
    photons, region = np.full(SHAPE, 50.0, np.float32), Region(10, 100, 20, 90)
    out, figures = noisy(photons, Noise(), "int32", (64, 64), region=region)
    inside = np.zeros(SHAPE, bool)
    inside[10:100, 20:90] = True
    assert (out[~inside] == -1).all() and (out[inside] > 40).all()
    assert figures.pixels == region.pixels


def test_dead_pixels_are_dark_and_hot_ones_overloaded():
    photons = np.full(SHAPE, 500.0, np.float32)
    dead, hot = np.zeros((2, *SHAPE), np.uint8)
    dead[3:5], hot[:, 7] = 1, 200
    out, figures = noisy(photons, Noise(), "uint16", (64, 64), dead=reader(dead), hot=reader(hot))
    assert (np.delete(out[3:5], 7, axis=1) == 40).all()
    assert (out[:, 7] == 65534).all()
    assert figures.overloads == 0
    with pytest.raises(InputError, match="hot pixels among float32 pixels need an overload"):
        measurement(Noise(), hot=reader(hot))


def test_negative_and_infinite_photons():
    photons = np.full(SHAPE, 5.0, np.float32)
    photons[4, 4], photons[90, 90] = -3.0, np.inf
    for spread in (None, PointSpread("gauss", 1.0)):
        out, figures = noisy(photons, Noise(point_spread=spread), "uint16")
        assert figures.negative == 1 and figures.overloads == 1
        assert out[90, 90] == 65534
        assert out[89, 90] < 100


def test_figures_of_an_image_without_values():
    blank = np.full((5, 5), np.nan, np.float32)
    out, figures = noisy(blank, Noise(), "int32")
    assert (out == -1).all()
    assert figures == NoiseFigures(blank=25)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"scale": -1.0}, "scale of the image is -1"),
        ({"scale": math.inf}, "scale of the image is inf"),
        ({"flicker": -0.1}, "flicker is -0.1"),
        ({"calibration": math.nan}, "calibration error is nan"),
        ({"gain": 0.0}, "gain is 0"),
        ({"readout": -1.0}, "read-out noise is -1"),
        ({"overload": 0.0}, "overload is 0"),
        ({"seed": 2**64}, "seed is 18446744073709551616"),
        ({"module": (0, 5)}, "module is 0"),
        ({"offset": math.inf}, "offset is inf"),
    ],
)
def test_absurd_noise_is_refused(fields, said):
    with pytest.raises(InputError, match=said):
        Noise(**fields)


@pytest.mark.parametrize("spread", [("gauss", 0.0), ("fiber", math.inf), ("moffat", 1.0), ("gauss", 1.0, 0)])
def test_absurd_point_spreads_are_refused(spread):
    with pytest.raises(InputError):
        PointSpread(*spread)
    with pytest.raises(InputError, match="expected at most 2048"):
        PointSpread("gauss", 1.0, 4000)


def test_the_radius_follows_from_the_shape():
    assert PointSpread("gauss", 2.0).radius == 6
    assert PointSpread("fiber", 1.0 + 1e-15).radius == 66
    assert PointSpread("fiber", 100.0).radius == 2048


def test_an_overload_must_fit_the_numbers():
    with pytest.raises(InputError, match="expected at most 65534"):
        measurement(Noise(overload=1e6), "uint16")
