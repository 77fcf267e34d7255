"""C's numbers; the expected values are those of glibc."""

import math

import pytest

from tilesim.files.cnumbers import atof, scan_records


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"1.5e3x", 1500),
        (b" \n-.5", -0.5),
        (b"1e", 1),
        (b"1e+", 1),
        (b"+7.", 7),
        (b"0x1F.8p1", 63),
        (b"0x1p99999", math.inf),
        (b"-0x1p99999", -math.inf),
        (b"0xg", 0),
        (b"-infinityx", -math.inf),
        (b"infi", math.inf),
        (b"1e999", math.inf),
        (b"1_0", 1),
        (b".", 0),
        (b"", 0),
        (b"abc", 0),
    ],
)
def test_atof(text, value):
    assert atof(text) == value


def test_atof_nan():
    assert math.isnan(atof(b"NaN(1)"))


@pytest.mark.parametrize(
    ("text", "kinds", "records"),
    [
        (b"1 2\n3 4 5", "gg", [(1, 2), (3, 4)]),
        (b"1-2+3 .5", "ddg", [(1, -2, 3.0)]),
        (b"12 3", "ddd", []),  # one number is not taken apart to make two
        (b"1e 2", "gg", [(1, 2)]),
        (b"0x 2", "gg", []),
        (b"1 2 1.0 2.", "dg", [(1, 2), (1, 0.0)]),  # the integer ends before the dot
        (b"", "g", []),
    ],
)
def test_records(text, kinds, records):
    assert list(scan_records(text, kinds)) == records
