"""Structure-factor text: default and strict readings, and errors that say where."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilesim.errors import InputError
from tilesim.reflections import hkl
from tilesim.reflections.hkl import read_hkl

THREE = b"0 0 0 10\n1 0 0 11\n0 1 0 12\n"


@pytest.fixture
def read(tmp_path):
    def read(text, default=0.0, strict=False):
        path = tmp_path / "f.hkl"
        path.write_bytes(text)
        return read_hkl(path, default, strict=strict)

    return read


def test_plain_lines(read, tmp_path):
    factors, differs = read(THREE)
    assert not differs
    assert factors.grid.tolist() == [[[10], [12]], [[11], [0]]]
    assert factors.minimum == (0, 0, 0) and factors.maximum == (1, 1, 0)
    assert factors.reflections == 3 and factors.source == str(tmp_path / "f.hkl")


@pytest.mark.parametrize("strict", [False, True])
def test_absent_points_hold_the_default_and_later_lines_win(read, strict):
    factors, differs = read(b"-1 2 3 5\n1 2 3 6\n-1 2 3 7\n", 2.5, strict)
    assert factors.grid.ravel().tolist() == [7, 2.5, 6]
    assert factors.minimum == (-1, 2, 3) and factors.default == 2.5
    assert factors.reflections == 3 and not differs


@pytest.mark.parametrize(
    "text",
    [
        b"# made by hand\n" + THREE,
        b"0 0 0 10 0.1\n1 0 0 11 0.2\n0 1 0 12 x\n",
        b"0.0 0 0 10\n1e0 0 0 11\n0 1 0 12\n",
        b"0 0 0 10 # ten\n\n1 0 0 11\n0 1 0 12\n",
    ],
)
def test_what_stops_the_reference_is_read_and_told(read, text):
    factors, differs = read(text)
    assert factors == read(THREE)[0]
    assert differs


@pytest.mark.parametrize("text", [THREE.replace(b"\n", b"\r\n"), THREE.strip(), b"\n\n" + THREE, b"\t" + THREE + b"  "])
def test_line_ends_and_blank_lines_change_nothing(read, text):
    factors, differs = read(text)
    assert factors == read(THREE)[0] and not differs


def test_a_comment_at_the_end_makes_no_difference(read):
    assert read(THREE + b"# end\n")[1] is False


@pytest.mark.parametrize(
    "line",
    ["1 2 3", "h k l F", "1,2,3,4", "1 2 3 nan", "1 2 3 inf", "1.5 2 3 4", "nan 2 3 4", "1_0 2 3 4", "1 2 3 0x1"],
)
def test_anything_else_is_an_error_with_file_and_line(read, tmp_path, line):
    with pytest.raises(InputError) as error:
        read(b"# first\n0 0 0 1\n" + line.encode() + b"\n")
    assert str(error.value) == f"{tmp_path / 'f.hkl'} line 3: expected h k l F, found '{line}'"


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("text", [b"", b"\n \n", b"# h k l F\n", b"\0" * 9, b"\xff\xfe1\x002\0", b"nan nan nan 1\n"])
def test_files_without_a_reflection(read, text, strict):
    with pytest.raises(InputError, match=r"f\.hkl.*expected"):
        read(text, strict=strict)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("far", [b"9999999999 0 0 1", b"1" + b"0" * 5000 + b" 0 0 1", b"2000 2000 2000 1"])
def test_absurd_indices(read, far, strict):
    with pytest.raises(InputError) as error:
        read(b"0 0 0 1\n" + far + b"\n", strict=strict)
    assert "f.hkl" in str(error.value) and len(str(error.value)) < 300 and "\n" not in str(error.value)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*none\.hkl: No such file"):
        read_hkl(tmp_path / "none.hkl")
    with pytest.raises(InputError, match="null byte"):
        read_hkl("a\0b")


def test_strict_fields_slide_with_a_fifth_column(read):
    factors, _ = read(b"0 0 0 10 0.5\n1 0 0 11 0.5\n", strict=True)
    # Records of four: (0 0 0 10) (0.5 1 0 0) and a rest; the second has no integer index.
    assert factors.reflections == 2
    assert factors.minimum == (0, 0, 0) and factors.maximum == (0, 1, 0)
    assert factors.grid.tolist() == [[[10], [0]]]


def test_strict_reals_as_indices_count_but_load_nothing(read):
    factors, _ = read(b"1.0 0 0 10\n2.0 0 0 11\n", 3.0, strict=True)
    assert factors.reflections == 2 and factors.grid.ravel().tolist() == [3, 3]


def test_strict_ends_at_a_comment_and_ignores_lines(read):
    factors, _ = read(b"0 0\n0 10 1 0 0\n11\n# 2 0 0 12\n3 0 0 13\n", strict=True)
    assert factors.reflections == 2 and factors.grid.ravel().tolist() == [10, 11]


def test_strict_stores_what_is_not_finite(read):
    assert np.isnan(read(b"0 0 0 nan\n", strict=True)[0].grid).all()


@given(st.text("01234-+.eE \t\r\n", max_size=60))
def test_the_fast_reading_is_the_reference_s(text):
    data = text.encode()
    clean = hkl._clean_table(data)
    if clean is not None:
        indices, values = clean
        mine = hkl._table(indices, values, indices, len(values), 0.0, "x")
        reference = hkl._table(*hkl._strict_table(data, "x"), 0.0, "x")
        assert mine == reference and mine.reflections == reference.reflections


@given(st.binary(max_size=80) | st.text("0123456789 .-#naif\n", max_size=80).map(str.encode))
def test_only_input_errors_come_out(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("hkl") / "f.hkl"
    path.write_bytes(data)
    for strict in (False, True):
        try:
            factors, differs = read_hkl(path, strict=strict)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert factors.reflections > 0 and (not differs or not strict)


@pytest.mark.parametrize(
    "data, differs",
    [
        (b"-10-20 -3   20.00\n   1   0   0   10.00\n", False),
        (gzip.compress(b"-10 -20 -3 20\n1 0 0 10\n"), True),
        (b"\xef\xbb\xbf-10 -20 -3 20\r\n1 0 0 10\r\n", True),
    ],
)
def test_fixed_columns_gzip_and_marks(tmp_path, data, differs):
    (tmp_path / "f.hkl").write_bytes(data)
    factors, differently = read_hkl(tmp_path / "f.hkl")
    assert (factors.minimum, factors.maximum, factors.reflections) == ((-10, -20, -3), (1, 0, 0), 2)
    assert factors.grid[0, 0, 0] == 20 and factors.grid[-1, -1, -1] == 10 and differently == differs


@pytest.mark.parametrize("line", ["1 2 3 40 " * 2, "1 2 3 40 " + "5 " * 9, "1 2 3 40 " * 1000])
def test_a_line_of_many_numbers_is_not_one_reflection(tmp_path, line):
    (tmp_path / "f.hkl").write_text(f"0 0 1 2\n{line}\n")
    with pytest.raises(
        InputError, match=r"f\.hkl line 2: expected h k l F of one reflection, found \d+ columns"
    ) as error:
        read_hkl(tmp_path / "f.hkl")
    assert len(str(error.value)) < 300
    (tmp_path / "f.hkl").write_text("1 2 3 40.0 1.5 180.0 0.99 1\n")
    assert read_hkl(tmp_path / "f.hkl")[0].reflections == 1
