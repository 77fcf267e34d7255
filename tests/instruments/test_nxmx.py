"""NXmx files: chains of transformations as the nxmx library follows them, and what real files have in their place."""

import h5py
import numpy as np
import nxmx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tilesim
from tilesim.errors import InputError
from tilesim.instruments.files import read_detector
from tilesim.instruments.nexus import chain, cumulative

MODULE = "entry/instrument/detector/module"
DETECTOR = "entry/instrument/detector"
BEAM = "entry/instrument/beam"
OFFSET = (0.005, 0.003, 0.0)
EV = 1.602176634e-19
CORNER = (5.0, 3.0, 100.0)
"""Millimetres, of the file below."""


def group(file, name, kind):
    made = file.create_group(name)
    made.attrs["NX_class"] = kind
    return made


def axis(where, name, value, vector, depends_on, kind="translation", units="m", **attributes):
    where[name] = value
    where[name].attrs.update(
        units=units, vector=np.array(vector, float), depends_on=depends_on, transformation_type=kind, **attributes
    )
    return where[name]


@pytest.fixture
def file(tmp_path):
    """One module of 60 x 100 pixels (slow x fast) of 0.1 mm, with three frames of data."""
    with h5py.File(tmp_path / "x.h5", "w", locking=False) as made:
        group(made, "entry", "NXentry")["definition"] = "NXmx"
        group(made, "entry/instrument", "NXinstrument")
        beam, detector = group(made, BEAM, "NXbeam"), group(made, DETECTOR, "NXdetector")
        beam["incident_wavelength"] = 1.0
        beam["incident_wavelength"].attrs["units"] = "angstrom"
        axis(group(made, f"{DETECTOR}/t", "NXtransformations"), "det_z", 0.1, [0, 0, 1], ".")
        detector["depends_on"] = f"/{DETECTOR}/t/det_z"
        detector["beam_center_x"], detector["beam_center_y"] = 50.0, 30.0
        module = group(made, MODULE, "NXdetector_module")
        module["data_origin"], module["data_size"] = [0, 0], [60, 100]
        axis(module, "module_offset", 0.0, [1, 0, 0], f"/{DETECTOR}/t/det_z", offset=OFFSET, offset_units="m")
        for name, along in (("fast", [-1, 0, 0]), ("slow", [0, -1, 0])):
            axis(module, f"{name}_pixel_direction", 1e-4, along, f"/{MODULE}/module_offset")
        group(made, "entry/data", "NXdata")["data"] = np.zeros((3, 60, 100), "u4")
        yield made


def read(file):
    """The instrument of an open file, which stays open, and not locked."""
    file.flush()
    return read_detector(file.filename)


def corner(file):
    return [1e3 * x for x in read(file).panels[0].origin]


def library_origin(file, module=MODULE):
    """Where the nxmx library puts pixel (0, 0), millimetres."""
    axes = nxmx.NXdetector_module(file[module]).fast_pixel_direction
    return nxmx.get_cumulative_transformation(nxmx.get_dependency_chain(axes.depends_on))[0, :3, 3]


# --- chains


LINK = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["translation", "rotation"]),
        "value": st.floats(-200, 200),
        "vector": arrays(float, 3, elements=st.floats(-2, 2)).filter(lambda v: np.linalg.norm(v) > 0.1),
        "offset": st.none() | arrays(float, 3, elements=st.floats(-50, 50)),
        "units": st.integers(0, 2),
        "offset_units": st.sampled_from(["m", "mm", "um"]),
    }
)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(links=st.lists(LINK, min_size=1, max_size=5))
def test_chains_are_those_of_the_library(links):
    with h5py.File("memory", "w", driver="core", backing_store=False) as made:
        for number, link in enumerate(links):
            turns = link["kind"] == "rotation"
            vector = link["vector"] / np.linalg.norm(link["vector"]) if turns else link["vector"]
            has = link["offset"] is not None
            extra = {key: link[key] for key in ("offset", "offset_units")} if has else {}
            units = (("deg", "radians", "degrees") if turns else ("mm", "m", "micrometer"))[link["units"]]
            after = f"axis_{number + 1}" if number + 1 < len(links) else "."
            axis(made, f"axis_{number}", [link["value"]], vector, after, link["kind"], units, **extra)
        found = cumulative(chain("axis_0", made["/"]))
        first = nxmx.NXtransformationsAxis(made["axis_0"])
        wanted = nxmx.get_cumulative_transformation(nxmx.get_dependency_chain(first))[0]
        np.testing.assert_allclose(found[:3, :3], wanted[:3, :3], atol=1e-9)
        np.testing.assert_allclose(found[:3, 3] * 1e3, wanted[:3, 3], rtol=1e-9, atol=1e-9 * (1 + np.abs(wanted).max()))


def nonunit(file):
    """As nexgen has it: a vector of the offset's length, and one metre."""
    del file[f"{MODULE}/module_offset"]
    axis(file[MODULE], "module_offset", 1.0, OFFSET, f"/{DETECTOR}/t/det_z")


def swung(file, units=None):
    extra = {} if units is None else {"offset_units": units}
    axis(file[f"{DETECTOR}/t"], "tth", 20.0, [-1, 0, 0], ".", "rotation", "deg", offset=[0, 0, 0.01], **extra)
    file[f"{DETECTOR}/t/det_z"].attrs["depends_on"] = "tth"


def in_millimetres(file):
    file[f"{MODULE}/module_offset"].attrs.update(offset=np.array(OFFSET) * 1e3, offset_units="mm")


def without_offset_units(file):
    del file[f"{MODULE}/module_offset"].attrs["offset_units"]
    file[f"{MODULE}/module_offset"].attrs.update(offset=np.array(OFFSET) * 1e3, units="mm")


@pytest.mark.parametrize("change", [nonunit, swung, in_millimetres, without_offset_units])
def test_a_module_stands_where_the_library_puts_it(file, change):
    change(file, "m") if change is swung else change(file)
    assert corner(file) == pytest.approx(library_origin(file).tolist(), abs=1e-9)
    assert (corner(file) == pytest.approx(CORNER)) is (change is not swung)


def test_an_offset_without_units_is_in_metres(file):
    swung(file)  # the library takes degrees for its units
    turn = np.radians(20.0)
    y, z = 3.0, 100.0
    wanted = [5.0, y * np.cos(turn) + z * np.sin(turn), z * np.cos(turn) - y * np.sin(turn) + 10.0]
    assert corner(file) == pytest.approx(wanted)


def test_the_offset_of_an_axis_of_pixels_counts_in_the_frame_that_it_is_in(file):
    swung(file, "m")
    base = np.array(corner(file))
    for name in ("fast", "slow"):
        file[f"{MODULE}/{name}_pixel_direction"].attrs.update(offset=[0.0, 2.0, 0.0], offset_units="mm")
    turn = np.radians(20.0)
    assert corner(file) == pytest.approx(base + np.array([0.0, 2 * np.cos(turn), -2 * np.sin(turn)]))


@pytest.mark.parametrize(
    ("place", "change", "expected"),
    [
        ("t/det_z", {"units": "deg"}, "t/det_z is in 'deg'; expected a length"),
        ("t/det_z", {"units": None}, "t/det_z has no units; expected a length"),
        ("t/det_z", {"vector": None}, "t/det_z has no vector"),
        ("t/det_z", {"vector": [0, 1]}, "expected three numbers"),
        (
            "t/det_z",
            {"transformation_type": "direction", "units": "furlong"},
            "has the transformation_type 'direction'",
        ),
        ("t/det_z", {"depends_on": "det_z"}, "has no end"),
        ("t/det_z", {"depends_on": "lost"}, "a chain depends on lost, which is not there"),
        ("t/det_z", {"depends_on": "/entry"}, "which is a group"),
        ("t/det_z", {"transformation_type": "rotation", "units": "deg", "vector": [0, 0, 0]}, "the axis of a rotation"),
        ("module/fast_pixel_direction", {"units": None}, "fast_pixel_direction has no units"),
        ("module/fast_pixel_direction", {"vector": [-2, 0, 0]}, "has length 2; expected a unit vector"),
    ],
)
def test_links_that_do_not_say_what_they_are_are_refused(file, place, change, expected):
    attributes = file[f"{DETECTOR}/{place}"].attrs
    for key, value in change.items():
        if value is None:
            del attributes[key]
        else:
            attributes[key] = value
    with pytest.raises(InputError) as error:
        read(file)
    assert expected in str(error.value) and str(error.value).startswith(file.filename)


# --- what stands in for a chain


def test_without_a_chain_the_offset_of_the_module_places_it(file):
    for name in ("fast", "slow"):
        file[f"{MODULE}/{name}_pixel_direction"].attrs["depends_on"] = "."
    assert corner(file) == pytest.approx(CORNER)
    # Files of DECTRIS have no offset of the module either, but a translation that the detector depends on.
    del file[f"{MODULE}/module_offset"]
    file[f"{DETECTOR}/t/det_z"].attrs["vector"] = [0.05, 0.03, 1.0]
    assert corner(file) == pytest.approx(CORNER) and read(file).notes == ()
    # Where that is missing too, distance and beam centre are all there is.
    del file[f"{DETECTOR}/depends_on"]
    with pytest.raises(InputError, match="module leaves it 0 m from the sample"):
        read(file)
    file[f"{DETECTOR}/detector_distance"] = 100.0
    file[f"{DETECTOR}/detector_distance"].attrs["units"] = "mm"
    assert corner(file) == pytest.approx(CORNER) and "leads to no place; detector_distance" in read(file).notes[0]


@pytest.mark.parametrize(("units", "scale"), [("pixel", 1.0), (None, 1.0), ("mm", 0.1)])
def test_a_corner_in_the_beam_is_that_of_the_beam_centre(file, units, scale):
    file[f"{MODULE}/module_offset"].attrs["offset"] = [0.0, 0.0, 0.0]
    for name, value in (("x", 50.0), ("y", 30.0)):
        file[f"{DETECTOR}/beam_center_{name}"][()] = value * scale
        if units:
            file[f"{DETECTOR}/beam_center_{name}"].attrs["units"] = units
    assert corner(file) == pytest.approx(CORNER) and "beam_center_x, _y is taken" in read(file).notes[0]


def test_a_detector_between_source_and_sample_is_taken_behind_it(file):
    file[f"{DETECTOR}/t/det_z"][()] = -0.1
    assert corner(file) == pytest.approx(CORNER) and "it is taken 100 mm behind it" in read(file).notes[0]


# --- modules and masks in the data


def test_sizes_that_are_fast_before_slow_are_turned_where_the_data_show_it(file):
    file[f"{MODULE}/data_size"][...] = [100, 60]
    found = read(file)
    assert found.panels[0].shape == (60, 100) and "fast before slow, as /entry/data/data shows" in found.notes[0]
    del file["entry/data/data"]
    assert read(file).panels[0].shape == (100, 60)
    file[f"{DETECTOR}/pixel_mask"] = np.zeros((60, 100), "u4")
    assert read(file).panels[0].shape == (60, 100)
    file[f"{MODULE}/data_size"][...] = [100, 70]
    with pytest.raises(InputError, match=r"data_size \(100, 70\), .*pixel_mask has the shape \(60, 100\)"):
        read(file)


def test_groups_that_lead_back_are_entered_once(file):
    for number in range(12):
        file[f"entry/back_{number}"] = h5py.SoftLink("/entry")
        file[f"entry/instrument/up_{number}"] = h5py.SoftLink("/")
    assert read(file).notes == ()
    file[f"{MODULE}/data_stride"] = [2, 1]
    with pytest.raises(InputError, match="data_stride is"):
        read(file)


def split(file, stacked):
    """Two modules, the second in name the first in the data; their masks have one word each, at (1, 2) and (3, 4)."""
    second = f"{DETECTOR}/a_module"
    file.copy(file[MODULE], file[DETECTOR], "a_module")
    for number, name in enumerate((MODULE, second)):
        file[name]["module_offset"].attrs["offset"] = [0.005, 0.003 - 0.001 * number, 0.0]
        del file[f"{name}/data_origin"], file[f"{name}/data_size"]
        file[f"{name}/data_origin"] = [number, 0, 0] if stacked else [60 * number, 0]
        file[f"{name}/data_size"] = [1, 60, 100] if stacked else [60, 100]
        for axis_name in ("fast", "slow"):
            file[f"{name}/{axis_name}_pixel_direction"].attrs["depends_on"] = "module_offset"
    mask = np.zeros((2, 60, 100), "u4")
    mask[0, 1, 2] = mask[1, 3, 4] = 1
    file[f"{DETECTOR}/pixel_mask"] = mask if stacked else mask.reshape(120, 100)
    del file["entry/data/data"]
    file["entry/data/data"] = np.zeros((3, 2, 60, 100) if stacked else (3, 120, 100), "u4")


@pytest.mark.parametrize("stacked", [True, False])
def test_modules_are_in_the_order_of_the_data_each_with_its_mask(file, stacked):
    split(file, stacked)
    found = read(file)
    assert [panel.origin[1] * 1e3 for panel in found.panels] == pytest.approx([3.0, 2.0])
    assert np.argwhere(~found.mask.active).tolist() == [[1, 2], [63, 4]]


def test_all_masks_count_and_those_that_say_nothing_do_not(file):
    file[f"{DETECTOR}/pixel_mask"] = np.zeros((0, 0), "u4")
    assert read(file).mask is None
    for name, place in (("pixel_mask_1", (1, 2)), ("pixel_mask_2", (3, 4))):
        words = np.zeros((2, 60, 100), "u4")  # of two frames
        words[0][place] = 1 << 8
        file[f"{DETECTOR}/{name}"] = words
    found = read(file)
    assert np.argwhere(~found.mask.active).tolist() == [[1, 2], [3, 4]] and "of frame 0 is taken" in found.notes[0]
    del file[f"{DETECTOR}/pixel_mask"], file[f"{DETECTOR}/pixel_mask_1"], file[f"{DETECTOR}/pixel_mask_2"]
    file[f"{DETECTOR}/pixel_mask"] = h5py.ExternalLink("missing_meta.h5", "/mask")
    [note] = read(file).notes
    assert note.endswith(
        "pixel_mask is a link to /mask in missing_meta.h5, which is not there; no pixel is masked by it"
    )
    del file[f"{DETECTOR}/pixel_mask"]
    file[f"{DETECTOR}/pixel_mask"] = np.zeros((100, 60), "u4")
    assert "pixel_mask is fast before slow; no pixel" in read(file).notes[0]
    del file[f"{DETECTOR}/pixel_mask"]
    file[f"{DETECTOR}/pixel_mask"] = np.zeros((50, 60), "u4")
    with pytest.raises(InputError, match="which are not the modules' pixels"):
        read(file)


def test_a_link_to_nothing_in_a_chain_is_named(file):
    del file[f"{DETECTOR}/t/det_z"]
    file[f"{DETECTOR}/t/det_z"] = h5py.ExternalLink("missing.h5", "/z")
    with pytest.raises(InputError, match=r"det_z \(a link to /z in missing\.h5\), which is not there"):
        read(file)


def test_the_first_of_several_entries_and_detectors_is_taken_and_said(file):
    group(file, "a_scan", "NXentry")["definition"] = "NXscan"
    group(file, f"{DETECTOR}_0", "NXdetector")  # without modules
    assert read(file).notes == ()
    file.copy(file[DETECTOR], file["entry/instrument"], "zweiter")
    file.copy(file["entry"], file, "other")
    taken = [note.partition(" is taken")[0].rpartition("/")[2] for note in read(file).notes]
    assert taken == ["entry", "detector"]


# --- beam


@pytest.mark.parametrize(
    ("values", "weights", "wanted", "said"),
    [
        ([0.9, 1.0, 1.1], [0, 1, 0], 1.0, None),
        ([0.9, 1.0, 1.1], [0.25, 0.5, 0.25], 4 / (1 / 0.9 + 2 + 1 / 1.1), "is a spectrum; its mean photon energy"),
        ([[0.9, 1.1], [1.0, 1.2]], [[0, 2], [1, 1]], 1.1, "differs from frame to frame"),
        ([0.9, 1.1], None, 0.9, "differs from frame to frame"),
        ([1.2, 1.2], None, 1.2, None),
    ],
)
def test_a_spectrum_is_its_mean_and_shots_are_the_first(file, values, weights, wanted, said):
    del file[f"{BEAM}/incident_wavelength"]
    file[f"{BEAM}/incident_wavelength"] = np.array(values)
    file[f"{BEAM}/incident_wavelength"].attrs["units"] = "angstrom"
    if weights is not None:
        file[f"{BEAM}/incident_wavelength_weights"] = np.array(weights, float)
    found = read(file)
    assert found.wavelength * 1e10 == pytest.approx(wanted, rel=1e-12)
    assert len(found.notes) == (said is not None) and all(said in note for note in found.notes)


def test_the_one_wavelength_beside_a_spectrum_is_taken(file):
    wavelength = file[f"{BEAM}/incident_wavelength"]
    wavelength.attrs["variant"] = "incident_wavelength_1D"
    file[f"{BEAM}/incident_wavelength_1D"], file[f"{BEAM}/incident_wavelength_1D_weights"] = [1.0, 1.2], [1.0, 1.0]
    found = read(file)
    assert found.wavelength == pytest.approx(1e-10) and "spectrum incident_wavelength_1D the one" in found.notes[0]


@pytest.mark.parametrize(
    ("energy", "units"),
    [(12398.42, "eV"), (12.39842, "keV"), (12398.42 * EV, "J"), (12.39842, None), (12.4, "eV")],
)
def test_an_energy_is_in_its_units(file, energy, units):
    del file[f"{BEAM}/incident_wavelength"]
    file[f"{BEAM}/incident_energy"] = energy
    if units:
        file[f"{BEAM}/incident_energy"].attrs["units"] = units
    if units and energy != 12.4:
        assert read(file).wavelength == pytest.approx(1e-10, rel=1e-6)
    else:
        expected = (
            "is a wavelength of 999.873 angstrom" if units else "incident_energy has no units; expected an energy"
        )
        with pytest.raises(InputError, match=expected):
            read(file)


def test_a_wavelength_without_units_is_refused_and_one_that_is_missing_is_asked_for(file):
    del file[f"{BEAM}/incident_wavelength"].attrs["units"]
    with pytest.raises(InputError, match="incident_wavelength has no units; expected a length"):
        read(file)
    del file[f"{BEAM}/incident_wavelength"]
    file[f"{BEAM}/incident_wavelength"] = h5py.ExternalLink("meta.h5", "/wavelength")
    assert "incident_wavelength is a link to /wavelength in meta.h5" in read(file).notes[0]
    words = "-cell 50 60 70 90 90 90 -default_F 1 -N 2 --geometry".split()
    with pytest.raises(InputError, match=r"x\.h5 does not say the wavelength; expected -lambda or -energy"):
        tilesim.read_command([*words, file.filename])


@pytest.mark.parametrize("shape", [(4,), (1, 4), (3, 4)])
def test_stokes_parameters_of_one_or_all_frames(file, shape):
    file[f"{BEAM}/incident_polarization_stokes"] = np.broadcast_to([2.0, -1.8, 0.0, 0.0], shape)
    found = read(file)
    assert found.kahn_factor == pytest.approx(0.9) and type(found.kahn_factor) is float
    assert np.abs(found.polarization_axis) == pytest.approx([0, 1, 0], abs=1e-12)
    del file[f"{BEAM}/incident_polarization_stokes"]
    file[f"{BEAM}/incident_polarization_stokes"] = np.zeros((*shape[:-1], 3))
    with pytest.raises(InputError, match="expected four Stokes parameters"):
        read(file)


# --- goniometer


def goniometer(file, **values):
    sample = group(file, "entry/sample", "NXsample")
    axes = group(file, "entry/sample/transformations", "NXtransformations")
    vectors = {"phi": [-1, 0, 0], "kappa": [-0.6, 0.8, 0], "omega": [0, 0, 1]}
    for name, after in zip(vectors, ("kappa", "omega", "."), strict=True):
        axis(axes, name, values[name], vectors[name], after, "rotation", "deg")
    sample["depends_on"] = "transformations/phi"
    return sample


@pytest.mark.parametrize(
    ("angles", "scanned"),
    [
        ({"phi": [5.0] * 3, "kappa": 50.0, "omega": [0.0, 1.0, 2.0]}, 2),
        ({"phi": [0.0, 1.0, 2.0], "kappa": [50.0], "omega": [30.0, 30.0, 30.0]}, 0),
        ({"phi": [20.0], "kappa": 50.0, "omega": 30.0}, None),
    ],
)
def test_the_spindle_is_the_axis_that_turns_where_the_outer_ones_put_it(file, angles, scanned):
    sample = goniometer(file, **angles)
    axes = nxmx.get_rotation_axes(nxmx.get_dependency_chain(nxmx.NXsample(sample).depends_on))
    assert axes.is_scan_axis.tolist() == [n == scanned for n in range(3)]
    outer = nxmx.get_dependency_chain(nxmx.NXsample(sample).depends_on)[(scanned or 0) + 1 :]
    turn = nxmx.get_cumulative_transformation(outer)[0, :3, :3] if outer else np.eye(3)
    found = read(file)
    np.testing.assert_allclose(found.spindle, turn @ axes.axes[scanned or 0], atol=1e-12)
    assert [("phi, is the spindle" in note) for note in found.notes] == [True] * (scanned is None)


def test_one_image_turns_about_the_axis_that_ends_elsewhere(file):
    sample = goniometer(file, phi=5.0, kappa=0.0, omega=[10.0])
    sample["transformations/omega_end"] = [10.5]
    assert read(file).spindle == (0.0, 0.0, 1.0) and read(file).notes == ()
    sample["transformations/phi_increment_set"] = [0.1]
    with pytest.raises(InputError, match=r"phi and .*omega change together; expected a scan about one axis"):
        read(file)
