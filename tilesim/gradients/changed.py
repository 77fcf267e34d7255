"""An experiment at other values of its parameters: what the differentiable twin is an image of, as nouns.

A cell is set first, then strained, then turned; a panel is turned about the sample, then shifted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from tilesim.errors import InputError
from tilesim.gradients.parameters import Parameter, parse_parameters
from tilesim.kernels.tables import channels_of
from tilesim.model import AnomalousFactors, Beam, Crystal, Detector, Experiment, Panel, Scan, checks
from tilesim.model.noun import Noun, counted

Values = Mapping[str, float | Sequence[float]]
Array = np.ndarray
Kind = TypeVar("Kind", bound=Noun)
METRIC = ("cell", "strain", "rotation")
"""Fields that cell vectors follow."""
FRAME = ("origin", "fast", "slow", "normal")
"""Vectors of a panel."""
PLACED = (*FRAME, "rotation", "distance", "translation")


def with_values(experiment: Experiment, values: Values) -> Experiment:
    """The experiment whose parameters have these values, numbers by name as in docs/gradients.md.

    Where several parameters are of one field, as of all panels and of one, what each adds is added. Raises InputError.
    """
    if not values:
        return experiment
    return with_shifts(experiment, Shifts(parse_parameters(values, experiment), values))


class Shifts:
    """What is added to the fields of an experiment, and the parameters that add it.

    Fields that stay are left out: an experiment with the values that it has is the same to the bit.
    """

    def __init__(self, parameters: Sequence[Parameter], values: Values) -> None:
        self._by: dict[tuple[str, int, str], list[tuple[Array, Array]]] = {}
        self._names: dict[tuple[str, int, str], list[str]] = {}
        for one in parameters:
            value, present = np.array(checked(one, values[one.name])), np.array(one.value)
            for key in ((one.part, place, one.field) for place in one.places if (value != present).any()):
                self._by.setdefault(key, []).append((value, present))
                self._names.setdefault(key, []).append(one.name)

    def names(self, part: str | None = None, place: int | None = None, *fields: str) -> list[str]:
        """The parameters that change some of these fields of a place, any of a part, or anything."""
        if place is not None:
            found = [self._names.get((str(part), place, field), []) for field in fields]
        else:
            found = [names for key, names in self._names.items() if part in (None, key[0])]
        return list(dict.fromkeys(name for names in found for name in names))

    def get(self, part: str, place: int, field: str, default: float | Sequence[float] | Array) -> Array:
        """A field, as an array."""
        found = np.array(default, np.float64)
        for value, present in self._by.get((part, place, field), []):
            # A value that nothing else is added to is taken as it is, without rounding.
            found = np.where(found == present, value, found + (value - present))
        return found

    def vector(self, part: str, place: int, field: str) -> Array:
        """A vector (3,) that is zero where nothing changes it."""
        return self.get(part, place, field, (0.0,) * 3)

    def strain(self, place: int) -> Array:
        """The strain (3, 3) of a crystal."""
        xx, yy, zz, yz, xz, xy = self.get("crystal", place, "strain", (0.0,) * 6)
        return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])

    def added(self, part: str, field: str, default: float | Sequence[float] | None, place: int = 0) -> Any:
        """A field as a number or a tuple, the same object where nothing changes it."""
        if default is None or (part, place, field) not in self._by:
            return default
        value = np.reshape(self.get(part, place, field, default), np.shape(default))
        return tuple(value.tolist()) if value.ndim else float(value)

    @contextmanager
    def naming(self, part: str | None = None, place: int | None = None, *fields: str) -> Iterator[None]:
        """Say which parameters a noun's error is of."""
        try:
            yield
        except InputError as error:
            raise InputError(f"parameter {', '.join(self.names(part, place, *fields))}: {error}") from None


def with_shifts(experiment: Experiment, shifts: Shifts) -> Experiment:
    """The experiment with something added to its fields. Raises InputError."""
    parts: dict[str, Any] = {}
    if shifts.names("crystal"):
        crystals = [_crystal(crystal, place, shifts) for place, crystal in enumerate(experiment.crystals)]
        parts |= {"crystal": crystals[0], "other_crystals": tuple(crystals[1:])}
    if shifts.names("scan"):
        parts["scan"] = _scan(experiment.scan, shifts)
    if shifts.names("beam"):
        parts["beam"] = _beam(experiment.beam, shifts)
    if shifts.names("detector"):
        panels = [
            _panel(panel, place, shifts, np.array(experiment.beam.direction))
            for place, panel in enumerate(experiment.detector.panels)
        ]
        parts["detector"] = Detector(panels, experiment.detector.name)
    if shifts.names("factors"):
        parts["factors"] = _factors(experiment, shifts)
    if experiment.background is not None:
        parts["background"] = _with_fields(experiment.background, "", 0, shifts, "background.thickness")
    with shifts.naming():
        found = experiment.replace(**parts)
    return _with_fields(found, "", 0, shifts, "water_size")


def rotation_of(vector: Array) -> Array:
    """The rotation (3, 3) of a rotation vector."""
    x, y, z = vector
    across, angle = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]]), float(np.linalg.norm(vector))
    half = np.sinc(angle / 2.0 / np.pi)
    turn: Array = np.eye(3) + np.sinc(angle / np.pi) * across + half * half / 2.0 * across @ across
    return turn


def _with_fields(noun: Kind, part: str, place: int, shifts: Shifts, *fields: str) -> Kind:
    """A noun with fields changed that have nothing to do with others; the same object where none is."""
    if not shifts.names(part, place, *fields):
        return noun
    with shifts.naming(part, place, *fields):
        names = {field: field.rpartition(".")[2] for field in fields}
        return noun.replace(
            **{name: shifts.added(part, field, getattr(noun, name), place) for field, name in names.items()}
        )


def checked(one: Parameter, value: Any) -> tuple[float, ...]:
    """The numbers of a parameter. Raises InputError where there are others."""
    numbers = (value,) if checks.single(value) else value
    if len(numbers) != one.size:
        raise InputError(f"parameter {one.name} is {checks.shown(value)}; expected {counted(one.size, 'number')}")
    return checks.numbers(f"parameter {one.name}", numbers, one.size)


def _crystal(crystal: Crystal, place: int, shifts: Shifts) -> Crystal:
    if shifts.names("crystal", place, *METRIC):
        with shifts.naming("crystal", place, *METRIC):
            crystal = _moved(crystal, place, shifts)
    if (spread := crystal.mosaic_spread) is not None:
        spread = _with_fields(spread, "crystal", place, shifts, "mosaic_spread.sigma")
        crystal = crystal if spread is crystal.mosaic_spread else crystal.replace(mosaic_spread=spread)
    for fields in (("cells", "cells_off_diagonal"), ("fudge",), ("share",)):
        crystal = _with_fields(crystal, "crystal", place, shifts, *fields)
    return crystal


def celled(crystal: Crystal, place: int, shifts: Shifts) -> Crystal:
    """The crystal with another unit cell, neither strained nor turned."""
    if not shifts.names("crystal", place, "cell"):
        return crystal
    standard = Crystal.from_cell(*shifts.get("crystal", place, "cell", crystal.cell))
    rows = np.array([standard.a, standard.b, standard.c]) @ crystal.orientation.T
    return crystal.replace(**dict(zip("abc", rows.tolist(), strict=True)))


def _moved(crystal: Crystal, place: int, shifts: Shifts) -> Crystal:
    """The crystal with other cell vectors, which reciprocal ones that were given follow."""
    before, found = _rows(crystal), _rows(celled(crystal, place, shifts))
    turn = rotation_of(shifts.vector("crystal", place, "rotation"))
    rows = found @ (np.eye(3) + shifts.strain(place)) @ turn.T
    vectors = dict(zip("abc", rows.tolist(), strict=True))
    if crystal.reciprocal is None:
        return crystal.replace(**vectors)
    star = np.array(crystal.reciprocal) @ (np.linalg.inv(rows) @ before).T
    return crystal.replace(**vectors, reciprocal=tuple(map(tuple, star.tolist())))


def _rows(crystal: Crystal) -> Array:
    return np.array([crystal.a, crystal.b, crystal.c])


def _scan(scan: Scan, shifts: Shifts) -> Scan:
    with shifts.naming("scan"):
        oscillation = shifts.added("scan", "oscillation", scan.oscillation)
        step = shifts.added("scan", "step", scan.step) + (oscillation - scan.oscillation) / scan.steps
        return scan.replace(start=shifts.added("scan", "start", scan.start), step=step)


def _beam(beam: Beam, shifts: Shifts) -> Beam:
    if shifts.names("beam", 0, "rotation"):
        turn = rotation_of(shifts.vector("beam", 0, "rotation"))
        sources = tuple(one.replace(direction=turn @ np.array(one.direction)) for one in beam.sources)
        beam = beam.replace(direction=turn @ np.array(beam.direction), sources=sources)
    for field in ("wavelength", "fluence", "kahn_factor", "polarization_axis"):
        beam = _with_fields(beam, "beam", 0, shifts, field)
    return beam


def _factors(experiment: Experiment, shifts: Shifts) -> AnomalousFactors:
    """Structure factors with other f' and f'' at the wavelengths of the sources. Raises InputError."""
    factors, waves = experiment.factors, [source.wavelength for source in experiment.beam.waves]
    assert isinstance(factors, AnomalousFactors)  # no others have these parameters
    if moving := shifts.names("beam", 0, "wavelength"):
        raise InputError(
            f"parameter {shifts.names('factors')[0]} with {moving[0]}: f' and f'' are those of the wavelengths that "
            "the experiment has; expected one of both"
        )
    channels, curves = channels_of(factors, waves).wavelengths, []
    for place, curve in enumerate(factors.curves):
        known = curve.over(channels)
        values = shifts.get("factors", place, "f1", known.real) + 1j * shifts.get("factors", place, "f2", known.imag)
        curves.append(curve if (values == known).all() else curve.through(channels, values))
    return AnomalousFactors(
        factors.parts,
        curves,
        factors.wavelength,
        factors.minimum,
        factors.default,
        factors.reflections,
        factors.source,
    )


def _panel(panel: Panel, place: int, shifts: Shifts, along: Array) -> Panel:
    """One panel; `along` is the direction of the incident beam that a distance is along."""
    if shifts.names("detector", place, *PLACED):
        with shifts.naming("detector", place, *PLACED):
            panel = _placed(panel, place, shifts, along)
    for field in ("pixel_size", "curved_radius"):
        panel = _with_fields(panel, "detector", place, shifts, field)
    if (sensor := panel.sensor) is not None:
        for field in ("sensor.layer_thickness", "sensor.attenuation"):
            sensor = _with_fields(sensor, "detector", place, shifts, field)
        panel = panel if sensor is panel.sensor else panel.replace(sensor=sensor)
    return panel


def shift_of(place: int, shifts: Shifts, along: Array) -> Array:
    """How far a panel is moved after it is turned, metres; `along` is the direction that a distance is along."""
    distance = float(shifts.added("detector", "distance", 0.0, place))
    return shifts.vector("detector", place, "translation") + distance * along


def _placed(panel: Panel, place: int, shifts: Shifts, along: Array) -> Panel:
    """The panel in another place; a distance of its plane that was given changes as much as that of its vectors."""
    turn = rotation_of(shifts.vector("detector", place, "rotation"))
    frame = {name: turn @ shifts.get("detector", place, name, getattr(panel, name)) for name in FRAME}
    frame["origin"] = frame["origin"] + shift_of(place, shifts, along)
    close = panel.close_distance
    if close is not None:
        close += float(frame["origin"] @ frame["normal"] - np.dot(panel.origin, panel.normal))
    return panel.replace(**frame, close_distance=close)
