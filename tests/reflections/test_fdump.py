"""The binary cache: the spec's example byte for byte, round trips, corrupt files."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tilesim.errors import InputError, StoreError
from tilesim.model import StructureFactors
from tilesim.reflections.fdump import read_fdump, write_fdump

EXAMPLE = b"0 1 0 1 0 0\n\f" + struct.pack("<18d", 10, 0, 12, 0, 0, 0, 11, *[0] * 11)


def test_the_example_of_the_spec(tmp_path):
    path = tmp_path / "Fdump.bin"
    write_fdump(path, StructureFactors(np.array([[[10.0], [12.0]], [[11.0], [0.0]]]), default=7.0))
    assert path.read_bytes() == EXAMPLE
    factors = read_fdump(path, 7.0)
    assert factors.grid.tolist() == [[[10], [12]], [[11], [0]]]
    assert (factors.default, factors.reflections, factors.source) == (7.0, 4, str(path))


@given(
    arrays(np.float64, st.tuples(*[st.integers(1, 4)] * 3), elements=st.floats(allow_nan=False, allow_infinity=False)),
    st.tuples(*[st.integers(-50, 50)] * 3),
)
def test_round_trip(tmp_path_factory, grid, minimum):
    path = tmp_path_factory.mktemp("fdump") / "f"
    factors = StructureFactors(grid, minimum)
    write_fdump(path, factors)
    assert read_fdump(path) == factors


def test_a_first_value_that_begins_like_white_space(tmp_path):
    first = struct.unpack("<d", b"\n\f\x20\n\f\x20\xf0\x3f")[0]
    path = tmp_path / "f"
    write_fdump(path, StructureFactors(np.full((1, 1, 1), first)))
    assert read_fdump(path).grid[0, 0, 0] == first


@pytest.mark.parametrize(
    "data",
    [
        b"",
        EXAMPLE[:-1],
        EXAMPLE + b"\0",
        EXAMPLE[:20],
        EXAMPLE[13:],
        b"0 1 0 1 0\n\f",
        b"1 0 0 1 0 0\n\f" + bytes(144),
        b"0 999999999 0 999999999 0 999999999\n\f" + bytes(144),
        b"0 0 0 0 0 0\n\f" + struct.pack("<8d", float("nan"), *[0] * 7),
        bytes(300),
    ],
)
def test_corrupt_files(tmp_path, data):
    path = tmp_path / "bad.bin"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"^[^\n]*bad\.bin: expected [^\n]*$"):
        read_fdump(path)


@given(st.binary(max_size=120) | st.binary(max_size=80).map(lambda rest: EXAMPLE[:14] + rest))
def test_only_input_errors_come_out(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fdump") / "f"
    path.write_bytes(data)
    with pytest.raises(InputError):
        read_fdump(path)


def test_an_empty_table_is_not_written(tmp_path):
    with pytest.raises(StoreError, match="no table"):
        write_fdump(tmp_path / "f", StructureFactors.constant(3.0))
    assert not list(tmp_path.iterdir())
