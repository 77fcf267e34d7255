"""A folder for results: made where it is not there, and gone again where nothing came of it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def results_folder(outdir: str | None) -> Iterator[tuple[str, str | None]]:
    """A folder to work in, gone in the end, and the one for results, as an absolute path. Raises StoreError.

    outdir  as --outdir names it; None where no results are kept
    """
    from tilesim.errors import StoreError
    from tilesim.files.reading import printable

    with _gone_if_empty(outdir):
        if outdir is not None:
            if not outdir:
                raise StoreError("--outdir is empty; expected the name of a folder")
            outdir = os.path.abspath(outdir)
            try:
                os.makedirs(outdir, exist_ok=True)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise StoreError(f"--outdir {printable(outdir)}: cannot make this folder: {reason}") from error
        try:
            # Inside it, so that what was made is renamed and not copied.
            folder = tempfile.mkdtemp(prefix=".tilesim-", dir=outdir)
        except OSError as error:
            raise StoreError(f"cannot write in {outdir or tempfile.gettempdir()}: {error.strerror or error}") from error
        try:
            yield folder, outdir
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _gone_if_empty(outdir: str | None) -> Iterator[None]:
    """Remove those folders of a path that are made meanwhile, where nothing came of them."""
    path = Path(os.path.abspath(outdir or "."))
    missing = [folder for folder in (path, *path.parents) if not os.path.lexists(folder)]
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            for folder in missing:
                folder.rmdir()
