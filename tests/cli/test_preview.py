"""`tilesim preview`: what it draws of stores and files, and that the picture shows the right pixels."""

import json
import shutil

import numpy as np
import pytest
import zarr
from commands import BASE
from distribution import QUIET
from htmlpages import element_of

from tilesim.geometry.prediction import predicted
from tilesim.images.opening import open_dataset
from tilesim.model.sampling import Region
from tilesim.pictures import picture
from tilesim.store import levels
from tilesim.tools import preview
from tilesim.tools.look import Subject, look, reduced

RUN = ("run", *BASE, "-detpixels", "40", "-pixel", "0.3", "-floatfile", "f.bin", "--zarr", "z.zarr", "--tile", "9")
GEOMETRY = ("--", *"-detpixels 40 -distance 100 -pixel 0.3 -lambda 1.5".split())


@pytest.fixture
def drawings(monkeypatch):
    """What was drawn, besides its being saved."""
    seen = []
    save = picture.save_picture

    def watch(path, drawing):
        seen.append(drawing)
        save(path, drawing)

    monkeypatch.setattr(preview, "save_picture", watch)
    return seen


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The path of a copy of what the first test simulates."""
    return tmp_path_factory.mktemp("kept") / "folder"


@pytest.fixture
def image(tilesim, folder, kept):
    if kept.exists():
        shutil.copytree(kept, folder, dirs_exist_ok=True)
    else:
        tilesim(*RUN, "--quiet")
        shutil.copytree(folder, kept)
    return np.fromfile(folder / "f.bin", "<f4").reshape(40, 40)


def pixels_of(path):
    from matplotlib.image import imread

    return imread(path)[..., :3]


def test_a_store_is_drawn_with_rings_and_beam_centre(tilesim, image, drawings):
    result = tilesim("preview", "z.zarr", "p.png")
    assert (result.status, result.out, result.err) == (0, "wrote p.png\n", "")
    [drawn] = drawings
    np.testing.assert_array_equal(drawn.view.blocks, image)
    assert drawn.rings and drawn.centre == pytest.approx((20, 20), abs=1)
    assert drawn.enlarged == 25 and "1.5 Å, 100 mm" in drawn.title


def test_every_block_is_a_square_of_one_grey(tilesim, image):
    assert tilesim("preview", "z.zarr", "p.png", "--no-rings", "--region", "3:9", "25:33", "--zoom", "20").status == 0
    pixels = pixels_of("p.png")[picture.TOP : picture.TOP + 120, picture.LEFT : picture.LEFT + 160]
    inner = pixels[4:116, 4:156]  # off the frame
    for row in range(6):
        for column in range(8):
            block = inner[max(row * 20 - 4, 0) : row * 20 + 16, max(column * 20 - 4, 0) : column * 20 + 16]
            assert (block == block[0, 0]).all()
    part = image[3:9, 25:33]
    dark, light = np.unravel_index([part.argmax(), part.argmin()], part.shape)
    assert pixels[dark[0] * 20 + 10, light[0] * 20 + 10].max() < 0.2 or part.max() == part.min()


def test_rows_go_down_and_columns_to_the_right(tilesim, image, drawings):
    assert tilesim("preview", "f.bin", "p.png", "--region", "10:", ":12").status == 0
    [drawn] = drawings
    np.testing.assert_array_equal(drawn.view.blocks, image[10:, :12])
    assert drawn.view.region == Region(10, 40, 0, 12)
    assert not drawn.rings and drawn.centre is None


def test_a_small_zoom_shows_maxima_and_with_a_pyramid_means(tilesim, image, drawings, monkeypatch):
    monkeypatch.setattr(levels, "SMALL", 8)
    blocks = image.reshape(10, 4, 10, 4).astype(np.float64)
    assert tilesim("preview", "z.zarr", "p.png", "--zoom", "0.25").status == 0
    np.testing.assert_array_equal(drawings[-1].view.blocks, blocks.max(axis=(1, 3)))
    assert drawings[-1].view.described == "maximum of 4 x 4 pixels"
    assert tilesim("pyramid", "z.zarr").out == "z.zarr: got 3 coarser levels, 20 x 20, 10 x 10, 5 x 5 (slow, fast)\n"
    assert tilesim("preview", "z.zarr", "p.png", "--zoom", "0.25").status == 0
    np.testing.assert_allclose(drawings[-1].view.blocks, blocks.mean(axis=(1, 3)), rtol=1e-6)
    assert drawings[-1].view.described == "mean of 4 x 4 pixels"
    assert "coarser levels" in tilesim("info", "z.zarr").out


def test_a_page_has_levels_down_to_one_screen(tilesim, image, folder, monkeypatch):
    from tilesim.pictures import coding
    from tilesim.tools import embedding

    monkeypatch.setattr(coding, "TILE", 8)
    monkeypatch.setattr(embedding, "TILE", 8)
    assert tilesim("preview", "z.zarr", "p.html", "--spots", "3", "--histogram").out.endswith("wrote p.html\n")
    levels = element_of(folder / "p.html", "picture-0")["levels"]
    assert [level["factor"] for level in levels] == [1, 2, 4]
    assert [len(level["tiles"]) for level in levels] == [5, 3, 2]
    data = element_of(folder / "p.html", "data")
    [picture], [scene] = data["pictures"], data["scenes"]
    assert scene["region"] == [0, 40, 0, 40] and len(picture["spots"]) == 3 and scene["rings"]
    assert scene["geometry"]["wavelength"] == pytest.approx(1.5e-10)


def test_the_coarsest_level_that_is_enough_is_read(tilesim, image, monkeypatch):
    monkeypatch.setattr(levels, "SMALL", 8)
    tilesim("pyramid", "z.zarr")
    subject = Subject(open_dataset("z.zarr"))
    assert [look(subject, subject.whole, blocks).factor for blocks in (80, 40, 20, 10, 5, 1)] == [1, 1, 2, 4, 8, 8]
    # A region is widened to whole blocks.
    view = reduced(subject, Region(5, 6, 7, 21), 4)
    assert view.region == Region(4, 8, 4, 24) and view.blocks.shape == (1, 5)
    means = image.reshape(10, 4, 10, 4).astype(np.float64).mean(axis=(1, 3))
    np.testing.assert_allclose(view.blocks, means[1:2, 1:6], rtol=1e-6)


def test_predicted_spots_lie_on_the_simulated_ones(tilesim, folder, drawings):
    flags = "-mat A.mat -default_F 100 -N 30 -lambda 1.5 -distance 100 -pixel 0.1 -detpixels 300 -oversample 1"
    flags += " -phi 20 -osc 3 -phisteps 31 -nointerpolate"
    tilesim("run", *flags.split(), "-floatfile", "f.bin", "--zarr", "z.zarr", "--quiet")
    said = tilesim("preview", "z.zarr", "p.png", "--spots", "12", "--rings")
    [drawn] = drawings
    view = drawn.view.region
    assert said.status == 0 and view == Region(0, 300, 0, 300)
    experiment = open_dataset("z.zarr").experiment(0)
    count = len(predicted(experiment, experiment.detector.panels[0]).hkl)
    assert said.out == f"{count} reflections predicted in view, 12 of them labelled\nwrote p.png\n" and count > 12
    assert len(drawn.labels) == 12
    image = np.fromfile(folder / "f.bin", "<f4").reshape(300, 300)
    level = np.median(image)
    for label in drawn.labels:
        row, column = int(label.slow), int(label.fast)
        around = image[max(row - 8, 0) : row + 9, max(column - 8, 0) : column + 9]
        assert around.max() > 100 * level
        peak = np.array(np.unravel_index(around.argmax(), around.shape)) + 0.5
        place = (label.slow - max(row - 8, 0), label.fast - max(column - 8, 0))
        assert np.hypot(*(peak - place)) < 3
    values = [label.value for label in drawn.labels]
    assert values == sorted(values, reverse=True)
    # The same image as a file, with the geometry from flags.
    assert tilesim("preview", "f.bin", "p.png", "--spots", "12", "--", *flags.split()).status == 0
    assert [label.hkl for label in drawings[-1].labels] == [label.hkl for label in drawn.labels]


def test_profile_and_histogram_count_all_pixels(tilesim, image, drawings):
    assert tilesim("preview", "z.zarr", "p.png", "--profile", "--histogram", "--zoom", "0.5").status == 0
    curves = drawings[-1].curves
    edges, counts = curves.histogram
    assert counts.sum() + curves.dark == image.size
    middle = len(counts) // 2
    assert counts[middle] == ((image >= edges[middle]) & (image < edges[middle + 1])).sum()
    stars, means = curves.profile
    assert np.all(np.diff(stars) > 0) and np.nanmax(means) <= image.max()
    height = pixels_of("p.png").shape[0]
    assert tilesim("preview", "z.zarr", "q.png", "--zoom", "0.5").status == 0
    assert height - pixels_of("q.png").shape[0] == 2 * (picture.CURVE_HEIGHT + picture.CURVE_GAP)


@pytest.mark.parametrize("scale", ["log", "linear", "sqrt", "auto"])
def test_limits_of_grey_are_those_that_were_asked_for(tilesim, image, drawings, scale):
    low, high = float(np.percentile(image[image > 0], 30)), float(np.percentile(image, 90))
    words = ("--scale", scale, "--min", low, "--max", high, "--no-rings")
    assert tilesim("preview", "z.zarr", "p.png", *words).status == 0
    assert (drawings[-1].grey.low, drawings[-1].grey.high) == pytest.approx((low, high))
    norm = drawings[-1].grey.norm()
    assert (float(norm(low)), float(norm(high))) == pytest.approx((0, 1))
    assert tilesim("preview", "z.zarr", "p.png", "--scale", scale).status == 0


def test_frames_of_a_series_have_their_own_spots(tilesim, drawings):
    words = ("-detpixels", "40", "-pixel", "0.3", "-osc", "1", "--frames", "2", "--frame-osc", "40", "--quiet")
    assert tilesim("run", *BASE, *words, "--zarr", "z.zarr").status == 0
    for frame in (0, 1):
        assert tilesim("preview", "z.zarr", "p.png", "--frame", frame, "--spots", "5").status == 0
    first, second = drawings
    assert not np.array_equal(first.view.blocks, second.view.blocks)
    assert {x.hkl for x in first.labels} != {x.hkl for x in second.labels}
    assert second.title.endswith("frame 1")
    assert tilesim("preview", "z.zarr", "p.png", "--frame", 2).status == 2


REFUSED = {
    "another ending": (("z.zarr", "p.jpg"), "ends in .png or .html"),
    "no such input": (("y.zarr", "p.png"), "y.zarr"),
    "no such folder": (("z.zarr", "no/p.png"), "no folder"),
    "region outside": (("z.zarr", "p.png", "--region", "0:41", ":"), "0 <= A < B <= 40"),
    "region empty": (("z.zarr", "p.png", "--region", "5:5", ":"), "0 <= A < B <= 40"),
    "region of words": (("z.zarr", "p.png", "--region", "a:b", ":"), "expected A:B"),
    "zoom and size": (("z.zarr", "p.png", "--zoom", "1", "--size", "20"), "expected one of them"),
    "zoom nan": (("z.zarr", "p.png", "--zoom", "nan"), "finite"),
    "zoom zero": (("z.zarr", "p.png", "--zoom", "0"), "0.0001 to 1000"),
    "zoom huge": (("z.zarr", "p.png", "--zoom", "999"), "smaller --zoom"),
    "limits swapped": (("z.zarr", "p.png", "--min", "5", "--max", "4"), "below the maximum"),
    "log of zero": (("z.zarr", "p.png", "--scale", "log", "--min", "0"), "above 0"),
    "no geometry": (("f.bin", "p.png", "--rings"), "--rings needs the geometry: f.bin"),
    "no geometry for spots": (("f.bin", "p.png", "--spots", "5"), "--spots needs the geometry"),
    "no crystal": (("f.bin", "p.png", "--spots", "5", *GEOMETRY), "--spots needs a crystal"),
    "another shape": (("z.zarr", "p.png", "--", *"-detpixels 41 -distance 100 -pixel 1".split()), "contradict it"),
    "no panel": (("z.zarr", "p.png", "--panel", "1"), "panel"),
    "bad flag": (("f.bin", "p.png", "--", "-distance", "x"), "-distance"),
    "text file": (("A.mat", "p.png"), "A.mat"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_one_line(tilesim, image, made, name):
    words, reason = REFUSED[name]
    result = tilesim("preview", *words)
    assert result.status == 2 and reason in result.err
    assert len(result.err.splitlines()) == 1 and "p.png" not in made()


def test_rings_of_a_file_need_no_crystal(tilesim, image, drawings):
    assert tilesim("preview", "f.bin", "p.png", "--rings", *GEOMETRY).status == 0
    assert drawings[-1].rings


def harm_level(path):
    plain = json.loads((path / "1" / "intensity" / "zarr.json").read_text())
    plain["shape"] = [1, 10**6, 10**6]
    (path / "1" / "intensity" / "zarr.json").write_text(json.dumps(plain))


def cut_chunk(path):
    chunk = path / "1" / "intensity" / "c" / "0" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-7])


def swap_level(path):
    shutil.rmtree(path / "1" / "intensity")
    shutil.copytree(path / "2" / "intensity", path / "1" / "intensity")


def cut_metadata(path):
    (path / "1" / "intensity" / "zarr.json").write_text("{")


def test_a_hostile_level_is_told_in_one_line(tilesim, folder, image, monkeypatch):
    monkeypatch.setattr(levels, "SMALL", 8)
    tilesim("pyramid", "z.zarr")
    for harm in (harm_level, cut_chunk, swap_level, cut_metadata):
        store = f"{harm.__name__}.zarr"
        shutil.copytree("z.zarr", store)
        harm(folder / store)
        result = tilesim("preview", store, "p.png", "--zoom", "0.5")
        assert result.status == 2 and "1/intensity" in result.err and "pyramid --overwrite" in result.err, store
        assert tilesim("preview", store, "p.png", "--region", "5:9", ":7").status == 0
        assert tilesim("pyramid", store, "--overwrite").status == 0
        assert tilesim("preview", store, "p.png", "--zoom", "0.5").status == 0


def test_a_damaged_tile_is_told_in_one_line(tilesim, folder, image):
    chunk = folder / "z.zarr" / "0" / "intensity" / "c" / "0" / "1" / "1"
    chunk.write_bytes(chunk.read_bytes()[:-7])
    result = tilesim("preview", "z.zarr", "p.png")
    assert result.status == 2 and "damaged" in result.err and len(result.err.splitlines()) == 1


def test_missing_tiles_are_drawn_as_missing(tilesim, folder, image, drawings):
    (folder / "z.zarr" / "0" / "intensity" / "c" / "0" / "1" / "1").unlink()
    assert tilesim("preview", "z.zarr", "p.png").status == 0
    assert np.isnan(drawings[-1].view.blocks).sum() == 81
    zarr.open_group(folder / "z.zarr", mode="r")


@pytest.mark.filterwarnings(*QUIET)
def test_workers_make_the_same_pyramid(tilesim, image, folder, monkeypatch):
    pytest.importorskip("distributed")
    tilesim("run", *BASE, "-detpixels", "1100", "-pixel", "0.02", "--zarr", "w.zarr", "--quiet")
    (folder / "w.zarr/0/intensity/c/0/0/1").unlink()
    shutil.copytree("w.zarr", "h.zarr")
    there, here = tilesim("pyramid", "w.zarr", "--workers", "2"), tilesim("pyramid", "h.zarr")
    assert there.status == here.status == 0 and "1 tiles are missing" in there.err and "1 tiles are missing" in here.err
    here, there = (
        {path.relative_to(folder / name): path.read_bytes() for path in (folder / name).rglob("c/*/*/*")}
        for name in ("h.zarr", "w.zarr")
    )
    assert here == there and len([path for path in here if path.parts[0] != "0"]) > 2


def test_several_frames_are_drawn_one_by_one_or_on_a_sheet(tilesim, folder, drawings):
    words = ("-detpixels", "40", "-pixel", "0.3", "-osc", "1", "--frames", "3", "--frame-osc", "40", "--quiet")
    assert tilesim("run", *BASE, *words, "--zarr", "z.zarr").status == 0
    done = tilesim("preview", "z.zarr", "p_{frame:02d}.png", "--frame", "1:3")
    assert done.out == "wrote p_01.png\nwrote p_02.png\n" and len(drawings) == 2
    np.testing.assert_array_equal(drawings[1].view.blocks, open_dataset("z.zarr").image(2).compute())
    assert tilesim("preview", "z.zarr", "q_{frame}.png").out.count("wrote") == 3
    assert tilesim("preview", "z.zarr", "s.png", "--frame", ":").out == "wrote s.png: 3 frames\n"
    assert tilesim("preview", "z.zarr", "s.html").out == "wrote s.html: 3 frames\n"
    assert tilesim("preview", "z.zarr", "one.html", "--frame", "2").out == "wrote one.html\n"
    numbers = [one["number"] for one in element_of(folder / "s.html", "data")["pictures"] if one["kind"] == "frame"]
    assert numbers == [0, 1, 2] and len(element_of(folder / "one.html", "data")["pictures"]) == 1
    assert "not for a page of several" in tilesim("preview", "z.zarr", "t.html", "--profile").err
    pixels = pixels_of("s.png")
    assert pixels.std() > 0.05 and pixels.shape[1] > 2 * 200
    for words in (("t.html", "--histogram"), ("t.html", "--frame", "0:9"), ("t.png", "--frame", "x")):
        result = tilesim("preview", "z.zarr", *words)
        assert result.status == 2 and len(result.err.splitlines()) == 1 and not (folder / words[0]).exists()
