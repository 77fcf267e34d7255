"""One frame of one panel of a tilesim store as an image."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from tilesim.errors import InputError, StoreError
from tilesim.formats.pixels import Banded, check_number
from tilesim.store.place import store_errors
from tilesim.store.read import open_store
from tilesim.store.write import UNREADABLE


class StoredImage(Banded):
    """Pixels of a store; NaN, or what its fill value is, where tiles are missing."""

    def __init__(self, name: str, array: Any, frame: int, panel: int, complete: bool) -> None:
        """An image of a `zarr.Array` of (frame, slow, fast) or (frame, panel, slow, fast)."""
        self.name = name
        self.shape = tuple(array.shape[-2:])
        self.dtype = array.dtype
        self.chunk = tuple(array.chunks[-2:])
        self.frames = array.shape[0]
        self.panels = array.shape[1] if array.ndim == 4 else 1
        self.complete = complete
        self._array = array
        self._image = (frame,) if array.ndim == 3 else (frame, panel)

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        """The pixels of a part. Raises StoreError on damage."""
        with store_errors(self.name, "read"):
            try:
                return np.asarray(self._array[(*self._image, rows, columns)])
            except UNREADABLE as error:
                first, left = rows.indices(self.shape[0])[0], columns.indices(self.shape[1])[0]
                raise StoreError(
                    f"cannot read {self.name}: what is stored at slow {first}, fast {left} or after it is damaged"
                ) from error


def open_stored_image(path: str | os.PathLike[str], frame: int, panel: int) -> StoredImage:
    """A frame of a panel of the store at `path`, a folder or a URL. Raises InputError, StoreError."""
    attributes, array = open_store(path)
    name = os.fspath(path)
    if array.ndim not in (3, 4) or min(array.shape) < 1:
        raise InputError(f"{name}: expected an image of (frame, slow, fast), found {array.ndim} dimensions")
    check_number(path, "frame", frame, array.shape[0])
    check_number(path, "panel", panel, array.shape[1] if array.ndim == 4 else 1)
    return StoredImage(name, array, frame, panel, attributes.get("status") == "complete")
