"""Tables of numbers as CSV, Parquet or HDF5, written block by block."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module

import numpy as np

from tilesim.errors import InputError
from tilesim.files.libraries import need
from tilesim.files.replace import replacing_path

Block = Mapping[str, np.ndarray]
"""Some rows: columns of equal lengths, (n,) whole numbers or float64, by name."""
Append = Callable[[Block], None]


def check_table(path: str) -> None:
    """Raise InputError unless a table can be written under this name: by its ending, with the library it takes."""
    ending = _ending(path)
    if ending not in _WRITERS:
        raise InputError(f"{path} has no ending of a table; expected {', '.join(_WRITERS)}")
    if ending == ".parquet":
        try:
            import_module("pyarrow.parquet")
        except ImportError:
            raise InputError(f"{path} takes pyarrow, which is not installed; expected it, or .csv or .h5") from None
    elif ending != ".csv":
        need("h5py", "writing HDF5 tables")


def write_table(path: str, empty: Block, blocks: Iterable[Block]) -> None:
    """Write the rows of all blocks, whole or not at all. Raises InputError as `check_table`, StoreError.

    empty  a block without rows, which says names and types of the columns
    """
    check_table(path)
    with replacing_path(path) as temporary, _WRITERS[_ending(path)](temporary, empty) as append:
        for block in blocks:
            append(block)


def _ending(path: str) -> str:
    return os.path.splitext(path)[1].lower()


@contextmanager
def _csv(path: str, empty: Block) -> Iterator[Append]:
    with open(path, "w", encoding="ascii", newline="") as file:
        file.write(",".join(empty) + "\n")

        def append(block: Block) -> None:
            rows = zip(*(block[name].tolist() for name in empty), strict=True)
            file.writelines(",".join(map(repr, row)) + "\n" for row in rows)

        yield append


@contextmanager
def _hdf5(path: str, empty: Block) -> Iterator[Append]:
    h5py = need("h5py", "writing HDF5 tables")
    with h5py.File(path, "w") as file:
        for name, values in empty.items():
            file.create_dataset(name, data=values, maxshape=(None,), chunks=(4096,), compression="gzip")

        def append(block: Block) -> None:
            for name in empty:
                before = len(file[name])
                file[name].resize(before + len(block[name]), axis=0)
                file[name][before:] = block[name]

        yield append


@contextmanager
def _parquet(path: str, empty: Block) -> Iterator[Append]:
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    schema = arrow.table(dict(empty)).schema
    with parquet.ParquetWriter(path, schema) as writer:
        yield lambda block: writer.write_table(arrow.table({name: block[name] for name in empty}, schema=schema))


_WRITERS: dict[str, Callable[[str, Block], AbstractContextManager[Append]]] = {
    ".csv": _csv,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".parquet": _parquet,
}
