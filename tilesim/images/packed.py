"""An experiment as one short text, for headers of image files: read back it is the same, but for its tables."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.model import Experiment, PixelMask, ScatteringCurve, StructureFactors
from tilesim.model.serial import from_plain

LONGEST = 2**16
"""Characters; a longer text is left out of headers."""
LARGEST = 2**26
"""Bytes of the JSON in a text that is read."""
KEY = "TILESIM_EXPERIMENT"
"""Name of the text in headers."""


def packed(experiment: Experiment) -> str | None:
    """Letters, digits, - and _ alone; None where they would be too many."""
    text = json.dumps(packed_plain(experiment)).encode()
    letters = base64.urlsafe_b64encode(zlib.compress(text, 9)).decode().rstrip("=")
    return letters if len(letters) <= LONGEST else None


def packed_plain(experiment: Experiment) -> dict[str, Any]:
    """The experiment as plain values with its mask and scattering curve, but without its structure factors."""
    plain: dict[str, Any] = {"experiment": experiment.to_dict()}
    mask, background = experiment.mask, experiment.background
    if mask is not None:
        plain["mask"] = [*mask.active.shape, base64.b64encode(np.packbits(mask.active, axis=1).tobytes()).decode()]
    if background is not None:
        plain["curve"] = [background.curve.stol.tolist(), background.curve.amplitude.tolist()]
    return plain


def unpacked(text: str, where: str) -> Experiment:
    """The experiment, its structure factors absent; `where` names the file. Raises InputError."""
    try:
        reader = zlib.decompressobj()
        data = reader.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), LARGEST)
        return unpacked_plain(json.loads(data), where)
    except (ValueError, KeyError, TypeError, IndexError, zlib.error, RecursionError) as error:
        said = " ".join(str(error).split())[:120]
        raise InputError(f"{where}: the experiment in its header cannot be read ({said})") from None


def unpacked_plain(plain: dict[str, Any], where: str) -> Experiment:
    """The same from plain values; raises whatever wrong ones raise."""
    described = plain["experiment"]
    mask, background = None, described["background"]
    if described["mask"] is not None and "mask" in plain:
        slow, fast, text = plain["mask"]
        bits = np.frombuffer(base64.b64decode(text), np.uint8).reshape(slow, -1)
        mask = PixelMask(np.unpackbits(bits, axis=1, count=fast).astype(bool))
    if background is not None:
        stol, amplitude = plain["curve"]
        background = {**background, "curve": ScatteringCurve(stol, amplitude, background["curve"]["source"])}
    factors = StructureFactors.described(described["factors"], where)
    return from_plain(Experiment, {**described, "factors": factors, "mask": mask, "background": background})
