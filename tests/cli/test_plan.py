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
    assert said["expected"].endswith("s of computing")
    written = dict(line.split(": ") for name, line in rows(result.out) if name == "writes")
    assert list(written) == ["floatimage.bin", "i.img", "n.img", "p.pgm", "Fdump.bin", "z.zarr"]
    assert written["floatimage.bin"] == "576 bytes"
    # Three tiles of 5 x 12 pixels, the last one padded, with a checksum each and at most 16 bytes of compression.
    assert written["z.zarr"] == "at most 780 bytes"
    assert "disk" not in said
    assert made() == []


def test_the_sizes_are_those_that_a_run_writes(tilesim, folder):
    words = (*FLAGS, "-floatfile", "f.bin", "--write-fdump", "--preview", "v.png", "--json", "j.json")
    result = tilesim("run", "--dry-run", *words)
    plan = json.loads((folder / "j.json").read_text())
    assert "writes    v.png: small" in result.out and "writes    j.json: small" in result.out
    assert plan["files"]["v.png"] is None and plan["files"]["j.json"] is None
    assert tilesim("run", *words).status == 0
    for name in ("f.bin", "i.img", "n.img", "Fdump.bin"):
        assert 0 <= plan["files"][name] - (folder / name).stat().st_size <= 72, name
    assert tilesim("run", *words, "--overwrite", "--compression", "none").status == 0
    chunks = [p for p in (folder / "z.zarr" / "0" / "intensity" / "c").rglob("*") if p.is_file()]
    assert plan["files"]["z.zarr"] == sum(p.stat().st_size for p in chunks) + 16 * len(chunks)


def test_a_disk_without_room_is_said(tilesim, monkeypatch, folder):
    import shutil

    full = shutil.disk_usage(folder)._replace(free=700)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    assert "disk" not in dict(rows(tilesim("plan", *BASE, "-floatfile", "f.bin").out))
    # The float image that the SMV image is made from needs room too.
    result = tilesim("plan", *BASE, "-intfile", "i.img", "--json", "p.json")
    assert dict(rows(result.out))["disk"].startswith(f"TOO SMALL: {folder} has")
    (short,) = json.loads((folder / "p.json").read_text())["short_disks"]
    assert short == {"folder": str(folder), "needed_bytes": 512 + 288 + 576, "free_bytes": 700}


def test_a_cache_without_a_folder_does_not_stop_a_plan(tilesim):
    assert tilesim("plan", *BASE, "--write-fdump", "-dump", "missing/F.bin").status == 0


def test_threads_without_a_tile_do_not_count(tilesim, monkeypatch):
    from tilesim.engine import calibrate, inline

    monkeypatch.setattr(calibrate, "try_out", lambda job: calibrate.Trial(100.0))
    monkeypatch.setattr(inline, "default_threads", lambda job: 8)
    for tile, threads in (("12", 1), ("6", 4), ("2", 8)):
        plan = json.loads(tilesim("plan", *BASE, "--tile", tile, "--json", "-").out)
        assert plan["steps_per_second"] == 100 * threads
        assert plan["expected_seconds"] == pytest.approx(144 / (100 * threads))


def test_the_trial_runs_on_one_thread_and_is_short(tilesim, monkeypatch):
    import torch

    from tilesim.engine import calibrate

    seen, simulate_tile = [], calibrate.simulate_tile

    def spy(*arguments):
        seen.append(torch.get_num_threads())
        return simulate_tile(*arguments)

    monkeypatch.setattr(calibrate, "simulate_tile", spy)
    before = torch.get_num_threads()
    assert tilesim("plan", *BASE, *"-detector_thick 300 -detector_abs 500 -thicksteps 999999".split()).status == 0
    assert set(seen) == {1} and 2 <= len(seen) <= 4
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "0.0 s"),
        (0.01, "less than 0.1 s"),
        (0.84, "0.8 s"),
        (9.97, "10 s"),
        (99, "99 s"),
        (240, "4 min"),
        (3599, "1 h"),
        (4620, "1 h 17 min"),
        (9e5, "11 days"),
    ],
)
def test_times_are_readable(seconds, text):
    from tilesim_cli.plan import readable_time

    assert readable_time(seconds) == text


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
