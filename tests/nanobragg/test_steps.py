"""Step counts: the tables of spec command-line 4.5 to 4.9, row by row."""

import math

import pytest

from tilesim.errors import InputError
from tilesim.nanobragg.settings import RTD
from tilesim.nanobragg.steps import (
    Sweep,
    angular_sweep,
    mosaic_domains,
    phi_sweep,
    sensor_sweep,
)


@pytest.mark.parametrize(
    ("count", "osc", "step", "expected"),
    [
        (None, None, None, Sweep(0.0, 0.0, 1)),
        (None, None, -1.0, Sweep(0.0, 0.0, 1)),
        (None, None, 0.3, Sweep(0.3, 0.3, 2)),
        (None, 0.8, None, Sweep(0.8, 0.4, 2)),
        (None, 0.0, None, Sweep(0.0, 0.0, 2)),
        (None, 0.8, 0.0, Sweep(0.8, 0.4, 2)),
        (None, 0.8, 0.3, Sweep(0.8, 0.3, 3)),
        (4, None, None, Sweep(1.0 / RTD, 1.0 / RTD / 4, 4)),
        (0, None, None, Sweep(1.0 / RTD, 1.0 / RTD, 1)),
        (4, None, 0.3, Sweep(0.3, 0.3, 2)),
        (4, 0.8, None, Sweep(0.8, 0.2, 4)),
        (4, 0.8, -0.1, Sweep(0.8, 0.2, 4)),
        (4, 0.8, 0.5, Sweep(0.8, 0.5, 4)),
        (4, 0.8, 0.0, Sweep(0.8, 0.0, 4)),
        (-1, -1.0, -1.0, Sweep(0.0, 0.0, 1)),
    ],
)
def test_phi(count, osc, step, expected):
    assert phi_sweep(osc, step, count) == expected


def test_phi_rounds_as_the_reference_does():
    assert phi_sweep(0.9 / RTD, 0.3 / RTD, None).count == 4


def test_an_empty_oscillation_is_an_error():
    with pytest.raises(InputError, match="-osc"):
        phi_sweep(0.0, 0.5, None)


@pytest.mark.parametrize(
    ("count", "extent", "step", "expected"),
    [
        (None, None, None, Sweep(0.0, 0.0, 1)),
        (None, None, 2.0, Sweep(2.0, 2.0, 2)),
        (None, 6.0, None, Sweep(6.0, 6.0, 2)),
        (None, 6.0, 2.5, Sweep(6.0, 2.5, 3)),
        (4, None, None, Sweep(1.0, 0.25, 4)),
        (4, None, 2.0, Sweep(2.0, 2.0, 2)),
        (4, 6.0, None, Sweep(6.0, 2.0, 4)),
        (1, 6.0, None, Sweep(6.0, 6.0, 2)),
        (4, 6.0, 2.5, Sweep(6.0, 2.5, 4)),
        (3, 0.0, None, Sweep(0.0, 0.0, 1)),
        (0, 0.0, 0.0, Sweep(0.0, 0.0, 1)),
        (3, -1.0, None, Sweep(1.0, 1.0 / 3, 3)),
    ],
)
def test_divergence_and_dispersion(count, extent, step, expected):
    assert angular_sweep("hdiv", extent, step, count) == expected


def test_counts_beyond_reason_are_errors():
    with pytest.raises(InputError, match="hdiv steps"):
        angular_sweep("hdiv", 1.0, 1e-300, None)
    with pytest.raises(InputError, match="phi steps"):
        phi_sweep(1.0, 1e-12, None)
    with pytest.raises(InputError, match="sensor layers"):
        sensor_sweep(1e-4, 2**31)
    with pytest.raises(InputError, match="mosaic domains"):
        mosaic_domains(0.1, 2**31)
    with pytest.raises(InputError, match="-mosaic"):
        mosaic_domains(math.inf, 3)


@pytest.mark.parametrize(
    ("count", "thickness", "strict", "default"),
    [
        (None, 0.0, Sweep(0.0, 0.0, 1), Sweep(0.0, 0.0, 1)),
        (None, -1.0, Sweep(0.0, 0.0, 1), Sweep(0.0, 0.0, 1)),
        (None, 1e-4, Sweep(1e-4, 0.5e-4, 2), Sweep(1e-4, 0.5e-4, 2)),
        (0, 1e-4, Sweep(1e-4, 0.5e-4, 2), Sweep(1e-4, 0.5e-4, 2)),
        (5, 1e-4, Sweep(1e-4, 1e-4 / 4, 5), Sweep(1e-4, 1e-4 / 5, 5)),
        (1, 1e-4, Sweep(1e-4, 1e-4, 2), Sweep(1e-4, 1e-4, 1)),
        (5, 0.0, Sweep(0.0, 0.0, 1), Sweep(0.0, 0.0, 1)),
        (5, -1.0, Sweep(0.5e-6, 0.5e-6 / 5, 5), Sweep(0.5e-6, 0.5e-6 / 5, 5)),
    ],
)
def test_sensor_layers(count, thickness, strict, default):
    """K4: N layers of t/N instead of layers spaced by t/(N-1)."""
    assert sensor_sweep(thickness, count, strict_c=True) == strict
    assert sensor_sweep(thickness, count) == default


@pytest.mark.parametrize(
    ("domains", "spread", "expected", "warns"),
    [
        (None, None, (1, 0.0), False),
        (None, 0.0, (1, 0.0), False),
        (None, 0.01, (10, 0.01), True),
        (0, 0.01, (10, 0.01), True),
        (5, None, (1, 0.0), True),
        (5, -1.0, (1, 0.0), True),
        (5, 0.0, (1, 0.0), True),
        (5, 0.01, (5, 0.01), False),
        (1, 0.01, (1, 0.01), False),
    ],
)
def test_mosaic_domains(domains, spread, expected, warns):
    mosaic = mosaic_domains(spread, domains)
    assert (mosaic.domains, mosaic.spread) == expected
    assert (mosaic.warning is not None) == warns


def test_infinite_ranges_are_errors():
    with pytest.raises(InputError):
        phi_sweep(math.inf, 0.1, None)
