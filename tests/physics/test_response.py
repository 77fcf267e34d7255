"""What the detector does to photons: sensitivities that stay, read-out noise that does not, and the converter."""

import math

import pytest
import torch

from tilesim.physics.response import digitised, flicker_factor, module_factors, pixel_factors, read_out

N = 40_000
PIXELS = torch.arange(N)


def test_sensitivities_have_the_asked_rms_and_belong_to_the_pixel():
    factors = pixel_factors(0.03, PIXELS, seed=5, panel=0)
    assert abs(float(factors.mean()) - 1.0) < 4 * 0.03 / math.sqrt(N)
    assert float(factors.std()) == pytest.approx(0.03, rel=4 / math.sqrt(2 * N))
    assert torch.equal(pixel_factors(0.03, PIXELS[700:900], seed=5, panel=0), factors[700:900])
    assert not torch.equal(pixel_factors(0.03, PIXELS, seed=5, panel=1), factors)
    assert pixel_factors(5.0, PIXELS, seed=5, panel=0).min() == 0.0


def test_pixels_of_a_module_share_its_sensitivity():
    rows, columns = torch.arange(20, 60), torch.arange(5, 90)
    factors = module_factors(0.1, rows, columns, (16, 30), 4, seed=1, panel=0)
    assert factors.shape == (40, 85)
    modules = {}
    for i, row in enumerate(rows.tolist()):
        for j, column in enumerate(columns.tolist()):
            modules.setdefault((row // 16, column // 30), set()).add(float(factors[i, j]))
    assert all(len(values) == 1 for values in modules.values())
    assert len(set.union(*modules.values())) == len(modules) == 9
    part = module_factors(0.1, rows[7:], columns[30:50], (16, 30), 4, seed=1, panel=0)
    assert torch.equal(part, factors[7:, 30:50])


def test_the_beam_flickers_from_frame_to_frame():
    factors = torch.tensor([flicker_factor(0.05, seed=2, frame=k) for k in range(2000)])
    assert float(factors.mean()) == pytest.approx(1.0, abs=4 * 0.05 / math.sqrt(2000))
    assert float(factors.std()) == pytest.approx(0.05, rel=4 / math.sqrt(4000))
    assert flicker_factor(0.05, seed=2, frame=7) == pytest.approx(float(factors[7]))


def test_read_out_noise_is_in_detector_units_and_new_in_every_frame():
    photons = torch.full((N,), 10.0, dtype=torch.float64)
    how = {"gain": 1.5, "offset": 40.0, "seed": 3, "panel": 0}
    assert read_out(photons, PIXELS, noise=0.0, frame=0, **how).tolist() == [55.0] * N
    first, second = (read_out(photons, PIXELS, noise=2.5, frame=k, **how) for k in (0, 1))
    for units in (first, second):
        assert abs(float(units.mean()) - 55.0) < 4 * 2.5 / math.sqrt(N)
        assert float(units.std()) == pytest.approx(2.5, rel=4 / math.sqrt(2 * N))
    assert abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1])) < 4 / math.sqrt(N)


def test_the_converter_drops_fractions_and_stops_at_its_ends():
    units = torch.tensor([-3.0, -0.0, 0.99, 7.5, 99.99, 100.0, 100.01, math.inf], dtype=torch.float64)
    assert digitised(units, 100.0).tolist() == [0, 0, 0, 7, 99, 100, 100, 100]
