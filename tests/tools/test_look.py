"""Looking at one panel of several: in a store, in a stacked file, and in the picture of the whole."""

import json

import numpy as np
import pytest
import zarr
from distribution import work
from panels import PANELS, ROWS, cut, plane

import tilesim as api
from tilesim.engine.work import compute_here
from tilesim.errors import InputError
from tilesim.geometry.resolution import d_spacings
from tilesim.images.opening import open_dataset
from tilesim.model import Detector, Region
from tilesim.pictures.rings import stacked_rings
from tilesim.store import levels
from tilesim.store.describe import describe_store
from tilesim.store.store import Store
from tilesim.tools import preview
from tilesim.tools.look import Subject, look, reduced
from tilesim.tools.pyramid import build_pyramid


def test_levels_of_a_store_of_panels(tmp_path, monkeypatch):
    monkeypatch.setattr(levels, "SMALL", 16)
    one = work(tmp_path / "a.zarr", cut(plane()), tile=(2, 9))
    for _ in compute_here([one]):
        pass
    image = zarr.open_array(tmp_path / "a.zarr" / "0" / "intensity", mode="r")[...]
    assert image.shape == (1, PANELS, ROWS, 31)
    # A store that nobody finished is no obstacle.
    assert [level.shape for level in build_pyramid(tmp_path / "a.zarr").levels] == [(3, 16)]
    assert describe_store(Store.open(tmp_path / "a.zarr"))["levels"] == [[3, 16]]
    datasets = json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())["attributes"]["ome"]["multiscales"][0]
    scale = datasets["datasets"][1]["coordinateTransformations"][0]["scale"]
    assert len(scale) == 4 and scale[:2] == [1, 1]
    for panel in range(PANELS):
        subject = Subject(open_dataset(tmp_path / "a.zarr"), 0, panel)
        view = look(subject, subject.whole, 1000)
        np.testing.assert_array_equal(view.blocks, image[0, panel])
        coarse = reduced(subject, subject.whole, 2)
        assert coarse.reduced == "mean"
        np.testing.assert_allclose(coarse.blocks[0, 0], image[0, panel, :2, :2].astype(float).mean(), rtol=1e-6)
        np.testing.assert_allclose(coarse.blocks[2, 15], image[0, panel, 4, 30], rtol=1e-6)


def test_rings_of_stacked_panels_are_at_their_spacings():
    experiment = cut(plane())
    panels, beam = experiment.detector.panels, experiment.beam
    rings = stacked_rings(panels, beam)
    assert rings
    for ring in rings:
        for line in ring.lines:
            fast, slow = line.T
            number = min(int(slow.mean() // ROWS), PANELS - 1)
            found = d_spacings(panels[number], beam, slow - number * ROWS, fast) * 1e10
            np.testing.assert_allclose(found, ring.spacing, rtol=0.02)


def test_a_region_is_widened_to_whole_blocks_within_the_image():
    from tilesim.tools.look import widened

    assert widened(Region(3, 9, 30, 31), 4, (20, 31)) == Region(0, 12, 28, 31)


def test_panels_are_assembled_and_stacked_on_request(tmp_path, monkeypatch):
    experiment = cut(plane())
    panels = list(experiment.detector.panels)
    # A gap of two rows in the middle.
    for n in (2, 3):
        step = 2 * panels[n].pixel_size * np.array(panels[n].slow)
        panels[n] = panels[n].replace(origin=tuple(np.array(panels[n].origin) + step))
    experiment = experiment.replace(detector=Detector(panels))
    api.run(experiment, store=tmp_path / "a.zarr")
    data = api.open(tmp_path / "a.zarr")
    pixels = data.image(0).compute()
    drawn = []
    monkeypatch.setattr(preview, "save_picture", lambda path, drawing: drawn.append(drawing))
    assert api.preview(data, tmp_path / "a.png", profile=True, histogram=True) == ()
    assert api.preview(data, tmp_path / "a.png", stack=True) == ()
    assert api.preview(data, tmp_path / "a.png", panel=1) == ()
    whole, stack, one = drawn
    assert whole.view.blocks.shape == (PANELS * ROWS + 2, 31) and whole.title.endswith("4 panels assembled")
    there = np.isfinite(whole.view.blocks)
    assert not there[10:12].any() and there.sum() == pixels.size
    np.testing.assert_array_equal(whole.view.blocks[there], pixels.ravel())
    _, counts = whole.curves.histogram
    assert counts.sum() + whole.curves.dark == pixels.size
    assert np.nanmax(whole.curves.profile[1]) <= pixels.max() and whole.rings
    np.testing.assert_array_equal(stack.view.blocks, pixels.reshape(PANELS * ROWS, 31))
    np.testing.assert_array_equal(one.view.blocks, pixels[1])
    for choice in ("profile", "spots"):
        with pytest.raises(InputError, match="expected no --stack"):
            api.preview(data, tmp_path / "a.png", stack=True, **{choice: True})
    api.preview(data, tmp_path / "a.html")
    assert '"reduced"' in (tmp_path / "a.html").read_text()
