"""Experiments with other values of their parameters, against the differentiable twin's image."""

import numpy as np
import pytest
from experiments import plain
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from varied import SHAPES, elsewhere, experiments, names_of, rendered, tilted, with_star

from tilesim import Detector, InputError
from tilesim.gradients.changed import with_values
from tilesim.gradients.parameters import parse_parameters
from tilesim.gradients.twin import twin_image, values_of

DRAWN = (Phase.explicit, Phase.generate)


def image_of(experiment, values):
    tensors = values_of(experiment, list(values))
    for name, value in values.items():
        tensors[name][:] = tensors[name].new_tensor(value)
    return twin_image(experiment, tensors).numpy()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_image_of_the_nouns_is_that_of_the_twin(shape):
    @settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), phases=DRAWN)
    @given(experiments(shape), st.integers(0, 99), st.booleans())
    def check(experiment, seed, given_star):
        experiment = with_star(experiment) if given_star else experiment
        values = elsewhere(experiment, names_of(experiment), seed)
        found, _ = rendered(with_values(experiment, values))
        expected = image_of(experiment, values)
        before, _ = rendered(experiment)
        assert found.max() > 0 and np.abs(found - before).max() > 1e-3 * found.max()
        np.testing.assert_allclose(found.ravel(), expected.ravel(), rtol=1e-9, atol=1e-9 * expected.max())

    check()


def test_rotation_cell_and_strain_are_what_they_are_called():
    crystal = plain().crystal
    values = {"crystal.rotation": (0.0, 0.3, 0.4), "crystal.strain": (0.0, 0.0, 0.0, 0.01, 0.0, 0.0)}
    turned = with_values(plain(), {"crystal.rotation": values["crystal.rotation"]}).crystal
    np.testing.assert_allclose(turned.a, crystal.rotated((0.0, 3.0, 4.0), 0.5).a, rtol=1e-12)
    strained = with_values(plain(), {"crystal.strain": values["crystal.strain"]}).crystal
    np.testing.assert_allclose(np.subtract(strained.a, crystal.a), 0.01 * np.array([0.0, *crystal.a[:0:-1]]), rtol=1e-9)
    both = with_values(plain(), values).crystal
    np.testing.assert_allclose(both.a, strained.rotated((0.0, 3.0, 4.0), 0.5).a, rtol=1e-12)
    cell = (3e-9, 3.1e-9, 3.9e-9, 1.5, 1.6, 1.4)
    other = with_values(plain(), {"crystal.cell": cell}).crystal
    np.testing.assert_allclose(other.cell, cell, rtol=1e-12)
    np.testing.assert_allclose(other.orientation, crystal.orientation, atol=1e-12)


def test_beam_and_detector_turn_as_they_are_called():
    experiment = plain(detector=Detector([tilted()]))
    turn = {"beam.rotation": (0.0, 0.1, 0.0), "detector.rotation": (0.0, 0.1, 0.0)}
    found = with_values(experiment, turn | {"detector.distance": 0.01, "scan.oscillation": 0.3})
    np.testing.assert_allclose(found.beam.direction, (np.sin(0.1), 0.0, np.cos(0.1)), rtol=1e-12)
    x, y, z = tilted().origin  # the distance is along the beam before it turns
    expected = (x * np.cos(0.1) + z * np.sin(0.1), y, z * np.cos(0.1) - x * np.sin(0.1) + 0.01)
    np.testing.assert_allclose(found.detector.panels[0].origin, expected, rtol=1e-12)
    assert found.scan.oscillation == pytest.approx(0.3)


def test_values_that_the_experiment_has_change_nothing():
    experiment = plain(detector=Detector([tilted(), tilted(across=0.011)], "two"))
    values = {one.name: one.value for one in parse_parameters(names_of(experiment), experiment)}
    assert with_values(experiment, values) == experiment == with_values(experiment, {})
    found = with_values(experiment, {"beam.wavelength": 1.1e-10, "crystal.cells": (3, 4.5, 1)})
    assert found.beam.wavelength == 1.1e-10 and found.crystal.cells == (3, 4.5, 1)


def test_panels_that_share_a_parameter_add_what_each_of_theirs_adds():
    experiment = plain(detector=Detector([tilted(), tilted(across=0.011)]))
    found = with_values(experiment, {"detector.distance": 2e-3, "detector[1].distance": [1e-3]})
    z = [panel.origin[2] for panel in found.detector.panels]
    np.testing.assert_allclose(z, [0.0603 + 2e-3, 0.0603 + 3e-3])


def test_a_distance_that_was_given_changes_with_the_origin():
    found = with_values(plain(), {"detector.distance": 1e-3, "detector.pixel_size": 5e-4}).detector.panels[0]
    assert found.close_distance == pytest.approx(0.061) and found.pixel_size == 5e-4


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"crystal.cells": (3, 4)}, "parameter crystal.cells is (3, 4); expected 3 numbers"),
        ({"beam.fluence": [[1.0]]}, "parameter beam.fluence is [1.0]; expected a number"),
        ({"beam.fluence": float("nan")}, "parameter beam.fluence is (nan,); expected 1 finite numbers"),
        ({"beam.fluence": "much"}, "parameter beam.fluence is 'much'; expected 1 number"),
        ({"beam.wavelength": -1e-10}, "parameter beam.wavelength: wavelength is -1e-10 m; expected metres"),
        ({"crystal.cells": (0, 4, 5)}, "parameter crystal.cells: cells of the crystal is (0.0, 4.0, 5.0); expected 3"),
        ({"crystal.cell": (1e-9,) * 3 + (0.1, 0.1, 3.0)}, "parameter crystal.cell: cell angles of 0.1, 0.1, 3 close"),
        ({"detector.translation": (0, 0, -1)}, "parameter detector.translation: the plane of a panel is -0.93"),
        ({"beam.polarization_axis": (0, 0, 1)}, "parameter beam.polarization_axis: Kahn factor 0.3 with a field along"),
        ({"crystal.colour": 1.0}, "parameter crystal.colour is not known"),
    ],
)
def test_what_makes_no_experiment_is_refused_by_name(values, said):
    with pytest.raises(InputError) as error:
        with_values(plain(detector=Detector([tilted()])), values)
    assert said in str(error.value) and "\n" not in str(error.value)
