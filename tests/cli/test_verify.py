"""`tilesim verify`: what it says of a store that is whole, one that is not, and what is no store."""

import json
import shutil

import pytest
from commands import BASE

RUN = ("run", *BASE, "-floatfile", "f.bin", "--zarr", "z.zarr", "--tile", "5", "--quiet")


def test_a_whole_store_is_one_line(tilesim):
    tilesim(*RUN)
    result = tilesim("verify", "z.zarr")
    assert (result.status, result.out) == (0, "z.zarr: 9 tiles, all there and intact\n")


def test_what_is_wrong_is_named_and_mended_by_the_same_command(tilesim, folder):
    tilesim(*RUN)
    whole = (folder / "f.bin").read_bytes()
    chunks = folder / "z.zarr" / "0" / "intensity" / "c" / "0"
    (chunks / "0" / "1").unlink()
    data = bytearray((chunks / "2" / "2").read_bytes())
    data[8] ^= 4
    (chunks / "2" / "2").write_bytes(data)
    result = tilesim("verify", "z.zarr")
    assert result.status == 1
    assert result.out.splitlines()[:3] == [
        "z.zarr: 9 tiles, 1 missing, 1 damaged, stored as complete",
        "missing: tile frame 0 panel 0 slow 0:5 fast 5:10",
        "damaged: tile frame 0 panel 0 slow 10:12 fast 10:12",
    ]
    plain = json.loads(tilesim("verify", "z.zarr", "--json").out)
    assert not plain["intact"] and len(plain["missing"]) == len(plain["damaged"]) == 1
    assert tilesim("verify", "z.zarr", "--quiet").out == ""
    account = json.loads(tilesim(*RUN, "--resume", "--json", "-").out)
    assert (account["computed_tiles"], account["restored_tiles"]) == (2, 7)
    assert tilesim("verify", "z.zarr").status == 0
    assert (folder / "f.bin").read_bytes() == whole


def test_what_is_no_store_is_refused(tilesim, folder):
    (folder / "thesis").mkdir()
    for name in ("thesis", "missing", "A.mat"):
        result = tilesim("verify", name)
        assert result.status == 2 and name in result.err and len(result.err.splitlines()) == 1


@pytest.mark.parametrize(
    "lost", ["0/slow/c/0", "0/slow", "0/intensity/zarr.json", "0/zarr.json", "0/phi", "0/max_I/c/0", "0/frame/c/0"]
)
def test_lost_metadata_and_coordinates_are_named_and_mended(tilesim, folder, lost):
    series = ("run", *BASE, "-osc", "1", "--frames", "2", "--zarr", "z.zarr", "--quiet")
    tilesim(*series)
    before = objects(folder / "z.zarr")
    path = folder / "z.zarr" / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    found = tilesim("verify", "z.zarr")
    assert found.status != 0
    resumed = tilesim(*series, "--resume")
    assert resumed.status == 0, resumed.err
    assert objects(folder / "z.zarr") == before and tilesim("verify", "z.zarr").status == 0


@pytest.mark.parametrize("name", ["0/intensity/zarr.json", "0/slow/c/0"])
def test_broken_metadata_and_coordinates_are_mended(tilesim, folder, name):
    tilesim(*RUN)
    before = objects(folder / "z.zarr")
    (folder / "z.zarr" / name).write_bytes(b"{")
    assert tilesim("verify", "z.zarr").status != 0
    assert tilesim(*RUN, "--resume").status == 0
    assert objects(folder / "z.zarr") == before


def objects(store):
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}
