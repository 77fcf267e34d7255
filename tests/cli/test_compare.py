"""`tilesim compare` from end to end: images of any format, and programs with the same flags."""

import json
import os
import shlex
import sys
import time

import fabio
import numpy as np
import pytest
from commands import BASE, LIMIT
from matplotlib.image import imread
from samples import smv, store

RNG = np.random.default_rng(5)
PIXELS = RNG.integers(1, 1000, (12, 15)).astype(np.uint16)


@pytest.fixture
def pair(folder):
    """Two float files of one shape, not square, that differ in one pixel."""
    a = PIXELS.astype("<f4")
    b = a.copy()
    b[4, 7] *= 1.5
    a.tofile(folder / "a.bin")
    b.tofile(folder / "b.bin")
    return a, b


def summary(result):
    return json.loads(result.out)


def test_the_same_image_in_all_formats_is_the_same(tilesim, folder):
    PIXELS.astype("<f4").tofile(folder / "a.bin")
    smv(folder / "a.img", PIXELS)
    store(folder / "a.zarr", PIXELS[None].astype(np.float32))
    fabio.cbfimage.CbfImage(data=PIXELS.astype(np.int32)).write("a.cbf")
    fabio.tifimage.TifImage(data=PIXELS).write("a.tif")
    for a, b in (("a.zarr", "a.img"), ("a.cbf", "a.tif"), ("a.bin", "a.zarr"), ("a.tif", "a.bin")):
        result = tilesim("compare", a, b, "--tolerance", "0")
        assert result.status == 0 and result.err == "", result
        assert result.out.splitlines()[-1] == "the same within 0"


def test_what_differs_is_reported_with_its_place(tilesim, pair):
    result = tilesim("compare", "a.bin", "b.bin", "--shape", "12x15", "--json", "-")
    assert result.status == 1 and result.err == ""
    found = summary(result)
    a, b = pair
    assert not found["within"] and found["shape"] == [12, 15]
    assert found["largest_difference"] == {
        "value": abs(float(b[4, 7] - a[4, 7])), "at": {"slow": 4, "fast": 7}, "a": a[4, 7], "b": b[4, 7],
    }  # fmt: skip
    assert found["golden_metric"]["value"] == pytest.approx(1 / 3)
    assert found["mean_square_difference"] == pytest.approx(np.mean((a - b) ** 2))
    assert found["sums"] == [a.sum(), b.sum()]


def test_the_report_for_people_says_the_same(tilesim, pair):
    result = tilesim("compare", "a.bin", "b.bin", "--shape", "12x15")
    assert result.status == 1
    assert "largest difference" in result.out and "at slow 4, fast 7" in result.out
    assert result.out.splitlines()[-1] == "NOT the same within 1e-05"
    assert tilesim("compare", "a.bin", "b.bin", "--shape", "12x15", "--quiet").out == ""
    assert tilesim("compare", "a.bin", "b.bin", "--shape", "12x15", "--tolerance", "0.34").status == 0


def test_regions_are_judged_where_they_are_given(tilesim, pair):
    both = ("compare", "a.bin", "b.bin", "--shape", "12x15")
    assert tilesim(*both, "--roi", 0, 14, 5, 11).status == 0
    result = tilesim(*both, "--roi", 0, 14, 5, 11, "--roi", 7, 7, 4, 4, "--json", "-")
    assert result.status == 1
    assert [part["pixels"] for part in summary(result)["regions"]] == [105, 1]
    result = tilesim(*both, "--roi", 0, 15, 5, 11)
    assert result.status == 2 and "--roi 0 15 5 11: expected" in result.err


def test_a_missing_tile_is_not_the_same(tilesim, folder):
    for name in ("a.zarr", "b.zarr"):
        store(folder / name, PIXELS[None].astype(np.float32))
    (folder / "a.zarr" / "0" / "intensity" / "c" / "0" / "1" / "1").unlink()
    result = tilesim("compare", "a.zarr", "b.zarr", "--tolerance", "1e9")
    assert result.status == 1
    assert "16 pixels of a and 0 of b, the first at slow 4, fast 4" in result.out


def test_frames_are_chosen_for_both_or_each(tilesim, folder):
    frames = np.stack([PIXELS, PIXELS + 1, PIXELS]).astype(np.float32)
    store(folder / "a.zarr", frames)
    smv(folder / "a.img", PIXELS)
    assert tilesim("compare", "a.zarr", "a.zarr", "--frame", "0,2").status == 0
    assert tilesim("compare", "a.zarr", "a.img", "--frame", "2,0").status == 0
    assert tilesim("compare", "a.zarr", "a.img", "--frame", "1,0").status == 1
    result = tilesim("compare", "a.zarr", "a.img", "--frame", "1")
    assert result.status == 2 and "a.img: there is no frame 1" in result.err


def test_different_shapes_need_resampling(tilesim, folder):
    fine = RNG.random((8, 12)).astype("<f4")
    smv(folder / "fine.img", fine, "float")
    smv(folder / "coarse.img", fine.reshape(4, 2, 6, 2).sum((1, 3), np.float64).astype("<f4"), "float")
    result = tilesim("compare", "fine.img", "coarse.img")
    assert result.status == 2 and "different shapes, 12 x 8 and 6 x 4" in result.err
    result = tilesim("compare", "fine.img", "coarse.img", "--resample")
    assert result.status == 0 and "4 x 6 (slow, fast), a resampled" in result.out


def test_the_outputs_of_a_comparison(tilesim, pair, folder):
    result = tilesim("compare", "a.bin", "b.bin", "--shape", "12x15", "--roi", 1, 3, 1, 3, "--outdir", "new/out")
    assert result.status == 0
    names = sorted(path.name for path in (folder / "new" / "out").iterdir())
    assert names == ["a.png", "b.png", "comparison.png", "difference.png", "summary.json"]
    found = json.loads((folder / "new" / "out" / "summary.json").read_text())
    assert found["a"] == {"file": "a.bin", "format": "float", "frame": 0, "panel": 0}
    assert found["judged_by"] == "regions" and found["within"]
    a, b = (imread(folder / "new" / "out" / f"{name}.png") for name in "ab")
    assert a.shape == b.shape and (a != b).any()


# --- two programs


@pytest.fixture
def program(folder, tmp_path_factory):
    """`program(body)` is the command of a Python script whose `out` is the float file that was asked for."""
    home = tmp_path_factory.mktemp("program")

    def make(body):
        script = home / "other.py"
        lines = ["import sys, numpy as np", "out = sys.argv[sys.argv.index('-floatfile') + 1]", body]
        script.write_text("\n".join(lines))
        return shlex.join([sys.executable, str(script)])

    return make


OWN = shlex.join([sys.executable, "-m", "tilesim_cli.main", "run", "--strict-c"])


def test_two_programs_with_the_same_flags(tilesim, folder, made):
    flags = [*BASE, "-floatfile", "mine.bin", "-intfile", "mine.img", "-noisefile", "n.img", "-pgmfile", "p.pgm"]
    result = tilesim("compare", "--against", OWN, "--outdir", "out", "--json", "-", "--", *flags)
    assert result.status == 0 and result.err == "", result
    found = summary(result)
    assert found["golden_metric"]["value"] == 0 and found["shape"] == [12, 12]
    assert found["a"]["seconds"] > 0 and found["b"]["seconds"] > 0
    assert found["speed_ratio"] == found["b"]["seconds"] / found["a"]["seconds"]
    # Nothing else is left, whatever files the flags name and the reference makes by default.
    assert made() == ["out"]
    names = ["a.bin", "a.log", "a.png", "b.bin", "b.log", "b.png", "comparison.png", "difference.png", "summary.json"]
    assert sorted(path.name for path in (folder / "out").iterdir()) == names
    assert (folder / "out" / "a.bin").stat().st_size == 4 * 12 * 12
    assert "photons" in (folder / "out" / "b.log").read_text()
    # The recorded command gives the image again.
    before = (folder / "out" / "a.bin").read_bytes()
    (folder / "out" / "a.bin").unlink()
    command = found["a"]["command"]
    assert command[:3] == ["tilesim", "run", "--strict-c"]
    assert tilesim(*command[1:]).status == 0
    assert (folder / "out" / "a.bin").read_bytes() == before and made() == ["out"]


def test_without_an_outdir_nothing_is_written(tilesim, made, program):
    other = program("np.zeros(144, '<f4').tofile(out)")
    result = tilesim("compare", "--against", other, "--", *BASE)
    assert result.status == 1 and made() == []
    assert "ratio b / a" in result.out and "sums" in result.out


def test_the_environment_names_the_other_program(tilesim, monkeypatch, program):
    monkeypatch.delenv("NB_C_BIN", raising=False)
    monkeypatch.delenv("NB_PY_BIN", raising=False)
    result = tilesim("compare", "--", *BASE)
    assert result.status == 2 and "NB_C_BIN" in result.err
    monkeypatch.setenv("NB_PY_BIN", program("np.ones(144, '<f4').tofile(out)"))
    assert tilesim("compare", "--quiet", "--", *BASE).status == 1
    monkeypatch.setenv("NB_C_BIN", "no-such-program")
    result = tilesim("compare", "--", *BASE)
    assert result.status == 2 and "no-such-program: there is no such program" in result.err


def test_the_corrected_image_is_compared_on_request(tilesim):
    # A step of phi at 0 is one of the reference's defects (K1).
    flags = [*BASE, "-phi", "0", "-osc", "5", "-phisteps", "3"]
    result = tilesim("compare", "--against", OWN, "--quiet", "--", *flags)
    assert result.status == 0
    result = tilesim("compare", "--against", OWN, "--corrected", "--precision", "double", "--json", "-", "--", *flags)
    assert result.status == 1
    assert summary(result)["a"]["command"][:4] == ["tilesim", "run", "--precision", "double"]


def test_a_program_that_fails_is_named_with_its_last_words(tilesim, program, made):
    failing = program("sys.exit('first\\nERROR: no crystal\\n')")
    result = tilesim("compare", "--against", failing, "--outdir", "out", "--", *BASE)
    assert result.status == 2 and result.out == ""
    assert "other.py failed with status 1: ERROR: no crystal" in result.err and result.err.count("\n") == 1
    assert made() == []


def test_results_of_before_stay_where_a_program_fails(tilesim, program, folder):
    (folder / "out").mkdir()
    (folder / "out" / "a.bin").write_text("of before")
    before = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
    other = program("np.zeros(7, '<f4').tofile(out)")
    result = tilesim("compare", "--against", other, "--outdir", "out", "--", *BASE)
    assert result.status == 2 and "other.py: expected a float file of 576 bytes for 12 x 12 pixels" in result.err
    assert {path.name: path.read_bytes() for path in (folder / "out").iterdir()} == before


def test_a_program_does_not_outlive_a_comparison_that_is_terminated(process, program, folder, made):
    begun = folder / "begun"
    other = program(f"import os, time; open({str(begun)!r}, 'w').write(str(os.getpid())); time.sleep(600)")
    child = process("compare", "--against", other, "--outdir", "out", "--", *BASE)
    deadline = time.monotonic() + LIMIT
    while not (begun.exists() and begun.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    child.terminate()
    assert child.wait(timeout=LIMIT) == 143 and "terminated" in child.stderr.read()
    with pytest.raises(ProcessLookupError):
        os.kill(int(begun.read_text()), 0)
    assert made() == ["begun"]


def test_a_random_orientation_without_a_seed_is_warned_of(tilesim, program):
    other = program("np.ones(144, '<f4').tofile(out)")
    result = tilesim("compare", "--against", other, "--", *BASE, "-misset", "random")
    assert result.status == 1 and "WARNING: a random -misset" in result.err


def test_a_cache_is_read_and_left_alone(tilesim, folder, made):
    tilesim("run", *BASE, "--write-fdump", "-floatfile", "first.bin")
    cache = (folder / "Fdump.bin").read_bytes()
    flags = [word for word in BASE if word not in ("-hkl", "P1.hkl")]
    result = tilesim("compare", "--against", OWN, "--json", "-", "--", *flags)
    assert result.status == 0, result
    assert (folder / "Fdump.bin").read_bytes() == cache and made() == ["Fdump.bin", "first.bin"]
    assert summary(result)["sums"][1] == np.fromfile("first.bin", "<f4").sum(dtype=np.float64)


# --- misuse


@pytest.mark.parametrize(
    "words, said",
    [
        (["a.bin"], "expected two images, or -- and nanoBragg flags; found 1 names"),
        (["a.bin", "b.bin", "c.bin"], "found 3 names"),
        (["a.bin", "b.bin", "--against", "x"], "need nanoBragg flags, behind --"),
        (["a.bin", "b.bin", "--corrected"], "need nanoBragg flags, behind --"),
        (["a.bin", "none.bin", "--shape", "12x15"], "cannot read none.bin"),
        (["a.bin", "b.bin"], "its shape must be given"),
        (["a.bin", "b.bin", "--shape", "7x7"], "expected a float file of 196 bytes"),
        (["a.bin", "b.bin", "--frame", "x"], "expected a number from 0, or two such as 3,0"),
        (["a.bin", "b.bin", "--tolerance", "-1"], "--tolerance"),
        (["a.bin", "b.bin", "--tolerance", "nan"], "--tolerance"),
        (["a.bin", "b.bin", "--shape", "12x15", "--outdir", "a.bin"], "--outdir"),
        (["a.bin", "b.bin", "--shape", "12x15", "--json", "none/x.json"], "there is no folder"),
        (["--against", "true", "--", "-mat", "A.mat", "--outdir", "x"], "--outdir stands behind --"),
        (["--against", "true", "--", "-mat", "none.mat", "-default_F", "1"], "none.mat"),
        (["--against", "true", "--shape", "3x3", "--", "-default_F", "1"], "go with two images"),
        (["--against", "'", "--", *BASE], "expected the name of a program or a command line"),
        (["--against", " ", "--", *BASE], "there is no such program"),
    ],
)
def test_misuse_is_one_line_and_status_2(words, said, tilesim, pair, made):
    before = made()
    result = tilesim("compare", *words)
    assert result.status == 2 and result.out == "" and said in result.err, result
    assert result.err.count("\n") == 1 and result.err.startswith("tilesim: ")
    assert made() == before


def test_titles_name_both_folders():
    from tilesim_cli.compare import _titles

    def titles(a, b):
        return _titles({"file": a}, {"file": b})

    assert titles("run1/out.bin", "run2/out.bin") == ("run1/out.bin", "run2/out.bin")
    assert titles("/x/a/run/out.zarr/", "/x/b/run/out.zarr") == ("a/run/out.zarr", "b/run/out.zarr")
    assert titles("one.bin", "there/two.bin") == ("one.bin", "there/two.bin")
    assert _titles({"command": ["/a/nb"]}, {"command": ["/b/nb"]}) == ("a/nb", "b/nb")
