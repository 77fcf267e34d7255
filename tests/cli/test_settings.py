"""Settings of other programs (zarr, dask, matplotlib, locale) change nothing of images, stores and pictures."""

import json
import os
import subprocess
import sys
from pathlib import Path

import dask
import pytest
import zarr
from commands import BASE
from distribution import QUIET

WORDS = ("run", *BASE, "--zarr", "z.zarr", "-floatfile", "f.bin", "--preview", "p.png", "--quiet")
ELSEWHERE = {
    "ZARR_DEFAULT_ZARR_FORMAT": "2",
    "ZARR_JSON_INDENT": "7",
    "ZARR_ARRAY__ORDER": "F",
    "ZARR_ARRAY__WRITE_EMPTY_CHUNKS": "False",
    "ZARR_ASYNC__CONCURRENCY": "1",
    "ZARR_CODEC_PIPELINE__PATH": "no.such.Pipeline",
    "ZARR_CODECS__BLOSC": "no.such.Codec",
    "BLOSC_CLEVEL": "0",
    "DASK_SCHEDULER": "processes",
    "MPLBACKEND": "no such backend",
    "PYTHONWARNINGS": "error",
    "LC_ALL": "C",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONUTF8": "0",
    "PYTHONIOENCODING": "ascii",
    "OMP_NUM_THREADS": "many",
    "HDF5_USE_FILE_LOCKING": "FALSE",
}
MATPLOTLIBRC = "font.size: 30\naxes.facecolor: red\ntext.usetex: True\nsavefig.dpi: 33\nfont.family: monospace\n"


def contents(folder: Path) -> dict:
    """The bytes of every file below a folder; of the store's root what does not change from run to run."""
    found = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    root = found.pop("z.zarr/zarr.json")
    return found | {"indent": root.splitlines()[1][:3], "format": json.loads(root)["zarr_format"]}


def run(folder, *words, **environment):
    """The program in a process of its own."""
    command = [sys.executable, "-m", "tilesim", *words]
    done = subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return done


def test_settings_for_other_programs_change_no_byte(tilesim, folder, made, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for name in ("A.mat", "P1.hkl"):
        (other / name).write_bytes((folder / name).read_bytes())
    (other / "matplotlibrc").write_text(MATPLOTLIBRC)
    done = run(other, *WORDS, **ELSEWHERE)
    assert (done.returncode, done.stderr) == (0, "")
    (other / "matplotlibrc").unlink()
    assert tilesim(*WORDS).status == 0
    assert contents(other) == contents(folder)


def test_zarrs_own_settings_change_no_layout(tilesim, folder):
    with zarr.config.set({"default_zarr_format": 2, "array.order": "F"}), dask.config.set(scheduler="processes"):
        assert tilesim(*WORDS, "-detpixels", "1100", "--tile", "550").status == 0
        assert tilesim("pyramid", "z.zarr").status == 0
        assert tilesim("noise", "z.zarr", "n.zarr").status == 0
        assert tilesim("verify", "z.zarr").status == tilesim("verify", "n.zarr").status == 0
    assert list(folder.rglob(".z*")) == [] and (folder / "z.zarr/1/intensity/zarr.json").is_file()


@pytest.mark.filterwarnings(*QUIET)
@pytest.mark.parametrize("words", [("--zarr", "z.zarr"), ("-floatfile", "f.bin", "--workers", "1")])
def test_a_malformed_file_of_settings_is_one_line(folder, tmp_path_factory, words):
    home = tmp_path_factory.mktemp("home")
    for name in ("zarr", "dask"):
        (home / name).mkdir()
        (home / name / "mine.yaml").write_text("{")
    files = {"ZARR_CONFIG": str(home / "zarr"), "DASK_CONFIG": str(home / "dask")}
    done = run(folder, "run", *BASE, *words, "--quiet", **files)
    [line] = done.stderr.splitlines()
    assert done.returncode == 1 and "mine.yaml' is malformed" in line


def test_a_name_that_standard_output_cannot_print_is_escaped(folder):
    done = run(folder, "plan", *BASE, "-floatfile", "α\udcff.bin", PYTHONIOENCODING="latin-1")
    assert done.returncode == 0 and r"\u03b1\udcff.bin" in done.stdout


def test_a_level_that_is_none_is_named(tilesim, made, monkeypatch):
    monkeypatch.setenv("TILESIM_LEVEL", "x86-64-v5")
    result = tilesim(*WORDS)
    assert result.status == 2 and made() == []
    assert result.err.startswith(
        "tilesim: the environment has TILESIM_LEVEL=x86-64-v5; expected one of native, x86-64,"
    )


@pytest.mark.parametrize("value", ["x", "0", "-1", "1.5", ""])
def test_a_setting_that_zarr_could_not_run_with_is_named(tilesim, made, monkeypatch, value):
    monkeypatch.setenv("ZARR_ASYNC__CONCURRENCY", value)
    result = tilesim(*WORDS)
    assert result.status == 2 and made() == []
    assert result.err == (
        f"tilesim: the environment has ZARR_ASYNC__CONCURRENCY={value}; expected a whole number of at least 1\n"
    )
