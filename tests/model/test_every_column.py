"""Every column of a series changes the frames' images or is refused, and every field of a noise model its counts."""

import dataclasses
import math

import dask.array as da
import numpy as np
import pytest
from experiments import TILTED, TURN, plain, rich

import tilesim
from tilesim.errors import InputError
from tilesim.model import Series, Spectrum
from tilesim.model.gainswitch import GainStage, GainSwitching
from tilesim.model.noise import Noise, PointSpread
from tilesim.model.series import CHANGES, WHOLE

TURNED = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
BASE, RICH = plain(), rich(water_size=0.0)
COLUMNS = {
    "spectrum": (Spectrum([1e-10], [1.0]), Spectrum([1.02e-10], [1.0])),
    "scan_start": (0.1, 0.13),
    "wavelength": (1e-10, 1.04e-10),
    "direction": ((0.0, 0.0, 1.0), TILTED),
    "fluence": (1e24, 3e24),
    "exposure": (0.1, 0.4),
    "cells": ((7, 6, 5), (4.5, 6, 5)),
    "orientation": (np.eye(3), np.reshape(TURN, (3, 3))),
    "distance": (0.06, 0.065),
    "unit_cell": (BASE.crystal.cell, (*(1.01 * x for x in BASE.crystal.cell[:3]), *BASE.crystal.cell[3:])),
    "mosaic_scale": (1.0, 3.0),
    "beam_shift": ((0.0, 0.0), (3e-4, -1e-3)),
    "blank": (0, 1),
    "further_lattices": np.array([np.full((1, 10), math.nan), [[0.5, *np.eye(3).ravel()]]]),
}
BEHIND = np.outer(np.linspace(0.5, 60.0, 20), np.linspace(1.0, 3.0, 24)).astype(np.float32)
NOISE = Noise(
    flicker=0.05,
    calibration=0.02,
    module_calibration=0.03,
    module=(5, 6),
    point_spread=PointSpread("gauss", 1.5),
    readout=2.0,
    overload=150.0,
)
FIELDS = {
    "scale": 2.0,
    "flicker": 0.1,
    "calibration": 0.1,
    "module_calibration": 0.2,
    "module": (10, 4),
    "photon_noise": False,
    "point_spread": PointSpread("fiber", 1.5),
    "gain": 3.0,
    "offset": 10.0,
    "readout": 9.0,
    "overload": 100.0,
    "seed": 2,
    "calibration_seed": 3,
    "switching": GainSwitching((GainStage(30.0, 100.0, 2.0, 0), GainStage(-2.0, 900.0, 2.0, 1)), (9.0,)),
}
SPREAD = {"shape": "fiber", "fwhm": 2.5, "radius": 2}


def pixels(experiment):
    return tilesim.simulate_now(experiment, precision="double", device="cpu", backend="eager")


def counts(noise):
    return tilesim.add_noise(da.from_array(BEHIND, chunks=(8, 9)), noise, dtype="int32").compute()


def test_the_tables_are_complete():
    assert set(COLUMNS) == set(CHANGES)
    assert set(FIELDS) == {field.name for field in dataclasses.fields(Noise)}
    assert set(SPREAD) == {field.name for field in dataclasses.fields(PointSpread)}


@pytest.mark.parametrize("base", [BASE, RICH], ids=["plain", "rich"])
@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_changes_the_image_of_its_frame(base, name):
    if name == "mosaic_scale" and base is BASE:
        base = BASE.replace(crystal=BASE.crystal.replace(mosaic_rotations=RICH.crystal.mosaic_rotations))
    first, second = Series(base, {name: COLUMNS[name]})
    assert first != second and first.digest != second.digest
    a, b = pixels(first), pixels(second)
    assert a.max() > 0 and (b.max() > 0 or name == "blank")
    # The exposure is stated in headers; fluence, not flux, decides the photons.
    assert np.array_equal(a, b) == (name == "exposure")


def test_columns_take_along_what_depends_on_them():
    [shorter] = Series(RICH, wavelength=[0.9e-10])
    assert [one.wavelength for one in shorter.beam.sources] == pytest.approx(
        [0.9 * one.wavelength for one in RICH.beam.sources]
    )
    [moved] = Series(BASE, distance=[0.08])
    assert moved.detector.panels[0].distance == pytest.approx(0.08)
    [turned] = Series(BASE, orientation=[np.eye(3)])
    assert turned.crystal.cell == pytest.approx(BASE.crystal.cell)
    np.testing.assert_allclose(turned.crystal.orientation, np.eye(3), atol=1e-12)


TWO = BASE.replace(
    crystal=RICH.crystal.replace(share=0.5),
    other_crystals=(RICH.crystal.rotated((0.3, 1.0, 0.2), 0.4).replace(share=0.5),),
    sampling=BASE.sampling.replace(strict_c=False),
)


@pytest.mark.parametrize("name", ["unit_cell", "cells", "mosaic_scale", "orientation"])
def test_a_column_acts_on_every_lattice_of_the_shot(name):
    """The image is the mean of those of the lattices alone, each changed by the column."""
    value = COLUMNS[name][1]
    [both] = Series(TWO, {name: [value]})
    alone = [TWO.replace(crystal=one.replace(share=1.0), other_crystals=()) for one in TWO.crystals]
    values = [value, value]
    if name == "orientation":  # a turn of the whole
        turn = np.reshape(value, (3, 3)) @ TWO.crystal.orientation.T
        values = [value, turn @ alone[1].crystal.orientation]
        np.testing.assert_allclose(both.other_crystals[0].a, turn @ TWO.other_crystals[0].a, rtol=1e-9, atol=1e-18)
    images = [pixels(Series(one, {name: [v]})[0]) for one, v in zip(alone, values, strict=True)]
    assert min(one.max() for one in images) > 0
    np.testing.assert_allclose(pixels(both), np.mean(images, axis=0), rtol=1e-6, atol=1e-9 * images[0].max())


def test_a_column_does_not_make_lattices_alike_that_differ():
    larger = TWO.replace(other_crystals=(TWO.crystal.replace(cells=(9, 9, 9)),))
    with pytest.raises(InputError, match="frame 0: lattice 1 of the shot differs from the first in what the column"):
        Series(larger, cells=[(5, 5, 5)])
    assert Series(larger, mosaic_scale=[2.0])[0].other_crystals[0].cells == (9, 9, 9)


@pytest.mark.parametrize("part", WHOLE)
def test_whole_parts_are_columns(part):
    values = {
        "factors": [BASE.factors, tilesim.StructureFactors.constant(9.0)],
        "mask": [None, RICH.mask],
        "background": [None, None],
        "crystal": [BASE.crystal, BASE.crystal.rotated((0.0, 0.0, 1.0), 0.1)],
        "detector": [BASE.detector, BASE.detector.replace(panels=(tilesim.Panel.facing(0.05, 4e-4, (23, 31)),))],
    }[part]
    first, second = Series(BASE, {part: values})
    assert np.array_equal(pixels(first), pixels(second)) == (part == "background")


@pytest.mark.parametrize(
    "columns, said",
    [
        ({"wavelengths": [1e-10]}, "no column 'wavelengths'"),
        ({"beam.colour": [1]}, "no column 'beam.colour'"),
        ({"wavelength": [1e-10, 1.1e-10], "fluence": [1e24]}, "expected as many"),
        ({"wavelength": [1.0]}, "did you mean"),
        ({"cells": [(0, 1, 1)]}, "above 0"),
        ({"fluence": [math.nan]}, "fluence"),
    ],
)
def test_a_column_that_cannot_be_is_refused(columns, said):
    with pytest.raises(InputError, match=said):
        Series(BASE, columns)


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_the_noise_changes_the_counts(field):
    noise = NOISE.replace(overload=None) if field == "switching" else NOISE  # stages end by themselves
    before, after = counts(noise), counts(noise.replace(**{field: FIELDS[field]}))
    assert before.max() > 40 and not np.array_equal(before, after)


@pytest.mark.parametrize("field", SPREAD)
def test_a_field_of_the_point_spread_changes_the_counts(field):
    spread = NOISE.point_spread.replace(**{field: SPREAD[field]})
    assert not np.array_equal(counts(NOISE), counts(NOISE.replace(point_spread=spread)))


def test_an_orientation_is_that_of_the_crystal_whatever_it_was_before():
    crystal = BASE.crystal.replace(reciprocal=BASE.crystal.star)
    turned = crystal.oriented(TURNED)
    np.testing.assert_allclose(turned.orientation, TURNED, rtol=0, atol=1e-12)
    assert turned.cell == pytest.approx(crystal.cell, rel=1e-12)
    np.testing.assert_allclose(turned.star, turned.replace(reciprocal=None).star, rtol=0, atol=1.0)
    left = crystal.replace(c=tuple(-x for x in crystal.c))
    np.testing.assert_allclose(left.oriented(left.orientation).c, left.c, rtol=1e-9)
