"""Random numbers of frames: their statistics, and that they belong to seed, frame and counter alone."""

import math

import numpy as np
import pytest

from tilesim.physics.draws import (
    NothingAccepted,
    accepted,
    axes,
    frame_uniforms,
    gammas,
    normals,
    rotations_about,
    uniform_rotations,
)
from tilesim.physics.philox import philox

FRAMES = np.arange(40_000)


def angles(rotations):
    return np.degrees(np.arccos(np.clip((np.trace(rotations, axis1=1, axis2=2) - 1) / 2, -1, 1)))


def test_rotations_are_uniform_in_so3():
    rotations = uniform_rotations(FRAMES, seed=7)
    np.testing.assert_allclose(
        rotations @ rotations.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (40_000, 3, 3)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0)
    assert angles(rotations).mean() == pytest.approx(math.degrees(math.pi / 2 + 2 / math.pi), abs=0.6)  # 126.5
    # (30 degrees - sin 30 degrees) / pi
    assert (angles(rotations) < 30).mean() == pytest.approx(0.0075, abs=0.0015)
    # Each element has the variance 1/3.
    np.testing.assert_allclose(rotations.mean(axis=0), 0.0, atol=5 / math.sqrt(3 * 40_000))


def test_numbers_of_a_frame_belong_to_seed_frame_and_counter():
    some = np.array([12, 3, 39_999])
    whole = uniform_rotations(FRAMES, seed=7)
    assert np.array_equal(uniform_rotations(some, seed=7), whole[some])
    assert not np.array_equal(uniform_rotations(some, seed=8), whole[some])
    words = philox(tuple(np.array([w]) for w in (0, 0, 3, 2 << 24 | 5)), (7, 0))
    [expected] = (2 * (words[0] << 20 | words[1] >> 12) + 1) / 2**53
    assert frame_uniforms(some, 7, 5)[1] == expected


def test_deviates_have_the_moments_of_their_distributions():
    u, x = frame_uniforms(FRAMES, 1, 0), normals(FRAMES, 1, 0)
    assert (u.mean(), u.var()) == (pytest.approx(1 / 2, abs=0.008), pytest.approx(1 / 12, abs=0.003))
    assert (x.mean(), x.var(), (x**4).mean()) == (
        pytest.approx(0, abs=0.025),
        pytest.approx(1, abs=0.04),
        pytest.approx(3, abs=0.25),
    )
    for shape in (0.5, 4.0):
        y = accepted(FRAMES, lambda frames, k, a=shape: gammas(frames, 1, 4 * k, a))
        assert (y.mean(), y.var()) == (pytest.approx(shape, rel=0.04), pytest.approx(shape, rel=0.08))
        assert y.min() > 0
    np.testing.assert_allclose(axes(FRAMES, 1, 0).mean(axis=1), 0.0, atol=0.015)
    np.testing.assert_allclose(np.linalg.norm(axes(FRAMES, 1, 0), axis=0), 1.0)


def test_a_rotation_about_an_axis_is_right_handed():
    [turned] = rotations_about(np.array([[0.0], [0.0], [1.0]]), np.array([math.pi / 2]))
    np.testing.assert_allclose(turned @ [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], atol=1e-12)


def test_draws_that_are_never_accepted_end():
    with pytest.raises(NothingAccepted, match="frame 4"):
        accepted(np.array([3, 4]), lambda frames, k: (frames * 1.0, frames == 3))
