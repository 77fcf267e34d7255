"""Noise on a detector of several panels: each is measured as it would be alone, and has noise of its own."""

import numpy as np
import pytest
from distribution import stored
from panels import PANELS, ROWS, cut, plane

from tilesim.engine.job import make_job
from tilesim.engine.work import compute_here
from tilesim.images.dataset import open_dataset
from tilesim.images.image import open_image
from tilesim.model import Region
from tilesim.model.noise import Noise
from tilesim.tools.expected import known_series, region_of
from tilesim.tools.noise import NUMBERS, Measurement
from tilesim.tools.noisefiles import write_files
from tilesim.tools.noisestore import provenance, write_store

REGION = Region(3, 12, 4, 29)
"""Of the stacked image: it begins in panel 0, and panel 3 is outside."""


@pytest.fixture
def simulated(tmp_path):
    experiment = cut(plane(sampling=plane().sampling.replace(roi=REGION)))
    one = stored(tmp_path / "in.zarr", make_job([experiment], (3, 9), precision="mixed", device="cpu", backend="eager"))
    list(compute_here([one]))
    return tmp_path, experiment


def test_a_store_and_files_of_panels_agree(simulated, monkeypatch):
    folder, experiment = simulated
    monkeypatch.chdir(folder)
    expected = open_dataset("in.zarr", experiment=experiment)  # this store was made without its description
    noise = Noise(calibration=0.1, readout=2.0, module_calibration=0.1)
    how = Measurement(noise, NUMBERS["int32"], expected.shape, region_of(expected, 0, 0))
    panels, about = range(PANELS), {"job_digest": "n" * 64, "digest": "d" * 64}
    recorded = list(write_store("out.zarr", expected, how, 1e-4, about, frames=[0], panels=panels, tile=(3, 9)))
    assert [one.panel for one in recorded] == list(panels)
    files = list(write_files("out_{panel}.edf", expected, how, [0], panels, tile=(5, 31), notes={}))
    whole = np.full((PANELS * ROWS, 31), -1)
    for number in panels:
        image = open_image("out.zarr", panel=number).block(slice(None), slice(None))
        assert np.array_equal(image, open_image(f"out_{number}.edf").block(slice(None), slice(None)))
        assert files[number].tally == recorded[number].tally
        whole[number * ROWS : (number + 1) * ROWS] = image
    inside = np.zeros(whole.shape, bool)
    inside[3:12, 4:29] = True
    assert (whole[~inside] == -1).all() and (whole[inside] >= 0).all()
    assert recorded[3].tally.blank == ROWS * 31


def test_what_is_left_of_the_detector_is_kept(simulated):
    folder, experiment = simulated
    expected = open_dataset(folder / "in.zarr", experiment=experiment)
    how = Measurement(Noise(), NUMBERS["int32"], expected.shape, region_of(expected, 0, 0))
    about = provenance(expected, how, {}, (3, 9), [2])
    list(write_store(str(folder / "out.zarr"), expected, how, 1e-4, about, frames=[0], panels=[2], tile=(3, 9)))
    assert open_dataset(folder / "out.zarr").experiment(0) == experiment.of_panel(2)
    assert known_series(expected, [0], range(PANELS))[0] == experiment
