"""A detector in TOML (docs/detectors.md): panels, beam and spindle in millimetres and angstrom."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.model import checks
from tilesim.model.detector import Panel
from tilesim.model.instrument import Instrument, flat_panel, of_one_shape, sensor_of
from tilesim.model.vectors import unit

TOP = (
    "panel",
    "pixel",
    "shape",
    "beam",
    "polarization",
    "kahn_factor",
    "spindle",
    "wavelength",
    "material",
    "thickness",
)
PANEL = ("origin", "fast", "slow", "pixel", "shape", "bad")


def parse_toml(content: bytes, name: str) -> Instrument:
    """The instrument. Raises InputError, naming the key."""
    plain = tomllib.loads(content.decode())
    _only(plain, TOP, "")
    tables = plain.get("panel")
    if not isinstance(tables, list) or not tables:
        raise InputError("expected tables [[panel]]")
    panels: list[Panel] = []
    regions: list[list[tuple[int, ...]]] = []
    for number, table in enumerate(tables):
        where = f"panel {number}: "
        _only(table, PANEL, where)
        try:
            panels.append(_panel({**plain, **table}))
        except InputError as error:
            raise InputError(f"{where}{error}") from None
        regions.append([checks.whole_numbers(f"{where}bad", bad, 4, at_least=0) for bad in table.get("bad", [])])
    known: dict[str, Any] = {
        key: unit(checks.direction(key, plain[key])) for key in ("beam", "spindle") if key in plain
    }
    if "polarization" in plain:
        known["polarization_axis"] = unit(checks.direction("polarization", plain["polarization"]))
    if "kahn_factor" in plain:
        known["kahn_factor"] = checks.finite("kahn_factor", plain["kahn_factor"])
    if "wavelength" in plain:
        known["wavelength"] = checks.positive("wavelength", plain["wavelength"]) * 1e-10
    if "thickness" in plain:
        material = checks.text("material", _need(plain, "material"))
        known["sensor"] = sensor_of(checks.not_negative("thickness", plain["thickness"]) * 1e-3, material)
    same, mask = of_one_shape(panels, [_active(*one) for one in zip(panels, regions, strict=True)])
    return Instrument(name, same, mask=mask, **known)


def _only(table: Any, keys: tuple[str, ...], where: str) -> None:
    if not isinstance(table, dict):
        raise InputError(f"{where}expected a table")
    if unknown := [key for key in table if key not in keys]:
        raise InputError(f"{where}there is no key {unknown[0][:40]!r}; expected {', '.join(keys)}")


def _need(table: dict[str, Any], key: str) -> Any:
    if key not in table:
        raise InputError(f"the key {key} is missing")
    return table[key]


def _panel(table: dict[str, Any]) -> Panel:
    pixel = checks.positive("pixel", _need(table, "pixel")) * 1e-3
    slow, fast = checks.whole_numbers("shape", _need(table, "shape"), 2, at_least=1)
    origin = [x * 1e-3 for x in checks.three_vector("origin", _need(table, "origin"))]
    return flat_panel(origin, _need(table, "fast"), _need(table, "slow"), pixel, (slow, fast))


def _active(panel: Panel, regions: Sequence[tuple[int, ...]]) -> np.ndarray | None:
    """Pixels in none of the rectangles (first slow, end of slow, first fast, end of fast); None: all."""
    if not regions:
        return None
    active = np.ones(panel.shape, bool)
    for top, bottom, left, right in regions:
        active[top:bottom, left:right] = False
    return active
