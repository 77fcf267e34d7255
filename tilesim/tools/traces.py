"""Two trace logs compared value by value: where do they part?"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import replace

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.tools.tracelog import Number, Traced


@frozen
class Difference:
    """A value that two logs do not agree on."""

    a: Traced
    b: Traced
    occurrence: int
    """Count of this name, from 1"""
    ratio: tuple[float, ...] = ()
    """b over a in common units, one for each number; empty where they cannot be set against each other"""
    hint: str = ""


@frozen
class TraceComparison:
    """What two logs have in common, in the order of the first."""

    compared: int
    """Values in both"""
    agreeing: int
    """How many of these come before the first difference"""
    differences: tuple[Difference, ...]
    only_a: tuple[str, ...]
    """Names of values without a counterpart, each once; of some that have one the other log has fewer"""
    only_b: tuple[str, ...]
    notes: tuple[str, ...]
    """What was converted or left out to compare like with like, a line each"""


def compare_traces(a: Sequence[Traced], b: Sequence[Traced], tolerance: float = 1e-6) -> TraceComparison:
    """The k-th value of a name in one log against the k-th of that name in the other.

    tolerance  relative to the larger number, of a vector to its longest component; where a log was printed with six
               figures, half a unit of the last is allowed besides

    Raises InputError where no name is in both.
    """
    notes: dict[str, None] = {}
    modes = [[value.values for value in log if value.name == "mode"] for log in (a, b)]
    if all(modes) and modes[0] != modes[1]:
        notes["one log is of --strict-c, the other of the corrected calculation"] = None
        a, b = ([value for value in log if value.name != "mode"] for log in (a, b))
    a, b = _first_orientations(_renamed(a, notes), _renamed(b, notes), notes)
    aliases = _unit_aliases(a, b, notes)
    waiting: dict[str, list[Traced]] = defaultdict(list)
    for value in reversed(b):
        waiting[value.name].append(value)
    rounding = _rounding(a), _rounding(b)
    count: Counter[str] = Counter()
    differences: list[Difference] = []
    only_a: list[Traced] = []
    compared = agreeing = 0
    for value in a:
        name = aliases.get(value.name, value.name)
        if not waiting[name]:
            only_a.append(value)
            continue
        other = waiting[name].pop()
        compared += 1
        count[name] += 1
        allowed = tolerance + rounding[0][value.prefix] + rounding[1][other.prefix]
        found = _difference(value, other, count[name], allowed, notes)
        if found is not None:
            differences.append(found)
        elif not differences:
            agreeing += 1
    if not compared:
        raise InputError("the two logs have no name in common; expected traces of the same kind of calculation")
    unmet = {id(value) for left in waiting.values() for value in left}
    only_b = [value for value in b if id(value) in unmet]
    left = _left_over(only_a, {*count, *aliases}), _left_over(only_b, count)
    return TraceComparison(compared, agreeing, tuple(differences), *left, tuple(notes))


def _left_over(values: Sequence[Traced], matched: Container[str]) -> tuple[str, ...]:
    """Their names, and how often where others of the name were matched."""
    times = Counter(value.name for value in values)
    return tuple(f"{name} ({n} more)" if name in matched else name for name, n in times.items())


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


# --- names

_RENAMED = {
    "angles_rad.rotx": "detector_rotx_rad",
    "angles_rad.roty": "detector_roty_rad",
    "angles_rad.rotz": "detector_rotz_rad",
    "angles_rad.twotheta": "twotheta_rad",
    "beam_center_m.pixel_mm": "pixel_mm",
    "fluence": "fluence_photons_per_m2",
    "polarization_factor": "polar",
    "I_before_scaling_pre_polar": "I_before_scaling",
    "spindle_axis_normalized": "spindle_axis",
}
"""Other programs' names for what we call ..."""
_KILOMETRES = {"beam_center_m.X": "Xbeam_m", "beam_center_m.Y": "Ybeam_m"}
"""Named metres and printed divided by 1000 by the reference's instrumented builds and those that follow them."""


def _renamed(log: Sequence[Traced], notes: dict[str, None]) -> list[Traced]:
    """A log by our names."""
    final = _final_axes(log)
    names = []
    for value in log:
        name, values = _RENAMED.get(value.name, value.name), value.values
        if name in _KILOMETRES:
            notes["beam_center_m of such logs is in units of 1000 m; converted"] = None
            name, values = _KILOMETRES[name], tuple(x if isinstance(x, str) else x * 1000.0 for x in values)
        elif value.prefix == "TRACE_C" and name in ("rot_a_star_A_inv", "rot_b_star_A_inv", "rot_c_star_A_inv"):
            notes["rot_a_star_A_inv, ... of TRACE_C lines are before spindle and mosaic rotation; taken as such"] = None
            name = name.removeprefix("rot_")
        elif name in final:
            notes["axes after_rotz of such logs are after the two-theta swing; left out"] = None
            continue
        names.append(replace(value, name=name, values=values))
    return names


def _final_axes(log: Sequence[Traced]) -> set[str]:
    """Names *_after_rotz under which another program's log has its axes after the last rotation."""
    by_name = {value.name: value for value in log if value.prefix != "TRACE"}
    return {
        name
        for name, value in by_name.items()
        if name.endswith("_after_rotz")
        and (last := by_name.get(name.replace("_rotz", "_twotheta"))) is not None
        and last.values == value.values
    }


def _first_orientations(a: list[Traced], b: list[Traced], notes: dict[str, None]) -> tuple[list[Traced], list[Traced]]:
    """Where only one log distinguishes sources and orientations, what reference builds print: the first of each."""
    placed = [any(place == "phi_step" for value in log for place, _ in value.place) for log in (a, b)]
    if placed[0] == placed[1]:
        return a, b
    notes["one log has the first source, phi step and mosaic domain only; the others are left out"] = None

    def first(log: list[Traced]) -> list[Traced]:
        loops = ("source", "phi_step", "mosaic_domain")
        return [value for value in log if not any(number for loop, number in value.place if loop in loops)]

    return (first(a), b) if placed[0] else (a, first(b))


# --- units

_UNITS = (
    ("_meters", "m", 1.0),
    ("_angstroms", "m", 1e-10),
    ("_mm", "m", 1e-3),
    ("_m_inv", "1/m", 1.0),
    ("_A_inv", "1/m", 1e10),
    ("_m", "m", 1.0),
    ("_A", "m", 1e-10),
    ("_deg", "rad", math.pi / 180.0),
    ("_degrees", "rad", math.pi / 180.0),
    ("_rad", "rad", 1.0),
)
"""Ends of names, unit, and factor to it."""
_EITHER_UNIT = "scattering_vec_A_inv"
"""In 1/m in the reference's builds and here, in 1/angstrom in some others."""
_KNOWN = (
    (1e10, "as between metres and angstroms"),
    (1e3, "as between metres and millimetres"),
    (180.0 / math.pi, "as between radians and degrees"),
    (2.0 * math.pi, "2 pi"),
    (-1.0, "the sign"),
)


def _unit_of(name: str) -> tuple[str, str, float]:
    """What is measured, its unit and the factor to it."""
    for end, unit, factor in _UNITS:
        if name.endswith(end):
            return name.removesuffix(end), unit, factor
    return name, "", 1.0


def _unit_aliases(a: list[Traced], b: list[Traced], notes: dict[str, None]) -> dict[str, str]:
    """Names of a that b has in another unit, by its own name."""
    names = [_once(value.name for value in log) for log in (a, b)]
    others = {_unit_of(name)[:2]: name for name in names[1] if name not in names[0]}
    found = {
        name: others[key]
        for name in names[0]
        if name not in names[1] and (key := _unit_of(name)[:2])[1] and key in others
    }
    for name, other in found.items():
        notes[f"{name} and {other} are compared in one unit"] = None
    return found


def _rounding(log: Iterable[Traced]) -> dict[str, float]:
    """What printing may have taken off the numbers of a log, relative, by prefix: %g leaves six figures."""
    figures: dict[str, int] = defaultdict(int)
    for value in log:
        for x in value.values:
            if isinstance(x, float) and math.isfinite(x):
                digits = len(repr(x).partition("e")[0].replace(".", "").strip("-0"))
                figures[value.prefix] = max(figures[value.prefix], digits)
    return defaultdict(float, {prefix: 5e-6 for prefix, digits in figures.items() if digits <= 6})


# --- values


def _difference(a: Traced, b: Traced, occurrence: int, allowed: float, notes: dict[str, None]) -> Difference | None:
    if len(a.values) != len(b.values):
        hint = f"{len(a.values)} values against {len(b.values)}; is a line cut short?"
        return Difference(a, b, occurrence, hint=hint)
    if any(isinstance(x, str) for x in (*a.values, *b.values)):
        same = [str(x).casefold() for x in a.values] == [str(x).casefold() for x in b.values]
        return None if same else Difference(a, b, occurrence)
    x, y = ([number * _factor(value, other) for number in value.values] for value, other in ((a, b), (b, a)))
    if _agree(x, y, allowed):
        return None
    ratio = tuple(_over(q, p) for p, q in zip(x, y, strict=True))
    if a.name == _EITHER_UNIT and any(_agree([p * f for p in x], y, allowed) for f in (1e10, 1e-10)):
        notes[f"{a.name} is in 1/m in one log and in 1/angstrom in the other; otherwise they agree"] = None
        return None
    return Difference(a, b, occurrence, ratio, _hint(x, y, allowed))


def _factor(value: Traced, other: Traced) -> float:
    """Into the common unit; names that are equal have one."""
    return 1.0 if value.name == other.name else _unit_of(value.name)[2]


def _agree(x: Sequence[float], y: Sequence[float], allowed: float) -> bool:
    size = max((abs(z) for z in (*x, *y) if math.isfinite(z)), default=0.0)
    return all(
        p == q or (math.isnan(p) and math.isnan(q)) or abs(p - q) <= allowed * size for p, q in zip(x, y, strict=True)
    )


def _over(y: float, x: float) -> float:
    return y / x if x else math.nan if y == 0 else math.copysign(math.inf, y)


def _hint(x: Sequence[float], y: Sequence[float], allowed: float) -> str:
    """What a ratio is known for."""
    for factor, meaning in _KNOWN:
        for f in (factor, 1.0 / factor):
            if _agree([p * f for p in x], y, allowed):
                return f"the ratio is {meaning}"
    return ""


def comparison_lines(comparison: TraceComparison, names: tuple[str, str]) -> list[str]:
    """For people: the first difference, and how much there is besides."""
    lines = [f"note: {note}" for note in comparison.notes]
    if comparison.differences:
        lines += _difference_lines(comparison.differences[0], names)
        differing = len(comparison.differences)
        lines.append(
            f"{comparison.agreeing} values before it agree; "
            f"{differing} of {comparison.compared} differ in all: {_some([d.a.name for d in comparison.differences])}"
        )
    else:
        lines.append(f"all {comparison.compared} values that both logs have agree")
    for name, only in zip(names, (comparison.only_a, comparison.only_b), strict=True):
        if only:
            lines.append(f"only in {name}: {_some(only)}")
    return lines


def _difference_lines(found: Difference, names: tuple[str, str]) -> list[str]:
    which = "" if found.occurrence == 1 else f", occurrence {found.occurrence}"
    where = " ".join(f"{loop} {number}" for loop, number in found.a.place)
    lines = [f"first difference: {found.a.name}{which}{f' at {where}' if where else ''}"]
    width = max(map(len, names))
    for name, value in zip(names, (found.a, found.b), strict=True):
        alias = "" if value.name == found.a.name else f"{value.name} "
        lines.append(f"  {name:<{width}}  {alias}{_text(value.values)}  (line {value.line})")
    if found.ratio:
        lines.append(f"  {'ratio':<{width}}  {_text(_short(found.ratio))}")
    if found.hint:
        lines.append(f"  {found.hint}")
    return lines


def _short(ratio: Sequence[float]) -> tuple[float, ...]:
    """One for all where they are one."""
    known = [r for r in ratio if not math.isnan(r)]
    if known and all(math.isfinite(r) and abs(r - known[0]) <= 1e-9 * abs(known[0]) for r in known):
        return (known[0],)
    return tuple(ratio)


def _text(values: Sequence[Number]) -> str:
    return " ".join(x if isinstance(x, str) else f"{x:.15g}" for x in values)


SHOWN = 8


def _some(names: Sequence[str]) -> str:
    names = _once(names)
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def account(comparison: TraceComparison) -> dict:
    """The same as plain values."""
    return {
        "agree": not comparison.differences,
        "compared": comparison.compared,
        "agreeing_before_first": comparison.agreeing,
        "differences": [
            {
                "name": d.a.name,
                "occurrence": d.occurrence,
                "a": {**d.a.plain, "line": d.a.line},
                "b": {**d.b.plain, "line": d.b.line},
                "ratio": list(d.ratio),
                "hint": d.hint,
            }
            for d in comparison.differences
        ],
        "only_a": list(comparison.only_a),
        "only_b": list(comparison.only_b),
        "notes": list(comparison.notes),
    }
