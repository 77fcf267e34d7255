"""How many steps a range is cut into: the rules for phi, divergence, dispersion, sensor layers and mosaic domains."""

from __future__ import annotations

import math

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.nanobragg.settings import RTD

MAX_STEPS = 2**31 - 1
"""Most steps of one pixel; the reference counts them in a 32-bit integer."""

MAX_LISTED = 10**7
"""Phi angles, sources, layers or domains; each is kept and printed, so more is taken for a mistake."""

_MAX_SINGLE = 3.4e38


@frozen
class Sweep:
    """A range cut into equal steps; radians, metres or a fraction."""

    range: float
    step: float
    count: int


@frozen
class Mosaic:
    """Mosaic domains over a spread."""

    domains: int
    spread: float
    """Radians."""
    warning: str | None = None
    """The reference's words where it changed what was asked for."""
    kind: str = ""
    """How the domains are spread, for people, where it is not the reference's way."""


def phi_sweep(osc: float | None, step: float | None, count: int | None) -> Sweep:
    """Oscillation range and step (radians) and step count (spec command-line 4.5).

    Negative values count as not given. Raises InputError where no step is left.
    """
    osc_given = osc is not None and not osc < 0.0
    step_given = step is not None and not step <= 0.0
    if count is None or count < 0:
        if not osc_given:
            sweep = Sweep(step, step, 2) if step_given else Sweep(0.0, 0.0, 1)
        else:
            sweep = Sweep(osc, step, _ceil(osc / step, "phi")) if step_given else Sweep(osc, osc / 2.0, 2)
    else:
        count = max(count, 1)
        if not osc_given:
            sweep = Sweep(step, step, 2) if step_given else Sweep(1.0 / RTD, 1.0 / RTD / count, count)
        elif step is None or step < 0.0:
            sweep = Sweep(osc, osc / count, count)
        else:
            sweep = Sweep(osc, step, count)
    if sweep.count < 1:
        raise InputError("-osc and -phistep leave no phi step; expected an oscillation range above zero")
    check_count(sweep.count, "phi steps")
    return sweep


def angular_sweep(name: str, extent: float | None, step: float | None, count: int | None) -> Sweep:
    """Range, step and count of one divergence direction or of the dispersion (spec command-line 4.6, 4.7).

    `name` is for messages. None, a negative range, a step or count of zero or less are not given.
    """
    extent_given = extent is not None and not extent < 0.0
    step_given = step is not None and not step <= 0.0
    if count is None or count <= 0:
        if not extent_given:
            sweep = Sweep(step, step, 2) if step_given else Sweep(0.0, 0.0, 1)
        else:
            sweep = Sweep(extent, step, _ceil(extent / step, name)) if step_given else Sweep(extent, extent, 2)
    elif not extent_given:
        sweep = Sweep(step, step, 2) if step_given else Sweep(1.0, 1.0 / count, count)
    elif not step_given:
        count = max(count, 2)
        sweep = Sweep(extent, extent / (count - 1), count)
    else:
        sweep = Sweep(extent, step, count)
    check_count(sweep.count, f"{name} steps")
    empty = sweep.range <= 0.0 or sweep.step <= 0.0 or sweep.count <= 0
    return Sweep(0.0, 0.0, 1) if empty else sweep


def sensor_sweep(thickness: float, count: int | None, *, strict_c: bool = False) -> Sweep:
    """Thickness (metres), layer spacing and layer count of the sensor (spec command-line 4.8).

    K4: an explicit count N gives layers of t/N; the reference spaces at least two by t/(N-1).
    """
    given = count is not None and count > 0
    if thickness < 0.0:
        sweep = Sweep(0.5e-6, 0.5e-6 / count, count) if given else Sweep(0.0, 0.0, 1)
    elif not given:
        sweep = Sweep(thickness, thickness / 2, 2)
    elif strict_c:
        count = max(count, 2)
        sweep = Sweep(thickness, thickness / (count - 1), count)
    else:
        sweep = Sweep(thickness, thickness / count, count)
    check_count(sweep.count, "sensor layers")
    return sweep if sweep.range > 0.0 and sweep.step > 0.0 else Sweep(0.0, 0.0, 1)


def mosaic_domains(spread: float | None, domains: int | None) -> Mosaic:
    """Domain count and spread (radians) (spec command-line 4.9)."""
    if spread is not None and spread < 0.0:
        spread = None
    if spread is not None and not spread < _MAX_SINGLE:
        raise InputError(f"-mosaic is {spread * RTD:g} degrees; expected a finite angle")
    check_count(domains or 0, "mosaic domains")
    if domains is None or domains <= 0:
        if not spread:
            return Mosaic(1, 0.0)
        return Mosaic(10, spread, "WARNING: finite mosaicity with only one domain! upping to 10 mosaic domains")
    if spread is None:
        return Mosaic(1, 0.0, "WARNING: no mosaic spread specified.  setting mosaic_domains = 1")
    if spread == 0.0:
        return Mosaic(1, 0.0, "WARNING: zero mosaic spread specified.  setting mosaic_domains = 1")
    return Mosaic(domains, spread)


def check_count(count: float, what: str) -> None:
    """Raise InputError where there are more of `what` than can be listed."""
    if not count <= MAX_LISTED:
        raise InputError(f"{count:g} {what}; expected at most {MAX_LISTED:g}")


def _ceil(ratio: float, name: str) -> int:
    check_count(abs(ratio), f"{name} steps")
    return math.ceil(ratio)
