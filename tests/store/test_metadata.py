"""Metadata of another type or shape, in any member of a store: one line that names the store, never anything else."""

import json
import random
import shutil

import numpy as np
import pytest
from stores import PIXEL, fill, make_experiment, make_image, make_provenance, write_all

import tilesim as library
from tilesim.errors import InputError, StoreError, TilesimError
from tilesim.model import Series
from tilesim.store.create import Contents, create_store
from tilesim.store.describe import describe_frame, describe_store
from tilesim.store.finish import finish_store
from tilesim.store.store import Store
from tilesim.store.verify import verify_store
from tilesim.tiling.plan import TilePlan
from tilesim.tools.pyramid import build_pyramid

HOSTILE = (None, True, 0, -1, 2**70, 1e308, 1.5, "x", "", [], [[]], [0], {}, {"name": 5}, "gone")
SAMPLE = 40
PYTHON = ("Error", "NoneType", "object has no", "indices must", "not iterable", "unsupported", "Traceback")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A sound store of two frames with coarser levels, of a series whose spindle angle varies."""
    path = tmp_path_factory.mktemp("sound") / "z.zarr"
    shape = (2, 6, 520)
    series = Series(make_experiment(shape[1:]), {"scan.start": [0.0, 0.1]})
    made = create_store(str(path), TilePlan(shape, (4, 260)), Contents(make_provenance(shape[1:]), PIXEL, series))
    write_all(made, make_image(shape))
    finish_store(made, None)
    build_pyramid(str(path))
    return path


def places(plain, above=()):
    """Paths of all values of JSON."""
    yield above
    if isinstance(plain, dict | list):
        for key, value in plain.items() if isinstance(plain, dict) else enumerate(plain):
            yield from places(value, (*above, key))


def changed(plain, place, value):
    """The same JSON with another value at a place, or none."""
    if not place:
        return value
    copy = json.loads(json.dumps(plain))
    holder = copy
    for key in place[:-1]:
        holder = holder[key]
    if value == "gone":
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
    return copy


def read_all(path):
    """All that a store is asked for, each on its own; the lines of errors."""

    def export(store):
        library.export(store.name, path.parent / "x.tif", frames=0)

    def pyramid(store):
        build_pyramid(store.name, overwrite=True)

    lines = []
    for ask in (describe_store, lambda s: describe_frame(s, 0), verify_store, lambda s: s.series, export, pyramid):
        try:
            ask(Store.open(path))
        except TilesimError as error:
            lines.append(str(error))
    return lines


def test_any_value_of_any_member_may_be_wrong(sound, tmp_path):
    draws = random.Random(14)
    members = sorted(sound.rglob("zarr.json"))
    path, refused = tmp_path / "z.zarr", 0
    shutil.copytree(sound, path)
    for number in range(SAMPLE):
        member = members[number % len(members)]
        plain = json.loads(member.read_text())
        listed = [place for place in places(plain) if "consolidated_metadata" not in place or number % 4 == 0]
        place, value = draws.choice(listed), draws.choice(HOSTILE)
        shutil.rmtree(path)
        shutil.copytree(sound, path)
        (path / member.relative_to(sound)).write_text(json.dumps(changed(plain, place, value)))
        lines = read_all(path)
        refused += bool(lines)
        for line in lines:
            about = f"{member.relative_to(sound)}: {value!r} at {place}: {line}"
            assert "z.zarr" in line and "\n" not in line and len(line) < 600, about
            assert not any(word in line for word in PYTHON), about
    assert refused > SAMPLE / 4


IMAGE, BASE, FRAME = "0/intensity/zarr.json", "experiments/base/zarr.json", "0/frame/zarr.json"
NAMED = [
    ("zarr.json", ("attributes", "tilesim", "format"), 4, "its format is 4; expected one of 1, 2, 3"),
    ("zarr.json", ("attributes", "tilesim", "format"), True, "its format is True; expected one of 1, 2, 3"),
    ("zarr.json", ("attributes", "tilesim", "versions"), 5, "has attributes/tilesim/versions 5; expected an object"),
    (
        "zarr.json",
        ("attributes", "tilesim", "status"),
        [],
        "has attributes/tilesim/status []; expected one of",
    ),
    ("zarr.json", ("attributes", "tilesim", "missing"), [5], "tilesim/missing [5]; expected a list of objects"),
    ("zarr.json", ("attributes", "tilesim", "command_line"), [1], "command_line [1]; expected a list of texts"),
    (IMAGE, ("shape",), [2, 6], f"its {IMAGE} has"),
    (IMAGE, ("shape",), [2, 5, 520], "has 5 along slow, but its 0/slow has the shape [6]"),
    (IMAGE, ("shape",), [2, 6, 2**60], f"its {IMAGE} has shape"),
    (IMAGE, ("chunk_grid", "configuration", "chunk_shape"), [1, 0, 260], "chunk_shape [1, 0, 260]; expected 3 whole"),
    (IMAGE, ("data_type",), "float31", "has data_type 'float31'; expected a type of numbers"),
    (IMAGE, ("codecs", 0, "configuration"), {"endian": "big"}, "expected little-endian numbers"),
    (IMAGE, ("codecs", 1, "name"), "zip", "expected one of bytes, blosc"),
    (IMAGE, ("zarr_format",), 2, "has zarr_format 2; expected 3"),
    (IMAGE, (), [], f"its {IMAGE} is damaged; expected an object of JSON"),
    (FRAME, ("shape",), [3], "but its 0/frame has the shape [3]"),
    (BASE, ("shape",), [2**40], "its experiments/base/zarr.json has shape [1099511627776]; expected at most"),
]


@pytest.mark.parametrize(("name", "place", "value", "said"), NAMED)
def test_the_member_and_what_was_expected_are_named(sound, tmp_path, name, place, value, said):
    path = tmp_path / "z.zarr"
    shutil.copytree(sound, path)
    member = path / name
    member.write_text(json.dumps(changed(json.loads(member.read_text()), place, value)))
    with pytest.raises((InputError, StoreError)) as refused:
        describe_frame(Store.open(path), 0)
    assert said in str(refused.value)


def test_what_the_root_lists_otherwise_is_damage(tmp_path):
    path = tmp_path / "z.zarr"
    fill(path, TilePlan((2, 6, 6), (4, 4)))
    assert verify_store(Store.open(path)).intact
    root = json.loads((path / "zarr.json").read_text())
    root["consolidated_metadata"]["metadata"]["0/frame"]["shape"] = [7]
    (path / "zarr.json").write_text(json.dumps(root))
    assert verify_store(Store.open(path)).coordinates == ("0/frame in zarr.json",)
    assert np.array_equal(Store.open(path).numbers, [0, 1])
