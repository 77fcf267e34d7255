"""Distributions within a crystal: Gaussian mosaic spread, and the sizes of its domains."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Self

import numpy as np

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model import checks
from tilesim.model.noun import Noun, counted

if TYPE_CHECKING:
    from random import Random

MOST = 10**7
"""Mosaic domains."""


class MosaicFrame(StrEnum):
    """Frame of mosaic rotations and of the axes of an anisotropic spread; its value will do.

    Examples
    --------
    >>> from tilesim import MosaicFrame
    >>> MosaicFrame("crystal") is MosaicFrame.CRYSTAL
    True
    """

    LAB = "lab"
    """The laboratory: rotations follow the spindle and stay as they are at all its angles; axes are x, y, z."""
    CRYSTAL = "crystal"
    """The crystal: rotations precede the spindle and turn with it; axes are a, b, c."""


class MosaicAxes(StrEnum):
    """How the rotation axes of mosaic domains are spread over the sphere; its value will do.

    Examples
    --------
    >>> from tilesim import MosaicAxes
    >>> MosaicAxes("random") is MosaicAxes.RANDOM
    True
    """

    SPIRAL = "spiral"
    """Evenly along a spiral, with evenly spaced quantiles of the angle in random order: simtbx's and diffBragg's."""
    RANDOM = "random"
    """Axes uniform on the sphere, angles normal: all random."""


@frozen(repr=False)
class MosaicSpread(Noun):
    """Mosaic domains turned by normally distributed angles about axes in all directions, each with its inverse.

    Raises
    ------
    InputError
        Where an angle is negative, one of three is not above 0, or the number of domains is odd.

    Examples
    --------
    >>> import math
    >>> from tilesim import Crystal, MosaicSpread
    >>> spread = MosaicSpread(math.radians(0.1), domains=40)
    >>> spread
    MosaicSpread
      spread   0.1°
      domains  40 mosaic domains
    >>> crystal = Crystal.from_cell(5e-9, 6e-9, 7e-9, mosaic_spread=spread)
    >>> crystal.mosaic_matrices.shape
    (40, 3, 3)
    """

    sigma: tuple[float, float, float]
    """Standard deviation of the angle, radians: one number, or three about the axes of the crystal's `mosaic_frame`.

    About an axis C it is then (C . T C)^(-1/2), T having the inverse squares of the three on its diagonal.
    """
    domains: int = 20
    """Mosaic domains, an even number."""
    axes: MosaicAxes = MosaicAxes.SPIRAL
    """A `MosaicAxes` or its value: spiral, random."""
    seed: int = 8675309
    """Random seed of angles (spiral), of axes and angles (random)."""

    def __post_init__(self) -> None:
        given = self.sigma
        sigma = checks.numbers("mosaic spread", (given,) * 3 if checks.single(given) else given, 3)
        if min(sigma) < 0.0 or (len(set(sigma)) > 1 and min(sigma) == 0.0):
            raise InputError(f"mosaic spread is {checks.shown(given)}; expected radians, 0 or more, or three above 0")
        domains = checks.whole_number("mosaic domains", self.domains, at_least=2)
        if domains % 2 or domains > MOST:
            raise InputError(f"mosaic domains of a spread are {domains}; expected an even number, at most {MOST}")
        checks.coerce(
            self,
            sigma=sigma,
            domains=domains,
            axes=checks.choice("axes of the mosaic spread", self.axes, MosaicAxes),
            seed=checks.whole_number("seed of the mosaic spread", self.seed, at_least=0),
        )

    @property
    def anisotropic(self) -> bool:
        """Whether the spread differs from axis to axis."""
        return len(set(self.sigma)) > 1

    def rotations(self, axes: Sequence[Sequence[float]] | None = None) -> np.ndarray:
        """The rotations (domains, 3, 3), each followed by its inverse.

        axes  unit vectors (3, 3), row by row, about which the three angles are; None: x, y, z
        """
        about, deviates = self._half()
        angles = self._effective(about, axes) * deviates
        pairs = np.stack([_turns(about, angles), _turns(about, -angles)], axis=1)
        return pairs.reshape(-1, 3, 3)

    def _half(self) -> tuple[np.ndarray, np.ndarray]:
        """Axes (n, 3) and normal deviates (n,) of every other domain."""
        about, quantiles = (_spiral if self.axes == MosaicAxes.SPIRAL else _drawn)(self.domains // 2, self.seed)
        return about, np.array(list(map(_normal_quantiles(), quantiles)))

    def draws(self, axes: Sequence[Sequence[float]] | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Axes (domains, 3) of the rotations, normal deviates (domains,) of their angles, and shares (domains, 3).

        The standard deviation about an axis is the sum of shares / `sigma` squared, to the power -1/2.
        axes  as for `rotations`
        """
        about, deviates = self._half()
        along = np.eye(3) if axes is None else np.array(axes)
        # T is the symmetric part of a sum over the axes, of which each has its own inverse square.
        shares = (about @ along.T) * (about @ np.linalg.inv(along))
        signed = np.stack([deviates, -deviates], axis=1).reshape(self.domains)
        return np.repeat(about, 2, axis=0), signed, np.repeat(shares, 2, axis=0)

    def angles(self, axes: Sequence[Sequence[float]] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Axes (domains, 3) of the rotations, and the derivatives (domains, k) of their angles with `sigma`.

        There is one derivative where all three of `sigma` are equal, else one with each of them.
        axes  as for `rotations`
        """
        about, deviates, shares = self.draws(axes)
        if not self.anisotropic:
            return about, deviates[:, None]
        return about, deviates[:, None] * self._effective(about, axes)[:, None] ** 3 * shares / np.array(
            self.sigma
        ) ** 3

    def _effective(self, about: np.ndarray, axes: Sequence[Sequence[float]] | None) -> np.ndarray:
        """Standard deviation (n,) about each of the axes (n, 3)."""
        if not self.anisotropic:
            return np.full(len(about), self.sigma[0])
        effective: np.ndarray = np.einsum("ni,ij,nj->n", about, self._tensor(axes), about) ** -0.5
        return effective

    def _tensor(self, axes: Sequence[Sequence[float]] | None) -> np.ndarray:
        """T (3, 3) in the laboratory; its symmetric part counts."""
        t = np.diag(np.array(self.sigma) ** -2.0)
        if axes is not None:
            s = np.array(axes).T
            t = s @ t @ np.linalg.inv(s)
        symmetric: np.ndarray = (t + t.T) / 2.0
        return symmetric

    def check(self, axes: Sequence[Sequence[float]]) -> None:
        """Raise InputError where three angles about such axes make no spread about some axis between them."""
        if self.anisotropic and not np.linalg.eigvalsh(self._tensor(axes)).min() > 0.0:
            raise InputError(
                "an anisotropic mosaic spread in the frame of a crystal whose cell is too skew for it; "
                "expected the frame lab"
            )

    def summary(self) -> dict[str, str]:
        shown = self.sigma if self.anisotropic else self.sigma[:1]
        rows = {
            "spread": " ".join(f"{math.degrees(x):.6g}" for x in shown) + "°",
            "domains": counted(self.domains, "mosaic domain"),
        }
        if self.axes != MosaicAxes.SPIRAL:
            rows["axes"] = f"{self.axes} axes, seed {self.seed}"
        return rows


@frozen(repr=False)
class SizeSpread(Noun):
    """Sizes of the domains of a crystal, as factors on its numbers of cells, and how many domains have each.

    The intensity is the mean over the domains: that of each size in proportion to its number.

    Raises
    ------
    InputError
        Where there is no size, one is not above 0, or numbers are negative or all zero.

    Examples
    --------
    >>> from tilesim import Crystal, SizeSpread
    >>> sizes = SizeSpread((0.5, 1.0, 1.5), (1, 2, 1))
    >>> [round(float(x), 3) for x in SizeSpread.lognormal(0.3, 5).factors]
    [0.664, 0.83, 0.968, 1.129, 1.41]
    >>> Crystal.from_cell(5e-9, 6e-9, 7e-9, cells=(20, 20, 20), sizes=sizes).sizes
    SizeSpread
      sizes  3 sizes, 0.5 to 1.5 of the mean
    """

    factors: tuple[float, ...]
    """What the numbers of cells are multiplied by."""
    numbers: tuple[float, ...]
    """Relative numbers of domains."""

    def __post_init__(self) -> None:
        count = 0 if checks.single(self.factors) else len(self.factors)
        if not count:
            raise InputError(f"sizes of domains are {checks.shown(self.factors)}; expected at least one factor")
        factors = checks.numbers("sizes of domains", self.factors, count)
        numbers = checks.numbers("numbers of domains of each size", self.numbers, count)
        if not min(factors) > 0.0:
            raise InputError(f"sizes of domains are {checks.shown(self.factors)}; expected factors above 0")
        if min(numbers) < 0.0 or not sum(numbers) > 0.0:
            raise InputError(f"numbers of domains are {checks.shown(self.numbers)}; expected 0 or more, not all 0")
        checks.coerce(self, factors=factors, numbers=numbers)

    @classmethod
    def lognormal(cls, deviation: float, count: int = 7) -> Self:
        """Sizes whose logarithm is normal: the middles of `count` equally likely parts, with a mean of 1.

        deviation  standard deviation of the size, relative to its mean, before it is cut into parts
        """
        deviation = checks.not_negative("standard deviation of the size", deviation)
        count = checks.whole_number("sizes", count, at_least=1)
        width = math.sqrt(math.log1p(deviation * deviation))
        quantile = _normal_quantiles()
        sizes = [math.exp(width * quantile((k + 0.5) / count)) for k in range(count)]
        mean = sum(sizes) / count
        return cls(tuple(size / mean for size in sizes), (1.0,) * count)

    @property
    def shares(self) -> tuple[float, ...]:
        """Shares of all domains, which add up to 1."""
        total = math.fsum(self.numbers)
        return tuple(number / total for number in self.numbers)

    def summary(self) -> dict[str, str]:
        low, high = min(self.factors), max(self.factors)
        return {"sizes": f"{counted(len(self.factors), 'size')}, {low:.3g} to {high:.3g} of the mean"}


def _spiral(count: int, seed: int) -> tuple[np.ndarray, list[float]]:
    """Axes (count, 3) along a spiral over half a sphere, and quantiles from 1/2 on in random order."""
    t = (np.arange(count) + 0.5) / count
    theta, phi = np.arccos(t), math.sqrt(math.pi * count) * np.arcsin(t)
    axes = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=1)
    return axes, [(1.0 + k / count) / 2.0 for k in _shuffled(count, seed)]


def _drawn(count: int, seed: int) -> tuple[np.ndarray, list[float]]:
    """Axes (count, 3) uniform on the sphere, and quantiles."""
    uniform = _python_random(seed).random  # the only numbers of this module that Python promises to keep
    axes, quantiles = [], []
    for _ in range(count):
        z, phi = 2.0 * uniform() - 1.0, 2.0 * math.pi * uniform()
        across = math.sqrt(1.0 - z * z)
        axes.append((across * math.cos(phi), across * math.sin(phi), z))
        quantiles.append(max(uniform(), 2.0**-54))
    return np.array(axes), quantiles


def _shuffled(count: int, seed: int) -> list[int]:
    """0 to count - 1 in the order of Python's `random.shuffle`, which simtbx takes, written out so that it stays."""
    bits, order = _python_random(seed).getrandbits, list(range(count))
    for last in range(count - 1, 0, -1):
        chosen = bits((last + 1).bit_length())
        while chosen > last:
            chosen = bits((last + 1).bit_length())
        order[last], order[chosen] = order[chosen], order[last]
    return order


def _python_random(seed: int) -> Random:
    """Python's generator, imported where random numbers are wanted."""
    from random import Random

    return Random(seed)


def _normal_quantiles() -> Callable[[float], float]:
    """Quantiles of the standard normal distribution by probability, imported where they are wanted."""
    from statistics import NormalDist

    return NormalDist().inv_cdf


def _turns(axes: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotations (n, 3, 3) about unit vectors (n, 3) by radians (n,)."""
    x, y, z = axes.T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    sin, cos = np.sin(angles)[:, None, None], np.cos(angles)[:, None, None]
    turns: np.ndarray = np.eye(3) + sin * cross + (1.0 - cos) * (cross @ cross)
    return turns
