"""The nouns: values that compare, travel and round-trip, and refuse what makes no sense."""

import dataclasses
import json
import math
import pickle

import numpy as np
import pytest
from experiments import ALL
from hypothesis import given
from hypothesis import strategies as st

from tilesim.errors import InputError
from tilesim.geometry.resolution import beam_centre
from tilesim.model import (
    Background,
    Beam,
    Crystal,
    Detector,
    Diffuse,
    Experiment,
    MosaicSpread,
    Panel,
    PixelMask,
    Region,
    Sampling,
    Scan,
    ScatteringCurve,
    Sensor,
    Shape,
    SizeSpread,
    Source,
    StructureFactors,
)
from tilesim.model.serial import to_plain
from tilesim.model.vectors import cross, dot, norm, scale

X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
CUBE = ((1e-9, 0.0, 0.0), (0.0, 1e-9, 0.0), (0.0, 0.0, 1e-9))
CURVE = ScatteringCurve((0.0, 1e9), (3.0, 2.0), "glass")
NAN, INF = math.nan, math.inf


def make_panel(**changes):
    fields = {"origin": (0.0, 0.0, 0.1), "fast": X, "slow": Y, "normal": Z, "pixel_size": 1e-4, "shape": (4, 5)}
    return Panel(**{**fields, **changes})


def make_experiment(**changes):
    fields = {
        "beam": Beam(Z, 1e-10, size=1e-4),
        "crystal": Crystal(*CUBE),
        "detector": Detector(make_panel()),
        "factors": StructureFactors(np.arange(8.0).reshape(2, 2, 2), (-1, 0, 0)),
        "mask": PixelMask(np.eye(4, 5)),
    }
    return Experiment(**{**fields, **changes})


@pytest.fixture
def experiment():
    return make_experiment()


# --- values


@pytest.mark.parametrize("name", [*ALL, "mine"])
def test_an_experiment_survives_dict_and_pickle(name):
    experiment = ALL.get(name) or make_experiment()
    plain = json.loads(json.dumps(experiment.to_dict()))
    curve = experiment.background and experiment.background.curve
    rebuilt = Experiment.from_dict(plain, experiment.factors, experiment.mask, curve)
    copy = pickle.loads(pickle.dumps(experiment))
    assert rebuilt == copy == experiment
    assert rebuilt.digest == copy.digest == experiment.digest
    assert hash(rebuilt) == hash(copy)


CHANGES = {
    "beam": {
        "direction": X,
        "wavelength": 2e-10,
        "fluence": 1.0,
        "polarization_axis": (0.0, 1.0, 0.0),
        "kahn_factor": None,
        "sources": (Source(Z, 1e-10), Source(Z, 1.1e-10)),
        "exposure": 0.1,
        "size": 1e-5,
    },
    "crystal": {
        "a": (1.1e-9, 0.0, 0.0),
        "b": (0.0, 1.1e-9, 0.0),
        "c": (0.0, 0.0, 1.1e-9),
        "cells": (1, 2, 1),
        "shape": Shape.ROUND,
        "fudge": 2.0,
        "mosaic_rotations": (np.diag([1, -1, -1]),),
        "reciprocal": ((1e9, 0, 0), (0, 1e9, 0), (0, 0, 1.1e9)),
        "cells_off_diagonal": (0.1, 0.0, -0.2),
        "unit_height": True,
        "mosaic_spread": MosaicSpread(0.01, 4),
        "mosaic_frame": "crystal",
        "sizes": SizeSpread((0.5, 1.0), (1, 1)),
        "share": 0.5,
        "blocks": 3.0,
        "diffuse": Diffuse(3e-9, 0.5e-10),
    },
    "scan": {"axis": X, "start": 0.1, "step": 0.1, "steps": 2},
    "sampling": {
        "oversample": 2,
        "dmin": 1e-10,
        "interpolate": True,
        "oversample_thick": True,
        "oversample_polar": True,
        "oversample_omega": True,
        "point_pixel": True,
        "roi": Region(0, 1, 0, 1),
        "strict_c": True,
    },
}
IN_HKL = ("cells_off_diagonal", "unit_height")
"""Fields of a crystal of the shape gauss-hkl alone."""
PANEL_CHANGES = {
    "origin": (0.0, 0.0, 0.2),
    "fast": Y,
    "slow": X,
    "normal": (0.0, 0.6, 0.8),
    "pixel_size": 2e-4,
    "shape": (5, 5),
    "close_distance": 0.2,
    "sensor": Sensor(1, 1e-4, 1e3),
    "curved_radius": 0.1,
}
WHOLE = {
    "detector": Detector(make_panel(pixel_size=2e-4)),
    "factors": StructureFactors.constant(7.0),
    "water_size": 1e-6,
    "mask": None,
    "background": Background(CURVE, 1e-4, 1000.0, 0.018),
    "other_crystals": (Crystal((1e-9, 0, 0), (0, 1e-9, 0), (0, 0, 1e-9)),),
}


def test_these_tests_know_every_field():
    assert CHANGES.keys() | WHOLE.keys() == {f.name for f in dataclasses.fields(Experiment)}
    assert PANEL_CHANGES.keys() == {f.name for f in dataclasses.fields(Panel)}
    for part, kind in (("beam", Beam), ("crystal", Crystal), ("scan", Scan), ("sampling", Sampling)):
        assert CHANGES[part].keys() == {f.name for f in dataclasses.fields(kind)}


@pytest.mark.parametrize(("part", "field"), [(p, f) for p in CHANGES for f in CHANGES[p]])
def test_equality_and_digest_fail_when_a_field_of_a_part_changes(experiment, part, field):
    if field in IN_HKL:
        experiment = experiment.replace(crystal=experiment.crystal.replace(shape="gauss-hkl"))
    changed = experiment.replace(**{part: getattr(experiment, part).replace(**{field: CHANGES[part][field]})})
    assert changed != experiment and changed.digest != experiment.digest


@pytest.mark.parametrize("field", PANEL_CHANGES)
def test_equality_and_digest_fail_when_a_field_of_the_panel_changes(field):
    experiment = make_experiment(mask=None)
    changed = experiment.replace(detector=Detector(make_panel(**{field: PANEL_CHANGES[field]})))
    assert changed != experiment and changed.digest != experiment.digest


@pytest.mark.parametrize("field", WHOLE)
def test_equality_and_digest_fail_when_a_field_of_the_experiment_changes(experiment, field):
    changed = experiment.replace(**{field: WHOLE[field]})
    assert changed != experiment and changed.digest != experiment.digest


def test_rebuilding_with_another_table_is_refused(experiment):
    with pytest.raises(InputError, match="factors"):
        Experiment.from_dict(experiment.to_dict(), StructureFactors.constant(1.0), experiment.mask)


def test_a_background_is_described(experiment):
    background = Background(CURVE, 1e-4, 1000.0, 0.018)
    plain = experiment.replace(background=background).to_dict()
    assert plain.pop("background")["curve"]["source"] == "glass"
    assert plain == {k: v for k, v in experiment.to_dict().items() if k != "background"}
    for field, value in {"thickness": 2e-4, "density": 900.0, "molar_mass": 0.02}.items():
        changed = experiment.replace(background=background.replace(**{field: value}))
        assert changed != experiment and changed.digest != experiment.replace(background=background).digest
    for column in ("stol", "amplitude"):
        assert CURVE.replace(**{column: getattr(CURVE, column) * 2}) != CURVE
    assert CURVE.replace(source="other") == CURVE
    other = background.replace(curve=CURVE.replace(amplitude=(3.0, 1.0)))
    with pytest.raises(InputError, match="curve"):
        Experiment.from_dict(experiment.replace(background=other).to_dict(), experiment.factors, experiment.mask, CURVE)


def test_the_molecules_of_a_background_are_those_in_the_beam():
    """A cubic millimetre of water is one milligram."""
    water = Background(CURVE, thickness=1e-3, density=1000.0, molar_mass=0.018)
    assert water.molecules(1e-3) == pytest.approx(6.02214179e23 / 18.0 * 1e-3, rel=1e-12)


def test_every_noun_has_replace_and_checks_what_it_makes(experiment):
    nouns = [
        *(experiment.beam.waves[0], experiment.beam, experiment.crystal, experiment.detector.panels[0]),
        *(experiment.detector, experiment.factors, experiment.mask, experiment.scan, experiment.sampling),
        *(Region(0, 1, 0, 1), Sensor(1, 1e-4, 1.0), experiment, CURVE, Background(CURVE, 1e-4, 1000.0, 0.018)),
    ]
    for noun in nouns:
        assert noun.replace() == noun
    with pytest.raises(InputError, match="phi steps is 0; expected at least 1"):
        experiment.scan.replace(steps=0)
    with pytest.raises(TypeError, match="stop"):
        experiment.scan.replace(stop=1.0)


def test_reprs_are_summaries_of_a_few_lines_in_the_units_of_the_field():
    factors, mask = StructureFactors(np.ones((90, 80, 70)), (-45, 0, 0)), PixelMask(np.eye(400))
    assert "h -45 to 44, k 0 to 79, l 0 to 69" in repr(factors)
    assert factors.digest[:12] in repr(factors) and mask.digest[:12] in repr(mask)
    shown = repr(make_experiment(factors=factors))
    assert shown.startswith("Experiment\n  beam ") and " Å" in shown and " keV" in shown and " mm" in shown
    for noun in (factors, mask, make_experiment(), make_experiment().beam, make_experiment().detector.panels[0]):
        assert repr(noun).count("\n") < 10 and len(repr(noun)) < 1500
        assert "<table>" in noun._repr_html_()
    assert "<svg" in make_experiment()._repr_html_()


# --- derived values follow their fields


def test_the_single_wave_of_a_beam_follows_its_fields():
    beam = Beam(Z, 1e-10)
    assert beam.sources == ()
    assert beam.waves == (Source(Z, 1e-10),)
    assert beam.replace(wavelength=2e-10).waves == (Source(Z, 2e-10),)
    assert beam.replace(direction=X).waves == (Source(X, 1e-10),)
    explicit = beam.replace(sources=[Source(Y, 3e-10)])
    assert explicit.waves == explicit.sources == (Source(Y, 3e-10),)


def test_the_sources_of_a_beam_follow_its_centre():
    beam = Beam(Z, 1e-10, sources=(Source(Z, 1e-10, 0.5), Source((0.6, 0.0, 0.8), 1.1e-10, 1.5)))
    shifted = beam.replace(wavelength=2e-10)
    assert [s.wavelength for s in shifted.sources] == pytest.approx([2e-10, 2.2e-10])
    assert [s.direction for s in shifted.sources] == [s.direction for s in beam.sources]
    turned = beam.replace(direction=X)
    np.testing.assert_allclose([s.direction for s in turned.sources], [X, (0.8, 0.0, -0.6)], atol=1e-15)
    assert [s.weight for s in turned.sources] == [0.5, 1.5]
    reversed_ = beam.replace(direction=(0.0, 0.0, -1.0))
    np.testing.assert_allclose(reversed_.sources[0].direction, (0.0, 0.0, -1.0), atol=1e-15)
    assert beam.replace(wavelength=2e-10, sources=beam.sources).sources == beam.sources


def test_the_reciprocal_cell_follows_the_cell():
    crystal = Crystal((3e-9, 0, 0), (1e-9, 4e-9, 0), (0, 1e-9, 5e-9)).replace(a=(2e-9, 0.5e-9, 0))
    assert crystal.reciprocal is None
    products = [[dot(star, v) for v in (crystal.a, crystal.b, crystal.c)] for star in crystal.star]
    np.testing.assert_allclose(products, np.eye(3), atol=1e-15)
    given = crystal.replace(reciprocal=np.eye(3) * 1e9)
    assert given.star == tuple(scale(v, 1e9) for v in (X, Y, Z))
    assert given.replace(cells=(2, 2, 2)).star == given.star
    assert given.replace(a=(5e-9, 0, 0)).star == crystal.replace(a=(5e-9, 0, 0)).star


def test_the_distance_of_a_panel_follows_its_origin():
    panel = make_panel()
    assert panel.close_distance is None and panel.distance == 0.1
    assert panel.replace(origin=(0.01, 0.02, 0.3)).distance == 0.3
    assert panel.replace(close_distance=-0.2).distance == -0.2


def test_a_derived_value_simulates_as_the_same_value_given():
    from tilesim import simulate_now

    left = ALL["interpolated"]  # a Gaussian crystal uses a*, b*, c*
    panel = left.detector.panels[0].replace(close_distance=None)
    beam = left.beam.replace(sources=left.beam.waves)
    crystal = left.crystal.replace(reciprocal=left.crystal.star)
    right = left.replace(beam=beam, crystal=crystal, detector=Detector(panel))
    np.testing.assert_array_equal(
        simulate_now(left, device="cpu", backend="eager"), simulate_now(right, device="cpu", backend="eager")
    )


# --- coercion

LENGTHS = st.floats(1e-9, 1e-7)
NUMBERS = st.floats(-1e6, 1e6)
INTEGERS = st.integers(1, 1000)
SPELL_VECTOR = st.sampled_from([tuple, list, np.array, lambda v: [np.float64(x) for x in v], lambda v: iter(list(v))])
SPELL_INTEGER = st.sampled_from([int, float, np.int32, np.uint16, np.float64, np.array])
SPELL_NUMBER = st.sampled_from([float, np.float64, np.array])


def same(made, plain):
    """Equal in every way that counts."""
    assert made == plain
    assert repr(made) == repr(plain)
    assert hash(made) == hash(plain)
    assert pickle.loads(pickle.dumps(made)) == plain
    assert json.dumps(to_plain(made)) == json.dumps(to_plain(plain))


@given(st.tuples(NUMBERS, NUMBERS, NUMBERS), st.tuples(INTEGERS, INTEGERS), SPELL_VECTOR, SPELL_INTEGER, SPELL_NUMBER)
def test_a_panel_is_the_same_however_its_numbers_are_spelled(origin, shape, vector, integer, number):
    options = {"close_distance": 0.1}
    plain = make_panel(origin=origin, shape=shape, **options)
    made = make_panel(
        origin=vector(origin),
        fast=vector(X),
        slow=vector(Y),
        normal=vector(Z),
        shape=[integer(n) for n in shape],
        pixel_size=number(1e-4),
        close_distance=number(0.1),
    )
    same(made, plain)


@given(st.tuples(LENGTHS, LENGTHS, LENGTHS), INTEGERS, SPELL_VECTOR, SPELL_INTEGER, st.sampled_from(Shape))
def test_a_crystal_is_the_same_however_its_numbers_are_spelled(edges, count, vector, integer, shape):
    plain_vectors = [scale(axis, edge) for axis, edge in zip((X, Y, Z), edges, strict=True)]
    plain = Crystal(*plain_vectors, (count,) * 3, shape, mosaic_rotations=((*X, *Y, *Z),) * 2)
    made = Crystal(
        *map(vector, plain_vectors),
        np.array([integer(count)] * 3),
        str(shape),
        mosaic_rotations=[np.eye(3), np.eye(3, dtype=np.float32).ravel()],
    )
    assert type(made.shape) is Shape
    same(made, plain)


@given(NUMBERS, NUMBERS, INTEGERS, SPELL_INTEGER, SPELL_NUMBER)
def test_beam_scan_and_sampling_are_the_same_however_they_are_spelled(start, step, steps, integer, number):
    same(Scan(np.array(X), number(start), number(step), integer(steps)), Scan(X, start, step, steps))
    region = Region(*map(integer, (1, 2, 3, 4)))
    same(
        Sampling(integer(steps), number(1e-10), np.bool_(True), roi=region),
        Sampling(steps, 1e-10, True, roi=Region(1, 2, 3, 4)),
    )
    wave = Source(np.array(Z), number(1e-10), number(2.0))
    same(
        Beam([0, 0, 1], number(1e-10), number(1e24), (1, 0, 0), number(0.5), [wave]),
        Beam(Z, 1e-10, 1e24, X, 0.5, (Source(Z, 1e-10, 2.0),)),
    )


def test_whole_numbers_of_a_vector_become_floats():
    assert make_experiment(beam=Beam((0, 0, 1), 1e-10)).digest == make_experiment(beam=Beam(Z, 1e-10)).digest


def test_a_detector_takes_one_panel_or_several():
    panel = make_panel()
    assert Detector(panel) == Detector([panel]) == Detector(iter((panel,))) == Detector((panel,))
    assert len(Detector([panel, panel]).panels) == 2


def test_a_table_is_the_same_whatever_the_type_and_order_of_its_array():
    grid = np.arange(24).reshape(2, 3, 4)
    plain = StructureFactors(grid.astype(float), (-1, 0, 2), 3.0)
    made = StructureFactors(np.asfortranarray(grid, np.int16), np.array([-1, 0, 2]), np.float32(3), np.int64(4))
    assert made == plain and made.digest == plain.digest
    json.dumps(made.to_dict())


# --- what is refused

REFUSED = {
    "flat cell": (lambda: Crystal(X_NM, Y_NM, (1e-9, 1e-9, 0.0)), "one plane"),
    "nearly flat cell": (lambda: Crystal((1e-9, 2e-9, 3e-9), (4e-9, 5e-9, 6e-9), (7e-9, 8e-9, 9e-9)), "one plane"),
    "cell in angstrom": (lambda: Crystal((50, 0, 0), (0, 50, 0), (0, 0, 50)), "did you mean 5e-09"),
    "two cells": (lambda: Crystal(*CUBE, cells=(2, 2)), "cells of the crystal is (2, 2); expected 3 numbers"),
    "one number of cells": (lambda: Crystal(*CUBE, cells=5), "expected 3 numbers"),
    "no cells": (lambda: Crystal(*CUBE, cells=(1, 0, 1)), "expected 3 numbers above 0"),
    "oriented square": (lambda: Crystal(*CUBE, cells_off_diagonal=(1, 0, 0)), "with the shape square; expected"),
    "a star of height 1": (lambda: Crystal(*CUBE, shape="gauss", unit_height=True), "expected the shape gauss-hkl"),
    "N without volume": (lambda: Crystal(*CUBE, (5, 5, 5), "gauss-hkl", cells_off_diagonal=(5, 0, 0)), "determinant"),
    "spread and rotations": (
        lambda: Crystal(*CUBE, mosaic_rotations=[np.eye(3)] * 2, mosaic_spread=MosaicSpread(0.1)),
        "mosaic_spread and mosaic_rotations; expected one of them",
    ),
    "a negative share": (lambda: Crystal(*CUBE, share=-0.1), "share of the crystal"),
    "a spread of a number": (lambda: Crystal(*CUBE, mosaic_spread=0.1), "expected a MosaicSpread"),
    "an unknown frame": (lambda: Crystal(*CUBE, mosaic_frame="beam"), "expected one of lab, crystal"),
    "an odd number of domains": (lambda: MosaicSpread(0.1, 5), "expected an even number"),
    "a negative spread": (lambda: MosaicSpread(-0.1), "0 or more, or three above 0"),
    "a spread of nothing about an axis": (lambda: MosaicSpread((0.1, 0.0, 0.1)), "three above 0"),
    "no size": (lambda: SizeSpread((), ()), "at least one factor"),
    "a size of nothing": (lambda: SizeSpread((0.0,), (1,)), "factors above 0"),
    "no domain of any size": (lambda: SizeSpread((1.0,), (0,)), "not all 0"),
    "more sizes than numbers": (lambda: SizeSpread((1.0, 2.0), (1,)), "expected 2 numbers"),
    "diffuse scattering in angstrom": (lambda: Diffuse(50.0, 0.5), "did you mean 5e-09"),
    "a wide stencil": (lambda: Diffuse(5e-9, 5e-11, stencil=9), "at most 5"),
    "an unknown symmetry": (lambda: Diffuse(5e-9, 5e-11, "5"), "expected one of 1, 2, 222"),
    "unknown shape": (lambda: Crystal(*CUBE, shape="cube"), "expected one of square, round, gauss, tophat, gauss-hkl"),
    "NaN in a cell vector": (lambda: Crystal((NAN, 0, 0), Y_NM, Z_NM), "cell vector a"),
    "no domain": (lambda: Crystal(*CUBE, mosaic_rotations=()), "no mosaic domain"),
    "no rotation": (lambda: Crystal(*CUBE, mosaic_rotations=[np.eye(3), 2 * np.eye(3)]), "matrix 1 of mosaic"),
    "NaN rotation": (lambda: Crystal(*CUBE, mosaic_rotations=[np.full(9, NAN)]), "matrix 0 of mosaic"),
    "short rotation": (lambda: Crystal(*CUBE, mosaic_rotations=[np.eye(2)]), "3 x 3"),
    "two reciprocal vectors": (lambda: Crystal(*CUBE, reciprocal=CUBE[:2]), "three or None"),
    "empty panel": (lambda: make_panel(shape=(0, 5)), "0 x 5 pixels"),
    "endless panel": (lambda: make_panel(shape=(2**21, 2**21)), "2^40"),
    "panel of one number": (lambda: make_panel(shape=5), "expected 2 whole numbers"),
    "NaN pixel": (lambda: make_panel(pixel_size=NAN), "pixel size"),
    "no pixel": (lambda: make_panel(pixel_size=0), "pixel size"),
    "pixel in micrometres": (lambda: make_panel(pixel_size=75), "did you mean 7.5e-05?"),
    "no fast axis": (lambda: make_panel(fast=(0, 0, 0)), "fast axis"),
    "origin of two numbers": (lambda: make_panel(origin=(0, 0)), "origin of a panel is (0, 0); expected 3 numbers"),
    "inward normal": (lambda: make_panel(normal=(0, 0, -1)), "away from the sample"),
    "flat curve": (lambda: make_panel(curved_radius=0), "None for a flat one"),
    "a sensor of another kind": (lambda: make_panel(sensor=3e-4), "sensor is 0.0003; expected a Sensor"),
    "no layer": (lambda: Sensor(0, 1e-4, 1e3), "layers"),
    "negative attenuation": (lambda: Sensor(1, 1e-4, -1e3), "attenuation"),
    "infinite attenuation": (lambda: Sensor(1, 1e-4, INF), "attenuation"),
    "thickness of zero": (lambda: Sensor(1, 0.0, 1e3), "thickness"),
    "no panel": (lambda: Detector(()), "no panel"),
    "panels of another kind": (lambda: Detector([1]), "expected a Panel"),
    "a number of panels": (lambda: Detector(2), "panels of the detector is 2"),
    "direction not of length one": (lambda: Beam((0, 0, 2), 1e-10), "of length 2; expected a unit vector"),
    "no direction": (lambda: Beam((0, 0, 0), 1e-10), "expected a unit vector"),
    "wavelength in angstrom": (lambda: Beam(Z, 0.97), "did you mean 9.7e-11?"),
    "negative wavelength": (lambda: Beam(Z, -1e-10), "wavelength"),
    "wavelength as text": (lambda: Beam(Z, "1e-10"), "wavelength is '1e-10'; expected a number"),
    "negative fluence": (lambda: Beam(Z, 1e-10, -1), "fluence"),
    "NaN fluence": (lambda: Beam(Z, 1e-10, NAN), "fluence"),
    "infinite Kahn factor": (lambda: Beam(Z, 1e-10, kahn_factor=INF), "Kahn factor"),
    "a source of another kind": (lambda: Beam(Z, 1e-10, sources=[Z]), "expected a Source"),
    "negative weight": (lambda: Source(Z, 1e-10, -1), "weight of a source"),
    "a source askew": (lambda: Source((0.002, 0, 1), 1e-10), "direction of a source"),
    "spindle not of length one": (lambda: Scan((1, 1, 0)), "spindle axis"),
    "no phi step": (lambda: Scan(steps=0), "phi steps"),
    "infinite phi": (lambda: Scan(start=INF), "phi start"),
    "complex phi": (lambda: Scan(start=1j), "phi start is 1j; expected a number"),
    "phi of an array": (lambda: Scan(start=np.array([1.0])), "phi start"),
    "phi of True": (lambda: Scan(start=True), "phi start is True"),
    "no sub-pixel": (lambda: Sampling(oversample=0), "oversample is 0; expected at least 1"),
    "negative dmin": (lambda: Sampling(dmin=-1e-10), "dmin"),
    "NaN for dmin": (lambda: Sampling(dmin=NAN), "dmin is nan"),
    "a switch that is a number": (lambda: Sampling(interpolate=1), "interpolate is 1; expected True or False"),
    "a region of numbers": (lambda: Sampling(roi=(0, 1, 0, 1)), "roi is (0, 1, 0, 1); expected a Region"),
    "a region of fractions": (lambda: Region(0, 1.5, 0, 1), "slow_stop of a region is 1.5"),
    "complex table": (lambda: StructureFactors(np.ones((1, 1, 1), complex)), "take the absolute values"),
    "table of words": (lambda: StructureFactors(np.full((1, 1, 1), "a")), "expected real numbers"),
    "flat table": (lambda: StructureFactors(np.ones((2, 2))), "2 dimensions"),
    "corner of two indices": (lambda: StructureFactors(np.ones((2, 2, 2)), (0, 0)), "minimum"),
    "NaN in the table": (
        lambda: make_experiment(factors=StructureFactors(np.full((1, 1, 1), NAN))),
        "NaN or infinity",
    ),
    "NaN for all reflections": (lambda: StructureFactors.constant(NAN), "amplitude of all reflections is nan"),
    "millimetres for a distance": (
        lambda: Panel.facing(120, 1e-4, (8, 8)),
        "distance of a panel is 120 m; expected metres, from 1e-09 to 50; did you mean 0.12?",
    ),
    "millimetres for a pixel": (
        lambda: Panel.facing(0.12, 0.1, (8, 8)),
        "pixel size is 0.1 m; expected metres, from 1e-12 to 0.005; did you mean 0.0001?",
    ),
    "micrometres for a pixel": (lambda: Panel.facing(0.12, 75, (8, 8)), "did you mean 7.5e-05?"),
    "infinity in the table": (
        lambda: make_experiment(factors=StructureFactors(np.full((1, 1, 1), INF))),
        "NaN or infinity",
    ),
    "mask of one dimension": (lambda: PixelMask(np.ones(20)), "1 dimensions"),
    "mask of another size": (lambda: make_experiment(mask=PixelMask(np.ones((5, 4)))), "(5, 4)"),
    "mask of another kind": (lambda: make_experiment(mask=np.ones((4, 5))), "expected a PixelMask"),
    "negative water": (lambda: make_experiment(water_size=-1e-6), "water size"),
    "infinite fluence": (lambda: make_experiment(beam=Beam(Z, 1e-10, INF)), "fluence"),
    "panel for a detector": (lambda: make_experiment(detector=make_panel()), "expected a Detector"),
    "array for a table": (
        lambda: make_experiment(factors=np.ones((9, 9, 9))),
        "factors of the experiment is an array of shape (9, 9, 9); expected a StructureFactors",
    ),
    "a curve that turns": (lambda: ScatteringCurve((0, 2e9, 1e9), (1, 1, 1)), "do not rise"),
    "a curve from below zero": (lambda: ScatteringCurve((-1e9, 1e9), (1, 1)), "do not rise"),
    "NaN for an angle": (lambda: ScatteringCurve((0, NAN), (1, 1)), "do not rise"),
    "negative amplitude": (lambda: ScatteringCurve((0, 1e9), (1, -1)), "negative number"),
    "NaN for an amplitude": (lambda: ScatteringCurve((0, 1e9), (1, NAN)), "NaN"),
    "a curve of one point": (lambda: ScatteringCurve((0,), (1,)), "1 angles, 1 amplitudes"),
    "columns of two lengths": (lambda: ScatteringCurve((0, 1e9), (1, 1, 1)), "2 angles, 3 amplitudes"),
    "a curve of words": (lambda: ScatteringCurve(("a", "b"), (1, 1)), "stol of a scattering curve"),
    "negative thickness": (lambda: Background(CURVE, -1e-4, 1e3, 0.018), "thickness of the background"),
    "a background in a beam of unknown size": (
        lambda: make_experiment(beam=Beam(Z, 1e-10), background=Background(CURVE, 1e-4, 1e3, 0.018)),
        "expected Beam(size=...)",
    ),
    "a beam without size": (lambda: Beam(Z, 1e-10, size=0.0), "size of the beam"),
    "no exposure": (lambda: Beam(Z, 1e-10, exposure=0.0), "exposure"),
    "factors without a crystal": (lambda: make_experiment(crystal=None), "structure factors without a crystal"),
    "a sensor of nothing": (lambda: Sensor(1, 1e-4), "neither attenuation nor material"),
    "a sensor of cheese": (lambda: Sensor(1, 1e-4, material="cheese"), "sensor material 'cheese'"),
    "a sensor beyond its table": (
        lambda: make_experiment(
            beam=Beam(Z, 1e-8), detector=Detector(make_panel(sensor=Sensor(1, 1e-4, material="Si")))
        ),
        "the attenuation of Si is known from",
    ),
    "NaN for a density": (lambda: Background(CURVE, 1e-4, NAN, 0.018), "density of the background"),
    "no molar mass": (lambda: Background(CURVE, 1e-4, 1e3, 0.0), "molar mass of the background"),
    "a background without curve": (lambda: Background(None, 1e-4, 1e3, 0.018), "expected a ScatteringCurve"),
    "a background by name": (lambda: make_experiment(background="water"), "expected a Background"),
    "a background with the defects of the reference": (
        lambda: make_experiment(background=Background(CURVE, 1e-4, 1e3, 0.018), sampling=Sampling(strict_c=True)),
        "strict_c",
    ),
    "None for a beam": (lambda: make_experiment(beam=None), "beam of the experiment is None; expected a Beam"),
}
X_NM, Y_NM, Z_NM = CUBE


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused_in_one_line_that_names_it(case):
    make, named = REFUSED[case]
    with pytest.raises(InputError) as error:
        make()
    message = str(error.value)
    assert named in message
    assert "\n" not in message and len(message) < 250


def test_reproducing_the_reference_takes_what_it_took():
    strict = make_experiment().sampling.replace(strict_c=True)
    odd = make_experiment(
        sampling=strict,
        beam=Beam((0, 0, 0), INF, INF, sources=(Source(Z, 1e-10),)),
        scan=Scan((0, 0, 0)),
        factors=StructureFactors(np.full((1, 1, 1), NAN)),
        crystal=Crystal(*CUBE, fudge=INF),
        water_size=-1.0,
    )
    for field, usual in (("beam", Beam(Z, 1e-10)), ("scan", Scan()), ("crystal", Crystal(*CUBE)), ("water_size", 0.0)):
        with pytest.raises(InputError):
            make_experiment(sampling=Sampling(), **{field: getattr(odd, field)})
        assert getattr(odd.replace(**{field: usual}), field) == usual


def test_what_the_reference_allows_is_allowed():
    assert make_experiment(sampling=Sampling(roi=Region(3, 3, 2, 1))).rendered_pixels == 0
    assert Beam(Z, 1e-10, polarization_axis=Z, kahn_factor=0.5).polarization_axis == Z
    assert Beam(Z, 1e-10, polarization_axis=(0, 0, 0), kahn_factor=-7).kahn_factor == -7.0
    assert make_panel(fast=(1.2, 0, 0)).fast == (1.2, 0.0, 0.0)


# --- conveniences

ANGLES = st.floats(math.radians(75), math.radians(105))


@given(LENGTHS, LENGTHS, LENGTHS, ANGLES, ANGLES, ANGLES)
def test_from_cell_makes_the_cell_in_the_default_orientation(a, b, c, alpha, beta, gamma):
    crystal = Crystal.from_cell(a, b, c, alpha, beta, gamma, cells=(2, 3, 4))
    va, vb, vc = crystal.a, crystal.b, crystal.c
    np.testing.assert_allclose([norm(v) for v in (va, vb, vc)], [a, b, c], rtol=1e-12)
    cosines = [dot(u, v) / norm(u) / norm(v) for u, v in ((vb, vc), (va, vc), (va, vb))]
    np.testing.assert_allclose(cosines, np.cos([alpha, beta, gamma]), atol=1e-12)
    a_star, b_star, _ = crystal.star
    assert a_star[0] > 0 and b_star[1] > 0 and vc[2] > 0
    assert norm(cross(a_star, X)) < 1e-12 * norm(a_star) and abs(b_star[2]) < 1e-12 * norm(b_star)
    assert crystal.cells == (2, 3, 4)


def test_from_cell_is_the_orientation_of_the_command_line():
    from tilesim.nanobragg.resolve import read_command

    command = read_command("-cell 50 60 70 80 95 110 -default_F 1 -detpixels 8".split())
    crystal = Crystal.from_cell(5e-9, 6e-9, 7e-9, *map(math.radians, (80, 95, 110)))
    for name in "abc":
        np.testing.assert_allclose(getattr(crystal, name), getattr(command.experiment.crystal, name), atol=1e-22)


@pytest.mark.parametrize(
    ("angles", "named"),
    [
        ((90, 90, 90), "math.radians(90)"),
        ((1.5, 0, 1.5), "cell angle beta"),
        ((0.3, 0.3, 2.0), "close no cell"),
        ((200, 1, 1), "below pi"),
    ],
)
def test_from_cell_refuses_what_closes_no_cell(angles, named):
    with pytest.raises(InputError) as error:
        Crystal.from_cell(1e-9, 1e-9, 1e-9, *angles)
    assert named in str(error.value)


def test_a_box_from_its_edges_keeps_its_axes():
    assert Crystal.from_cell(1e-9, 1e-9, 1e-9) == Crystal(*CUBE)


@given(st.floats(0, math.tau), st.floats(0, math.pi), st.floats(0.01, 10), st.tuples(NUMBERS, NUMBERS))
def test_a_facing_panel_is_at_its_distance_with_the_beam_where_it_should_be(azimuth, tilt, distance, centre):
    beam = (math.sin(tilt) * math.cos(azimuth), math.sin(tilt) * math.sin(azimuth), math.cos(tilt))
    fast = (-math.sin(azimuth), math.cos(azimuth), 0.0)
    centre = (centre[0] / 1e3, centre[1] / 1e3)
    panel = Panel.facing(distance, 1e-4, (40, 50), centre, beam, np.array(fast), sensor=Sensor(1, 1e-4, 1e3))
    assert panel.distance == pytest.approx(distance, rel=1e-9)
    assert beam_centre(panel, Beam(beam, 1e-10)) == pytest.approx(centre, abs=1e-6)
    assert dot(cross(panel.fast, panel.slow), panel.normal) == pytest.approx(1.0)
    assert panel.sensor is not None


def test_the_beam_meets_the_middle_of_a_facing_panel_by_default():
    panel = Panel.facing(0.1, 1e-4, (40, 50))
    assert beam_centre(panel, Beam(Z, 1e-10)) == pytest.approx((20, 25))
    assert (panel.fast, panel.slow, panel.normal) == (X, Y, Z)
    with pytest.raises(InputError, match="right angles"):
        Panel.facing(0.1, 1e-4, (40, 50), fast=Z)
    with pytest.raises(InputError, match="beam centre"):
        Panel.facing(0.1, 1e-4, (40, 50), beam_centre=20)


def test_the_field_is_across_the_beam_by_default_and_refused_along_it_where_it_counts(experiment):
    assert Beam((0.0, 0.0, 1.0), 1e-10).polarization_axis == (1.0, 0.0, 0.0)
    assert Beam((1.0, 0.0, 0.0), 1e-10).polarization_axis == (0.0, 0.0, 1.0)
    along = Beam((0.0, 0.0, 1.0), 1e-10, polarization_axis=(0.0, 0.0, 1.0), kahn_factor=0.9)
    with pytest.raises(InputError, match=r"Kahn factor 0.9 with a field along \(0 0 1\) in a beam along \(0 0 1\)"):
        experiment.replace(beam=along)
    assert experiment.replace(beam=along.replace(kahn_factor=0.0)).beam.polarization_axis == (0.0, 0.0, 1.0)
