"""Noise on a detector of several panels: each is measured as it would be alone, and has noise of its own."""

import pickle

import numpy as np
import pytest
from distribution import stored
from panels import PANELS, ROWS, cut, plane

from tilesim.engine.job import make_job
from tilesim.engine.work import compute_here
from tilesim.images.image import open_image
from tilesim.images.opening import open_dataset
from tilesim.model import Region
from tilesim.model.noise import Noise
from tilesim.tools.measuring import measure
from tilesim.tools.noisejob import noise_job

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
    source = open_dataset("in.zarr", experiment=experiment)  # this store was made without its description
    noise, panels = Noise(calibration=0.1, readout=2.0, module_calibration=0.1), range(PANELS)
    [recorded] = measure(noise_job(source, noise), "out.zarr", pixel_size=1e-4).frames
    assert sorted(recorded.panels) == list(panels)
    done = measure(noise_job(source, noise, tile=(5, 31)), "out_{panel}.edf", pixel_size=1e-4)
    assert done.files == tuple(f"out_{n}.edf" for n in panels) and done.frames[0].panels == recorded.panels
    whole = np.full((PANELS * ROWS, 31), -1)
    for number in panels:
        image = open_image("out.zarr", panel=number).block(slice(None), slice(None))
        assert np.array_equal(image, open_image(f"out_{number}.edf").block(slice(None), slice(None)))
        whole[number * ROWS : (number + 1) * ROWS] = image
    inside = np.zeros(whole.shape, bool)
    inside[3:12, 4:29] = True
    assert (whole[~inside] == -1).all() and (whole[inside] >= 0).all()
    assert recorded.panels[3].blank == ROWS * 31
    # Files hold the panels below each other where their name does not tell them apart, and one alone by its number.
    measure(noise_job(source, noise), "all.edf", pixel_size=1e-4)
    assert np.array_equal(open_image("all.edf").block(slice(None), slice(None)), whole)
    measure(noise_job(source, noise, panels=[2]), "one_{panel}.edf", pixel_size=1e-4)
    assert (folder / "one_2.edf").read_bytes()[-ROWS * 31 * 4 :] == whole[2 * ROWS : 3 * ROWS].astype("<i4").tobytes()
    assert not list(folder.glob(".*"))


def test_what_is_left_of_the_detector_is_kept(simulated):
    folder, experiment = simulated
    source = open_dataset(folder / "in.zarr", experiment=experiment)
    measure(noise_job(source, Noise(), panels=[2]), str(folder / "out.zarr"), pixel_size=1e-4)
    assert open_dataset(folder / "out.zarr").experiment(0) == experiment.of_panel(2)


def test_a_job_travels_and_its_digest_names_what_it_measures(simulated):
    folder, experiment = simulated
    source = open_dataset(folder / "in.zarr", experiment=experiment)
    job = noise_job(source, Noise())
    assert pickle.loads(pickle.dumps(job)).digest == job.digest
    others = [
        noise_job(source, Noise(seed=2)),
        noise_job(source, Noise(), "uint16"),
        noise_job(source, Noise(), panels=[1]),
    ]
    assert len({job.digest, *(other.digest for other in others)}) == 4
    tiled = noise_job(source, Noise(), tile=(2, 31))
    assert tiled.content_digest == job.content_digest and tiled.digest != job.digest
