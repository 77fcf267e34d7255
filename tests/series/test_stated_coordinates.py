"""Coordinates that columns state themselves are those of the experiments that follow from them."""

import math

import numpy as np
import pytest
from experiments import TURN, plain

from tilesim.model import Series
from tilesim.series.coordinates import STATED, series_coordinates

BASE = plain()
TILT = (math.cos(0.005), 0.0, math.sin(0.005), 0.0, 1.0, 0.0, -math.sin(0.005), 0.0, math.cos(0.005))
SPREAD = BASE.replace(crystal=BASE.crystal.replace(mosaic_rotations=(np.eye(3), TILT)))
COLUMNS = {
    "scan_start": [0.1, 0.13, 0.1],
    "wavelength": [1e-10, 1.04e-10, 1e-10],
    "fluence": [1e24, 3e24, 0.0],
    "exposure": [0.1, 0.4, 0.1],
    "distance": [0.06, 0.065, 0.06],
    "beam_shift": [(0, 0), (1e-4, -2e-4), (0, 1e-5)],
    "unit_cell": [
        (6e-9, 6e-9, 8e-9, 1.5, 1.5, 1.6),
        (6.1e-9, 6e-9, 8e-9, 1.5, 1.5, 1.6),
        (6e-9, 6e-9, 8e-9, 1.5, 1.5, 1.6),
    ],
    "orientation": [np.eye(3).ravel(), TURN, np.eye(3).ravel()],
    "cells": [(4, 5, 6), (5, 5, 6), (4, 5, 7)],
    "mosaic_scale": [1.0, 2.0, 0.5],
    "blank": [0, 0, 1],
    "further_lattices": np.array([np.full((1, 10), math.nan), [[0.5, *TURN]], np.full((1, 10), math.nan)]),
}


@pytest.mark.parametrize(
    "names", [*[[name] for name in COLUMNS], list(COLUMNS)], ids=lambda names: "-".join(names)[:20]
)
def test_they_are_those_of_the_experiments(names):
    assert COLUMNS.keys() | {"scan.start", "sampling.oversample"} == STATED.keys()
    series = Series(SPREAD, {name: COLUMNS[name] for name in names})
    stated = {one.name: one for one in series_coordinates(series)}
    derived = {one.name: one for one in series_coordinates(Series.of(list(series), names=("a", "b", "c")))}
    # Derived ones may differ by rounding in what a column leaves as it is.
    assert stated.keys() == {STATED[name][0] for name in names} <= derived.keys()
    for name in stated:
        np.testing.assert_allclose(stated[name].values, derived[name].values, rtol=1e-7, atol=1e-9)
        assert stated[name].units == derived[name].units
