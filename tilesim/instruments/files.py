"""Reading where a detector is: DIALS .expt, CrystFEL .geom or stream, NXmx HDF5 or TOML, by content and name."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from tilesim.errors import InputError
from tilesim.files.hdf5 import read_hdf5
from tilesim.files.reading import file_size, printable, read_bytes
from tilesim.model.instrument import Instrument

HDF5 = b"\x89HDF\r\n\x1a\n"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
STREAM = b"CrystFEL stream format "
EXPT = "a DIALS .expt"
LARGEST = 2**28
"""Bytes of a text file; larger ones are taken for a mistake."""
WRONG = (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError, OverflowError, ZeroDivisionError)


def read_detector(path: str | os.PathLike[str], experiment: int | None = None) -> Instrument:
    """Read panels, beam, spindle, sensor and mask of a geometry file (docs/detectors.md), in the file's own frame.

    Parameters
    ----------
    path
        DIALS .expt, CrystFEL .geom or .stream, NXmx HDF5 or TOML file; recognised by its content, TOML by its name.
    experiment
        Number of the experiment of an .expt, or of the chunk of a stream, counted from 0. None is the first, of a
        stream the first with a crystal; a note says so where there are more.

    Returns
    -------
    Instrument
        In metres; what the file does not say is None. Its notes say what of the file was chosen, guessed or left out.

    Raises
    ------
    InputError
        Naming the file, where it is none of these, describes no detector or has no such experiment.

    Examples
    --------
    >>> import tilesim
    >>> bench = '''
    ... pixel = 0.1
    ... shape = [200, 300]
    ... wavelength = 1.5
    ... [[panel]]
    ... origin = [-15, -10, 40]
    ... fast = [1, 0, 0]
    ... slow = [0, 1, 0]
    ... '''
    >>> with open("bench.toml", "w") as file:
    ...     _ = file.write(bench)
    >>> tilesim.read_detector("bench.toml")
    Instrument
      name        bench.toml
      pixels      200 x 300 pixels (slow x fast) of 0.1 mm
      distance    at 40 mm
      axes        fast (1 0 0), slow (0 1 0)
      wavelength  1.5 Å
      beam        beam along (0 0 1)
      spindle     spindle along (1 0 0)
    """
    shown = printable(path)
    if file_size(path) and read_bytes(path, 0, len(STREAM)) == STREAM:
        return _of_stream(path, experiment)
    size, start = file_size(path), read_bytes(path, 0, len(HDF5))
    if start != HDF5 and size > LARGEST:
        raise InputError(f"{shown}: {size} bytes; expected a geometry file")
    kind, read = _nxmx(path) if start == HDF5 else _text(read_bytes(path), shown)
    try:
        if experiment is None:
            return read(os.fspath(path))
        if kind != EXPT:
            raise InputError("--experiment goes with a DIALS .expt; expected no such option")
        return read(os.fspath(path), experiment)
    except InputError as error:
        said = str(error)
        raise InputError(said if said.startswith(f"{shown}: ") else f"{shown}: {said}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{shown}: expected {kind} in UTF-8, found something else at byte {error.start + 1}") from None
    except WRONG as error:
        said = " ".join(str(error).split())[:80]
        raise InputError(f"{shown}: expected {kind}; {type(error).__name__}: {said}") from None


def _of_stream(path: str | os.PathLike[str], experiment: int | None) -> Instrument:
    from tilesim.instruments.stream import stream_instrument

    shown = printable(path)
    try:
        return stream_instrument(path, experiment)
    except InputError as error:
        said = str(error)
        raise InputError(said if said.startswith(shown) or "--experiment" in said else f"{shown}: {said}") from None


def _nxmx(path: str | os.PathLike[str]) -> tuple[str, Callable[..., Instrument]]:
    """What is expected, and the reader, which takes a name for messages; of .expt the number of an experiment too."""
    from tilesim.instruments.nxmx import read_nxmx

    return "an NXmx file with NXdetector_module groups", lambda name: read_hdf5(read_nxmx, path, name)


def _text(content: bytes, name: str) -> tuple[str, Callable[..., Instrument]]:
    """As `_nxmx`, for the kinds of text."""
    if content.removeprefix(BYTE_ORDER_MARK).lstrip()[:1] == b"{":
        from tilesim.instruments.expt import parse_expt

        return EXPT, partial(parse_expt, content)
    if name.lower().endswith(".toml"):
        from tilesim.instruments.toml import parse_toml

        return "a detector in TOML", partial(parse_toml, content)
    from tilesim.instruments.crystfel import parse_geom

    return "a CrystFEL .geom, DIALS .expt, NXmx or TOML geometry", partial(parse_geom, content)
