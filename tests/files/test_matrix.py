"""Orientation matrices, short and broken ones, and the strict reading."""

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
    assert read_matrix(path, strict=strict) == NINE


@pytest.mark.parametrize(
    ("text", "place", "strict"),
    [
        ("1 2 3\n4 x 6\n", " line 2: .*'x'", (1, 2, 3, 4)),
        ("# A\n1 2 3\n", " line 1: .*'#'", ()),
        ("1 2 3\n4 5 6\n7 nan 9\n", " line 3: .*'nan'", None),
        ("1 2 1_0", " line 1: .*'1_0'", (1, 2, 1)),
        ("1 2 3 4\n", ": .*found 4$", (1, 2, 3, 4)),
        ("", ": .*found 0$", ()),
    ],
)
def test_short_and_broken(tmp_path, text, place, strict):
    path = tmp_path / "a.mat"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"^[^\n]*a\.mat{place}"):
        read_matrix(path)
    if strict is not None:
        assert read_matrix(path, strict=True) == strict


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*none\.mat"):
        read_matrix(tmp_path / "none.mat")
    assert read_matrix(tmp_path / "none.mat", strict=True) == ()


@given(st.binary(max_size=60))
def test_only_input_errors_come_out(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("mat") / "f"
    path.write_bytes(data)
    assert len(read_matrix(path, strict=True)) <= 9
    try:
        assert len(read_matrix(path)) == 9
    except InputError as error:
        assert "\n" not in str(error)
