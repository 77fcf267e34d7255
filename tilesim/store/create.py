"""Creating a store, hidden beside its final place, and moving it there when it is complete."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec

from tilesim.errors import StoreError
from tilesim.model import Panel
from tilesim.store.layout import (
    DIMENSIONS,
    DTYPE,
    IMAGE,
    LEVEL,
    Layout,
    ome_attributes,
    pixel_mm,
    read_attributes,
    tilesim_attributes,
)
from tilesim.tiling.plan import TilePlan


@dataclass(frozen=True)
class StoreHandle:
    """A store under construction; small and picklable, it travels to workers."""

    path: str
    """Where the store will be when it is complete; absolute, links followed."""
    folder: str
    """Where it is being built, beside `path`."""
    layout: Layout
    overwrite: bool
    digest: str | None
    """Of the experiment; None where the provenance names none."""


def create_store(
    path: str | os.PathLike, plan: TilePlan, panel: Panel, provenance: dict, *, overwrite: bool = False
) -> StoreHandle:
    """Write the metadata of an empty store into a hidden folder beside `path`; nothing appears at `path` yet.

    path        folder of the store, such as result.zarr
    plan        tiles of the image (frame, slow, fast); a tile becomes a chunk, or a shard where it is large
    provenance  what made the image, see `layout.tilesim_attributes`
    overwrite   whether `finish_store` may replace a store of tilesim's at `path`

    Raises StoreError where `path` is taken, its folder is missing or it cannot be written.
    """
    final = Path(os.path.realpath(path))
    digest = provenance.get("digest")
    check_target(final, digest, overwrite=overwrite)
    folder = final.with_name(f".{final.name}.partial-{secrets.token_hex(6)}")
    handle = StoreHandle(str(final), str(folder), Layout.of_plan(plan), overwrite, digest)
    try:
        with store_errors(final):
            folder.mkdir()
            uninterrupted(_write_metadata, handle, panel, provenance)
    except BaseException:
        discard_store(handle)
        raise
    return handle


def discard_store(handle: StoreHandle) -> None:
    """Remove what was built; a store at its final place is left alone. Does no harm when repeated."""
    shutil.rmtree(handle.folder, ignore_errors=True)


def uninterrupted(function: Callable, *arguments: object) -> None:
    """Call `function`, and let it come to its end even where Ctrl-C ends this thread's work meanwhile.

    zarr writes in a thread of its own, which would otherwise go on writing into a folder that is being removed.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="store") as pool:
        pool.submit(function, *arguments).result()


def check_target(final: Path, digest: str | None, *, overwrite: bool) -> None:
    """Raise StoreError unless a store may be put at `final`; nothing but a store of tilesim's is ever replaced."""
    if not final.parent.is_dir():
        raise StoreError(f"cannot create {final}: there is no folder {final.parent}")
    if not os.path.lexists(final):
        return
    found = read_attributes(final)
    if found is None:
        raise StoreError(f"{final} exists and is not a store made by tilesim; it is left alone, choose another name")
    if overwrite:
        return
    other = found.get("digest")
    whose = ""
    if digest is not None and other is not None:
        same = f"this experiment ({digest[:12]})"
        whose = f" and holds {same if other == digest else f'another experiment ({other[:12]}, not {digest[:12]})'}"
    raise StoreError(f"{final} exists already{whose}; choose another name, or --overwrite to replace it")


@contextlib.contextmanager
def store_errors(path: str | os.PathLike) -> Iterator[None]:
    """Turn the operating system's errors (read-only, disk full) into one StoreError line that names the store."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot write {os.fspath(path)}: {error.strerror or error}") from error


def move_into_place(handle: StoreHandle) -> None:
    """Rename the built folder to its final place; an older store there goes only once the new one is in."""
    final, folder = Path(handle.path), Path(handle.folder)
    # Asked again: the place may have been taken while the tiles were computed.
    check_target(final, handle.digest, overwrite=handle.overwrite)
    old = folder.with_name(folder.name.replace(".partial-", ".replaced-"))
    replaces = final.exists()
    if replaces:
        os.rename(final, old)
    try:
        os.rename(folder, final)
    except OSError:
        if replaces:
            os.rename(old, final)
        raise
    if replaces:
        shutil.rmtree(old, ignore_errors=True)


def _write_metadata(handle: StoreHandle, panel: Panel, provenance: dict) -> None:
    layout, pixel = handle.layout, pixel_mm(panel)
    attributes = {
        "ome": ome_attributes(panel, Path(handle.path).stem),
        "tilesim": tilesim_attributes(provenance, "incomplete"),
    }
    root = zarr.create_group(handle.folder, attributes=attributes)
    level = root.create_group(LEVEL)
    level.create_array(
        IMAGE,
        shape=layout.shape,
        dtype=DTYPE,
        chunks=layout.chunks,
        shards=layout.shards,
        # Float images hardly compress, but a damaged file should not go unnoticed.
        compressors=[Crc32cCodec()],
        # NaN shows a tile that is missing for what it is.
        fill_value=float("nan"),
        dimension_names=DIMENSIONS,
        attributes={"units": "photons/pixel", "long_name": "diffracted intensity"},
    )
    _write_coordinate(level, "frame", np.arange(layout.shape[0]), {"long_name": "frame number"})
    for name, count in zip(DIMENSIONS[1:], layout.shape[1:], strict=True):
        about = {"units": "mm", "long_name": f"pixel centre along the {name} axis, from the corner of the panel"}
        _write_coordinate(level, name, (np.arange(count) + 0.5) * pixel, about)


def _write_coordinate(level: zarr.Group, name: str, values: np.ndarray, attributes: dict) -> None:
    array = level.create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=values.shape,
        compressors=[Crc32cCodec()],
        dimension_names=(name,),
        attributes=attributes,
    )
    array[:] = values
