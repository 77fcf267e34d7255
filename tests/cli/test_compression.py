"""`--compression` of the commands that write stores."""

import json

import numpy as np
import pytest
import zarr
from commands import BASE

RUN = (*BASE, "--zarr", "z.zarr")
BATCH = """
zarr = "z.zarr"
flags = "-mat A.mat -hkl P1.hkl -N 3 -lambda 1.5 -distance 100 -pixel 1 -detpixels 12 -oversample 1 -nointerpolate"
[grid]
phi = [0, 1]
"""


def stored(folder, name="z.zarr"):
    """The compression that a store says, and the method that its chunks have."""
    said = json.loads((folder / name / "zarr.json").read_text())["attributes"]["tilesim"]["compression"]
    codecs = json.loads((folder / name / "0" / "intensity" / "zarr.json").read_text())["codecs"]
    return said, next((one["configuration"]["cname"] for one in codecs if one["name"] == "blosc"), None)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), ("lz4:5", "lz4")),
        (("--compression", "none"), ("none", None)),
        (("--compression=zstd:3",), ("zstd:3", "zstd")),
    ],
)
def test_run_and_batch_compress_as_told(tilesim, folder, words, expected):
    (folder / "grid.toml").write_text(BATCH)
    for command in (("run", *RUN), ("batch", "grid.toml")):
        assert tilesim(*command, "--overwrite", *words).status == 0
        assert stored(folder) == expected
        assert zarr.open_array(folder / "z.zarr" / "0" / "intensity", mode="r")[...].max() > 0
    said = dict(line.split(maxsplit=1) for line in tilesim("info", "z.zarr").out.splitlines())
    assert said["compression"] == expected[0]


def test_images_do_not_depend_on_compression(tilesim, folder):
    for text in ("none", "lz4", "zstd:9"):
        assert tilesim("run", *RUN, "-floatfile", f"{text}.bin", "--overwrite", "--compression", text).status == 0
    digests = {(folder / f"{text}.bin").read_bytes() for text in ("none", "lz4", "zstd:9")}
    assert len(digests) == 1


def test_noise_compresses_as_told_and_counts_by_zstd(tilesim, folder):
    assert tilesim("run", *RUN).status == 0
    for words, expected in (((), ("zstd:1", "zstd")), (("--compression", "lz4:1"), ("lz4:1", "lz4"))):
        assert tilesim("noise", "z.zarr", "n.zarr", "--overwrite", *words).status == 0
        assert stored(folder, "n.zarr") == expected
    result = tilesim("noise", "z.zarr", "n.zarr", "--resume", "--compression", "none")
    assert result.status == 2 and "n.zarr cannot be resumed with --compression none, its own is lz4:1" in result.err
    assert tilesim("noise", "z.zarr", "n.zarr", "--resume").status == 0
    assert stored(folder, "n.zarr") == ("lz4:1", "lz4")


def test_a_resumed_store_keeps_its_own(tilesim, folder):
    words = (*RUN, "--tile", "5")
    assert tilesim("run", *words, "--compression", "zstd:2").status == 0
    before = np.array(zarr.open_array(folder / "z.zarr" / "0" / "intensity", mode="r")[...])
    (folder / "z.zarr" / "0" / "intensity" / "c" / "0" / "0" / "0").unlink()
    for command in ("run", "plan"):
        result = tilesim(command, *words, "--resume", "--compression", "lz4")
        assert result.status == 2 and result.err.count("tilesim: ") == 1
        assert "z.zarr cannot be resumed with --compression lz4:5, its own is zstd:2" in result.err
    for more in ((), ("--compression", "zstd:2")):
        result = tilesim("run", *words, "--resume", *more, "--json", "j.json")
        assert result.status == 0 and stored(folder) == ("zstd:2", "zstd")
    assert json.loads((folder / "j.json").read_text())["restored_tiles"] == 9
    np.testing.assert_array_equal(zarr.open_array(folder / "z.zarr" / "0" / "intensity", mode="r")[...], before)


@pytest.mark.parametrize("command", ["run", "plan", "batch", "noise"])
@pytest.mark.parametrize("text", ["gzip", "zstd:0", "none:3"])
def test_anything_else_is_refused_in_one_line(tilesim, folder, made, command, text):
    (folder / "grid.toml").write_text(BATCH)
    words = {"batch": ("grid.toml",), "noise": ("A.mat", "n.zarr")}.get(command, RUN)
    result = tilesim(command, *words, "--compression", text)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert f"--compression {text!r}; expected none, lz4 or zstd, or with a level from 1 to 9" in result.err
    assert made() == ["grid.toml"]


def test_a_plan_says_at_most(tilesim, monkeypatch, folder):
    import shutil

    result = tilesim("plan", *RUN, "-floatfile", "f.bin", "--compression", "zstd")
    assert "writes    f.bin: 576 bytes" in result.out and "writes    z.zarr: at most 596 bytes" in result.out
    full = shutil.disk_usage(folder)._replace(free=700)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    result = tilesim("plan", *RUN, "-floatfile", "f.bin")
    assert "disk      PERHAPS TOO SMALL" in result.out and "the files need at most 1.2 kB" in result.out
