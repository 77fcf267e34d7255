"""Files of spectra, as other programs write them, and what is refused."""

import json

import h5py
import numpy as np
import pytest

from tilesim import InputError, read_spectrum
from tilesim.spectra.files import read_spectra

TEXTS = {
    "# energy/keV current/A\n8.9 0\n9.0 4\n9.2 2\n9.3 0\n": ([8.9, 9.0, 9.2, 9.3], [0, 0.6, 0.3, 0]),
    "# energy/eV weight\n8900, 1\n9000, 4\n": ([8.9, 9.0], [1, 4]),
    "photon energy (eV); counts\n8900;1\n\n9000;4\n# end\n": ([8.9, 9.0], [1, 4]),
    "8900 1\n9000 4\n": ([8.9, 9.0], [1, 4]),
    "# spectrometer\n# Wavelength [nm]  photons\n0.1 1\n0.2 3\n": ([12.3984198, 6.1992099], [1, 3]),
    # A density by wavelength: channels of 0.1, 0.2 and 0.1 angstrom.
    "# wavelength/A density\n1.0 1\n1.2 1\n1.4 1\n": ([12.3984198, 10.3320165, 8.8560141], [1, 2, 1]),
}


@pytest.mark.parametrize("text", TEXTS)
def test_columns_are_what_the_header_says(tmp_path, text):
    (tmp_path / "s.txt").write_text(text)
    energies, photons = TEXTS[text]
    found = read_spectrum(tmp_path / "s.txt")
    np.testing.assert_allclose(found.energies, energies, rtol=1e-8)
    np.testing.assert_allclose(found.weights, np.array(photons) / np.mean(photons), rtol=1e-9, atol=1e-12)


def test_a_lam_file_has_wavelengths(tmp_path):
    (tmp_path / "s.lam").write_text("wavelengths,weights\n1.0,1\n1.1,3\n")
    found = read_spectrum(tmp_path / "s.lam")
    np.testing.assert_allclose(found.wavelengths, [1e-10, 1.1e-10], rtol=1e-15)
    assert found.weights.tolist() == [0.5, 1.5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9.0 1\n9.1 2\n", "what its columns are is not stated; expected a header"),
        ("# two columns\n9000 1\n", "what its columns are is not stated"),
        ("# energy weight\n9000 1\n", "its header is 'energy weight'"),
        ("# energy/A weight\n9000 1\n", "expected a header"),
        ("# energy/eV\n9000 1\n", "expected a header"),
        ("# energy/eV weight\n9000 1\n9001\n", "line 3: expected two numbers, found '9001'"),
        ("# energy/eV weight\n9000 1 2\n", "line 2: expected two numbers"),
        ("# energy/eV weight\n9000 nan\n", "line 2: expected two numbers"),
        ("# energy/eV weight\n-9000 1\n", "expected numbers above 0"),
        ("# energy/eV weight\n9000 -1\n", "weights of a spectrum"),
        ("# energy/eV weight\n", "lines of two numbers; found none"),
        ("# energy/keV current/A\n9 1\n", "a density at one point"),
        ("# energy/keV current/A\n9 1\n8 1\n9.5 1\n", "neither rise nor fall"),
        ("{}", "expected a DIALS .expt with a beam"),
        ('{"beam": [{"wavelength": 1}]}', "a beam has no spectrum_energies"),
    ],
)
def test_what_is_not_understood_is_one_line(tmp_path, text, message):
    (tmp_path / "s.txt").write_text(text)
    with pytest.raises(InputError) as error:
        read_spectrum(tmp_path / "s.txt")
    assert message in str(error.value)
    assert "s.txt" in str(error.value) and "\n" not in str(error.value)


def test_an_expt_has_the_spectrum_of_each_experiment(tmp_path):
    beams = [{"spectrum_energies": [9000, 9100], "spectrum_weights": weights} for weights in ([1, 3], [1, 1])]
    plain = {"beam": beams, "experiment": [{"beam": 1}, {"beam": 0}]}
    (tmp_path / "a.expt").write_text(json.dumps(plain))
    assert [one.weights.tolist() for one in read_spectra(tmp_path / "a.expt")] == [[1, 1], [0.5, 1.5]]
    np.testing.assert_allclose(read_spectrum(tmp_path / "a.expt", 1).energies, [9.0, 9.1])
    with pytest.raises(InputError, match=r"has the spectra of 2 frames; expected one for frame 2"):
        read_spectrum(tmp_path / "a.expt", 2)


@pytest.mark.parametrize(
    ("wavelengths", "weights", "expected"),
    [
        (1.0, None, [[1]]),
        ([1.0, 1.1], None, [[1], [1]]),
        ([1.0, 1.1], [1.0, 3.0], [[0.5, 1.5]]),
        ([1.0, 1.1], [[1.0, 3.0], [1.0, 1.0]], [[0.5, 1.5], [1, 1]]),
        ([[1.0, 1.1], [1.0, 1.2]], [1.0, 1.0], [[1, 1], [1, 1]]),
        ([[1.0, 1.1], [1.0, 1.2]], [[1.0, 3.0], [1.0, 1.0]], [[0.5, 1.5], [1, 1]]),
        ([1.0, 1.1], [1.0, 3.0, 1.0], "expected channels, or frames"),
        ([1.0, 1.1], [1.0, -3.0], "weights of a spectrum"),
    ],
)
@pytest.mark.parametrize("variant", [False, True])
def test_nxmx_has_one_spectrum_or_one_for_each_frame(tmp_path, wavelengths, weights, expected, variant):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, kind in (("entry", "NXentry"), ("entry/instrument", "NXinstrument"), ("entry/beam", "NXbeam")):
            file.create_group(name).attrs["NX_class"] = kind
        beam, name = file["entry/beam"], "incident_wavelength"
        if variant and weights is not None:
            beam[name] = 1.05
            beam[name].attrs.update(units="angstrom", variant="incident_wavelength_1Dspectrum")
            name = "incident_wavelength_1Dspectrum"
        beam[name] = np.array(wavelengths)
        beam[name].attrs["units"] = "angstrom"
        if weights is not None:
            beam[f"{name}_weights"] = np.array(weights)
    if isinstance(expected, str):
        with pytest.raises(InputError, match=expected):
            read_spectra(tmp_path / "a.h5")
        return
    found = read_spectra(tmp_path / "a.h5")
    assert [one.weights.tolist() for one in found] == expected
    assert found[0].wavelengths[0] == pytest.approx(1e-10)
