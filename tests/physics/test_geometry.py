"""Geometry, polarisation and absorption: numpy and torch give the same, whatever the axes."""

import math

import numpy as np
import pytest
import torch

from tilesim.physics.absorb import capture_fraction
from tilesim.physics.geometry import curved_positions, norm, positions, rotate_about, solid_angle, unit
from tilesim.physics.polarize import polarization_factor

DRAWN = np.random.default_rng(3)
RAYS = DRAWN.normal(size=(3, 40))
RAYS /= np.linalg.norm(RAYS, axis=0)
LENGTHS = DRAWN.uniform(0.1, 0.2, 40)
INCIDENT, SLOW, FAST, NORMAL = np.array([0.0, 0.6, 0.8]), np.array([0.0, 0.8, -0.6]), np.eye(3)[0], np.eye(3)[2]


def same(function, *arguments):
    """What a function makes of arrays, once it is known to make the same of tensors."""
    tensors = (torch.from_numpy(x) if isinstance(x, np.ndarray) else x for x in arguments)
    made, of_tensors = function(*arguments), function(*tensors)
    assert isinstance(made, np.ndarray) and isinstance(of_tensors, torch.Tensor)
    np.testing.assert_allclose(made, of_tensors.numpy(), rtol=1e-13, atol=1e-16)
    return made


def test_a_rotation_keeps_lengths_and_its_axis_and_turns_right_handed():
    turned = same(rotate_about, RAYS, INCIDENT, LENGTHS * 10)
    np.testing.assert_allclose(norm(turned), 1.0, rtol=1e-14)
    np.testing.assert_allclose(INCIDENT @ turned, INCIDENT @ RAYS, atol=1e-15)
    quarter = same(rotate_about, FAST[:, None], NORMAL, np.array([math.pi / 2]))
    np.testing.assert_allclose(quarter[:, 0], [0.0, 1.0, 0.0], atol=1e-15)


def test_pixels_of_a_curved_detector_are_all_as_far_away():
    flat = same(positions, LENGTHS, LENGTHS[::-1].copy(), 1e-3, INCIDENT, SLOW, FAST, NORMAL)
    assert np.ptp(norm(flat)) > 1e-3
    curved = same(curved_positions, flat, 0.25, INCIDENT, SLOW, FAST)
    np.testing.assert_allclose(norm(curved), 0.25, rtol=1e-14)


@pytest.mark.parametrize("axis", [(0.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.3, -0.4, 0.5)])
def test_polarisation_takes_any_axis(axis):
    factor = same(polarization_factor, 0.7, INCIDENT, RAYS, np.array(axis))
    assert 0.0 < factor.min() < factor.max() <= 1.0
    unpolarised = same(polarization_factor, 0.0, INCIDENT, RAYS, np.array(axis))
    np.testing.assert_allclose(unpolarised, (1 + (INCIDENT @ RAYS) ** 2) / 2, rtol=1e-14)


def test_solid_angles_absorption_and_directions():
    np.testing.assert_allclose(same(solid_angle, LENGTHS, 1e-4, 0.1, False), 1e-9 / LENGTHS**3, rtol=1e-13)
    np.testing.assert_allclose(same(solid_angle, LENGTHS, 1e-4, 0.1, True), 1 / LENGTHS**2, rtol=1e-13)
    np.testing.assert_allclose(
        same(capture_fraction, 0, 1e-3, 500.0, LENGTHS) + same(capture_fraction, 1, 1e-3, 500.0, LENGTHS),
        1 - np.exp(-1 / LENGTHS),
        rtol=1e-13,
    )
    np.testing.assert_allclose(same(unit, 3.0 * INCIDENT), INCIDENT, rtol=1e-15)
    assert same(unit, np.zeros(3)).tolist() == [0.0, 0.0, 0.0]
