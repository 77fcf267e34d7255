"""Geometry files: each says where panels are, and a file that does not is refused in one line."""

import json

import h5py
import numpy as np
import pytest
from geometries import expt, nxmx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tilesim
from tilesim.errors import InputError
from tilesim.images.expt import write_expt
from tilesim.images.nxmx import write_nxmx
from tilesim.instruments.files import read_detector

CRYSTAL = "-default_F 100 -cell 50 60 70 80 90 100 -misset 10 20 30 -N 5 -oversample 1 -lambda 1.5".split()
PLANE = "-xds -pixel 0.5 -detpixels_x 14 -detpixels_y 12 -ORGX 7.5 -ORGY 6.5 -distance 40".split()
"""The same plane as the files below cut into two panels of 6 rows."""

TOML = """
pixel = 0.5
shape = [6, 14]
[[panel]]
origin = [-3.5, -3, 40]
fast = [1, 0, 0]
slow = [0, 1, 0]
[[panel]]
origin = [-3.5, 0, 40]
fast = [2, 0, 0]
slow = [0, 1, 0]
"""
GEOM = """
; two panels
photon_energy = 9000 eV
res = 2000
clen = 30 mm
coffset = 0.01
a/min_fs = 0
a/max_fs = 13
a/min_ss = 0
a/max_ss = 5
a/corner_x = -7
a/corner_y = -6
a/fs = +1.0x -0.0y
a/ss = y
b/min_fs = 0
b/max_fs = 13
b/min_ss = 6
b/max_ss = 11
b/corner_x = -7
b/corner_y = 0
b/fs = x
b/ss = +1.0y
rigid_group_q = a,b
"""


@pytest.fixture
def written(tmp_path):
    files = {
        "toml": ("d.toml", TOML),
        "geom": ("d.geom", GEOM),
        "expt": ("d.expt", json.dumps(expt())),
        "nested": ("n.expt", json.dumps(expt(nested=True))),
    }
    for name, text in files.values():
        (tmp_path / name).write_text(text)
    nxmx(tmp_path / "d.nxs")
    return {key: tmp_path / name for key, (name, _) in files.items()} | {"nxmx": tmp_path / "d.nxs"}


def image(words, **options):
    made = tilesim.from_nanobragg(words, **options)
    return tilesim.simulate_now(made, precision="double", backend="eager")


@pytest.mark.parametrize("kind", ["toml", "geom", "expt", "nested", "nxmx"])
def test_every_format_gives_the_image_of_the_flags(written, kind):
    wanted = image([*CRYSTAL, *PLANE])
    found = image([*CRYSTAL, "--geometry", written[kind]])
    assert found.shape == (2, 6, 14) and wanted.max() > 0
    np.testing.assert_allclose(found.reshape(12, 14), wanted, rtol=1e-6)


def test_the_wavelength_is_the_files_unless_the_flags_say_it(written):
    words = [word for word in CRYSTAL if word not in ("-lambda", "1.5")]
    for kind, value in (("expt", 1.1), ("nxmx", 1.1), ("geom", 12.398419843 / 9.0)):
        made = tilesim.from_nanobragg([*words, "--geometry", written[kind]])
        assert made.beam.wavelength * 1e10 == pytest.approx(value, rel=1e-8)
        assert tilesim.from_nanobragg([*CRYSTAL, "--geometry", written[kind]]).beam.wavelength == 1.5e-10
    with pytest.raises(InputError, match=r"d\.toml does not say the wavelength; expected -lambda or -energy"):
        tilesim.from_nanobragg([*words, "--geometry", written["toml"]])


def test_one_panel_of_dials_is_the_dials_convention(tmp_path):
    plain = expt()
    panel = plain["detector"][0]["panels"][0] | {"image_size": [14, 12]}
    plain["detector"][0] = {"panels": [panel]}
    plain["goniometer"][0]["rotation_axis"] = [0, 1, 0]
    plain["beam"][0] |= {"polarization_normal": [1, 0, 0], "polarization_fraction": 0.9}
    (tmp_path / "one.expt").write_text(json.dumps(plain))
    sweep = "-phi 3 -osc 2 -phisteps 3".split()
    found = image([*CRYSTAL, *sweep, "--geometry", tmp_path / "one.expt"])
    flags = [*PLANE[1:], "-dials", "-polar", "0.8"]
    np.testing.assert_allclose(found, image([*CRYSTAL, *sweep, *flags]), rtol=1e-6)


def test_what_export_writes_gives_the_image_again(tmp_path):
    words = [*CRYSTAL, *"-phi 3 -osc 2 -phisteps 3".split(), *PLANE[1:], "-mosflm", "-twotheta", "20", "-polar", "0.7"]
    made = tilesim.from_nanobragg(words)
    write_expt(tmp_path / "a.expt", tilesim.Series(made))
    wanted = tilesim.simulate_now(made, precision="double", backend="eager")
    # Beam, detector, spindle and crystal are the file's, in a frame of its own.
    again = "-default_F 100 -N 5 -oversample 1 -phi 3 -osc 2 -phisteps 3".split()
    found = image([*again, "--geometry", tmp_path / "a.expt"])
    np.testing.assert_allclose(found, wanted, rtol=1e-5)

    class Zeros:
        shape, dtype = made.shape, np.dtype("f4")

        def bands(self):
            yield 0, np.zeros(self.shape, "f4")

    write_nxmx(tmp_path / "a.nxs", tilesim.Series(made), lambda frame, panel: Zeros())
    one, two = read_detector(tmp_path / "a.expt"), read_detector(tmp_path / "a.nxs")
    turn = np.diag([-1.0, 1.0, -1.0])  # imgCIF to McStas
    for name in ("origin", "fast", "slow", "normal"):
        np.testing.assert_allclose(getattr(two.panels[0], name), turn @ getattr(one.panels[0], name), atol=1e-9)
    np.testing.assert_allclose(two.spindle, turn @ one.spindle, atol=1e-9)
    assert two.kahn_factor == pytest.approx(0.7) and one.kahn_factor == pytest.approx(0.7)


def test_bad_regions_are_left_out(tmp_path, written):
    (tmp_path / "bad.geom").write_text(
        GEOM + "bad1/panel = b\nbad1/min_fs = 2\nbad1/max_fs = 3\nbad1/min_ss = 6\nbad1/max_ss = 7\n"
        "bad_2/min_x = -8\nbad_2/max_x = 8\nbad_2/min_y = -1\nbad_2/max_y = 1\n"
    )
    active = read_detector(tmp_path / "bad.geom").mask.active.copy()
    assert not active[6:8, 2:4].any() and not active[5:7].any()
    active[5:8] = True
    assert active.all()
    plain = expt()
    plain["detector"][0]["panels"][1]["mask"] = [[1, 2, 3, 5]]
    (tmp_path / "bad.expt").write_text(json.dumps(plain))
    assert np.argwhere(~read_detector(tmp_path / "bad.expt").mask.active).tolist() == [
        [row, column] for row in (8, 9, 10) for column in (1, 2)
    ]
    (tmp_path / "bad.toml").write_text(TOML + "bad = [[0, 2, 3, 4]]\n")
    assert np.argwhere(~read_detector(tmp_path / "bad.toml").mask.active).tolist() == [[6, 3], [7, 3]]
    with h5py.File(written["nxmx"], "r+") as file:
        mask = np.zeros((12, 14), "u4")
        mask[7, 5] = 256
        file["entry/instrument/detector/pixel_mask"] = mask
    assert np.argwhere(~read_detector(written["nxmx"]).mask.active).tolist() == [[7, 5]]


REFUSED = {
    "clen in the data": (GEOM.replace("30 mm", "/LCLS/clen"), "clen = /LCLS/clen: expected a number in m or mm"),
    "a clen in feet": (GEOM.replace("30 mm", "3 ft"), "expected a number in m or mm"),
    "no clen": (GEOM.replace("clen =", ";"), "a/clen is missing"),
    "a vector of words": (GEOM.replace("b/fs = x", "b/fs = east"), "b/fs = east: expected a vector such as"),
    "long pixels": (
        GEOM.replace("b/fs = x", "b/fs = 2x"),
        "expected the step of one pixel, within 10%; it has length 2",
    ),
    "parallel axes": (GEOM.replace("b/fs = x", "b/fs = y"), "b: the fast and slow axes of a panel are parallel"),
    "min beyond max": (GEOM.replace("b/max_ss = 11", "b/max_ss = 1"), "expected whole numbers, min up to max"),
    "NaN": (GEOM.replace("b/corner_x = -7", "b/corner_x = nan"), "line 19: b/corner_x = nan: expected a number"),
    "a huge panel": (GEOM.replace("max_fs = 13", "max_fs = 1e14"), "expected 1 to 2^40 pixels"),
    "no equals sign": (GEOM + "what\n", "line 24: expected key = value"),
    "empty": ("", "expected panels such as"),
    "an .expt without detector": ("{}", "expected the key detector"),
    "half an .expt": (json.dumps(expt())[:200], "expected a DIALS .expt"),
    "an .expt of numbers": ('{"detector": [1]}', "detector 0 is '1'; expected an object, as DIALS writes it"),
    "flat pixels": (json.dumps(expt()).replace("[0.5, 0.5]", "[0.5, 0.4]"), "expected square ones"),
    "an .expt of NaN": (json.dumps(expt()).replace("-3.5", "NaN"), "origin of a panel"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_geometry_is_refused_in_one_line(tmp_path, case):
    text, expected = REFUSED[case]
    (tmp_path / "x").write_text(text)
    with pytest.raises(InputError) as error:
        read_detector(tmp_path / "x")
    assert (
        expected in str(error.value)
        and str(error.value).startswith(str(tmp_path / "x"))
        and "\n" not in str(error.value)
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("shape", "size"), "there is no key 'size'"),
        (("[6, 14]", "[6]"), "panel 0: shape is [6]; expected 2 whole numbers"),
        (("pixel = 0.5", "thickness = 0.3"), "panel 0: the key pixel is missing"),
        (("pixel = 0.5", "pixel = 0.5\nthickness = 0.3\nmaterial = 'Au'"), "sensor material 'Au'; expected one of Si"),
        (("pixel = 0.5", "pixel = "), "expected a detector in TOML"),
    ],
)
def test_toml_names_the_key(tmp_path, change, expected):
    (tmp_path / "x.toml").write_text(TOML.replace(*change))
    with pytest.raises(InputError) as error:
        read_detector(tmp_path / "x.toml")
    assert expected in str(error.value) and "\n" not in str(error.value)


@settings(deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["toml", "geom", "expt", "nxmx"]),
    cut=st.floats(0, 1),
    swaps=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4),
)
def test_damaged_files_give_an_instrument_or_one_line(written, tmp_path, kind, cut, swaps):
    content = bytearray(written[kind].read_bytes())
    for place, byte in swaps:
        content[int(place * (len(content) - 1))] = byte
    if not swaps:
        content = content[: int(cut * len(content))]
    path = tmp_path / f"damaged{written[kind].suffix}"
    path.write_bytes(content)
    try:
        read_detector(path)
    except InputError as error:
        assert "\n" not in str(error)
