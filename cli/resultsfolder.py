"""A folder for results: made where it is not there, and gone again where nothing came of it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def results_folder(outdir: str | None) -> Iterator[tuple[str, str | None]]:
    """A folder to work in, gone in the end, and the one for results, as an absolute path. Raises StoreError.

    outdir  as --outdir names it; None where no results are kept
    """
    from tilesim.errors import StoreError
    from tilesim.files.reading import printable

    fresh = False
    if outdir is not None:
        if not outdir:
            raise StoreError("--outdir is empty; expected the name of a folder")
        outdir = os.path.abspath(outdir)
        fresh = not os.path.exists(outdir)
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
        if fresh:
            # Where nothing came of it.
            with suppress(OSError):
                os.rmdir(outdir)
