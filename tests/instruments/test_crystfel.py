"""CrystFEL geometries: each line that CrystFEL acts on is followed, and every other one is refused by its number."""

import h5py
import numpy as np
import pytest

import tilesim
from tilesim.errors import InputError
from tilesim.instruments.files import read_detector

HEAD = "photon_energy = 9500 eV\nclen = 0.1\nres = 10000\nadu_per_eV = 0.001\n"
"""Four lines"""
EXTRA_GEOM = """
; Generic Detector geometry file written by EXtra-geom 1.17.0
; You may need to edit this file to add:
; - data and mask locations in the file
; - mask_good & mask_bad values to interpret the mask
; - adu_per_eV & photon_energy
; - clen (detector distance)
;
; See: http://www.desy.de/~twhite/crystfel/manual-crystfel_geometry.html
data = /entry_1/instrument_1/detector_1/data ;
dim0 = %
res = 5000.0 ; pixels per metre
; Beam energy in eV
photon_energy = 9300
; Camera length, aka detector distance
clen = 0.2
; Analogue Digital Units per eV
adu_per_eV = 0.0075
rigid_group_p0 = p0a0
rigid_group_p1 = p1a0
rigid_group_collection_modules = p0,p1
p0a0/dim1 = 0
p0a0/dim2 = ss
p0a0/dim3 = fs
p0a0/min_fs = 0
p0a0/min_ss = 0
p0a0/max_fs = 5
p0a0/max_ss = 7
p0a0/fs = +0.6x +0.8y
p0a0/ss = -0.8x +0.6y
p0a0/corner_x = -35.0
p0a0/corner_y = -5.0
p0a0/coffset = 0.0
p1a0/dim1 = 1
p1a0/dim2 = ss
p1a0/dim3 = fs
p1a0/min_fs = 0
p1a0/min_ss = 0
p1a0/max_fs = 5
p1a0/max_ss = 7
p1a0/fs = +0.6x +0.8y
p1a0/ss = -0.8x +0.6y
p1a0/corner_x = 5.0
p1a0/corner_y = 1.0
p1a0/coffset = 0.001
"""
"""What EXtra-geom 1.17.0 writes of a GenericGeometry of two modules, empty lines left out"""


def panel(name="p0", edges=(0, 9, 0, 7), corner=(-5, -4), fs="x", ss="y"):
    limits = zip(("min_fs", "max_fs", "min_ss", "max_ss"), edges, strict=True)
    lines = [f"{name}/{key} = {value}\n" for key, value in limits]
    place = {"corner_x": corner[0], "corner_y": corner[1], "fs": fs, "ss": ss}
    return "".join([*lines, *(f"{name}/{key} = {value}\n" for key, value in place.items())])


@pytest.fixture
def read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def reader(text, **encoding):
        path = tmp_path / "x.geom"
        path.write_bytes(text if isinstance(text, bytes) else text.encode(**encoding))
        return read_detector(path)

    return reader


def bad(instrument):
    """(panel, slow, fast) of each pixel that is left out."""
    return np.argwhere(~instrument.mask.active.reshape(len(instrument.panels), *instrument.panels[0].shape)).tolist()


def far_corner(one):
    slow, fast = one.shape
    return np.array(one.origin) + one.pixel_size * (slow * np.array(one.slow) + fast * np.array(one.fast))


def test_the_whole_detector_is_shifted_bad_regions_of_the_laboratory_are_not(read):
    shift = "detector_shift_x = 2 mm\ndetector_shift_y = -0.001\n"
    region = "bad_a/min_x = 15\nbad_a/max_x = 17\nbad_a/min_y = -15\nbad_a/max_y = -13\n"
    found = read(shift + HEAD + panel() + region)
    np.testing.assert_allclose(found.panels[0].origin, [1.5e-3, -1.4e-3, 0.1])
    assert bad(found) == [[0, 0, 0], [0, 0, 1]] and read(HEAD + panel() + region).mask is None


def test_the_wavelength_in_all_the_ways_that_crystfel_has(read):
    said = {
        "photon_energy = 9500": 12398.4198 / 9500,
        "photon_energy = 9.5 keV": 12398.4198 / 9500,
        "wavelength = 1.125 A": 1.125,
        "wavelength = 1.125e-10 m": 1.125,
        "electron_voltage = 300 kV": 0.0196875,
        "electron_voltage = 200000 V": 0.0250793,
        "electron_voltage = 1 MV": 0.00871918,
        "wavelength = /LCLS/wavelength m": None,
        "electron_voltage = /LCLS/voltage kV": None,
        "photon_energy = /LCLS/photon_energy": None,
    }
    for line, wanted in said.items():
        found = read(HEAD.replace("photon_energy = 9500 eV", line) + panel()).wavelength
        assert found == (None if wanted is None else pytest.approx(wanted * 1e-10, rel=2e-6)), line


def test_a_file_of_extra_geom_has_the_pixels_where_extra_geom_has_them(read):
    found = read(EXTRA_GEOM)
    assert found.wavelength == pytest.approx(12398.419843 / 9300 * 1e-10) and found.mask is None
    places = [
        np.array(one.origin) + one.pixel_size * ((s + 0.5) * np.array(one.slow) + (f + 0.5) * np.array(one.fast))
        for one, (s, f) in zip(found.panels, ((0, 0), (7, 5)), strict=True)
    ]
    # Its get_pixel_positions, from the interaction point instead of clen
    np.testing.assert_allclose(places, [[-0.00702, -0.00086, 0.2], [0.00046, 0.00198, 0.201]], atol=1e-12)


def test_steps_of_a_pixel_count_as_they_are_written(read):
    edges, corner = (0, 1023, 0, 511), (-512, -256)
    [one] = read(HEAD + panel(edges=edges, corner=corner, fs="0.99905x", ss="1.00095y -0.01z")).panels
    np.testing.assert_allclose(far_corner(one) * 1e4, [511.0272, 256.4864, 1000 - 5.12], atol=1e-9)
    area = np.linalg.norm(np.cross(one.fast, one.slow)) * one.pixel_size**2
    wanted = np.linalg.norm(np.cross([0.99905, 0, 0], [0, 1.00095, -0.01])) * 1e-8
    assert area == pytest.approx(one.pixel_size**2, rel=1e-14) and area == pytest.approx(wanted, rel=1e-12)
    [square] = read(HEAD + panel(edges=edges, corner=corner, fs="x", ss="y")).panels
    assert (square.fast, square.slow, square.pixel_size) == ((1, 0, 0), (0, 1, 0), 1e-4)
    # Of what a sensor sees of a uniform source, the solid angle, the longer pixels have more.
    words = "-default_F 100 -cell 50 60 70 90 90 90 -N 1 -oversample 1 -nopolar".split()
    images = [
        tilesim.simulate_now(
            tilesim.from_nanobragg(words, instrument=read(HEAD + panel(edges=(0, 1, 0, 1), corner=(-1, -1), fs=fs)))
        )
        for fs in ("x", "1.02x")
    ]
    np.testing.assert_allclose(images[1] / images[0], 1.02, rtol=1e-3)


def test_panels_of_unequal_size_have_a_mask_of_the_pixels_that_they_lack(read):
    found = read(HEAD + panel() + panel("p1", edges=(10, 18, 0, 5), corner=(6, -4), fs="0.995x"))
    assert found.shape == (16, 10) and [p.shape for p in found.panels] == [(8, 10)] * 2
    absent = {(s, f) for s in range(8) for f in range(10) if s > 5 or f > 8}
    assert {tuple(place) for place in bad(found)} == {(1, *place) for place in absent}
    assert found.panels[1].pixel_size == pytest.approx(1e-4 * 0.995**0.5)
    made = tilesim.from_nanobragg("-default_F 100 -cell 50 60 70 90 90 90 -N 2 -oversample 1", instrument=found)
    image = tilesim.simulate_now(made)
    assert image.shape == (2, 8, 10) and (image[0] > 0).all()
    assert (image[1, :6, :9] > 0).all() and not image[1, 6:].any() and not image[1, :, 9].any()
    alone = tilesim.from_nanobragg(
        "-default_F 100 -cell 50 60 70 90 90 90 -N 2 -oversample 1",
        instrument=read(HEAD + panel("p1", edges=(10, 18, 0, 5), corner=(6, -4), fs="0.995x")),
    )
    np.testing.assert_array_equal(tilesim.simulate_now(alone), image[1, :6, :9])


def test_whole_panels_edges_and_regions_are_left_out(read):
    two = HEAD + panel() + panel("p1", edges=(0, 9, 8, 15), corner=(-5, 4))
    found = read(two + "p1/no_index = 1\np0/no_index = false\n")
    assert {place[0] for place in bad(found)} == {1} and len(bad(found)) == 80
    assert read(two + "p0/no_index = 0\n").mask is None
    edges = read("mask_edge_pixels = 1\n" + two + "p1/mask_edge_pixels = 3\n")
    active = edges.mask.active.reshape(2, 8, 10)
    assert active[0, 1:7, 1:9].all() and active[0].sum() == 48
    assert active[1, 3:5, 3:7].all() and active[1].sum() == 8
    assert not read("mask_edge_pixels = 4\n" + two).mask.active.any()
    region = "bad_x/min_fs = 8\nbad_x/max_fs = 20\nbad_x/min_ss = 7\nbad_x/max_ss = 8\n"
    assert bad(read(two + region)) == [[0, 7, 8], [0, 7, 9], [1, 0, 8], [1, 0, 9]]
    assert bad(read(two + region + "bad_x/panel = p1\n")) == [[1, 0, 8], [1, 0, 9]]


@pytest.mark.parametrize(
    ("lines", "shape"),
    [
        ("dim0 = %\ndim1 = ss\ndim2 = fs\nmask = /m\nmask_file = m.h5\nmask_good = 0x1\nmask_bad = 0x6\n", (16, 10)),
        ("mask3_data = /m\nmask3_file = m.h5\nmask3_goodbits = 1\nmask3_badbits = 6\n", (1, 16, 10)),
    ],
)
def test_mask_files_are_read_as_their_bits_and_dimensions_say(read, lines, shape):
    words = np.ones((16, 10), "u4")
    words[1, 2], words[9, 3], words[15, 9], words[14, 9] = 0, 3, 5, 9
    with h5py.File("m.h5", "w") as file:
        file["m"] = words.reshape(shape)
    if len(shape) == 3:
        lines = "dim0 = %\ndim1 = ss\ndim2 = fs\n" + lines
    found = read(lines + HEAD + panel() + panel("p1", edges=(0, 9, 8, 15), corner=(-5, 4)))
    assert bad(found) == [[0, 1, 2], [1, 1, 3], [1, 7, 9]] and not found.notes


def test_panels_of_a_stack_have_their_own_part_of_the_mask(read):
    words = np.zeros((2, 8, 10), "u1")
    words[1, 2, 3] = 1
    with h5py.File("m.h5", "w") as file:
        file["m"] = words
    stacked = "dim0 = 0\ndim1 = ss\ndim2 = fs\nmask = /m\nmask_file = m.h5\nmask_bad = 0xffff\n"
    found = read(stacked + HEAD + panel() + panel("p1", corner=(-5, 4)) + "p1/dim0 = 1\n")
    assert bad(found) == [[1, 2, 3]]


@pytest.mark.parametrize(
    ("line", "note"),
    [
        ("mask = /entry/mask\n", "the mask /entry/mask stands in the images, which are not read: the pixels"),
        ("mask = /m\nmask_file = not_there.h5\n", "there is no mask file not_there.h5: the pixels that it marks"),
        ("photon_energy_bandwidth = 0.01\n", "photon_energy_bandwidth = 0.01 is not used; bandwidth is what"),
    ],
)
def test_what_cannot_be_followed_is_a_warning_of_the_run(read, line, note):
    found = read(line + HEAD + panel())
    assert len(found.notes) == 1 and found.notes[0].startswith(note)
    command = tilesim.read_command("-default_F 100 -cell 50 60 70 90 90 90 -N 1".split(), instrument=found)
    assert any(note in warning for warning in command.warnings)


def test_lines_without_effect_and_any_line_ends(read):
    accepted = (
        "rigid_group_q0 = p0\nrigid_group_collection_quads = q0\ngroup_all = p0\npeak_list = /peaks\n"
        "peak_list_type = cxi\nmax_adu = 65000\nsaturation_map = /sat\nflag_equal = 65535\ndata = /data/%/data\n"
        "adu_per_photon = 1\nbadrow_direction = x\n"
    )
    wanted = read(HEAD + panel())
    below = panel() + "p0/max_adu = 1 ; the last word\n\n   ; only a comment\n"
    for text in (
        accepted + HEAD + below,
        (HEAD + below + accepted).replace("\n", "\r\n"),
        HEAD.replace("\n", "\r") + below,
    ):
        assert read(text).replace(notes=()) == wanted
    assert read(HEAD + panel(), encoding="utf-8-sig") == wanted
    assert read(panel().replace("=", "\t=  ") + "p0/res = 10000\nclen = 100 mm\nphoton_energy = 9.5 keV\n") == wanted


REFUSED = {
    "a key of nobody": ("colour = red\n" + HEAD, "line 1: there is no 'colour'; expected a key of CrystFEL's"),
    "a misspelt default": ("detector_shift = 1\n" + HEAD, "such as detector_shift_"),
    "a misspelt key": (HEAD + panel() + "p0/coffsett = 0.01\n", "line 13: there is no 'coffsett' of a panel"),
    "a mask 8": ("mask8_data = /m\n" + HEAD, "line 1: there is no 'mask8_data'"),
    "a key of a region": (HEAD + panel() + "bad1/min_z = 1\n", "line 13: there is no 'min_z' of a bad region"),
    "a default at the end": (
        HEAD + panel() + "mask_edge_pixels = 1\n",
        "line 13: mask_edge_pixels = 1: expected it above",
    ),
    "two wavelengths": ("wavelength = 1 A\n" + HEAD, "line 2: photon_energy = 9500 eV: expected it once; line 1 says"),
    "two distances": ("clen = 1\n" + HEAD, "line 3: clen = 0.1: expected it once; line 1 says clen = 1"),
    "a wavelength without unit": (HEAD.replace("photon_energy = 9500 eV", "wavelength = 1"), "a number in m or A"),
    "an energy of milli": (HEAD.replace(" eV", " meV"), "expected a number in eV or keV or MeV"),
    "an energy of zero": (HEAD.replace("9500", "0"), "photon_energy = 0 eV: expected a number above 0"),
    "a shift in the data": ("detector_shift_x = /shift mm\n" + HEAD, "the value stands in the data, write it here"),
    "a number of Python's": (HEAD.replace("10000", "10_000"), "line 3: res = 10_000: expected a number"),
    "a vector without signs": (HEAD + panel(fs="x 0.1y"), "line 11: p0/fs = x 0.1y: expected a vector"),
    "a skewed panel": (HEAD + panel(fs="x + 0.1y"), "p0: fast and slow axis are 84.29 degrees apart"),
    "a short step": (HEAD + panel(ss="0.5y"), "expected the step of one pixel, within 10%; it has length 0.5"),
    "both kinds of region": (HEAD + panel() + "bad1/min_x = 1\nbad1/min_fs = 1\n", "expected fs and ss, or x and y"),
    "half a region": (HEAD + panel() + "bad1/min_x = 1\n", "bad1/max_x is missing"),
    "a mask without place": (
        HEAD + "mask1_file = m.h5\n" + panel(),
        "expected mask1_data, the place in it, too",
    ),
    "UTF-16": (HEAD.encode("utf-16"), "the byte-order mark of UTF-16"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_crystfel_does_not_know_is_refused_by_its_line(read, case):
    text, expected = REFUSED[case]
    if isinstance(text, str) and "p0/" not in text:
        text += panel()
    with pytest.raises(InputError) as error:
        read(text)
    assert expected in str(error.value) and "\n" not in str(error.value)


def test_a_mask_that_is_none_is_refused_naming_the_file(read):
    lines = "mask = /m\nmask_file = m.h5\n" + HEAD + panel()
    with h5py.File("m.h5", "w") as file:
        file["m"] = np.zeros((7, 10), "u1")
    with pytest.raises(InputError, match=r"m\.h5: /m has 7 x 10 words, in which p0 is not found: fs 0 to 9, ss 0 to 7"):
        read(lines)
    with pytest.raises(InputError, match=r"m\.h5: there is no /n, which line 1 names"):
        read(lines.replace("/m\n", "/n\n"))
    with open("m.h5", "wb") as file:
        file.write(b"nothing")
    with pytest.raises(InputError, match=r"m\.h5: /m: expected an HDF5 mask, which line 1 needs"):
        read(lines)


def test_what_is_exported_of_unequal_panels_is_read_again(read, tmp_path):
    text = HEAD + panel(fs="0.998x +0.01y") + panel("p1", edges=(10, 18, 0, 5), corner=(6, -4), ss="1.001y -0.02z")
    made = tilesim.from_nanobragg(
        "-default_F 100 -cell 50 60 70 90 90 90 -N 2 -oversample 1".split(), instrument=read(text)
    )
    tilesim.run(made, store=str(tmp_path / "a.zarr"))
    tilesim.export(tmp_path / "a.zarr", tmp_path / "a.nxs")
    again = read_detector(tmp_path / "a.nxs")
    assert again.mask == made.mask and again.mask.active.sum() == 80 + 54
    wanted = tilesim.simulate_now(made)
    with h5py.File(tmp_path / "a.nxs") as file:
        data, words = file["entry/data/data"][0], file["entry/instrument/detector/pixel_mask"][()]
    # What is no pixel has no value in the file.
    held = np.where(words.reshape(wanted.shape) == 0, wanted, np.nan)
    np.testing.assert_array_equal(data.reshape(wanted.shape), held)
    np.testing.assert_array_equal(words == 0, made.mask.active)
    for one, other in zip(made.detector.panels, again.panels, strict=True):
        # The two frames differ by a half turn about y at most.
        lengths = [abs(np.array(x)) for x in (far_corner(one), far_corner(other))]
        np.testing.assert_allclose(*lengths, atol=1e-10)
        area = np.linalg.norm(np.cross(other.fast, other.slow))
        assert other.pixel_size * area**0.5 == pytest.approx(one.pixel_size, rel=1e-9)


FLAGS = "-default_F 100 -cell 50 60 70 90 90 90 -N 1".split()


def test_a_bandwidth_is_the_standard_deviation_of_the_photon_energy(read):
    found = read("bandwidth = 0.004\n" + HEAD + panel())
    assert found.bandwidth == 0.004 and found.notes == ()
    command = tilesim.read_command(FLAGS, instrument=found)
    assert any("bandwidth of 0.004; 15 channels of a gaussian spectrum" in one for one in command.warnings)
    waves = command.experiment.beam.waves
    energies = 1.0 / np.array([wave.wavelength for wave in waves])
    weights = np.array([wave.weight for wave in waves])
    mean = np.average(energies, weights=weights)
    assert len(waves) == 15 and weights.mean() == pytest.approx(1.0)
    assert 1.0 / mean == pytest.approx(command.experiment.beam.wavelength, rel=1e-12)
    spread = np.sqrt(np.average((energies / mean - 1.0) ** 2, weights=weights))
    assert spread == pytest.approx(0.004, rel=0.01)
    np.testing.assert_allclose(weights, weights[::-1], rtol=1e-9)


def test_flags_win_over_a_bandwidth_and_next_to_none_is_none(read):
    found = read("bandwidth = 0.004\n" + HEAD + panel())
    command = tilesim.read_command([*FLAGS, "-dispersion", "1", "-dispsteps", "3"], instrument=found)
    assert len(command.experiment.beam.waves) == 3
    assert any("the wavelengths of the flags are taken" in one for one in command.warnings)
    assert read("bandwidth = 1.000000e-08\n" + HEAD + panel()).bandwidth == 0.0
    with pytest.raises(InputError, match=r"line 1: bandwidth = 0\.5: expected a fraction of the photon energy"):
        read("bandwidth = 0.5\n" + HEAD + panel())
