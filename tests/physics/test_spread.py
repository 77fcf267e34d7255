"""The point spread: shapes against numerical integration, tiles against the whole, and where the light goes."""

import math

import pytest
import torch

from tilesim.physics.spread import BLOCK, FIBER_SCALE, KERNELS, QUANTUM, fiber_kernel, needed, spectrum_of, spread


def gauss(x, y, fwhm):
    return 4 * math.log(2) / (math.pi * fwhm**2) * torch.exp(-4 * math.log(2) * (x * x + y * y) / fwhm**2)


def fiber(x, y, fwhm):
    g = FIBER_SCALE * fwhm
    return g / (2 * math.pi) * (g * g + x * x + y * y) ** -1.5


DENSITIES = {"gauss": gauss, "fiber": fiber}


@pytest.mark.parametrize("shape", KERNELS)
@pytest.mark.parametrize("fwhm", [0.7, 1.0, 3.3])
def test_a_kernel_is_the_density_integrated_over_pixels(shape, fwhm):
    kernel = KERNELS[shape](fwhm, 5)
    n = 400
    inner = (torch.arange(n, dtype=torch.float64) + 0.5) / n - 0.5
    for down, along in ((0, 0), (0, 1), (2, 1), (-3, 0), (1, -3)):
        density = DENSITIES[shape](along + inner, down + inner[:, None], fwhm)
        assert float(kernel[5 + down, 5 + along]) == pytest.approx(float(density.mean()), rel=2e-4)


@pytest.mark.parametrize("shape", DENSITIES)
def test_the_width_is_that_at_half_maximum(shape):
    zero = torch.zeros(1, dtype=torch.float64)
    peak, side = (float(DENSITIES[shape](zero + x, zero, 2.6)) for x in (0.0, 1.3))
    assert side == pytest.approx(peak / 2, rel=1e-12)


def test_the_tail_of_the_fibre_shape_is_as_long_as_its_formula_says():
    for radius in (10, 40, 66):
        g = FIBER_SCALE * 1.0
        beyond = 1 - float(fiber_kernel(1.0, radius).sum())
        assert beyond == pytest.approx(g / math.hypot(g, radius), rel=0.02)


@pytest.fixture(scope="module")
def image():
    """Counts with a few bright pixels, larger than two blocks."""
    draws = torch.rand(2 * BLOCK + 41, 300, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    counts = torch.floor(draws * 30)
    counts[5, 7], counts[130, 128], counts[-1, -1] = 1e4, 3e6, 777.0
    return counts


def by_hand(photons, kernel):
    """The same convolution in another way: shifted copies of the image, added up."""
    radius = len(kernel) // 2
    rows, columns = photons.shape
    padded = torch.zeros(rows + 2 * radius, columns + 2 * radius, dtype=torch.float64)
    padded[radius:-radius, radius:-radius] = photons
    out = torch.zeros_like(photons)
    for i in range(2 * radius + 1):
        for j in range(2 * radius + 1):
            at = (2 * radius - i, 2 * radius - j)
            out += kernel[i, j] * padded[at[0] : at[0] + rows, at[1] : at[1] + columns]
    return out


def whole(image, kernel):
    rows, columns = image.shape
    return spread(image, (0, 0), (0, rows), (0, columns), spectrum_of(kernel), len(kernel) // 2)


@pytest.mark.parametrize(("shape", "fwhm", "radius"), [("gauss", 2.0, 6), ("fiber", 1.2, 11)])
def test_the_convolution_is_the_sum_over_neighbours(image, shape, fwhm, radius):
    kernel = KERNELS[shape](fwhm, radius)
    kernel[radius, radius + 2] *= 3  # turned the wrong way round, a lopsided one would show it
    assert (whole(image, kernel) - by_hand(image, kernel)).abs().max() <= QUANTUM


@pytest.mark.parametrize("tile", [(BLOCK, BLOCK), (64, 100), (37, 300), (297, 11), (1, 1)])
def test_a_tile_gets_the_same_bytes_as_the_whole(image, tile):
    kernel = fiber_kernel(1.0, 20)
    spectrum, expected = spectrum_of(kernel), whole(image, kernel)
    rows, columns = image.shape
    corners = [(r, c) for r in range(0, rows, tile[0]) for c in range(0, columns, tile[1])]
    for top, left in corners[:: max(1, len(corners) // 12)]:
        wanted = ((top, min(rows, top + tile[0])), (left, min(columns, left + tile[1])))
        (r0, r1), (c0, c1) = (needed(w, 20, n) for w, n in zip(wanted, image.shape, strict=True))
        part = spread(image[r0:r1, c0:c1], (r0, c0), *wanted, spectrum, 20)
        assert torch.equal(part, expected[slice(*wanted[0]), slice(*wanted[1])])


def test_light_is_kept_inside_and_lost_beyond_the_edges():
    kernel = KERNELS["fiber"](1.0, 30)
    kernel = kernel / kernel.sum()
    middle, corner = torch.zeros(2, 200, 200, dtype=torch.float64)
    middle[100, 90] = corner[0, 0] = 2.0**20
    assert float(whole(middle, kernel).sum()) == pytest.approx(2.0**20, rel=1e-7)
    inside = float(kernel[30:, 30:].sum())
    assert 0.25 < inside < 0.75
    assert float(whole(corner, kernel).sum()) == pytest.approx(inside * 2.0**20, rel=1e-7)


def test_dark_pixels_beside_bright_ones_stay_dark():
    photons = torch.zeros(150, 150, dtype=torch.float64)
    photons[20, 20] = 1e9
    out = whole(photons, KERNELS["gauss"](1.0, 3))
    assert out.min() == 0.0
    assert int((out > 0).sum()) <= 37  # pixels of a disc of radius 3 and its rim
    assert (out / QUANTUM == torch.round(out / QUANTUM)).all()
