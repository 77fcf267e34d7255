"""Which columns of a reflection file become structure factors, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tilesim.errors import InputError

AMPLITUDE, AMPLITUDE_OF_MATE, DIFFERENCE = "F", "G", "D"
INTENSITY, INTENSITY_OF_MATE = "J", "K"
"""Types of columns, by their letters in MTZ files."""
LISTED = 12
"""Columns that an error names."""
MATES = (("(+)", "(-)"), ("plus", "minus"))


@dataclass(frozen=True)
class Choice:
    """One column, or two that make a Friedel pair together."""

    labels: tuple[str, ...]
    kind: str
    """F, G (a pair), D (an amplitude and the difference of its pair), J, K (a pair)."""

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


def choose(name: str, columns: Sequence[tuple[str, str]], wanted: str | None) -> Choice:
    """What to read of the columns (label, type), in the order of the file.

    wanted  a label; two with a comma: F(+),F(-), or F,DANO

    Unless a column is named takes the first pair of amplitudes, else the first amplitude with the first anomalous
    difference, else the first amplitude, else the first pair of intensities, else the first intensity. Raises
    InputError, listing the columns.
    """
    if wanted is not None:
        return _named(name, columns, wanted)
    by_type: dict[str, list[str]] = {}
    for label, kind in columns:
        by_type.setdefault(kind, []).append(label)
    pairs, amplitudes = by_type.get(AMPLITUDE_OF_MATE, []), by_type.get(AMPLITUDE, [])
    if len(pairs) >= 2:
        return Choice(_ordered(pairs[0], pairs[1]), AMPLITUDE_OF_MATE)
    if amplitudes and by_type.get(DIFFERENCE):
        return Choice((amplitudes[0], by_type[DIFFERENCE][0]), DIFFERENCE)
    if amplitudes:
        return Choice((amplitudes[0],), AMPLITUDE)
    pairs, intensities = by_type.get(INTENSITY_OF_MATE, []), by_type.get(INTENSITY, [])
    if len(pairs) >= 2:
        return Choice(_ordered(pairs[0], pairs[1]), INTENSITY_OF_MATE)
    if intensities:
        return Choice((intensities[0],), INTENSITY)
    raise InputError(f"{name}: expected a column of amplitudes or intensities; it has {_listed(columns)}")


def amplitudes(
    choice: Choice, values: Callable[[str], np.ndarray]
) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """Amplitudes of h and of -h (None: the same), (n,) with NaN where missing, and notes.

    values  gives the column of a label
    """
    first, *second = (np.asarray(values(label), dtype=np.float64) for label in choice.labels)
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


def _named(name: str, columns: Sequence[tuple[str, str]], wanted: str) -> Choice:
    kinds = dict(reversed(columns))  # of two columns with one label the first counts
    labels = (wanted,) if wanted in kinds else tuple(wanted.split(","))
    for label in labels:
        if label not in kinds:
            raise InputError(f"{name} has no column {label!r}; expected --column with one of {_listed(columns)}")
    types = tuple(kinds[label] for label in labels)
    match types:
        case ("F" | "G" | "R" | "E",):
            mate = _mate(labels[0], columns) if types == (AMPLITUDE_OF_MATE,) else None
            return Choice(_ordered(labels[0], mate), AMPLITUDE_OF_MATE) if mate else Choice(labels, AMPLITUDE)
        case ("J" | "K",):
            mate = _mate(labels[0], columns) if types == (INTENSITY_OF_MATE,) else None
            return Choice(_ordered(labels[0], mate), INTENSITY_OF_MATE) if mate else Choice(labels, INTENSITY)
        case ("F", "D"):
            return Choice(labels, DIFFERENCE)
        case ("F" | "G", "F" | "G"):
            return Choice(labels, AMPLITUDE_OF_MATE)
        case ("J" | "K", "J" | "K"):
            return Choice(labels, INTENSITY_OF_MATE)
    raise InputError(
        f"{name}: --column {wanted} is of type {','.join(types)}; expected an amplitude (F, G, R), an intensity (J, K),"
        f" a pair of them, or F and D: {_listed(columns)}"
    )


def _mate(label: str, columns: Sequence[tuple[str, str]]) -> str | None:
    """The other column of a Friedel pair: the one named so, else the neighbour of the same type."""
    kinds = dict(columns)
    for one, other in (*MATES, *((b, a) for a, b in MATES)):
        mate = label.replace(one, other)
        if mate != label and kinds.get(mate) == kinds[label]:
            return mate
    same = [x for x, kind in columns if kind == kinds[label]]
    for first, second in list(pairwise(same))[::2]:
        if label in (first, second):
            return second if label == first else first
    return None


def _ordered(first: str, second: str) -> tuple[str, str]:
    """h before -h, where the labels say so."""
    swapped = any(minus in first and plus in second for plus, minus in MATES)
    return (second, first) if swapped else (first, second)


def _listed(columns: Sequence[tuple[str, str]]) -> str:
    """Labels with types."""
    shown = ", ".join(f"{label} ({kind})" for label, kind in columns[:LISTED])
    more = len(columns) - LISTED
    return (shown or "none") + (f" and {more} more" if more > 0 else "")
