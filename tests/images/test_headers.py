"""Geometry in headers of other programs: rings where distance tan(2 theta) has them, or one line that says why not."""

import h5py
import numpy as np
import pytest
from fabio.cbfimage import CbfImage

import tilesim
from tilesim.errors import InputError
from tilesim.geometry.resolution import beam_centre
from tilesim.images.packed import KEY
from tilesim.model import Region
from tilesim.pictures.rings import rings_on

SHAPE, PIXEL, DISTANCE, WAVELENGTH, CENTRE = (150, 180), 0.2, 120.0, 0.98, (88.25, 71.5)
"""Pixels, mm, mm, angstrom, pixels (slow, fast)."""
PILATUS = """
# Detector: PILATUS 100K, S/N 1-0001
# Pixel_size 200e-6 m x 200e-6 m
# Silicon sensor, thickness 0.000320 m
# Exposure_time 0.0970 s
# Wavelength 0.9800 A
# Energy_range (0, 0) eV
# Detector_distance 0.12000 m
# Detector_Voffset 0.00000 m
# Beam_xy (71.50, 88.25) pixels
# Start_angle 10.0000 deg.
# Angle_increment 0.1000 deg.
# Detector_2theta 0.0000 deg.
"""
SMV = {
    **{
        "HEADER_BYTES": 512,
        "DIM": 2,
        "BYTE_ORDER": "little_endian",
        "TYPE": "unsigned_short",
        "SIZE1": 180,
        "SIZE2": 150,
    },
    **{"PIXEL_SIZE": 0.2, "DISTANCE": 120, "WAVELENGTH": 0.98, "BEAM_CENTER_X": 1, "BEAM_CENTER_Y": 2},
    **{"DENZO_X_BEAM": 17.65, "DENZO_Y_BEAM": 14.3, "CLOSE_DISTANCE": 120},
    **{"OSC_START": 10, "OSC_RANGE": 0.1, "TWOTHETA": 0},
}
"""Numbers that nanoBragg writes, the beam centre of its own convention astray."""


def cbf(folder, header):
    items = {"_array_data.header_convention": '"PILATUS_1.2"', "_array_data.header_contents": header}
    CbfImage(data=np.zeros(SHAPE, np.int32), header=items).write(str(folder / "a.cbf"))
    return folder / "a.cbf"


def smv(folder, **changes):
    items = {name: value for name, value in (SMV | changes).items() if value is not None}
    text = "{\n" + "".join(f"{key}={value};\n" for key, value in items.items()) + "}"
    (folder / "a.img").write_bytes(text.encode().ljust(512, b" ") + bytes(2 * SHAPE[0] * SHAPE[1]))
    return folder / "a.img"


def nxmx(folder, arm=0.0):
    """A chain of two translations and the arm of a detector, after files of the nxmx library."""
    with h5py.File(folder / "a.h5", "w", locking=False) as file:

        def put(place, value, **attributes):
            file[place] = value
            file[place].attrs.update({"units": "m", **attributes})

        detector, chain = "entry/instrument/detector", "/entry/instrument/detector/transformations"
        kinds = {"entry": "NXentry", "entry/instrument": "NXinstrument", "entry/instrument/beam": "NXbeam"}
        kinds |= {detector: "NXdetector", chain: "NXtransformations", f"{detector}/module": "NXdetector_module"}
        for place, kind in (kinds | {"entry/data": "NXdata"}).items():
            file.create_group(place).attrs["NX_class"] = kind
        file["entry/definition"] = "NXmx"
        put("entry/instrument/beam/incident_wavelength", WAVELENGTH, units="angstrom")
        moves = {"transformation_type": "translation", "vector": (0.0, 0.0, 1.0)}
        put(f"{chain}/arm", arm, units="deg", transformation_type="rotation", vector=(0.0, 1.0, 0.0), depends_on=".")
        put(f"{chain}/stage", 100.0, **moves, depends_on=f"{chain}/arm")
        file[f"{chain}/stage"].attrs["units"] = "mm"
        put(f"{chain}/det_z", 0.02, **moves, depends_on=f"{chain}/stage")
        corner = [PIXEL * 1e-3 * CENTRE[1], PIXEL * 1e-3 * CENTRE[0], 0.0]
        put(f"{detector}/module/module_offset", 0.0, **moves, depends_on=f"{chain}/det_z", offset=corner)
        file[f"{detector}/module/module_offset"].attrs["offset_units"] = "m"
        for name, along in (("fast", (-1.0, 0.0, 0.0)), ("slow", (0.0, -1.0, 0.0))):
            at = {
                "vector": along,
                "transformation_type": "translation",
                "depends_on": f"/{detector}/module/module_offset",
            }
            put(f"{detector}/module/{name}_pixel_direction", PIXEL * 1e-3, **at)
        file[f"{detector}/module/data_origin"], file[f"{detector}/module/data_size"] = [0, 0], SHAPE
        file["entry/data/data"] = np.zeros((1, *SHAPE), "u4")
    return folder / "a.h5"


def exported(folder, name):
    """A file of our own export, its experiment as other programs see it, without the one that is packed there."""
    flags = (
        f"-cell 50 60 70 90 90 90 -default_F 1 -N 3 -lambda {WAVELENGTH} -distance {DISTANCE} -pixel {PIXEL} -mosflm"
    )
    size = f"-detpixels_f {SHAPE[1]} -detpixels_s {SHAPE[0]} -oversample 1 -phi 10 -osc 0.1 -phisteps 1"
    # MOSFLM counts from the middle of pixel (0, 0), as nanoBragg has it.
    centre = f"-Xbeam {PIXEL * (CENTRE[0] - 0.5)} -Ybeam {PIXEL * (CENTRE[1] - 0.5)}"
    tilesim.run(tilesim.from_nanobragg(f"{flags} {size} {centre}"), store=folder / "a.zarr", backend="eager")
    tilesim.export(folder / "a.zarr", folder / name, scale=1.0)
    path = folder / name
    path.write_bytes(path.read_bytes().replace(KEY.encode(), b"X" * len(KEY)))
    return path


FILES = {
    "pilatus": lambda folder: cbf(folder, PILATUS),
    "units": lambda folder: cbf(folder, PILATUS.replace("0.12000 m", "120.0 mm").replace("0.9800 A", "0.098 nm")),
    "beam in mm": lambda folder: cbf(folder, PILATUS.replace("(71.50, 88.25) pixels", "( 14.3 , 17.65 ) mm")),
    "no angles": lambda folder: cbf(folder, PILATUS.replace("Start_angle", "A").replace("Angle_increment", "B")),
    "smv": smv,
    "smv of close distance alone": lambda folder: smv(folder, SOURCE_WAVELENGTH="1 0.5", CLOSE_DISTANCE=None),
    "nxmx": nxmx,
    "our cbf": lambda folder: exported(folder, "a.cbf"),
    "our smv": lambda folder: exported(folder, "a.img"),
    "our nxmx": lambda folder: exported(folder, "a.h5"),
}


@pytest.mark.parametrize("name", FILES)
def test_rings_are_where_distance_and_scattering_angle_put_them(name, tmp_path):
    experiment = tilesim.open(FILES[name](tmp_path)).experiment(0)
    [panel], beam = experiment.detector.panels, experiment.beam
    assert beam_centre(panel, beam) == pytest.approx(CENTRE, abs=1e-6)
    rings = rings_on(panel, beam, Region(0, SHAPE[0], 0, SHAPE[1]))
    assert len(rings) > 3
    for ring in rings:
        radius = DISTANCE / PIXEL * np.tan(2.0 * np.arcsin(WAVELENGTH / 2.0 / ring.spacing))
        fast, slow = np.concatenate(ring.lines).T
        np.testing.assert_allclose(np.hypot(slow - CENTRE[0], fast - CENTRE[1]), radius, atol=0.05)


def test_an_arm_of_the_chain_swings_the_rings(tmp_path):
    experiment = tilesim.open(nxmx(tmp_path, arm=20.0)).experiment(0)
    [panel], beam = experiment.detector.panels, experiment.beam
    assert panel.distance == pytest.approx(DISTANCE * 1e-3)
    slow, fast = (int(x) for x in CENTRE)
    two_theta = 2.0 * np.arcsin(WAVELENGTH * 1e-10 / 2.0 / tilesim.resolution(experiment)[slow, fast])
    assert np.degrees(two_theta) == pytest.approx(20.0, abs=0.1)
    assert beam.direction == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    "file, said",
    [
        (lambda folder: cbf(folder, PILATUS.replace("2theta 0.0", "2theta 12.0")), "a swing of the detector"),
        (lambda folder: cbf(folder, PILATUS.replace("x 200e-6", "x 100e-6")), "0.2 x 0.1 mm; expected square ones"),
        (lambda folder: cbf(folder, PILATUS.replace("100K", "12M")), "the modules of a PILATUS 12M stand around"),
        (lambda folder: cbf(folder, PILATUS.replace("200e-6", "0")), "expected square ones"),
        (lambda folder: cbf(folder, PILATUS.replace("(71.50, 88.25)", "(0.00, 0.00)")), "does not state Beam_xy"),
        (lambda folder: cbf(folder, PILATUS.replace("0.12000 m", "0.12000")), "Detector_distance in no unit"),
        (lambda folder: cbf(folder, PILATUS.replace("0.12000 m", "1..2 m")), "Detector_distance in no unit"),
        (lambda folder: smv(folder, CLOSE_DISTANCE=112.763), "a tilted detector, 112.763 mm away and 120 mm along"),
        (lambda folder: smv(folder, TWOTHETA=5), "a two-theta swing"),
        (lambda folder: cbf(folder, PILATUS.replace("2theta 0.0", "2theta nan")), "Detector_2theta nan"),
        (
            lambda folder: cbf(folder, PILATUS.replace("ment 0.1000", "ment 1d-3")),
            "Angle_increment 1d-3; expected",
        ),
        (lambda folder: smv(folder, TWOTHETA="1,5"), "TWOTHETA '1,5'; expected a number"),
        (lambda folder: smv(folder, WAVELENGTH="1 2"), "does not state WAVELENGTH"),
        (lambda folder: smv(folder, PIXEL_SIZE=0), "pixels of 0 mm"),
        (lambda folder: smv(folder, WAVELENGTH=None, SOURCE_WAVELENGTH="1 0.98"), "does not state WAVELENGTH"),
    ],
)
def test_a_header_that_leaves_the_geometry_open_is_one_line(file, said, tmp_path):
    with pytest.raises(InputError) as error:
        tilesim.open(file(tmp_path)).experiment(0)
    assert said in str(error.value) and "\n" not in str(error.value)
