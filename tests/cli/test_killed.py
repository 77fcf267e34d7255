"""A batch of drawn shots whose process is killed in the middle, and what --resume makes of it."""

import json
import signal
from pathlib import Path

from commands import BASE, LIMIT

import tilesim as api

SHOTS = f"""
flags = "{" ".join(BASE)}"
zarr = "%s.zarr"
floatfile = "%s_{{frame}}.bin"
shots = 5
[draw]
seed = 3
orientation = "uniform"
size = {{ distribution = "lognormal", sigma = 0.3 }}
energy = {{ distribution = "normal", sd = 50 }}
fluence = {{ distribution = "gamma", sd = 0.4, relative = true }}
lattices = {{ distribution = "poisson", mean = 1.5 }}
"""
KILLED = """
import os, signal
from tilesim.store import store
write, written = store.Store.write, []

def killed(self, *how):
    write(self, *how)
    written.append(how)
    if len(written) == {after}:
        os.kill(os.getpid(), signal.SIGKILL)

store.Store.write = killed
"""
"""Ends the process, without a chance to tidy up, once so many tiles are written."""


def contents(folder):
    """The bytes of all objects of a store but its own attributes, which have the time of the run."""
    files = (path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path != Path(folder, "zarr.json")}


def test_a_drawn_series_that_was_killed_and_resumed_has_the_bytes_of_an_undisturbed_one(folder, tilesim, process):
    for name in ("whole", "killed"):
        (folder / f"{name}.toml").write_text(SHOTS.replace("%s", name))
    options = ("--tile", 6, "--truth", "--quiet")
    assert tilesim("batch", "whole.toml", *options).status == 0
    child = process("batch", "killed.toml", *map(str, options), first=KILLED.format(after=2))
    child.communicate(timeout=LIMIT)
    assert child.returncode == -signal.SIGKILL
    tiles = [name for name in contents("killed.zarr") if name.startswith("0/intensity/c/")]
    wanted = contents("whole.zarr")
    assert 2 == len(tiles) < len([name for name in wanted if name.startswith("0/intensity/c/")])
    assert not list(folder.glob("killed_*.bin"))
    assert tilesim("verify", "killed.zarr").status == 1
    assert tilesim("batch", "killed.toml", *options).status == 2  # it says --resume
    done = tilesim("batch", "killed.toml", *options, "--resume", "--json", "j.json")
    assert done.status == 0 and json.loads((folder / "j.json").read_text())["frames"]
    found = contents("killed.zarr")
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if found[name] != wanted[name]] == []
    assert max(api.open("whole.zarr").image(k).max().compute() for k in range(5)) > 0
    for k in range(5):
        assert (folder / f"killed_{k}.bin").read_bytes() == (folder / f"whole_{k}.bin").read_bytes()
    assert tilesim("verify", "killed.zarr").status == 0
