"""Distributions by name, from which what varies between shots is drawn."""

from __future__ import annotations

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model import checks
from tilesim.model.noun import Noun

PARAMETERS = {
    "constant": ("mean",),
    "normal": ("mean", "sd"),
    "uniform": ("low", "high"),
    "lognormal": ("median", "sigma"),
    "gamma": ("mean", "sd"),
    "poisson": ("mean",),
    "choice": ("values", "weights"),
    "listed": ("values",),
}
"""Parameters of each distribution; the bounded ones may have low and high besides."""
BOUNDED = ("normal", "lognormal", "gamma", "poisson")
NEEDED = {"normal": ("sd",), "uniform": ("low", "high"), "lognormal": ("sigma",), "gamma": ("sd",)}
NEEDED |= {"choice": ("values",), "listed": ("values",)}
LARGEST_COUNT = 1e4
"""Largest mean of a Poisson distribution."""


@frozen(repr=False)
class Distribution(Noun):
    """A distribution of one quantity over the shots of a series.

    "constant" (mean), "normal" (mean, sd), "uniform" (low, high), "lognormal" (median, sigma), "gamma" (mean, sd),
    "poisson" (mean; of what is counted), "choice" (values, weights) or "listed" (values, one for each shot in order).
    Mean and median are those of the base experiment where they are not stated. Normal, lognormal, gamma and Poisson
    deviates outside of low and high are drawn again.

    Raises
    ------
    InputError
        Where the name is unknown, a parameter is missing, is none of the distribution's, or makes no sense.

    Examples
    --------
    >>> from tilesim import Distribution
    >>> Distribution("normal", sd=0.01, relative=True)
    Distribution
      name  normal
      sd    0.01 of the base's
    """

    name: str
    """Which distribution."""
    mean: float | None = None
    """None: the value of the base experiment, 1 where relative."""
    sd: float | None = None
    """Standard deviation, zero or more; of a gamma distribution above zero."""
    low: float | None = None
    """Smallest value."""
    high: float | None = None
    """Largest value."""
    median: float | None = None
    """Median of a lognormal distribution; None as for `mean`."""
    sigma: float | None = None
    """Standard deviation of the natural logarithm."""
    values: tuple[float, ...] = ()
    """Values to choose from, or those of the shots."""
    weights: tuple[float, ...] = ()
    """Weight of each value of a choice; empty: all alike."""
    relative: bool = False
    """Whether the parameters are multiples of the value of the base experiment."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or self.name not in PARAMETERS:
            raise InputError(f"distribution {checks.shown(self.name)}; expected one of {', '.join(PARAMETERS)}")
        for field in ("mean", "sd", "low", "high", "median", "sigma"):
            if getattr(self, field) is not None:
                checks.coerce(self, **{field: checks.finite(f"{field} of a distribution", getattr(self, field))})
        checks.coerce(self, relative=checks.flag("relative of a distribution", self.relative))
        for field in ("values", "weights"):
            given = tuple(getattr(self, field))
            checks.coerce(self, **{field: checks.numbers(f"{field} of a distribution", given, len(given))})
        self._check_parameters()

    def _check_parameters(self) -> None:
        known = (*PARAMETERS[self.name], *(("low", "high") if self.name in BOUNDED else ()))
        fields = ("mean", "sd", "low", "high", "median", "sigma", "values", "weights")
        given = [name for name in fields if getattr(self, name) not in (None, ())]
        if others := [name for name in given if name not in known]:
            raise InputError(f"a {self.name} distribution with {others[0]}; expected {', '.join(known)}")
        if gone := [name for name in NEEDED.get(self.name, ()) if name not in given]:
            raise InputError(f"a {self.name} distribution without {gone[0]}; expected {', '.join(known)}")
        for name in ("sd", "sigma"):
            if name in given:
                checks.not_negative(f"{name} of a distribution", getattr(self, name))
        if self.name == "gamma":
            checks.positive("sd of a gamma distribution", self.sd)
        if self.name == "poisson":
            checks.positive("mean of a poisson distribution", 1.0 if self.mean is None else self.mean)
            if self.relative or (self.mean or 0.0) > LARGEST_COUNT:
                raise InputError(f"a poisson distribution expects a mean up to {LARGEST_COUNT:g} that is not relative")
        if self.low is not None and self.high is not None and not self.low <= self.high:
            raise InputError(f"a distribution from {self.low:g} to {self.high:g}; expected low below high")
        if self.weights and (len(self.weights) != len(self.values) or min(self.weights) < 0 or not sum(self.weights)):
            raise InputError(
                f"{len(self.weights)} weights of {len(self.values)} values; expected one of 0 or more for each"
            )

    def scaled(self, unit: float) -> Distribution:
        """The distribution in another unit, in which a value is `unit` times as large; a relative one as it is."""
        if self.relative:
            return self
        names = ("mean", "sd", "low", "high", "median")
        changed = {n: x * unit for n in names if (x := getattr(self, n)) is not None}
        return self.replace(**changed, values=tuple(x * unit for x in self.values))

    def summary(self) -> dict[str, str]:
        of = " of the base's" if self.relative else ""
        names = ("mean", "sd", "low", "high", "median")
        rows = {"name": self.name} | {n: f"{x:g}{of}" for n in names if (x := getattr(self, n)) is not None}
        if self.sigma is not None:
            rows["sigma"] = f"{self.sigma:g}"
        if self.values:
            rows["values"] = f"{len(self.values)}, from {min(self.values):g} to {max(self.values):g}{of}"
        return rows
