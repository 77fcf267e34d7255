"""A file for a library that cannot end where writing fails: the first error is kept, and raised in the end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tilesim.files.replace import replacing_path

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


@contextlib.contextmanager
def replacing_deferred(path: str | os.PathLike[str]) -> Iterator[DeferredFile]:
    """A file to read and write that takes the place of `path` as in `replacing_path`.

    HDF5 writes while it closes files and frees objects, where errors can only be printed. Whatever the library says
    once writing has failed is of no account. Raises StoreError.
    """
    with replacing_path(path) as name:
        descriptor = os.open(name, os.O_RDWR)
        try:
            file = DeferredFile(descriptor)
            try:
                yield file
            except Exception:
                file.check()
                raise
            file.check()
        finally:
            os.close(descriptor)


class DeferredFile:
    """What h5py asks of a file object."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._place = 0
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise the first error, if there was any."""
        if self._error is not None:
            raise OSError(self._error.errno, self._error.strerror)

    def write(self, data: ReadableBuffer) -> int:
        """Write at the place; after an error nothing is written any more."""
        left = memoryview(data).cast("B")
        size = len(left)
        with self._keeping():
            while left and self._error is None:
                count = os.pwrite(self._descriptor, left, self._place + size - len(left))
                left = left[count:]
        self._place += size
        return size

    def read(self, size: int) -> bytes:
        """Read at the place; h5py knows a file by that it has this."""
        found = bytearray(size)
        self.readinto(found)
        return bytes(found)

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read at the place, zeros where nothing was written."""
        whole = memoryview(buffer).cast("B")
        found = os.preadv(self._descriptor, [whole], self._place)
        whole[found:] = bytes(len(whole) - found)
        self._place += len(whole)
        return len(whole)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: os.fstat(self._descriptor).st_size}
        self._place = base[whence] + offset
        return self._place

    def tell(self) -> int:
        """The place."""
        return self._place

    def truncate(self, size: int | None = None) -> int:
        """Change the size of the file."""
        wanted = self._place if size is None else size
        with self._keeping():
            os.ftruncate(self._descriptor, wanted)
        return wanted

    def flush(self) -> None:
        """Everything is written at once."""

    @contextlib.contextmanager
    def _keeping(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._error = self._error or error
