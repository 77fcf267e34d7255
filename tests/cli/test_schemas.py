"""What `--json` prints, and the attributes of a store, are as docs/schemas says; nothing else is in them."""

import json
from pathlib import Path

import pytest
from commands import BASE
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
BATCH = f"""
flags = "{" ".join(BASE)}"
zarr = "b.zarr"
[grid]
distance = [100, 120]
"""


def schema(name):
    return json.loads((SCHEMAS / f"{name}.json").read_text())


def check(name, value):
    registry = Registry().with_resource("common.json", Resource.from_contents(schema("common")))
    Draft202012Validator(schema(name), registry=registry).validate(value)


@pytest.fixture
def printed(tilesim, folder):
    """`printed(name, words)` runs a command with --json and holds what it wrote to a schema."""

    def run(name, *words):
        done = tilesim(*words, "--json", "-") if words[0] not in ("info", "verify") else tilesim(*words, "--json")
        value = json.loads(done.out[done.out.index("{") :])
        check(name, value)
        return value

    return run


@pytest.mark.parametrize("name", [path.stem for path in sorted(SCHEMAS.glob("*.json"))])
def test_the_schemas_are_schemas(name):
    Draft202012Validator.check_schema(schema(name))


def test_what_a_run_and_the_tools_print(printed, tilesim, folder):
    assert printed("plan", "plan", *BASE)["tiles"] == 1
    run = printed("run", "run", *BASE, "--zarr", "a.zarr", "-floatfile", "a.bin", "--quiet", "--completeness")
    assert run["complete"] and run["statistics"]["max_I"] > 0 and run["completeness"][0]["listed"] > 0
    assert printed("run", "run", *BASE, "--zarr", "s.zarr", "--frames", "2", "--frame-osc", "1", "--quiet")["complete"]
    for store in ("a.zarr", "s.zarr"):
        assert printed("info", "info", store)["format"] == 2
        assert printed("frame", "info", store, "--frame", "0")["wavelength_angstrom"] == pytest.approx(1.5)
        assert printed("verify", "verify", store)["intact"]
        assert printed("rerun", "rerun", store)["within"]
        check("store", json.loads((folder / store / "zarr.json").read_text())["attributes"])
    assert printed("trace", "trace", "--pixel", "3", "4", "a.zarr", "--quiet")["frame"] == 0
    assert printed("trace", "trace", "--pixel", "3", "4", "--quiet", *BASE)["strict_c"] is False
    assert printed("compare", "compare", "a.bin", "a.zarr", "--quiet")["within"]
    spread = ("--psf", "gauss", "--psf-fwhm", "1500", "--calibration", "0.02")
    noise = printed("noise", "noise", "s.zarr", "n.zarr", "--quiet", *spread)
    assert noise["images"][1]["photons"] > 0
    assert printed("noise", "noise", "a.bin", "n.tif", "--quiet")["complete"]
    assert printed("info", "info", "n.zarr")["units"] == "detector units"
    check("store", json.loads((folder / "n.zarr" / "zarr.json").read_text())["attributes"])


def test_what_a_batch_prints_and_what_is_missing(printed, tilesim, folder, monkeypatch):
    from tilesim.engine import lowered

    def failing(kernels, tile):
        raise MemoryError("no room")

    (folder / "b.toml").write_text(BATCH)
    with monkeypatch.context() as patched:
        patched.setattr(lowered, "simulate_frames", failing)
        assert len(printed("batch", "batch", "b.toml", "--quiet")["missing"]) == 2
    assert printed("info", "info", "b.zarr")["status"] == "incomplete"
    assert printed("batch", "batch", "b.toml", "--resume", "--quiet")["complete"]
    assert printed("info", "info", "b.zarr")["varies"]["distance"]["maximum"] == 120
    check("store", json.loads((folder / "b.zarr" / "zarr.json").read_text())["attributes"])
