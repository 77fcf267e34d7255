"""miniCBF files: whatever the bands, fabio reads the numbers that were written."""

import fabio
import numpy as np
import pytest
from exported import skewed
from hypothesis import given
from hypothesis import strategies as st

from tilesim.errors import InputError
from tilesim.images import flat
from tilesim.images.banded import Bands
from tilesim.images.cbf import ABSENT, TOP, cbf_counts, write_cbf
from tilesim.images.facing import facing
from tilesim.images.pixels import ArrayImage

EDGES = [0, 1, -1, 127, 128, -128, -129, 32767, 32768, -32769, 2**31 - 1, -(2**31), TOP, TOP + 1]


def written(folder, values, scale=None, rows=1):
    """What fabio reads of an image that was written in bands of some rows; and the counter."""
    counts = cbf_counts(scale)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flat, "BAND_PIXELS", rows * values.shape[1])
        write_cbf(folder / "a.cbf", Bands(ArrayImage(values), counts), facing(skewed(), 0, "CBF"), skewed())
    image = fabio.open(str(folder / "a.cbf"))
    digest = image.header["Content-MD5"]
    # fabio only logs a checksum that differs.
    assert digest == fabio.compression.md5sum(fabio.cbfimage.CbfImage().read(image.filename, only_raw=True)).decode()
    return image.data, counts


@given(
    st.lists(st.one_of(st.sampled_from(EDGES), st.integers(-(2**31), 2**31 - 1)), min_size=1, max_size=40),
    st.integers(1, 4),
    st.integers(1, 5),
)
def test_whole_numbers_come_back(tmp_path, numbers, columns, rows):
    values = np.resize(np.array(numbers, "i4"), (max(1, len(numbers) // columns), columns))
    data, counts = written(tmp_path, values, rows=rows)
    assert data.dtype == "i4" and np.array_equal(data, np.where(values < 0, ABSENT, np.minimum(values, TOP)))
    assert (counts.cut, counts.gaps) == (np.count_nonzero(values > TOP), np.count_nonzero(values < 0))


@given(st.lists(st.floats(width=32, allow_infinity=True, allow_nan=True), min_size=1, max_size=30), st.integers(1, 4))
def test_floats_are_rounded_only_when_asked(tmp_path, numbers, rows):
    values = np.array(numbers, "f4").reshape(-1, 1)
    data, _ = written(tmp_path, values, 1.0, rows)
    missing = np.isnan(values)
    expected = np.where(missing, ABSENT, np.clip(np.rint(np.where(missing, 0, values).astype(float)), 0, TOP))
    assert np.array_equal(data, expected)
    whole = missing | (values == np.rint(values))
    if whole.all():
        assert np.array_equal(written(tmp_path, values, None, rows)[0], expected)
    else:
        with pytest.raises(InputError, match=f"pixel slow {np.argmin(whole)} fast 0 is "):
            written(tmp_path, values, None, rows)


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(InputError):
        written(tmp_path, np.full((2, 2), 0.5, "f4"))
    assert list(tmp_path.iterdir()) == []
