"""Beam, detector and spindle of an image file from its header, where the header says it without doubt."""

from __future__ import annotations

import re

from tilesim.errors import InputError
from tilesim.files.reading import printable, read_bytes
from tilesim.images.minicbf import minicbf_experiment
from tilesim.images.packed import KEY, unpacked
from tilesim.images.registry import Format
from tilesim.images.smv import read_smv_header, smv_experiment
from tilesim.model import Experiment

MOST = 2**20
"""Bytes of a header that are looked at."""


def header_experiment(path: str, form: Format, shape: tuple[int, int]) -> tuple[Experiment, bool]:
    """The experiment in the header of a CBF, SMV, EDF or TIFF file, and whether it is exactly the simulated one.

    Of other programs' files beam, detector and spindle, without a crystal. Raises InputError where they are not stated.
    """
    text = read_bytes(path, 0, MOST).decode("latin-1")
    found = re.search(rf"{KEY}[ =:]+([\w-]+)", text)
    if found:
        return unpacked(found[1], printable(path)), True
    if form == Format.CBF:
        return minicbf_experiment(text, shape), False
    if form == Format.SMV:
        return smv_experiment(read_smv_header(path), shape), False
    raise InputError(f"its format ({form}) does not state the geometry")
