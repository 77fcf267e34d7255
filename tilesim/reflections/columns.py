"""Which columns of a reflection file become structure factors, and how."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tilesim.errors import InputError
from tilesim.files.structured import shown_value
from tilesim.frozen import frozen

AMPLITUDE, AMPLITUDE_OF_MATE, DIFFERENCE = "F", "G", "D"
INTENSITY, INTENSITY_OF_MATE = "J", "K"
PHASE = "P"
"""Types of columns, by their letters in MTZ files."""
LISTED = 12
"""Columns that an error names."""
MATES = (("(+)", "(-)"), ("[+]", "[-]"), ("plus", "minus"), ("PLUS", "MINUS"), ("Plus", "Minus"), ("+", "-"))
"""How labels say which mate a column holds, h first."""
_COMPUTED = re.compile(
    r"F-?_?(model|calc|part|fill|bulk|sol|mask)|F[CP]?WT|FC($|_|[(]|\[)|[FI]C_?ALL|DELF|[m0-9]*FO-?D?FC|FEM|.*_calc|.*-filtered|calc",
    re.IGNORECASE,
)
"""Labels of what a program derived from a model or from other columns."""
_PREFIXES = ("F", "FP", "FPH", "FMEAN", "FOBS", "F-OBS", "D", "DP", "DPH", "DF", "DANO", "DELANO", "DISANO")
"""What labels of amplitudes and their anomalous differences begin with; the rest says which belong together."""


@frozen
class Column:
    """One column of a file."""

    label: str
    kind: str
    """Its type."""
    place: int = 0
    """Number among all columns of the file."""
    group: str = ""
    """Crystal and data set, or the block, that it belongs to."""
    computed: bool = False
    """Derived from a model or another column, as label or phases beside it show."""

    def called(self, name: str) -> bool:
        """Whether somebody means this column: by its label, or its label behind its data set's name."""
        return name.strip("/") in (
            self.label,
            f"{self.group}/{self.label}",
            f"{self.group.split('/')[-1]}/{self.label}",
        )


def is_computed(label: str) -> bool:
    """Whether the label of a column is one that programs give to what they compute."""
    return _COMPUTED.match(label) is not None


@frozen
class Choice:
    """One column, or two that make a Friedel pair together."""

    columns: tuple[Column, ...]
    kind: str
    """F, G (a pair), D (an amplitude and the difference of its pair), J, K (a pair)."""

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(column.label for column in self.columns)

    @property
    def text(self) -> str:
        """For people."""
        what = {
            AMPLITUDE: "amplitudes",
            AMPLITUDE_OF_MATE: "amplitudes of Friedel mates",
            DIFFERENCE: "amplitudes and anomalous differences",
            INTENSITY: "intensities",
            INTENSITY_OF_MATE: "intensities of Friedel mates",
        }
        return f"{' and '.join(self.labels)} ({what[self.kind]})"


def choose(name: str, columns: Sequence[Column], wanted: str | None) -> Choice:
    """What to read of the columns, in the order of the file.

    wanted  a label, also behind the name of its data set and a slash; two with a comma: F(+),F(-), or F,DANO

    Unless a column is named takes, of each data set, the pair of amplitudes, else the amplitude with its anomalous
    difference, else the amplitude, else the pair of intensities, else the intensity; what is computed only where
    nothing is measured. Raises InputError, listing the columns, where it is not the only one of its kind.
    """
    if wanted is not None:
        return _named(name, columns, wanted)
    usable = [c for c in columns if c.kind in "FGJK"]
    if not usable:
        raise InputError(f"{name}: expected a column of amplitudes or intensities; it has {_listed(columns)}")
    rank = min(_rank(c) for c in usable)
    groups = dict.fromkeys(c.group for c in usable if _rank(c) == rank)
    found = [
        choice
        for group in groups
        for choice in _candidates(
            name, [c for c in columns if c.group == group and (c.kind == "D" or _rank(c) == rank)]
        )
    ]
    if len(found) > 1:
        raise _ambiguous(name, found, columns)
    return found[0]


def _rank(column: Column) -> tuple[bool, bool]:
    """Lower is better: amplitudes before intensities, and measured ones before computed ones."""
    return column.kind in "JK", column.computed


def _candidates(name: str, columns: Sequence[Column]) -> list[Choice]:
    """What one data set offers of one rank: the best kind of choice, all of it."""
    for kind in (AMPLITUDE_OF_MATE, INTENSITY_OF_MATE):
        pairs = list(_pairs(columns, kind))
        if pairs:
            return [Choice(pair, kind) for pair in pairs]
    single = [c for c in columns if c.kind in (AMPLITUDE, INTENSITY)]
    if single:
        return [_with_difference(name, c, columns) for c in single]
    lone = ", ".join(c.label for c in columns if c.kind in "GK")
    raise InputError(
        f"{name}: {lone}: no two labels say that they are F(+) and F(-); expected --column PLUS,MINUS, or one of"
        f" {_listed(columns)}"
    )


def _pairs(columns: Sequence[Column], kind: str) -> Iterator[tuple[Column, Column]]:
    for column in columns:
        if column.kind == kind:
            mate = _mate(column, columns)
            if mate is not None and _is_plus(column, mate):
                yield column, mate


def _with_difference(name: str, amplitude: Column, columns: Sequence[Column]) -> Choice:
    """An amplitude with the anomalous difference of its own data set that belongs to it, if there is one."""
    if amplitude.kind != AMPLITUDE or amplitude.computed:
        return Choice((amplitude,), amplitude.kind)
    differences = [c for c in columns if c.kind == DIFFERENCE]
    rest = _rests(amplitude.label)
    own = [d for d in differences if rest & _rests(d.label)]
    alone = sum(c.kind == AMPLITUDE for c in columns) == 1
    found = own or [d for d in differences if alone and ("" in rest or "" in _rests(d.label))]
    if len(found) > 1:
        raise _ambiguous(name, [Choice((amplitude, d), DIFFERENCE) for d in found], columns)
    return Choice((amplitude, *found), DIFFERENCE if found else AMPLITUDE)


def _rests(label: str) -> set[str]:
    """What may be left of a label without the prefix that says what the column holds; usually nothing."""
    upper = label.upper()
    return {upper.removeprefix(p).strip("_- ") for p in _PREFIXES if upper.startswith(p)} or {upper}


def _ambiguous(name: str, found: Sequence[Choice], columns: Sequence[Column]) -> InputError:
    several = len({c.group for c in columns}) > 1

    def shown(column: Column) -> str:
        twice = sum(c.label == column.label for c in columns) > 1
        return f"{column.group.split('/')[-1]}/{column.label}" if several and twice else column.label

    options = [",".join(map(shown, choice.columns)) for choice in found]
    more = f" and {len(options) - LISTED} more" if len(options) > LISTED else ""
    return InputError(
        f"{name} holds several that could be meant; expected --column with one of {' or '.join(options[:LISTED])}{more}"
    )


def amplitudes(
    choice: Choice, values: Callable[[Column], np.ndarray]
) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """Amplitudes of h and of -h (None: the same), (n,) with NaN where missing, and notes.

    values  gives the numbers of a column
    """
    first, *second = (np.asarray(values(column), dtype=np.float64) for column in choice.columns)
    notes = []
    if choice.kind in (INTENSITY, INTENSITY_OF_MATE):
        notes.append(f"{choice.text}: their square roots are taken for structure factors in electrons")
        negative = sum(int((x < 0).sum()) for x in (first, *second))
        if negative:
            notes.append(f"{negative} negative intensities are taken for 0")
        first, *second = (np.sqrt(np.maximum(x, 0.0)) for x in (first, *second))
    if choice.kind == DIFFERENCE:
        half = np.nan_to_num(second[0], nan=0.0) / 2
        return np.maximum(first + half, 0.0), np.maximum(first - half, 0.0), tuple(notes)
    return first, (second[0] if second else None), tuple(notes)


def _named(name: str, columns: Sequence[Column], wanted: str) -> Choice:
    chosen = _called(name, columns, wanted)
    if not chosen:
        chosen = [column for label in wanted.split(",") for column in _called(name, columns, label, needed=True)]
    kinds = tuple(column.kind for column in chosen)
    match kinds:
        case ("F" | "R" | "E",):
            return Choice((chosen[0],), AMPLITUDE)
        case ("J",):
            return Choice((chosen[0],), INTENSITY)
        case ("G",) | ("K",):
            mate = _mate(chosen[0], columns)
            if mate is None:
                return Choice((chosen[0],), AMPLITUDE if kinds == ("G",) else INTENSITY)
            return Choice(_ordered(chosen[0], mate), kinds[0])
        case ("F", "D"):
            return Choice(tuple(chosen), DIFFERENCE)
        case ("F" | "G", "F" | "G"):
            return Choice(_ordered(*chosen), AMPLITUDE_OF_MATE)
        case ("J" | "K", "J" | "K"):
            return Choice(_ordered(*chosen), INTENSITY_OF_MATE)
    raise InputError(
        f"{name}: --column {wanted[:100]} is of type {','.join(kinds)}; expected an amplitude (F, G, R), an intensity"
        f" (J, K), a pair of them, or F and D: {_listed(columns)}"
    )


def _called(name: str, columns: Sequence[Column], label: str, *, needed: bool = False) -> list[Column]:
    """The one column of that label, or none. Raises InputError where there are two, or none is `needed`."""
    found = [column for column in columns if column.called(label)]
    if len(found) > 1:
        raise InputError(
            f"{name} has {len(found)} columns {shown_value(label)}; expected --column with one of"
            f" {' or '.join(f'{c.group}/{c.label}' for c in found)}"
        )
    if needed and not found:
        raise InputError(f"{name} has no column {shown_value(label)}; expected --column with one of {_listed(columns)}")
    return found


def _mate(column: Column, columns: Sequence[Column]) -> Column | None:
    """The other column of a Friedel pair: of the same data set and type, and of the label that says so."""
    for one, other in (*MATES, *((b, a) for a, b in MATES)):
        for place in (found.start() for found in re.finditer(re.escape(one), column.label)):
            label = column.label[:place] + other + column.label[place + len(one) :]
            for mate in columns:
                if (mate.label, mate.kind, mate.group) == (label, column.kind, column.group):
                    return mate
    return None


def _is_plus(column: Column, mate: Column) -> bool:
    """Whether the labels of two mates say that the first one is that of h."""
    return any(column.label.count(plus) > mate.label.count(plus) for plus, _ in MATES)


def _ordered(first: Column, second: Column) -> tuple[Column, Column]:
    """h before -h, where the labels say so."""
    return (second, first) if _mate(first, [second]) and _is_plus(second, first) else (first, second)


def _listed(columns: Sequence[Column]) -> str:
    """Labels with types."""
    shown = ", ".join(f"{column.label} ({column.kind})" for column in columns[:LISTED])
    more = len(columns) - LISTED
    return (shown or "none") + (f" and {more} more" if more > 0 else "")
