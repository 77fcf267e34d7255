"""Pixels without a value: missing, masked, marked, outside the region; they stay so through every command."""

import json

import fabio
import h5py
import numpy as np
import pytest
import tifffile

import tilesim as api

CELL = "-default_F 100 -cell 50 60 70 90 90 90 -N 3 -distance 100".split()
PLAIN = [*CELL, "-detpixels", "64"]
TYPES = {"u1": 255, "u2": 65535, "u4": 2**32 - 1, "i2": -1, "i4": -2}


def pixels(name, frame=0):
    """As numbers, NaN without a value."""
    return api.open(name).numbers(frame).block(slice(None), slice(None))


@pytest.fixture
def masked(tilesim, folder):
    """A store whose image is masked in part, and outside of a region; where."""
    mask = np.ones((64, 64), "<u2")
    mask[20:24] = 0
    head = "{\nHEADER_BYTES=512;\nDIM=2;\nBYTE_ORDER=little_endian;\nTYPE=unsigned_short;\nSIZE1=64;\nSIZE2=64;\n"
    head += "PIXEL_SIZE=0.1;\nDISTANCE=100;\nWAVELENGTH=1;\nBEAM_CENTER_X=3.2;\nBEAM_CENTER_Y=3.2;\n}\f"
    # The geometry of a mask is taken with it.
    for name, words in (("mask.img", mask), ("none.img", np.ones_like(mask))):
        (folder / name).write_bytes(head.encode().ljust(512) + words.tobytes())
    flags = [*PLAIN, "-mask", "mask.img", "-roi", "5", "63", "0", "63"]
    assert tilesim("run", *flags, "--zarr", "m.zarr", "--quiet").status == 0
    where = mask == 0
    where[:, :5] = True
    return where


@pytest.mark.parametrize("name", ["a.cbf", "a.img", "a.tif", "a.edf", "a.h5", "a.bin", "c.tif --round", "c.h5 --round"])
def test_what_is_masked_stays_so_in_every_format(tilesim, folder, masked, name):
    name, *more = name.split()
    rounded = more or (["--round"] if name.endswith((".cbf", ".img")) else [])
    assert tilesim("export", "m.zarr", name, *rounded).status == 0
    assert np.array_equal(np.isnan(pixels(name)), masked)
    assert np.array_equal(np.isnan(pixels("m.zarr")), masked)
    # The programs that read them see marks, too.
    if name == "a.cbf":
        assert np.array_equal(fabio.open(name).data == -1, masked)
    if name.endswith(".h5"):
        with h5py.File(name) as file:
            assert np.array_equal(file["entry/instrument/detector/pixel_mask"][()] != 0, masked)


def test_what_is_masked_has_no_noise_no_part_in_figures_and_no_difference(tilesim, folder, masked):
    assert tilesim("noise", "m.zarr", "n.cbf").status == 0
    assert np.array_equal(fabio.open("n.cbf").data == -1, masked)
    assert tilesim("noise", "m.zarr", "n.zarr", "--dtype", "uint16").status == 0
    assert np.array_equal(np.isnan(pixels("n.zarr")), masked)
    tilesim("run", *PLAIN, "-mask", "none.img", "-floatfile", "whole.bin", "--quiet")
    assert tilesim("compare", "m.zarr", "whole.bin", "--json", "c.json").status == 0
    assert json.loads((folder / "c.json").read_text())["pixels"] == (~masked).sum()
    for name in ("a.cbf", "b.cbf"):
        tilesim("export", "m.zarr", name, "--round")
    assert tilesim("compare", "a.cbf", "b.cbf").status == 0


def test_the_profile_does_not_see_what_is_masked(tilesim, folder, masked):
    from tilesim.images.opening import open_dataset
    from tilesim.pictures.curves import measure
    from tilesim.tools.look import Subject, region_bands

    tilesim("run", *PLAIN, "-mask", "none.img", "-floatfile", "whole.bin", "--zarr", "w.zarr", "--quiet")
    found = []
    for name in ("m.zarr", "w.zarr"):
        subject = Subject(open_dataset(name))
        bands = [(t, f, np.where(masked, np.nan, band)) for t, f, band in region_bands(subject, subject.whole)]
        own = bands if name == "w.zarr" else region_bands(subject, subject.whole)
        found.append(measure(own, subject.whole, geometry=subject.geometry, histogram=True))
    assert np.allclose(found[0].profile[1], found[1].profile[1], equal_nan=True)
    assert found[0].dark == found[1].dark


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("form", ["h5", "tif", "edf"])
def test_marks_of_any_type_of_whole_numbers(tilesim, folder, kind, form):
    data = np.full((64, 64), 7, kind)
    data[30:34] = TYPES[kind]
    if form == "h5":
        with h5py.File("a.h5", "w") as file:
            file["entry/data/data"] = data[None]
    elif form == "tif":
        tifffile.imwrite("a.tif", data)
    else:
        fabio.edfimage.EdfImage(data=data).write("a.edf")
    result = tilesim("export", f"a.{form}", "x.cbf", "--", *PLAIN)
    assert result.status == 0 and "256 pixels are missing in the input; they are -1" in result.err
    assert np.array_equal(fabio.open("x.cbf").data, np.where(data == 7, 7, -1))
    assert tilesim("noise", f"a.{form}", "n.bin", "--", *PLAIN).status == 0
    assert np.array_equal(np.isnan(pixels("n.bin")), data != 7)
    assert tilesim("export", f"a.{form}", "x.bin").status == 0
    assert np.array_equal(np.isnan(pixels("x.bin")), data != 7)


@pytest.mark.parametrize("place", ["pixel_mask", "detectorSpecific/pixel_mask"])
def test_a_mask_of_the_file_tells_marks_from_overloads(tilesim, folder, place):
    data = np.full((2, 64, 64), 7, "u2")
    data[:, 10], data[:, 20], data[:, 30] = 65535, 65535, 9
    mask = np.zeros((64, 64), "u4")
    mask[20], mask[30] = 1, 8
    with h5py.File("a.h5", "w") as file:
        file["entry/data/data"], file[f"entry/instrument/detector/{place}"] = data, mask
    assert tilesim("export", "a.h5", "x.cbf", "--frame", "1", "--", *PLAIN).status == 0
    found = fabio.open("x.cbf").data
    assert (found[20] == -1).all() and (found[30] == -1).all() and (found[10] == 65535).all() and found[0, 0] == 7
    # Where the type has no room for both, the overload stays below the mark.
    assert tilesim("export", "a.h5", "x_{frame}.tif", "--", *PLAIN).status == 0
    assert np.array_equal(np.isnan(pixels("x_1.tif")), (mask != 0))
    assert fabio.open("x_1.tif").data[10, 0] == 65534


def test_a_mask_of_each_frame_and_one_that_is_not_of_the_pixels(tilesim, folder):
    data = np.full((2, 64, 64), 7, "u4")
    masks = np.zeros((2, 64, 64), "u4")
    masks[1, 5] = 1
    with h5py.File("a.h5", "w") as file:
        file["entry/data/data"], file["entry/instrument/detector/pixel_mask"] = data, masks
    assert not np.isnan(pixels("a.h5", 0)).any() and np.isnan(pixels("a.h5", 1)[5]).all()
    with h5py.File("a.h5", "r+") as file:
        del file["entry/instrument/detector/pixel_mask"]
        file["entry/instrument/detector/pixel_mask"] = masks[0, :10]
    result = tilesim("export", "a.h5", "x.cbf", "--frame", "0", "--", *PLAIN)
    assert result.status == 2 and "pixel_mask: expected whole numbers, one for each of (64, 64) pixels" in result.err


def test_zero_where_dark_pixels_are_above_it_and_65535_is_an_overload_in_smv(tilesim, folder):
    from samples import smv_header

    data = np.full((13, 11), 50, "u2")
    data[3], data[4] = 0, 65535
    for name, more in (("a.img", "IMAGE_PEDESTAL=40;\n"), ("b.img", "")):
        header = smv_header(data.shape, "unsigned_short", "little_endian", more)
        (folder / name).write_bytes(header.ljust(512) + data.tobytes())
    found = pixels("a.img")
    assert np.isnan(found[3]).all() and (found[4] == 65535).all() and (found[0] == 50).all()
    assert not np.isnan(pixels("b.img")).any()


def test_gaps_of_a_detector_by_name(tilesim, folder):
    from tilesim.instruments.library import layout

    gaps = ~layout("eiger2-4m").mask.active
    gaps.astype("f4").tofile("a.bin")
    flags = ["--", "--detector", "eiger2-4m", *CELL]
    assert tilesim("export", "a.bin", "a.h5", "--round", *flags).status == 0
    assert tilesim("export", "a.h5", "b.cbf").status == 0
    assert np.array_equal(fabio.open("b.cbf").data, np.where(gaps, -1, 0))


def test_preview_takes_all_words_of_a_run(tilesim, folder, masked):
    tilesim("run", *PLAIN, "-floatfile", "a.bin", "--quiet")
    words = [*PLAIN, "--zarr", "no.zarr", "--workers", "2", "--background", "water", "--background-thickness=0.1"]
    result = tilesim("preview", "a.bin", "a.png", "--spots", "3", "--profile", "--", *words)
    assert result.status == 0 and not (folder / "no.zarr").exists()
    result = tilesim("preview", "a.bin", "a.png", "--", *PLAIN, "--frames", "3")
    assert result.status == 2 and "--frames stands behind --" in result.err
