"""Crystals beyond nanoBragg's flags on the command line: computed, stored exactly, shown, computed again."""

import json

import numpy as np
import pytest
import zarr
from commands import BASE, CRYSTAL

import tilesim as library

FLAGS = (*CRYSTAL, *"-lambda 1.5 -distance 100 -pixel 1 -detpixels 12 -oversample 1 -nointerpolate".split())
ORIENTED = ("--crystal-shape", "gauss-hkl", "--ncells", "3.5,4,2.5,0.3,-0.2,0.1")


MANY = (
    *("--ncells", "3.5,4,2.5", "--mosaic-sigma", "0.5,1,2", "--mosaic-frame", "crystal", "-mosaic_domains", "4"),
    *("-phi", "10", "-osc", "2", "-phisteps", "2", "--domain-sizes", "lognormal:0.3:2", "--lattices", "two.txt"),
    *("--diffuse-gamma", "20", "--diffuse-sigma", "0.4", "--diffuse-stencil", "0", "--crystal-size", "20,10,5"),
)


@pytest.mark.parametrize("options", [ORIENTED, ("--ncells", "3.5"), MANY])
def test_a_store_says_exactly_what_was_simulated(tilesim, folder, options):
    (folder / "two.txt").write_text("0.6 0 0 0\n0.4 10 20 30\n")
    done = tilesim("run", *FLAGS, *options, "--zarr", "a.zarr", "--backend", "eager")
    assert done.status == 0, done.err
    wanted = library.from_nanobragg([*FLAGS, *options])
    data = library.open(folder / "a.zarr")
    assert data.experiment(0) == wanted and data.experiment(0).digest == wanted.digest
    image = library.simulate_now(wanted, backend="eager")
    assert image.max() > 0
    np.testing.assert_array_equal(data.image(0), image)
    assert tilesim("run", *FLAGS, *options, "--zarr", "a.zarr", "--backend", "eager", "--resume").status == 0
    assert tilesim("rerun", "a.zarr", "--exact").status == 0
    assert "3.5 x " in tilesim("info", "a.zarr", "--frame", "0").out
    assert tilesim("trace", "--pixel", "3", "4", "a.zarr").status == 0
    plain = json.loads(tilesim("info", "a.zarr", "--json").out)
    assert plain["experiments"]


def test_a_grid_of_a_batch_varies_them(tilesim, folder):
    text = f"""flags = "{" ".join(FLAGS)}"
zarr = "b.zarr"
crystal_shape = "gauss-hkl"
[grid]
ncells = [[3, 3, 3, 0, 0, 0], [3.5, 4, 2.5, 0.3, -0.2, 0.1]]
crystal_size = [2.5, [5, 4, 3]]
"""
    (folder / "b.toml").write_text(text)
    done = tilesim("batch", "b.toml", "--backend", "eager")
    assert done.status == 0, done.err
    data = library.open(folder / "b.zarr")
    expected = library.from_nanobragg([*FLAGS, *ORIENTED, "--crystal-size", "5,4,3"]).crystal
    assert data.experiment(3).crystal == expected
    blocks = [data.experiment(n).crystal.blocks for n in range(4)]
    np.testing.assert_allclose(zarr.open_group(folder / "b.zarr", mode="r")["0/blocks"], blocks, rtol=1e-9)
    assert len(set(blocks)) == 4
    first, second = np.asarray(data.image(0)), np.asarray(data.image(3))
    assert not np.array_equal(first, second) and first.max() > 0


def test_a_plan_says_that_blocks_cost_nothing(tilesim):
    done = tilesim("plan", *FLAGS, "-N", "3", "--crystal-size", "2", "--backend", "eager")
    assert done.status == 0, done.err
    assert " mosaic blocks, computed as one" in done.out


def test_a_contradiction_leaves_nothing_behind(tilesim, made):
    done = tilesim("run", *BASE, "--ncells", "4", "--zarr", "a.zarr")
    assert done.status == 2 and made() == []
    assert done.err == "tilesim: --ncells and -N, -Na, -Nb or -Nc; expected one of them\n"


def test_every_lattice_is_an_experiment_of_dials_and_seen_by_a_preview(tilesim, folder):
    (folder / "two.txt").write_text("0.6 0 0 0\n0.4 10 20 30\n")
    assert tilesim("run", *FLAGS, "-N", "3", "--lattices", "two.txt", "--zarr", "a.zarr", "--quiet").status == 0
    assert tilesim("export", "a.zarr", "a.expt").status == 0
    plain = json.loads((folder / "a.expt").read_text())
    assert [one["crystal"] for one in plain["experiment"]] == [0, 1] and len(plain["crystal"]) == 2
    assert plain["crystal"][0]["real_space_a"] != plain["crystal"][1]["real_space_a"]
    done = tilesim("preview", "a.zarr", "a.png", "--spots", "5")
    assert done.status == 0, done.err
    assert "lattices" in tilesim("info", "a.zarr", "--frame", "0").out


def test_an_output_does_not_take_the_place_of_a_file_that_is_read(tilesim, folder, made):
    (folder / "two.txt").write_text("1 0 0 0\n")
    done = tilesim("run", *FLAGS, "-N", "3", "--lattices", "two.txt", "-floatfile", "two.txt")
    assert done.status == 2 and "--lattices" in done.err and (folder / "two.txt").read_text() == "1 0 0 0\n"


def test_lattices_and_spread_vary_in_a_series(tmp_path):
    base = library.from_nanobragg("-cell 31 42 53 80 85 95 -default_F 1 -detpixels 6 -pixel 10 -N 3 -oversample 1")
    crystal = base.crystal
    turned = crystal.rotated((0, 0, 1), 0.3)
    spread = [library.MosaicSpread(0.01, 2), library.MosaicSpread(0.02, 4), None]
    frames = [
        base.replace(crystal=crystal.replace(mosaic_spread=one), other_crystals=(turned,) * n)
        for n, one in enumerate(spread)
    ]
    series = library.Series.of(frames)
    assert list(series) == frames
    library.run(series, store=tmp_path / "s.zarr", backend="eager")
    assert list(library.open(tmp_path / "s.zarr").series) == frames
