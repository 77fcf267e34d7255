"""Orientation matrices, short and broken ones, and the strict reading."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilesim.errors import InputError
from tilesim.files.matrix import read_matrix

NINE = tuple(map(float, range(1, 10)))


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    "text", ["1 2 3\n4 5 6\n7 8 9\n", "1 2 3 4 5\r\n6 7 8 9\n 0 0 0\nCELL x", "\n1 2 3 4 5 6 7 8 9"]
)
def test_nine_numbers_and_whatever_follows(tmp_path, text, strict):
    path = tmp_path / "a.mat"
    path.write_text(text)
    assert read_matrix(path, strict=strict) == (NINE, False)


@pytest.mark.parametrize(
    ("data", "strict"),
    [
        (b"# a* b* c*\n1 2 3 # x\n4 5 6\n7 8 9\n", ()),
        (b"\xef\xbb\xbf1 2 3\n4 5 6\n7 8 9\n", ()),
        (gzip.compress(b"1 2 3 4 5 6 7 8 9\n"), ()),
    ],
)
def test_comments_marks_and_gzip_are_passed_over_and_said_to_differ(tmp_path, data, strict):
    path = tmp_path / "a.mat"
    path.write_bytes(data)
    assert read_matrix(path) == (NINE, True)
    assert read_matrix(path, strict=True) == (strict, False)


@pytest.mark.parametrize("strict", [False, True])
def test_columns_of_a_fixed_width_need_no_space(tmp_path, strict):
    path = tmp_path / "a.mat"
    path.write_text("-0.02345678-0.00100000 0.00000000\n 1.0e-02+0.02500000 0.00100000\n 1.-2.-3.\n")
    numbers = (-0.02345678, -0.001, 0.0, 0.01, 0.025, 0.001, 1.0, -2.0, -3.0)
    assert read_matrix(path, strict=strict) == (numbers, False)


@pytest.mark.parametrize(
    ("text", "place", "strict"),
    [
        ("1 2 3\n4 x 6\n", " line 2: .*'x'", (1, 2, 3, 4)),
        ("A\n1 2 3\n", " line 1: .*'A'", ()),
        ("1 2 3\n4 5 6\n7 nan 9\n", " line 3: .*'nan'", None),
        ("1 2-3-x 4", " line 1: .*'2-3-x'", (1, 2, -3)),
        ("\u0661 2", " line 1: .*d9", ()),
        ("1 \x1c2", " line 1: .*x1c", (1,)),
        ("1 2\0 3", " line 1: .*zero byte", None),
        ("\x1f\x8b\x08\0", ": .*damaged gzip", ()),
        ("\x1f\x8b", ": .*damaged gzip", ()),
        ("1 2 1_0", " line 1: .*'1_0'", (1, 2, 1)),
        ("1 2 3 4\n", ": .*found 4$", (1, 2, 3, 4)),
        ("", ": .*found 0$", ()),
    ],
)
def test_short_and_broken(tmp_path, text, place, strict):
    path = tmp_path / "a.mat"
    path.write_bytes(text.encode("latin-1" if text.isascii() or text[0] == "\x1f" else "utf-8"))
    with pytest.raises(InputError, match=rf"^[^\n]*a\.mat{place}"):
        read_matrix(path)
    if strict is not None:
        assert read_matrix(path, strict=True)[0] == strict


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*none\.mat"):
        read_matrix(tmp_path / "none.mat")
    assert read_matrix(tmp_path / "none.mat", strict=True) == ((), False)


@given(st.binary(max_size=60))
def test_only_input_errors_come_out(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("mat") / "f"
    path.write_bytes(data)
    assert len(read_matrix(path, strict=True)[0]) <= 9
    try:
        assert len(read_matrix(path)[0]) == 9
    except InputError as error:
        assert "\n" not in str(error)
