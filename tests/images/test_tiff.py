"""TIFF files that we write: in strips, read again by others and by ourselves where they lie."""

import fabio
import numpy as np
import pytest
import tifffile
from samples import PIXELS

from tilesim.errors import InputError
from tilesim.images import tiff
from tilesim.images.banded import Bands
from tilesim.images.image import open_image
from tilesim.images.pixels import ArrayImage, RawImage, StackedImage


def whole(path):
    image = open_image(path)
    assert isinstance(image, RawImage)
    return image.block(slice(None), slice(None))


@pytest.mark.parametrize("dtype", "u1 u2 u4 u8 i1 i2 i4 i8 f4 f8".split())
def test_pixels_of_every_type_come_back_by_fabio_and_by_ourselves(dtype, tmp_path, monkeypatch):
    monkeypatch.setattr(tiff, "STRIP_PIXELS", 25)
    pixels = PIXELS.astype(dtype)
    tiff.write_tiff(tmp_path / "a.tif", Bands(ArrayImage(pixels)), "frame 3")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        page = file.pages[0]
        assert len(page.dataoffsets) == 7 and page.description == "frame 3" and page.software == "tilesim"
    for found in (fabio.open(tmp_path / "a.tif").data, whole(tmp_path / "a.tif")):
        assert found.dtype == pixels.dtype and np.array_equal(found, pixels)


def test_bands_of_several_images_are_cut_into_strips_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff, "STRIP_PIXELS", 60)
    images = [ArrayImage(PIXELS + number) for number in range(3)]
    tiff.write_tiff(tmp_path / "a.tif", Bands(StackedImage(images)))
    assert np.array_equal(fabio.open(tmp_path / "a.tif").data, np.concatenate([PIXELS, PIXELS + 1, PIXELS + 2]))


def test_more_than_offsets_of_32_bits_reach_is_bigtiff(tmp_path, monkeypatch):
    tiff.write_tiff(tmp_path / "small.tif", Bands(ArrayImage(PIXELS)))
    monkeypatch.setattr(tiff, "CLASSIC", PIXELS.nbytes - 1)
    tiff.write_tiff(tmp_path / "big.tif", Bands(ArrayImage(PIXELS)))
    assert (tmp_path / "small.tif").read_bytes()[:4] == b"II*\0"
    assert (tmp_path / "big.tif").read_bytes()[:4] == b"II+\0"
    assert np.array_equal(whole(tmp_path / "big.tif"), PIXELS)


def test_the_same_image_gives_the_same_bytes(tmp_path):
    for name in ("a.tif", "b.tif"):
        tiff.write_tiff(tmp_path / name, Bands(ArrayImage(PIXELS)), "frame 0")
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_an_image_that_fails_half_way_leaves_nothing(tmp_path):
    class Failing(ArrayImage):
        def bands(self, rows):
            yield 0, PIXELS[:5]
            raise InputError("the other half is not there")

    with pytest.raises(InputError, match="the other half is not there"):
        tiff.write_tiff(tmp_path / "a.tif", Bands(Failing(PIXELS)))
    assert list(tmp_path.iterdir()) == []
