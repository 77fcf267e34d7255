"""CrystFEL geometry files (.geom): the part of their grammar that says where panels are and which pixels are bad."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from tilesim.errors import InputError
from tilesim.model.detector import Panel
from tilesim.model.instrument import Instrument, flat_panel
from tilesim.model.mask import PixelMask
from tilesim.model.materials import ENERGY_TIMES_WAVELENGTH
from tilesim.model.vectors import norm

EDGES = ("min_fs", "max_fs", "min_ss", "max_ss")
PLACED = ("corner_x", "corner_y", "fs", "ss", "res", "clen", "coffset")
TERM = re.compile(r"([+-]?)\s*(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)?\s*([xyz])\s*")
UNITS = {"m": 1.0, "mm": 1e-3, "": 1.0}
ENERGIES = {"": 1e-3, "ev": 1e-3, "kev": 1.0, "mev": 1e3}
SQUARE = 1e-3
"""How far the step along an axis may be from one pixel."""

Edges = tuple[int, int, int, int]
"""First and last pixel along fs, then along ss, in the data."""


def parse_geom(content: bytes, name: str) -> Instrument:
    """The instrument: incident beam along +z, y up; panels in the order of the file. Raises InputError."""
    shared: dict[str, str] = {}
    panels: dict[str, dict[str, str]] = {}
    bad: dict[str, dict[str, str]] = {}
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        text = line.partition(";")[0].strip()
        if not text:
            continue
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not key:
            raise InputError(f"line {number}: expected key = value; found {text[:60]!r}")
        owner, slash, field = key.rpartition("/")
        if not slash:
            shared[key] = value
        elif owner.startswith("bad"):
            bad.setdefault(owner, {})[field] = value
        else:
            # What stands above a panel goes for it.
            panels.setdefault(owner, dict(shared))[field] = value
    if not panels:
        raise InputError("expected panels such as p0/min_fs = 0; found none")
    places = {key: _edges(key, panel) for key, panel in panels.items()}
    made = tuple(_panel(key, panel, places[key]) for key, panel in panels.items())
    return Instrument(name, made, wavelength=_wavelength(shared), mask=_mask(bad, list(places), places, made))


def _number(where: str, text: str, units: dict[str, float] | None = None) -> float:
    """A number, with one of `units` behind it where there are any."""
    word, _, unit = text.partition(" ")
    unit = unit.strip()
    try:
        value = float(word)
        factor = 1.0 if units is None and not unit else (units or {})[unit if unit in (units or {}) else unit.lower()]
    except (ValueError, KeyError):
        expected = "a number" + (" in " + " or ".join(filter(None, units)) if units else "")
        hint = "; the value stands in the data, write it here" if text.startswith(("/", "%")) else ""
        raise InputError(f"{where} = {text[:60]}: expected {expected}{hint}") from None
    return value * factor


def _need(key: str, panel: dict[str, str], field: str) -> str:
    if field not in panel:
        raise InputError(f"{key}/{field} is missing")
    return panel[field]


def _edges(key: str, panel: dict[str, str]) -> Edges:
    """Where a panel is in the data."""
    values = [_number(f"{key}/{field}", _need(key, panel, field)) for field in EDGES]
    if not all(float(value).is_integer() for value in values) or values[1] < values[0] or values[3] < values[2]:
        raise InputError(f"{key}: min_fs, max_fs, min_ss, max_ss are {values}; expected whole numbers, min up to max")
    left, right, top, bottom = (int(value) for value in values)
    return left, right, top, bottom


def _direction(key: str, field: str, text: str) -> tuple[float, float, float]:
    """`+1.0x -0.002y` as a vector."""
    found, end = [0.0, 0.0, 0.0], 0
    for match in TERM.finditer(text):
        if match.start() != end:
            break
        sign, size, axis = match.groups()
        found["xyz".index(axis)] += float(size or 1.0) * (-1.0 if sign == "-" else 1.0)
        end = match.end()
    if end != len(text) or not any(found):
        raise InputError(f"{key}/{field} = {text[:60]}: expected a vector such as +1.0x -0.002y")
    if abs(norm(found) - 1.0) > SQUARE:
        raise InputError(f"{key}/{field} has length {norm(found):g}; expected one pixel, of square pixels")
    x, y, z = found
    return (x, y, z)


def _panel(key: str, panel: dict[str, str], edges: Edges) -> Panel:
    corner = [_number(f"{key}/{field}", _need(key, panel, field)) for field in ("corner_x", "corner_y")]
    per_metre = _number(f"{key}/res", _need(key, panel, "res"))
    if not per_metre > 0.0:
        raise InputError(f"{key}/res = {per_metre:g}: expected pixels per metre, above 0")
    away = _number(f"{key}/clen", _need(key, panel, "clen"), UNITS)
    away += _number(f"{key}/coffset", panel.get("coffset", "0"), UNITS)
    fast, slow = (_direction(key, field, _need(key, panel, field)) for field in ("fs", "ss"))
    left, right, top, bottom = edges
    try:
        return flat_panel(
            (corner[0] / per_metre, corner[1] / per_metre, away),
            fast,
            slow,
            1.0 / per_metre,
            (bottom - top + 1, right - left + 1),
        )
    except InputError as error:
        raise InputError(f"{key}: {error}") from None


def _wavelength(shared: dict[str, str]) -> float | None:
    """Metres; None where the data say it."""
    if (text := shared.get("photon_energy", "/")).startswith("/") is False:
        return ENERGY_TIMES_WAVELENGTH / _number("photon_energy", text, ENERGIES)
    if (text := shared.get("wavelength", "/")).startswith("/") is False:
        return _number("wavelength", text, {"m": 1.0, "A": 1e-10})
    return None


def _mask(
    bad: dict[str, dict[str, str]], names: list[str], places: dict[str, Edges], panels: Sequence[Panel]
) -> PixelMask | None:
    """Pixels in no bad region: of the data (fs, ss), or of the laboratory (x, y, in pixels)."""
    if not bad:
        return None
    slow, fast = panels[0].shape
    if any(panel.shape != (slow, fast) for panel in panels):
        return None  # which the instrument refuses
    active = np.ones((len(panels), slow, fast), bool)
    for key, region in bad.items():
        limits = {
            field: _number(f"{key}/{field}", text) for field, text in region.items() if field[:4] in ("min_", "max_")
        }
        only = region.get("panel")
        if only is not None and only not in names:
            raise InputError(f"{key}/panel = {only[:40]}: there is no such panel")
        for part, name, panel in zip(active, names, panels, strict=True):
            if only not in (None, name):
                continue
            if "min_x" in limits:
                part[_inside(key, panel, limits)] = False
            else:
                left, _, top, _ = places[name]
                columns, rows = np.arange(fast) + left, np.arange(slow) + top
                low_fs, high_fs, low_ss, high_ss = (_limit(key, limits, field) for field in EDGES)
                part[np.ix_((rows >= low_ss) & (rows <= high_ss), (columns >= low_fs) & (columns <= high_fs))] = False
    return PixelMask(active.reshape(-1, fast))


def _limit(key: str, limits: dict[str, float], field: str) -> float:
    if field not in limits:
        raise InputError(f"{key}/{field} is missing")
    return limits[field]


def _inside(key: str, panel: Panel, limits: dict[str, float]) -> np.ndarray:
    """Which pixels (slow, fast) of a panel have their centre in a rectangle of the laboratory."""
    slow, fast = ((np.arange(count) + 0.5) * panel.pixel_size for count in panel.shape)
    inside = np.ones(panel.shape, bool)
    for axis, name in enumerate("xy"):
        where = panel.origin[axis] + slow[:, None] * panel.slow[axis] + fast * panel.fast[axis]
        where = where / panel.pixel_size
        inside &= (where >= _limit(key, limits, f"min_{name}")) & (where <= _limit(key, limits, f"max_{name}"))
    return inside
