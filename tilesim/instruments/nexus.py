"""NeXus in HDF5: groups by class, numbers with units, chains of transformations as 4 x 4 matrices in metres."""

from __future__ import annotations

import math
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.files.libraries import Hdf5
from tilesim.frozen import frozen

METRES = {
    **{name: 1.0 for name in ("m", "metre", "meter")},
    **{name: 1e-2 for name in ("cm", "centimetre", "centimeter")},
    **{name: 1e-3 for name in ("mm", "millimetre", "millimeter")},
    **{name: 1e-6 for name in ("um", "µm", "μm", "micron", "micrometre", "micrometer")},
    **{name: 1e-9 for name in ("nm", "nanometre", "nanometer")},
    **{name: 1e-10 for name in ("a", "å", "Å".lower(), "ang", "angstrom", "ångström", "angstroem")},
    **{name: 1e-12 for name in ("pm", "picometre", "picometer")},
}
RADIANS = {
    **{name: math.pi / 180.0 for name in ("deg", "degree", "°")},
    **{name: 1.0 for name in ("rad", "radian")},
    **{name: 1e-3 for name in ("mrad", "milliradian")},
    **{name: math.pi / 10800.0 for name in ("arcmin", "arcminute")},
    **{name: math.pi / 648000.0 for name in ("arcsec", "arcsecond")},
    **{name: math.tau for name in ("turn", "revolution")},
}
JOULES = {
    **{name: 1.602176634e-19 * factor for name, factor in (("ev", 1.0), ("kev", 1e3))},
    **{name: 1.602176634e-19 for name in ("electronvolt", "electron_volt")},
    **{name: 1.602176634e-16 for name in ("kiloelectronvolt", "kiloelectron_volt")},
    **{name: 1.0 for name in ("j", "joule")},
}
UNITS = {"length": METRES, "angle": RADIANS, "energy": JOULES}
"""Factors to SI units by the name of the unit in small letters, without the s of a plural."""
EXPECTED = {
    "length": "a length such as m or mm",
    "angle": "an angle such as deg or rad",
    "energy": "an energy such as eV or keV",
}
MOST = 10_000_000
"""Numbers of a dataset that is no image."""
LONGEST = 50
"""Links of a chain; a longer one goes round in circles."""
DEEPEST = 6
"""Groups within groups; links may lead back to where one was."""


def text(value: Any) -> str:
    """A text as HDF5 keeps it: of fixed or free length, alone or as the one element of an array."""
    while isinstance(value, np.ndarray):
        if value.size != 1:
            raise InputError(f"{value.size} texts; expected one")
        value = value.reshape(-1)[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def member(group: Hdf5, key: str) -> Hdf5 | None:
    """What a group holds by a name; None where it is not there, or is a link to what is not there."""
    try:
        return group.get(key)
    except (KeyError, OSError, RuntimeError):
        return None


def broken_link(group: Hdf5, key: str) -> str | None:
    """Where a link leads that leads nowhere; None for what is there, or is not mentioned at all."""
    if member(group, key) is not None:
        return None
    try:
        link = group.get(key, getlink=True)
    except (KeyError, OSError, RuntimeError):
        return None
    place = getattr(link, "path", None)
    if place is None:
        return None
    file = getattr(link, "filename", None)
    return f"{place} in {file}" if file else str(place)


def names(group: Hdf5) -> list[str]:
    """The names in a group; those that are no text are of a damaged file."""
    return [key for key in group if isinstance(key, str)]


def children(group: Hdf5, kind: str) -> Iterator[Hdf5]:
    """The groups of a class right within another, by name."""
    for key in names(group):
        item = member(group, key)
        if item is not None and hasattr(item, "keys") and text(item.attrs.get("NX_class", "")) == kind:
            yield item


def within(group: Hdf5, kind: str) -> list[Hdf5]:
    """The groups of a class within another, in depth first, each once."""
    found, seen = [], {group}

    def descend(parent: Hdf5, depth: int) -> None:
        for key in names(parent):
            item = member(parent, key)
            if item is None or not hasattr(item, "keys") or item in seen:
                continue
            seen.add(item)
            if text(item.attrs.get("NX_class", "")) == kind:
                found.append(item)
            elif depth > 1:
                descend(item, depth - 1)

    descend(group, DEEPEST)
    return found


def numbers(dataset: Hdf5) -> np.ndarray:
    """The numbers of a dataset, at least one, as a flat array. Raises InputError."""
    if not 0 <= getattr(dataset, "size", -1) <= MOST:
        raise InputError(f"{dataset.name} holds {getattr(dataset, 'size', 'no')} numbers; expected at most {MOST}")
    try:
        values = np.asarray(dataset[()], float).reshape(-1)
    except (TypeError, ValueError, AttributeError):
        raise InputError(f"{dataset.name} holds no numbers; expected some") from None
    if not values.size or not np.isfinite(values).all():
        raise InputError(f"{dataset.name} holds {'NaN or infinity' if values.size else 'nothing'}; expected numbers")
    return values


def factor_of(dataset: Hdf5, kind: str, attribute: str = "units") -> float:
    """What makes SI units of a dataset's numbers. Raises InputError where it has no units, or others.

    kind  length, angle or energy
    """
    if attribute not in dataset.attrs:
        raise InputError(f"{dataset.name} has no {attribute}; expected {EXPECTED[kind]}")
    factor = _factor(dataset.attrs, attribute, kind)
    if factor is None:
        said = text(dataset.attrs[attribute])[:20]
        raise InputError(f"{dataset.name} is in {said!r}; expected {EXPECTED[kind]}")
    return factor


def _factor(attributes: Mapping[str, Any], name: str, kind: str) -> float | None:
    """The factor of an attribute's units; None where there is none, or they are of another kind."""
    if name not in attributes:
        return None
    unit = text(attributes[name]).strip().lower()
    table = UNITS[kind]
    return table.get(unit, table.get(unit.removesuffix("s")))


def quantity(dataset: Hdf5, kind: str) -> float:
    """The first number of a dataset, in SI units. Raises InputError."""
    value = float(numbers(dataset)[0])
    return value * factor_of(dataset, kind) if value else 0.0


def vector(dataset: Hdf5, key: str = "vector") -> np.ndarray:
    """Three numbers of an attribute. Raises InputError."""
    if key not in dataset.attrs:
        raise InputError(f"{dataset.name} has no {key}; expected three numbers")
    try:
        found = np.asarray(dataset.attrs[key], float).reshape(-1)
    except (TypeError, ValueError):
        found = np.zeros(0)
    if found.size != 3 or not np.isfinite(found).all():
        raise InputError(f"the {key} of {dataset.name} is {str(dataset.attrs[key])[:40]}; expected three numbers")
    return found


def offset(dataset: Hdf5) -> np.ndarray | None:
    """Where the axis of a dataset is mounted, metres; None where that is not said. Raises InputError.

    Without units of its own an offset is in those of the dataset where they are a length, else in metres.
    """
    if "offset" not in dataset.attrs:
        return None
    found = vector(dataset, "offset")
    if not found.any():
        return found
    if "offset_units" in dataset.attrs:
        return found * factor_of(dataset, "length", "offset_units")
    own = _factor(dataset.attrs, "units", "length")
    return found * (1.0 if own is None else own)


@frozen
class Transformation:
    """One link of a chain, as the manual of NeXus defines it: first the step or turn, then the offset."""

    dataset: Hdf5

    @property
    def name(self) -> str:
        return str(self.dataset.name)

    @cached_property
    def values(self) -> np.ndarray:
        return numbers(self.dataset)

    @property
    def varies(self) -> bool:
        return bool((self.values != self.values[0]).any())

    @cached_property
    def is_rotation(self) -> bool:
        """By its type; where that is missing by its units."""
        kind = text(self.dataset.attrs.get("transformation_type", "")).strip().lower()
        if kind in ("rotation", "translation"):
            return kind == "rotation"
        if _factor(self.dataset.attrs, "units", "angle") is not None:
            return True
        if not self.values.any() or _factor(self.dataset.attrs, "units", "length") is not None:
            return False
        raise InputError(f"{self.name} has the transformation_type {kind[:20]!r}; expected rotation or translation")

    @cached_property
    def axis(self) -> np.ndarray:
        """Unit vector of a rotation. Raises InputError."""
        along = vector(self.dataset)
        length = float(np.linalg.norm(along))
        if not length > 0.0:
            raise InputError(f"the vector of {self.name} is zero; expected the axis of a rotation")
        unit: np.ndarray = along / length
        return unit

    @property
    def matrix(self) -> np.ndarray:
        """4 x 4, for columns (x, y, z, 1) in metres, at the first of its values."""
        whole, value = np.eye(4), float(self.values[0])
        if value and self.is_rotation:
            whole[:3, :3] = _turn(self.axis, value * factor_of(self.dataset, "angle"))
        elif value:
            # A vector of a translation counts as it is, whatever its length.
            whole[:3, 3] = value * factor_of(self.dataset, "length") * vector(self.dataset)
        shift = offset(self.dataset)
        if shift is not None:
            whole[:3, 3] += shift
        return whole


def _turn(axis: np.ndarray, angle: float) -> np.ndarray:
    x, y, z = axis
    skew = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    turned: np.ndarray = np.eye(3) + math.sin(angle) * skew + (1.0 - math.cos(angle)) * (skew @ skew)
    return turned


def chain(start: str, group: Hdf5) -> list[Transformation]:
    """The transformations that `start`, as seen from a group, depends on in turn, itself first. Raises InputError."""
    found: list[Transformation] = []
    name = start
    while name not in (".", ""):
        item = member(group, name)
        if item is None:
            where = broken_link(group, posixpath.normpath(name))
            lost = f" (a link to {where})" if where else ""
            raise InputError(f"a chain depends on {name[:80]}{lost}, which is not there")
        if hasattr(item, "keys"):
            raise InputError(f"a chain depends on {name[:80]}, which is a group; expected a transformation")
        found.append(Transformation(item))
        if len(found) > LONGEST:
            raise InputError(f"the chain from {start[:80]} has no end")
        group, name = item.parent, text(item.attrs.get("depends_on", "."))
    return found


def cumulative(links: Sequence[Transformation]) -> np.ndarray:
    """The product of a chain, innermost first: what places a thing in the laboratory frame."""
    whole = np.eye(4)
    for link in links:
        whole = link.matrix @ whole
    return whole
