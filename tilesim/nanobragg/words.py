"""Arguments of nanoBragg as Python has them: one text, or a list of words; the experiment that they describe."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable

from tilesim.errors import InputError
from tilesim.model import Experiment
from tilesim.model.instrument import Instrument
from tilesim.nanobragg.background import Slab
from tilesim.nanobragg.resolve import read_command


def from_nanobragg(
    args: str | Iterable,
    strict_c: bool = False,
    *,
    background: Slab | None = None,
    instrument: Instrument | None = None,
) -> Experiment:
    """Make the experiment that a nanoBragg command line describes, such as "-mat A.mat -hkl P1.hkl -distance 180".

    Structure factors may come from MTZ and CIF files and models, too: docs/structure-factors.md. `read_command` says
    more: surprising flags, and the corrections (docs/corrections.md) that affect the image.

    Parameters
    ----------
    args
        Arguments without the program's name: one text, split as a shell does, or its words, which may be numbers and
        paths too. Files are read from the working folder, output flags are ignored.
    strict_c
        Whether to read arguments and files as the reference does, and to reproduce its defects.
    background
        Amorphous slab in the beam, such as ``Slab("water", thickness=1e-4)``: docs/background.md.
    instrument
        Panels, incident beam and spindle in their own frame, from `read_detector` or `detector`: docs/detectors.md.

    Returns
    -------
    Experiment
        In SI units: flags are in nanoBragg's, such as -distance in millimetres.

    Raises
    ------
    InputError
        Naming the flag, or the file and line.

    Examples
    --------
    >>> import tilesim
    >>> experiment = tilesim.from_nanobragg(
    ...     "-cell 79 79 38 90 90 90 -default_F 100 -N 10 -lambda 1 -distance 100 -pixel 0.1 -detpixels 64"
    ... )
    >>> experiment.shape, experiment.detector.panels[0].pixel_size
    ((64, 64), 0.0001)
    >>> tilesim.from_nanobragg("-cell 79 79 38 90 90 90 -default_F 100 -detpixels 64 -N ten")
    Traceback (most recent call last):
    tilesim.errors.InputError: -N expects a 32-bit whole number; found 'ten'
    """
    words = _words(args)
    if "--strict-c" in words:
        raise InputError("--strict-c is an option of the command line; expected strict_c=True beside the arguments")
    return read_command(words, strict_c, background=background, instrument=instrument).experiment


def _words(args: str | Iterable) -> list[str]:
    """The arguments one by one, as a shell would pass them. Raises InputError."""
    if isinstance(args, str):
        try:
            return shlex.split(args)
        except ValueError as error:
            raise InputError(f"the command line cannot be split into words: {error}") from None
    if isinstance(args, bytes | os.PathLike) or not isinstance(args, Iterable):
        raise InputError(f"the arguments are a {type(args).__name__}; expected one text or a list of words")
    return [os.fsdecode(word) if isinstance(word, bytes | os.PathLike) else str(word) for word in args]
