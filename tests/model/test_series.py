"""Series: frames derived exactly from a base and columns, whatever the experiments came from."""

import math
import pickle

import numpy as np
import pytest
from experiments import plain, rich, veiled

from tilesim.errors import InputError
from tilesim.model import (
    Beam,
    Crystal,
    Detector,
    Panel,
    PixelMask,
    Region,
    Scan,
    Sensor,
    Series,
    Shape,
    Source,
    Spectrum,
    StructureFactors,
)
from tilesim.model.series import CHANGES
from tilesim.model.vectors import rotate_about

X, Z = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)
TURN = np.array([rotate_about(v, Z, 0.3) for v in np.eye(3)]).T


def varied(experiment):
    """Experiments that differ from the first in every part, one at a time and together."""
    e = experiment
    panel = e.detector.panels[0]
    return [
        e,
        e.replace(beam=e.beam.replace(wavelength=1.1e-10, fluence=3e23)),
        e.replace(beam=e.beam.replace(sources=(Source(Z, 1.2e-10, 0.5), Source(Z, 1.3e-10, 1.5)))),
        e.replace(beam=e.beam.replace(kahn_factor=None, exposure=0.2)),
        e.replace(crystal=e.crystal.rotated((1, 2, 3), 0.4)),
        e.replace(crystal=e.crystal.replace(shape=Shape.GAUSS, cells=(1, 2, 3), mosaic_rotations=[np.eye(3)] * 3)),
        e.replace(crystal=e.crystal.replace(reciprocal=e.crystal.star)),
        e.replace(detector=Detector(panel.replace(origin=(0.0, 0.001, 0.07)), name="moved")),
        e.replace(detector=Detector(panel.replace(sensor=Sensor(3, 1e-4, material="Si")))),
        e.replace(factors=StructureFactors(np.ones((3, 3, 3)), (-1, -1, -1))),
        e.replace(scan=Scan(X, 0.5, 0.25, 4)),
        e.replace(sampling=e.sampling.replace(oversample=3, roi=Region(1, 4, 2, 9))),
        e.replace(mask=PixelMask(np.eye(23, 31))),
        e.replace(water_size=3e-6),
        e.replace(crystal=None, factors=StructureFactors.constant(0.0)),
        veiled(),
    ]


@pytest.mark.parametrize("make", [plain, rich])
def test_experiments_that_differ_in_anything_come_back_exactly(make):
    experiments = varied(make())
    series = Series.of(experiments)
    assert len(series) == len(experiments)
    for one, wanted in zip(series, experiments, strict=True):
        assert one == wanted and one.digest == wanted.digest
    assert pickle.loads(pickle.dumps(series)) == series
    assert [one.digest for one in series[3:6]] == [one.digest for one in experiments[3:6]]
    assert series.take([7, 2])[0] == experiments[7]


def test_only_what_varies_is_a_column():
    still = plain()
    frames = [still.replace(scan=still.scan.replace(start=0.1 * k)) for k in range(4)]
    series = Series.of(frames)
    assert list(series.columns) == ["scan.start"] and series.columns["scan.start"].dtype == np.float64
    assert list(Series.of([still, still]).columns) == []
    assert Series.of([still]).digest == still.digest
    assert Series.of(series) is series


def test_each_named_column_changes_what_it_names():
    base = rich()
    values = {
        "scan_start": [0.0, 0.2],
        "wavelength": [1e-10, 1.5e-10],
        "direction": [Z, (0.6, 0.0, 0.8)],
        "fluence": [1e24, 2e24],
        "exposure": [1.0, 0.5],
        "cells": [(1, 2, 3), (4, 5, 6)],
        "orientation": [np.eye(3), TURN],
        "distance": [0.06, 0.09],
    }
    spectra = {"spectrum": [Spectrum([1e-10, 1.1e-10], [1, 2]), Spectrum([1e-10, 1.1e-10], [2, 1])]}
    # tests/model/test_every_column.py
    others = {"unit_cell", "mosaic_scale", "further_lattices", "beam_shift", "blank"}
    assert values.keys() | spectra.keys() | others == CHANGES.keys()
    for name, column in (values | spectra).items():
        first, second = Series(base, {name: column})
        assert first != second, name
    _, both = Series(base, values)
    assert both.scan.start == 0.2 and both.beam.fluence == 2e24 and both.crystal.cells == (4, 5, 6)
    assert [s.wavelength for s in both.beam.sources] == pytest.approx([1.5e-10, 1.515e-10])
    np.testing.assert_allclose(both.crystal.orientation, TURN, atol=1e-12)
    assert both.crystal.cell == pytest.approx(base.crystal.cell)
    # Along the beam as it is by then.
    assert both.detector.panels[0].distance == pytest.approx(0.09)


def test_panels_move_together():
    panel = Panel.facing(0.1, 1e-4, (10, 10))
    two = Detector([panel, panel.replace(origin=(0.0, 0.0, 0.12))])
    [moved] = Series(plain(detector=two), distance=[0.3])
    assert [p.origin[2] for p in moved.detector.panels] == pytest.approx([0.3, 0.32])
    assert moved.detector.panels[1].origin[:2] == (0.0, 0.0)


def test_columns_of_fields_by_their_path():
    series = Series(plain(), {"sampling.oversample": [1, 2], "crystal.shape": ["round", "gauss"]})
    assert [(e.sampling.oversample, e.crystal.shape) for e in series] == [(1, Shape.ROUND), (2, Shape.GAUSS)]


def test_digests_tell_series_apart():
    base = plain()
    digests = {
        Series(base).digest,
        Series(base, fluence=[1.0, 2.0]).digest,
        Series(base, fluence=[2.0, 1.0]).digest,
        Series(base, exposure=[1.0, 2.0]).digest,
        Series(base, fluence=[1.0, 2.0], numbers=[3, 4]).digest,
        Series(base.replace(water_size=1e-6), fluence=[1.0, 2.0]).digest,
    }
    assert len(digests) == 6
    assert Series(base, fluence=[1.0, 2.0]) == Series(base, {"fluence": np.array([1, 2.0])})


REFUSED = {
    "an unknown column": ({"colour": [1, 2]}, "no column 'colour'; expected spectrum, scan_start"),
    "an unknown field": ({"scan.colour": [1, 2]}, "no column 'scan.colour'"),
    "columns of two lengths": ({"fluence": [1, 2], "wavelength": [1e-10]}, "fluence 2, wavelength 1 values"),
    "no frames": ({"fluence": []}, "fluence 0 values"),
    "a number for a column": ({"fluence": 3.0}, "expected a value for each frame"),
    "nonsense": ({"wavelength": [-1.0, 1.0]}, "frame 0: wavelength"),
    "no rotation": ({"orientation": [np.ones((3, 3))]}, "is no rotation"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_frame_can_have_is_refused(case):
    columns, message = REFUSED[case]
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        Series(plain(), columns)


def test_names_and_numbers_belong_to_frames():
    series = Series(plain(), fluence=[1.0, 2.0, 3.0], numbers=[5, 7, 9], names=["a", "b", "c"])
    assert series.take([2, 0]).numbers.tolist() == [9, 5] and series[1:].names == ("b", "c")
    with pytest.raises(InputError, match="2 names"):
        Series(plain(), fluence=[1.0, 2.0, 3.0], names=["a", "b"])
    with pytest.raises(IndexError):
        series[3]


def test_crystals_turn_with_their_cell_kept():
    crystal = Crystal.from_cell(5e-9, 6e-9, 7e-9, 1.4, 1.5, 1.6)
    turned = crystal.rotated((0, 0, 5), math.pi / 2)
    np.testing.assert_allclose(turned.a, (-crystal.a[1], crystal.a[0], crystal.a[2]), atol=1e-24)
    assert turned.cell == pytest.approx(crystal.cell)
    given = crystal.replace(reciprocal=crystal.star).rotated(X, 0.3)
    np.testing.assert_allclose(given.reciprocal, crystal.rotated(X, 0.3).star, rtol=1e-12)
    with pytest.raises(InputError, match="axis of the rotation"):
        crystal.rotated((0, 0, 0), 1.0)


def test_a_beam_s_flux_follows_from_fluence_size_and_exposure():
    beam = Beam(Z, 1e-10, fluence=1e20, exposure=0.5, size=1e-4)
    assert beam.flux == pytest.approx(2e12)
    assert beam.replace(size=None).flux is None


@pytest.mark.parametrize(
    "column", [{"wavelength": [1e-10, 0.0]}, {"fluence": [1.0, 2.0, -1.0]}, {"scan_start": [0, math.nan]}]
)
def test_a_value_that_a_later_frame_cannot_have_is_refused_at_once(column):
    with pytest.raises(InputError, match=r"^frame [12]: "):
        Series(plain(), column)


def test_a_frame_is_sampled_like_the_first_of_its_kind():
    blank = Series(plain(), {"blank": [0, 1, 0, 1], "fluence": [1e24, 2e24, 3e24, 4e24]})
    assert [blank.sampled_like(frame) == blank[first] for frame, first in enumerate((0, 1, 0, 1))] == [True] * 4
    assert blank.representatives() == [(0, 2), (1, 2)] and blank.sampled_like(2) != blank[2]
    assert Series(plain(), {"fluence": [1e24, 2e24]}).sampled_like(1).beam.fluence == 1e24
