"""The example: the same bytes every time, and structure factors that obey P43212 and Wilson."""

import math
import os
import shlex
import subprocess

import numpy as np
import pytest
from click.testing import CliRunner

from tilesim import example
from tilesim.errors import StoreError
from tilesim.files.matrix import read_matrix
from tilesim.reflections.hkl import read_hkl
from tilesim_cli.example import command


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("example") / "a"
    example.write_example(place)
    return place


@pytest.fixture(scope="module")
def reflections():
    return example.reflection_list()


@pytest.fixture(scope="module")
def grid(reflections):
    """Amplitudes by (h, k, l), negative indices wrapping around."""
    indices, amplitudes = reflections
    table = np.zeros(2 * indices.max(axis=0) + 1)
    table[tuple(indices.T)] = amplitudes
    return table


def test_the_same_bytes_every_time(folder, tmp_path):
    result = CliRunner().invoke(command, [str(tmp_path / "b")], catch_exceptions=False)
    assert result.exit_code == 0 and "run.sh" in result.output
    for name in ("lysozyme.hkl", "A.mat", "run.sh", "README.txt"):
        assert (folder / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_next_command_can_be_pasted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a b", "-c", "d'e"):
        output = CliRunner().invoke(command, ["--", name], catch_exceptions=False).output
        said = output.splitlines()[-1].removeprefix("next: ")
        words = shlex.split(said)
        assert words[0] == "sh" and len(words) == 2
        assert (tmp_path / words[1]).samefile(tmp_path / name / "run.sh") and not words[1].startswith("-")


@pytest.mark.parametrize("cdpath", [None, ".:x"])
def test_the_script_finds_its_input_and_a_relative_program(tmp_path, cdpath):
    example.write_example(tmp_path / "x" / "a b")
    program = tmp_path / "my bin" / "echo"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\npwd\necho "$0" "$1" "$2"\n')
    program.chmod(0o755)
    environment = {"PATH": f"{os.environ['PATH']}:{program.parent}", **({"CDPATH": cdpath} if cdpath else {})}
    for given, as_run in (("my bin/echo", str(program)), (str(program), str(program))):
        done = subprocess.run(
            ["sh", "x/a b/run.sh", given], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines() == [str(tmp_path / "x" / "a b"), f"{as_run} run -hkl"]


def test_existing_files_are_kept_unless_asked(tmp_path):
    (tmp_path / "run.sh").write_text("mine")
    with pytest.raises(StoreError, match=r"run\.sh already.*--overwrite"):
        example.write_example(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["run.sh"]
    example.write_example(tmp_path, overwrite=True)
    assert (tmp_path / "run.sh").read_text().startswith("#!/bin/sh")
    with pytest.raises(StoreError, match="cannot write"):
        example.write_example(tmp_path / "run.sh" / "below")


def test_our_readers_read_it(folder, reflections):
    factors, _ = read_hkl(folder / "lysozyme.hkl")
    indices, amplitudes = reflections
    assert factors.reflections == len(indices)
    np.testing.assert_allclose(factors.grid[tuple((indices - factors.minimum).T)], amplitudes, atol=0.00501)
    stars = np.array(read_matrix(folder / "A.mat")[0]).reshape(3, 3).T / example.WAVELENGTH
    lengths = np.linalg.norm(stars, axis=1)
    assert 1 / lengths == pytest.approx([example.CELL_A, example.CELL_A, example.CELL_C], rel=1e-5)
    assert stars @ stars.T == pytest.approx(np.diag(lengths**2), abs=1e-8)
    assert np.linalg.det(stars) > 0


def test_mates_are_equal_and_listed(reflections, grid):
    indices, amplitudes = reflections
    for rotation, _ in example.OPERATORS:
        for sign in (1, -1):
            mates = sign * indices @ np.array(rotation)
            np.testing.assert_array_equal(grid[tuple(mates.T)], amplitudes)


def test_absences_of_p43212(grid):
    axis = np.arange(1, 21)
    assert not grid[0, 0, axis[axis % 4 != 0]].any() and grid[0, 0, [4, 8, 12, 16, 20]].all()
    assert not grid[axis[axis % 2 != 0], 0, 0].any() and not grid[0, axis[axis % 2 != 0], 0].any()
    assert grid[axis[axis % 2 == 0], 0, 0].all() and grid[axis, axis, 0].all()


def test_the_list_is_complete(reflections):
    indices, _ = reflections
    volume = example.CELL_A**2 * example.CELL_C
    sphere = 4 / 3 * math.pi * volume / example.D_MIN**3
    assert len(indices) == pytest.approx(sphere, rel=0.01)
    assert len(np.unique(indices, axis=0)) == len(indices)


def test_forward_amplitude(grid):
    assert grid[0, 0, 0] == pytest.approx(93_000, rel=0.01)


def test_wilson_statistics(reflections):
    indices, amplitudes = reflections
    star_squared = example._star_squared(indices)
    general = (indices > 0).all(axis=1) & (indices[:, 0] > indices[:, 1]) & (star_squared > 1 / 4**2)
    ratio = amplitudes[general] ** 2 / example.mean_intensity(star_squared[general])
    assert ratio.mean() == pytest.approx(1, abs=0.03)
    # The second moment is 2 for acentric reflections, 3 for centric ones.
    assert (ratio**2).mean() == pytest.approx(2, abs=0.15)
    centric = (indices[:, 2] == 0) & (indices[:, 0] > indices[:, 1]) & (indices[:, 1] > 0) & (star_squared > 1 / 4**2)
    ratio = amplitudes[centric] ** 2 / example.mean_intensity(star_squared[centric])
    assert (ratio**2).mean() / ratio.mean() ** 2 == pytest.approx(3, abs=0.6)


def test_the_wilson_plot_falls_with_b(reflections):
    indices, amplitudes = reflections
    star_squared = example._star_squared(indices)
    # Beyond 3.5 A the solvent is gone.
    general = (indices > 0).all(axis=1) & (indices[:, 0] > indices[:, 1]) & (star_squared > 1 / 3.5**2)
    s2 = star_squared[general] / 4
    atoms = sum(
        8 * count * (c + sum(x * np.exp(-y * s2) for x, y in zip(a, b, strict=True))) ** 2
        for count, _, a, b, c in example.ATOMS
    )
    ratio = amplitudes[general] ** 2 / atoms
    shells = np.array_split(np.argsort(s2), 20)
    points = [(s2[shell].mean(), math.log(ratio[shell].mean())) for shell in shells]
    slope, intercept = np.polyfit(*np.transpose(points), 1)
    assert -slope / 2 == pytest.approx(example.WILSON_B, abs=1.5)
    assert intercept == pytest.approx(0, abs=0.2)


def test_form_factors_start_at_the_electrons():
    for _, electrons, a, _, c in example.ATOMS:
        assert sum(a) + c == pytest.approx(electrons, abs=0.01)


def test_solvent_dips_the_low_angles():
    at = 1 / np.array([40.0, 4.5]) ** 2
    assert np.divide(*example.mean_intensity(at)) < 1


def test_the_work_is_small(folder):
    words = (folder / "run.sh").read_text().replace("\\\n", " ").split()
    names = ("-detpixels_x", "-detpixels_y", "-phisteps", "-mosaic_domains")
    assert math.prod(int(words[words.index(name) + 1]) for name in names) < 60e6
