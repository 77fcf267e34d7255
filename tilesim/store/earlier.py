"""Stores of format 1: what can still be said of their experiments."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tilesim.errors import InputError
from tilesim.model import Experiment, Series, StructureFactors
from tilesim.model.serial import from_plain
from tilesim.store.layout import FrameCoordinate

SAME_GEOMETRY = ("frame", "phi", "name", "N", "Na", "Nb", "Nc", "seed", "hkl", "default_F", "max_I", "mean", "total")
"""Coordinates that may vary in a store of format 1 without another beam, crystal axis or detector."""


def earlier_series(attributes: Mapping[str, Any], coordinates: Sequence[FrameCoordinate], where: str) -> Series:
    """The experiments of a store of format 1, without mask and background; its structure factors are absent.

    Raises InputError where frames differ in what it did not keep.
    """
    plain = attributes.get("experiment")
    if not isinstance(plain, Mapping):
        raise InputError("it does not say of which experiment it is; expected its geometry (--geometry, or flags)")
    varied = [
        one.name for one in coordinates if one.name not in SAME_GEOMETRY and any(v != one.values[0] for v in one.values)
    ]
    if varied:
        raise InputError(
            f"frames differ in {', '.join(varied)}, and a store of format 1 keeps the geometry of its first frame "
            "only; expected the geometry of a frame (--geometry, or flags)"
        )
    parts = {name: plain[name] for name in ("beam", "crystal", "detector", "scan", "sampling")}
    background = plain.get("background")
    if background:
        parts["beam"] = {**parts["beam"], "size": math.sqrt(background["area"])}
    factors = StructureFactors.described(plain["factors"], where)
    experiment = from_plain(Experiment, {**parts, "factors": factors})
    phi = next((one.values for one in coordinates if one.name == "phi"), None)
    numbers = list(map(int, coordinates[0].values))
    if phi is None:
        return Series.of([experiment] * len(numbers), numbers=numbers)
    return Series(experiment, {"scan.start": [math.radians(x) for x in phi]}, numbers=numbers)
