"""Values of a distribution for the frames of a series, each from seed, frame and its own counters alone."""

from __future__ import annotations

import math

import numpy as np

from tilesim.errors import InputError
from tilesim.model.distribution import Distribution
from tilesim.physics.draws import (
    EACH,
    Array,
    Frames,
    NothingAccepted,
    accepted,
    frame_uniforms,
    gammas,
    normals,
    poissons,
)


def sampled(distribution: Distribution, frames: Frames, seed: int, counter: int, base: float, what: str) -> Array:
    """A value (n,) of each frame.

    frames   their numbers
    counter  the first of its own
    base     value of the base experiment
    what     for messages

    Raises InputError.
    """
    d = distribution
    unit = base if d.relative else 1.0
    usual = 1.0 if d.relative else base
    if d.name == "constant":
        drawn = np.full(len(frames), usual if d.mean is None else d.mean)
    elif d.name == "uniform":
        low, high = d.low or 0.0, d.high or 0.0
        drawn = low + (high - low) * frame_uniforms(frames, seed, counter)
    elif d.name == "choice":
        weights = np.cumsum(d.weights or (1.0,) * len(d.values))
        places = np.searchsorted(weights / weights[-1], frame_uniforms(frames, seed, counter), side="right")
        drawn = np.array(d.values)[np.minimum(places, len(d.values) - 1)]
    elif d.name == "listed":
        if len(d.values) < len(frames):
            raise InputError(f"{what}: {len(d.values)} values of {len(frames)} shots; expected one for each")
        drawn = np.array(d.values[: len(frames)])
    else:
        drawn = _bounded(d, frames, seed, counter, usual, what)
    return drawn * unit


def _bounded(d: Distribution, frames: Frames, seed: int, counter: int, usual: float, what: str) -> Array:
    """Deviates of the distributions that are drawn until they lie within bounds."""
    low, high = (-math.inf if d.low is None else d.low), (math.inf if d.high is None else d.high)
    middle = usual if (given := d.median if d.name == "lognormal" else d.mean) is None else given
    if d.name != "normal" and not middle > 0.0:
        raise InputError(f"{what}: a {d.name} distribution about {middle:g}; expected a value above 0")

    def attempt(some: Frames, number: int) -> tuple[Array, np.ndarray]:
        first = counter + EACH * number
        if d.name == "gamma":
            shape = (middle / (d.sd or 1.0)) ** 2
            values, good = gammas(some, seed, first, shape)
            values = values * middle / shape
        elif d.name == "poisson":
            values, good = poissons(some, seed, first, middle), np.ones(len(some), bool)
        else:
            deviates, good = normals(some, seed, first), np.ones(len(some), bool)
            if d.name == "lognormal":
                with np.errstate(over="ignore"):  # what is infinite is refused, as all beyond `high`
                    values = middle * np.exp((d.sigma or 0.0) * deviates)
            else:
                values = middle + (d.sd or 0.0) * deviates
        return values, good & np.isfinite(values) & (values >= low) & (values <= high)

    try:
        return accepted(frames, attempt)
    except NothingAccepted as error:
        raise InputError(f"{what}: {error}; expected bounds that leave room") from None
