"""Pixels that switch their gain, and maps of offset, gain and noise: by hand, and the same however they are cut."""

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

import tilesim
from tilesim.errors import InputError
from tilesim.images.opening import open_dataset
from tilesim.images.registry import Format
from tilesim.model import Region
from tilesim.model.gainswitch import GainStage, GainSwitching, epix10k, jungfrau
from tilesim.model.noise import Noise
from tilesim.model.serial import from_plain, to_plain
from tilesim.tiling.plan import TilePlan
from tilesim.tools.crystfel import Beside
from tilesim.tools.export import Selection, export_images
from tilesim.tools.measuring import measure
from tilesim.tools.noise import PIXEL_TYPES, Measurement, measured, noise_figures
from tilesim.tools.noisejob import noise_job

THREE = GainSwitching(
    (GainStage(400.0, 2800.0, 0.0, 0), GainStage(-20.0, 14000.0, 0.0, 1), GainStage(-1.0, 13500.0, 0.0, 3)),
    (30.0, 600.0),
)
PHOTONS = np.array([[0.0, 1.0, 29.0, 30.0, 599.0, 600.0, 13000.0, 90000.0]])
WORDS = [2800, 3200, 14400, (1 << 14) + 13400, (1 << 14) + 2020, (3 << 14) + 12900, (3 << 14) + 500, 3 << 14]
"""Code of the stage, and offset + gain x photons, which ends at 0"""


def noisy(noise, photons, kind="uint16", tile=None, frame=0, maps=None):
    shape = photons.shape
    how = Measurement(noise, PIXEL_TYPES[kind], shape, Region(0, shape[0], 0, shape[1]), maps=maps or {})
    out, figures = np.empty(shape, kind), None
    for one in TilePlan((1, *shape), tile or shape):
        at = dataclasses.replace(one, frame=frame)
        values = measured(how, lambda rows, columns: photons[rows, columns], at)
        found = noise_figures(how, lambda rows, columns: photons[rows, columns], at, values)
        out[one.slices], figures = values, found if figures is None else figures.merge(found)
    return out, figures


@pytest.mark.parametrize("kind", ["uint16", "int32", "float32"])
def test_words_hold_the_stage_and_what_its_gain_makes_of_the_photons(kind):
    out, _ = noisy(Noise(photon_noise=False, switching=THREE), PHOTONS, kind)
    assert out[0].tolist() == WORDS


def test_figures_are_those_of_the_photons():
    _, figures = noisy(Noise(photon_noise=False, switching=THREE), PHOTONS[:, :7])
    assert figures.photons(Noise()) == pytest.approx(PHOTONS[0, :7].sum())
    assert figures.overloads == 0


def test_noise_is_that_of_the_stage_and_belongs_to_pixel_and_frame():
    stages = tuple(one.replace(readout=readout) for one, readout in zip(THREE.stages, (12.0, 3.0, 1.0), strict=True))
    noise = Noise(photon_noise=False, seed=9, switching=THREE.replace(stages=stages))
    photons = np.repeat([[5.0], [300.0], [5000.0]], 1500, axis=1)
    whole, _ = noisy(noise, photons, "float32")
    cut, _ = noisy(noise, photons, "float32", (2, 64))
    other, _ = noisy(noise, photons, "float32", frame=1)
    np.testing.assert_array_equal(whole, cut)
    assert (whole != other).mean() > 0.9
    expected = [2800 + 2000, (1 << 14) + 14000 - 6000, (3 << 14) + 13500 - 5000]
    np.testing.assert_allclose(whole.mean(axis=1), expected, atol=1.5)
    np.testing.assert_allclose(whole.std(axis=1), (12.0, 3.0, 1.0), rtol=0.08)


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_a_dark_frame_is_read_in_the_stage_that_is_forced(stage):
    noise = Noise(scale=0.0, switching=THREE.replace(forced=stage))
    out, _ = noisy(noise, PHOTONS)
    one = THREE.stages[stage]
    assert (out == (one.code << 14) + one.offset).all()


def test_detectors_by_name_have_their_codes_and_the_units_of_a_photon():
    three, two = jungfrau(12.4), epix10k(8.0)
    assert [one.code for one in three.stages] == [0, 1, 3] and [one.code for one in two.stages] == [0, 1]
    assert three.stages[0].gain == pytest.approx(41.5 * 12.4) and two.stages[1].gain == pytest.approx(0.164 * 8.0)
    for detector in (three, two):
        # Each stage holds what it must, up to its threshold.
        for one, limit in zip(detector.stages, detector.thresholds, strict=False):
            assert 0 < one.offset + one.gain * limit < detector.top
    assert from_plain(GainSwitching, to_plain(three)) == three


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Makes a job of 6 x 8 pixels with 3 photons each, with maps."""
    monkeypatch.chdir(tmp_path)
    np.full((6, 8), 3.0, "<f4").tofile("x.bin")
    still = tilesim.from_nanobragg(
        "-default_F 1 -cell 9 9 9 90 90 90 -N 1 -lambda 1 -distance 90 -detpixels_x 8 -detpixels_y 6"
    )
    data = open_dataset("x.bin", experiment=still)

    def maker(noise, **maps):
        return noise_job(data, noise, "float32", masks={name.replace("_", "-"): path for name, path in maps.items()})

    return maker


def values(job):
    ready = job.ready()
    return np.block([[ready(tile).values for tile in job.plan]]) if len(job.plan) == 1 else None


def test_maps_give_every_pixel_its_own_numbers(job):
    pedestal, gain = np.arange(48.0).reshape(6, 8), 1.0 + np.arange(48.0).reshape(6, 8) / 10
    pedestal.astype("<f4").tofile("p.bin")
    gain.astype("<f4").tofile("g.bin")
    made = job(Noise(photon_noise=False), pedestal_map="p.bin", gain_map="g.bin")
    np.testing.assert_allclose(values(made), pedestal + 3.0 * gain, rtol=1e-6)
    again = job(Noise(photon_noise=False), pedestal_map="p.bin")
    assert again.digest != made.digest
    np.testing.assert_allclose(values(again), pedestal + 3.0, rtol=1e-6)


def test_a_map_may_have_an_image_for_each_stage(job):
    stages = np.stack([np.full((6, 8), 100.0 * (n + 1)) for n in range(3)])
    with h5py.File("p.h5", "w") as file:
        file["entry/data/data"] = stages
    for forced, expected in ((0, 100.0 + 3 * 400.0), (1, 200.0 - 60.0), (2, 300.0 - 3.0)):
        made = job(Noise(photon_noise=False, switching=THREE.replace(forced=forced)), pedestal_map="p.h5")
        found = values(made) - (THREE.stages[forced].code << 14)
        np.testing.assert_allclose(found, expected)
    with pytest.raises(InputError, match=r"--pedestal-map p\.h5: 3 images of 1 panels; expected one for each of 1"):
        job(Noise(), pedestal_map="p.h5")


def test_a_map_of_numbers_that_cannot_be_is_refused(job):
    wrong = np.ones((6, 8), "<f4")
    wrong[2, 5] = 0.0
    wrong.tofile("g.bin")
    with pytest.raises(InputError, match="--gain-map: pixel slow 2 fast 5 holds 0; expected a finite number that is"):
        values(job(Noise(), gain_map="g.bin"))


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"thresholds": (30.0,)}, "1 thresholds for 3 gain stages"),
        ({"thresholds": (30.0, 20.0)}, "do not rise"),
        ({"bits": 15}, "expected 16 bits together"),
        ({"forced": 3}, "stage 3 of 3 is forced"),
    ],
)
def test_stages_that_cannot_be_are_refused(fields, error):
    with pytest.raises(InputError, match=error):
        THREE.replace(**fields)
    with pytest.raises(InputError, match="an overload with gain switching"):
        Noise(overload=100.0, switching=THREE)


def test_a_store_of_words_states_no_offset_that_is_none(job, tmp_path):
    measure(job(Noise(switching=THREE)), "n.zarr", pixel_size=1e-4)
    stored = open_dataset("n.zarr")
    assert (stored.offset, stored.gain) == (0.0, 1.0)
    assert stored.attributes["noise"]["switching"]["thresholds"] == [30.0, 600.0]
    remarks = tilesim.export("n.zarr", "n.edf").remarks
    assert any("words with a gain stage" in one for one in remarks)


@pytest.mark.parametrize("mapped", [False, True])
def test_a_geometry_for_crystfel_is_refused_where_no_one_gain_makes_photons(job, mapped):
    np.full((6, 8), 2.0, "<f4").tofile("g.bin")
    made = job(Noise(), gain_map="g.bin") if mapped else job(Noise(switching=THREE))
    measure(made, "n.zarr", pixel_size=1e-4)
    data = open_dataset("n.zarr")
    for name in ("geom", "stream"):
        beside = Beside(**{name: "n.beside"})
        with pytest.raises(InputError, match=f"--{name}: a geometry states one gain"):
            export_images(data, "n.cxi", Selection(Format.CXI, (0,), (0,), beside=beside))
        assert not Path("n.cxi").exists() and not Path("n.beside").exists()
    export_images(data, "n.cxi", Selection(Format.CXI, (0,), (0,), beside=Beside(lst="n.lst")))
