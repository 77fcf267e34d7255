"""DIALS models: how the crystal stands on its goniometer, scans along which it changes, one of several experiments."""

import json
import math

import numpy as np
import pytest
from geometries import expt
from scipy.spatial.transform import Rotation

import tilesim
from tilesim.errors import InputError
from tilesim.instruments.expt import parse_expt
from tilesim.nanobragg.options import Options
from tilesim.series.batch import frames_of_batch
from tilesim.series.batchfile import read_batch

REAL = Rotation.from_rotvec([0.3, 0.5, -0.2]).as_matrix() @ np.diag([40.0, 50.0, 60.0])
"""a, b, c as columns, angstrom."""
AXES = [[1, 0, 0], [0, -0.6, 0.8], [0.02, 0, 0.9998]]
RUN = "-default_F 100 -N 3 -oversample 1 -lambda 1.1".split()


def crystal(real=REAL, **fields):
    return {"__id__": "crystal", **{f"real_space_{k}": real[:, n].tolist() for n, k in enumerate("abc")}, **fields}


def models(goniometer=None, scan=None, **crystal_fields):
    plain = expt()
    plain["crystal"] = [crystal(**crystal_fields)]
    plain["goniometer"] = [goniometer] if goniometer else []
    plain["scan"] = [scan] if scan else []
    places = {"beam": 0, "detector": 0, "crystal": 0}
    plain["experiment"] = [places | ({"goniometer": 0} if goniometer else {}) | ({"scan": 0} if scan else {})]
    return plain


def parsed(plain, experiment=None):
    return parse_expt(json.dumps(plain).encode(), "x.expt", experiment)


def turn(axis, degrees):
    return Rotation.from_rotvec(np.radians(degrees) * np.array(axis) / np.linalg.norm(axis)).as_matrix()


def flat(matrix):
    return matrix.reshape(9).tolist()


def cell(instrument):
    """a, b, c as columns, angstrom."""
    return np.array(instrument.real_cell).reshape(3, 3).T * 1e10


NAMES = ("phi", "kappa", "omega")
ANGLES = (20.0, -50.0, 70.0)
TILT = turn([0.2, 1, 0.4], 25)
TWIST = turn([1, 1, 0], 3)
MOUNTS = {
    **{
        f"axis {n} of three": ({"axes": AXES, "angles": ANGLES, "names": NAMES, "scan_axis": n}, *rest)
        for n, rest in enumerate(
            (
                (turn(AXES[2], 70) @ turn(AXES[1], -50), np.eye(3), AXES[0]),
                (turn(AXES[2], 70), turn(AXES[0], 20), AXES[1]),
                (np.eye(3), turn(AXES[1], -50) @ turn(AXES[0], 20), AXES[2]),
            )
        )
    },
    "one axis": (
        {"rotation_axis": [0, 2, 0], "fixed_rotation": flat(TILT), "setting_rotation": flat(TWIST)},
        TWIST,
        TILT,
        [0, 1, 0],
    ),
}  # fmt: skip


@pytest.mark.parametrize("mount", MOUNTS)
def test_a_crystal_stands_at_setting_scan_and_fixed_rotation(mount):
    goniometer, setting, fixed, axis = MOUNTS[mount]
    found = parsed(models(goniometer))
    spindle = np.array(found.spindle)
    np.testing.assert_allclose(spindle, setting @ axis / np.linalg.norm(axis), atol=1e-12)
    for angle in (0.0, 33.0):
        wanted = setting @ turn(axis, angle) @ fixed @ REAL
        np.testing.assert_allclose(turn(spindle, angle) @ cell(found), wanted, atol=1e-9)


def test_a_still_has_its_crystal_as_it_is():
    found = parsed(models())
    np.testing.assert_allclose(cell(found), REAL, atol=1e-9)
    assert found.spindle == (1.0, 0.0, 0.0) and found.notes == ()


@pytest.mark.parametrize(
    "oscillation",
    [
        {"properties": {"oscillation": [10.0, 10.5, 11.0]}},
        {"oscillation": [10.0, 0.5], "exposure_time": [0.1] * 3},
    ],
)
def test_what_changes_along_a_scan_is_that_of_the_angle(tmp_path, oscillation):
    stars = [np.linalg.inv(REAL @ np.diag([1.0 + 0.01 * k, 1.0, 1.0])).T for k in range(4)]
    settings = [turn([0, 1, 0], 0.1 * k) for k in range(4)]
    source = [0.0, 0.01, -1 / 1.1]
    plain = models(
        {"rotation_axis": [1, 0, 0], "setting_rotation_at_scan_points": [flat(s) for s in settings]},
        {"image_range": [5, 7], **oscillation},
        A_at_scan_points=[flat(star) for star in stars],
    )
    plain["beam"][0]["s0_at_scan_points"] = [source] * 4
    found = parsed(plain)
    assert np.degrees([point.angle for point in found.scan_points]) == pytest.approx([10.0, 10.5, 11.0, 11.5])
    at = found.at(math.radians(11.0))
    np.testing.assert_allclose(cell(at), settings[2] @ REAL @ np.diag([1.02, 1, 1]), atol=1e-9)
    np.testing.assert_allclose(at.spindle, settings[2] @ [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(at.beam, np.array(source) / np.linalg.norm(source), atol=1e-12)
    between = found.at(math.radians(10.6))
    one, two = (np.linalg.inv(settings[k] @ np.linalg.inv(stars[k]).T) for k in (1, 2))
    np.testing.assert_allclose(np.linalg.inv(cell(between)), 0.8 * one + 0.2 * two, atol=1e-12)
    # On a command line it is the middle of its sweep.
    (tmp_path / "x.expt").write_text(json.dumps(plain))
    words = [*RUN, "--geometry", str(tmp_path / "x.expt"), "-osc", "0.5", "-phisteps", "1"]
    command = tilesim.read_command([*words, "-phi", "10.75"])
    assert np.linalg.norm(command.experiment.crystal.a) == pytest.approx(40.8e-10, rel=1e-9)
    assert any("changes along its scan; what it is at 11 degrees is taken" in line for line in command.warnings)
    outside = tilesim.read_command([*words, "-phi", "20"])
    assert np.linalg.norm(outside.experiment.crystal.a) == pytest.approx(40e-10, rel=1e-9)
    assert any("10 to 11.5 degrees; at 20.25 degrees what it states for the whole" in w for w in outside.warnings)


def test_one_of_several_experiments(tmp_path, monkeypatch):
    plain = models()
    plain["crystal"] = [crystal(REAL * (1 + k)) for k in range(3)]
    plain["experiment"] = [{"beam": 0, "detector": 0, "crystal": k} for k in range(3)]
    path = tmp_path / "three.expt"
    path.write_text("\ufeff" + json.dumps(plain))
    for words, number in (([], 0), (["--experiment", "2"], 2)):
        command = tilesim.read_command([*RUN, "--geometry", str(path), *words])
        assert np.linalg.norm(command.experiment.crystal.b) == pytest.approx(50e-10 * (1 + number))
        said = f"{path}: experiment 0 of 3 (counted from 0) is taken; --experiment K takes another"
        assert (said in command.warnings) is (not words)
    for words, expected in (
        (["--geometry", str(path), "--experiment", "3"], "expected a number from 0 to 2"),
        (["--geometry", str(path), "--experiment=-1"], "expects a whole number, counted from 0"),
        (["--experiment", "0", *"-cell 40 50 60 90 90 90".split()], "--experiment goes with --geometry"),
    ):
        with pytest.raises(InputError, match=expected):
            tilesim.read_command([*RUN, *words])
    assert Options.read({"experiment": 2}).tokens() == ["--experiment", "2"]
    # A list of stills is a grid of a batch file.
    grid = "geometry = 'three.expt'\nfloatfile = '{frame}.bin'\n[grid]\ngeometry_experiment = [0, 1, 2]\n"
    (tmp_path / "b.toml").write_text("flags = '" + " ".join(RUN) + "'\n" + grid)
    monkeypatch.chdir(tmp_path)
    [frames] = frames_of_batch(read_batch("b.toml"))[0].values()
    assert [np.linalg.norm(f.experiment.crystal.b) for f in frames] == pytest.approx([50e-10, 100e-10, 150e-10])
    (tmp_path / "x.toml").write_text("pixel = 1")
    with pytest.raises(InputError, match=r"x.toml: --experiment goes with a DIALS \.expt"):
        tilesim.read_detector(tmp_path / "x.toml", 0)


def test_a_detector_alone_faces_the_beam_of_dials_and_asks_for_the_wavelength(tmp_path):
    plain = expt()
    for panel in plain["detector"][0]["panels"]:
        panel["origin"][2], panel["slow_axis"] = -40, [0, -1, 0]
        panel["origin"][1] *= -1
    alone = {"__id__": "ExperimentList", "experiment": [{"detector": 0}], "detector": plain["detector"]}
    path = tmp_path / "reference.expt"
    path.write_text(json.dumps(alone))
    words = ["-default_F", "1", "-cell", *"50 60 70 90 90 90 -N 2 --geometry".split(), str(path)]
    with pytest.raises(InputError, match=r"reference\.expt does not say the wavelength; expected -lambda or -energy"):
        tilesim.read_command(words)
    command = tilesim.read_command([*words, "-lambda", "1"])
    beam = command.experiment.beam
    assert beam.direction == (0.0, 0.0, -1.0) and beam.polarization_axis == (1.0, 0.0, 0.0)
    assert any("has no beam; the incident beam is taken along -z" in line for line in command.warnings)
    assert not any("does not meet" in line or "runs away" in line for line in command.warnings)


@pytest.mark.parametrize(
    ("shift", "said"),
    [((0, 0), None), ((3.4, 0), None), ((3.6, 0), "does not meet"), ((0, 90), "does not meet"), (None, "runs away")],
)
def test_a_detector_that_the_beam_does_not_meet_is_warned_of(tmp_path, shift, said):
    plain = expt()
    for panel in plain["detector"][0]["panels"]:
        panel["origin"][:2] = [a + b for a, b in zip(panel["origin"], shift or (0, 0), strict=False)]
        panel["origin"][2] *= 1 if shift else -1
    (tmp_path / "x.expt").write_text(json.dumps(plain))
    words = [*RUN, *"-cell 50 60 70 90 90 90 --geometry".split(), str(tmp_path / "x.expt")]
    found = [line for line in tilesim.read_command(words).warnings if "incident beam" in line]
    assert len(found) == (said is not None) and all(said in line for line in found)


POINT = [0.01, 0, 0, 0, 0.01, 0, 0, 0, 0.01]
SCAN = {"image_range": [1, 2], "properties": 3}
PANEL = expt()["detector"][0]["panels"][0]
ROOT = expt()["detector"][0]["hierarchy"]


def changed(key, **fields):
    """The models with other fields in the first one of a kind."""
    plain = models({"rotation_axis": [1, 0, 0]}, {"image_range": [1, 2], "properties": {"oscillation": [0.0, 1.0]}})
    plain[key][0] |= fields
    if "panels" in fields:
        del plain["detector"][0]["hierarchy"]
    return plain


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        (changed("goniometer", fixed_rotation=[2, 0, 0, 0, 2, 0, 0, 0, 2]), "fixed_rotation of a goniometer is no"),
        (changed("goniometer", setting_rotation=[1, 0, 0, 0, 1, 0, 0, 0, -1]), "setting_rotation of a goniometer"),
        (changed("goniometer", axes=AXES, angles=[0, 1]), "3 axes, 2 angles"),
        (changed("goniometer", rotation_axis=[0, 0, 0]), "axis of a goniometer"),
        (changed("crystal", A_at_scan_points=[list(range(9))] * 2), "along a scan, at 2 points; expected a scan of 1"),
        (changed("crystal", real_space_b=REAL[:, 0].tolist()), "make no cell"),
        (changed("crystal", A_at_scan_points=[[0] * 9] * 3), "make no cell; expected reciprocal axes"),
        (changed("crystal", A_at_scan_points=[POINT] * 3) | {"scan": [SCAN]}, "properties of a scan is '3'; expected"),
        (changed("experiment", crystal=7) | {"crystal": 3}, "crystal is '3'; expected a list"),
        (changed("crystal", real_space_a=[1, 2]), "real_space_a of a crystal"),
        (changed("beam", polarization_normal=[0, 0, 1]), "polarization_normal of a beam is parallel"),
        (changed("beam", polarization_fraction=2), "polarization_fraction of a beam is 2"),
        (changed("beam", wavelength=-1), "wavelength of a beam"),
        (changed("beam", direction=[0, 0, 0]), "direction of a beam"),
        (changed("detector", panels=[]), "a detector has no panels"),
        (changed("detector", panels=[PANEL | {"image_size": [14]}]), "image_size of a panel"),
        (changed("detector", panels=[PANEL | {"mask": [[1, 2, 3]]}]), "mask of a panel"),
        (changed("detector", panels=[PANEL | {"thickness": "thin"}]), "thickness of a panel"),
        (changed("experiment", crystal=7), "names crystal 7, of 1"),
        (changed("experiment", crystal="other.json"), "in another file"),
        (changed("detector", hierarchy=ROOT | {"children": [{"panel": 0}]}), "places 1 of 2 panels"),
    ],
)  # fmt: skip
def test_models_that_make_no_sense_are_refused(plain, expected):
    with pytest.raises(InputError) as error:
        parsed(plain)
    assert expected in str(error.value)


SAID = ("electron", "wavelength of its beam changes", "pixels.mask", "sensors of its panels")


def test_what_of_the_models_does_not_count_is_said():
    plain = changed("beam", probe="electron", s0_at_scan_points=[[0, 0, -1.0], [0, 0, -1.1], [0, 0, -1.1]])
    plain["imageset"] = [{"mask": "pixels.mask", "dx": ""}]
    plain["experiment"][0]["imageset"] = 0
    plain["detector"][0]["panels"][1] |= {"thickness": 0.3, "material": "Si"}
    found = parsed(plain).notes
    assert [any(word in note for note in found) for word in SAID] == [True] * 4
    assert len(found) == 4


def test_pixel_sizes_that_differ_by_rounding_are_one():
    plain = expt()
    plain["detector"][0]["panels"][1]["pixel_size"] = [0.5 * (1 + 3e-16), 0.5 * (1 - 2e-16)]
    assert {panel.pixel_size for panel in parsed(plain).panels} == {0.5e-3}
