"""Crystals beyond nanoBragg's flags on the command line: computed, stored exactly, shown, computed again."""

import json

import numpy as np
import pytest
from commands import BASE, CRYSTAL

import tilesim as library

FLAGS = (*CRYSTAL, *"-lambda 1.5 -distance 100 -pixel 1 -detpixels 12 -oversample 1 -nointerpolate".split())
ORIENTED = ("--crystal-shape", "gauss-hkl", "--ncells", "3.5,4,2.5,0.3,-0.2,0.1")


@pytest.mark.parametrize("options", [ORIENTED, ("--ncells", "3.5")])
def test_a_store_says_exactly_what_was_simulated(tilesim, folder, options):
    done = tilesim("run", *FLAGS, *options, "--zarr", "a.zarr", "--backend", "eager")
    assert done.status == 0, done.err
    wanted = library.from_nanobragg([*FLAGS, *options])
    data = library.open(folder / "a.zarr")
    assert data.experiment(0).crystal == wanted.crystal and data.experiment(0).digest == wanted.digest
    image = library.simulate_now(wanted, backend="eager")
    assert image.max() > 0
    np.testing.assert_array_equal(data.image(0), image)
    assert tilesim("run", *FLAGS, *options, "--zarr", "a.zarr", "--backend", "eager", "--resume").status == 0
    assert tilesim("rerun", "a.zarr", "--exact").status == 0
    assert "3.5 x " in tilesim("info", "a.zarr", "--frame", "0").out
    plain = json.loads(tilesim("info", "a.zarr", "--json").out)
    assert plain["experiments"]


def test_a_grid_of_a_batch_varies_them(tilesim, folder):
    text = f"""flags = "{" ".join(FLAGS)}"
zarr = "b.zarr"
crystal_shape = "gauss-hkl"
[grid]
ncells = [[3, 3, 3, 0, 0, 0], [3.5, 4, 2.5, 0.3, -0.2, 0.1]]
"""
    (folder / "b.toml").write_text(text)
    done = tilesim("batch", "b.toml", "--backend", "eager")
    assert done.status == 0, done.err
    data = library.open(folder / "b.zarr")
    assert data.experiment(1).crystal == library.from_nanobragg([*FLAGS, *ORIENTED]).crystal
    first, second = np.asarray(data.image(0)), np.asarray(data.image(1))
    assert not np.array_equal(first, second) and first.max() > 0


def test_a_contradiction_leaves_nothing_behind(tilesim, made):
    done = tilesim("run", *BASE, "--ncells", "4", "--zarr", "a.zarr")
    assert done.status == 2 and made() == []
    assert done.err == "tilesim: --ncells and -N, -Na, -Nb or -Nc; expected one of them\n"
