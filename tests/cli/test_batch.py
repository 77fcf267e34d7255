"""`tilesim batch` as users have it: grids, lists, series, stores by shape, and what becomes of failures."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from commands import BASE
from distribution import QUIET

import tilesim as api

pytestmark = [pytest.mark.filterwarnings(*QUIET)]
COMMON = f'flags = "{" ".join(BASE)}"\n'
GRID = f"""{COMMON}
zarr = "b.zarr"
floatfile = "b{{frame}}.bin"
[grid]
lambda = [1.5, 1.4]
misset = [[0, 0, 0], [1, 2, 3]]
"""


@pytest.fixture
def batch(tilesim, folder):
    """`batch(text, ...)` runs a file with that text."""

    def run(text, *words):
        (folder / "b.toml").write_text(text)
        return tilesim("batch", "b.toml", *words)

    return run


def test_every_frame_is_the_image_of_its_flags(batch, tilesim, folder, made):
    result = batch(GRID)
    assert result.status == 0 and result.note == []
    assert len([line for line in result.out.splitlines() if line.startswith("frame ")]) == 4
    assert made() == ["b.toml", "b.zarr", "b0.bin", "b1.bin", "b2.bin", "b3.bin"]
    tilesim("run", *BASE, *"-lambda 1.4 -misset 1 2 3 -floatfile one.bin".split())
    assert (folder / "one.bin").read_bytes() == (folder / "b3.bin").read_bytes()


def test_workers_make_the_same_files(batch, folder):
    pytest.importorskip("distributed")
    batch(GRID)
    alone = {n: (folder / f"b{n}.bin").read_bytes() for n in range(4)}
    assert batch(GRID, "--workers", "2", "--overwrite", "--tile", "5").status == 0
    assert {n: (folder / f"b{n}.bin").read_bytes() for n in range(4)} == alone


def test_the_store_has_frames_and_their_parameters(batch, folder):
    xarray = pytest.importorskip("xarray")
    batch(GRID + '[[experiment]]\nname = "a"\n[[experiment]]\nname = "b"\nframes = 2\nframe_osc = 1\n')
    with xarray.open_zarr(folder / "b.zarr", group="0") as store:
        assert store.intensity.shape == (12, 12, 12)
        assert store.wavelength.values.tolist() == [1.5, 1.5, 1.4, 1.4] + [1.5] * 4 + [1.4] * 4
        assert store.wavelength.attrs["units"] == "angstrom" and store.orientation.shape == (12, 9)
        assert store.phi.values.tolist() == [0] * 4 + [0, 1] * 4
        assert store["name"].values.tolist() == ["a"] * 4 + ["b"] * 8
        for frame in (0, 5, 11):
            pixels = np.fromfile(folder / f"b{frame}.bin", "<f4").reshape(12, 12)
            np.testing.assert_array_equal(store.intensity[frame], pixels)
            assert float(store.max_I[frame]) == pixels.max()


def test_other_shapes_go_to_other_stores(batch, made):
    result = batch(COMMON + 'zarr = "b.zarr"\n[grid]\ndetpixels = [12, 8]\n', "--json", "j.json")
    assert result.status == 0
    assert made() == ["b-12x12.zarr", "b-8x8.zarr", "b.toml", "j.json"]


def test_stores_are_named_by_their_shape_alone(batch, made):
    text = COMMON + 'zarr = "b.zarr"\n[[experiment]]\ndetpixels_y = 12\ndetpixels_x = 12\n'
    text += "[[experiment]]\ndetpixels_y = 12\ndetpixels_x = 1\n[[experiment]]\npixel = 2\n"
    assert batch(text).status == 0
    assert made() == ["b-12x1.zarr", "b-12x12-2.zarr", "b-12x12.zarr", "b.toml"]


def test_the_note_of_a_batch_names_the_edge_of_the_table_too(batch):
    near = COMMON.replace("-nointerpolate", "-interpolate").replace("-N 3", "-N 2")
    assert "K3" in batch(near + 'zarr = "b.zarr"\n').note


def test_an_experiment_that_cannot_be_read_ends_the_batch_before_it_begins(batch, made):
    text = COMMON + 'floatfile = "b{frame}.bin"\n[[experiment]]\n[[experiment]]\nname = "odd"\nhkl = "none.hkl"\n'
    result = batch(text, "--quiet")
    assert result.status == 2
    assert result.err.startswith("tilesim: b.toml, experiment 2 of 2 (odd): cannot read none.hkl")
    assert made() == ["b.toml"]
    result = batch(text, "--keep-going", "--json", "j.json")
    assert result.status == 1 and "experiment 2 of 2 (odd): cannot read none.hkl" in result.err
    assert made() == ["b.toml", "b0.bin", "j.json"]
    account = json.loads(Path("j.json").read_text())
    assert not account["complete"]
    assert [(one["frame"], one["what"]) for one in account["missing"]] == [(1, "experiment")]


def test_a_frame_with_a_failing_tile_is_told_and_the_others_are_done(batch, tilesim, made, monkeypatch):
    from tilesim.engine import lowered

    compute = lowered.simulate_frames

    def failing(kernels, tile):
        if tile.frame == 2 and tile.slow_start == 5:
            raise MemoryError("no room")
        return compute(kernels, tile)

    with monkeypatch.context() as patched:
        patched.setattr(lowered, "simulate_frames", failing)
        result = batch(GRID, "--tile", "5x12", "--json", "j.json")
    assert result.status == 1
    assert "frame 2: tile frame 2 panel 0 slow 5:10 fast 0:12: MemoryError: no room" in result.err
    assert [name for name in made() if name.endswith(".bin")] == ["b0.bin", "b1.bin", "b3.bin"]
    account = json.loads(Path("j.json").read_text())
    assert [frame["complete"] for frame in account["frames"]] == [True, True, False, True]
    verified = tilesim("verify", "b.zarr", "--json")
    assert verified.status == 1
    assert json.loads(verified.out)["missing"] == ["tile frame 2 panel 0 slow 5:10 fast 0:12"]
    again = batch(GRID, "--resume", "--json", "-")
    assert again.status == 0
    assert json.loads(again.out)["computed_tiles"] == 1
    assert tilesim("verify", "b.zarr").status == 0


@pytest.mark.parametrize(
    "text, said",
    [
        (COMMON, "names no output"),
        (COMMON + 'floatfile = "b.bin"\n[grid]\nN = [1, 2]\n', "floatfile b.bin is one file for 2 frames"),
        (COMMON + 'floatfile = "b.bin"\nbogus = 2\n', "-bogus"),
        (COMMON + 'zarr = "b.zarr"\n[[experiment]]\nflags = "-floatfile x.bin"\n', "expected the key floatfile"),
        (COMMON + 'zarr = "b.zarr"\nframes = 2\n', "--frame-osc"),
    ],
)
def test_bad_batches_are_told_in_one_line(batch, made, text, said):
    result = batch(text, "--quiet")
    assert result.status == 2 and said in result.err
    assert len(result.err.splitlines()) == 1
    assert made() == ["b.toml"]


def test_the_store_says_each_option_once_and_the_series(batch):
    batch(
        COMMON + 'zarr = "b.zarr"\ncrystal_shape = "gauss-hkl"\nmosaic_sigma = 3\nframes = 2\nframe_osc = 0.5\n',
        "--quiet",
    )
    said = api.open("b.zarr").attributes["command_line"]
    assert said[len(BASE) :] == "--crystal-shape gauss-hkl --mosaic-sigma 3 --frames 2 --frame-osc 0.5".split()
    batch(COMMON.replace('"\n', ' --crystal-shape gauss-hkl"\n') + 'zarr = "c.zarr"\nmosaic_sigma = 0.1\n', "--quiet")
    said = api.open("c.zarr").attributes["command_line"]
    assert said == [*BASE, *"--crystal-shape gauss-hkl --mosaic-sigma 0.1".split()]


def test_a_dry_run_writes_nothing(batch, made):
    result = batch(GRID, "--dry-run")
    assert result.status == 0 and "4 frames of 12 x 12 pixels" in result.out
    # 4 x 12 x 12 pixels of 4 bytes, and what each chunk has besides
    in_all = (
        r"^in all: at most 2\.[3-9] kB of pixels, [0-9.]+ [kMG]B of memory besides the libraries, .*s of computing$"
    )
    assert re.search(in_all, result.out, re.MULTILINE)
    assert made() == ["b.toml"]


def test_info_tells_every_frame_from_the_others(batch, tilesim):
    batch(GRID)
    told = [json.loads(tilesim("info", "b.zarr", "--frame", k, "--json").out) for k in range(4)]
    assert [one["wavelength_angstrom"] for one in told] == pytest.approx([1.5, 1.5, 1.4, 1.4])
    assert told[0]["coordinates"]["orientation"] != told[1]["coordinates"]["orientation"]
    assert told[3]["coordinates"]["max_I"] > 0 and told[3]["units"]["wavelength"] == "angstrom"
    assert len({one["digest"] for one in told}) == 4
    text = tilesim("info", "b.zarr", "--frame", 2).out
    assert "wavelength" in text and "beam      1.4 Å" in text
    said = [line.split(maxsplit=1) for line in tilesim("info", "b.zarr").out.splitlines()]
    assert ["wavelength", "1.4 to 1.5 angstrom, by frame"] in said
    assert ["orientation", "2 different ones, by frame"] in said
    assert "no frame 4; expected 0 to 3" in tilesim("info", "b.zarr", "--frame", 4).err
