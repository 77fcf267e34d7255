"""Parameters of an experiment by name: what can be varied, how many numbers it is, its unit and its value."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.kernels.tables import channels_of
from tilesim.model import AnomalousFactors, Crystal, Experiment, Panel
from tilesim.model.materials import attenuation_power

ZERO = (0.0, 0.0, 0.0)


@frozen
class Variable:
    """One field that can be varied."""

    units: tuple[str, ...]
    """One for each of its numbers"""
    about: str


def _three(unit: str) -> tuple[str, ...]:
    return (unit,) * 3


KINDS = {
    "crystal": {
        "rotation": Variable(_three("rad"), "rotation vector in the laboratory, from the present orientation"),
        "cell": Variable((*_three("m"), *_three("rad")), "a, b, c, alpha, beta, gamma; the orientation stays"),
        "strain": Variable(("1",) * 6, "xx, yy, zz, yz, xz, xy of a strain in the laboratory, from the present cell"),
        "cells": Variable(_three("1"), "cells along a, b, c, as real numbers"),
        "cells_off_diagonal": Variable(_three("1"), "what an oriented N has off its diagonal"),
        "fudge": Variable(("1",), "factor on the squared radius of the shape"),
        "share": Variable(("1",), "factor on the intensity"),
        "mosaic_spread.sigma": Variable(("rad",), "standard deviation of the angle; three where they differ"),
    },
    "scan": {
        "start": Variable(("rad",), "angle of the first step"),
        "step": Variable(("rad",), "angle from step to step"),
        "oscillation": Variable(("rad",), "range of an image"),
    },
    "beam": {
        "wavelength": Variable(("m",), "central wavelength, which all sources follow"),
        "rotation": Variable(_three("rad"), "rotation vector of all directions about the axes of the laboratory"),
        "fluence": Variable(("1/m²",), "photons per area: the scale of everything"),
        "kahn_factor": Variable(("1",), "polarisation"),
        "polarization_axis": Variable(_three("1"), "direction of the electric field"),
    },
    "detector": {
        "distance": Variable(("m",), "shift along the incident beam, from the present distance"),
        "translation": Variable(_three("m"), "shift along the axes of the laboratory, from the present place"),
        "rotation": Variable(_three("rad"), "rotation vector about the sample, from the present orientation"),
        "origin": Variable(_three("m"), "outer corner of pixel (0, 0)"),
        "fast": Variable(_three("1"), "step along the fast axis"),
        "slow": Variable(_three("1"), "step along the slow axis"),
        "normal": Variable(_three("1"), "outward normal"),
        "pixel_size": Variable(("m",), "edge of a pixel"),
        "curved_radius": Variable(("m",), "radius of a curved detector"),
        "sensor.layer_thickness": Variable(("m",), "thickness of a layer of the sensor"),
        "sensor.attenuation": Variable(("1/m",), "attenuation of the sensor"),
    },
    "factors": {
        "f1": Variable(("electrons",), "f' of an element for each wavelength of the sources, rising"),
        "f2": Variable(("electrons",), "f'' likewise"),
    },
    "": {
        "water_size": Variable(("m",), "edge of the cube of water"),
        "background.thickness": Variable(("m",), "thickness of the background: its scale"),
    },
}  # fmt: skip
"""Fields by the part of an experiment, in the units of the nouns."""
RELATIVE = ("rotation", "strain", "distance", "translation")
"""Fields that count from what the experiment has: their value is zero."""
PLACES = r"\d{1,7}(?::\d{1,7})?"
NAME = re.compile(rf"(?:(crystal|other_crystals|scan|beam|detector)(?:\[({PLACES}(?:,{PLACES})*)\])?\.)?([a-z_.]+)")

OF_ELEMENT = re.compile(r"factors\.(f1|f2)\[(\w+)\]")


@frozen
class Parameter:
    """One or several numbers of an experiment that are varied together."""

    name: str
    part: str
    """crystal, scan, beam, detector, factors or nothing"""
    places: tuple[int, ...]
    """Numbers of the crystals, panels or curves of f' and f'' that it belongs to"""
    field: str
    value: tuple[float, ...]
    """What the experiment has"""
    units: tuple[str, ...]
    relative: bool = False
    """Whether it counts from what the experiment has, so that its value is 0"""

    @property
    def size(self) -> int:
        return len(self.value)


def parse_parameters(names: str | Iterable[str], experiment: Experiment) -> tuple[Parameter, ...]:
    """The parameters of these names, in their order. Raises InputError where the experiment has none such."""
    listed = [names] if isinstance(names, str) else list(names)
    if not listed:
        raise InputError(f"no parameter to vary; expected names such as {', '.join(_known('crystal')[:3])}")
    found = tuple(_parameter(name, experiment) for name in listed)
    if twice := next((name for name in listed if listed.count(name) > 1), None):
        raise InputError(f"parameter {twice} is listed twice; expected each once")
    return found


def attenuation_slope(panel: Panel, wavelength: float) -> float:
    """The power of the wavelength that the attenuation of the sensor follows; 0 where it is stated."""
    sensor = panel.sensor
    if sensor is None or sensor.attenuation is not None or sensor.material is None:
        return 0.0
    return attenuation_power(sensor.material, wavelength)


def _parameter(name: str, experiment: Experiment) -> Parameter:
    match = NAME.fullmatch(name) if isinstance(name, str) else None
    if name == "factors":
        raise InputError(
            "parameter factors has as many numbers as reflections; expected it for tilesim.pullback and "
            "tilesim.torch.simulate alone"
        )
    if isinstance(name, str) and (element := OF_ELEMENT.fullmatch(name)):
        return _anomalous(name, element[1], element[2], experiment)
    if match is None:
        raise InputError(
            f"parameter {name!r} is not known; expected a name such as crystal.rotation or detector[0:4].distance"
        )
    part, numbers, field = match.groups(default="")
    kinds = KINDS["crystal" if part == "other_crystals" else part]
    if field not in kinds:
        listed = ", ".join(name for name in KINDS if name) if not part else ", ".join(_known(part))
        raise InputError(f"parameter {name} is not known; expected one of {listed}")
    places = _places(name, part, numbers, experiment)
    part = "crystal" if part == "other_crystals" else part
    value = _value(name, part, places, field, experiment)
    units = kinds[field].units
    relative = field in RELATIVE or (part == "detector" and len(_values(places, field, experiment)) > 1)
    return Parameter(name, part, places, field, value, units * len(value) if len(units) == 1 else units, relative)


def _known(part: str) -> list[str]:
    return [f"{part}.{field}" for field in KINDS["crystal" if part == "other_crystals" else part]]


def _anomalous(name: str, field: str, element: str, experiment: Experiment) -> Parameter:
    """f' or f'' of an element. Raises InputError where structure factors do not have it."""
    factors = experiment.factors
    if not isinstance(factors, AnomalousFactors):
        raise InputError(f"parameter {name}: structure factors do not follow f' and f''; expected AnomalousFactors")
    places = tuple(number for number, curve in enumerate(factors.curves) if curve.element == element)
    if not places:
        listed = ", ".join(dict.fromkeys(curve.element for curve in factors.curves))
        raise InputError(
            f"parameter {name}: structure factors have no f' and f'' of {element}; expected one of {listed}"
        )
    channels = channels_of(factors, [source.wavelength for source in experiment.beam.waves])
    curve = factors.curves[places[0]].over(channels.wavelengths)
    value = tuple((curve.real if field == "f1" else curve.imag).tolist())
    return Parameter(name, "factors", places, field, value, KINDS["factors"][field].units * len(value))


def _places(name: str, part: str, numbers: str, experiment: Experiment) -> tuple[int, ...]:
    """Numbers of crystals or panels, from text such as 3, 0:4 or 0:4,7."""
    counts = {"other_crystals": len(experiment.other_crystals), "detector": len(experiment.detector.panels)}
    if part == "other_crystals" and not numbers.isdecimal():
        raise InputError(f"parameter {name}: expected the number of one crystal, as in other_crystals[0]")
    if not numbers:
        return tuple(range(counts["detector"])) if part == "detector" else (0,)
    if part not in counts:
        raise InputError(f"parameter {name}: {part} has no numbers; expected {part}.{name.partition('.')[2]}")
    found: list[int] = []
    for text in numbers.split(","):
        first, _, stop = text.partition(":")
        low, high = int(first), int(stop) if stop else int(first) + 1
        if not low < high <= counts[part]:
            what = "panels" if part == "detector" else "other crystals"
            raise InputError(f"parameter {name}: the experiment has {counts[part]} {what}; expected numbers below that")
        found += range(low, high)
    if len(set(found)) < len(found):
        raise InputError(f"parameter {name}: a panel is listed twice; expected each once")
    return tuple(place + 1 for place in found) if part == "other_crystals" else tuple(found)


def _value(name: str, part: str, places: tuple[int, ...], field: str, experiment: Experiment) -> tuple[float, ...]:
    """What the experiment has. Raises InputError where it has no such field."""
    if part == "crystal" and experiment.crystal is None:
        raise InputError(f"parameter {name}: the experiment has no crystal; expected one")
    if field in RELATIVE:
        return (0.0,) * len(KINDS[part][field].units)
    if part == "detector":
        first, *others = _values(places, field, experiment)
        if first is None or None in others:
            raise InputError(f"parameter {name}: a panel has none; expected it to have one of its own")
        # Of panels that differ the shift from what each has is varied.
        return (0.0,) * len(KINDS[part][field].units) if others else first
    value = _OF_PART[part](experiment, places[0], field)
    if value is None:
        raise InputError(f"parameter {name}: the experiment has none; expected one that has")
    return value


def _values(places: tuple[int, ...], field: str, experiment: Experiment) -> tuple[tuple[float, ...] | None, ...]:
    """The distinct values that some panels have."""
    return tuple(dict.fromkeys(_of_panel(experiment.detector.panels[place], field) for place in places))


def _of_panel(panel: Panel, field: str) -> tuple[float, ...] | None:
    noun: Any = panel.sensor if field.startswith("sensor.") else panel
    return None if noun is None else _numbers(getattr(noun, field.removeprefix("sensor.")))


def _of_crystal(experiment: Experiment, place: int, field: str) -> tuple[float, ...] | None:
    crystal: Crystal = experiment.crystals[place]
    if field == "cells_off_diagonal" and not crystal.shape.in_hkl:
        return None
    if field == "mosaic_spread.sigma":
        spread = crystal.mosaic_spread
        return None if spread is None else spread.sigma if spread.anisotropic else spread.sigma[:1]
    return _numbers(getattr(crystal, field))


def _of_experiment(experiment: Experiment, place: int, field: str) -> tuple[float, ...] | None:
    if field == "water_size":
        return (experiment.water_size,) if experiment.water_size else None
    return None if experiment.background is None else (experiment.background.thickness,)


def _numbers(value: float | tuple[float, ...] | None) -> tuple[float, ...] | None:
    if value is None:
        return None
    return tuple(map(float, value)) if isinstance(value, tuple) else (float(value),)


_OF_PART: dict[str, Callable[[Experiment, int, str], tuple[float, ...] | None]] = {
    "crystal": _of_crystal,
    "scan": lambda experiment, _, field: _numbers(getattr(experiment.scan, field)),
    "beam": lambda experiment, _, field: _numbers(getattr(experiment.beam, field)),
    "": _of_experiment,
}
