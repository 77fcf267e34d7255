"""Photon counts: the right distribution, and the same count for a pixel however the image is cut."""

import math

import pytest
import torch

from tilesim.physics.poisson import NORMAL_FROM, REJECTION_FROM, noise_pixels, poisson_counts


def draw(mean, n=100_000, **source):
    return poisson_counts(torch.full((n,), mean, dtype=torch.float64), torch.arange(n), **{"seed": 11, **source})


@pytest.mark.parametrize("mean", [1e-3, 0.3, 4.0, 9.99, 10.0, 11.5, 60.0, 1e4, 1e8, 1e12, 9e14, 2e15, 1e18])
def test_mean_and_variance(mean):
    counts = draw(mean)
    n = len(counts)
    assert torch.equal(counts, counts.floor())
    assert counts.min() >= 0
    residue = counts - mean  # exact, so that large means keep their variance
    assert abs(float(residue.mean())) < 4.0 * math.sqrt(mean / n)
    error = math.sqrt((2.0 + 1.0 / mean) / n)
    assert abs(float(residue.square().mean()) / mean - 1.0) < 4.0 * error


@pytest.mark.parametrize("mean", [0.05, 1.0, 5.0, 9.9, 10.0, 13.0, 25.0, 400.0, 1e5])
def test_chi_square(mean):
    counts = draw(mean, seed=-20)
    n = len(counts)
    width = max(1, int(math.sqrt(mean) / 4))
    start = max(0, int(mean - 8 * math.sqrt(mean)) // width * width)
    stop = int(mean + 10 * math.sqrt(mean) + 10) // width * width
    log_p = [k * math.log(mean) - mean - math.lgamma(k + 1.0) for k in range(start, stop)]
    expected = n * torch.tensor(log_p, dtype=torch.float64).exp().reshape(-1, width).sum(1)
    observed = torch.bincount(((counts - start) / width).floor().long(), minlength=len(expected)).double()
    assert len(observed) == len(expected)

    common = expected > 10.0
    chi_square = float(((observed - expected)[common] ** 2 / expected[common]).sum())
    rest, rest_expected = float(observed[~common].sum()), n - float(expected[common].sum())
    if rest_expected > 1.0:
        chi_square += (rest - rest_expected) ** 2 / rest_expected
    freedom = int(common.sum())
    assert abs(chi_square - freedom) < 4.0 * math.sqrt(2.0 * freedom)


def test_neighbours_frames_panels_and_seeds_are_independent():
    n = 50_000
    first = draw(20.0, n)
    others = [draw(20.0, n, frame=1), draw(20.0, n, panel=1), draw(20.0, n, seed=12), first.roll(1)]
    correlations = torch.corrcoef(torch.stack([first, *others]))[0, 1:]
    assert correlations.abs().max() < 0.02


@pytest.fixture(scope="module")
def every_kind():
    """Means that mix all methods, in no order, and pixel numbers on both sides of 2^32."""
    n = 40_000
    spread = torch.rand(n, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    mean = 10.0 ** (24.0 * spread - 6.0)
    mean[::7] = 0.0
    mean[::5] = 30.0 * spread[::5]
    return mean, torch.arange(n) + (1 << 32) - n // 2


@pytest.mark.parametrize("width", [1, 3, 64, 1000, 1023, 4097, 16385, 39_999])
def test_a_count_does_not_depend_on_the_cut(every_kind, width):
    mean, pixel = every_kind
    whole = poisson_counts(mean, pixel, seed=4, frame=3, panel=2)
    stop = min(len(mean), 60 * width)
    for start in range(0, stop, width):
        part = slice(start, start + width)
        assert torch.equal(poisson_counts(mean[part], pixel[part], seed=4, frame=3, panel=2), whole[part])


def test_a_count_does_not_depend_on_the_place_or_the_threads(every_kind):
    mean, pixel = every_kind
    whole = poisson_counts(mean, pixel, seed=4)
    order = torch.randperm(len(mean), generator=torch.Generator().manual_seed(2))
    assert torch.equal(poisson_counts(mean[order], pixel[order], seed=4), whole[order])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if threads > 1 else 2)
        assert torch.equal(poisson_counts(mean, pixel, seed=4), whole)
    finally:
        torch.set_num_threads(threads)


def test_pixels_a_power_of_two_apart_differ():
    n = 1000
    mean = torch.full((n,), 100.0, dtype=torch.float64)
    near = poisson_counts(mean, torch.arange(n), seed=1)
    for shift in (16, 32, 40):
        assert (poisson_counts(mean, torch.arange(n) + (1 << shift), seed=1) != near).sum() > n / 2


def test_means_without_a_distribution():
    mean = torch.tensor([float("nan"), -1.0, -0.0, 0.0, -math.inf, math.inf, 3e38], dtype=torch.float64)
    counts = poisson_counts(mean, torch.arange(7), seed=1)
    assert counts.tolist()[:6] == [0.0, 0.0, 0.0, 0.0, 0.0, math.inf]
    assert abs(float(counts[6]) / 3e38 - 1.0) < 1e-15


def test_edges_of_the_methods_and_an_empty_tile():
    edges = torch.tensor([REJECTION_FROM, NORMAL_FROM], dtype=torch.float64)
    both = torch.cat([torch.nextafter(edges, torch.zeros_like(edges)), edges])
    counts = poisson_counts(both, torch.arange(4), seed=8)
    assert ((counts - both).abs() < 5.0 * both.sqrt()).all()
    assert poisson_counts(torch.zeros(0), torch.zeros(0, dtype=torch.int64), seed=1).shape == (0,)


def test_single_precision_means_count_as_their_value():
    mean = torch.rand(1000, generator=torch.Generator().manual_seed(5)) * 40.0
    pixel = torch.arange(1000)
    assert torch.equal(poisson_counts(mean, pixel, seed=2), poisson_counts(mean.double(), pixel, seed=2))


def test_counts_that_must_never_change():
    """A stored noise image must come out the same in a later version."""
    mean = torch.tensor([0.1, 0.9, 3.0, 9.0, 10.0, 50.0, 1e3, 1e6, 1e12, 1e16], dtype=torch.float64)
    counts = poisson_counts(mean, torch.arange(10) + (1 << 33), seed=-123, frame=4, panel=1)
    expected = [0.0, 0.0, 1.0, 13.0, 6.0, 44.0, 1050.0, 1001808.0, 999998469701.0, 1.000000013932574e16]
    assert counts.tolist() == expected


def test_noise_pixels_truncate_clip_and_wrap():
    counts = torch.tensor([0.0, 3.0, 65494.0, 65495.0, 65496.0, 1e30, math.inf, math.nan], dtype=torch.float64)
    pixels, overloads = noise_pixels(counts, 40.9)
    assert pixels.dtype == torch.uint16
    assert pixels.tolist() == [40, 43, 65534, 65535, 65535, 65535, 65535, 0]
    assert overloads == 4
    assert noise_pixels(torch.tensor([65495.0, 65496.0]), 40.0)[1] == 1
    assert noise_pixels(torch.tensor([0.0, 5.0, 6.0]), -5.7)[0].tolist() == [65531, 0, 0]
    assert noise_pixels(torch.tensor([0.0]), -1e12)[0].tolist() == [0]
