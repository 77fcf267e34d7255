"""The page for a browser: all in one file, the right numbers in it, and it works in a real browser."""

import io
import re

import numpy as np
import pytest
from htmlpages import driven, element_of, numbers_of
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from spotty import make_experiment, spots

from tilesim.geometry.resolution import beam_centre, d_spacings
from tilesim.model.sampling import Region
from tilesim.pictures.coding import Coding, coded
from tilesim.pictures.curves import measure
from tilesim.pictures.grey import grey_of
from tilesim.pictures.labels import Label
from tilesim.pictures.page import Page, Picture, Scene, save_page
from tilesim.pictures.rings import rings_on
from tilesim.pictures.view import View, block_maxima

SHAPE = (700, 1100)


def make_page(path, image=None, title="A & <b>", **panel):
    image = spots(SHAPE) if image is None else image
    experiment = make_experiment(image.shape, **panel)
    view = View(image.astype(float), Region(0, image.shape[0], 0, image.shape[1]))
    half = View(block_maxima([(0, view.blocks)], image.shape, 2), view.region, 2)
    geometry = (experiment.detector.panels[0], experiment.beam)
    rings, centre = rings_on(*geometry, view.region), beam_centre(*geometry)
    picture = Picture("", coded([view, half]), labels=[Label((1, -2, 3), 350.5, 600.5, 9.0)])
    curves = measure([(0, 0, view.blocks)], view.region, geometry=geometry, histogram=True)
    scene = Scene(view.region, rings, centre, geometry=geometry)
    save_page(path, Page(title, [picture], [scene], {"frame": grey_of(view.blocks)}, curves=curves))
    return image, geometry


def test_the_page_holds_all_pixels(tmp_path):
    image, _ = make_page(tmp_path / "p.html")
    data = element_of(tmp_path / "p.html", "picture-0")
    found = numbers_of(data, 0)
    assert found.shape == SHAPE and [len(row) for row in data["levels"][0]["tiles"]] == [3, 3]
    np.testing.assert_allclose(found, image, rtol=1e-3, atol=1e-3 * np.median(image))
    coarse = numbers_of(data, 1)
    np.testing.assert_allclose(coarse, block_maxima([(0, image)], SHAPE, 2), rtol=1e-3, atol=1e-3 * np.median(image))


def test_counts_are_exact_and_gaps_are_gaps(tmp_path):
    image = np.random.default_rng(0).poisson(9, (40, 50)).astype(float)
    image[3, 4:7] = np.nan
    make_page(tmp_path / "p.html", image)
    np.testing.assert_array_equal(numbers_of(element_of(tmp_path / "p.html", "picture-0"), 0), image)


def test_the_page_needs_nothing_else(tmp_path):
    make_page(tmp_path / "p.html", title="</script><script src=http://x>")
    page = (tmp_path / "p.html").read_text()
    assert not re.search(r"https?://(?!x&gt;)", page) and "<script src" not in page and not re.search("@[A-Z]+@", page)
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert page.count("<script") == page.count("</script>") == 3
    assert [p.name for p in tmp_path.iterdir()] == ["p.html"]


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=1, max_size=30),
)
@example([0.0, 4.4e13, 8.7e13, 1.6e9])
def test_any_number_is_coded_in_order_and_near(values):
    blocks = np.array([values], float)
    coding = Coding.of(blocks)
    codes = coding.encode(blocks)
    decoded = coding.decode(codes)
    finite = np.isfinite(blocks)
    assert (np.isnan(decoded) == np.isnan(blocks)).all()
    if finite.any():
        low, high = blocks[finite].min(), blocks[finite].max()
        close = np.abs(decoded[finite] - blocks[finite]) <= 2e-3 * (np.abs(blocks[finite] - low)) + 1e-9 * (high - low)
        assert close.all()
        order = np.argsort(blocks[finite], kind="stable")
        assert (np.diff(codes[finite][order].astype(int)) >= 0).all()


@pytest.mark.parametrize("curved, asked, zoom", [(None, "8", "8"), (0.1, "1e9", "200")], ids=["flat", "curved"])
def test_place_resolution_and_value_under_the_pointer_are_right(browser, tmp_path, curved, asked, zoom):
    image, (panel, beam) = make_page(tmp_path / "p.html", curved_radius=curved)
    # A place in another tile than the first, on a spot.
    with driven(browser, tmp_path, f"file://{tmp_path}/p.html#950.5,650.5,{asked}") as shown:
        told = shown.told("now.ready && now.value")
        assert shown.evaluate("document.title") == "A & <b>" and shown.errors == []
    assert (told["x"], told["y"], told["zoom"], told["level"]) == ("950.5", "650.5", zoom, "1")
    assert (told["fast"], told["slow"]) == ("950", "650")
    assert float(told["value"]) == pytest.approx(image[650, 950], rel=1e-3)
    expected = d_spacings(panel, beam, np.array(650.5), np.array(950.5)) * 1e10
    assert float(told["resolution"]) == pytest.approx(expected, rel=1e-9)


NARROWED = """new Promise(done => {
  const pane = canvas.parentElement, pixels = () => [canvas.width, canvas.height].map(n => n / devicePixelRatio);
  new ResizeObserver(() => { if (pane.style.width) done(pixels()); }).observe(canvas);
  setTimeout(() => Object.assign(pane.style, { flex: "none", width: "300px", height: "200px" }), 50);
})"""
"""Pixels of the canvas in the very frame of the screen in which its pane is 300 x 200."""


def test_the_whole_image_is_shown_at_first(browser, tmp_path):
    make_page(tmp_path / "p.html")
    with driven(browser, tmp_path, f"file://{tmp_path}/p.html") as shown:
        told = shown.told("now.ready")
        drawn = np.asarray(Image.open(io.BytesIO(shown.screenshot())).convert("L"))
        assert shown.evaluate(NARROWED) == [300, 200]
    assert (told["x"], told["y"]) == ("550", "350")
    assert 0.5 < float(told["zoom"]) < 900 / 1100 + 0.01
    assert (told["rings"], told["spots"]) == ("true", "true")
    # Spots every 50 pixels are dark on light.
    assert np.median(drawn) > 150 and 100 < (drawn < 90).sum() < drawn.size / 10
