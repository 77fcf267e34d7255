"""The chain rule: how the derivatives with parameters follow from the rows that the kernel finds for a pixel.

It is linear, with coefficients that are the same for all pixels of a panel: the derivatives of what a row belongs to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tilesim.frozen import frozen
from tilesim.gradients.parameters import Parameter, attenuation_slope
from tilesim.kernels.slopes import row_count, row_slice
from tilesim.model import Crystal, Experiment, Shape

BASIS = np.eye(3)
PAIRS = ((0, 1), (1, 2), (0, 2))
"""Places of the numbers of `cells_off_diagonal`."""
STRAINS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


@frozen
class Coefficients:
    """One row for each number that is varied, filled part by part."""

    experiment: Experiment
    """With one panel"""
    table: np.ndarray
    """(numbers, rows)"""

    def add(self, name: str, values: np.ndarray | float, crystal: int = 0) -> None:
        """Add the derivatives (numbers, width) or (numbers,) of what rows of this name belong to."""
        part = self.table[:, row_slice(name, crystal)]
        part += np.reshape(values, (-1, part.shape[1])) if np.ndim(values) else values

    def add_scale(self, values: np.ndarray | float) -> None:
        """Add derivatives (numbers,) of the logarithm of all photons, those of the amorphous background included."""
        self.add("photons", values)
        self.table[:, -1] += values


def coefficients(experiment: Experiment, panel: int, parameters: Sequence[Parameter]) -> np.ndarray:
    """Coefficients (numbers, rows) of the rows of one panel's pixels in all derivatives, in the parameters' order.

    Those of structure factors do not follow from rows: `kernels.amplitudes` has them.
    """
    alone = experiment.of_panel(panel)
    parts = [np.zeros((0, row_count(alone)))]
    for one in parameters:
        found = Coefficients(alone, np.zeros((one.size, row_count(alone))))
        if one.part != "detector" or panel in one.places:
            _PARTS[one.part](found, one)
        parts.append(found.table)
    return np.concatenate(parts)


def _crystal(to: Coefficients, one: Parameter) -> None:
    for place in one.places:
        crystal = to.experiment.crystals[place]
        if one.field in CELLS:
            to.add("cell", CELLS[one.field](crystal), place)
        elif one.field == "share":
            to.add("sum", 1.0 / crystal.share, place)
        elif one.field == "mosaic_spread.sigma":
            to.add("angles", np.eye(one.size, 3), place)
        else:
            _SIZES[one.field](to, crystal, place)


def _rotated(vectors: np.ndarray) -> np.ndarray:
    """Derivatives (3, ..., 3) of vectors (..., 3) with a rotation vector."""
    return np.stack([np.cross(axis, vectors) for axis in BASIS])


def _rows(crystal: Crystal) -> np.ndarray:
    return np.array([crystal.a, crystal.b, crystal.c])


def _strained(crystal: Crystal) -> np.ndarray:
    strains = np.zeros((6, 3, 3))
    for number, (i, j) in enumerate(STRAINS):
        strains[number, i, j] = strains[number, j, i] = 1.0
    return _rows(crystal) @ strains


def _of_lengths_and_angles(crystal: Crystal) -> np.ndarray:
    """Derivatives (6, 3, 3) of the cell vectors with a, b, c, alpha, beta, gamma, the orientation being kept."""
    a, b, _, alpha, beta, gamma = crystal.cell
    (cos_al, cos_be, cos_ga), (sin_al, sin_be, sin_ga) = (
        tuple(map(f, (alpha, beta, gamma))) for f in (math.cos, math.sin)
    )
    y = (cos_ga - cos_be * cos_al) / sin_al
    x = math.sqrt(1.0 - cos_be * cos_be - y * y)
    with_y = (cos_be - y * cos_al / sin_al, sin_be * cos_al / sin_al, -sin_ga / sin_al)
    with_x = (-y * with_y[0] / x, (cos_be * sin_be - y * with_y[1]) / x, -y * with_y[2] / x)
    found = np.zeros((6, 3, 3))
    found[0, 0] = (x, y, cos_be)
    found[1, 1] = (0.0, sin_al, cos_al)
    found[2, 2] = (0.0, 0.0, 1.0)
    found[3:, 0, 0], found[3:, 0, 1] = a * np.array(with_x), a * np.array(with_y)
    found[4, 0, 2] = -a * sin_be
    found[3, 1] = (0.0, b * cos_al, -b * sin_al)
    turned: np.ndarray = found @ crystal.orientation.T
    return turned


def _heights(crystal: Crystal) -> np.ndarray:
    """Derivatives (3, 3) of the logarithm of the squared height of a node with the elements of N."""
    if crystal.shape == Shape.SQUARE or crystal.unit_height:
        return np.zeros((3, 3))  # a grating has its height in its slope
    heights: np.ndarray = 2.0 * np.linalg.inv(crystal.cells_matrix)
    return heights


def _of_cells(to: Coefficients, crystal: Crystal, place: int) -> None:
    to.add("size", np.eye(3, 6), place)
    to.add("sum", np.diag(_heights(crystal)), place)


def _of_off_diagonal(to: Coefficients, crystal: Crystal, place: int) -> None:
    to.add("size", np.eye(3, 6, 3), place)
    to.add("sum", np.array([2.0 * _heights(crystal)[pair] for pair in PAIRS]), place)


def _of_fudge(to: Coefficients, crystal: Crystal, place: int) -> None:
    """The shape is a function of the fudge times a form of second order in N, of sixth in those of "gauss"."""
    if crystal.shape != Shape.SQUARE:
        order = 6 if crystal.shape == Shape.GAUSS else 2
        to.add("size", np.array([[*crystal.cells, *crystal.cells_off_diagonal]]) / (order * crystal.fudge), place)


CELLS: dict[str, Callable[[Crystal], np.ndarray]] = {
    "rotation": lambda crystal: _rotated(_rows(crystal)),
    "cell": _of_lengths_and_angles,
    "strain": _strained,
}
"""Derivatives (numbers, 3, 3) of the cell vectors."""
_SIZES: dict[str, Callable[[Coefficients, Crystal, int], None]] = {
    "cells": _of_cells,
    "cells_off_diagonal": _of_off_diagonal,
    "fudge": _of_fudge,
}


def _scan(to: Coefficients, one: Parameter) -> None:
    for place in range(len(to.experiment.crystals)):
        if one.field == "start":
            to.add("start", 1.0, place)
        else:
            to.add("step", 1.0 if one.field == "step" else 1.0 / to.experiment.scan.steps, place)


def _beam(to: Coefficients, one: Parameter) -> None:
    beam, panel = to.experiment.beam, to.experiment.detector.panels[0]
    if one.field == "wavelength":
        to.add("wavelength", 1.0 / beam.wavelength)
        if panel.sensor is not None and (power := attenuation_slope(panel, beam.wavelength)):
            optical = panel.sensor.layer_thickness * panel.sensor.attenuation_at(beam.wavelength)
            to.add("absorbed", optical * power / beam.wavelength)
    elif one.field == "rotation":
        to.add("turn", BASIS)
        to.add("centre", _rotated(np.array(beam.direction)))
    elif one.field == "fluence":
        to.add_scale(1.0 / beam.fluence)
    else:
        to.add("kahn" if one.field == "kahn_factor" else "axis", np.eye(one.size))


def _detector(to: Coefficients, one: Parameter) -> None:
    panel, field = to.experiment.detector.panels[0], one.field
    if field in ("distance", "translation", "origin"):
        shifts = np.array([to.experiment.beam.direction]) if field == "distance" else BASIS
        _add_panel(to, origin=shifts)
    elif field == "rotation":
        _add_panel(
            to, **{name: _rotated(np.array(getattr(panel, name))) for name in ("origin", "fast", "slow", "normal")}
        )
    elif field in ("fast", "slow", "normal"):
        _add_panel(to, **{field: BASIS})
    elif field == "pixel_size":
        to.add("fast", np.array([panel.fast]) / panel.pixel_size)
        to.add("slow", np.array([panel.slow]) / panel.pixel_size)
        to.add_scale(0.0 if to.experiment.sampling.point_pixel else 2.0 / panel.pixel_size)
    elif field == "curved_radius":
        to.add("radius", 1.0)
    elif panel.sensor is not None:
        attenuation = panel.sensor.attenuation_at(to.experiment.beam.wavelength)
        thick = field == "sensor.layer_thickness"
        to.add("absorbed", attenuation if thick else panel.sensor.layer_thickness)
        to.add("depth", 1.0 if thick else 0.0)


def _add_panel(to: Coefficients, **vectors: np.ndarray) -> None:
    """Derivatives (numbers, 3) of the vectors of a panel; the distance of its plane follows origin and normal."""
    panel, closer = to.experiment.detector.panels[0], np.zeros(len(to.table))
    for name, values in vectors.items():
        to.add(name, values)
        if name in ("fast", "slow"):
            to.add(f"bent_{name}", values)
        else:
            closer = closer + values @ np.array(panel.normal if name == "origin" else panel.origin)
    to.add_scale(np.zeros_like(closer) if to.experiment.sampling.point_pixel else closer / panel.distance)


def _others(to: Coefficients, one: Parameter) -> None:
    if one.field == "water_size":
        to.add("water", 3.0 / to.experiment.water_size)
    elif to.experiment.background is not None:
        to.table[:, -1] += 1.0 / to.experiment.background.thickness


_PARTS: dict[str, Callable[[Coefficients, Parameter], None]] = {
    "crystal": _crystal,
    "scan": _scan,
    "beam": _beam,
    "detector": _detector,
    "": _others,
}
