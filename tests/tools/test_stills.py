"""Two hundred stills, each with its own orientation, wavelength and distance: what an export says of every one."""

import json

import h5py
import numpy as np
import nxmx
import pytest

import tilesim

COUNT = 200
BEAM = np.array([0.0, 0.0, 1.0])


def rotations(count):
    """Random rotation matrices (count, 3, 3)."""
    q, r = np.linalg.qr(np.random.default_rng(5).normal(size=(count, 3, 3)))
    q = q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
    return q * np.linalg.det(q)[:, None, None]


@pytest.fixture(scope="module")
def stills():
    beam = tilesim.Beam(tuple(BEAM), wavelength=1e-10, fluence=1e30, exposure=0.1)
    crystal = tilesim.Crystal.from_cell(7.8e-9, 7.9e-9, 3.8e-9, cells=(6, 6, 6))
    panel = tilesim.Panel.facing(distance=0.12, pixel_size=2e-3, shape=(16, 18))
    base = tilesim.Experiment(beam, crystal, tilesim.Detector(panel, "small"), tilesim.StructureFactors.constant(100.0))
    series = tilesim.Series(
        base,
        orientation=rotations(COUNT),
        wavelength=1e-10 + 1e-13 * np.arange(COUNT),
        distance=0.12 + 1e-5 * np.arange(COUNT),
    )
    np.testing.assert_allclose([one.crystal.orientation for one in series], rotations(COUNT), rtol=0, atol=1e-12)
    return series


@pytest.fixture(scope="module")
def exported(stills, tmp_path_factory):
    """The folder with x.zarr, and x.h5 and x.expt made of it."""
    folder = tmp_path_factory.mktemp("stills")
    assert not tilesim.run(stills, store=folder / "x.zarr", backend="eager").missing
    data = tilesim.open(folder / "x.zarr")
    assert float(data.image(COUNT - 1).max().compute()) > 0
    tilesim.export(data, folder / "x.h5", scale=1)
    tilesim.export(data, folder / "x.expt")
    return folder


def laboratory(vectors, truth):
    """The one rotation that takes the vectors (n, 3, 3) of the simulation, columns, to those of a file."""
    frame = vectors[0] @ np.linalg.inv(truth[0])
    np.testing.assert_allclose(frame @ frame.T, np.eye(3), rtol=0, atol=1e-9)
    assert np.linalg.det(frame) == pytest.approx(1.0)
    scale = np.abs(truth).max()
    np.testing.assert_allclose(vectors / scale, frame @ truth / scale, rtol=0, atol=1e-9)
    return frame


def test_nxmx_has_the_orientation_wavelength_and_distance_of_every_still(exported, stills):
    with h5py.File(exported / "x.h5") as file:
        frame = laboratory(file["entry/sample/orientation_matrix"][()], rotations(COUNT))
        np.testing.assert_allclose(frame @ BEAM, BEAM, atol=1e-9)  # NeXus has the incident beam along +z
        [entry] = nxmx.NXmx(file).entries
        [instrument] = entry.instruments
        wavelengths = instrument.beams[0].incident_wavelength.to("angstrom").magnitude
        np.testing.assert_allclose(wavelengths, [one.beam.wavelength * 1e10 for one in stills], rtol=1e-12)
        found = file["entry/instrument/detector/transformations/det_z"]
        distances = np.abs(found[()]) * {"m": 1.0, "mm": 1e-3}[found.attrs["units"]]
        np.testing.assert_allclose(distances, 0.12 + 1e-5 * np.arange(COUNT), rtol=1e-9)
        pixels = file["entry/data/data"][()]
    data = tilesim.open(exported / "x.zarr")
    assert pixels.shape == (COUNT, 16, 18) and pixels.max() > 0
    for k in (0, 57, COUNT - 1):
        np.testing.assert_array_equal(pixels[k], np.round(data.image(k).compute()))


def test_expt_has_one_experiment_for_each_still(exported, stills):
    found = json.loads((exported / "x.expt").read_text())
    assert len(found["experiment"]) == COUNT and found["scan"] == []
    each = [{part: found[part][one[part]] for part in ("beam", "crystal", "detector")} for one in found["experiment"]]
    axes = [np.transpose([one["crystal"][f"real_space_{x}"] for x in "abc"]) for one in each]
    truth = [np.transpose([one.crystal.a, one.crystal.b, one.crystal.c]) * 1e10 for one in stills]
    frame = laboratory(np.array(axes), np.array(truth))
    for one, still in zip(each, stills, strict=True):
        assert one["beam"]["wavelength"] == pytest.approx(still.beam.wavelength * 1e10, rel=1e-12)
        # DIALS has the direction from the sample to the source.
        np.testing.assert_allclose(frame @ BEAM, -np.array(one["beam"]["direction"]), atol=1e-9)
        [panel] = one["detector"]["panels"]
        distance = np.dot(panel["origin"], frame @ BEAM)
        assert distance == pytest.approx(still.detector.panels[0].distance * 1e3, rel=1e-9)


def test_what_is_read_back_are_the_experiments(exported, stills):
    for name in ("x.zarr", "x.h5"):
        data = tilesim.open(exported / name)
        assert [data.experiment(k) == stills[k] for k in (0, 101, COUNT - 1)] == [True] * 3
