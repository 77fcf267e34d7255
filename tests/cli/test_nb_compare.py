"""`nb-compare` from end to end: its options, exit statuses, files and the keys of its summary."""

import json
import re
import shlex
import sys

import numpy as np
import pytest
from commands import BASE
from matplotlib.image import imread

OWN = shlex.join([sys.executable, "-m", "tilesim_cli.main", "run", "--strict-c"])
RNG = np.random.default_rng(3)
IMAGE = RNG.integers(1, 1000, (12, 12)).astype("<f4")
KEYS = {
    *("correlation", "mse", "rmse", "max_abs_diff", "c_sum", "py_sum", "sum_ratio", "mean_peak_distance"),
    *("max_peak_distance", "runtime_c_ms", "runtime_py_ms", "speedup", "args", "c_binary", "py_binary", "roi"),
    *("resample", "png_scale_method", "png_scale_percentile"),
}


@pytest.fixture(autouse=True)
def no_programs(monkeypatch):
    """Programs of the environment that the tests run in are none of theirs."""
    monkeypatch.delenv("NB_C_BIN", raising=False)
    monkeypatch.delenv("NB_PY_BIN", raising=False)


@pytest.fixture
def gives(folder, tmp_path_factory):
    """`gives(name, image)` is a Python script that writes the image where -floatfile says."""
    home = tmp_path_factory.mktemp("programs")

    def make(name, image):
        np.save(home / f"{name}.npy", image)
        lines = ("import sys, numpy as np", "print('so far'); print('so bad', file=sys.stderr)")
        out = f"np.load({str(home / name)!r} + '.npy').tofile(sys.argv[sys.argv.index('-floatfile') + 1])"
        (home / f"{name}.py").write_text("\n".join((*lines, out)))
        return str(home / f"{name}.py")

    return make


def test_tilesim_beside_the_c_program_with_the_defaults_of_nb_compare(tilesim, monkeypatch, folder, made):
    monkeypatch.setenv("NB_C_BIN", OWN)
    result = tilesim("nb-compare", "--", *BASE, "-intfile", "mine.img")
    assert (result.status, result.err) == (0, "")
    assert "Correlation: 1.000000\n" in result.out and result.out.splitlines()[-1].startswith("PASS")
    assert made() == ["comparisons"]
    [outdir] = (folder / "comparisons").iterdir()
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{8}", outdir.name)
    assert sorted(path.name for path in outdir.iterdir()) == [
        *("c.png", "c_float.bin", "c_stderr.txt", "c_stdout.txt", "diff.png", "py.png", "py_float.bin"),
        *("py_stderr.txt", "py_stdout.txt", "summary.json"),
    ]
    found = json.loads((outdir / "summary.json").read_text())
    assert found.keys() >= KEYS and found["golden_metric"]["value"] == 0
    assert found["args"] == [*BASE, "-intfile", "mine.img"] and found["py_binary"] == "tilesim run --strict-c"
    assert found["c_sum"] == found["py_sum"] == np.fromfile(outdir / "c_float.bin", "<f4").sum(dtype=np.float64) > 0


def test_the_figures_are_those_of_the_region_and_the_images_lie_beside(tilesim, gives, folder):
    other = IMAGE.copy()
    other[2, 3] *= 1.5
    c, py = gives("c", IMAGE), gives("py", other)
    words = ("--roi", 2, 6, 1, 4, "--save-diff", "--png-scale", 100, "--outdir", "out")
    result = tilesim("nb-compare", *words, "--c-bin", f"{sys.executable} {c}", "--py-bin", py, "--", *BASE)
    assert (result.status, result.err) == (0, "")
    found = json.loads((folder / "out" / "summary.json").read_text())
    part = (slice(1, 5), slice(2, 7))
    assert found["correlation"] == pytest.approx(np.corrcoef(IMAGE[part].ravel(), other[part].ravel())[0, 1])
    assert found["mse"] == pytest.approx(float(np.square(other[part] - IMAGE[part]).mean()))
    assert found["max_abs_diff"] == other[2, 3] - IMAGE[2, 3]
    assert (found["c_sum"], found["py_sum"]) == (IMAGE[part].sum(), other[part].sum())
    assert found["sum_ratio"] == pytest.approx(other[part].sum() / IMAGE[part].sum())
    assert found["roi"] == [2, 6, 1, 4] and found["sums"] == [other.sum(), IMAGE.sum()]
    difference = np.fromfile(folder / "out" / "diff.bin", "<f4").reshape(12, 12)
    assert np.array_equal(difference, other - IMAGE) and np.count_nonzero(difference) == 1
    grey = imread(folder / "out" / "py.png")[..., 0]
    assert grey.shape == (12, 12) and np.abs(grey - other / max(IMAGE.max(), other.max())).max() <= 2 / 255
    assert (folder / "out" / "py_stdout.txt").read_text() == "so far\n"
    assert (folder / "out" / "py_stderr.txt").read_text() == "so bad\n"


def test_peaks_that_moved_are_so_far_apart(tilesim, gives, folder):
    c, py = np.zeros((12, 12), "<f4"), np.zeros((12, 12), "<f4")
    c[3, 4], py[3, 7] = 100, 90
    sides = ("--c-bin", f"{sys.executable} {gives('c', c)}", "--py-bin", gives("py", py), "--outdir", "out")
    result = tilesim("nb-compare", *sides, "--", *BASE)
    assert result.status == 3 and result.out.splitlines()[-1] == "FAIL: threshold 0.95"
    found = json.loads((folder / "out" / "summary.json").read_text())
    assert found["mean_peak_distance"] == found["max_peak_distance"] == 3
    assert tilesim("nb-compare", *sides, "--threshold", "-1", "--", *BASE).status == 0


def test_a_correlation_that_there_is_not_does_not_pass(tilesim, gives):
    flat = f"{sys.executable} {gives('flat', np.ones((12, 12), '<f4'))}"
    result = tilesim("nb-compare", "--c-bin", flat, "--threshold", "-1", "--", *BASE)
    assert result.status == 3 and "Correlation: none" in result.out


def test_different_shapes_have_a_status_of_their_own(tilesim, gives, made):
    coarse = IMAGE.reshape(6, 2, 6, 2).sum((1, 3))
    sides = ("--c-bin", f"{sys.executable} {gives('c', coarse)}", "--py-bin", gives("py", IMAGE), "--outdir", "out")
    result = tilesim("nb-compare", *sides, "--", *BASE)
    assert result.status == 4 and "6 x 6 of C and 12 x 12; expected the same, or --resample" in result.err
    assert made() == []
    assert tilesim("nb-compare", *sides, "--resample", "--", *BASE).status == 0


def test_tilesims_side_is_what_the_environment_names(tilesim, monkeypatch, gives, folder):
    monkeypatch.setenv("NB_PY_BIN", gives("py", IMAGE))
    monkeypatch.setenv("NB_C_BIN", f"{sys.executable} {gives('c', IMAGE)}")
    assert tilesim("nb-compare", "--outdir", "out", "--", *BASE).status == 0
    assert json.loads((folder / "out" / "summary.json").read_text())["py_binary"].endswith("py.py")


@pytest.mark.parametrize("outdir", [(), ("--outdir", "a/b/c")])
def test_a_failure_leaves_no_folder(tilesim, made, outdir):
    assert tilesim("nb-compare", "--c-bin", "false", *outdir, "--", *BASE).status == 2
    assert made() == []


@pytest.mark.parametrize(
    "words, status, said",
    [
        (["--", *BASE], 3, "no C program: expected --c-bin, NB_C_BIN in the environment, or ./nanoBragg"),
        (["--c-bin", "none", "--", *BASE], 3, "none: there is no such program"),
        (["--c-bin", "false", "--", *BASE], 2, "false failed with status 1"),
        (["--c-bin", "true", "--", *BASE], 2, "true wrote no float file"),
        (["--c-bin", "true", "--", "-mat", "none.mat", "-default_F", "1"], 2, "none.mat"),
        (["--c-bin", "true", "--", *BASE, "--outdir", "x"], 2, "--outdir stands behind --"),
        (["--c-bin", "true", "--threshold", "nan", "--", *BASE], 2, "--threshold is nan"),
        (["--c-bin", "true", "--png-scale", "nan", "--", *BASE], 2, "--png-scale is nan"),
    ],
)
def test_misuse_is_one_line(tilesim, words, status, said, made):
    result = tilesim("nb-compare", *(["--outdir", "out"] if "--outdir" not in words else []), *words)
    assert (result.status, result.out) == (status, "") and said in result.err, result
    assert result.err.count("\n") == 1 and made() == []
