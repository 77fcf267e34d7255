"""Compression of a store: what may be chosen, what is written, and that it stays with the store."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numcodecs.blosc
import numpy as np
import pytest
import zarr
from stores import (
    BEYOND,
    RAGGED,
    SHARDED,
    chunk_of,
    described,
    fill,
    flip,
    make_image,
    read_all,
    start,
    verified,
    write_all,
)

from tilesim.errors import InputError, StoreError
from tilesim.store import levels
from tilesim.store.compression import OVERHEAD, Compression, parse_compression
from tilesim.store.create import stored_compression
from tilesim.store.finish import finish_store
from tilesim.store.layout import PHOTONS, Layout, Pixels
from tilesim.tiling.plan import TilePlan
from tilesim.tools.pyramid import build_pyramid

COUNTS = Pixels("int32", -1, "detector units", "detector signal")
LARGE = TilePlan((1, 900, 900), (450, 450))
"""Of tiles that Blosc cuts into several blocks, which its threads would compress in any order."""


def compressed(text, pixels=PHOTONS):
    return replace(pixels, compression=parse_compression(text))


def codecs(path, name="0/intensity"):
    """Names and settings of the codecs of a chunk of an array, those of a shard's chunks where there are shards."""
    found = json.loads((path / name / "zarr.json").read_text())["codecs"]
    if found[0]["name"] == "sharding_indexed":
        found = found[0]["configuration"]["codecs"]
    return {one["name"]: one.get("configuration", {}) for one in found}


def objects(path):
    return {p.relative_to(path): p.read_bytes() for p in (path / "0" / "intensity" / "c").rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("text", "method", "level", "written"),
    [
        ("none", "none", 0, "none"),
        ("lz4", "lz4", 5, "lz4:5"),
        ("zstd", "zstd", 1, "zstd:1"),
        ("lz4:9", "lz4", 9, "lz4:9"),
        ("zstd:3", "zstd", 3, "zstd:3"),
    ],
)
def test_compression_is_a_method_and_a_level(text, method, level, written):
    found = parse_compression(text)
    assert (found, str(found)) == (Compression(method, level), written)
    assert parse_compression(written) == found


@pytest.mark.parametrize(
    "text", ["", "gzip", "blosc", "none:1", "lz4:", "zstd:0", "zstd:10", "zstd:-1", "zstd:1.5", "zstd:٣", "LZ4", "lz4 "]
)
def test_anything_else_is_refused(text):
    with pytest.raises(InputError, match="expected none, lz4 or zstd, or with a level from 1 to 9 such as zstd:3"):
        parse_compression(text)


@pytest.mark.parametrize("plan", [RAGGED, SHARDED], ids=["chunks", "shards"])
@pytest.mark.parametrize("text", ["none", "lz4", "lz4:1", "zstd", "zstd:5"])
def test_any_compression_gives_the_pixels_back_and_mends_damage(tmp_path, plan, text):
    path = tmp_path / "a.zarr"
    image = fill(path, plan, pixels=compressed(text))
    method, _, level = str(parse_compression(text)).partition(":")
    found = codecs(path)
    assert list(found) == (["bytes", "crc32c"] if text == "none" else ["bytes", "blosc", "crc32c"])
    if text != "none":
        expected = {"cname": method, "clevel": int(level), "shuffle": "shuffle", "typesize": 4, "blocksize": 0}
        assert found["blosc"] == expected
    np.testing.assert_array_equal(read_all(path), image)
    assert described(path)["compression"] == str(parse_compression(text))
    before = objects(path)
    flip(chunk_of(path, plan))
    stored = start(path, plan, resume=True)
    assert stored.read(plan[0]) is None and verified(path).damaged == (plan[0],)
    stored.write(plan[0], image[(0, *plan[0].slices)])
    assert objects(path) == before and verified(path).intact


def test_photons_and_counts_have_defaults_of_their_own(tmp_path):
    fill(tmp_path / "photons", RAGGED)
    fill(tmp_path / "counts", RAGGED, pixels=COUNTS)
    assert described(tmp_path / "photons")["compression"] == "lz4:5"
    assert described(tmp_path / "counts")["compression"] == "zstd:1"


def test_a_store_that_is_resumed_keeps_its_compression(tmp_path):
    path = tmp_path / "a.zarr"
    image = make_image(RAGGED.shape)
    start(path, RAGGED, pixels=compressed("zstd:3")).write(RAGGED[0], image[(0, *RAGGED[0].slices)])
    with pytest.raises(StoreError, match=r"a\.zarr cannot be resumed with --compression lz4:5, its own is zstd:3"):
        start(path, RAGGED, resume=True, pixels=compressed("lz4"))
    (path / "0" / "intensity" / "zarr.json").unlink()
    for pixels in (PHOTONS, compressed("zstd:3")):
        handle = start(path, RAGGED, resume=True, pixels=pixels)
        assert (codecs(path)["blosc"]["cname"], codecs(path)["blosc"]["clevel"]) == ("zstd", 3)
        assert handle.read(RAGGED[0]) is not None
    write_all(handle, image)
    finish_store(handle, None)
    np.testing.assert_array_equal(read_all(path), image)
    start(path, RAGGED, overwrite=True, pixels=compressed("none"))
    assert "blosc" not in codecs(path)


@pytest.mark.parametrize(("pixels", "was"), [(PHOTONS, "none"), (COUNTS, "zstd:1")], ids=["photons", "counts"])
def test_a_store_from_before_there_was_a_choice_can_be_resumed(tmp_path, pixels, was):
    path = tmp_path / "a.zarr"
    fill(path, RAGGED, pixels=compressed(was, pixels))
    plain = json.loads((path / "zarr.json").read_text())
    del plain["attributes"]["tilesim"]["compression"]
    (path / "zarr.json").write_text(json.dumps(plain))
    before = objects(path)
    assert str(stored_compression(str(path))) == was
    stored = start(path, RAGGED, resume=True, pixels=pixels)
    assert all(stored.read(tile) is not None for tile in RAGGED)
    assert objects(path) == before and described(path)["compression"] is None


@pytest.mark.parametrize("said", ["brotli:3", 7])
def test_a_compression_of_another_tilesim_is_one_line(tmp_path, said):
    path = tmp_path / "a.zarr"
    fill(path, RAGGED)
    plain = json.loads((path / "zarr.json").read_text())
    plain["attributes"]["tilesim"]["compression"] = said
    (path / "zarr.json").write_text(json.dumps(plain))
    assert described(path)["compression"] == said
    with pytest.raises(StoreError, match=f"a.zarr is compressed by {said}, which this tilesim does not know"):
        start(path, RAGGED, resume=True)


@pytest.mark.parametrize("pixels", [compressed("none"), compressed("lz4:3"), compressed("zstd:2", COUNTS)])
def test_coarser_levels_have_the_compression_of_the_image(tmp_path, monkeypatch, pixels):
    monkeypatch.setattr(levels, "SMALL", 16)
    path = tmp_path / "a.zarr"
    fill(path, RAGGED, pixels=pixels)
    build_pyramid(path)
    for number in (1, 2, 3):
        assert codecs(path, f"{number}/intensity") == codecs(path)
    assert verified(path).intact


@pytest.mark.parametrize("plan", [RAGGED, SHARDED, BEYOND], ids=["chunks", "shards", "beyond"])
@pytest.mark.parametrize("text", ["none", "lz4", "zstd:5"])
def test_the_layout_knows_the_most_that_a_store_may_need(tmp_path, plan, text):
    """Random bits cannot be compressed: Blosc puts its header before them."""
    bits = np.random.default_rng(1).integers(0, 2**32, plan.shape, np.uint32)
    noise = np.where(np.isnan(bits.view(np.float32)), np.float32(1), bits.view(np.float32))
    fill(tmp_path / "a.zarr", plan, noise, pixels=compressed(text))
    needed, layout = sum(map(len, objects(tmp_path / "a.zarr").values())), Layout.of_plan(plan)
    chunks = len(TilePlan(layout.shape, layout.chunk))
    assert needed <= layout.image_bytes
    if text == "none":
        assert needed == layout.image_bytes - OVERHEAD * chunks


@pytest.mark.parametrize("text", ["lz4", "zstd"])
def test_tiles_that_threads_write_have_the_bytes_of_one_thread(tmp_path, text):
    image = np.random.default_rng(1).poisson(3.0, LARGE.shape).astype(np.float32)
    fill(tmp_path / "one", LARGE, image, pixels=compressed(text))
    stored = start(tmp_path / "some", LARGE, pixels=compressed(text))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda tile: stored.write(tile, image[(0, *tile.slices)]), [*LARGE] * 3))
    assert objects(tmp_path / "some") == objects(tmp_path / "one")
    # Its threads would write the blocks of a chunk in the order in which they are done.
    assert numcodecs.blosc.use_threads is False


@pytest.mark.parametrize("text", ["lz4", "zstd"])
def test_reading_depends_on_nothing_but_the_store(tmp_path, monkeypatch, text):
    image = fill(tmp_path / "a.zarr", LARGE, pixels=compressed(text))
    for name, value in {"NTHREADS": "3", "CLEVEL": "9", "SHUFFLE": "NOSHUFFLE", "TYPESIZE": "1"}.items():
        monkeypatch.setenv(f"BLOSC_{name}", value)
    with zarr.config.set({"codec_pipeline.batch_size": 7, "async.concurrency": 1, "threading.max_workers": 1}):
        np.testing.assert_array_equal(read_all(tmp_path / "a.zarr"), image)
        again = Path(tmp_path / "b.zarr")
        fill(again, LARGE, pixels=compressed(text))
    assert objects(again) == objects(tmp_path / "a.zarr")
