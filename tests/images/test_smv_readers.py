"""Exported SMV headers as other programs read them, by small statements of their documented rules."""

import re

import numpy as np
import pytest

import tilesim
from tilesim.geometry.resolution import beam_centre
from tilesim.images.facing import facing
from tilesim.images.smv import header_block, smv_items
from tilesim.nanobragg.resolve import read_command

CELL = "-cell 50 60 70 90 90 90 -default_F 1 -N 3 -lambda 0.9768 -distance 254.321 -Xbeam 7.1234 -Ybeam 8.4321"
PHI = "-phi 100.0125 -osc 0.0125 -phisteps 1"


def exported(flags):
    """The experiment of flags, and its header as text."""
    experiment = tilesim.from_nanobragg(f"{CELL} {PHI} {flags}")
    return experiment, header_block(smv_items(experiment, facing(experiment, 0, "SMV")))


def words(header):
    """Keys and values as DIALS splits them."""
    lines = [line for line in header.decode().split("\n") if "=" in line]
    return dict(line.replace(";", "").split("=") for line in lines)


def dials(header):
    """(slow, fast) pixels, wavelength, distance and oscillation, as dxtbx takes them of ADSC's and simulated images."""
    item = words(header)
    pixel, height = float(item["PIXEL_SIZE"]), float(item["SIZE2"]) * float(item["PIXEL_SIZE"])
    x, y = float(item["BEAM_CENTER_X"]), float(item["BEAM_CENTER_Y"])
    if item.get("BEAMLINE", "").lower() == "fake":
        fast, slow = x + pixel, height - y + pixel
    else:
        assert (item["SIZE1"], item["SIZE2"]) != ("2463", "2527")  # taken for another program's, and exchanged
        assert "DATE" not in item and "TIME" not in item and "DTREK_DATE_TIME" not in item
        fast, slow = y, x
    rest = [float(item[name]) for name in ("WAVELENGTH", "DISTANCE", "OSC_START", "OSC_RANGE")]
    return (slow / pixel, fast / pixel), rest


@pytest.mark.parametrize(
    "flags", ["-detpixels 200 -pixel 0.1", "-detpixels_f 300 -detpixels_s 200 -pixel 0.075", "-mosflm -detpixels 150",
              "-detpixels_f 2463 -detpixels_s 2527 -pixel 0.172"]
)  # fmt: skip
def test_dials_xds_and_mosflm_find_the_beam_where_it_is(flags):
    experiment, header = exported(flags)
    centre = beam_centre(experiment.detector.panels[0], experiment.beam)
    found, rest = dials(header)
    assert np.allclose(found, centre, atol=1e-6)
    assert rest == pytest.approx([0.9768, 254.321, 100.0125, 0.0125], abs=1e-9)
    item = words(header)
    # XDS counts pixels from 1 at the middle of the first one.
    assert np.allclose([float(item["XDS_ORGY"]) - 0.5, float(item["XDS_ORGX"]) - 0.5], centre, atol=1e-6)
    pixel = float(item["PIXEL_SIZE"])
    mosflm = [float(item[f"MOSFLM_CENTER_{name}"]) / pixel + 0.5 for name in "XY"]
    assert np.allclose(mosflm, centre, atol=1e-6)


def test_nanobragg_reads_its_own_convention_out_of_it(tmp_path):
    experiment, header = exported("-detpixels 200 -pixel 0.1")
    (tmp_path / "a.img").write_bytes(header + bytes(2 * 200 * 200))
    again = read_command(f"-img {tmp_path / 'a.img'} -cell 50 60 70 90 90 90 -default_F 1 -N 3".split(), False)
    panel, beam = again.experiment.detector.panels[0], again.experiment.beam
    assert np.allclose(beam_centre(panel, beam), beam_centre(experiment.detector.panels[0], experiment.beam), atol=1e-6)
    assert beam.wavelength == pytest.approx(experiment.beam.wavelength, rel=1e-11)


def test_fine_slices_join_to_a_sweep():
    starts = []
    for number in range(4):
        _, header = exported(f"-detpixels 32 -phi {100 + 0.0125 * number}")
        starts.append(float(re.search(rb"OSC_START=([^;]*);", header)[1]))
    assert np.allclose(np.diff(starts), 0.0125, atol=1e-10)
