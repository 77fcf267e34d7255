"""The coarser levels of a store: right means, listed when complete, gone when they are stale, read by others."""

import json
import shutil
import warnings

import numpy as np
import pytest
import xarray
import zarr
from ome_zarr_models.v05.image import Image
from stores import RAGGED, described, fill, flip, make_image, start, verified, write_all

from tilesim.errors import InputError, StoreError
from tilesim.store import levels as levels_module
from tilesim.store.finish import finish_store
from tilesim.tiling.plan import TilePlan, default_tile
from tilesim.tools import pyramid
from tilesim.tools.pyramid import build_pyramid


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Small images have levels too."""
    monkeypatch.setattr(levels_module, "SMALL", 16)


PLANS = {
    "ragged": RAGGED,
    "odd tiles": TilePlan((1, 50, 71), (7, 5)),
    "one tile": TilePlan((2, 33, 65), (33, 65)),
    "thin": TilePlan((1, 1, 99), (1, 10)),
    "shards": TilePlan((1, 1100, 1300), (1024, 1024)),
}


def block_means(image, factor):
    """Straight from the definition."""
    slow, fast = (-(-n // factor) for n in image.shape)
    padded = np.full((slow * factor, fast * factor), np.nan)
    padded[: image.shape[0], : image.shape[1]] = image
    blocks = padded.reshape(slow, factor, fast, factor)
    counts = (~np.isnan(blocks)).sum(axis=(1, 3))
    with np.errstate(invalid="ignore"):
        return (np.nansum(blocks, axis=(1, 3)) / counts).astype(np.float32)


def level(path, number):
    return zarr.open_array(path / str(number) / "intensity", mode="r")[...]


@pytest.mark.parametrize("name", PLANS)
def test_levels_are_means_of_the_pixels_of_each_block(tmp_path, name):
    path, plan = tmp_path / "a.zarr", PLANS[name]
    image = fill(path, plan)
    built = build_pyramid(path)
    assert max(built.levels[-1].shape) <= 16 < max(built.levels[-1].shape) * 2
    for one in built.levels:
        found = level(path, one.number)
        assert found.dtype == np.float32
        for frame in range(len(image)):
            np.testing.assert_allclose(found[frame], block_means(image[frame], one.factor), rtol=1e-6)


@pytest.mark.parametrize("shape", [(2162, 206), (2068, 193), (523, 2463)])
def test_levels_do_not_depend_on_tiles(tmp_path, shape):
    """Odd edges of default tiles cut through blocks: counts up to 2^20 show any pixel that is lost or counted twice."""
    image = np.random.default_rng(1).integers(0, 2**20, (1, *shape)).astype(np.float32)
    plans = {"default": TilePlan((1, *shape), default_tile(shape)), "whole": TilePlan((1, *shape), shape)}
    for name, plan in plans.items():
        fill(tmp_path / name, plan, image)
        build_pyramid(tmp_path / name)
    assert any(edge % 2 for edge in plans["default"].tile)
    for number in range(1, len(described(tmp_path / "whole")["levels"]) + 1):
        found = level(tmp_path / "default", number)
        np.testing.assert_array_equal(found, level(tmp_path / "whole", number))
        np.testing.assert_array_equal(found[0], block_means(image[0], 2**number))


@pytest.mark.parametrize("name", PLANS)
def test_tools_of_users_read_the_levels(tmp_path, name):
    path, plan = tmp_path / "a.zarr", PLANS[name]
    fill(path, plan)
    built = build_pyramid(path)
    with xarray.open_datatree(path, engine="zarr") as tree:
        for one in built.levels:
            assert tree[str(one.number)]["intensity"].shape == (plan.shape[0], *one.shape)
    with xarray.open_zarr(path, group="2") as data:
        np.testing.assert_allclose(data.fast, (np.arange(built.levels[1].shape[1]) + 0.5) * 0.4)
        assert data.intensity.attrs["long_name"] == "mean of 4 x 4 pixels"
    model = Image.from_zarr(zarr.open_group(path, mode="r"))
    datasets = model.ome_attributes.multiscales[0].datasets
    assert [d.path for d in datasets] == [f"{n}/intensity" for n in range(len(built.levels) + 1)]
    scale, translation = datasets[2].coordinateTransformations
    assert scale.scale == pytest.approx([1, 0.4, 0.4])
    # The mean of the centres of pixels 0 to 3, which are 0.05, 0.15, 0.25 and 0.35 mm from the corner.
    assert translation.translation == pytest.approx([0, 0.2, 0.2])


def test_the_reader_of_napari_sees_a_pyramid(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reader = pytest.importorskip("ome_zarr.reader")
        from ome_zarr.io import parse_url
    image = fill(tmp_path / "a.zarr", RAGGED)
    build_pyramid(tmp_path / "a.zarr")
    [node] = reader.Reader(parse_url(str(tmp_path / "a.zarr")))()
    assert [d.shape for d in node.data] == [(2, 50, 70), (2, 25, 35), (2, 13, 18), (2, 7, 9)]
    np.testing.assert_allclose(node.data[1].compute()[1], block_means(image[1], 2), rtol=1e-6)


def test_gaps_are_left_out_of_means_and_stay_gaps(tmp_path):
    path = tmp_path / "a.zarr"
    image = make_image(RAGGED.shape)
    handle = start(path, RAGGED)
    gap = RAGGED[4]
    for tile in RAGGED:
        if tile != gap:
            handle.write(tile, image[(tile.frame, *tile.slices)])
    finish_store(handle, None, missing=[{"frame": 0, "what": str(gap), "why": "no memory"}])
    image[(0, *gap.slices)] = np.nan
    assert build_pyramid(path).missing == 1
    for number in (1, 2, 3):
        np.testing.assert_allclose(level(path, number)[0], block_means(image[0], 2**number), rtol=1e-6)
    assert np.isnan(level(path, 1)[0]).sum() > 100
    # What was made with a gap goes as soon as somebody begins to fill it.
    start(path, RAGGED, resume=True)
    assert sorted(p.name for p in path.iterdir()) == ["0", "experiments", "zarr.json"]
    assert described(path)["levels"] == []


def test_infinite_pixels_stay_in_their_blocks(tmp_path):
    image = make_image(RAGGED.shape)
    image[0, 0, 0], image[0, 0, 1] = np.inf, -np.inf
    image[0, 10, 10] = np.inf
    fill(tmp_path / "a.zarr", RAGGED, image)
    build_pyramid(tmp_path / "a.zarr")
    found = level(tmp_path / "a.zarr", 1)[0]
    assert np.isnan(found[0, 0]) and found[5, 5] == np.inf
    assert np.isfinite(found).sum() == found.size - 2


def snapshot(path):
    return {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def test_making_it_again_changes_nothing(tmp_path):
    path = tmp_path / "a.zarr"
    fill(path, RAGGED)
    assert not build_pyramid(path).kept
    before = snapshot(path)
    assert build_pyramid(path).kept
    assert snapshot(path) == before
    assert not build_pyramid(path, overwrite=True).kept
    assert snapshot(path) == before


def test_the_store_without_its_levels_is_what_it_was(tmp_path):
    path = tmp_path / "a.zarr"
    fill(path, RAGGED)
    root, before = json.loads((path / "zarr.json").read_text()), snapshot(path)
    build_pyramid(path)
    levels_module.drop_levels(str(path))
    assert json.loads((path / "zarr.json").read_text()) == root
    assert {k: v for k, v in snapshot(path).items() if k.name != "zarr.json" or len(k.parts) > 1} == {
        k: v for k, v in before.items() if k.name != "zarr.json" or len(k.parts) > 1
    }


def test_levels_are_listed_all_at_once_at_the_end(tmp_path, monkeypatch):
    path = tmp_path / "a.zarr"
    fill(path, RAGGED)
    fill_chunk, seen = pyramid._fill, []

    def watch(*arguments):
        seen.append(len(zarr.open_group(path, mode="r").attrs["ome"]["multiscales"][0]["datasets"]))
        return fill_chunk(*arguments)

    monkeypatch.setattr(pyramid, "_fill", watch)
    build_pyramid(path)
    assert set(seen) == {1}
    assert len(zarr.open_group(path, mode="r").attrs["ome"]["multiscales"][0]["datasets"]) == 4


def test_a_failure_leaves_the_store_without_levels(tmp_path, monkeypatch):
    path = tmp_path / "a.zarr"
    fill(path, RAGGED)
    before = snapshot(path)
    monkeypatch.setattr(pyramid, "halved", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        build_pyramid(path)
    assert snapshot(path) == before


def test_a_damaged_tile_makes_no_pyramid(tmp_path):
    path = tmp_path / "a.zarr"
    fill(path, RAGGED)
    flip(path / "0" / "intensity" / "c" / "0" / "1" / "1")
    with pytest.raises(StoreError, match="0/intensity/c/0/1/1 is damaged"):
        build_pyramid(path)
    assert sorted(p.name for p in path.iterdir()) == ["0", "experiments", "zarr.json"]


def test_a_store_that_changes_meanwhile_gets_no_pyramid(tmp_path):
    path = tmp_path / "a.zarr"
    handle = start(path, RAGGED)
    write_all(handle, make_image(RAGGED.shape))
    done = []

    def finish():
        if not done:
            done.append(finish_store(handle, {}))

    with pytest.raises(StoreError, match="was changed by a run"):
        build_pyramid(path, on_tile=finish)
    assert described(path)["levels"] == []
    assert verified(path).intact


def test_resuming_keeps_levels_of_a_whole_image_and_replacing_does_not(tmp_path):
    path = tmp_path / "a.zarr"
    image = fill(path, RAGGED)
    build_pyramid(path)
    flip(path / "0" / "intensity" / "c" / "0" / "1" / "1")
    handle = start(path, RAGGED, resume=True)
    write_all(handle, image)
    finish_store(handle, {})
    assert described(path)["levels"] == [[25, 35], [13, 18], [7, 9]]
    assert verified(path).intact
    Image.from_zarr(zarr.open_group(path, mode="r"))
    start(path, RAGGED, overwrite=True)
    assert sorted(p.name for p in path.iterdir()) == ["0", "experiments", "zarr.json"]


@pytest.mark.parametrize("harm", ["chunk", "gone", "group", "shape", "type"])
def test_damaged_levels_are_found_and_made_again(tmp_path, harm):
    path = tmp_path / "a.zarr"
    fill(path, RAGGED)
    build_pyramid(path)
    before = snapshot(path)
    chunk, metadata = path / "2" / "intensity" / "c" / "1" / "0" / "0", path / "2" / "intensity" / "zarr.json"
    if harm == "chunk":
        flip(chunk)
    elif harm == "gone":
        chunk.unlink()
    elif harm == "group":
        shutil.rmtree(path / "2")
    elif harm == "shape":
        plain = json.loads(metadata.read_text())
        metadata.write_text(json.dumps(plain | {"shape": [2, 13, 9999]}))
    else:
        metadata.write_text(metadata.read_text().replace("float32", "float64"))
    found = verified(path)
    assert found.levels == ("2/intensity",) and not found.intact and not found.incomplete
    build_pyramid(path, overwrite=True)
    assert verified(path).intact and snapshot(path) == before


@pytest.mark.parametrize("claim", [None, 7, {}, {"levels": 9}, {"levels": "3", "job_digest": 1}, {"missing": 0}])
def test_a_store_that_claims_levels_wrongly_has_none(tmp_path, claim):
    path = tmp_path / "a.zarr"
    fill(path, RAGGED)
    plain = json.loads((path / "zarr.json").read_text())
    plain["attributes"]["tilesim"]["pyramid"] = claim
    (path / "zarr.json").write_text(json.dumps(plain))
    assert described(path)["levels"] == []
    build_pyramid(path)
    assert len(described(path)["levels"]) == 3 and verified(path).intact


def test_what_is_no_store_is_refused(tmp_path):
    zarr.create_group(tmp_path / "other.zarr")
    for name in ("other.zarr", "missing.zarr"):
        with pytest.raises(InputError, match=name):
            build_pyramid(tmp_path / name)


def test_a_small_image_needs_no_levels(tmp_path):
    fill(tmp_path / "a.zarr", TilePlan((1, 9, 9), (4, 4)))
    assert build_pyramid(tmp_path / "a.zarr").levels == ()
    assert sorted(p.name for p in (tmp_path / "a.zarr").iterdir()) == ["0", "experiments", "zarr.json"]
