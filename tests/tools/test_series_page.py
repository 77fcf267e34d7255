"""A page of several frames: what it holds is what the store holds, and it works in a real browser."""

import json
import shutil

import numpy as np
import pytest
from htmlpages import driven, element_of, numbers_of
from panels import PANELS, ROWS, cut, plane

import tilesim as api
from tilesim.geometry.resolution import d_spacings
from tilesim.model import Detector, Region, Series
from tilesim.pictures.view import View, coarser
from tilesim.store import levels
from tilesim.tools import contactsheet, page
from tilesim.tools.embedding import BLOCKS, LEAST_EDGE, PROJECTIONS, Embedding
from tilesim.tools.look import Subject, reduced
from tilesim.tools.projections import Projections
from tilesim.tools.pyramid import build_pyramid

FRAMES, GAP = 5, 2
LOST, HURT = 3, 1


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A series on panels with a gap, of which a frame is missing and another lacks a tile."""
    one = cut(plane())
    panels = [
        panel.replace(origin=tuple(np.array(panel.origin) + GAP * (n > 1) * panel.pixel_size * np.array(panel.slow)))
        for n, panel in enumerate(one.detector.panels)
    ]
    one = one.replace(detector=Detector(panels))
    fluence = one.beam.fluence * np.array([1.0, 2.0, 0.5, 3.0, 1.5])
    path = tmp_path_factory.mktemp("series") / "s.zarr"
    series = Series(one, fluence=fluence, wavelength=one.beam.wavelength * np.linspace(1, 1.1, FRAMES))
    api.run(series, store=path, tile=(ROWS, 16))
    shutil.rmtree(path / "0" / "intensity" / "c" / str(LOST))
    (path / "0" / "intensity" / "c" / str(HURT) / "0" / "0" / "0").unlink()
    root = json.loads((path / "zarr.json").read_text())
    root["attributes"]["tilesim"]["status"] = "incomplete"
    (path / "zarr.json").write_text(json.dumps(root))
    return path


@pytest.fixture(scope="module")
def made(store):
    out = store.parent / "s.html"
    assert api.preview(store, out) == ()
    return out


@pytest.fixture(scope="module")
def pixels(store):
    """(frame, slow, fast), assembled."""
    raw = api.open(store).xarray().intensity.values
    rows = raw.reshape(FRAMES, PANELS * ROWS, -1)
    gap = np.full((FRAMES, GAP, rows.shape[2]), np.nan, rows.dtype)
    return np.concatenate([rows[:, : 2 * ROWS], gap, rows[:, 2 * ROWS :]], axis=1)


def near(found, wanted):
    """Whether numbers are those of a store as far as a page keeps them, and missing where they are."""
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3 * np.nanmedian(wanted))


def test_frames_and_projections_are_those_of_the_store(made, pixels):
    listed = element_of(made, "data")["pictures"]
    assert [(one["kind"], one["number"]) for one in listed] == [
        *(("frame", n) for n in range(FRAMES)),
        ("maximum", 0),
        ("sum", 0),
    ]
    assert [one["state"] for one in listed[:FRAMES]] == ["", "incomplete", "", "missing", ""]
    for number, wanted in enumerate(pixels):
        found = numbers_of(element_of(made, f"picture-{number}"))
        if number == LOST:
            assert np.isnan(found).all()
        else:
            near(found, wanted)
    rest = np.delete(pixels, LOST, axis=0).astype(np.float64)
    near(numbers_of(element_of(made, f"picture-{FRAMES}")), np.fmax.reduce(rest))
    nowhere = np.isnan(rest).all(axis=0)
    near(numbers_of(element_of(made, f"picture-{FRAMES + 1}")), np.where(nowhere, np.nan, np.nansum(rest, axis=0)))
    assert listed[FRAMES]["label"] == f"maximum of {FRAMES - 1} frames"


def test_columns_are_the_values_of_the_store(made, store):
    data, known = element_of(made, "data"), api.open(store).xarray()
    columns = {one["name"]: one for one in data["columns"]}
    assert {"fluence", "wavelength", "max_I", "mean", "total"} <= columns.keys()
    for name in ("fluence", "wavelength", "max_I"):
        assert columns[name]["values"] == known[name].values.tolist()
    assert columns["wavelength"]["units"] == "angstrom"
    for kept, name in zip(data["spectra"], ("spectrum_wavelength", "spectrum_weight"), strict=True):
        np.testing.assert_allclose(kept, known[name].values, rtol=1e-5)
    # Every frame has rings and resolution of its own; what is made of all has none.
    assert [one["scene"] for one in data["pictures"]] == [*range(FRAMES), FRAMES, FRAMES]
    assert "wavelength" not in data["scenes"][FRAMES]["geometry"] and data["scenes"][FRAMES]["assembled"]


def test_frames_say_that_they_are_blank_and_where_the_spindle_stands(tmp_path, monkeypatch):
    one = cut(plane())
    store, drawn = tmp_path / "r.zarr", []
    api.run(Series(one, blank=[0, 1, 0], scan_start=np.radians([10.0, 10.5, 11.0])), store=store)
    api.preview(store, tmp_path / "r.html")
    frames = [one for one in element_of(tmp_path / "r.html", "data")["pictures"] if one["kind"] == "frame"]
    assert [one["state"] for one in frames] == ["", "blank", ""] and frames[1]["label"] == "frame 1, phi 10.5°"
    monkeypatch.setattr(contactsheet, "_save", lambda *given: drawn.extend(given))
    api.preview(store, tmp_path / "r.png", frame=[0, 1])
    assert drawn[2:4] == [
        ["frame 0, phi 10°", "frame 1, phi 10.5°, blank"],
        f"r.zarr, 2 frames, {PANELS} panels assembled",
    ]


def test_what_is_embedded_has_a_bound():
    assert Embedding.of((512, 512), 1) == Embedding(1, 1, frozenset({0}))
    for shape, frames in (((264, 256), 200), ((2527, 2463), 1000), ((2048, 2048), 12), ((300, 300), 1000)):
        found = Embedding.of(shape, frames)
        blocks = -(-shape[0] // found.times) * -(-shape[1] // found.times)
        assert blocks * (len(found.large) + PROJECTIONS) <= BLOCKS and {0, frames - 1} <= found.large
        assert found.times == 1 or max(shape) // found.times >= LEAST_EDGE
    view = View(np.ones((300, 300)), Region(0, 300, 0, 300))
    assert [[one.factor for one in found.views(n, view)] for n in (0, 2)] == [[2, 4], [4]]
    some = f"{len(found.large)} of 1000 frames, evenly spaced, have 150 x 150 blocks"
    assert found.described(view).startswith(some)


def test_too_many_frames_are_refused(store, monkeypatch):
    monkeypatch.setattr(page, "MOST", 4)
    with pytest.raises(api.InputError, match="a page of 5 frames; expected up to 4"):
        api.preview(store, store.parent / "t.html")
    assert not (store.parent / "t.html").exists()
    api.preview(store, store.parent / "t.html", frame=[1, 4])
    assert [one["number"] for one in element_of(store.parent / "t.html", "data")["pictures"]][:2] == [1, 4]


@pytest.mark.parametrize("reduction", ["maximum", "mean"])
def test_coarser_blocks_are_those_of_pixels(reduction):
    image = np.random.default_rng(1).normal(size=(40, 60))
    image[8:12, 12:20] = np.nan
    view = View(image[5:39, 3:60], Region(5, 39, 3, 60), 1, reduction)
    twice = coarser(coarser(view, 2), 2)
    assert twice.region == Region(4, 39, 0, 60) and twice.factor == 4 and coarser(view, 4).blocks.shape == (9, 15)
    assert np.isnan(twice.blocks[1, 3:5]).all() and np.isfinite(np.delete(twice.blocks, 1, axis=0)).all()
    inner = image[12:16, 20:24]
    assert twice.blocks[2, 5] == pytest.approx(inner.max() if reduction == "maximum" else inner.mean())


def test_sums_are_those_of_means_where_blocks_are_maxima(store, pixels):
    data, total = api.open(store), Projections()
    for frame in (0, 2):
        subject = Subject(data, frame, None)
        total.add(reduced(subject, subject.whole, 2, means=True))
    maximum, sums = (view.blocks for _, view in total.views.values())
    wanted = pixels[[0, 2], :2, :2].astype(float)
    assert maximum[0, 0] == wanted.max() and sums[0, 0] == pytest.approx(wanted.mean(axis=(1, 2)).sum())
    assert np.isnan(sums[5]).all() and np.isfinite(sums[4]).all()


def test_assembled_panels_come_from_the_pyramid(store, pixels, monkeypatch):
    monkeypatch.setattr(levels, "SMALL", 16)
    copy = store.parent / "p.zarr"
    shutil.copytree(store, copy)
    build_pyramid(copy)
    subject = Subject(api.open(copy), 0, None)
    view = reduced(subject, subject.whole, 2)
    assert view.reduced == "mean" and view.blocks.shape == ((PANELS * ROWS + GAP) // 2, 16)
    wanted = [*np.nanmean(pixels[0, :2, :30].reshape(2, 15, 2), axis=(0, 2)), np.nanmean(pixels[0, :2, 30])]
    np.testing.assert_allclose(view.blocks[0], wanted, rtol=1e-6)
    assert np.isnan(view.blocks[5]).all()


def test_the_page_works_in_a_browser(browser, made, store, pixels):
    row = 2 * ROWS + GAP + 1
    with driven(browser, made.parent, f"file://{made}#4.5,{row + 0.5},20,2") as shown:
        first = shown.told(f"now.picture === 'frame 2' && now.ready && now.value && now.thumbnails == {FRAMES}")
        # The middle is row 1 of panel 2, below the gap.
        assert (first["fast"], first["slow"], first["panel"]) == ("4", str(row), "2,4,1")
        assert float(first["value"]) == pytest.approx(pixels[2, row, 4], rel=2e-3)
        experiment = api.open(store).experiment(2)
        panel = experiment.detector.panels[2]
        expected = d_spacings(panel, experiment.beam, np.array(1.5), np.array(4.5)) * 1e10
        assert float(first["resolution"]) == pytest.approx(expected, rel=1e-6)
        for key, frame in (("ArrowRight", 3), ("ArrowLeft", 2), ("End", 4), ("Home", 0)):
            shown.press(key)
            assert shown.told(f"now.frame == {frame}")["frame"] == str(frame)
        for element, frame in (
            ('document.querySelectorAll("#plots .point")[1]', 1),
            ('document.querySelectorAll("#strip button")[3]', 3),
        ):
            shown.click(element)
            shown.told(f"now.frame == {frame}")
        assert shown.evaluate('$("frame").textContent') == "frame 3 (4 of 5) · missing"
        shown.click('$("play")')
        shown.told("now.frame == 0")
        shown.click('$("play")')
        shown.evaluate('$("pictures").value = "sum"; $("pictures").dispatchEvent(new Event("change"))')
        told = shown.told(f"now.picture === 'sum of {FRAMES - 1} frames' && now.ready && now.value")
        assert float(told["value"]) == pytest.approx(np.nansum(pixels[:, row, 4].astype(float)), rel=2e-3)
        assert told["panel"] == "2,4,1" and "resolution" not in told
        assert shown.evaluate("[1.336e10, 28470, 1.234e-5, 0].map(short).join()") == "1.336e10,28470,1.234e-5,0"
        shown.evaluate('$("has-table").open = true')
        assert shown.told(f"document.querySelectorAll('tbody tr').length === {FRAMES}")
        assert shown.errors == []
