"""The page on refinement: its blocks run as they stand, and find what they say."""

import json
from pathlib import Path

import pytest
from pages import blocks_of, obey
from stills import deviations

import tilesim
from tilesim.kernels import library

pytestmark = pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")
PAGE = Path(__file__).parents[1] / "docs" / "refine.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder in which the blocks ran."""
    made = tmp_path_factory.mktemp("refine")
    blocks = blocks_of(PAGE)
    assert [kind for kind, _ in blocks] == ["sh", "python"]
    obey(blocks, made)
    return made


def test_the_worked_example_comes_back_to_the_truth(folder):
    plain = json.loads((folder / "refined.json").read_text())
    [frame] = plain["frames"]
    assert plain["converged"] and frame["chi_squared"] / frame["pixels"] == pytest.approx(1.0, abs=0.05)
    truth = tilesim.open(folder / "truth.zarr").experiment(0)
    numbers = {one["name"]: one for one in frame["numbers"]}
    assert abs(numbers["crystal.cell.a"]["value"] - 77e-10) < 4 * numbers["crystal.cell.a"]["error"] < 4e-12
    assert abs(numbers["detector.distance"]["value"] + 1e-4) < 4 * numbers["detector.distance"]["error"] < 5e-5
    refined = tilesim.open(folder / "refined.zarr").experiment(0)
    start = tilesim.open(folder / "start.zarr").experiment(0)
    errors = {name: one["error"] for name, one in numbers.items()}
    away = [
        max(map(abs, deviations(tilesim.RefinedFrame(one, frames(numbers), None, 0.0, 0, 0, True), truth).values()))
        for one in (start, refined)
    ]
    assert away[1] < 4.0 < 100.0 < away[0] and min(errors.values()) > 0
    assert (folder / "residuals.png").stat().st_size > 50_000
    assert json.loads((folder / "refined.expt").read_text())["__id__"] == "ExperimentList"


def frames(numbers):
    return tuple(tilesim.RefinedNumber(**one) for one in numbers.values())
