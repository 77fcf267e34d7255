"""Images of all formats, told by content and read in parts; files written by libraries that we did not write."""

import os
import sys

import fabio
import fabio.edfimage
import h5py
import hdf5plugin
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from samples import PIXELS, SHAPE, WRITERS, smv, smv_header, store

from tilesim.errors import InputError, StoreError, TilesimError
from tilesim.images.image import open_image
from tilesim.images.pixels import ArrayImage, ImagePart
from tilesim.images.registry import format_of


def whole(image):
    return image.block(slice(None), slice(None))


def same(found, expected):
    np.testing.assert_array_equal(found, expected)
    assert found.dtype.isnative


@pytest.mark.parametrize("kind", WRITERS)
def test_an_image_of_any_format_is_read_whole_in_bands_and_in_parts(kind, tmp_path):
    # The name says nothing.
    path = tmp_path / "image"
    expected = WRITERS[kind](path)
    image = open_image(path, shape=SHAPE)
    assert image.shape == SHAPE and image.frames == 1 and image.panels == 1
    assert image.dtype == expected.dtype.newbyteorder("=")
    same(whole(image), expected)
    bands = list(image.bands(5))
    assert [first for first, _ in bands] == sorted({first for first, _ in bands})
    assert all(len(band) <= 5 for _, band in bands)
    same(np.concatenate([band for _, band in bands]), expected)
    same(image.block(slice(3, 9), slice(2, 7)), expected[3:9, 2:7])
    same(image.block(slice(10, 99), slice(None)), expected[10:])


def test_the_format_is_told_by_the_content(tmp_path):
    for kind, write in WRITERS.items():
        path = tmp_path / f"{kind}.img"
        write(path)
        assert format_of(path) == kind.partition("-")[0].replace("hdf5", "nxmx")


def test_a_square_float_file_needs_no_shape(tmp_path):
    path = tmp_path / "a.bin"
    np.arange(49, dtype="<f4").tofile(path)
    assert open_image(path).shape == (7, 7)


def test_a_float_file_of_the_wrong_size_is_refused(tmp_path):
    path = tmp_path / "a.bin"
    np.arange(35, dtype="<f4").tofile(path)
    with pytest.raises(InputError, match=r"a\.bin: 140 bytes are no square image .* its shape must be given"):
        open_image(path)
    with pytest.raises(InputError, match=r"expected a float file of 144 bytes for 6 x 6 pixels .* found 140 bytes"):
        open_image(path, shape=(6, 6))
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match="found 137 bytes"):
        open_image(path, shape=(5, 7))


def test_nan_infinity_and_denormals_pass_through(tmp_path):
    pixels = np.array([[np.nan, np.inf], [-np.inf, 1e-45]], "<f4")
    pixels.tofile(tmp_path / "a.bin")
    same(whole(open_image(tmp_path / "a.bin")), pixels)


def test_a_huge_float_file_is_read_in_parts_only(tmp_path):
    path = tmp_path / "huge.bin"
    path.touch()
    # Sparse: 1 TiB that takes no room.
    os.truncate(path, 2**40)
    image = open_image(path)
    assert image.shape == (2**19, 2**19)
    assert not image.block(slice(2**18, 2**18 + 3), slice(2**19 - 4, None)).any()


def test_a_shape_that_the_file_contradicts_is_refused(tmp_path):
    smv(tmp_path / "a.img")
    with pytest.raises(InputError, match=r"a\.img: expected 9 x 8 pixels \(fast x slow\), found 11 x 13"):
        open_image(tmp_path / "a.img", shape=(8, 9))


@pytest.mark.parametrize("kind", WRITERS)
def test_a_frame_or_panel_that_is_not_there_is_named(kind, tmp_path):
    path = tmp_path / "a"
    WRITERS[kind](path)
    with pytest.raises(InputError, match=r"a: there is no frame 1; expected 0: it holds one"):
        open_image(path, shape=SHAPE, frame=1)
    with pytest.raises(InputError, match=r"a: there is no panel 2; expected 0: it holds one"):
        open_image(path, shape=SHAPE, panel=2)
    with pytest.raises(InputError, match="there is no frame -1"):
        open_image(path, shape=SHAPE, frame=-1)


def test_frames_of_a_store_a_tiff_an_edf_and_an_hdf5_file(tmp_path):
    frames = np.stack([PIXELS, PIXELS + 1, PIXELS * 2]).astype(np.float32)
    store(tmp_path / "s.zarr", frames)
    pages = [Pillow.fromarray(frame) for frame in frames]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    edf = fabio.edfimage.EdfImage(data=frames[0])
    for frame in frames[1:]:
        edf.append_frame(data=frame)
    edf.write(str(tmp_path / "a.edf"))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry/data/data_000001"] = frames[:2]
        file["entry/data/data_000002"] = frames[2:]
    for name in ("s.zarr", "a.tif", "a.edf", "a.h5"):
        for number, frame in enumerate(frames):
            image = open_image(tmp_path / name, frame=number)
            same(whole(image), frame)
            assert image.frames == 3
        with pytest.raises(InputError, match=f"{name}: there is no frame 3; expected 0 to 2"):
            open_image(tmp_path / name, frame=3)


# Stores


def test_missing_tiles_of_a_store_are_nan_and_damaged_ones_an_error(tmp_path):
    path = tmp_path / "s.zarr"
    store(path, PIXELS[None].astype(np.float32), tile=(4, 4))
    tiles = path / "0" / "intensity" / "c" / "0"
    (tiles / "1" / "0").unlink()
    found = whole(open_image(path))
    assert np.isnan(found[4:8, :4]).all() and np.isfinite(found).sum() == found.size - 16
    (tiles / "0" / "1").write_bytes(b"no chunk")
    with pytest.raises(
        StoreError, match=r"s\.zarr: what is stored at frame 0, panel 0, slow 0, fast 0 or after it is damaged"
    ):
        whole(open_image(path))
    same(open_image(path).block(slice(8, 12), slice(None)), PIXELS[8:12])


def test_a_store_at_a_url(tmp_path):
    store(tmp_path / "s.zarr", PIXELS[None].astype(np.float32))
    same(whole(open_image(f"file://{tmp_path}/s.zarr")), PIXELS)


@pytest.mark.parametrize("rows", [1, 3, 4, 5, 100])
def test_bands_read_each_chunk_once(rows):
    class Counted(ArrayImage):
        chunk = (4, 4)
        read = ()

        def block(self, rows, columns):
            self.read = (*self.read, rows.indices(self.shape[0])[:2])
            return super().block(rows, columns)

    image = Counted(PIXELS)
    same(np.concatenate([band for _, band in image.bands(rows)]), PIXELS)
    assert image.read == ((0, 4), (4, 8), (8, 12), (12, 13))
    image.read = ()
    same(
        np.concatenate([band for _, band in ImagePart(image, slice(3, 12), slice(1, 5)).bands(rows)]), PIXELS[3:12, 1:5]
    )
    assert image.read == ((3, 4), (4, 8), (8, 12))


def test_a_folder_that_is_no_store_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected a store made by tilesim"):
        open_image(tmp_path)
    with pytest.raises(InputError, match="expected the URL of a folder"):
        open_image("nonsense://bucket/none.zarr")


def test_panels_of_a_store(tmp_path):
    import zarr

    path = tmp_path / "s.zarr"
    store(path, PIXELS[None].astype(np.float32))
    panels = np.stack([PIXELS, PIXELS + 7]).astype(np.float32)[None]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry/data/data"] = panels
    zarr.create_array(path / "0" / "intensity", data=panels, chunks=(1, 1, 4, 4), overwrite=True)
    for name in ("s.zarr", "a.h5"):
        image = open_image(tmp_path / name, panel=1)
        assert image.panels == 2
        same(whole(image), PIXELS + 7)
        with pytest.raises(InputError, match="there is no panel 2; expected 0 to 1"):
            open_image(tmp_path / name, panel=2)


def test_panels_that_lie_in_one_array_as_modules(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry/data/data"] = np.concatenate([PIXELS, PIXELS + 7])[None]
        for n in range(2):
            module = file.create_group(f"entry/instrument/detector/module_{n}")
            module.attrs["NX_class"] = "NXdetector_module"
            module["data_origin"], module["data_size"] = [13 * n, 0], [13, 11]
    image = open_image(tmp_path / "a.h5", panel=1)
    assert image.panels == 2 and image.shape == SHAPE
    same(whole(image), PIXELS + 7)
    same(image.block(slice(2, 5), slice(1, 3)), PIXELS[2:5, 1:3] + 7)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        # Modules that cannot be are left alone.
        file["entry/instrument/detector/module_1/data_size"][...] = [14, 11]
    assert open_image(tmp_path / "a.h5").shape == (26, 11)


# SMV


@pytest.mark.parametrize("length", [512, 513, 518, 700])
def test_a_header_that_is_longer_than_it_says_as_the_reference_writes_them(length, tmp_path):
    path = tmp_path / "a.img"
    short = smv_header(SHAPE, "unsigned_short", "little_endian", "COMMENT=;\n")
    text = short.replace(b"COMMENT=", b"COMMENT=" + b"x" * (length - len(short)))
    assert len(text) == length
    path.write_bytes(text + PIXELS.astype("<u2").tobytes())
    same(whole(open_image(path)), PIXELS)


def test_what_stands_behind_the_pixels_of_an_smv_file_is_left_alone(tmp_path):
    smv(tmp_path / "a.img")
    with open(tmp_path / "a.img", "ab") as file:
        file.write(b"}\f")
    same(whole(open_image(tmp_path / "a.img")), PIXELS)


@pytest.mark.parametrize("kind, order", [("complex", "little_endian"), ("unsigned_short", "middle_endian")])
def test_an_smv_file_of_an_unknown_type_or_order_is_refused(kind, order, tmp_path):
    smv(tmp_path / "a.img", kind=kind, order=order)
    with pytest.raises(InputError, match=r"a\.img: expected (a TYPE|BYTE_ORDER) .* found (complex|middle_endian)"):
        open_image(tmp_path / "a.img")


# HDF5


def test_bitshuffled_hdf5_and_links_to_other_files(tmp_path):
    with h5py.File(tmp_path / "part.h5", "w") as file:
        file.create_dataset("entry/data/data", data=PIXELS[None], chunks=(1, 4, 4), **hdf5plugin.Bitshuffle())
    with h5py.File(tmp_path / "master.h5", "w") as file:
        file["entry/data/data_000001"] = h5py.ExternalLink("part.h5", "/entry/data/data")
    image = open_image(tmp_path / "master.h5")
    assert image.chunk == (4, 4)
    same(whole(image), PIXELS)
    os.unlink(tmp_path / "part.h5")
    with pytest.raises(InputError, match=r"master\.h5: /entry/data/data_000001 leads to nothing in part\.h5"):
        open_image(tmp_path / "master.h5")


def test_hdf5_files_without_an_image_are_refused(tmp_path):
    for number, (key, value) in enumerate(
        [("other", 1), ("entry/data/data", 3.0), ("entry/data/data", [b"a"]), ("entry/data/data", np.zeros((0, 3, 3)))]
    ):
        with h5py.File(tmp_path / f"{number}.h5", "w") as file:
            file[key] = value
        with pytest.raises(InputError, match=rf"{number}\.h5: .*expected (pixels|numbers)"):
            open_image(tmp_path / f"{number}.h5")


# EDF


def edf(path, order, more=""):
    text = f"{{\nHeaderID = EH:000001:000000:000000 ;\nImage = 1 ;\nByteOrder = {order} ;\nDataType = UnsignedShort ;\n"
    text += f"Dim_1 = {SHAPE[1]} ;\nDim_2 = {SHAPE[0]} ;\nSize = {PIXELS.nbytes} ;\n{more}"
    pixels = PIXELS.astype(">u2" if order == "HighByteFirst" else "<u2")
    path.write_bytes((text.ljust(1022) + "}\n").encode() + pixels.tobytes())


@pytest.mark.parametrize("order", ["HighByteFirst", "LowByteFirst"])
def test_an_edf_file_in_either_byte_order(order, tmp_path):
    edf(tmp_path / "a.edf", order, "Compression = None ;\n")
    same(whole(open_image(tmp_path / "a.edf")), PIXELS)


@pytest.mark.parametrize("more", ["COMPRESSION = GZIP ;\n", "EDF_BinaryFileName = b.raw ;\n", "Dim_3 = 1 ;\n"])
def test_an_edf_image_that_does_not_lie_there_as_it_is_is_refused(more, tmp_path):
    edf(tmp_path / "a.edf", "LowByteFirst", more)
    with pytest.raises(
        InputError, match=r"a\.edf: expected an EDF image of two dimensions, not compressed, in the file"
    ):
        open_image(tmp_path / "a.edf")


# TIFF


def test_a_tiff_file_of_a_codec_that_is_missing_says_what_to_install(tmp_path, monkeypatch):
    WRITERS["tiff-lzw"](tmp_path / "a.tif")
    for name in [name for name in sys.modules if name.partition(".")[0] == "tifffile"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(
        InputError, match=r"a\.tif: 11 x 13 pixels, compressed, cannot be read .*pip install imagecodecs$"
    ):
        open_image(tmp_path / "a.tif")


@pytest.mark.parametrize("pixels", [np.zeros((4, 5, 3), "u1"), np.zeros((4, 5), "c8")])
def test_a_tiff_image_of_colours_or_complex_numbers_is_refused(pixels, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    with pytest.raises(InputError, match=r"a\.tif: expected a grey image of 8 to 64 bits or floats, found"):
        open_image(tmp_path / "a.tif")


@pytest.mark.parametrize("first, last, what", [(0, 2, None), (150, 160, "damaged one .*leads back")])
def test_pages_of_a_tiff_file_that_lead_back_come_to_an_end(first, last, what, tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, byteorder="<") as file:
        for number in range(last + 1):
            file.write(PIXELS + number, photometric="minisblack", metadata=None)
    with tifffile.TiffFile(path) as file:
        begin, end = (file.pages[number].offset for number in (first, last))
        tags = len(file.pages[last].tags)
    data = bytearray(path.read_bytes())
    data[end + 2 + 12 * tags : end + 6 + 12 * tags] = begin.to_bytes(4, "little")
    path.write_bytes(data)
    if what:
        with pytest.raises(InputError, match=what):
            open_image(path)
    else:
        same(whole(open_image(path)), PIXELS)


def test_a_tiff_image_that_claims_to_be_huge_takes_no_memory(tmp_path):
    for number, (kind, match) in enumerate(
        [("tiff-deflate", "some are missing|cannot come out"), ("tiff-float32", "expected .* bytes of pixels")]
    ):
        path = tmp_path / f"{number}.tif"
        WRITERS[kind](path)
        with tifffile.TiffFile(path, mode="r+") as file:
            for name in ("ImageWidth", "ImageLength"):
                tag = file.pages[0].tags[name]
                tag.overwrite(60_000, dtype="H")
        with pytest.raises(InputError, match=match):
            open_image(path)


# Hostile input


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if not kind.startswith("store")])
def test_cut_short_anywhere_it_is_an_error_of_one_line(kind, tmp_path):
    path = tmp_path / "a"
    WRITERS[kind](path)
    data = path.read_bytes()
    # What ends these formats is not needed to read the pixels.
    end = {"cbf": 60, "tif": 300, "hdf": 300}.get(kind[:3], 1)
    for length in {0, 1, 7, 100, len(data) // 2, len(data) - end}:
        path.write_bytes(data[:length])
        with pytest.raises(InputError) as raised:
            whole(open_image(path, shape=SHAPE))
        assert "\n" not in str(raised.value) and "a" in str(raised.value)


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if not kind.startswith("store")])
@settings(max_examples=25)
@given(data=st.data())
def test_bytes_that_changed_give_an_image_or_one_clear_error(kind, data, tmp_path):
    path = tmp_path / "a"
    if not path.exists():
        WRITERS[kind](path)
    content = bytearray(path.read_bytes())
    changed = tmp_path / "b"
    for _ in range(data.draw(st.integers(1, 4))):
        # Headers are where it matters.
        place = data.draw(st.integers(0, min(len(content), 3000) - 1))
        content[place] = data.draw(st.integers(0, 255))
    changed.write_bytes(content)
    try:
        image = open_image(changed)
        image.block(slice(0, 4), slice(0, 4))
    except TilesimError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    "start", [b"{\nHEADER_BYTES=512;\n", b"###CBF: V", b"II*\0", b"MM\0*", b"{\nEDF_", b"\x89HDF\r\n\x1a\n", b"junk"]
)
@settings(max_examples=15)
@given(rest=st.binary(max_size=600))
def test_noise_behind_a_magic_number_is_an_error(start, rest, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(start + rest)
    with pytest.raises(InputError) as raised:
        open_image(path, shape=(100, 100))
    assert "\n" not in str(raised.value)


def test_sizes_that_no_file_could_hold_take_no_memory(tmp_path):
    path = tmp_path / "a"
    for kind, old, new in (
        ("smv-unsigned_short", b"SIZE1=11;", b"SIZE1=2000000000;"),
        ("cbf", b"X-Binary-Size-Fastest-Dimension: 11", b"X-Binary-Size-Fastest-Dimension: 999999999"),
        ("edf-float32", b"Dim_1 = 11 ", b"Dim_1 = 999999999 "),
    ):
        WRITERS[kind](path)
        data = path.read_bytes()
        assert old in data, kind
        path.write_bytes(data.replace(old, new).replace(b" " * (len(new) - len(old)), b"", 1))
        with pytest.raises(InputError):
            open_image(path)


def test_a_damaged_cbf_file_is_known_by_its_digest(tmp_path):
    path = tmp_path / "a.cbf"
    WRITERS["cbf"](path)
    data = bytearray(path.read_bytes())
    data[data.index(b"\x0c\x1a\x04\xd5") + 20] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.cbf: the pixels do not match their Content-MD5"):
        open_image(path)


def test_an_edf_header_that_leads_back_is_an_error(tmp_path):
    head = "{{\nHeaderID = EH:00000{0}:000000:000000 ;\nImage = {0} ;\nByteOrder = LowByteFirst ;\n"
    head += "DataType = FloatValue ;\nDim_1 = 10 ;\nDim_2 = 10 ;\nSize = {1} ;\n"
    first, second = (head.format(*values).ljust(1022) + "}\n" for values in ((1, 400), (2, -1024)))
    (tmp_path / "a").write_bytes(first.encode() + bytes(400) + second.encode() + bytes(400))
    with pytest.raises(InputError, match=r"a: expected an EDF file, found a damaged one .*leads back"):
        open_image(tmp_path / "a")


@pytest.mark.parametrize("kind, library", [("cbf", "fabio.compression"), ("hdf5-plain", "h5py")])
def test_a_library_that_is_missing_is_named(kind, library, tmp_path, monkeypatch):
    WRITERS[kind](tmp_path / "a")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=rf"reading .* files needs {library.partition('.')[0]} .*tilesim\[formats\]"):
        open_image(tmp_path / "a")


@pytest.mark.parametrize("start, what", [(b"\x1f\x8b\x08", "gzip"), (b"\x89PNG\r\n", "PNG"), (b"P5\n", "PGM")])
def test_what_is_packed_or_foreign_is_named(start, what, tmp_path):
    (tmp_path / "a").write_bytes(start + bytes(100))
    with pytest.raises(InputError, match=f"expected an image, found a {what} file"):
        open_image(tmp_path / "a")


def test_no_file_a_folder_a_device(tmp_path):
    for path, match in (
        (tmp_path / "none", "cannot read .*none: No such file"),
        ("/dev/zero", "expected a file, found a folder, a pipe or a device"),
        ("a\0b", "cannot read"),
    ):
        with pytest.raises(InputError, match=match):
            open_image(path)
    (tmp_path / "empty").touch()
    with pytest.raises(InputError, match="expected an image, found an empty file"):
        open_image(tmp_path / "empty")
