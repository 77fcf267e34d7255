"""Parity with the reference program: every stored image, in both precisions and both modes."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tilesim.engine.backend import resolve_device
from tilesim.engine.job import make_job
from tilesim.kernels import library
from tilesim.nanobragg.resolve import read_command
from tilesim.series.direct import render
from tilesim.series.frames import frames_of_command

HERE = Path(__file__).parent
CASES = {c["name"]: c for c in json.loads((HERE / "cases.json").read_text())}
CORRECTED = {c["name"]: c for c in json.loads((HERE / "corrected" / "cases.json").read_text())}
FLAGS = {"intfile": "int_file", "pgmfile": "pgm_file", "noisefile": "noise_file"}


def lysozyme() -> Path | None:
    """The folder of the real data set, where there is one."""
    places = (os.environ.get("TILESIM_LYSOZYME"), HERE.parents[2] / "shared" / "lysozyme")
    return next((Path(p) for p in places if p and (Path(p) / "scaled.hkl").exists()), None)


def metric(image, reference) -> float:
    """The golden metric: relative to the pixel, or to a millionth of the maximum where that is more."""
    reference = reference.astype(np.float64)
    floor = 1e-6 * np.abs(reference).max()
    return float((np.abs(image - reference) / np.maximum(np.maximum(np.abs(reference), floor), 1e-300)).max())


def stored(folder: Path, case: dict):
    """The reference image of a case."""
    values = np.load(folder / case["outputs"]["floatfile"])
    return values["image"] if hasattr(values, "files") else values


def run_case(case: dict, folder: Path, tmp_path: Path, monkeypatch, kernel, *, strict_c: bool, precision: str):
    """Run a case's flags in a folder of its own; the command, and its float image as read back."""
    for name in case["inputs"]:
        source = lysozyme() / Path(name).name if "lysozyme" in name else HERE / "inputs" / Path(name).name
        shutil.copy(source, tmp_path)
    monkeypatch.chdir(tmp_path)
    command = read_command(["-floatfile", "out.bin", *case["args"]], strict_c)
    render(frames_of_command(command)[0], make_job(command.experiment, None, precision, *kernel))
    image = np.fromfile("out.bin", "<f4").reshape(case["shape"])
    if "region" in case:
        slow0, slow1, fast0, fast1 = case["region"]
        image = image[slow0:slow1, fast0:fast1]
    return command, image


@pytest.fixture(params=["cpu eager", "cpu fused", pytest.param("cuda fused", marks=pytest.mark.gpu)])
def kernel(request):
    """Device and backend."""
    device, backend = request.param.split()
    if device == "cuda" and resolve_device("auto") == "cpu":
        pytest.skip("no CUDA device")
    if (device, backend) == ("cpu", "fused") and library.compiler() is None:
        pytest.skip("no C++ compiler")
    return device, backend


def skip_without_data(case: dict) -> None:
    if any("lysozyme" in name for name in case["inputs"]) and lysozyme() is None:
        pytest.skip("needs the lysozyme data set (TILESIM_LYSOZYME)")


def check_stored_files(case: dict, command, tmp_path: Path) -> None:
    for kind, field in FLAGS.items():
        if kind in case["outputs"]:
            made = (tmp_path / getattr(command.outputs, field)).read_bytes()
            assert made == (HERE / case["outputs"][kind]).read_bytes(), kind


@pytest.mark.parametrize("precision, limit", [("mixed", 1e-5), ("double", 1e-6)])
@pytest.mark.parametrize("name", [n for n in CASES if n != "flagship_full"])
def test_strict_images_are_those_of_the_reference(name, precision, limit, tmp_path, monkeypatch, kernel):
    case = CASES[name]
    skip_without_data(case)
    command, image = run_case(case, HERE, tmp_path, monkeypatch, kernel, strict_c=True, precision=precision)
    assert metric(image, stored(HERE, case)) <= limit
    check_stored_files(case, command, tmp_path)


# K8 gives these two command lines another meaning: the one that this order of their flags has in both modes.
REORDERED = {
    "twotheta_axis_order": ("-twotheta 15 -twotheta_axis 3 0.8 0.6", "-twotheta_axis 3 0.8 0.6 -twotheta 15"),
    "misset_seed_order": ("-misset random -misset_seed 40", "-misset_seed 40 -misset random"),
}


@pytest.mark.parametrize("name", [n for n in CASES if n != "flagship_full" and n not in REORDERED])
def test_default_images_are_the_corrected_ones(name, tmp_path, monkeypatch, kernel):
    case, folder = (CORRECTED[name], HERE / "corrected") if name in CORRECTED else (CASES[name], HERE)
    skip_without_data(case)
    _, image = run_case(case, folder, tmp_path, monkeypatch, kernel, strict_c=False, precision="mixed")
    assert metric(image, stored(folder, case)) <= 1e-5


@pytest.mark.parametrize("name", REORDERED)
def test_one_flag_no_longer_sets_another(name, tmp_path, monkeypatch, kernel):
    case, (written, meant) = CASES[name], REORDERED[name]
    clear = {**case, "args": " ".join(case["args"]).replace(written, meant).split()}
    assert clear["args"] != case["args"]
    command, image = run_case(case, HERE, tmp_path, monkeypatch, kernel, strict_c=False, precision="mixed")
    _, expected = run_case(clear, HERE, tmp_path, monkeypatch, kernel, strict_c=True, precision="mixed")
    assert "K8" in command.corrections
    assert metric(image, expected) <= 1e-5


def test_the_whole_lysozyme_frame_has_the_reference_statistics(tmp_path, monkeypatch, kernel):
    case = CASES["flagship_full"]
    skip_without_data(case)
    _, image = run_case(case, HERE, tmp_path, monkeypatch, kernel, strict_c=True, precision="mixed")
    wide, stats = image.astype(np.float64), case["stats"]
    assert wide.max() == pytest.approx(stats["max"], rel=1e-5)
    assert wide.sum() == pytest.approx(stats["sum"], rel=1e-5)
    assert np.sqrt((wide * wide).mean()) == pytest.approx(stats["rms"], rel=1e-5)
    assert int((image > 0).sum()) == stats["count_positive"]
    for slow, fast, value in stats["brightest"]:
        assert image[slow, fast] == pytest.approx(value, rel=1e-5)
