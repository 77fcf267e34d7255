"""The scattering curve of a measured image: exact medians, spots left out, and its round trip."""

import numpy as np
import pytest

import tilesim
from tilesim.errors import InputError
from tilesim.images.opening import open_dataset
from tilesim.tools.backgroundcurve import Slice, measured_curve, medians

WATER = Slice(1e-4, 1000.0, 0.018)
FLAGS = (
    "-default_F 3000 -cell 79 79 38 90 90 90 -N 30 -misset 10 20 30 -lambda 1 -distance 60 -pixel 0.5 -detpixels 200 "
    "-detector_thick 0.3 -detector_abs 200 -polar 0.9 -flux 1e12 -exposure 1 -beamsize 0.05 -oversample 1 -osc 0 "
)
SLAB = "--background-thickness 0.1 --background-density 1 --background-mw 18"


@pytest.fixture
def shot(tmp_path, monkeypatch):
    """Water, and a crystal with bright reflections, in `x.zarr`."""
    monkeypatch.chdir(tmp_path)
    flags = FLAGS + "--background water --background-thickness 0.1"
    tilesim.run(tilesim.from_nanobragg(flags), store="x.zarr", progress=False)
    return open_dataset("x.zarr")


def test_medians_are_those_of_sorting(tmp_path):
    generator = np.random.default_rng(3)
    ring, values = generator.integers(0, 5, 4001), generator.normal(0.0, 1e3, 4001).astype(np.float32)
    ring[ring == 3] = 4  # ring 3 is empty
    parts = [(ring[a : a + 500], values[a : a + 500]) for a in range(0, 4001, 500)]
    found = medians(lambda: iter(parts), 5)
    for number in (0, 1, 2, 4):
        own = np.sort(values[ring == number])
        assert found[number] == own[(len(own) - 1) // 2]
    assert found[3] == 0.0


def test_the_curve_of_water_comes_back_from_under_the_spots(shot):
    curve = measured_curve(shot, 0, WATER, rings=80, offset=0.0, gain=1.0)
    water = tilesim.material_curve("water")
    expected = np.interp(curve.stol, water.stol, water.amplitude)
    # A ring of 200 pixels holds spots; half a percent is what their tails leave.
    assert np.abs(curve.amplitude / expected - 1.0).max() < 0.02
    assert np.median(np.abs(curve.amplitude / expected - 1.0)) < 2e-3
    assert (np.diff(curve.stol) > 0).all() and (curve.pixels >= 100).all()


def test_its_round_trip_gives_the_radial_profile_again(shot, tmp_path):
    noise = tilesim.Noise(gain=2.0, offset=10.0, readout=1.0, seed=4)
    noisy = np.asarray(tilesim.add_noise(shot.image(0), noise, dtype="int32"))
    experiment = shot.experiment(0)
    noisy.astype("<f4").tofile("n.bin")
    measured = open_dataset("n.bin", experiment=experiment)
    curve = measured_curve(measured, 0, WATER, rings=60, offset=9.5, gain=2.0)  # fractions are dropped
    (tmp_path / "n.stol").write_text("\n".join(curve.lines()))
    again = tilesim.from_nanobragg(FLAGS.replace("-default_F 3000", "-default_F 1e-9") + f"-stol n.stol {SLAB}")
    water = tilesim.from_nanobragg(
        FLAGS.replace("-default_F 3000", "-default_F 1e-9") + "--background water --background-thickness 0.1"
    )
    images = [tilesim.simulate_now(one) for one in (again, water)]
    profiles = [tilesim.radial_average(one, water, shells=40)[1] for one in images]
    assert profiles[1].min() > 0
    np.testing.assert_allclose(profiles[0], profiles[1], rtol=0.02)
    assert abs(images[0].sum() / images[1].sum() - 1.0) < 2e-3


def test_sparse_counts_are_not_taken_for_nothing(shot):
    experiment = shot.experiment(0)
    flags = FLAGS.replace("3000", "1e-9") + "--background water --background-thickness 0.1"
    water = tilesim.simulate_now(tilesim.from_nanobragg(flags))
    counts = np.random.default_rng(5).poisson(water * 0.4 / water.max())
    counts.astype("<f4").tofile("few.bin")
    dim = experiment.replace(beam=experiment.beam.replace(fluence=experiment.beam.fluence * 0.4 / float(water.max())))
    curve = measured_curve(open_dataset("few.bin", experiment=dim), 0, WATER, rings=6, offset=0.0, gain=1.0)
    again = measured_curve(open_dataset("x.zarr"), 0, WATER, rings=6, offset=0.0, gain=1.0)
    np.testing.assert_allclose(curve.amplitude, again.amplitude, rtol=0.25)


def test_what_is_not_known_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bare = tilesim.from_nanobragg("-default_F 1 -cell 9 9 9 90 90 90 -N 1 -lambda 1 -distance 90 -detpixels 40")
    np.ones((40, 40), "<f4").tofile("x.bin")
    data = open_dataset("x.bin", experiment=bare)
    with pytest.raises(InputError, match=r"x\.bin does not say how large the beam is"):
        measured_curve(data, 0, WATER, rings=10, offset=0.0, gain=1.0)
    curve = measured_curve(data, 0, WATER, rings=4, offset=0.0, gain=1.0, beamsize=1e-4)
    assert any("nanoBragg's default" in one for one in curve.remarks)
    with pytest.raises(InputError, match=r"x\.bin: 0 rings have 100 pixels or more"):
        measured_curve(data, 0, WATER, rings=200, offset=0.0, gain=1.0, beamsize=1e-4)
