"""Arrows point down only: which part of tilesim may import which (docs/architecture.md)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "errors": set(),
    "model": {"errors"},
    "physics": set(),
    "tiling": {"errors", "model"},
    "io": {"errors", "model", "tiling"},
    "store": {"errors", "model", "tiling", "io"},
    "formats": {"errors", "model", "io", "tiling", "store"},
    "compute": {"errors", "model", "tiling"},
    "kernels": {"errors", "model", "physics", "tiling", "compute"},
    "preview": {"errors", "model", "io"},
    "example": {"errors", "model", "io"},
    "nanobragg": {"errors", "model", "io", "physics", "formats"},
    "engine": {"errors", "model", "tiling", "io", "store", "compute", "kernels", "physics"},
}
ALLOWED["nanobragg"] |= {"kernels", "compute", "tiling"}
ALLOWED["series"] = {*ALLOWED, "series"} - {"example"}
ALLOWED["tools"] = set(ALLOWED) | {"tools"}
HEAVY = {
    "torch": {"physics", "kernels", "engine", "series", "nanobragg", "tools"},
    "dask": {"engine", "tools", "formats"},
    "distributed": {"engine", "series"},
    "zarr": {"store"},
    "obstore": {"store"},
    "gemmi": {"formats"},
    "fabio": {"formats"},
    "h5py": {"formats"},
    "hdf5plugin": {"formats"},
    "tifffile": {"formats"},
    "click": set(),
}


def imports(path: Path):
    """Top module names, and parts of tilesim, that a file imports anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module] if node.module != "tilesim" else [f"tilesim.{a.name}" for a in node.names]
        else:
            continue
        for name in names:
            yield node.lineno, name.split(".")


def part_of(path: Path) -> str:
    return path.relative_to(ROOT / "tilesim").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted((ROOT / "tilesim").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_what_lies_below_it(path):
    part = part_of(path)
    if part == "__init__":
        return
    for line, (top, *rest) in imports(path):
        where = f"{path.relative_to(ROOT)}:{line}"
        if top == "tilesim" and rest:
            assert rest[0] == part or rest[0] in ALLOWED[part], f"{where}: {part} may not import {rest[0]}"
        assert top != "tilesim_cli", f"{where}: nothing in tilesim may import the command line"
        if top in HEAVY:
            assert part in HEAVY[top], f"{where}: {part} may not import {top}"


def test_no_public_name_is_shadowed_by_a_module():
    import importlib

    import tilesim

    for name in tilesim.__all__:
        assert not (ROOT / "tilesim" / f"{name}.py").exists() and not (ROOT / "tilesim" / name).exists()
        home = importlib.import_module(tilesim._HOMES[name])
        assert getattr(tilesim, name) is getattr(home, name)


def test_importing_tilesim_imports_neither_torch_nor_dask():
    code = "import sys, tilesim; tilesim.Experiment; print([m for m in ('torch', 'dask', 'zarr') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_run_in_this_process_does_without_distributed_and_zarr(tmp_path):
    code = """
import sys
from tilesim_cli import main as program
program._leave = lambda status: print([m for m in ("distributed", "dask", "zarr") if m in sys.modules])
sys.argv = "tilesim run -default_F 1 -cell 50 50 50 90 90 90 -N 2 -detpixels 8 -distance 100 --quiet".split()
program.main()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr


def test_physics_modules_import_torch_or_numpy_and_each_other_only():
    for path in (ROOT / "tilesim" / "physics").glob("*.py"):
        for line, (top, *rest) in imports(path):
            known = top in sys.stdlib_module_names or top in ("torch", "numpy")
            known = known or [top, *rest[:1]] == ["tilesim", "physics"]
            assert known, f"{path.name}:{line} imports {top}"
