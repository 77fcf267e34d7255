"""CrystFEL geometry files (.geom): where panels are, as crystfel_geometry(5) has it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tilesim.errors import InputError
from tilesim.instruments.crystfellines import Line, Lines, nearest, read_lines
from tilesim.instruments.crystfelmask import BadRegion, PanelMask, mask_of
from tilesim.model.detector import Panel
from tilesim.model.instrument import UNEQUAL, Instrument, of_one_shape, stepped_panel
from tilesim.model.materials import ENERGY_TIMES_WAVELENGTH
from tilesim.model.vectors import Vector, norm

EDGES = ("min_fs", "max_fs", "min_ss", "max_ss")
PLACED = (*EDGES, "corner_x", "corner_y", "fs", "ss", "res", "clen", "coffset")
MASKED = ("no_index", "mask_edge_pixels", "mask", "mask_file", "mask_good", "mask_bad")
MASKS = re.compile(r"mask[0-7]_(data|file|goodbits|badbits)")
DIMENSIONS = re.compile(r"dim[0-9]+")
WITHOUT_EFFECT = ("adu_per_eV", "adu_per_photon", "data", "max_adu", "saturation_map", "saturation_map_file",
                  "flag_equal", "flag_lessthan", "flag_morethan", "badrow_direction", "integr_radius")  # fmt: skip
"""What CrystFEL does with the values of pixels, or no longer."""

WAVELENGTH = ("photon_energy", "wavelength", "electron_voltage")
BANDWIDTH, OLD_BANDWIDTH = "bandwidth", "photon_energy_bandwidth"
WIDEST, NARROWEST = 0.2, 1e-6
"""Bandwidths that are too wide for a gaussian, and that are none: where a file states none CrystFEL takes 1e-8."""
WHOLE = ("detector_shift_x", "detector_shift_y", *WAVELENGTH, BANDWIDTH, OLD_BANDWIDTH)
WHOLE_WITHOUT_EFFECT = ("peak_list", "peak_list_type", "peak_info_location")
GROUPS = ("rigid_group", "group_")
"""Beginnings of the names of groups, which only refinement moves."""

METRES = {"m": 1.0, "mm": 1e-3, "": 1.0}
UNITS = {
    "photon_energy": {"eV": 1e-3, "keV": 1.0, "MeV": 1e3, "": 1e-3},
    "wavelength": {"m": 1.0, "A": 1e-10},
    "electron_voltage": {"V": 1.0, "kV": 1e3, "MV": 1e6},
}
PLANCK, LIGHT, CHARGE, ELECTRON = 6.62607015e-34, 299792458.0, 1.602176634e-19, 9.1093837015e-31
"""Planck's constant, speed of light, charge and mass of the electron; SI units."""

SIZE = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
TERM = re.compile(rf"\s*([+-]?)\s*({SIZE})?\s*([xyz])\s*")


@dataclass
class _PanelLines:
    """What stands in the file of one panel: the defaults above its first line, then its own."""

    name: str
    lines: Lines


@dataclass
class _GeomLines:
    """The lines of a file by what they are about."""

    whole: Lines = field(default_factory=dict)
    defaults: Lines = field(default_factory=dict)
    panels: dict[str, _PanelLines] = field(default_factory=dict)
    regions: dict[str, Lines] = field(default_factory=dict)
    unused: Line | None = None
    """The first default below the first line of the last panel"""


def parse_geom(content: bytes, name: str) -> Instrument:
    """The instrument: incident beam along +z, y up; panels in the order of the file. Raises InputError."""
    file = _sorted(content)
    if not file.panels:
        raise InputError("expected panels such as p0/min_fs = 0; found none")
    if file.unused is not None:
        raise file.unused.wrong("it above the panels that it is for; here it has no effect")
    shift = [line.number_in(METRES) if (line := file.whole.get(f"detector_shift_{axis}")) else 0.0 for axis in "xy"]
    made = [_placed(panel, file.whole, shift) for panel in file.panels.values()]
    masks = [PanelMask(panel.name, placed, _edges(panel), panel.lines)
             for panel, placed in zip(file.panels.values(), made, strict=True)]  # fmt: skip
    regions = [BadRegion(owner, lines) for owner, lines in file.regions.items()]
    active, notes = mask_of(masks, regions, name)
    panels, mask = of_one_shape(made, active)
    if OLD_BANDWIDTH in file.whole:
        notes += (
            f"{file.whole[OLD_BANDWIDTH].text} is not used; bandwidth is what CrystFEL reads, a standard deviation",
        )
    width = _bandwidth(file.whole)
    return Instrument(name, panels, wavelength=_wavelength(file.whole), mask=mask, bandwidth=width, notes=notes)


def _sorted(content: bytes) -> _GeomLines:
    """The lines, each checked to be one that CrystFEL knows, or knew."""
    file = _GeomLines()
    for line in read_lines(content):
        owner, slash, key = line.key.partition("/")
        if not slash:
            _whole(file, line)
        elif owner.startswith("bad"):
            file.regions.setdefault(owner, {})[key] = line
        else:
            if not _is_panels(key) and key not in WITHOUT_EFFECT:
                raise line.unknown(f"there is no {key[:40]!r} of a panel", nearest(key, _known()))
            if owner not in file.panels:
                file.panels[owner] = _PanelLines(owner, dict(file.defaults))
                file.unused = None
            file.panels[owner].lines[key] = line
    return file


def _whole(file: _GeomLines, line: Line) -> None:
    """A line that names no panel: of the whole detector, or a default of the panels below."""
    key = line.key
    if key in WHOLE or key == "clen":
        for other in WAVELENGTH if key in WAVELENGTH else (key,):
            before = file.whole.get(other)
            if before is not None and before.text != line.text:
                raise line.wrong(f"it once; line {before.number} says {before.text}")
        file.whole[key] = line
    elif _is_panels(key):
        file.defaults[key] = line
        if file.panels and file.unused is None and not DIMENSIONS.fullmatch(key):
            file.unused = line
    elif not (key in WITHOUT_EFFECT or key in WHOLE_WITHOUT_EFFECT or key.startswith(GROUPS)):
        raise line.unknown(f"there is no {key[:40]!r}", nearest(key, (*_known(), *WHOLE, *WHOLE_WITHOUT_EFFECT)))


def _is_panels(key: str) -> bool:
    """Whether it says something of a panel that decides pixels."""
    return key in PLACED or key in MASKED or bool(MASKS.fullmatch(key) or DIMENSIONS.fullmatch(key))


def _known() -> tuple[str, ...]:
    return (*PLACED, *MASKED, *(f"mask0_{part}" for part in ("data", "file", "goodbits", "badbits")), *WITHOUT_EFFECT)


def _need(panel: _PanelLines, key: str, whole: Mapping[str, Line] | None = None) -> Line:
    line = panel.lines.get(key) or (whole or {}).get(key)
    if line is None:
        raise InputError(f"{panel.name}/{key} is missing")
    return line


def _edges(panel: _PanelLines) -> tuple[int, int, int, int]:
    """First and last pixel along fs, then along ss, in the data."""
    values = [_need(panel, key).number_in() for key in EDGES]
    if not all(value.is_integer() and value >= 0 for value in values) or values[1] < values[0] or values[3] < values[2]:
        raise InputError(
            f"{panel.name}: min_fs, max_fs, min_ss, max_ss are {values}; expected whole numbers, min up to max"
        )
    left, right, top, bottom = (int(value) for value in values)
    return left, right, top, bottom


def _direction(line: Line) -> Vector:
    """`+1.0x -0.002y` as a vector, about as long as one pixel."""
    found, end, text = [0.0, 0.0, 0.0], 0, line.value
    while end < len(text):
        match = TERM.match(text, end)
        if match is None or (end > 0 and not match[1]):
            break
        sign, size, axis = match.groups()
        found["xyz".index(axis)] += float(size or 1.0) * (-1.0 if sign == "-" else 1.0)
        end = match.end()
    if end != len(text) or not any(found):
        raise line.wrong("a vector such as +1.0x -0.002y")
    if not abs(norm(found) - 1.0) <= UNEQUAL:
        raise line.wrong(f"the step of one pixel, within {UNEQUAL:.0%}; it has length {norm(found):g}")
    x, y, z = found
    return (x, y, z)


def _placed(panel: _PanelLines, whole: Mapping[str, Line], shift: list[float]) -> Panel:
    """Its first pixel's corner at (corner_x, corner_y) pixels and the shift, clen + coffset along the beam."""
    corner = [_need(panel, key).number_in() for key in ("corner_x", "corner_y")]
    resolution = _need(panel, "res")
    per_metre = resolution.number_in()
    if not per_metre > 0.0:
        raise resolution.wrong("pixels per metre, above 0")
    away = _need(panel, "clen", whole).number_in(METRES)
    if "coffset" in panel.lines:
        away += panel.lines["coffset"].number_in(METRES)
    fast, slow = (_direction(_need(panel, key)) for key in ("fs", "ss"))
    left, right, top, bottom = _edges(panel)
    x, y = (pixels / per_metre + by for pixels, by in zip(corner, shift, strict=True))
    try:
        return stepped_panel((x, y, away), fast, slow, 1.0 / per_metre, (bottom - top + 1, right - left + 1))
    except InputError as error:
        raise InputError(f"{panel.name}: {error}") from None


def _wavelength(whole: Mapping[str, Line]) -> float | None:
    """Metres; None where the data say it, or nothing does."""
    line = next((whole[key] for key in WAVELENGTH if key in whole), None)
    if line is None or line.in_data:
        return None
    value = line.number_in(UNITS[line.key])
    if not value > 0.0:
        raise line.wrong("a number above 0")
    if line.key == "electron_voltage":
        return electron_wavelength(value)
    return ENERGY_TIMES_WAVELENGTH / value if line.key == "photon_energy" else value


def _bandwidth(whole: Mapping[str, Line]) -> float:
    """Standard deviation of the photon energy, relative; 0 where there is none, or next to none."""
    line = whole.get(BANDWIDTH)
    if line is None:
        return 0.0
    value = line.number_in()
    if not 0.0 <= value < WIDEST:
        raise line.wrong(f"a fraction of the photon energy, from 0 to below {WIDEST:g}")
    return value if value >= NARROWEST else 0.0


def electron_wavelength(voltage: float) -> float:
    """de Broglie wavelength, metres, of electrons that `voltage` volts have accelerated from rest."""
    energy = CHARGE * voltage
    return PLANCK / math.sqrt(2.0 * ELECTRON * energy * (1.0 + energy / (2.0 * ELECTRON * LIGHT**2)))
