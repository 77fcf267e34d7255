"""The text header of the SMV images (spec files 7.1)."""

from __future__ import annotations

from tilesim.images.smv import BLOCK, Items, described_items, header_block, header_text
from tilesim.model import Experiment
from tilesim.nanobragg.command import Command
from tilesim.nanobragg.settings import RTD


def smv_header_items(command: Command, experiment: Experiment) -> Items:
    """Keys and values in the reference's order, without HEADER_BYTES, of an experiment of a command's series."""
    g = command.geometry
    x, y, z = g.dials_origin_mm
    half = 0.5 * g.pixel_size
    phi = experiment.scan.start * RTD
    described = {
        "PIXEL_SIZE": g.pixel_size * 1000.0,
        "DISTANCE": g.distance * 1000.0,
        "WAVELENGTH": experiment.beam.wavelength * 1e10,
        "BEAM_CENTER_X": g.Xbeam * 1000.0,
        "BEAM_CENTER_Y": g.Ybeam * 1000.0,
        "ADXV_CENTER_X": g.Fbeam * 1000.0,
        "ADXV_CENTER_Y": (g.detsize_slow - g.Sbeam) * 1000.0,
        "MOSFLM_CENTER_X": (g.Sbeam - half) * 1000.0,
        "MOSFLM_CENTER_Y": (g.Fbeam - half) * 1000.0,
        "DENZO_X_BEAM": g.Sbeam * 1000.0,
        "DENZO_Y_BEAM": g.Fbeam * 1000.0,
        "DIALS_ORIGIN": f"{x:g},{y:g},{z:g}",
        "XDS_ORGX": g.ORGX,
        "XDS_ORGY": g.ORGY,
        "CLOSE_DISTANCE": g.close_distance * 1000.0,
        "PHI": phi,
        "OSC_START": phi,
        "OSC_RANGE": command.oscillation * RTD,
        "TWOTHETA": g.twotheta * RTD,
    }
    return described_items((g.pixels_slow, g.pixels_fast), described)


def smv_header(command: Command, experiment: Experiment) -> bytes:
    """The whole header with its padding.

    Strict: as the reference, which claims 512 bytes even where the text is longer and ends DIALS_ORIGIN without a
    semicolon. Otherwise (K12) HEADER_BYTES is true, a multiple of 512, and every item ends with a semicolon.
    """
    items = smv_header_items(command, experiment)
    if command.strict_c:
        return header_text(items, BLOCK, bare=("DIALS_ORIGIN",)).ljust(BLOCK)
    return header_block(items)
