"""`tilesim refine` as a user types it: report, outputs, exit status, resuming, bad input."""

import json
import os

import numpy as np
import pytest
from stills import READOUT, noisy, start, still

import tilesim as package
from tilesim.kernels import library

pytestmark = pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")
VARIED = "rotation,cell,distance,scale"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, with a start and measured photons in it."""
    monkeypatch.chdir(tmp_path)
    package.run(start(still(), 0.2, 2), store="start.zarr")
    noisy(still()).astype("<f4").tofile("data.bin")
    return tmp_path


def test_the_report_and_all_outputs(folder, tilesim):
    words = ("refine", "start.zarr", "data.bin", "--vary", VARIED, "--readout", READOUT)
    outputs = ("--expt", "out.expt", "--zarr", "out.zarr", "--residuals", "out.png", "--json", "out.json")
    done = tilesim(*words, *outputs)
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].startswith("begins: chi²/pixel") and "converged" in lines
    assert [line for line in lines if "crystal.cell.a" in line and "±" in line and line.endswith("Å")]
    assert lines[-4:] == [f"wrote out.{ending}" for ending in ("expt", "zarr", "png", "json")]
    plain = json.loads((folder / "out.json").read_text())
    [frame] = plain["frames"]
    assert plain["converged"] and 112 * 112 - 20 < frame["pixels"] < 112 * 112
    numbers = {one["name"]: one for one in frame["numbers"]}
    a = numbers["crystal.cell.a"]
    assert abs(a["value"] - 77e-10) < 4 * a["error"] < 1e-10
    # The store has the refined experiment and its image, and DIALS' file the same crystal.
    data = package.open("out.zarr")
    refined = data.experiment(0)
    assert refined.crystal.cell[0] == pytest.approx(a["value"], rel=1e-12)
    assert np.asarray(data.image(0)).max() > 1000
    models = json.loads((folder / "out.expt").read_text())
    assert np.linalg.norm(models["crystal"][0]["real_space_a"]) == pytest.approx(1e10 * a["value"], rel=1e-6)
    assert (folder / "out.png").stat().st_size > 20_000
    assert not [name for name in os.listdir() if name.startswith(".")]


def test_a_geometry_and_flags_describe_the_start(folder, tilesim):
    from tilesim.images.expt import write_expt
    from tilesim.model import Series

    write_expt("start.expt", Series(start(still(), 0.1, 2)))
    common = "-default_F 100 -N 6 -fluence 1e27 -oversample 1 -nointerpolate".split()
    done = tilesim(
        "refine", "start.expt", "data.bin", "--vary", "rotation,scale", "--readout", 2, "--json", "-", "--", *common
    )
    assert done.status in (0, 1), done.err
    assert json.loads(done.out)["frames"][0]["numbers"][0]["name"] == "crystal.rotation.x"
    assert "does not describe the pixels" in done.err


def test_what_has_not_converged_is_written_and_says_so(folder, tilesim):
    done = tilesim(
        "refine", "start.zarr", "data.bin", "--vary", VARIED, "--readout", 2, "--steps", 1, "--expt", "out.expt"
    )
    assert done.status == 1 and "NOT converged: 1 of 1 frame" in done.out
    assert (folder / "out.expt").exists()


def test_an_interrupted_refinement_is_resumed(folder, tilesim, monkeypatch):
    from tilesim.refinement import state

    words = ("refine", "start.zarr", "data.bin", "--vary", VARIED, "--readout", READOUT, "--json", "out.json")
    write, seen = state.write_state, []

    def interrupted(*args):
        write(*args)
        seen.append(args)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(state, "write_state", interrupted)
        stopped = tilesim(*words)
    assert stopped.status == 130
    assert not (folder / "out.json").exists()
    done = tilesim(*words, "--resume")
    assert done.status == 0 and not done.out.startswith("begins")
    resumed = json.loads((folder / "out.json").read_text())
    assert tilesim(*words).out.startswith("begins")
    assert json.loads((folder / "out.json").read_text()) == resumed


def test_what_is_in_the_way_is_found_before_the_work(folder, tilesim):
    package.run(package.Series.of([still()] * 2), store="two.zarr")
    done = tilesim("refine", "start.zarr", "data.bin", "--vary", "cell", "--zarr", "two.zarr", "--json", "out.json")
    assert done.status == 2 and "exists; expected --overwrite to replace it" in done.err and "begins" not in done.out
    assert not (folder / "out.json").exists()
    done = tilesim("refine", "start.zarr", "two.zarr", "--vary", "cell", "--residuals", "out.png")
    assert done.status == 2 and "is one file for 2 frames; expected a name with {frame}" in done.err


def test_a_geometry_may_differ_from_that_of_an_image_that_states_its_own(folder, tilesim):
    from tilesim.images.expt import write_expt
    from tilesim.model import Series

    package.run(still(), store="truth.zarr")
    write_expt("start.expt", Series(start(still(), 0.1, 2, cell=0.002)))
    flags = "-default_F 100 -N 6 -fluence 1e27 -oversample 1 -nointerpolate".split()
    done = tilesim("refine", "start.expt", "truth.zarr", "--vary", "scale", "--json", "-", "--", *flags)
    assert done.status in (0, 1), done.err
    assert json.loads(done.out)["frames"][0]["pixels"] > 10_000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--vary", "colour"), "parameter colour is not known"),
        (("--vary", "cell", "--bound", "cell=1"), "--bound cell=1; expected NAME=LOW:HIGH"),
        (("--vary", "cell", "--bound", "N=1:2"), "--bound N=1:2; expected NAME=... with a name of --vary: cell"),
        (("--vary", "cell", "--prior", "cell=x"), "--prior x; expected numbers"),
        (("--vary", "cell", "--prior", "cell=1,2"), "--prior 1,2; expected one number"),
        (("--vary", "cell", "--bound", "cell=0.9,2:1"), "--bound 0.9,2; expected one number"),
        (("--vary", "distance", "--group", "3:1"), "--group 3:1; expected panels such as 0:4,7"),
        (("--vary", "cell", "--residuals", "out.jpg"), "--residuals out.jpg would be a PNG"),
        (("--vary", "cell", "--residuals", "{x}.png"), "expected {frame} or {image} in braces only"),
        (("--vary", "cell", "--group", "a"), "--group a; expected panels such as 0:4,7"),
        (("--vary", "cell", "--widths", "1,2"), "widths 1, 2; expected falling numbers, the last of them 1"),
        (("--vary", "cell", "--resume"), "--resume without an output"),
        (("--vary", "cell", "--zarr", "start.zarr"), "start.zarr"),
        (("--vary", "cell", "--json", "data.bin"), "data.bin"),
        (("--vary", "cell", "--frame", "3"), "there is no frame 3"),
    ],
)
def test_bad_input_is_one_line_and_harms_nothing(folder, tilesim, words, said):
    before = (folder / "data.bin").read_bytes()
    done = tilesim("refine", "start.zarr", "data.bin", *words)
    assert done.status == 2 and said in done.err and done.err.count("\n") == 1, done.err
    assert (folder / "data.bin").read_bytes() == before and sorted(os.listdir()) == ["data.bin", "start.zarr"]


def test_every_option_is_the_argument_of_its_name_and_counts(folder, tilesim):
    (3.0 * (noisy(still()) + 20.0) + 100.0).astype("<f4").tofile("units.bin")
    options = {
        "gain": "3",
        "offset": "100",
        "background": "20",
        "readout": "2",
        "robust": "3",
        "shoebox": "2",
        "lattice": "orthorhombic",
        "bound": "cell=0.9975:1.0005",
        "prior": "rotation=0.0002",
    }

    def found(chosen):
        words = [word for name, value in chosen.items() for word in (f"--{name}", value)]
        done = tilesim("refine", "start.zarr", "units.bin", "--vary", VARIED, "--quiet", "--json", "-", *words)
        assert done.status in (0, 1), done.err
        return {one["name"]: one["value"] for one in json.loads(done.out)["frames"][0]["numbers"]}

    whole = found(options)
    vary = {"rotation": package.Free(prior=0.0002), "cell": package.Bounded(0.9975, 1.0005), "distance": None}
    how = {"gain": 3.0, "offset": 100.0, "background": 20.0, "readout": 2.0, "robust": 3.0, "shoebox": 2}
    same = package.refine("start.zarr", "units.bin", {**vary, "scale": None}, lattice="orthorhombic", **how)
    assert whole == same.frames[0].values
    # A wrong gain or offset is refused or fits nothing: the others are left out one by one.
    for name in ("background", "readout", "robust", "shoebox", "lattice", "bound", "prior"):
        assert found({key: value for key, value in options.items() if key != name}) != whole, name
