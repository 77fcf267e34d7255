"""SMV images: the reference's header for a panel of any experiment, and 16-bit pixels with their offset."""

from __future__ import annotations

import os

import numpy as np

from tilesim.geometry.axes import Axes, rotation_to
from tilesim.images.banded import Bands
from tilesim.images.facing import Facing, facing
from tilesim.images.flat import write_banded
from tilesim.images.packed import KEY, packed
from tilesim.images.smv import header_block
from tilesim.model import Experiment
from tilesim.model.vectors import dot


def write_smv(
    path: str | os.PathLike[str], image: Bands, offset: float, scale: float, experiment: Experiment, about: Facing
) -> None:
    """Write an image of 16-bit pixels, which are photons x `scale` + `offset`, all or nothing. Raises StoreError."""
    text = packed(experiment)
    items = (*smv_items(experiment, about), *_scaling(offset, scale), *(((KEY, text),) if text else ()))
    write_banded(path, header_block(items), (band for _, band in image.bands()))


def write_plain_smv(path: str | os.PathLike[str], image: Bands, offset: float, scale: float) -> None:
    """Write the same without a geometry in the header."""
    items = (*_layout(image.shape), *_scaling(offset, scale))
    write_banded(path, header_block(items), (band for _, band in image.bands()))


def _layout(shape: tuple[int, int]) -> tuple[tuple[str, str], ...]:
    return (
        ("DIM", "2"),
        ("BYTE_ORDER", "little_endian"),
        ("TYPE", "unsigned_short"),
        ("SIZE1", str(shape[1])),
        ("SIZE2", str(shape[0])),
    )


def _scaling(offset: float, scale: float) -> tuple[tuple[str, str], ...]:
    return (("ADC_OFFSET", f"{offset:g}"), ("PHOTON_SCALE", f"{scale:g}"))


def stacked_header(experiment: Experiment, offset: float, scale: float) -> bytes:
    """The header of an image of all panels below each other; its geometry is that of the first. Raises InputError."""
    items = dict(smv_items(experiment, facing(experiment, 0, "the header of an SMV image")))
    slow, fast = experiment.shape
    items |= {"SIZE1": str(fast), "SIZE2": str(slow), "ADC_OFFSET": f"{offset:g}", "PHOTON_SCALE": f"{scale:g}"}
    return header_block(items.items())


def smv_items(experiment: Experiment, about: Facing) -> tuple[tuple[str, str], ...]:
    """Keys and values as in `tilesim.nanobragg.headers`; BEAM_CENTER_X and Y are those of MOSFLM's convention.

    A beam centre is where the beam arrives, also where a two-theta swing led the reference's own astray.
    """
    panel = about.panel
    slow, fast = panel.shape
    pixel = panel.pixel_size * 1000.0
    sbeam, fbeam = (centre * pixel for centre in about.centre)
    x, y, z = 1000.0 * rotation_to(Axes.IMGCIF, experiment) @ np.array(panel.origin) + 0.0
    half = 0.5 * pixel
    near_fast, near_slow = -dot(panel.origin, panel.fast), -dot(panel.origin, panel.slow)
    tilt = np.degrees(np.arccos(np.clip(dot(panel.normal, experiment.beam.direction), -1.0, 1.0)))
    numbers = {
        "PIXEL_SIZE": pixel,
        "DISTANCE": about.distance * 1000.0,
        "WAVELENGTH": about.wavelength * 1e10,
        "BEAM_CENTER_X": sbeam - half,
        "BEAM_CENTER_Y": fbeam - half,
        "ADXV_CENTER_X": fbeam,
        "ADXV_CENTER_Y": slow * pixel - sbeam,
        "MOSFLM_CENTER_X": sbeam - half,
        "MOSFLM_CENTER_Y": fbeam - half,
        "DENZO_X_BEAM": sbeam,
        "DENZO_Y_BEAM": fbeam,
        "DIALS_ORIGIN": f"{x:g},{y:g},{z:g}",
        "XDS_ORGX": near_fast / panel.pixel_size + 0.5,
        "XDS_ORGY": near_slow / panel.pixel_size + 0.5,
        "CLOSE_DISTANCE": panel.distance * 1000.0,
        "PHI": about.start,
        "OSC_START": about.start,
        "OSC_RANGE": about.oscillation,
        "TWOTHETA": tilt if tilt > 1e-6 else 0.0,
    }
    return (
        *_layout((slow, fast)),
        *((key, value if isinstance(value, str) else f"{value:g}") for key, value in numbers.items()),
        ("DETECTOR_SN", "000"),
        ("BEAMLINE", "fake"),
    )
