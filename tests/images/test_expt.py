"""DIALS model files: the geometry that they tell is tilesim's own."""

import json

import numpy as np
import pytest
from exported import corners, expt_corners, series, skewed

from tilesim.geometry.axes import Axes, rotation_to
from tilesim.images.expt import ModelImages, models, write_expt
from tilesim.instruments.expt import parse_expt
from tilesim.model import PixelMask, Region, Sampling, Scan, Series


@pytest.mark.parametrize("axes", list(Axes))
def test_pixels_are_where_they_were_but_for_the_rotation(tmp_path, axes):
    experiment = skewed(2)
    write_expt(tmp_path / "a.expt", series(experiment, 3), axes=axes)
    plain = json.loads((tmp_path / "a.expt").read_text())
    rotation = rotation_to(axes, experiment)
    for number in range(2):
        assert np.abs(expt_corners(plain, number) - corners(experiment, number) @ rotation.T).max() < 1e-12
    [beam], [goniometer], [scan], [crystal] = (plain[k] for k in ("beam", "goniometer", "scan", "crystal"))
    assert np.allclose(beam["direction"], -rotation @ np.array(experiment.beam.direction))
    assert np.allclose(goniometer["rotation_axis"], rotation @ np.array(experiment.scan.axis))
    assert scan["image_range"] == [1, 3] and np.allclose(scan["properties"]["oscillation"], [20, 20.5, 21])
    assert len(plain["experiment"]) == 1 and "imageset" not in plain["experiment"][0]
    cell = np.array([crystal[f"real_space_{n}"] for n in "abc"])
    assert np.allclose(np.linalg.norm(cell, axis=1), np.array(experiment.crystal.cell[:3]) * 1e10)
    assert np.linalg.det(cell) > 0 and crystal["space_group_hall_symbol"].strip() == "P 1"
    assert beam["polarization_fraction"] == pytest.approx(0.95)
    assert abs(np.dot(beam["polarization_normal"], beam["direction"])) < 1e-12


def test_default_polarisation_is_named_as_dials_names_it():
    experiment = skewed()
    beam = experiment.beam.replace(direction=(1, 0, 0), polarization_axis=(0, 0, 1))
    plain = models(Series(experiment.replace(beam=beam, scan=Scan((0, 0, 1)))), Axes.IMGCIF)
    assert np.allclose(np.abs(plain["beam"][0]["polarization_normal"]), (0, 1, 0))


@pytest.mark.parametrize("panels", [1, 3])
def test_what_was_not_simulated_is_masked_in_rectangles(panels):
    active = np.ones((20 * panels, 30), bool)
    active[5:8, 3:9] = active[:, 20:22] = active[19] = False
    region = Region(2, 20 * panels - 1, 0, 29)
    experiment = skewed(panels, mask=PixelMask(active), sampling=Sampling(roi=region))
    found = parse_expt(json.dumps(models(Series(experiment), Axes.IMGCIF)).encode(), "x.expt")
    active[:2] = active[20 * panels - 1 :] = active[:, 29:] = False
    assert (found.mask.active == active).all()


def test_stills_and_series_with_gaps_have_a_crystal_each_and_no_scan():
    experiment = skewed()
    gap = experiment.scan.replace(start=experiment.scan.start + 1.0)
    for frames in (
        [experiment.replace(scan=Scan(experiment.scan.axis, angle)) for angle in (0.3, 1.3)],
        [experiment, experiment.replace(scan=gap)],
    ):
        plain = models(Series.of(frames), Axes.LAB, ModelImages(("a.cbf", "b.cbf")))
        assert plain["scan"] == plain["goniometer"] == [] and len(plain["experiment"]) == 2
        first, second = (np.array([c[f"real_space_{n}"] for n in "abc"]) for c in plain["crystal"])
        assert np.allclose(first @ first.T, second @ second.T) and not np.allclose(first, second)
        assert [one["images"] for one in plain["imageset"]] == [["a.cbf"], ["b.cbf"]]


def test_one_image_of_a_rotation_keeps_its_width():
    [scan] = models(Series(skewed()), Axes.IMGCIF)["scan"]
    assert np.allclose(scan["properties"]["oscillation_width"], [0.5])
