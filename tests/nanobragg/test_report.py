"""The reference's report, word for word, and the SMV header."""

from types import SimpleNamespace

import pytest

from tilesim.nanobragg.headers import smv_header
from tilesim.nanobragg.report import result_lines, scale_lines
from tilesim.nanobragg.resolve import read_command

# Standard output of the reference for these arguments, up to rendering.
ARGUMENTS = (
    "-xds -cell 50 60 70 90 100 90 -default_F 2 -detpixels_f 4 -detpixels_s 3 -pixel 1 -distance 100 -Na 2 -Nb 3 -Nc 4 "
    "-detector_thick 100 -mosaic 0.5 -hdivrange 2 -dispersion 1 -phi 1 -osc 1 -phisteps 2 -oversample_omega -water 3 "
    "-seed 4 -point_pixel"
)
REPORT = """\
nanoBragg nanocrystal diffraction simulator - James Holton and Ken Frankel 5-17-17
WARNING: setting detector attenuation depth to 10000 m
WARNING: finite mosaicity with only one domain! upping to 10 mosaic domains
xds convention selected.
pivoting detector around sample
XDS incident beam: 0 0 1
auto-selected tricubic interpolation of structure factors
Unit Cell: 50 60 70 90 100 90
Recp Cell: 0.0203085 0.0166667 0.0145061 90 80 90
volume = 206810 A^3
real-space cell vectors (Angstrom):
     a           b           c         
X: 49.24038765 -0.00000000  0.00000000
Y:  0.00000000 60.00000000 -0.00000000
Z: -8.68240888  0.00000000 70.00000000
reciprocal-space cell vectors (Angstrom^-1):
     a_star      b_star      c_star    
X:  0.02030853 -0.00000000  0.00251896
Y:  0.00000000  0.01666667 -0.00000000
Z:  0.00000000  0.00000000  0.01428571
crystal is 0.01 x 0.018 x 0.028 microns
auto-selected 9-fold oversampling
approximate MW = 151758
thick0 = 0 um
thick1 = 50 um
phi0 = 1
phi1 = 1.5
divergence deviation: -0.001 0
divergence deviation: 0.001 0
lambda0 = 9.95e-11
lambda1 = 1.005e-10
  created a total of 4 sources:
0.01 0 -10   0.25 9.95e-11
0.01 0 -10   0.25 1.005e-10
-0.01 0 -10   0.25 9.95e-11
-0.01 0 -10   0.25 1.005e-10
  created a total of 10 mosaic domains
  0 initialized hkls (all others =2)
  parallelpiped xtal: 2x3x4 cells
  wave=1e-10 meters +/- 1% in 2 steps
  Kahn polarization factor: 0.000000
  pixel obliquity effect disabled
  incident fluence: 1.25932e+29 photons/m^2
  distance=0.1 detsize=0.004x0.003  pixel=0.001 meters (4x3 pixels)
  sensor is 0.0001 m thick in 2 layers with mu= 10000
  Xbeam=0.002 Ybeam=0.0015
  Fbeam=0.002 Sbeam=0.0015
  Xclose=0.002 Yclose=0.0015
  Fclose=0.002 Sclose=0.0015
  DIRECTION_OF_DETECTOR_X-AXIS= 1 0 0
  DIRECTION_OF_DETECTOR_Y-AXIS= 0 1 0
  DIRECTION_OF_DETECTOR_Z-AXIS= 0 0 1
  INCIDENT_BEAM_DIRECTION= 0 0 1
  spindle ROTATION_AXIS= 1 0 0
  POLARIZATION_PLANE_NORMAL= 0 1 0
  dials origin= 100 -1.5 2
  roi: 0 < x < 4 && 0 < y < 3
  hdivrange=0.002 hdivstep=0.002  radians
  vdivrange=0 vdivstep=0  radians
  2 divergence steps
  4 sources
  10 mosaic domains over mosaic spread of 0.5 degrees
  2 phi steps from 1 to 2 degrees
  9x9 pixel oversample steps +omega

  noise image paramters:
  seed: -4
  water droplet size: 3e-06 m
"""

# 8 x 8 pixels of 0.1 mm at 100 mm (spec files 7.1).
HEADER = """\
{
HEADER_BYTES=512;
DIM=2;
BYTE_ORDER=little_endian;
TYPE=unsigned_short;
SIZE1=8;
SIZE2=8;
PIXEL_SIZE=0.1;
DISTANCE=100;
WAVELENGTH=1;
BEAM_CENTER_X=0.45;
BEAM_CENTER_Y=0.45;
ADXV_CENTER_X=0.5;
ADXV_CENTER_Y=0.3;
MOSFLM_CENTER_X=0.45;
MOSFLM_CENTER_Y=0.45;
DENZO_X_BEAM=0.5;
DENZO_Y_BEAM=0.5;
DIALS_ORIGIN=-0.5,0.5,-100
XDS_ORGX=5.5;
XDS_ORGY=5.5;
CLOSE_DISTANCE=100;
PHI=0;
OSC_START=0;
OSC_RANGE=0;
TWOTHETA=0;
DETECTOR_SN=000;
BEAMLINE=fake;
}\f"""
SMALL = "-cell 50 -default_F 1 -detpixels 8 -pixel 0.1"
LONG = (
    f"{SMALL} -distance 123.456789 -Xbeam 1.2345678 -Ybeam 2.3456789 -lambda 1.2345678 -phi 1.23456789 "
    "-detector_rotx 1.2345 -detector_roty 2.3456 -osc 0.123456789"
)


def run(text, strict_c=False):
    return read_command(text.split(), strict_c)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_report_word_for_word():
    assert "\n".join(run(ARGUMENTS, True).report) == REPORT.rstrip("\n")


def test_report_of_a_table(tmp_path):
    (tmp_path / "f.hkl").write_text("0 0 0 1\n1 0 0 2\n")
    report = run("-cell 50 -hkl f.hkl -default_F 7.5 -detpixels 4 -pixel 1", True).report
    start = report.index("counting entries in f.hkl")
    assert report[start : start + 5] == (
        "counting entries in f.hkl",
        "initializing to default_F = 7.5:",
        "done initializing:",
        "re-reading f.hkl",
        "writing dump file for next time: Fdump.bin",
    )
    assert "  2 initialized hkls (all others =7.5)" in report


def test_result_and_scale_lines():
    command = run(f"{SMALL} -nonoise", True)
    summary = SimpleNamespace(solid_angle=0.0125, max_I=3.5, max_x=0.00015, max_y=0.0002, mean=1.0, rms=2.0, rmsd=0.5)
    assert result_lines(command.outputs, command.experiment.shape, summary) == (
        "",
        "solid angle subtended by detector = 0.0125 steradian ( 0.0994718% sphere)",
        "writing floatimage.bin as 64 4-byte floats",
        "max_I = 3.5  at 0.00015 0.0002",
        "mean= 1 rms= 2 rmsd= 0.5",
    )
    assert scale_lines(command.outputs, int_scale=15714.2857, pgm_scale=100.0) == (
        "intfile_scale = 15714.3",
        "writing intimage.img as 2-byte integers",
        "pgm_scale = 100",
        "writing image.pgm as 1-byte integers",
    )
    noisy = run(SMALL, True).outputs
    assert scale_lines(noisy, int_scale=1.0, pgm_scale=1.0, photons=12.4, overloads=3)[-2:] == (
        "12 photons on noise image (3 overloads)",
        "writing noiseimage.img as 2-byte integers",
    )
    assert scale_lines(run(SMALL).outputs, int_scale=1.0, pgm_scale=1.0) == ()


def header(command):
    return smv_header(command, command.experiment)


def test_strict_header():
    assert header(run(SMALL, True)) == HEADER.encode().ljust(512)


def test_default_header_ends_every_item_with_a_semicolon():
    expected = HEADER.replace("0.5,-100", "0.5,-100;").encode().ljust(512)
    assert header(run(SMALL)) == expected


def test_k12_long_headers_are_padded_and_tell_the_truth():
    reference, corrected = header(run(LONG, True)), header(run(LONG))
    assert len(reference) > 512
    assert reference.startswith(b"{\nHEADER_BYTES=512;")
    assert reference.endswith(b"}\f")
    assert len(corrected) == 1024
    assert corrected.startswith(b"{\nHEADER_BYTES=1024;")
