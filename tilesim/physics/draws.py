"""Random numbers of whole frames: deviates of distributions and rotations, by seed, frame and counter alone.

They come from Philox (philox.py) with the frame in its counter: those of a frame are the same in any series of any
length, computed anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tilesim.physics.philox import key_of, philox, to_unit

Array = npt.NDArray[np.float64]
Frames = npt.NDArray[np.int64]
"""Numbers (n,) of frames, below 2^32."""
STREAM = 2
"""Stream of the Philox key that belongs to draws of experiments."""
EACH = 4
"""Counters of one attempt."""
ATTEMPTS = 256
"""Attempts of a deviate that may be rejected."""
COUNTERS = EACH * ATTEMPTS
"""Counters of one deviate: the next one begins so many further."""


class NothingAccepted(ValueError):
    """All attempts of some frame were rejected."""


def frame_uniforms(frames: Frames, seed: int, counter: int) -> Array:
    """A uniform number (n,) in the open interval (0, 1) for each frame.

    counter  which one of the frame, below 2^24
    """
    if not 0 <= counter < 1 << 24:
        raise ValueError(f"counter is {counter}; expected 0 <= counter < 2^24")
    nothing = frames * 0
    high, low, _, _ = philox((nothing, nothing, frames, nothing + (STREAM << 24 | counter)), key_of(seed))
    unit: Array = to_unit(high, low)
    return unit


def normals(frames: Frames, seed: int, counter: int) -> Array:
    """A standard normal deviate (n,) for each frame, from two counters (Box and Muller, 1958)."""
    radius = np.sqrt(-2.0 * np.log(frame_uniforms(frames, seed, counter)))
    return radius * np.cos(2.0 * np.pi * frame_uniforms(frames, seed, counter + 1))


def accepted(frames: Frames, attempt: Callable[[Frames, int], tuple[Array, npt.NDArray[np.bool_]]]) -> Array:
    """Deviates (n,) of attempts, each frame's first that is accepted. Raises NothingAccepted.

    attempt  gives the deviates of some frames, by the number of the attempt, and which are accepted
    """
    values, waiting = np.empty(len(frames)), np.arange(len(frames))
    for number in range(ATTEMPTS):
        drawn, good = attempt(frames[waiting], number)
        values[waiting[good]] = drawn[good]
        waiting = waiting[~good]
        if not len(waiting):
            return values
    raise NothingAccepted(f"frame {frames[waiting[0]]}: none of {ATTEMPTS} draws is accepted")


def gammas(frames: Frames, seed: int, counter: int, shape: float) -> tuple[Array, npt.NDArray[np.bool_]]:
    """One attempt (n,) at a gamma deviate of mean `shape`, and where it is accepted, from four counters.

    Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS 26 (2000); below a shape of 1 that
    of shape + 1 times a power of a uniform number.
    """
    d = (shape if shape >= 1.0 else shape + 1.0) - 1.0 / 3.0
    x = normals(frames, seed, counter)
    v = (1.0 + x / np.sqrt(9.0 * d)) ** 3
    with np.errstate(invalid="ignore", divide="ignore"):
        good = (v > 0.0) & (np.log(frame_uniforms(frames, seed, counter + 2)) < 0.5 * x * x + d - d * v + d * np.log(v))
    if shape < 1.0:
        v = v * frame_uniforms(frames, seed, counter + 3) ** (1.0 / shape)
    return d * v, good


def poissons(frames: Frames, seed: int, counter: int, mean: float) -> Array:
    """A Poisson deviate (n,) for each frame, from one counter by inversion of the distribution function."""
    counts = np.arange(math.ceil(mean + 40.0 * math.sqrt(mean) + 40.0))
    logarithms = counts * math.log(mean) - mean - np.array([math.lgamma(k + 1.0) for k in counts.tolist()])
    places = np.searchsorted(np.cumsum(np.exp(logarithms)), frame_uniforms(frames, seed, counter), side="right")
    return np.minimum(places, len(counts) - 1).astype(np.float64)


def uniform_rotations(frames: Frames, seed: int, counter: int = 0) -> Array:
    """A rotation (n, 3, 3) for each frame, uniform in SO(3), from three counters (Shoemake, 1992)."""
    u1, u2, u3 = (frame_uniforms(frames, seed, counter + k) for k in range(3))
    a, b = np.sqrt(1.0 - u1), np.sqrt(u1)
    return rotations_of(
        a * np.sin(2.0 * np.pi * u2),
        a * np.cos(2.0 * np.pi * u2),
        b * np.sin(2.0 * np.pi * u3),
        b * np.cos(2.0 * np.pi * u3),
    )


def axes(frames: Frames, seed: int, counter: int) -> Array:
    """A direction (3, n) for each frame, uniform on the sphere, from two counters."""
    z, turn = 2.0 * frame_uniforms(frames, seed, counter) - 1.0, 2.0 * np.pi * frame_uniforms(frames, seed, counter + 1)
    across = np.sqrt(1.0 - z * z)
    return np.stack([across * np.cos(turn), across * np.sin(turn), z])


def rotations_about(axis: Array, angle: Array) -> Array:
    """Rotations (n, 3, 3) by `angle` (n,), radians, about the unit vectors `axis` (3, n), right-handed."""
    x, y, z = axis * np.sin(angle / 2.0)
    return rotations_of(x, y, z, np.cos(angle / 2.0))


def rotations_of(x: Array, y: Array, z: Array, w: Array) -> Array:
    """Rotations (n, 3, 3) of unit quaternions, w being the real part."""
    rows = [
        [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)],
        [2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)],
        [2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), -1, 0)
