"""The page on serial crystallography: its blocks run as they stand, with fewer shots, and make what they say."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from pages import blocks_of, obey

import tilesim

PAGE = Path(__file__).parents[1] / "docs" / "serial.md"
SHOTS = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder in which the blocks ran, in this process, which has imported what eight of them would."""
    pytest.importorskip("xarray")
    made = tmp_path_factory.mktemp("serial")
    blocks = blocks_of(PAGE)
    assert [kind for kind, _ in blocks] == ["sh", "sh", "sh", "sh", "sh", "python"]
    obey([(kind, code.replace("shots = 200\n", f"shots = {SHOTS}\n")) for kind, code in blocks], made)
    return made


def test_the_shots_are_those_that_were_asked_for(folder):
    data = tilesim.open(folder / "shots.zarr")
    blank = [data.experiment(k).crystal is None for k in range(SHOTS)]
    assert len(data) == SHOTS and 0 < sum(blank) < SHOTS
    hit = data.experiment(blank.index(False))
    assert len(hit.beam.waves) == 40 and hit.factors.by_energy and 7.08 < hit.beam.energy < 7.16
    assert np.asarray(data.image(blank.index(False))).max() > 1.5 * np.asarray(data.image(blank.index(True))).max() > 0
    assert (folder / "shots.png").stat().st_size > 10_000


def test_all_programs_get_the_same_noisy_shots(folder):
    noisy = tilesim.open(folder / "noisy.zarr")
    with h5py.File(folder / "shots.cxi") as file:
        images = file["entry_1/data_1/data"][...]
        energies = file["entry_1/instrument_1/beam/photon_energy"][...]
    assert images.shape == (SHOTS, 256, 256)
    np.testing.assert_array_equal(images[0], np.asarray(noisy.image(0)).reshape(256, 256))
    assert energies == pytest.approx([1e3 * noisy.experiment(k).beam.energy for k in range(SHOTS)], rel=1e-9)
    stream = (folder / "truth.stream").read_text()
    assert stream.count("Begin chunk") == SHOTS > stream.count("Begin crystal") > 0
    assert len((folder / "shots.lst").read_text().split("\n")) == SHOTS + 1


def test_the_truth_says_what_the_shots_are_of(folder):
    data = tilesim.open(folder / "shots.zarr")
    with h5py.File(folder / "labels.h5") as file:
        labels = {name: file[name][...] for name in file}
    blank = [data.experiment(k).crystal is None for k in range(SHOTS)]
    assert (labels["hit"] == 0).tolist() == blank
    rows = np.genfromtxt(folder / "reflections.csv", delimiter=",", names=True)
    assert len(rows) > 50 and {*rows["frame"]} == {k for k in range(SHOTS) if not blank[k]}
    assert 0 < rows["partiality"].min() < 0.5 * rows["partiality"].max() < 0.5
    brightest = rows[rows["photons"].argmax()]
    pixel = tuple(int(brightest[name]) for name in ("panel", "slow", "fast"))
    image = np.asarray(data.image(int(brightest["frame"])))
    assert image[pixel] > 10 * np.median(image[pixel[0]])
