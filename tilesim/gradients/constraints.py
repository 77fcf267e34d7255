"""Constraints: how a number that is varied follows from a coordinate that may take any value, and its prior."""

from __future__ import annotations

import math
from dataclasses import field

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model import checks

MOST_EXPONENT = 200.0
"""Largest coordinate of a number above 0, whose exponential is a factor on its start."""


@frozen
class Constraint:
    """A number that is varied, with an optional prior: a normal distribution about its start."""

    prior: float | None = field(default=None, kw_only=True)
    """Standard deviation: relative to the start, or in the parameter's unit where it counts from 0; None: no prior."""

    def __post_init__(self) -> None:
        if self.prior is not None:
            checks.coerce(self, prior=checks.positive("prior of a parameter", self.prior))

    def start(self, name: str, value: float, relative: bool) -> float:
        """The coordinate where a number has its start. Raises InputError where it cannot begin there."""
        raise NotImplementedError

    def value(self, coordinate: float, start: float, relative: bool) -> tuple[float, float]:
        """The number at a coordinate, and its derivative with that."""
        raise NotImplementedError

    def within(self, coordinate: float) -> float:
        """The nearest coordinate that may be taken."""
        return coordinate

    def edge(self, coordinate: float) -> int:
        """1 at an upper bound, -1 at a lower one, else 0."""
        return 0

    def deviation(self, start: float, relative: bool) -> float | None:
        """Standard deviation of the prior in the parameter's unit."""
        return None if self.prior is None else self.prior * (1.0 if relative else abs(start))


@frozen
class Free(Constraint):
    """A number that may take any value.

    Examples
    --------
    >>> from tilesim import Free
    >>> Free(prior=0.01)  # its start is known to 1 %
    Free(prior=0.01)
    """

    def start(self, name: str, value: float, relative: bool) -> float:
        return 0.0

    def value(self, coordinate: float, start: float, relative: bool) -> tuple[float, float]:
        unit = _unit(start, relative)
        return start + unit * coordinate, unit


@frozen
class Positive(Constraint):
    """A number that stays above 0: its start times an exponential.

    Examples
    --------
    >>> from tilesim import Positive
    >>> Positive()
    Positive(prior=None)
    """

    def start(self, name: str, value: float, relative: bool) -> float:
        if relative or not value > 0:
            raise InputError(f"parameter {name} begins at {value:g}; expected one above 0 for Positive()")
        return 0.0

    def value(self, coordinate: float, start: float, relative: bool) -> tuple[float, float]:
        if abs(coordinate) > MOST_EXPONENT:
            raise InputError("a step of the parameters leads beyond all numbers that make sense")
        found = start * math.exp(coordinate)
        return found, found


@frozen
class Bounded(Constraint):
    """A number that stays between two bounds; it is held at one where the pixels would have it beyond.

    Examples
    --------
    >>> from tilesim import Bounded
    >>> Bounded(0.99, 1.01)  # within 1 % of its start; in radians for a rotation, which begins at 0
    Bounded(prior=None, low=0.99, high=1.01)
    """

    low: float
    """Factor of the start, or in the parameter's unit where it counts from 0."""
    high: float
    """The same."""

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = checks.finite("lower bound", self.low), checks.finite("upper bound", self.high)
        if not low < high:
            raise InputError(f"bounds {low:g} and {high:g}; expected the first below the second")
        checks.coerce(self, low=low, high=high)

    def start(self, name: str, value: float, relative: bool) -> float:
        low, high = self.bounds(value, relative)
        if not low < value < high:
            raise InputError(f"parameter {name} begins at {value:g}; expected that between {low:g} and {high:g}")
        return 2.0 * (value - low) / (high - low) - 1.0

    def value(self, coordinate: float, start: float, relative: bool) -> tuple[float, float]:
        low, high = self.bounds(start, relative)
        half = 0.5 * (high - low)
        return min(max(low + half * (1.0 + coordinate), low), high), half

    def within(self, coordinate: float) -> float:
        return min(max(coordinate, -1.0), 1.0)

    def edge(self, coordinate: float) -> int:
        return int(coordinate >= 1.0) - int(coordinate <= -1.0)

    def bounds(self, start: float, relative: bool) -> tuple[float, float]:
        """Lower and upper bound in the parameter's unit."""
        if relative:
            return self.low, self.high
        low, high = sorted((self.low * start, self.high * start))
        return low, high


def _unit(start: float, relative: bool) -> float:
    """What a coordinate counts in: the start itself, so that coordinates of lengths and fluences are alike in size."""
    return 1.0 if relative or not start else abs(start)
