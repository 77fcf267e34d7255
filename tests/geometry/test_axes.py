"""Named laboratory frames: a turned experiment is the same experiment."""

import numpy as np
import pytest
from exported import corners, skewed

import tilesim
from tilesim.geometry.axes import Axes, rotation_to, turned
from tilesim.model import Scan, StructureFactors

BEAM = {Axes.LAB: None, Axes.IMGCIF: (0, 0, -1), Axes.MCSTAS: (0, 0, 1)}


@pytest.mark.parametrize("axes", list(Axes))
def test_the_light_runs_along_z_and_pixels_keep_their_distances(axes):
    experiment = skewed(panels=2)
    rotation = rotation_to(axes, experiment)
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-15) and np.linalg.det(rotation) > 0
    new = turned(experiment, rotation)
    if BEAM[axes]:
        assert np.allclose(new.beam.direction, BEAM[axes], atol=1e-15)
        sign = 1 if axes == Axes.IMGCIF else -1
        assert sign * new.scan.axis[0] > 0 and abs(new.scan.axis[1]) < 1e-15
    for number in range(2):
        assert np.allclose(corners(new, number), corners(experiment, number) @ rotation.T, atol=1e-15)
    assert np.allclose(new.crystal.cell, experiment.crystal.cell, rtol=1e-14)


@pytest.mark.parametrize("axes", [Axes.IMGCIF, Axes.MCSTAS])
def test_a_turned_experiment_gives_the_same_image(axes):
    experiment = skewed(factors=StructureFactors.constant(100.0))
    rotations = tilesim.from_nanobragg("-cell 31 42 53 80 85 95 -N 5 -default_F 1 -mosaic 2 -mosaic_dom 3").crystal
    experiment = experiment.replace(crystal=experiment.crystal.replace(mosaic_rotations=rotations.mosaic_rotations))
    image = tilesim.simulate_now(experiment)
    again = tilesim.simulate_now(turned(experiment, rotation_to(axes, experiment)))
    assert image.max() > 0 and np.abs(again - image).max() < 1e-4 * image.max()


def test_default_mosflm_axes_become_those_that_dials_assumes():
    experiment = tilesim.from_nanobragg("-cell 50 50 50 90 90 90 -N 1 -default_F 1 -detpixels 10 -distance 100")
    [panel] = turned(experiment, rotation_to(Axes.IMGCIF, experiment)).detector.panels
    assert np.allclose(panel.fast, (1, 0, 0)) and np.allclose(panel.slow, (0, -1, 0))


def test_a_spindle_along_the_beam_leaves_x_to_the_detector():
    experiment = skewed()
    experiment = experiment.replace(scan=Scan(experiment.beam.direction))
    new = turned(experiment, rotation_to(Axes.IMGCIF, experiment))
    assert new.detector.panels[0].fast[0] > 0.9
