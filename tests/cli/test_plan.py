"""`tilesim plan` and `tilesim run --dry-run`: what would be done, said and not done."""

import json

import pytest
from commands import BASE

FLAGS = (*BASE, *"-osc 1 -phisteps 4 -intfile i.img -noisefile n.img -pgmfile p.pgm --zarr z.zarr --tile 5x12".split())


def rows(text):
    return [line.split(maxsplit=1) for line in text.splitlines()]


@pytest.mark.parametrize("command", [("plan",), ("run", "--dry-run")])
def test_a_plan_says_what_would_be_done_and_writes_nothing(tilesim, made, command):
    result = tilesim(*command, *FLAGS, "--strict-c")
    assert result.status == 0
    said = dict(rows(result.out))
    assert said["image"] == "12 x 12 pixels (slow x fast)"
    assert said["steps"] == ("576 = pixels x 1^2 sub-pixels x 1 layers x 1 sources x 4 phi steps x 1 mosaic domains")
    assert said["tiles"] == "3 of 5 x 12 pixels"
    assert " MB besides the libraries" in said["memory"]
    assert said["expected"].endswith(" s of computing")
    written = dict(line.split(": ") for name, line in rows(result.out) if name == "writes")
    assert list(written) == ["floatimage.bin", "i.img", "n.img", "p.pgm", "z.zarr"]
    assert written["floatimage.bin"] == written["z.zarr"] == "576 bytes"
    assert made() == []


def test_a_plan_as_json(tilesim, folder, made):
    result = tilesim("plan", *FLAGS, "--json", "-")
    plan = json.loads(result.out)
    assert (plan["steps"], plan["tiles"], plan["tile"], plan["shape"]) == (576, 3, [5, 12], [12, 12])
    assert plan["expected_seconds"] > 0 and plan["memory_bytes"] > 0 and plan["steps_per_second"] > 0
    assert sorted(plan["files"]) == ["i.img", "n.img", "p.pgm", "z.zarr"]
    assert made() == []
    assert tilesim("plan", *FLAGS, "--json", "p.json", "--quiet").out == ""
    assert json.loads((folder / "p.json").read_text())["digest"] == plan["digest"]


def test_a_plan_refuses_what_a_run_refuses(tilesim, folder, made):
    assert tilesim("run", *BASE, "-floatfile", "f.bin", "--zarr", "z.zarr").status == 0
    for flags in ("--zarr z.zarr", "-floatfile missing/f.bin", "-floatfile A.mat", "-lambda 0", "--json A.mat"):
        result = tilesim("plan", *BASE, *flags.split())
        assert (result.status, result.err.count("tilesim: ")) == (2, 1)
    assert made() == ["f.bin", "z.zarr"]


def test_a_job_beyond_the_memory_is_refused(tilesim, monkeypatch):
    from tilesim.tiling import budget

    monkeypatch.setattr(budget, "available_memory", lambda: 10_000)
    result = tilesim("run", *BASE, "-floatfile", "f.bin")
    assert result.status == 2
    assert "0 MB are free; use a smaller --tile" in result.err


def test_a_plan_of_a_large_job_is_quick_and_writes_nothing(tilesim, made):
    flags = "-detpixels 4096 -mosaic 1 -mosaic_domains 1000 -oversample 8 --tile 256 --backend eager".split()
    result = tilesim("plan", *BASE, *flags, "--json", "-")
    plan = json.loads(result.out)
    assert plan["tiles"] == 256 and plan["steps"] == 4096**2 * 64 * 1000
    assert plan["files"] == {"floatimage.bin": 4 * 4096**2}
    assert made() == []
