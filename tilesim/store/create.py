"""Creating a store in its place, where tiles then fill it, and whether one may be created, resumed or replaced."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.abc.store import Store as Files
from zarr.codecs import Crc32cCodec
from zarr.storage import MemoryStore

from tilesim.errors import InputError, StoreError
from tilesim.frozen import frozen
from tilesim.model import Series
from tilesim.store.compression import Compression, default_compression, parse_compression
from tilesim.store.experiments import write_series
from tilesim.store.layout import (
    DIMENSIONS,
    IMAGE,
    IMAGE_PATH,
    LEVEL,
    PHOTONS,
    RESUMED,
    FrameCoordinate,
    Layout,
    Pixels,
    ome_attributes,
    tilesim_attributes,
)
from tilesim.store.place import (
    ROOT,
    delete_store,
    is_taken,
    is_url,
    names_in,
    open_place,
    read_json,
    read_object,
    store_errors,
    write_object,
)
from tilesim.store.stale import drop_levels
from tilesim.store.store import CREATING, Store, read_attributes
from tilesim.store.truth import create_truth
from tilesim.tiling.plan import TilePlan

COMPARED = ("tile", "tile_frames", "precision", "device", "backend", "truth")
"""What distinguishes jobs of one experiment."""


@frozen
class Contents:
    """What a store holds besides its tiles."""

    provenance: Mapping[str, Any]
    """Where the image comes from, see `layout.tilesim_attributes`."""
    pixel_size: float
    """Edge of a pixel of all panels, metres."""
    series: Series | None = None
    """Experiments of the frames; None: unknown."""
    tables: bool = True
    """Whether the structure factors are stored, too."""
    coordinates: Sequence[FrameCoordinate] = ()
    """Values for every frame."""
    pixels: Pixels = PHOTONS
    """Meaning of the numbers, and their compression; a store that is resumed keeps its own"""

    def compressed(self, compression: Compression) -> Contents:
        """The same, its pixels compressed so."""
        pixels = replace(self.pixels, compression=compression)
        return replace(self, pixels=pixels, provenance={**self.provenance, "compression": str(compression)})


def create_store(
    place: str,
    plan: TilePlan,
    contents: Contents,
    *,
    name: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
) -> Store:
    """Write the metadata of an empty store at `place`, or take the one of the same job that is there.

    place      from `normal_place`
    plan       tiles of the image; a tile becomes a chunk, or a shard where it is large
    name       the place as the user wrote it
    overwrite  whether a store of tilesim's may be removed first
    resume     whether one of the same job may be resumed

    Raises StoreError where `place` is taken, its folder is missing or it cannot be written.
    """
    provenance = contents.provenance
    compression = contents.pixels.compression
    check_target(place, provenance, overwrite=overwrite, resume=resume, compression=compression)
    status = (read_attributes(place) or {}).get("status")
    if status is not None and (overwrite or status == CREATING):
        delete_store(place)
        status = None
    work = _write_metadata if status is None else _repair_metadata
    asked = compression or default_compression(contents.pixels.dtype)
    contents = contents.compressed(asked if status is None else stored_compression(place))
    with _removed_again(place, status is None), store_errors(place):
        uninterrupted(work, place, Layout.of_plan(plan, contents.pixels.dtype), contents)
    return Store(place, name, provenance.get("job_digest")).ready()


@contextmanager
def _removed_again(place: str, fresh: bool) -> Iterator[None]:
    """A fresh store that cannot be written goes: what is left of it would be no store, and in the way of the next."""
    try:
        yield
    except StoreError:
        if fresh:
            with suppress(StoreError):
                delete_store(place)
        raise


def stored_compression(place: str) -> Compression:
    """The compression of the store at `place`. Raises StoreError where it is none of ours."""
    said = (read_attributes(place) or {}).get("compression")
    if said is None:  # made by a tilesim that had no choice
        counts = (read_json(place, f"{IMAGE_PATH}/{ROOT}") or {}).get("data_type") in ("int32", "uint16")
        return parse_compression("zstd:1" if counts else "none")
    try:
        return parse_compression(said)
    except (InputError, AttributeError):
        raise StoreError(f"{place} is compressed by {said}, which this tilesim does not know") from None


def check_target(
    place: str, provenance: Mapping[str, Any], *, overwrite: bool, resume: bool, compression: Compression | None = None
) -> None:
    """Raise StoreError unless a store of this provenance may be made at `place`; touches nothing.

    compression  that was asked for; None takes any
    """
    if not is_url(place) and not Path(place).parent.is_dir():
        raise StoreError(f"cannot create {place}: there is no folder {Path(place).parent}")
    if not is_taken(place):
        return
    found = read_attributes(place)
    if found is None:
        raise StoreError(f"{place} exists and is not a store made by tilesim; it is left alone, choose another name")
    if overwrite or found.get("status") == CREATING:
        return
    differs = difference(found, provenance)
    if not resume:
        state = f"{'a complete' if found.get('status') == 'complete' else 'an incomplete'} run of"
        whose = f"holds {state} {f'another job: {differs}' if differs else 'this job'}"
        # One of other tiles is resumed with its own, where nobody asks for others.
        names = {"digest", *COMPARED} - {"tile", "tile_frames"}
        same = found.get("format") in RESUMED and all(found.get(name) == provenance.get(name) for name in names)
        go_on = "--resume to resume it, " if not differs or same else ""
        raise StoreError(f"{place} exists and {whose}; expected {go_on}--overwrite to replace it, or another name")
    if differs:
        raise StoreError(f"{place} cannot be resumed, it holds another job: {differs}")
    if compression is not None and compression != (stored := stored_compression(place)):
        wrong = f"{place} cannot be resumed with --compression {compression}, its own is {stored}"
        raise StoreError(f"{wrong}; expected the same, or the option left out")


def difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """How the job of a store differs from another one, in words; empty where it is the same."""
    if found.get("format") not in RESUMED:
        return f"its format is {found.get('format')}, not {' or '.join(map(str, RESUMED))}"
    if found.get("job_digest") == wanted.get("job_digest"):
        return ""
    if found.get("digest") != wanted.get("digest"):
        return f"its experiment is {str(found.get('digest'))[:12]}, not {str(wanted.get('digest'))[:12]}"
    pairs = [(name, found.get(name), wanted.get(name)) for name in COMPARED]
    said = ", ".join(_differing(name, old, new) for name, old, new in pairs if old != new)
    return f"it was computed with {said or 'another layout'}"


def _differing(name: str, old: Any, new: Any) -> str:
    """How one of what is compared differs, in words: --truth is there or not, the others have values."""
    if name == "truth":
        return "--truth, which is not given now" if old else "no --truth, which is given now"
    return f"{name} {old} instead of {new}"


def uninterrupted(function: Callable[..., object], *arguments: object) -> None:
    """Call `function`, and let it come to its end even where Ctrl-C ends this thread's work meanwhile."""
    with ThreadPoolExecutor(1, thread_name_prefix="store") as pool:
        pool.submit(function, *arguments).result()


def _repair_metadata(place: str, layout: Layout, contents: Contents) -> None:
    """Write again what is damaged or gone of metadata, coordinates and experiments: all that a fresh store holds."""
    drop_levels(place, stale_only=True)
    fresh, files = MemoryStore(), open_place(place)
    _write_metadata(place, layout, contents, fresh)
    for key in names_in(fresh):
        wanted = read_object(fresh, key)
        if key != ROOT and wanted is not None and not _same(key, read_object(files, key), wanted):
            write_object(files, key, wanted)


def _same(key: str, found: bytes | None, wanted: bytes) -> bool:
    if found is None or not key.endswith(ROOT):
        return found == wanted
    try:
        plain = json.loads(found)
        plain.pop("consolidated_metadata", None)  # of a store that was finished
    except (ValueError, AttributeError):
        return False
    reference = json.loads(wanted)
    reference.pop("consolidated_metadata", None)
    return bool(plain == reference)


def _write_metadata(place: str, layout: Layout, contents: Contents, files: Files | None = None) -> None:
    """The store without its tiles, at its place or in `files`."""
    provenance, pixels, coordinates = contents.provenance, contents.pixels, contents.coordinates
    compression = pixels.compression or default_compression(pixels.dtype)
    pixel = contents.pixel_size * 1e3
    attributes = {
        "ome": ome_attributes(pixel, Path(place).stem, len(layout.shape)),
        "tilesim": tilesim_attributes(provenance, CREATING),
    }
    root = zarr.create_group(open_place(place) if files is None else files, attributes=attributes, zarr_format=3)
    level = root.create_group(LEVEL)
    named = [coordinate.name for coordinate in coordinates if coordinate.name not in layout.dimensions]
    level.create_array(
        IMAGE,
        shape=layout.shape,
        dtype=pixels.dtype,
        chunks=layout.chunks,
        shards=layout.shards,
        compressors=compression.codecs(pixels.dtype),
        fill_value=np.dtype(pixels.dtype).type(pixels.blank),
        dimension_names=layout.dimensions,
        attributes={
            "units": pixels.units,
            "long_name": pixels.long_name,
            **({"coordinates": " ".join(named)} if named else {}),
        },
    )
    if not any(coordinate.name == "frame" for coordinate in coordinates):
        write_coordinate(level, "frame", np.arange(layout.shape[0]), ("frame",), {"long_name": "frame number"})
    if "panel" in layout.dimensions:
        write_coordinate(level, "panel", np.arange(layout.shape[1]), ("panel",), {"long_name": "panel number"})
    for name, count in zip(DIMENSIONS[-2:], layout.shape[-2:], strict=True):
        about = {"units": "mm", "long_name": f"pixel centre along the {name} axis, from the corner of the panel"}
        write_coordinate(level, name, (np.arange(count) + 0.5) * pixel, (name,), about)
    for coordinate in coordinates:
        write_coordinate(level, coordinate.name, *coordinate.encoded())
    if provenance.get("truth"):
        create_truth(root, layout, compression)
    if contents.series is not None:
        write_series(root, contents.series, contents.tables)
    root.attrs["tilesim"] = tilesim_attributes(provenance, "incomplete")


def write_coordinate(
    level: zarr.Group, name: str, values: np.ndarray, dimensions: tuple[str, ...], attributes: Mapping[str, Any]
) -> None:
    """One small array beside the image, replaced where it is there already."""
    array = level.create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=values.shape,
        compressors=[Crc32cCodec()],
        dimension_names=dimensions,
        attributes=dict(attributes),
        overwrite=True,
    )
    # Values that are all zero are stored too: an object that is not there is damage.
    array.with_config({"write_empty_chunks": True})[...] = values
