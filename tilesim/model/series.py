"""Series: an ordered set of experiments of one detector shape, as a base and the columns that vary by frame."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np

from tilesim.errors import InputError
from tilesim.model.changes import CHANGES, FURTHER_LATTICES, KEEP_STEPS, lattice_counts
from tilesim.model.checks import instance, whole_number
from tilesim.model.experiment import PARTS, Experiment
from tilesim.model.noun import counted
from tilesim.model.serial import from_plain, hints_of, to_plain
from tilesim.model.spectrum import Spectrum

KEPT = 32
"""Derived experiments that are kept: tiles of a frame come together."""
WHOLE = ("factors", "mask", "background", "crystal", "detector")
"""Parts that vary as a whole where one frame has another than the next, and their fields do not say it."""
Column = np.ndarray | tuple[Any, ...]
"""Values of the frames: numbers (frame, ...), or anything else one by one."""


class Series(Sequence[Experiment]):
    """Experiments by frame: frame k is the base with the k-th value of every column, derived exactly.

    Parameters
    ----------
    base
        Experiment of which every frame is a variation.
    columns, named
        Values of the frames in SI units, (frame, ...): `scan_start`, `wavelength`, `direction`, `fluence`, `exposure`,
        `unit_cell` (a, b, c, alpha, beta, gamma), `cells`, `orientation` (as `Crystal.orientation`), `mosaic_scale`
        (times the angles of the mosaic rotations), `distance` (along the beam), `beam_shift` (of the beam's place on
        the detector, along slow and fast), `spectrum` (a `Spectrum`, or wavelength and weight of every channel),
        `further_lattices` (frame, lattice, 10: share and orientation of lattices like the first, NaN where there is
        none), `blank` (1: without a crystal), or any field of a part by its path, such as "sampling.oversample".
        Of several lattices in a shot `unit_cell`, `cells` and `mosaic_scale` change each, and `orientation` is that of
        the first, with which the others turn; a path such as "crystal.cells" sets a field of the first alone.
    numbers
        Numbers of the frames, in file names and in the key of noise; None counts from 0.
    names
        Names of the frames, for people.

    Raises
    ------
    InputError
        Where a column is unknown, its length differs, or a value is none that its field may have.

    Examples
    --------
    >>> import math
    >>> from tilesim import Beam, Crystal, Detector, Experiment, Panel, Series, StructureFactors
    >>> still = Experiment(
    ...     Beam((0.0, 0.0, 1.0), 1e-10),
    ...     Crystal.from_cell(5e-9, 6e-9, 7e-9),
    ...     Detector(Panel.facing(0.1, 1e-4, (64, 64))),
    ...     StructureFactors.constant(10.0),
    ... )
    >>> series = Series(still, scan_start=[math.radians(k) for k in range(5)], fluence=[1e24] * 5)
    >>> len(series), round(series[3].scan.start, 6)
    (5, 0.05236)
    """

    def __init__(
        self,
        base: Experiment,
        columns: Mapping[str, Any] | None = None,
        *,
        numbers: Sequence[int] | None = None,
        names: Sequence[str] = (),
        **named: Any,
    ) -> None:
        self.base = instance("base of the series", base, Experiment)
        given = {**(columns or {}), **named}
        self.columns: dict[str, Column] = {name: _column(name, values) for name, values in sorted(given.items())}
        lengths = {len(values) for values in self.columns.values()} or {1 if numbers is None else len(numbers)}
        if len(lengths) > 1 or 0 in lengths:
            shown = ", ".join(f"{name} {len(values)}" for name, values in self.columns.items())
            raise InputError(f"columns of a series have {shown} values; expected as many, one for each frame")
        [count] = lengths
        self.numbers = np.arange(count) if numbers is None else np.array([_number(n) for n in numbers], np.int64)
        self.names = tuple(names)
        for what, values in (("numbers", self.numbers), ("names", self.names or range(count))):
            if len(values) != count:
                raise InputError(f"a series of {count} frames with {len(values)} {what}; expected one for each")
        for name in self.columns:
            _check_name(name)
        self._recent: dict[int, Experiment] = {}
        for frame in sorted(_extremes(self.columns.values())):  # a value that no frame can have shows at once
            self[frame]

    @classmethod
    def of(
        cls,
        experiments: Experiment | Sequence[Experiment],
        *,
        numbers: Sequence[int] | None = None,
        names: Sequence[str] = (),
    ) -> Series:
        """The series of one experiment or some: the first is the base, columns hold what differs. Raises InputError."""
        if not isinstance(experiments, Sequence) or isinstance(experiments, str):
            experiments = (experiments,)
        if not experiments:
            raise InputError("a series without frames; expected at least one experiment")
        if isinstance(experiments, Series):
            return experiments
        for one in experiments:
            instance("experiment", one, Experiment)
        columns = _differences(tuple(experiments))
        if numbers is None:
            numbers = range(len(experiments))
        return cls(experiments[0], columns, numbers=numbers, names=names)

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, frame: int) -> Experiment: ...

    @overload
    def __getitem__(self, frame: slice) -> Series: ...

    def __getitem__(self, frame: int | slice) -> Experiment | Series:
        """The experiment of a frame, counted from 0, or a part of the series."""
        if isinstance(frame, slice):
            return self.take(range(len(self))[frame])
        if not -len(self) <= frame < len(self):
            raise IndexError(frame)
        if not self.columns:
            return self.base
        found = self._recent.get(frame)
        if found is None:
            try:
                found = self._derived(frame % len(self))
            except InputError as error:
                raise InputError(f"frame {self.numbers[frame]}: {error}") from None
            if len(self._recent) >= KEPT:
                self._recent.clear()
            self._recent[frame] = found
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.base, self.columns, self.numbers.tolist(), self.names)

    def take(self, frames: Sequence[int]) -> Series:
        """The series of some frames, counted from 0."""
        taken = {
            name: values[list(frames)] if isinstance(values, np.ndarray) else tuple(values[k] for k in frames)
            for name, values in self.columns.items()
        }
        names = [self.names[k] for k in frames] if self.names else ()
        return Series(self.base, taken, numbers=self.numbers[list(frames)].tolist(), names=names)

    @classmethod
    def join(cls, parts: Sequence[Series], *, numbers: Sequence[int], names: Sequence[str] = ()) -> Series:
        """The frames of some series, one after the other, by columns where these can say it. Raises InputError."""
        if len(parts) == 1:
            return cls(parts[0].base, parts[0].columns, numbers=numbers, names=names)
        columns = _joined(parts)
        if columns is None:
            return cls.of([one for part in parts for one in part], numbers=numbers, names=names)
        return cls(parts[0].base, columns, numbers=numbers, names=names)

    def representatives(self, ignoring: Collection[str] = KEEP_STEPS) -> list[tuple[int, int]]:
        """A frame of each set of frames that differ in the columns `ignoring` at most, and how many it stands for.

        Without columns to ignore these are the columns that change neither the shape of panels nor the evaluations of
        a pixel.
        """
        return list(Counter(self._first_alike(ignoring)).items())

    def sampled_like(self, frame: int) -> Experiment:
        """The experiment of the first frame whose pixels have the shape and the evaluations of those of `frame`."""
        return self[self._sampled_first[frame]]

    @cached_property
    def _sampled_first(self) -> Sequence[int]:
        return self._first_alike(KEEP_STEPS)

    def _first_alike(self, ignoring: Collection[str]) -> Sequence[int]:
        """For every frame the first that differs from it in the columns `ignoring` at most."""
        kept = [
            # Of further lattices their number alone makes the evaluations.
            lattice_counts(values) if name == FURTHER_LATTICES and isinstance(values, np.ndarray) else values
            for name, values in self.columns.items()
            if name not in ignoring
        ]
        if not kept:
            return [0] * len(self)
        first: dict[Any, int] = {}
        return [first.setdefault(key, frame) for frame, key in enumerate(zip(*map(_keys, kept), strict=True))]

    def _derived(self, frame: int) -> Experiment:
        fields: dict[str, dict[str, Any]] = {}
        parts: dict[str, Any] = {}
        for path, values in self.columns.items():
            part, _, field = path.partition(".")
            if field:
                kind = hints_of(PARTS[part])[field]
                fields.setdefault(part, {})[field] = from_plain(kind, _value(values, frame))
            elif path not in CHANGES:
                parts[part] = from_plain(hints_of(Experiment)[part], _value(values, frame))
        # As they are: what follows a field in `replace` has a column of its own where it varies.
        parts |= {part: dataclasses.replace(getattr(self.base, part), **changes) for part, changes in fields.items()}
        experiment = dataclasses.replace(self.base, **parts) if parts else self.base
        for name, change in CHANGES.items():
            if name in self.columns:
                experiment = change(experiment, _value(self.columns[name], frame))
        return experiment

    def __iter__(self) -> Iterator[Experiment]:
        return (self[frame] for frame in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Series) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @cached_property
    def digest(self) -> str:
        """SHA-256 that names all experiments; that of the experiment where there is one."""
        if not self.columns and len(self) == 1:
            return self.base.digest
        sha = hashlib.sha256(self.base.digest.encode())
        sha.update(self.numbers.tobytes())
        for name, values in self.columns.items():
            sha.update(repr((name, getattr(values, "shape", len(values)))).encode())
            sha.update(values.tobytes() if isinstance(values, np.ndarray) else json.dumps(_described(values)).encode())
        return sha.hexdigest()

    def __repr__(self) -> str:
        rows = [f"Series of {counted(len(self), 'frame')}"]
        rows += [f"  {name}: {_shown(values)}" for name, values in self.columns.items()]
        return "\n".join([*rows, *repr(self.base).splitlines()])


def one_experiment(given: Any) -> Experiment:
    """The experiment itself. Raises InputError where it is none, or several."""
    if isinstance(given, Series):
        raise InputError(
            f"experiment is a Series of {counted(len(given), 'frame')}; expected an Experiment: series[n], or "
            "tilesim.run for all frames"
        )
    return instance("experiment", given, Experiment)


def _extremes(columns: Iterable[Column]) -> set[int]:
    """The first frame, and those of the smallest, the largest and the first value that is not finite of each column."""
    frames = {0}
    for values in columns:
        if isinstance(values, np.ndarray):
            flat = values.reshape(len(values), -1)
            if values.dtype.kind == "f" and not np.isfinite(flat).all():
                frames.add(int(np.argmin(np.isfinite(flat).all(axis=1))))
            frames |= {*flat.argmin(axis=0).tolist(), *flat.argmax(axis=0).tolist()}
    return frames


def _rebuilt(base: Experiment, columns: dict[str, Column], numbers: list[int], names: tuple[str, ...]) -> Series:
    return Series(base, columns, numbers=numbers, names=names)


def _number(value: Any) -> int:
    return whole_number("number of a frame", value, at_least=0)


def _check_name(name: str) -> None:
    part, _, field = name.partition(".")
    known = (
        name in CHANGES
        or name in (*WHOLE, "water_size", "other_crystals")
        or (part in PARTS and field in hints_of(PARTS[part]))
    )
    if not known:
        expected = ", ".join(CHANGES)
        raise InputError(f"a series has no column {name[:40]!r}; expected {expected}, or a field such as scan.step")


def _column(name: str, values: Any) -> Column:
    """Values as numbers (frame, ...) where they are numbers of one shape, else one by one."""
    if isinstance(values, str) or not hasattr(values, "__len__"):
        raise InputError(f"column {name} is {values!r:.60}; expected a value for each frame")
    if name == "spectrum":
        values = [value.table if isinstance(value, Spectrum) else value for value in values]
    if isinstance(values, np.ndarray) and values.dtype.kind in "iuf" and values.ndim:
        return values.astype(np.int64 if values.dtype.kind in "iu" else np.float64)
    plain = [to_plain(value) if dataclasses.is_dataclass(value) is False else value for value in values]
    if not all(_is_numeric(value) for value in plain):
        return tuple(plain)
    try:
        array = np.array(plain)
    except ValueError:  # of different lengths
        return tuple(plain)
    return array.astype(np.int64) if array.dtype.kind in "iu" else array.astype(np.float64)


def _is_numeric(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(map(_is_numeric, value))
    return isinstance(value, int | float | np.number | np.ndarray) and not isinstance(value, bool)


def _value(values: Column, frame: int) -> Any:
    """The value of a frame in plain Python."""
    value = values[frame]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _differences(experiments: Sequence[Experiment]) -> dict[str, Any]:
    """Columns of what differs from the first experiment in any other, by fields where these can say it."""
    columns: dict[str, Any] = {}
    for field in dataclasses.fields(Experiment):
        values = [getattr(one, field.name) for one in experiments]
        head = values[0]
        if all(value is head or value == head for value in values):
            continue
        if field.name in ("factors", "mask", "background") or any(type(value) is not type(head) for value in values):
            columns[field.name] = tuple(values)
        elif dataclasses.is_dataclass(head):
            for inner in dataclasses.fields(head):
                own = [getattr(value, inner.name) for value in values]
                if any(value is not own[0] and value != own[0] for value in own):
                    columns[f"{field.name}.{inner.name}"] = to_plain(tuple(own))
        else:
            columns[field.name] = tuple(values)
    return columns


def _joined(parts: Sequence[Series]) -> dict[str, Any] | None:
    """Columns of the frames of all parts on the base of the first; None where columns cannot say them."""
    bases = _differences([part.base for part in parts])
    names = sorted({name for part in parts for name in part.columns})
    wholes = {name for name in bases if name in PARTS}
    if wholes & {name.partition(".")[0] for name in names} or any(
        name not in part.columns and "." not in name for name in names for part in parts
    ):
        return None
    counts = [len(part) for part in parts]
    columns: dict[str, Any] = {
        name: [value for value, count in zip(values, counts, strict=True) for _ in range(count)]
        for name, values in bases.items()
    }
    for name in names:
        columns[name] = [value for part in parts for value in _values_of(part, name)]
        if name == FURTHER_LATTICES:
            columns[name] = _padded(columns[name])
    return columns


def _padded(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Further lattices (frame, lattice, 10) of frames that have different numbers of them."""
    padded = np.full((len(rows), max(map(len, rows)), 10), np.nan)
    for frame, row in enumerate(rows):
        padded[frame, : len(row)] = row
    return padded


def _values_of(part: Series, name: str) -> Iterable[Any]:
    """The values of a column of all frames of a series, its base's where it has no such column."""
    if name in part.columns:
        return part.columns[name]
    noun, _, field = name.partition(".")
    return [to_plain(getattr(getattr(part.base, noun), field))] * len(part)


def _keys(values: Column) -> Iterator[Any]:
    """Keys of the values of a column, equal where these are."""
    if isinstance(values, np.ndarray):
        return (row.tobytes() for row in values)
    return (getattr(value, "digest", None) or repr(value) for value in values)


def _described(values: Any) -> Any:
    """Values without the tables in them, for a digest."""
    if isinstance(values, tuple | list):
        return [_described(value) for value in values]
    return getattr(values, "digest", None) or to_plain(values)


def _shown(values: Column) -> str:
    if isinstance(values, np.ndarray):
        return f"{values.dtype} {values.shape}" if values.ndim > 1 else f"{values.min():.6g} to {values.max():.6g}"
    return f"{len(set(map(repr, values)))} different"
