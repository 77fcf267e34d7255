"""`tilesim noise` as a user calls it: files, stores, series, resuming, and what it refuses."""

import json
import shutil

import fabio
import h5py
import numpy as np
import pytest
import xarray as xr
from commands import BASE
from distribution import QUIET

SIZE = 12


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The path of a copy of what the first test simulates."""
    return tmp_path_factory.mktemp("kept") / "folder"


@pytest.fixture
def simulated(tilesim, folder, kept):
    """A store of two frames and their float files, with the noise images of the same run."""
    if kept.exists():
        return shutil.copytree(kept, folder, dirs_exist_ok=True)
    words = (*BASE, "-osc", "1", "-phisteps", "1", "-seed", "7", "-floatfile", "f_{frame}.bin")
    more = ("-noisefile", "run_{frame}.img", "--frames", "2", "--tile", "5", "--zarr", "in.zarr", "--quiet")
    done = tilesim("run", *words, *more)
    assert done.status == 0, done.err
    shutil.copytree(folder, kept)
    return folder


def pixels(path):
    return np.fromfile(path, "<u2")[-SIZE * SIZE :].reshape(SIZE, SIZE)


def test_counts_alone_are_those_of_the_noise_image_of_the_run(tilesim, simulated):
    done = tilesim("noise", "in.zarr", "out_{frame}.img", "--seed", "7")
    assert done.status == 0, done.err
    assert "frame 1: " in done.out and "wrote out_1.img" in done.out
    for frame in (0, 1):
        assert np.array_equal(pixels(f"out_{frame}.img"), pixels(f"run_{frame}.img"))
    assert not np.array_equal(pixels("out_0.img"), pixels("out_1.img"))


def test_a_float_file_gives_what_the_store_gives(tilesim, simulated):
    effects = "--seed 3 --calibration 0.1 --readout 2 --gain 1.5 --psf fiber --psf-fwhm 900".split()
    assert tilesim("noise", "in.zarr", "a.img", "--frame", "0", *effects).status == 0
    assert tilesim("noise", "f_0.bin", "b.img", "--shape", "12x12", "--pixel", "1", "--tile", "7", *effects).status == 0
    assert np.array_equal(pixels("a.img"), pixels("b.img"))


def test_an_smv_image_is_read_by_others(tilesim, simulated):
    assert tilesim("noise", "in.zarr", "a.img", "--frame", "1", "--offset", "10").status == 0
    image = fabio.open("a.img")
    assert np.array_equal(image.data, pixels("a.img"))
    assert image.data.min() >= 10
    assert image.header["ADC_OFFSET"] == "10"
    assert float(image.header["PIXEL_SIZE"]) == 1.0


@pytest.mark.parametrize("name", ["a_{frame}.cbf", "a_{frame}.tif", "a_{frame}.edf"])
def test_other_formats_hold_the_same_numbers(tilesim, simulated, name):
    effects = ("--readout", "2", "--gain", "2.5")
    assert tilesim("noise", "in.zarr", "a.zarr", *effects).status == 0
    done = tilesim("noise", "in.zarr", name, *effects)
    assert done.status == 0, done.err
    counts = xr.open_zarr("a.zarr", group="0").intensity.values
    for frame in (0, 1):
        assert np.array_equal(fabio.open(name.format(frame=frame)).data, counts[frame])


def test_one_nxmx_file_holds_the_series(tilesim, simulated):
    (simulated / "in.zarr/0/intensity/c/1/0/0").unlink()
    done = tilesim("noise", "in.zarr", "a.h5", "--json", "a.json")
    assert done.status == 0, done.err
    assert done.out.count("wrote") == 1 and "25 pixels without a value" in done.out
    assert tilesim("noise", "in.zarr", "a.zarr").status == 0
    counts = xr.open_zarr("a.zarr", group="0").intensity.values
    with h5py.File("a.h5") as file:
        stored = file["entry/data/data"][...]
        assert json.loads(file["entry/tilesim/noise"][()])["seed"] == 1
    assert stored.dtype == np.uint32
    assert np.array_equal(counts.astype(np.uint32), stored)  # -1 there is the largest number here
    told = json.loads((simulated / "a.json").read_text())
    assert [image["blank"] for image in told["images"]] == [0, 25]


def test_flags_tell_the_geometry_of_a_float_file(tilesim, simulated):
    assert tilesim("noise", "f_0.bin", "a.cbf").status == 2
    assert tilesim("noise", "in.zarr", "b.cbf", "--frame", "0", "--psf", "gauss", "--psf-fwhm", "900").status == 0
    done = tilesim("noise", "f_0.bin", "a.cbf", "--psf", "gauss", "--psf-fwhm", "900", "--", *BASE, "-osc", "1")
    assert done.status == 0, done.err
    a, b = fabio.open("a.cbf"), fabio.open("b.cbf")
    assert np.array_equal(a.data, b.data)
    assert "Wavelength 1.5 A" in a.header["_array_data.header_contents"]


def test_an_error_on_the_way_keeps_the_tiles_of_a_store(tilesim, simulated):
    chunk = simulated / "in.zarr/0/intensity/c/1/1/0"
    sound = chunk.read_bytes()
    chunk.write_bytes(sound[:-1])
    done = tilesim("noise", "in.zarr", "out.zarr", "--threads", "1")
    assert done.status == 2 and "damaged" in done.err
    assert "12 of 18 tiles are kept in out.zarr: --resume computes the rest" in done.err
    chunk.write_bytes(sound)
    again = tilesim("noise", "in.zarr", "out.zarr", "--resume", "--json", "out.json")
    assert again.status == 0, again.err
    assert json.loads((simulated / "out.json").read_text())["restored_tiles"] >= 12
    assert tilesim("verify", "out.zarr").status == 0


def test_a_store_has_the_same_tiles_and_says_what_was_done(tilesim, simulated):
    effects = ("--flicker", "0.02", "--readout", "1.5", "--seed", "9")
    done = tilesim("noise", "in.zarr", "out.zarr", *effects, "--json", "done.json")
    assert done.status == 0, done.err
    image = xr.open_zarr("out.zarr", group="0", consolidated=True)
    source = xr.open_zarr("in.zarr", group="0")
    assert image.intensity.dtype == np.int32 and image.intensity.shape == (2, SIZE, SIZE)
    assert image.intensity.encoding["chunks"] == source.intensity.encoding["chunks"] == (1, 5, 5)
    assert np.array_equal(image.phi, source.phi)
    assert image.intensity.attrs["units"] == "detector units"
    told = json.loads((simulated / "done.json").read_text())
    about = xr.open_zarr("out.zarr").attrs["tilesim"]
    came_from = xr.open_zarr("in.zarr").attrs["tilesim"]
    assert about["status"] == "complete"
    assert about["source"]["digest"] == came_from["digest"] == told["source"]["digest"]
    assert about["noise"]["readout"] == 1.5 and about["seeds"]["noise"] == 9
    assert about["experiment"] == came_from["experiment"]
    assert [frame["photons"] for frame in told["images"]] == image.photons.values.tolist()
    assert tilesim("verify", "out.zarr").status == 0
    assert "detector units" in tilesim("info", "out.zarr").out


def test_tiles_and_threads_do_not_change_a_store(tilesim, simulated):
    effects = "--calibration 0.05 --readout 2 --psf gauss --psf-fwhm 1500 --dtype float32".split()
    assert tilesim("noise", "in.zarr", "a.zarr", *effects, "--threads", "1").status == 0
    assert tilesim("noise", "in.zarr", "b.zarr", *effects, "--tile", "3x12", "--threads", "3").status == 0
    a, b = (xr.open_zarr(name, group="0").intensity.values for name in ("a.zarr", "b.zarr"))
    assert a.tobytes() == b.tobytes()


def test_an_interrupted_store_is_resumed_to_the_same_bytes(tilesim, simulated):
    effects = "--readout 2 --psf gauss --psf-fwhm 1500".split()
    assert tilesim("noise", "in.zarr", "whole.zarr", *effects, "--json", "whole.json").status == 0
    shutil.copytree("whole.zarr", "part.zarr")
    for chunk in ("0/0/0", "1/2/1"):
        (simulated / "part.zarr/0/intensity/c" / chunk).unlink()
    damaged = simulated / "part.zarr/0/intensity/c/1/1/1"
    damaged.write_bytes(damaged.read_bytes()[:-3])
    assert tilesim("verify", "part.zarr").status == 1
    refused = tilesim("noise", "in.zarr", "part.zarr", *effects)
    assert refused.status == 2 and "--resume" in refused.err
    done = tilesim("noise", "in.zarr", "part.zarr", *effects, "--resume", "--json", "part.json")
    assert done.status == 0, done.err
    for path in (simulated / "whole.zarr").rglob("*"):
        if path.is_file():
            assert (
                path.read_bytes() == (simulated / "part.zarr" / path.relative_to(simulated / "whole.zarr")).read_bytes()
            )
    whole, part = (json.loads((simulated / name).read_text()) for name in ("whole.json", "part.json"))
    assert part["images"] == whole["images"]
    assert part["restored_tiles"] == 2 * 9 - 3
    other = tilesim("noise", "in.zarr", "part.zarr", "--readout", "3", "--resume")
    assert other.status == 2 and "another job" in other.err


def test_missing_tiles_are_shown_for_what_they_are(tilesim, simulated):
    (simulated / "in.zarr/0/intensity/c/0/1/2").unlink()
    done = tilesim("noise", "in.zarr", "out.zarr", "--frame", "0")
    assert done.status == 0
    assert "10 pixels without a value" in done.out
    assert "WARNING: 10 pixels have no value in in.zarr; they are -1" in done.err
    values = xr.open_zarr("out.zarr", group="0").intensity.values[0]
    assert (values[5:10, 10:] == -1).all() and (values == -1).sum() == 10


def test_a_region_of_interest_is_kept(tilesim, folder):
    assert tilesim("run", *BASE, "-roi", "2", "6", "3", "9", "--zarr", "in.zarr", "-seed", "1", "--quiet").status == 0
    assert tilesim("run", *BASE, "-roi", "2", "6", "3", "9", "-noisefile", "n.img", "-seed", "1", "--quiet").status == 0
    assert tilesim("noise", "in.zarr", "out.img").status == 0
    assert np.array_equal(pixels("out.img"), pixels("n.img"))
    assert (pixels("out.img") > 0).sum() == 5 * 7


def test_dead_and_hot_pixels_come_from_images(tilesim, simulated):
    mask = np.zeros((2, SIZE, SIZE), np.float32)
    mask[0, 2], mask[1, :, 4] = 1, 1
    for name, one in zip(("dead.bin", "hot.bin"), mask, strict=True):
        one.tofile(name)
    words = ("--frame", "0", "--dead", "dead.bin", "--hot", "hot.bin", "--overload", "5000")
    assert tilesim("noise", "in.zarr", "out.img", *words).status == 0
    out = pixels("out.img")
    assert (out[:, 4] == 5000).all() and (np.delete(out[2], 4) == 40).all()


def test_scale_and_fluence_mean_more_light(tilesim, simulated):
    told = json.loads(tilesim("info", "in.zarr", "--json").out)
    assert told["shape"] == [2, SIZE, SIZE]
    fluence = xr.open_zarr("in.zarr").attrs["tilesim"]["experiment"]["beam"]["fluence"]
    quiet = ("--no-photon-noise", "--offset", "0", "--frame", "0")
    assert tilesim("noise", "in.zarr", "a.bin", "--scale", "3", *quiet).status == 0
    assert tilesim("noise", "in.zarr", "b.bin", "--fluence", repr(3 * fluence), *quiet).status == 0
    source, a, b = (np.fromfile(name, "<f4") for name in ("f_0.bin", "a.bin", "b.bin"))
    assert np.allclose(a, 3 * source) and np.allclose(a, b)


def test_noise_upon_noise_is_warned_of(tilesim, simulated):
    assert tilesim("noise", "in.zarr", "a.zarr", "--dtype", "float32").status == 0
    again = tilesim("noise", "a.zarr", "b.zarr")
    assert again.status == 0 and "holds noise already" in again.err


def test_json_on_standard_output_stands_alone(tilesim, simulated):
    done = tilesim("noise", "f_1.bin", "out.bin", "--json", "-")
    told = json.loads(done.out)
    assert told["files"] == ["out.bin", "out.bin.json"] and told["noise"]["dtype"] == "float32"
    assert told["noise"]["seed"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("nothing.zarr out.img", "nothing.zarr"),
        ("in.zarr out.img", "one file for 2 frames"),
        ("in.zarr out.png", "expected a name that ends in one of"),
        ("in.zarr out_{frame}.img --dtype int32", "holds uint16"),
        ("in.zarr out.zarr --scale nan", "scale of the image is nan"),
        ("in.zarr out.zarr --gain 0", "gain is 0"),
        ("in.zarr out.zarr --psf gauss", "expected --psf-fwhm"),
        ("in.zarr out.zarr --psf-fwhm 10", "expected --psf gauss or --psf fiber"),
        ("in.zarr out.zarr --module 5", "expected --module-calibration"),
        ("in.zarr out.zarr --frame 2", "no frame 2; expected 0 to 1"),
        ("in.zarr out_{frame}.img --overload 70000", "expected at most 65535"),
        ("in.zarr out.zarr --psf gauss --psf-fwhm 1e9", "expected at most 2048"),
        ("in.zarr in.zarr --overwrite", "is an input"),
        ("in.zarr out.zarr --json f_0.bin --dead f_0.bin", "is an input"),
        ("in.zarr out.zarr --dead A.mat", "expected a float file of 576 bytes"),
        ("f_0.bin out.img --shape 11x12", "expected a float file of 528 bytes"),
        ("A.mat out.img", "no square image"),
        ("f_0.bin out.zarr", "expected --pixel MM"),
        ("f_0.bin out.img --psf fiber --psf-fwhm 100", "expected --pixel MM"),
        ("f_0.bin out.img --fluence 1e20", "expected a store of one, or --scale"),
        ("f_0.bin nowhere/out.img", "there is no folder"),
        ("f_0.bin nowhere/out.zarr --pixel 1", "there is no folder"),
        ("f_0.bin out.img --seed 99999999999999999999", "seed is 99999999999999999999"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(tilesim, simulated, made, words, said):
    before = made()
    done = tilesim("noise", *words.split())
    assert done.status == 2
    assert said in done.err and len(done.err.splitlines()) == 1
    assert made() == before


@pytest.mark.filterwarnings(*QUIET)
def test_workers_give_the_bytes_of_threads_in_stores_and_files(tilesim, simulated):
    pytest.importorskip("distributed")
    effects = "--calibration 0.05 --readout 2 --psf gauss --psf-fwhm 1500 --flicker 0.1".split()
    for way, words in (("here", ()), ("there", ("--workers", "2"))):
        assert tilesim("noise", "in.zarr", f"{way}.zarr", *effects, *words, "--json", f"{way}.json").status == 0
        assert tilesim("noise", "in.zarr", f"{way}_{{frame}}.cbf", *effects, *words).status == 0
    here, there = (
        {path.relative_to(simulated / name): path.read_bytes() for path in chunks(simulated / name)}
        for name in ("here.zarr", "there.zarr")
    )
    assert here == there and len(here) == 18
    for frame in (0, 1):
        a, b = (fabio.open(f"{way}_{frame}.cbf").data for way in ("here", "there"))
        assert np.array_equal(a, b) and a.max() > 40
    told = [json.loads((simulated / f"{way}.json").read_text()) for way in ("here", "there")]
    assert told[0]["images"] == told[1]["images"] and [one["workers"] for one in told] == [0, 2]


def chunks(store):
    return [path for path in (store / "0/intensity/c").rglob("*") if path.is_file()]


def test_files_of_an_interrupted_run_are_resumed(tilesim, simulated, made):
    chunk = simulated / "in.zarr/0/intensity/c/1/1/0"
    sound = chunk.read_bytes()
    chunk.write_bytes(sound[:-1])
    before = made()
    done = tilesim("noise", "in.zarr", "out_{frame}.tif", "--threads", "1")
    assert done.status == 2 and "12 of 18 tiles are kept in .out_0.tif.tiles.zarr" in done.err
    chunk.write_bytes(sound)
    again = tilesim("noise", "in.zarr", "out_{frame}.tif", "--resume", "--json", "done.json")
    assert again.status == 0 and json.loads((simulated / "done.json").read_text())["restored_tiles"] == 12
    assert sorted(set(made()) - set(before)) == ["done.json", "out_0.tif", "out_1.tif"]
    assert tilesim("noise", "in.zarr", "all.zarr").status == 0
    counts = xr.open_zarr("all.zarr", group="0").intensity.values
    assert all(np.array_equal(fabio.open(f"out_{frame}.tif").data, counts[frame]) for frame in (0, 1))
