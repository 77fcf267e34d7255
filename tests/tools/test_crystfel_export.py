"""CXI files, geometries and streams for CrystFEL, read back by h5py, cfelpyutils and tilesim itself."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from exported import corners, grid, skewed

import tilesim
from tilesim.errors import InputError
from tilesim.geometry.axes import Axes, rotation_to, turned
from tilesim.geometry.resolution import positions
from tilesim.images.opening import open_dataset
from tilesim.images.registry import Format
from tilesim.instruments.files import read_detector
from tilesim.instruments.stream import read_chunks
from tilesim.model import PixelMask, Series, StructureFactors
from tilesim.tools.crystfel import Beside
from tilesim.tools.export import Selection, export_images

COUNT = 3


def stills(panels=2):
    """Shots that differ in crystal, photon energy and place of the detector."""
    base = skewed(panels).replace(
        scan=skewed().scan.replace(step=0.0, steps=1), factors=StructureFactors.constant(100.0)
    )
    along = np.array(base.beam.direction)
    across = np.cross(along, (1.0, 0.0, 0.0))
    made = []
    for number in range(COUNT):
        shift = 1e-3 * number * along + 2e-5 * number * across
        moved = [one.replace(origin=tuple(np.add(one.origin, shift))) for one in base.detector.panels]
        made.append(
            base.replace(
                crystal=base.crystal.transformed(lambda v, n=number: (v[n], v[n - 2], v[n - 1])),
                beam=base.beam.replace(wavelength=1.1e-10 + 1e-12 * number),
                detector=base.detector.replace(panels=tuple(moved)),
            )
        )
    return Series.of(made)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """`x.zarr`, and its pixels (frame, panel, slow, fast)."""
    monkeypatch.chdir(tmp_path)
    series = stills()
    tilesim.run(series, store="x.zarr", progress=False)
    data = open_dataset("x.zarr")
    return data, np.stack(
        [[data.numbers(f, p).block(slice(None), slice(None)) for p in range(2)] for f in range(COUNT)]
    )


def written(data, out="x.cxi", **options):
    form = Format.CXI if out.endswith("cxi") else Format.NXMX
    beside = Beside("x.geom", "x.stream", "x.lst")
    chosen = Selection(form, tuple(range(COUNT)), (0, 1), beside=beside, **options)
    return export_images(data, out, chosen)


def test_a_cxi_file_has_what_the_format_says(store):
    data, pixels = store
    assert written(data).files == ["x.cxi", "x.geom", "x.stream", "x.lst"]
    with h5py.File("x.cxi") as file:
        assert file["cxi_version"][()] >= 140
        assert pixels.max() > 0
        np.testing.assert_array_equal(file["entry_1/data_1/data"][()], pixels.reshape(COUNT, 40, 30))
        np.testing.assert_array_equal(file["entry_1/instrument_1/detector_1/data"][1], pixels.reshape(COUNT, 40, 30)[1])
        energies = file["entry_1/instrument_1/beam/photon_energy"][()]
        np.testing.assert_allclose(energies, [12398.4198 / (1.1 + 0.01 * n) for n in range(COUNT)], rtol=1e-8)
        joules = file["entry_1/instrument_1/source_1/energy"][()]
        np.testing.assert_allclose(joules / 1.602176634e-19, energies, rtol=1e-9)
        assert file["entry_1/instrument_1/detector_1/x_pixel_size"][()] == pytest.approx(1e-4)
    assert Path("x.lst").read_text() == "x.cxi //0\nx.cxi //1\nx.cxi //2\n"


def test_tilesim_reads_pixels_and_experiments_back(store):
    data, pixels = store
    written(data)
    again = open_dataset("x.cxi")
    assert (len(again), again.panels, again.exact) == (COUNT, 2, True)
    np.testing.assert_array_equal(again.numbers(2, 1).block(slice(None), slice(None)), pixels[2, 1])
    assert again.experiment(1).beam == data.experiment(1).beam
    assert again.experiment(1).crystal == data.experiment(1).crystal


def test_the_geometry_places_every_pixel_where_it_was(store):
    data, _ = store
    written(data)
    text = Path("x.geom").read_text()
    assert "photon_energy = /entry_1/instrument_1/beam/photon_energy\n" in text
    assert "clen = /entry_1/instrument_1/detector_1/distance m" in text
    with h5py.File("x.cxi") as file:
        for frame in range(COUNT):
            literal = text
            for path in ("distance", "shift_x", "shift_y"):
                value = file[f"entry_1/instrument_1/detector_1/{path}"][frame]
                literal = literal.replace(f"= /entry_1/instrument_1/detector_1/{path} m", f"= {value:.15f} m")
            Path("one.geom").write_text(literal)
            found = read_detector("one.geom")
            experiment = data.experiment(frame)
            rotation = rotation_to(Axes.MCSTAS, data.experiment(0))
            for number, panel in enumerate(found.panels):
                there = positions(panel, tilesim.Beam((0.0, 0.0, 1.0), 1e-10), *grid(panel.shape))
                np.testing.assert_allclose(there, corners(experiment, number) @ rotation.T, atol=1e-11)


def test_the_stream_holds_the_true_crystals(store):
    data, _ = store
    written(data)
    chunks = list(read_chunks("x.stream"))
    assert [one.event for one in chunks] == ["//0", "//1", "//2"] and chunks[0].image == "x.cxi"
    for frame, one in enumerate(chunks):
        turned_to = turned(data.experiment(frame), rotation_to(Axes.MCSTAS, data.experiment(0)))
        scan = turned_to.scan
        star = [tilesim.model.vectors.rotate_about(v, scan.axis, scan.start) for v in turned_to.crystal.star]
        np.testing.assert_allclose(one.crystals[0].star, star, atol=0.1, rtol=0)  # 1/m of 1e8
        assert one.wavelength == pytest.approx(data.experiment(frame).beam.wavelength, rel=1e-9)


def test_readers_that_are_not_ours_find_crystals_and_panels(store):
    stream = pytest.importorskip("cfelpyutils.crystfel_stream")
    geometry = pytest.importorskip("cfelpyutils.geometry")
    data, _ = store
    written(data)
    theirs = list(stream.parse_chunks("x.stream"))
    for found, own in zip(theirs, read_chunks("x.stream"), strict=True):
        [crystal] = found["crystals"]
        np.testing.assert_allclose([crystal[f"{axis}star"] * 1e9 for axis in "abc"], own.crystals[0].star)
        lengths = np.linalg.norm(np.linalg.inv(own.crystals[0].star), axis=0) * 1e9
        np.testing.assert_allclose(crystal["Cell parameters/lengths"], lengths, atol=1e-6)
    found, beam, _ = geometry.load_crystfel_geometry("x.geom")
    assert list(found["panels"]) == ["p0", "p1"]
    first = turned(data.experiment(0), rotation_to(Axes.MCSTAS, data.experiment(0)))
    for panel, own in zip(found["panels"].values(), first.detector.panels, strict=True):
        x, y, _ = own.origin
        np.testing.assert_allclose((panel["cnx"] / panel["res"], panel["cny"] / panel["res"]), (x, y), atol=1e-12)
        np.testing.assert_allclose((panel["fsx"], panel["fsy"], panel["fsz"]), own.fast, atol=1e-12)
        np.testing.assert_allclose((panel["ssx"], panel["ssy"], panel["ssz"]), own.slow, atol=1e-12)
        assert panel["data"] == "/entry_1/data_1/data" and panel["dim_structure"] == ["%", "ss", "fs"]
    assert beam["photon_energy_from"] == "/entry_1/instrument_1/beam/photon_energy"


def test_pixels_without_a_value_are_in_the_mask_and_marked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    active = np.ones((20, 30), bool)
    active[3:5, 7] = False
    base = skewed(mask=PixelMask(active))
    tilesim.run(base, store="x.zarr", progress=False)
    chosen = Selection(Format.CXI, (0,), (0,), scale=1.0, beside=Beside("x.geom"))
    result = export_images(open_dataset("x.zarr"), "x.cxi", chosen)
    with h5py.File("x.cxi") as file:
        assert ((file["entry_1/data_1/data"][0] == -1) == ~active).all()
        assert ((file["entry_1/instrument_1/detector_1/mask"][()] != 0) == ~active).all()
    text = Path("x.geom").read_text()
    assert "mask0_data = /entry_1/instrument_1/detector_1/mask" in text and "flag_lessthan = 0" in text
    assert any("-1" in remark for remark in result.remarks)


def test_an_nxmx_file_has_a_geometry_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tilesim.run(skewed(), store="x.zarr", progress=False)
    chosen = Selection(Format.NXMX, (0,), (0,), beside=Beside("x.geom", "x.stream"))
    export_images(open_dataset("x.zarr"), "x.h5", chosen)
    assert "data = /entry/data/data\ndim0 = %" in Path("x.geom").read_text()
    [panel], there = read_detector("x.geom").panels, read_detector("x.h5")
    np.testing.assert_allclose(panel.origin, there.panels[0].origin, atol=1e-12)
    assert read_detector("x.stream").wavelength == pytest.approx(1.1e-10)


def test_what_crystfel_cannot_read_is_refused(store):
    data, _ = store
    with pytest.raises(InputError, match="--geom goes with one file of all frames"):
        export_images(data, "x_{frame}_{panel}.cbf", Selection(Format.CBF, (0,), (0,), 1.0, beside=Beside("x.geom")))
    with pytest.raises(InputError, match=r"x\.cxi is named for two outputs"):
        export_images(data, "x.cxi", Selection(Format.CXI, (0,), (0, 1), beside=Beside("x.cxi")))
    assert [one.name for one in Path().iterdir()] == ["x.zarr"]
