"""tilesim run, plan and batch with detectors of several panels, as a user would."""

import json

import matplotlib.image
import numpy as np
import pytest
import zarr
from commands import CRYSTAL
from geometries import expt

from tilesim.instruments.library import detector as placed
from tilesim.instruments.library import library

WORDS = [*CRYSTAL, *"-N 3 -lambda 1.5 -oversample 1 -nointerpolate".split()]
TOML = "pixel = 1\nshape = [5, 9]\n" + "".join(
    f"[[panel]]\norigin = [-4.5, {y}, {z}]\nfast = [1, 0, 0]\nslow = [0, 1, 0.1]\n"
    for y, z in ((-8, 90), (-2, 95), (4, 99))
)


@pytest.fixture
def detector(folder):
    (folder / "d.toml").write_text(TOML)
    return folder


def test_a_run_writes_store_and_stacked_files(detector, tilesim):
    words = [*WORDS, "--geometry", "d.toml", "-noisefile", "n.img", "-floatfile", "a.bin"]
    done = tilesim("run", *words, "--zarr", "a.zarr", "--preview", "a.png", "--json", "a.json", "--tile", "3x4")
    assert done.status == 0, done.err
    image = zarr.open_array(detector / "a.zarr/0/intensity", mode="r")[0]
    assert image.shape == (3, 5, 9) and image.max() > 0
    np.testing.assert_array_equal(np.fromfile(detector / "a.bin", "<f4").reshape(15, 9), image.reshape(15, 9))
    assert b"SIZE1=9;\nSIZE2=15;" in (detector / "n.img").read_bytes()[:512]
    account = json.loads((detector / "a.json").read_text())
    assert account["statistics"]["total"] == pytest.approx(image.sum(), rel=1e-5)
    assert account["tiles"] == 3 * 2 * 3 and "--geometry" in account["command_line"]
    slow, fast = account["statistics"]["brightest"]
    assert image.reshape(15, 9)[slow, fast] == image.max()
    # Without a store the same file comes straight from the tiles.
    assert tilesim("run", *words[:-1], "b.bin", "--tile", "3x4").status == 0
    assert (detector / "b.bin").read_bytes() == (detector / "a.bin").read_bytes()
    assert tilesim("verify", "a.zarr").status == 0
    told = tilesim("info", "a.zarr").out
    assert "1 x 3 x 5 x 9 (frame, panel, slow, fast)" in told and "18 of 18 present" in told


def test_a_lost_tile_is_resumed_in_a_series(detector, tilesim):
    words = [*WORDS, "--geometry", "d.toml", "--frames", "2", "--frame-osc", "1", "--zarr", "s.zarr"]
    assert tilesim("run", *words).status == 0
    before = zarr.open_array(detector / "s.zarr/0/intensity", mode="r")[...]
    (detector / "s.zarr/0/intensity/c/1/2/0/0").unlink()
    assert tilesim("verify", "s.zarr").status == 1
    assert tilesim("run", *words, "--resume", "--json", "r.json").status == 0
    account = json.loads((detector / "r.json").read_text())
    assert (account["computed_tiles"], account["restored_tiles"]) == (1, 5)
    np.testing.assert_array_equal(zarr.open_array(detector / "s.zarr/0/intensity", mode="r")[...], before)


def test_plan_and_batch_take_detectors_too(detector, tilesim):
    done = tilesim("plan", *WORDS, "-distance", "100", "--detector", "cspad", "--json", "p.json")
    assert done.status == 0, done.err
    plan = json.loads((detector / "p.json").read_text())
    assert plan["shape"] == [64 * 185, 194] and plan["tiles"] == 64
    (detector / "b.toml").write_text(f"flags = '{' '.join(WORDS)}'\nzarr = 'b.zarr'\n[grid]\nphi = [0, 1]\n")
    done = tilesim("batch", "b.toml", "--geometry", "d.toml")
    assert done.status == 0, done.err
    assert zarr.open_array(detector / "b.zarr/0/intensity", mode="r").shape == (2, 3, 5, 9)


def test_a_wrong_file_is_one_line(detector, tilesim):
    (detector / "x.geom").write_text("res = 1\n")
    done = tilesim("run", *WORDS, "--geometry", "x.geom")
    assert done.status == 2 and "x.geom: expected panels such as p0/min_fs = 0; found none" in done.err
    assert not (detector / "floatimage.bin").exists()


def test_one_experiment_of_a_file_describes_an_image(detector, tilesim):
    plain = expt()
    for key, models in (("crystal", [crystal(10.0 * n) for n in (4, 5, 6)]), ("experiment", EXPERIMENTS)):
        plain[key] = models
    (detector / "three.expt").write_text(json.dumps(plain))
    words = ["-default_F", "100", "-N", "2", "--geometry", "three.expt", "-floatfile", "a.bin"]
    done = tilesim("run", *words)
    assert done.status == 0 and "three.expt: experiment 0 of 3 (counted from 0) is taken" in done.err
    done = tilesim("run", *words, "--experiment", "2")
    assert done.status == 0 and "is taken" not in done.err
    done = tilesim("export", "a.bin", "b.expt", "--shape", "12x14", "--geometry", "three.expt", "--experiment", "2")
    assert done.status == 0, done.err
    [found] = json.loads((detector / "b.expt").read_text())["crystal"]
    assert np.linalg.norm(found["real_space_a"]) == pytest.approx(60.0)
    done = tilesim("export", "a.bin", "b.tiff", "--shape", "12x14", "--experiment", "2")
    assert done.status == 2 and "--experiment goes with --geometry" in done.err


EXPERIMENTS = [{"beam": 0, "detector": 0, "crystal": n} for n in range(3)]


def crystal(edge):
    return {f"real_space_{name}": [edge * (k == n) for k in range(3)] for n, name in enumerate("abc")}


def test_the_library_is_listed(tilesim):
    lines = tilesim("detectors").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(library())
    assert lines[1].split()[-7:] == ["1", "0.075", "327", "x", "311", "Si", "0.45"]
    [head, row, *more] = tilesim("detectors", "AGIPD-1m").out.splitlines()
    assert head.startswith("name ") and " 64 x 128  128 " in row and "Allahgholi" in more[-1]
    wrong = tilesim("detectors", "eiger2-5m")
    assert wrong.status == 2 and "did you mean eiger2-4m?" in wrong.err and wrong.out == ""


def test_the_library_is_drawn(tilesim, folder):
    assert tilesim("detectors", "cspad", "eiger2-4m", "--picture", "d.png").status == 0
    pixels = matplotlib.image.imread(folder / "d.png")
    blue = (pixels[..., 2] - pixels[..., 0] > 0.1).mean(axis=(0, 1))
    assert pixels.shape[:2] == (260, 520) and blue > 0.1
    wrong = tilesim("detectors", "--picture", "d.txt")
    assert wrong.status == 2 and wrong.err.count("\n") == 1


@pytest.mark.parametrize("name", ["eiger2-4m", "agipd-1m", "cspad"])
def test_outlines_are_where_panels_and_pixels_are(name):
    chosen, instrument = library()[name], placed(name, distance=0.2)
    outlines = 1e3 * chosen.outlines
    if chosen.count > 1:
        for outline, panel in zip(outlines, instrument.panels, strict=True):
            high, wide = np.multiply(panel.shape, panel.pixel_size)
            far = np.array(panel.origin) + wide * np.array(panel.fast) + high * np.array(panel.slow)
            np.testing.assert_allclose(outline[[0, 2]], 1e3 * np.array([panel.origin, far])[:, :2], atol=1e-9)
    else:
        area = np.prod(np.ptp(outlines, axis=1), axis=1).sum()
        assert area == pytest.approx(instrument.mask.active.sum() * (1e3 * chosen.pixel_size) ** 2)
