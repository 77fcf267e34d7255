"""Looking at one panel of several: in a store, in a stacked file, and in the picture of the whole."""

import json

import numpy as np
import zarr
from distribution import work
from panels import PANELS, ROWS, cut, plane

from tilesim.engine.work import compute_here
from tilesim.geometry.resolution import d_spacings
from tilesim.images.opening import open_dataset
from tilesim.model import Region
from tilesim.pictures.rings import stacked_rings
from tilesim.store import levels
from tilesim.store.describe import describe_store
from tilesim.store.store import Store
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
