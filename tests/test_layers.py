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
    "files": {"errors", "model", "tiling"},
    "geometry": {"errors", "model", "physics"},
    "compute": {"errors", "model", "tiling"},
    "store": {"errors", "model", "tiling", "files", "geometry"},
    "reflections": {"errors", "model", "files", "tiling"},
    "instruments": {"errors", "model", "files"},
    "spectra": {"errors", "model", "files", "physics", "instruments"},
    "images": {"errors", "model", "files", "geometry", "tiling", "store", "instruments"},
    "kernels": {"errors", "model", "physics", "tiling", "compute"},
    "pictures": {"errors", "model", "files", "geometry"},
    "example": {"errors", "model", "files"},
    "engine": {"errors", "model", "tiling", "files", "store", "compute", "kernels", "physics", "gradients"},
}
"""Rooms that each may import besides itself."""
ALLOWED["gradients"] = {"errors", "model", "tiling", "compute", "kernels", "physics"}
ALLOWED["nanobragg"] = {"errors", "model", "files", "geometry", "images", "instruments", "reflections", "physics"}
ALLOWED["nanobragg"] |= {"kernels", "compute", "tiling", "spectra"}
ALLOWED["series"] = {*ALLOWED} - {"example"}
ALLOWED["refinement"] = {*ALLOWED} - {"example"}
ALLOWED["tools"] = {*ALLOWED}
ALLOWED["torch"] = {"errors", "model", "gradients", "engine"}
HEAVY = {
    "torch": {"physics", "kernels", "gradients", "engine", "series", "nanobragg", "tools", "spectra", "torch"},
    "dask": {"engine", "tools", "images"},
    "distributed": {"engine", "series", "tools"},
    "zarr": {"store"},
    "obstore": {"store"},
    "gemmi": {"reflections"},
    "fabio": {"images"},
    "h5py": {"images", "instruments"},
    "hdf5plugin": {"images"},
    "tifffile": {"images"},
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
    if part in ("__init__", "__main__"):
        return
    allowed = {part, "frozen", *ALLOWED.get(part, ())}
    for line, (top, *rest) in imports(path):
        where = f"{path.relative_to(ROOT)}:{line}"
        if top == "tilesim" and rest:
            assert rest[0] in allowed, f"{where}: {part} may not import {rest[0]}"
        assert top != "tilesim_cli", f"{where}: nothing in tilesim may import the command line"
        if top in HEAVY:
            assert part in HEAVY[top], f"{where}: {part} may not import {top}"


def test_no_two_classes_have_one_name():
    homes = {}
    for path in [*(ROOT / "tilesim").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name.lstrip("_"), []).append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert homes["Experiment"]
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}


def rooms():
    found = {p.name for p in (ROOT / "tilesim").iterdir() if (p / "__init__.py").exists()}
    return sorted(found | {"compute", "example", "torch"})


@pytest.mark.parametrize("room", rooms())
def test_the_architecture_page_lists_every_room_and_what_it_may_import(room):
    import re

    rows = re.findall(r"^\| `(\w+)(?:/|\.py)`.* \| (.*) \|$", (ROOT / "docs" / "architecture.md").read_text(), re.M)
    said = dict(rows)[room]
    known = {*ALLOWED, room} - {"errors", "torch"}  # physics says that it imports torch itself
    if said.startswith("everything"):
        listed = known - {name.strip("` ") for name in said.removeprefix("everything but").split(",")}
    else:
        listed = {name for name in re.findall(r"\w+", said) if name in known}
    assert ALLOWED[room] - {"errors", room, "example"} == listed - {room, "example"}


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


def test_tables_of_reflections_are_made_without_torch():
    code = "import sys, tilesim.tools.truth, tilesim.tools.partiality; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


NOT_FOR_A_PLAIN_RUN = (
    *("torch", "distributed", "dask", "zarr", "matplotlib", "rich", "h5py"),
    # Modules of Python that cost half a millisecond or more each, with what they import.
    *("decimal", "difflib", "gzip", "html", "random", "shutil", "statistics", "subprocess", "tempfile", "tomllib"),
)


def test_a_run_in_this_process_does_without_what_it_does_not_need(tmp_path):
    code = f"""
import sys
from tilesim_cli import main as program
program._leave = lambda status: print([m for m in {NOT_FOR_A_PLAIN_RUN} if m in sys.modules])
sys.argv = "tilesim run -default_F 1 -cell 50 50 50 90 90 90 -N 2 -detpixels 8 -distance 100 --quiet".split()
program.main()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr


def test_nouns_are_made_by_frozen():
    for path in [*(ROOT / "tilesim").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]:
        if path.parent.name != "physics":  # which knows torch and numpy only
            assert "@dataclass(frozen=True" not in path.read_text(), f"{path.name}: expected tilesim.frozen"


def test_physics_modules_import_torch_or_numpy_and_each_other_only():
    for path in (ROOT / "tilesim" / "physics").glob("*.py"):
        for line, (top, *rest) in imports(path):
            known = top in sys.stdlib_module_names or top in ("torch", "numpy")
            known = known or [top, *rest[:1]] == ["tilesim", "physics"]
            assert known, f"{path.name}:{line} imports {top}"
