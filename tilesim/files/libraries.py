"""Libraries that only some formats need: imported when they are wanted, named in one line where they are missing."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from tilesim.errors import InputError

Hdf5 = Any
"""A file, group or dataset of h5py, which declares no types."""


def need(module: str, what: str) -> ModuleType:
    """The library `module`, which `what`, such as "reading MTZ files", needs. Raises InputError where it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise InputError(f"{what} needs {library} ({error}); pip install 'tilesim[formats]'") from None
