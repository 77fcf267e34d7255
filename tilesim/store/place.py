"""Where a store is: a local folder, or a URL of an object store (s3://, gs://, az://), opened and listed alike."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from zarr.abc.store import Store as Files
from zarr.buffer import default_buffer_prototype
from zarr.storage import LocalStore

from tilesim.errors import InputError, StoreError
from tilesim.store.waiting import wait

if TYPE_CHECKING:
    from obstore.store import RetryConfig

Plain = dict[str, Any]
"""An object of JSON."""
ROOT = "zarr.json"
"""The object without which there is no store."""


def is_url(place: str) -> bool:
    return "://" in place


def normal_place(path: str | os.PathLike[str]) -> str:
    """A URL as it is, a local folder as an absolute path with links followed."""
    place = os.fspath(path)
    return place.rstrip("/") if is_url(place) else os.path.realpath(place)


def open_place(place: str, read_only: bool = False) -> Files:
    """zarr's access to the files of a place; none needs to be there. Raises InputError where a URL cannot be served."""
    if not is_url(place):
        return LocalStore(place, read_only=read_only)
    try:
        import obstore.store
        from obstore.exceptions import BaseError
    except ModuleNotFoundError:
        raise InputError(f"{place} needs the package obstore; pip install 'tilesim[cloud]'") from None
    from zarr.storage import ObjectStore

    try:
        # Address and credentials come from the process's own environment (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ...).
        return ObjectStore(obstore.store.from_url(place, retry_config=RETRY), read_only=read_only)
    except (BaseError, ValueError, TypeError) as error:
        raise InputError(f"{place}: expected the URL of a folder such as s3://bucket/name.zarr ({error})") from None


RETRY: RetryConfig = {"max_retries": 4}
"""Retries of a request to an object store; after some seconds a user wants to know."""


@contextlib.contextmanager
def store_errors(place: str, verb: str = "write") -> Iterator[None]:
    """Turn errors of the system or of the object store into one StoreError line that names the place."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot {verb} {place}: {error.strerror or error}") from error
    except Exception as error:
        if not type(error).__module__.startswith("obstore"):
            raise
        # Its messages end in the server's answer and in a dump of the request.
        reason = str(error).splitlines()[0].partition(": <?xml")[0]
        raise StoreError(f"cannot {verb} {place}: {reason}") from error


def read_json(place: str, key: str) -> Plain | None:
    """The JSON object under `key`, or None where there is none. Raises StoreError where the place cannot be read."""
    with store_errors(place, "read"):
        try:
            found = read_object(open_place(place, read_only=True), key)
        except (FileNotFoundError, NotADirectoryError):
            return None
    try:
        plain = json.loads(found) if found is not None else None
    except (ValueError, RecursionError):
        return None
    return plain if isinstance(plain, dict) else None


def read_root(place: str) -> Plain:
    """The metadata of a store's root. Raises StoreError where it is gone."""
    found = read_json(place, ROOT)
    if found is None:
        raise StoreError(f"{place}: its {ROOT} is gone or damaged; expected a store at rest")
    return found


def read_object(files: Files, key: str) -> bytes | None:
    """The bytes under `key`, or None where there is nothing."""
    found = wait(files.get(key, default_buffer_prototype()))
    return None if found is None else found.to_bytes()


def write_object(files: Files, key: str, value: bytes) -> None:
    """Put bytes under `key`, atomically."""
    wait(files.set(key, default_buffer_prototype().buffer.from_bytes(value)))


def names_in(files: Files, prefix: str = "") -> list[str]:
    """Names of the objects below `prefix`."""

    async def listed() -> list[str]:
        return [name async for name in files.list_prefix(prefix)]

    return wait(listed())


def names_beside(files: Files, folder: str) -> list[str]:
    """Names of what is in one folder, without what is below it."""

    async def listed() -> list[str]:
        return [name async for name in files.list_dir(folder)]

    return wait(listed())


def has_object(files: Files, key: str) -> bool:
    """Whether there is an object under `key`."""
    return wait(files.exists(key))


def delete_object(files: Files, key: str) -> None:
    """Remove what is under `key`, if there is anything."""
    wait(files.delete(key))


def delete_folder(files: Files, folder: str) -> None:
    """Remove a folder with all that is in it."""
    wait(files.delete_dir(folder))


def list_objects(place: str, prefix: str) -> Iterator[str]:
    """Names of the objects below `prefix`."""
    with store_errors(place, "read"):
        yield from names_in(open_place(place, read_only=True), prefix)


def is_taken(place: str) -> bool:
    """Whether anything is there, be it a store or not."""
    if not is_url(place):
        return os.path.lexists(place)
    with store_errors(place, "read"):
        return not wait(open_place(place, read_only=True).is_empty(""))


def delete_store(place: str) -> None:
    """Remove a store whole. Raises StoreError."""
    files = open_place(place)
    with store_errors(place):
        # Its root first: what is left of a removal that is cut short is no store.
        delete_object(files, ROOT)
        delete_folder(files, "")
