"""The wheel: where there is no compiler its kernels run all the same, and give the bytes of this checkout."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import BASE, MATRIX, REFLECTIONS

from tilesim.engine.backend import NO_FMA
from tilesim.kernels import compiling, levels, library

pytestmark = pytest.mark.skipif(not levels.is_x86() or library.compiler() is None, reason="no compiler for x86-64")
ROOT = Path(__file__).parents[1]
PARTS = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "tilesim", "cli", "docs")
LEVEL = next((level for level in levels.levels_here() if level != "x86-64-v4"), None)
"""One for all processors of today: a second one takes as long again."""
BUILD = """
import sys
from setuptools import build_meta
from tilesim.kernels import compiling
compiling.LIBRARIES = (compiling.IMAGE, compiling.FACTORS)  # the third takes longer than all else
build_meta.build_wheel(sys.argv[1])
"""


def done(*words, **options):
    found = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False, **options)
    assert found.returncode == 0, found.stderr
    return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A function that runs the program of an environment with the wheel, whose other packages are those of this one."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, source / part)
    done(sys.executable, "-c", BUILD, folder, cwd=source, env={**os.environ, "TILESIM_WHEEL_LEVELS": LEVEL})
    [wheel] = folder.glob("*.whl")
    assert wheel.name.startswith("tilesim-") and wheel.name.endswith(f"-py3-none-linux_{os.uname().machine}.whl")
    done(sys.executable, "-m", "venv", "--without-pip", folder / "env")
    python = folder / "env" / "bin" / "python"
    done(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    [packages] = folder.glob("env/lib/python3*/site-packages")
    (packages / "others.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")))
    (folder / "bin").mkdir()
    (folder / "A.mat").write_text(MATRIX)
    (folder / "P1.hkl").write_text(REFLECTIONS)
    bare = {"PATH": str(folder / "bin"), "HOME": str(folder), "TILESIM_CACHE": str(folder / "cache")}

    def run(*words, program="tilesim"):
        return done(python.with_name(program), *words, cwd=folder, env=bare)

    return folder, run


def test_without_a_compiler_the_kernel_is_fused_and_the_bytes_are_the_same(installed, tmp_path):
    folder, run = installed
    said = run("run", *BASE, "-floatfile", "image.bin", "--json", "report.json", "--quiet")
    assert said.stderr == "" and not (folder / "cache").exists()
    assert json.loads((folder / "report.json").read_text())["backend"] == ("fused" if LEVEL.endswith("v3") else NO_FMA)
    if LEVEL.endswith("v3"):
        words = ["run", *BASE, "-floatfile", tmp_path / "image.bin", "--backend", "fused", "--quiet"]
        done(sys.executable, "-m", "tilesim", *words, cwd=folder)
        assert (folder / "image.bin").read_bytes() == (tmp_path / "image.bin").read_bytes()


def test_other_libraries_are_taken_from_the_package_too(installed):
    code = "from tilesim.kernels import library; print(library.load('factors')._name)"
    said = installed[1]("-c", code, program="python").stdout
    assert said.endswith(f"/compiled/{compiling.name_of(compiling.FACTORS, LEVEL)}\n")


def test_pages_that_messages_name_are_there(installed):
    assert installed[1]("help", "docs/spectra.md").stdout == (ROOT / "docs" / "spectra.md").read_text()
