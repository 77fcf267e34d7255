"""Metadata of a store's members, checked as they are read: types of values, shapes and chunks within bounds."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import zarr
from zarr.abc.store import Store as Files

from tilesim.errors import InputError
from tilesim.store.place import ROOT, Plain, read_object

MOST_AXES = 8
MOST_ELEMENTS = 2**48
"""Elements of an array, and of it along one axis."""
MOST_BYTES = 2**33
"""Bytes of a chunk, or of an array that is read whole."""
NODES = ("group", "array")
STATUSES = ("creating", "incomplete", "complete")
DTYPES = {"bool": 1, "string": 16}
"""Types of numbers with the bytes of each; a text takes some."""
DTYPES |= {f"{kind}{8 * size}": size for kind in ("int", "uint") for size in (1, 2, 4, 8)}
DTYPES |= {f"float{8 * size}": size for size in (2, 4, 8)}
CODECS = ("bytes", "blosc", "zstd", "crc32c", "gzip", "sharding_indexed", "vlen-utf8")
"""Codecs that stores of tilesim's use, or have used."""
UNREADABLE = (ValueError, RuntimeError, TypeError, LookupError, EOFError, OSError, ArithmeticError, AttributeError)
"""What zarr and its codecs raise on a chunk that is truncated or has another checksum, or on settings of a codec."""
Check = tuple[str, Callable[[Any], bool]]
"""What is expected, and whether a value is that."""


def is_whole(value: object) -> bool:
    """Whether a value is a whole number, which True is not."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_extent(value: object) -> bool:
    """Whether a value is a number of elements along an axis."""
    return is_whole(value) and 0 <= value <= MOST_ELEMENTS  # type: ignore[operator]


def _list_of(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(holds, value))


def _dict_of(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(holds, value.values()))


def _or_null(check: Check) -> Check:
    said, holds = check
    return f"{said} or null", lambda value: value is None or holds(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_missing(value: object) -> bool:
    return isinstance(value, dict) and is_whole(value.get("frame")) and isinstance(value.get("why"), str)


TEXT: Check = ("text", _is_text)
OBJECT: Check = ("an object", lambda value: isinstance(value, dict))
ATTRIBUTES: dict[str, Check] = {
    "status": (f"one of {', '.join(STATUSES)}", lambda value: value in STATUSES),
    "digest": TEXT,
    "job_digest": _or_null(TEXT),
    "experiment": _or_null(OBJECT),
    "command_line": _or_null(("a list of texts", _list_of(_is_text))),
    "strict_c": _or_null(("true or false", lambda value: isinstance(value, bool))),
    "corrections": _or_null(("a list of texts", _list_of(_is_text))),
    "seeds": _or_null(("an object of whole numbers", _dict_of(lambda value: value is None or is_whole(value)))),
    "versions": _or_null(("an object of texts", _dict_of(_is_text))),
    "statistics": _or_null(OBJECT),
    "missing": _or_null(("a list of objects with frame and why", _list_of(_is_missing))),
    "precision": _or_null(TEXT),
    "device": _or_null(TEXT),
    "backend": _or_null(TEXT),
    "tile": _or_null(
        (
            "two whole numbers above 0",
            lambda value: isinstance(value, list) and len(value) == 2 and all(is_extent(n) and n > 0 for n in value),
        )
    ),
    "tile_frames": _or_null(("a whole number above 0", lambda value: is_whole(value) and value > 0)),
    "truth": _or_null(("true or false", lambda value: isinstance(value, bool))),
    "noise": _or_null(OBJECT),
    "masks": _or_null(OBJECT),
    "source": _or_null(OBJECT),
}
"""What the attributes `tilesim` of a root must be, where they are there.

`pyramid` is judged where levels are read, `compression` where something is written.
"""


def check_attributes(attributes: Mapping[str, Any], where: str) -> None:
    """Raise InputError, `where` being the store, unless the attributes `tilesim` are what they must be."""
    for name, (expected, holds) in ATTRIBUTES.items():
        if name in attributes and not holds(attributes[name]):
            raise _wrong(where, ROOT, f"attributes/tilesim/{name}", attributes[name], expected)
    if "status" not in attributes:
        raise InputError(f"{where}: its {ROOT} has no attributes/tilesim/status; expected {ATTRIBUTES['status'][0]}")


def read_member(files: Files, path: str, where: str) -> Plain:
    """The metadata of a group or array of the store `where`, checked.

    Raises InputError, naming the member and what was expected; KeyError where there is none.
    """
    member = f"{path}/{ROOT}" if path else ROOT
    try:
        found = read_object(files, member)
    except (FileNotFoundError, NotADirectoryError):
        found = None
    except IsADirectoryError:
        raise InputError(f"{where}: its {member} is a folder; expected a file") from None
    if found is None:
        raise KeyError(member)
    try:
        plain = json.loads(found)
    except (ValueError, RecursionError):
        plain = None
    if not isinstance(plain, dict):
        raise InputError(f"{where}: its {member} is damaged; expected an object of JSON")
    _check(plain, member, where)
    return plain


def _check(plain: Plain, member: str, where: str) -> None:
    checks: dict[str, Check] = {
        "zarr_format": ("3", lambda value: is_whole(value) and value == 3),
        "node_type": (" or ".join(NODES), lambda value: value in NODES),
        "attributes": OBJECT,
    }
    for name, (expected, holds) in checks.items():
        value = plain.get(name, {} if name == "attributes" else None)
        if not holds(value):
            raise _wrong(where, member, name, value, expected)
    listed = plain.get("consolidated_metadata")
    if listed is not None and not _is_listing(listed):
        raise _wrong(where, member, "consolidated_metadata", listed, "the metadata of members")
    if plain["node_type"] == "array":
        _check_array(plain, member, where)


def _is_listing(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.get("kind", "inline") == "inline"
        and isinstance(value.get("metadata"), dict)
        and all(isinstance(one, dict) for one in value["metadata"].values())
    )


def listed_members(root: Mapping[str, Any]) -> dict[str, Plain]:
    """The metadata of members that those of a root list."""
    listed: Any = root.get("consolidated_metadata")
    return listed["metadata"] if _is_listing(listed) else {}


def _check_array(plain: Plain, member: str, where: str) -> None:
    def wrong(name: str, value: object, expected: str) -> InputError:
        return _wrong(where, member, name, value, expected)

    shape: Any = plain.get("shape")
    grid: Any = plain.get("chunk_grid")
    if not _list_of(is_extent)(shape) or len(shape) > MOST_AXES:
        raise wrong("shape", shape, "a list of whole numbers")
    if math.prod(shape) > MOST_ELEMENTS:
        raise wrong("shape", shape, f"at most {MOST_ELEMENTS} elements")
    if plain.get("data_type") not in tuple(DTYPES):
        raise wrong("data_type", plain.get("data_type"), "a type of numbers, such as float32")
    if not isinstance(grid, dict) or grid.get("name") != "regular" or not isinstance(grid.get("configuration"), dict):
        raise wrong("chunk_grid", grid, "a regular grid")
    size = DTYPES[plain["data_type"]]
    _check_chunk(grid["configuration"].get("chunk_shape"), len(shape), size, wrong, "chunk_shape")
    key = plain.get("chunk_key_encoding")
    if (
        not isinstance(key, dict)
        or key.get("name") != "default"
        or key.get("configuration", {})
        not in (
            {},
            {"separator": "/"},
        )
    ):
        raise wrong("chunk_key_encoding", key, "the default one")
    _check_codecs(plain.get("codecs"), len(shape), size, wrong)
    names: Any = plain.get("dimension_names")
    if names is not None and (not _list_of(lambda n: n is None or _is_text(n))(names) or len(names) != len(shape)):
        raise wrong("dimension_names", names, f"{len(shape)} texts")
    if plain.get("storage_transformers"):
        raise wrong("storage_transformers", plain["storage_transformers"], "none")


def _check_chunk(chunk: Any, axes: int, size: int, wrong: Callable[..., InputError], name: str) -> None:
    if not _list_of(is_extent)(chunk) or len(chunk) != axes or any(n < 1 for n in chunk):
        raise wrong(name, chunk, f"{axes} whole numbers above 0")
    if math.prod(chunk) * size > MOST_BYTES:
        raise wrong(name, chunk, f"chunks of at most {MOST_BYTES} bytes")


def _check_codecs(codecs: Any, axes: int, size: int, wrong: Callable[..., InputError]) -> None:
    if not isinstance(codecs, list) or not codecs:
        raise wrong("codecs", codecs, "a list of codecs")
    for one in codecs:
        name = one.get("name") if isinstance(one, dict) else one
        how = one.get("configuration", {}) if isinstance(one, dict) else None
        if name not in CODECS or not isinstance(how, dict):
            raise wrong("codecs", one, f"one of {', '.join(CODECS)}")
        if name == "bytes" and how.get("endian", "little") != "little":
            raise wrong("codecs/bytes", how, "little-endian numbers")
        if name == "sharding_indexed":
            _check_chunk(how.get("chunk_shape"), axes, size, wrong, "codecs/sharding_indexed/chunk_shape")
            _check_codecs(how.get("codecs"), axes, size, wrong)
            _check_codecs(how.get("index_codecs"), axes, size, wrong)


def open_array(
    files: Files, path: str, where: str, mode: Literal["r", "r+"] = "r", whole: bool = False
) -> zarr.Array[Any]:
    """An array of the store `where` by its path, its metadata checked.

    whole  whether it will be read whole

    Raises KeyError where there is nothing, InputError where it is damaged or no array.
    """
    plain = read_member(files, path, where)
    if plain["node_type"] != "array":
        raise InputError(f"{where}: its {path} is a group; expected an array")
    size = math.prod(plain["shape"]) * DTYPES[plain["data_type"]]
    if whole and size > MOST_BYTES:
        raise _wrong(where, f"{path}/{ROOT}", "shape", plain["shape"], f"at most {MOST_BYTES} bytes")
    with _opening(path, where):
        return zarr.open_array(files, path=path, mode=mode, zarr_format=3)


def open_group(files: Files, path: str, where: str) -> zarr.Group:
    """A group of the store `where` by its path, as it is now and not as it was consolidated; as `open_array`."""
    if read_member(files, path, where)["node_type"] != "group":
        raise InputError(f"{where}: its {path} is an array; expected a group")
    with _opening(path, where):
        return zarr.open_group(files, path=path, mode="r", use_consolidated=False, zarr_format=3)


@contextmanager
def _opening(path: str, where: str) -> Iterator[None]:
    """What zarr does not take of metadata that passed the checks, such as the level of a codec, is one line."""
    try:
        yield
    except UNREADABLE as error:
        if isinstance(error, InputError | OSError):
            raise
        raise InputError(f"{where}: its {f'{path}/{ROOT}'.strip('/')} is damaged; expected that of a store") from error


def _wrong(where: str, member: str, name: str, value: object, expected: str) -> InputError:
    shown = " ".join(repr(value).split())
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return InputError(f"{where}: its {member} has {name} {shown}; expected {expected}")
