"""Column files: delimiters, missing values, comments; the reference's reading to the letter."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilesim.errors import InputError
from tilesim.files.columns import LONGEST_LINE, read_columns

NAN = math.nan


def read(folder, text, columns=3, strict=False):
    path = folder / "sources.txt"
    path.write_bytes(text)
    return read_columns(path, columns, strict=strict)


def same(rows, expected):
    return repr(rows) == repr([tuple(map(float, row)) for row in expected])


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"1 2 3\n", [(1, 2, 3)]),
        (b" ,1;2:3!4\n", [(1, 2, 3)]),
        (b"1\t-2.5e-3\n\n \n4\n", [(1, -2.5e-3, NAN), (4, NAN, NAN)]),
        (b"1 2 3 four\n", [(1, 2, 3)]),
    ],
)
def test_what_both_read_alike(tmp_path, text, expected, strict):
    rows, differs = read(tmp_path, text, strict=strict)
    assert same(rows, expected) and not differs


@pytest.mark.parametrize(
    ("text", "expected", "reference"),
    [
        (b"# x y z\n1 2 3\n", [(1, 2, 3)], [(0, 0, 0), (1, 2, 3)]),
        (b"1 2\r\n", [(1, 2, NAN)], [(1, 2, 0)]),
        (b"1", [(1, NAN, NAN)], [(1, 0, 0)]),
        (b"\xef\xbb\xbf1 2 3\n", [(1, 2, 3)], [(0, 2, 3)]),
        (b"1.5-2.5-3\n", [(1.5, -2.5, -3)], [(1.5, NAN, NAN)]),
        (b"1 #one\n", [(1, NAN, NAN)], [(1, 0, 0)]),
        (b"1 2 3\r\n\r\n", [(1, 2, 3)], [(1, 2, 3), (0, 0, 0)]),
    ],
)
def test_what_the_reference_reads_otherwise(tmp_path, text, expected, reference):
    rows, differs = read(tmp_path, text)
    assert same(rows, expected) and differs
    rows, differs = read(tmp_path, text, strict=True)
    assert same(rows, reference) and not differs


def test_strict_numbers_are_atof_s(tmp_path):
    rows, _ = read(tmp_path, b"1abc 0x10 inf\n1e5x,-.5,5-3\n", strict=True)
    assert same(rows, [(1, 16, math.inf), (1e5, -0.5, 5)])


def test_strict_splits_long_lines(tmp_path):
    rows, differs = read(tmp_path, b"1" + b" " * (LONGEST_LINE - 1) + b"2\n")
    assert same(rows, [(1, 2, NAN)]) and differs
    rows, _ = read(tmp_path, b"1" + b" " * (LONGEST_LINE - 1) + b"2\n", strict=True)
    assert same(rows, [(1, 0, 0), (2, NAN, NAN)])


@pytest.mark.parametrize("line", ["1 2 x", "1 inf 3", "1 nan 3", "1 2-3-x", "1_0", "0x10", "1 2e", "--1"])
def test_no_number(tmp_path, line):
    with pytest.raises(InputError) as error:
        read(tmp_path, b"# c\n1 2 3\n" + line.encode() + b"\r\n")
    assert str(error.value) == f"{tmp_path / 'sources.txt'} line 3: expected up to 3 numbers, found '{line}'"


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("text", [b"", b"\n", b" , \n\n"])
def test_no_rows(tmp_path, text, strict):
    with pytest.raises(InputError, match=r"sources\.txt: expected rows"):
        read(tmp_path, text, strict=strict)


@given(st.binary(max_size=60) | st.text("0123456789 .,-#nax\r\n", max_size=60).map(str.encode))
def test_only_input_errors_come_out(tmp_path_factory, data):
    for strict in (False, True):
        try:
            rows, _ = read(tmp_path_factory.mktemp("columns"), data, 2, strict)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert {len(row) for row in rows} == {2}
