"""NXmx files, read back by the nxmx library, which is what DIALS reads them with, and by fabio."""

import fabio
import h5py
import numpy as np
import nxmx
import pytest
from exported import corners, nxmx_corners, series, skewed

from tilesim.errors import InputError
from tilesim.geometry.axes import Axes, rotation_to
from tilesim.images import nxmx as module
from tilesim.images.banded import Bands
from tilesim.images.nxmx import nxmx_counts, write_nxmx
from tilesim.images.pixels import ArrayImage
from tilesim.instruments.files import read_detector
from tilesim.model import Panel, PixelMask, Region, Sampling, Series, Spectrum
from tilesim.spectra.files import read_spectra


def write(path, frames, dtype="f4", counts=None, **options):
    """A series of random pixels; (frame, panel, slow, fast) of what was written."""
    frames = Series.of(frames)
    panels = frames[0].detector.panels
    values = np.random.default_rng(1).integers(0, 1000, (len(frames), len(panels), *panels[0].shape)).astype(dtype)
    write_nxmx(path, frames, lambda f, p: Bands(ArrayImage(values[f, p]), counts), **options)
    return values


@pytest.mark.parametrize("panels", [1, 3])
def test_pixels_are_where_the_library_finds_them(tmp_path, panels):
    experiment = skewed(panels)
    values = write(tmp_path / "a.h5", series(experiment, 2))
    rotation = rotation_to(Axes.MCSTAS, experiment)
    for number in range(panels):
        expected = corners(experiment, number) @ rotation.T
        assert np.abs(nxmx_corners(tmp_path / "a.h5", number) - expected).max() < 1e-12
    with h5py.File(tmp_path / "a.h5") as file:
        [entry] = nxmx.NXmx(file).entries
        [detector] = entry.instruments[0].detectors
        data = entry.data[0][entry.data[0].signal]
        assert data.dtype == "f4" and data.shape == (2, panels * 20, 30)
        for frame in range(2):
            for number, one in enumerate(detector.modules):
                where = tuple(slice(a, a + n) for a, n in zip(one.data_origin, one.data_size, strict=True))
                assert (data[frame][where] == values[frame, number]).all()


def test_the_library_reads_sample_beam_and_detector(tmp_path):
    experiment = skewed(beam=skewed().beam.replace(exposure=0.5, size=1e-5))
    write(tmp_path / "a.h5", series(experiment, 3), notes={"command_line": ["-x"]})
    rotation = rotation_to(Axes.MCSTAS, experiment)
    with h5py.File(tmp_path / "a.h5") as file:
        [entry] = nxmx.NXmx(file).entries
        [instrument], [sample] = entry.instruments, entry.samples
        [detector], [beam] = instrument.detectors, instrument.beams
        assert entry.definition == "NXmx" and entry.start_time is None
        axes = nxmx.get_rotation_axes(nxmx.get_dependency_chain(sample.depends_on))
        assert np.allclose(axes.axes, [rotation @ np.array(experiment.scan.axis)]) and axes.is_scan_axis.tolist() == [1]
        assert np.allclose(sample.depends_on[()].to("deg").magnitude, [20, 20.5, 21])
        assert np.allclose((sample.depends_on.end[()] - sample.depends_on[()]).to("deg").magnitude, 0.5)
        assert beam.incident_wavelength.to("angstrom").magnitude == pytest.approx(1.1)
        assert beam.flux.to("1/s/m^2").magnitude == pytest.approx(experiment.beam.fluence / 0.5)
        assert beam.total_flux.to("1/s").magnitude == pytest.approx(experiment.beam.fluence * 1e-10 / 0.5)
        assert detector.sensor_material == "Si" and detector.sensor_thickness.to("mm").magnitude == pytest.approx(0.2)
        assert detector.frame_time.to("s").magnitude == 0.5 and detector.underload_value == 0
        assert detector.saturation_value > 1e38 and detector.bit_depth_readout is None
        # The beam, from the sample, meets the detector at the beam centre, at the distance.
        x, y = (v.magnitude for v in (detector.beam_center_x, detector.beam_center_y))
        one = detector.modules[0]
        chain = nxmx.get_cumulative_transformation(nxmx.get_dependency_chain(one.fast_pixel_direction.depends_on))[0]
        hit = chain[:3, 3] / 1e3 + 1e-4 * (x * one.fast_pixel_direction.vector + y * one.slow_pixel_direction.vector)
        assert np.allclose(hit, [0, 0, detector.distance.to("m").magnitude], atol=1e-12)


@pytest.mark.parametrize("panels", [1, 3])
def test_geometry_is_read_back(tmp_path, panels):
    active = np.random.default_rng(2).random((20 * panels, 30)) > 0.3
    experiment = skewed(panels, mask=PixelMask(active))
    write(tmp_path / "a.h5", series(experiment, 2))
    found, rotation = read_detector(tmp_path / "a.h5"), rotation_to(Axes.MCSTAS, experiment)
    for number in range(panels):
        there = corners(experiment.replace(detector=found.detector), number)
        assert np.abs(there - corners(experiment, number) @ rotation.T).max() < 1e-12
    assert (found.mask.active == active).all() and found.notes == ()
    assert found.wavelength == pytest.approx(1.1e-10) and found.kahn_factor == pytest.approx(0.9)
    np.testing.assert_allclose(found.spindle, rotation @ experiment.scan.axis, atol=1e-12)
    assert {panel.pixel_size for panel in found.panels} == {found.panels[0].pixel_size}
    # Where frames differ it is the first one's, and a line says so.
    write(tmp_path / "b.h5", Series(experiment, distance=[0.1, 0.11]))
    assert "det_z differs from frame to frame" in read_detector(tmp_path / "b.h5").notes[0]


def test_fabio_reads_every_frame(tmp_path):
    values = write(tmp_path / "a.h5", series(skewed(), 3))
    image = fabio.open(str(tmp_path / "a.h5"))
    assert type(image).__name__ == "EigerImage" and image.nframes == 3
    for frame in range(3):
        assert (image.getframe(frame).data == values[frame, 0]).all()
    image.close()


def test_counts_carry_the_marks_that_readers_know(tmp_path):
    counts = nxmx_counts(None)
    values = np.zeros((20, 30), "f4")
    values[0, :4] = [np.nan, 3e9, -5, 7]
    write_nxmx(tmp_path / "a.h5", Series(skewed()), lambda f, p: Bands(ArrayImage(values), counts))
    with h5py.File(tmp_path / "a.h5") as file:
        data, [detector] = file["entry/data/data"][0], nxmx.NXmx(file).entries[0].instruments[0].detectors
        assert data.dtype == "u4" and data[0, :4].tolist() == [2**32 - 1, 2**31 - 3, 0, 7]
        assert detector.bit_depth_readout == 32 and detector.saturation_value == 2**31 - 3
        # What DIALS makes of the mark: a negative number, below the underload.
        assert data.astype("i4")[0, 0] == -1 < detector.underload_value
    assert counts.cut == 2 and counts.gaps == 1


def test_pixels_that_were_not_simulated_are_masked(tmp_path):
    experiment = skewed(sampling=Sampling(roi=Region(2, 10, 5, 25)))
    write(tmp_path / "a.h5", [experiment])
    with h5py.File(tmp_path / "a.h5") as file:
        mask = nxmx.NXmx(file).entries[0].instruments[0].detectors[0].pixel_mask[()]
    assert mask.shape == (20, 30) and (mask[2:10, 5:25] == 0).all()
    assert np.count_nonzero(mask) == 600 - 8 * 20


def test_a_spectrum_is_wavelengths_with_weights_by_frame_where_it_varies(tmp_path):
    experiment = skewed()
    spectra = [Spectrum([1.2e-10, 1.0e-10], [1.5, 0.5]), Spectrum([1.2e-10, 1.0e-10], [1.0, 1.0])]
    frames = [experiment.replace(beam=experiment.beam.with_spectrum(spectrum)) for spectrum in spectra]
    for name, shots, weights in (("a.h5", frames[:1], [1.5, 0.5]), ("b.h5", frames, [[1.5, 0.5], [1.0, 1.0]])):
        write(tmp_path / name, shots)
        with h5py.File(tmp_path / name) as file:
            [beam] = nxmx.NXmx(file).entries[0].instruments[0].beams
            found = beam.incident_wavelength.to("angstrom").magnitude
            assert np.allclose(found, np.broadcast_to([1.2, 1.0], np.shape(weights)), rtol=1e-12)
            group = file["entry/instrument/beam"]
            assert group["incident_wavelength_weights"][()].tolist() == weights
            assert "incident_wavelength_spectrum" not in group
        assert read_spectra(tmp_path / name) == tuple(shot.beam.spectrum for shot in shots)
        # As DIALS has it, the mean energy is the wavelength of a monochromatic reader.
        assert read_detector(tmp_path / name).wavelength == pytest.approx(spectra[0].wavelength, rel=1e-12)


def test_large_frames_are_stored_in_bands(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(module, "BAND_PIXELS", 7 * 30)
    values = write(tmp_path / "a.h5", series(skewed(3), 2))
    with h5py.File(tmp_path / "a.h5") as file:
        data = file["entry/data/data"]
        assert data.chunks == (1, 7, 30) and (data[()] == values.reshape(2, 60, 30)).all()
        # Every chunk was written once, none twice.
        assert data.id.get_num_chunks() == 2 * 9


def test_files_are_the_same_each_time(tmp_path):
    for name in ("a.h5", "b.h5"):
        write(tmp_path / name, series(skewed(2), 2))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_what_the_format_cannot_tell_is_refused_and_leaves_nothing(tmp_path):
    experiment = skewed()
    curved = experiment.replace(detector=experiment.detector.replace(panels=curve(experiment.detector.panels[0])))
    with pytest.raises(InputError, match="curved"):
        write(tmp_path / "a.h5", [curved])
    other = experiment.replace(beam=experiment.beam.replace(direction=(0, 0, 1)))
    with pytest.raises(InputError, match="frame 1 differs from frame 0 in the direction of the beam"):
        write(tmp_path / "a.h5", [experiment, other])
    with pytest.raises(InputError, match="--material Fe; expected one of Si, CdTe, GaAs"):
        write(tmp_path / "a.h5", [experiment], material="Fe")
    with pytest.raises(InputError, match="whole numbers"):
        half = Bands(ArrayImage(np.full((20, 30), 0.5)), nxmx_counts(None))
        write_nxmx(tmp_path / "a.h5", Series(experiment), lambda f, p: half)
    assert list(tmp_path.iterdir()) == []


def curve(panel: Panel):
    return panel.replace(curved_radius=0.1)
