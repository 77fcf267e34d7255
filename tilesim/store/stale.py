"""Removing the coarser levels of a store, which a run does where they no longer are those of its image."""

from __future__ import annotations

import contextlib
import json

from tilesim.errors import StoreError
from tilesim.store.layout import IMAGE_PATH
from tilesim.store.metadata import listed_members
from tilesim.store.place import (
    ROOT,
    Plain,
    delete_folder,
    names_beside,
    open_place,
    read_root,
    store_errors,
    write_object,
)

DEEPEST = 40
"""More levels than an image can have (its pixels are at most 2^40)."""


def drop_levels(place: str, stale_only: bool = False) -> None:
    """Remove coarser levels: from the metadata, in one atomic step, and then themselves.

    stale_only  keep those of an image without gaps: a tile that is computed again has the same bytes

    Raises StoreError where the place cannot be written.
    """
    plain = read_root(place)
    holder = plain.get("attributes")
    attributes = holder.get("tilesim") if isinstance(holder, dict) else None
    if not isinstance(attributes, dict):
        raise StoreError(f"{place}: its {ROOT} is damaged; expected that of a store")
    pyramid = attributes.get("pyramid")
    if stale_only and is_whole(pyramid, attributes.get("job_digest")):
        return
    if "pyramid" in attributes:
        attributes.pop("pyramid")
        with contextlib.suppress(KeyError, TypeError, IndexError):
            multiscale = plain["attributes"]["ome"]["multiscales"][0]
            multiscale["datasets"] = [d for d in multiscale["datasets"] if d["path"] == IMAGE_PATH]
        listed = listed_members(plain)
        for key in [key for key in listed if _is_level(key.partition("/")[0])]:
            del listed[key]
        write_root(place, plain)
    store = open_place(place)
    with store_errors(place):
        for name in (found.strip("/") for found in names_beside(store, "")):
            if _is_level(name):
                delete_folder(store, name)


def is_whole(pyramid: object, job_digest: str | None) -> bool:
    """Whether a store's attribute `pyramid` is of levels of all tiles of this job."""
    return isinstance(pyramid, dict) and pyramid.get("missing") == 0 and pyramid.get("job_digest") == job_digest


def write_root(place: str, plain: Plain) -> None:
    """Replace the metadata of a store's root, atomically. Raises StoreError."""
    with store_errors(place):
        write_object(open_place(place), ROOT, json.dumps(plain, indent=2).encode())


def _is_level(name: str) -> bool:
    """Whether a name beside the root's is that of a coarser level's group."""
    return name in {str(number) for number in range(1, DEEPEST + 1)}
