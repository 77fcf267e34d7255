"""SMV headers and pixels: the spec's example, the reference's lookups, broken files."""

import math

import fabio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilesim.errors import InputError
from tilesim.images.counts import int_pixels
from tilesim.images.flat import write_banded
from tilesim.images.smv import read_smv_header, read_smv_pixels

EXAMPLE = """{
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
CLOSE_DISTANCE=99;
PHI=0;
OSC_START=0;
OSC_RANGE=0;
TWOTHETA=0;
DETECTOR_SN=000;
BEAMLINE=fake;
}
\f"""


def block(text=EXAMPLE, size=512):
    return text.encode().ljust(size)


def image(folder, text=EXAMPLE, size=512, pixels=bytes(128)):
    path = folder / "a.img"
    path.write_bytes(block(text, size) + pixels)
    return path


def test_the_example_of_the_spec(tmp_path):
    header = read_smv_header(image(tmp_path))
    assert header.header_bytes == 512 and header.size == (8, 8)
    assert header.value("PIXEL_SIZE") == 0.1
    assert header.value("DISTANCE") == 99  # that of CLOSE_DISTANCE, the last place of the word
    assert header.value("ORGX") == 5.5
    assert header.value("NO_SUCH_KEY") is None
    assert header.value("BYTE_ORDER") == 0  # not a number


def test_lookups_as_the_reference_does(tmp_path):
    path = image(tmp_path, "{\nHEADER_BYTES=  512;\nSIZE1 =  4; SIZE2= 2;\nPHI=nan; # DISTANCE\nWAVELENGTH=1.5A;\n}\n")
    header = read_smv_header(path)
    assert header.size == (4, 2)
    assert header.value("PHI") is None
    assert header.value("DISTANCE") == 1.5  # the next equals sign
    assert header.value("}") == 0  # no equals sign follows


def test_long_headers_and_detector_dimensions(tmp_path):
    text = "{\nHEADER_BYTES=1024;\nSIZE1=0;\nDETECTOR_DIMENSIONS=3;\n" + " " * 600 + "PHI=2;\n}\n"
    path = image(tmp_path, text, 1024, np.arange(9, dtype="<u2").tobytes())
    header = read_smv_header(path)
    assert header.header_bytes == 1024 and header.size == (3, 3) and header.value("PHI") == 2
    assert read_smv_pixels(path, header).tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def test_what_fabio_reads(tmp_path):
    pixels = np.arange(6 * 4, dtype=np.uint16).reshape(4, 6) * 1000
    path = tmp_path / "a.img"
    write_banded(
        path, block(EXAMPLE.replace("SIZE1=8", "SIZE1=6").replace("SIZE2=8", "SIZE2=4")), [pixels[:3], pixels[3:]]
    )
    with fabio.open(str(path)) as other:
        assert np.array_equal(other.data, pixels)
    assert np.array_equal(read_smv_pixels(path, read_smv_header(path)), pixels)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        block()[:511],
        bytes(600),
        block(EXAMPLE.replace("SIZE1=8", "SIZE1=0")),
        block(EXAMPLE.replace("SIZE1=8", "SIZE1=-8")),
        block(EXAMPLE.replace("SIZE2=8", "SIZE2=1e30")),
        block(EXAMPLE.replace("SIZE1=8;", "")),
        block(EXAMPLE.replace("=512", "=0")),
        block(EXAMPLE.replace("=512", "=4096")),
        block(EXAMPLE.replace("=512", "=99999999999999")),
        block(EXAMPLE.replace("=512", "=nan")),
    ],
)
def test_broken_headers(tmp_path, data):
    path = tmp_path / "bad.img"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"^[^\n]*bad\.img: expected [^\n]*$"):
        read_smv_header(path)


def test_what_strict_reading_ignores(tmp_path):
    other = tmp_path / "other.img"
    other.write_bytes(bytes(600))
    for path in (other, tmp_path / "none.img"):
        header = read_smv_header(path, strict=True)
        assert header.header_bytes == 0 and header.size == (0, 0)
        with pytest.raises(InputError, match=path.name):
            read_smv_header(path)
    other.write_bytes(block()[:511])
    with pytest.raises(InputError, match="512"):
        read_smv_header(other, strict=True)


def test_pixels_that_are_not_there(tmp_path):
    path = image(tmp_path, pixels=bytes(127))
    with pytest.raises(InputError, match=r"a\.img: expected 128 bytes of pixels .*, found 127"):
        read_smv_pixels(path, read_smv_header(path))
    path = image(tmp_path, EXAMPLE.replace("=8", "=2e9"))
    with pytest.raises(InputError, match=r"a\.img: expected"):
        read_smv_pixels(path, read_smv_header(path))
    with pytest.raises(InputError, match=r"none\.img"):
        read_smv_pixels(tmp_path / "none.img", read_smv_header(path))


def test_a_smallest_image_from_scale_and_offset():
    values = np.array([[0, 0.5, 1, 2], [-50, 1e6, math.nan, math.inf]], dtype=np.float32)
    assert int_pixels(values, 1, 40).tolist() == [[40, 41, 41, 42], [0, 65535, 0, 65535]]
    assert int_pixels(values, 0, 40).tolist() == [[40, 40, 40, 40], [40, 40, 0, 0]]
    assert int_pixels(values, 1, 0.4).dtype == np.uint16
    # The sum with one half is rounded to single: 2^23 is out of reach, but a last bit below one half is not.
    assert int_pixels(np.float32([1]), 0.49999999, 0).tolist() == [1]


@given(st.floats(0, 7e4, width=32), st.floats(1e-3, 1e3), st.floats(-100, 100))
def test_pixels_are_rounded_and_clamped(value, scale, adc):
    (pixel,) = int_pixels(np.float32([value]), scale, adc)
    assert abs(min(max(value * scale + adc, 0), 65535) - float(pixel)) <= 0.51


@given(st.binary(max_size=200).map(lambda tail: block()[:320] + tail + bytes(300)) | st.binary(max_size=700))
def test_only_input_errors_come_out(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("smv") / "f.img"
    path.write_bytes(data)
    for strict in (False, True):
        try:
            header = read_smv_header(path, strict=strict)
            assert read_smv_pixels(path, header).shape == header.size[::-1]
        except InputError as error:
            assert "\n" not in str(error)
