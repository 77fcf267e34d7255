"""The preview: a PNG from bands, whatever is in the image, with rings where the geometry has them."""

import numpy as np
import pytest
from spotty import make_experiment, spots

from tilesim.errors import StoreError
from tilesim.geometry.resolution import beam_centre, d_spacings
from tilesim.model.sampling import Region, Sampling
from tilesim.model.scan import Scan
from tilesim.pictures.curves import measure
from tilesim.pictures.grey import grey_limits, grey_of, tick_text
from tilesim.pictures.picture import Drawing, border_of, default_title, draw, draw_preview
from tilesim.pictures.rings import label_places, rings_on, round_spacings
from tilesim.pictures.view import View, block_maxima


def bands(image, rows=37):
    return ((start, image[start : start + rows]) for start in range(0, len(image), rows))


def pixels_of(path):
    from matplotlib.image import imread

    return imread(path)[..., :3]


IMAGES = {
    "spots": spots((300, 400)),
    "dark": np.zeros((40, 60), np.float32),
    "constant": np.full((40, 60), 3.0, np.float32),
    "nan": np.full((40, 60), np.nan, np.float32),
    "negative": -spots((300, 400)),
    "infinite": np.where(spots((300, 400)) > 500, np.inf, 1).astype(np.float32),
    "huge": np.where(spots((300, 400)) > 500, 3e38, 0).astype(np.float32),
    "tiny": spots((300, 400)) * np.float32(1e-30),
    "nearly constant": np.where(spots((300, 400)) > 500, 1000.001, 1000).astype(np.float32),
    "column": spots((500, 1)),
    "row": spots((1, 500)),
    "pixel": np.ones((1, 1), np.float32),
    "reduced": spots((2100, 30)),
}


@pytest.mark.parametrize("name", IMAGES)
def test_every_image_can_be_drawn(tmp_path, name):
    image = IMAGES[name]
    path = tmp_path / "out.png"
    draw_preview(path, bands(image), make_experiment(image.shape), title=name)
    assert pixels_of(path).std() > 0.01
    assert [p.name for p in tmp_path.iterdir()] == ["out.png"]


def test_spots_are_dark_on_light(tmp_path):
    drawn = {}
    for name in ("spots", "dark"):
        path = tmp_path / f"{name}.png"
        draw_preview(path, bands(IMAGES[name]), make_experiment(IMAGES[name].shape))
        drawn[name] = pixels_of(path)
    assert np.median(drawn["spots"]) > 0.5
    assert np.median(drawn["dark"]) == 1


def test_missing_bands_show_as_missing(tmp_path):
    image = IMAGES["spots"]
    path = tmp_path / "out.png"
    draw_preview(path, list(bands(image, 100))[:2], make_experiment(image.shape))
    red, _, blue = np.moveaxis(pixels_of(path), -1, 0)
    assert ((red - blue) > 0.1).mean() > 0.1


def test_failures_are_store_errors_and_leave_nothing(tmp_path):
    image = IMAGES["dark"]
    with pytest.raises(StoreError, match="no folder"):
        draw_preview(tmp_path / "missing" / "out.png", bands(image), make_experiment(image.shape))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rows", [1, 7, 1000, 5000])
def test_block_maxima_do_not_depend_on_the_bands(rows):
    image = np.random.default_rng(0).normal(size=(2503, 5)).astype(np.float32)
    image[7] = np.nan
    image[:6, :3] = np.nan
    blocks = block_maxima(bands(image, rows), image.shape, 3)
    expected = [np.nanmax(image[s : s + 3, f : f + 3], initial=-np.inf) for s in range(0, 2503, 3) for f in (0, 3)]
    expected = np.where(np.isinf(expected), np.nan, expected)
    np.testing.assert_array_equal(blocks.ravel(), np.array(expected, np.float32))


def test_the_direct_beam_does_not_set_the_scale():
    image = spots((300, 400))
    image[150, 200] = 1e9
    low, high, width = grey_limits(image)
    assert low < 20 and 50 < high < 1000 and width < 30


def test_rings_are_round_and_on_the_detector():
    rings = round_spacings(1.52, np.inf)
    assert {1.6, 1.8, 2.0, 2.5, 3.0, 5.0} <= set(rings)
    assert rings == sorted(rings)
    apart = -np.diff(1 / np.array(rings))
    assert apart.min() >= 1 / 1.52 / 12
    assert round_spacings(20, 900)[0] == 25
    assert round_spacings(2.0, 2.0) == []


def test_rounder_rings_come_first():
    # 1.8 would leave no room for 2.
    assert 2.0 in round_spacings(1.45, np.inf) and 1.8 not in round_spacings(1.45, np.inf)
    assert 5.0 in round_spacings(2.9, 20)


def drawn(experiment, image=None):
    """The figure's axes and colour bar."""
    image = np.zeros(experiment.shape, np.float32) if image is None else image
    shape, panel, beam = experiment.shape, experiment.detector.panels[0], experiment.beam
    factor = max(1, round(max(shape) / 1000))
    view = View(block_maxima(bands(image), shape, factor), Region(0, shape[0], 0, shape[1]), factor)
    title, border = default_title(panel, beam, experiment.scan), border_of(experiment.region, shape)
    rings, centre = rings_on(panel, beam, view.region), beam_centre(panel, beam)
    enlarged = max(1, 1000 // max(view.blocks.shape))
    return draw(Drawing(view, grey_of(view.blocks), title, rings, centre, border=border, enlarged=enlarged)).axes


@pytest.mark.parametrize("shape", [(300, 400), (900, 120), (200, 1500), (40, 40)])
@pytest.mark.parametrize("origin", [None, (0.1, 0.05, 0.02), (0.02, 0.03, -0.001)])
def test_every_ring_on_the_image_is_labelled_within_it(shape, origin):
    experiment = make_experiment(shape, origin)
    axes, _ = drawn(experiment)
    panel = experiment.detector.panels[0]
    for text in axes.texts:
        fast, slow = text.get_position()
        assert 0 <= fast <= shape[1] and 0 <= slow <= shape[0]
        box, room = text.get_window_extent(), axes.get_window_extent()
        assert room.x0 <= box.x0 and box.x1 <= room.x1 and room.y0 - 3 <= box.y0 and box.y1 <= room.y1 + 3
        there = d_spacings(panel, experiment.beam, np.array([slow]), np.array([fast]))[0] * 1e10
        assert float(text.get_text().removesuffix(" Å")) == pytest.approx(there, rel=0.05)
    shown = rings_on(panel, experiment.beam, Region(0, shape[0], 0, shape[1]))
    assert len(axes.texts) == sum(ring.label is not None for ring in shown)
    # Only a ring that lies within the cross has none.
    centre = beam_centre(panel, experiment.beam) or (np.inf, np.inf)
    for ring in shown:
        if ring.label is None and ring.lines:
            assert np.hypot(*(np.concatenate(ring.lines) - centre[::-1]).T).max() < 0.025 * max(shape)


def test_labels_keep_off_the_border_and_each_other_where_they_can():
    turns = np.linspace(0, 2 * np.pi, 200)
    ring = 50 + 45 * np.column_stack([np.cos(turns), np.sin(turns)])
    (first, second) = label_places([ring, ring], (100, 100))
    assert np.hypot(*np.subtract(first, second)) >= 5
    assert min(*first, *second) >= 5
    assert label_places([np.empty((0, 2)), np.array([[0.0, 0.0]])], (10, 10)) == [None, (0.0, 0.0)]


def legend_of(figure):
    """What the bar says, beside it or below the image."""
    return "".join([figure.axes[1].get_ylabel(), *(one.get_text() for one in figure.texts)])


def title_of(experiment):
    return default_title(experiment.detector.panels[0], experiment.beam, experiment.scan)


def test_the_title_says_how_the_image_was_made():
    experiment = make_experiment((30, 40))
    assert title_of(experiment) == "1 Å, 100 mm, still"
    turning = experiment.replace(scan=Scan(step=np.radians(0.25), steps=4))
    assert title_of(turning) == "1 Å, 100 mm, oscillation 1°"
    # 45 degrees off: the beam meets the plane further out than the nearest point.
    assert title_of(make_experiment((30, 40), direction=(0.5**0.5, 0.5**0.5, 0.0))) == "1 Å, 141.42 mm, still"
    assert title_of(make_experiment((30, 40), direction=(0.0, 1.0, 0.0))) == "1 Å, still"
    assert drawn(turning)[0].get_title(loc="left") == "1 Å, 100 mm, oscillation 1°"


@pytest.mark.parametrize(
    "roi, drawn_as", [((5, 25, 10, 20), (10, 5, 10, 20)), ((0, 30, 0, 40), None), ((9, 9, 0, 5), None)]
)
def test_the_border_of_the_region_is_drawn(roi, drawn_as):
    experiment = make_experiment((30, 40)).replace(sampling=Sampling(roi=Region(*roi)))
    found = [(*p.get_xy(), p.get_width(), p.get_height()) for p in drawn(experiment)[0].patches]
    assert found == ([drawn_as] if drawn_as else [])


def test_the_bar_says_that_its_scale_is_not_linear():
    assert "log-like" in legend_of(drawn(make_experiment((30, 40)))[1].figure)
    assert "maximum of 2 x 2 pixels" in legend_of(drawn(make_experiment((1600, 40)))[1].figure)


def test_spacings_follow_bragg():
    experiment = make_experiment((200, 200))
    panel, beam = experiment.detector.panels[0], experiment.beam
    assert beam_centre(panel, beam) == pytest.approx((100, 100))
    assert beam_centre(panel, make_experiment((200, 200), direction=(-1.0, 0, 0)).beam) is None
    assert beam_centre(panel, make_experiment((200, 200), direction=(0.0, 1.0, 0)).beam) is None
    found = d_spacings(panel, beam, np.array([100.0, 100.0, 0.0]), np.array([100.0, 200.0, 100.0]))
    two_theta = np.arctan2(10, 100)
    assert found[0] == np.inf
    assert found[1:] == pytest.approx(1e-10 / (2 * np.sin(two_theta / 2)))


def test_a_curved_detector_swaps_y_and_z_as_the_reference_does():
    experiment = make_experiment((200, 200), curved_radius=0.1)
    panel, beam = experiment.detector.panels[0], experiment.beam
    # 10 mm of arc at 100 mm: 0.1 rad.
    found = d_spacings(panel, beam, np.array([100.0, 0.0]), np.array([200.0, 100.0]))
    assert found == pytest.approx(1e-10 / (2 * np.sin(0.05)))


@pytest.mark.parametrize("title", ["$x^{", "\udcff.bin", "a\nb"])
def test_a_title_is_neither_mathematics_nor_need_it_be_characters(tmp_path, title):
    image = IMAGES["constant"]
    draw_preview(tmp_path / "out.png", bands(image), make_experiment(image.shape), title=title)
    assert pixels_of(tmp_path / "out.png").std() > 0.01


def darkness(image, value):
    """How dark a value is on the scale of an image, 0 to 1."""
    return float(grey_of(np.asarray(image, float)).norm()(value))


def test_single_photons_and_strong_spots_are_seen_together():
    counts = np.zeros((500, 500))
    lone = np.random.default_rng(3).integers(0, 500, (2, 200))
    counts[tuple(lone)] = 1
    for row, column in np.random.default_rng(4).integers(5, 495, (20, 2)):
        counts[row - 1 : row + 2, column - 1 : column + 2] = [[3, 20, 3], [20, 238, 20], [3, 20, 3]]
    assert darkness(counts, 0) == 0
    assert 0.2 < darkness(counts, 1) < 0.5 < darkness(counts, 20) < 0.8
    assert darkness(counts, 100) < darkness(counts, 238) <= 1 and grey_of(counts).high == pytest.approx(238)


def test_weak_spots_of_a_noise_free_frame_are_not_black():
    y, x = np.mgrid[:400, :400]
    image = 0.003 * np.exp(-np.hypot(y - 200, x - 200) / 100)
    for strength, (row, column) in zip(
        np.geomspace(0.2, 466, 12), np.random.default_rng(5).integers(9, 390, (12, 2)), strict=True
    ):
        image = image + strength * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 2)
    assert 100 < grey_of(image).high <= image.max()
    assert darkness(image, 0.003) < 0.15 < darkness(image, 0.2) < darkness(image, 20) < 0.9


def test_the_bar_says_its_range_and_nothing_is_cropped():
    image = np.random.default_rng(6).poisson(3, (60, 400)).astype(float)
    image[30, 40] = 987654
    for part, start in ((image, 0), (image, 123_400), (image[:1], 0)):
        region = Region(start, start + len(part), start, start + part.shape[1])
        view = View(part, region)
        curves = measure([(start, start, part)], region, geometry=None, histogram=True)
        figure = draw(Drawing(view, grey_of(part), "title", curves=curves))
        assert f"white to {grey_of(part).low:.0f}, black from" in legend_of(figure)
        assert f"largest {part.max():.0f}" in legend_of(figure)
        box = figure.get_tightbbox()
        assert box.x0 >= 0 and box.y0 >= 0
        assert (box.x1, box.y1) <= tuple(figure.get_size_inches()) and box.y1 <= figure.get_size_inches()[1]


def test_ticks_are_short():
    ticks = {2e9: "2e9", 8e11: "8e11", 3e6: "3000000", 0.5: "0.5", 1.2e-5: "1.2e-5", -4e8: "-4e8", 0.0: "0"}
    assert {value: tick_text(value) for value in ticks} == ticks


@pytest.mark.parametrize("edge", [125, 500])
def test_pictures_of_large_numbers_and_small_ones_can_be_read(edge):
    panel, beam = (experiment := make_experiment((1000, 1000))).detector.panels[0], experiment.beam
    image = np.geomspace(9e3, 2147480000, edge**2).reshape(edge, edge)
    view = View(image, Region(0, 1000, 0, 1000), 1000 // edge)
    rings = rings_on(panel, beam, view.region)
    figure = draw(Drawing(view, grey_of(image, high=2147480000), "0.9768 Å", rings, beam_centre(panel, beam)))
    axes, bar = figure.axes
    figure.canvas.draw()
    assert "largest 2147480000" in legend_of(figure) and bar.get_position().height <= axes.get_position().height
    box = figure.get_tightbbox()
    assert box.x0 >= 0 <= box.y0 and (box.x1, box.y1) <= tuple(figure.get_size_inches())
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text().endswith("Å")]
    assert 1 < len(boxes) <= len(rings)
    assert not any(one.overlaps(other) for n, one in enumerate(boxes) for other in boxes[:n])


@pytest.mark.parametrize("shape", [(300, 400), (40, 40), (1024, 1024)])
def test_no_label_lies_on_the_cross(shape):
    experiment = make_experiment(shape)
    centre = beam_centre(experiment.detector.panels[0], experiment.beam)
    rings = rings_on(experiment.detector.panels[0], experiment.beam, Region(0, shape[0], 0, shape[1]))
    away = [np.hypot(ring.label[1] - centre[0], ring.label[0] - centre[1]) for ring in rings if ring.label]
    assert len(away) > 3 and min(away) >= 0.025 * max(shape)
    around = [np.array([[50.0, 50.0], [51.0, 50.0]])]
    assert label_places(around, (100, 100), [(50.0, 51.0)]) == [None]


def test_a_background_alone_is_in_the_lighter_half():
    y, x = np.mgrid[:300, :300]
    away = np.hypot(y - 150, x - 150) / 150
    water = 700 + 5000 * np.exp(-(((away - 0.6) / 0.15) ** 2)) + 1500 * (away > 0.6)
    counts = np.random.default_rng(2).poisson(9, (300, 300))
    for image in (water, counts):
        assert darkness(image, np.percentile(image, 2)) == 0
        assert 0.05 < darkness(image, np.median(image)) < 0.4
    assert 0.4 < darkness(water, water.max()) < 0.75
