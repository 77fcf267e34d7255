"""What is installed: one version, the files of every room, types that a user's checker sees, two ways to start it."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import tilesim

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

RIGHT = """\
import numpy as np
import tilesim

experiment = tilesim.Experiment(
    beam=tilesim.Beam(direction=(0.0, 0.0, 1.0), wavelength=1e-10),
    crystal=tilesim.Crystal.from_cell(5e-9, 5e-9, 5e-9, cells=(8, 8, 8)),
    detector=tilesim.Detector(tilesim.Panel.facing(distance=0.1, pixel_size=1e-4, shape=(256, 256))),
    factors=tilesim.StructureFactors.constant(100.0),
)
pixels: np.ndarray = tilesim.simulate_now(experiment)
noisy = tilesim.add_noise(tilesim.simulate(experiment), tilesim.Noise())
print(noisy.shape, pixels.sum(), tilesim.__version__.upper())
"""
WRONG = """\
import tilesim
tilesim.Scan(start="0.1")
tilesim.Beem
reveal_type(tilesim.simulate)
"""
FOUND = [
    ("wrong.py", "2", "[arg-type]"),
    ("wrong.py", "3", "[attr-defined]"),
    ("wrong.py", "4", 'dask.array.core.Array"'),
]
# What the public names say is read, not what the largest libraries say: a sixth of the time.
CHECKER = """
[mypy]
strict = true
[mypy-torch.*,triton.*,matplotlib.*,zarr.*,distributed.*,xarray.*,obstore.*,jinja2.*,PIL.*,importlib_metadata.*]
follow_imports = skip
"""


def program(*words):
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)


# --- version


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_both_flags_tell_the_version_of_the_package_and_of_what_it_uses(flag):
    done = program("-m", "tilesim", flag)
    assert (done.returncode, done.stderr) == (0, "")
    said = dict(part.split(" ") for part in done.stdout.strip().split(", "))
    assert said.pop("tilesim") == tilesim.__version__
    assert said == {name: version(name) for name in ("torch", "dask", "zarr", "numpy")}


def test_the_version_is_written_in_one_place():
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "tilesim.__version__"}
    assert version("tilesim") == tilesim.__version__
    assert re.search(r"^## (\d\S*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1] == tilesim.__version__


# --- python -m tilesim


def test_as_a_module_the_program_has_its_name_errors_and_status():
    assert program("-m", "tilesim", "run", "-h").stdout.startswith("Usage: python -m tilesim run ")
    done = program("-m", "tilesim", "info", "nowhere.zarr")
    assert done.returncode == 2
    assert done.stderr.startswith("tilesim: nowhere.zarr") and done.stderr.count("\n") == 1


def test_as_a_module_the_program_imports_what_a_command_needs():
    code = """
import os, runpy, sys
sys.argv = ["tilesim", "-h"]
os._exit = sys.exit
try:
    runpy.run_module("tilesim", run_name="__main__", alter_sys=True)
except SystemExit:
    print([m for m in ("torch", "dask", "zarr", "numpy", "importlib.metadata") if m in sys.modules])
"""
    assert program("-c", code).stdout.splitlines()[-1] == "[]"


def test_the_installed_programs_are_functions_that_are_there():
    for place in PROJECT["project"]["scripts"].values():
        module, _, name = place.partition(":")
        assert callable(getattr(import_module(module), name))


def test_the_program_nb_compare_is_the_command():
    code = "import sys; sys.argv = ['nb-compare', '--help']; from tilesim_cli.main import nb_compare; nb_compare()"
    assert program("-c", code).stdout.startswith("Usage: tilesim nb-compare ")


# --- files


def test_every_room_is_packaged_with_all_its_files():
    packages = set(PROJECT["tool"]["setuptools"]["packages"]) - {"tilesim_cli", "tilesim.pages"}
    files = [path.relative_to(ROOT) for path in (ROOT / "tilesim").rglob("*") if path.is_file()]
    files = [path for path in files if "__pycache__" not in path.parts]
    assert packages == {".".join(path.parent.parts) for path in files if path.name == "__init__.py"}
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    packaged = [f"{package.replace('.', '/')}/{name}" for package, names in patterns.items() for name in names]
    others = [str(path) for path in files if path.suffix != ".py"]
    assert [name for name in others if not any(fnmatch(name, pattern) for pattern in packaged)] == []


# --- types


def test_type_checkers_see_the_public_names():
    seen = {}
    for node in ast.parse((ROOT / "tilesim" / "__init__.pyi").read_text()).body:
        if isinstance(node, ast.ImportFrom):
            seen |= {alias.name: node.module for alias in node.names if alias.asname == alias.name}
    assert seen == tilesim._HOMES | dict.fromkeys(tilesim._MODULES, "tilesim")


def test_a_script_is_checked_against_the_types_of_the_installed_package(tmp_path):
    # On the path of the interpreter, where checkers believe packages with py.typed alone.
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "tilesim").symlink_to(ROOT / "tilesim")
    for name, text in (("right.py", RIGHT), ("wrong.py", WRONG), ("mypy.ini", CHECKER)):
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "right.py", "wrong.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    found = [(*line.split(":")[:2], line.split()[-1]) for line in done.stdout.splitlines()[:-1]]
    assert found == FOUND, done.stdout + done.stderr
