"""Batches of drawn shots: columns of the store, exports of a frame, tables of values, what is said of a wrong one."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from commands import BASE
from models import write_pdb

import tilesim as api
from tilesim.instruments.stream import read_chunks
from tilesim.series.batch import frames_of_batch
from tilesim.series.batchfile import read_batch

PAGE = Path(__file__).parents[2] / "docs" / "batch.md"
SHOTS = f"""
flags = "{" ".join(BASE)}"
zarr = "s.zarr"
shots = 6
[draw]
seed = 3
orientation = "uniform"
N = {{ distribution = "uniform", low = 3, high = 12 }}
energy = {{ distribution = "normal", sd = 50 }}
fluence = {{ distribution = "gamma", sd = 0.4, relative = true }}
beam_centre = {{ distribution = "normal", sd = 1.5 }}
blank = 0.3
"""


@pytest.fixture
def batch(tilesim, folder):
    """`batch(text, ...)` runs a file with that text."""

    def run(text, *words):
        (folder / "b.toml").write_text(text)
        return tilesim("batch", "b.toml", *words)

    return run


def series_of(folder, text):
    (folder / "b.toml").write_text(text)
    groups, _ = frames_of_batch(read_batch(folder / "b.toml"))
    [frames] = groups.values()
    return frames.series


def test_the_shots_of_the_page_have_patterns(batch, tilesim):
    [text] = re.findall(r"^## Shots.*?^```toml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert tilesim("example", ".", "--overwrite").status == 0
    result = batch(text.replace("shots = 100\n", "shots = 2\n"), "--quiet")
    assert (result.status, result.err) == (0, "")
    for image in (np.asarray(api.open("shots.zarr").image(k)).reshape(512, 512) for k in range(2)):
        image[246:268, 246:268] = 0.0  # the direct beam
        assert (image > 1.0).sum() > 50 and image.max() > 10.0


def test_interpolation_that_no_drawn_size_has_chosen_is_told(folder):
    said = []
    text = SHOTS.replace("-N 3 ", "").replace(" -nointerpolate", "")
    (folder / "b.toml").write_text(text)
    frames_of_batch(read_batch(folder / "b.toml"), warn=said.append)
    assert any("interpolation was chosen from -N, not from the sizes that are drawn" in line for line in said)


def test_shots_are_frames_whose_draws_are_coordinates_of_the_store(batch, tilesim, folder):
    result = batch(SHOTS + "[[experiment]]\n[[experiment]]\nshots = 3\n", "--json", "j.json")
    assert result.status == 0 and len(json.loads((folder / "j.json").read_text())["frames"]) == 9
    data = api.open("s.zarr")
    known = {one.name: one.values for one in data.store.coordinates}
    assert {"wavelength", "fluence", "beam_centre", "orientation", "cells", "blank"} <= known.keys()
    blank = known["blank"]
    assert 0 < sum(blank) < 9
    for k in range(9):
        experiment = data.experiment(k)
        assert experiment.beam.fluence == pytest.approx(known["fluence"][k], rel=1e-11)
        assert (experiment.crystal is None) == bool(blank[k]) == (np.asarray(data.image(k)).max() == 0)
    hit = blank.index(0)
    pixels = api.simulate_now(data.experiment(hit), device="cpu", backend="eager")
    assert pixels.max() > 0 and np.allclose(data.image(hit).compute(), pixels, rtol=1e-5)
    # A blank shot has no cell, nor has it another one.
    told = json.loads(tilesim("info", "s.zarr", "--json").out)["varies"]
    hits = [value for value, nothing in zip(known["cells"], blank, strict=True) if not nothing]
    assert told["cells"]["different"] == len(set(hits)) == 9 - sum(blank)
    # A frame belongs to seed and number: in a shorter batch it is the same.
    assert series_of(folder, SHOTS.replace("shots = 6", "shots = 2"))[1] == data.experiment(1)
    assert tilesim("export", "s.zarr", "one.expt", "--frame", hit).status == 0
    beam = json.loads((folder / "one.expt").read_text())["beam"][0]
    assert beam["wavelength"] == pytest.approx(known["wavelength"][hit], rel=1e-9)
    assert batch(SHOTS + "[[experiment]]\n[[experiment]]\nshots = 3\n", "--resume").status == 0


def test_a_store_whose_columns_are_gone_is_one_line(batch, tilesim, folder):
    assert batch(SHOTS).status == 0
    for group in ("experiments/columns", "experiments"):
        (folder / f"s.zarr/{group}/zarr.json").unlink()
        for words in (("info", "s.zarr"), ("info", "s.zarr", "--json"), ("rerun", "s.zarr")):
            done = tilesim(*words)
            assert done.status == 2 and group in done.err and "is gone" in done.err
            assert done.err.count("\n") == 1


def test_lattices_are_in_store_image_and_exports(batch, tilesim, folder):
    draws = 'orientation = "uniform"\nlattices = { distribution = "choice", values = [0, 1, 3] }\nlattice_share = 0.4\n'
    text = SHOTS.split("[draw]")[0] + "[draw]\n" + draws
    assert batch(text, "--truth").status == 0
    data = api.open("s.zarr")
    known = {one.name: one.values for one in data.store.coordinates}
    counts = list(known["lattices"])
    assert set(counts) == {0, 1, 3} and [len(data.experiment(k).crystals) for k in range(6)] == counts
    assert [bool(one) for one in known["blank"]] == [count == 0 for count in counts]
    three = data.experiment(counts.index(3))
    alone = [three.replace(crystal=one.replace(share=1.0), other_crystals=()) for one in three.crystals]
    images = [api.simulate_now(one, device="cpu", backend="eager") for one in alone]
    wanted = images[0] + 0.4 * images[1] + 0.4 * images[2]
    assert min(one.max() for one in images) > 0
    np.testing.assert_allclose(data.image(counts.index(3)).compute(), wanted, rtol=1e-5, atol=1e-5 * wanted.max())
    assert tilesim("export", "s.zarr", "s.cxi", "--stream", "s.stream").status == 0
    assert [len(chunk.crystals) for chunk in read_chunks("s.stream")] == counts
    assert tilesim("export", "s.zarr", "s.expt").status == 0
    assert len(json.loads((folder / "s.expt").read_text())["crystal"]) == sum(counts)
    assert tilesim("truth", "s.zarr", "--labels", "l.csv").status == 0
    labels = np.genfromtxt("l.csv", delimiter=",", names=True)
    assert labels["lattices"].tolist() == counts
    refused = tilesim("truth", "s.zarr", "--reflections", "r.csv")
    assert refused.status == 2 and f"frame {counts.index(3)} has 3 lattices" in refused.err
    assert tilesim("rerun", "s.zarr").status == 0


def test_values_and_orientations_come_from_files(batch, tilesim, folder):
    batch(SHOTS.replace("blank = 0.3", ""))
    data = api.open("s.zarr")
    assert tilesim("export", "s.zarr", "s.expt").status == 0
    (folder / "v.csv").write_text("shot, mm\n" + "".join(f"{k}, {100 + k}\n" for k in range(6)))
    head = SHOTS.split("[draw]")[0]
    text = head + '[draw]\norientation = { expt = "s.expt" }\ndistance = { csv = "v.csv", column = "mm" }\n'
    series = series_of(folder, text)
    for k in range(6):
        np.testing.assert_allclose(series[k].crystal.orientation, data.experiment(k).crystal.orientation, atol=1e-6)
        assert series[k].detector.panels[0].distance == pytest.approx((100 + k) * 1e-3)
    rows = [",".join(map(repr, one.crystal.orientation.ravel().tolist())) for one in series]
    (folder / "u.csv").write_text(",".join(f"u{k}" for k in range(9)) + "\n" + "\n".join(rows) + "\n")
    names = ", ".join(f'"u{k}"' for k in range(9))
    again = series_of(folder, head + f'[draw]\norientation = {{ csv = "u.csv", columns = [{names}] }}\n')
    np.testing.assert_allclose(again[3].crystal.orientation, series[3].crystal.orientation, atol=1e-9)


def test_sub_pixels_that_nanobragg_chooses_follow_what_is_drawn(folder):
    text = SHOTS.replace("-oversample 1", "").replace(
        'distribution = "uniform", low = 3, high = 12', 'distribution = "choice", values = [3, 9, 15, 30]'
    )
    lines = [line for line in text.splitlines() if not line.startswith(("blank", "energy"))]
    series = series_of(folder, "\n".join(lines))
    chosen = [one.sampling.oversample for one in series]
    assert len(set(chosen)) > 2
    for one, number in list(zip(series, chosen, strict=True))[:3]:
        flags = ["-oversample", 0, "-N", one.crystal.cells[0]]
        assert api.from_nanobragg([*BASE, *flags]).sampling.oversample == number


def test_zip_varies_keys_together(folder):
    head = f'flags = "{" ".join(BASE)}"\nzarr = "s.zarr"\n'
    series = series_of(
        folder, head + "[grid]\nN = [3, 4]\n[zip]\nlambda = [1.0, 1.1]\nmisset = [[0, 0, 0], [1, 2, 3]]\n"
    )
    assert [(one.crystal.cells[0], round(one.beam.wavelength * 1e10, 6)) for one in series] == [
        (3, 1.0),
        (3, 1.1),
        (4, 1.0),
        (4, 1.1),
    ]


@pytest.mark.parametrize(
    "change, said",
    [
        (("shots = 6", ""), "has a table [draw] and no shots"),
        (("shots = 6", "shots = 0"), "shots is 0; expected a whole number, at least 1"),
        (("shots = 6", "shots = 6\nframes = 2"), "has frames and shots; expected one of them"),
        (('"uniform"', '"random"'), "draw.orientation is 'random'; expected a number or { distribution"),
        (("sd = 50", "sigma = 50"), "draw.energy: a normal distribution with sigma; expected mean, sd, low, high"),
        (("seed = 3", "colour = 3"), "draw.colour: no such draw; expected seed, orientation"),
        (("blank = 0.3", "blank = 3"), "experiment 1 of 1: draw: share of blank shots is 3; expected 0 to 1"),
        (("blank = 0.3", "distance = { csv = 'v.csv', column = 'm' }"), "v.csv has no column 'm'; its columns are mm"),
        (("blank = 0.3", "distance = { csv = 'v.csv', column = 'mm' }"), "distance: 2 values of 6 shots"),
        (("blank = 0.3", "distance = { csv = 'w.csv', column = 'mm' }"), "w.csv line 3, column mm: expected a number"),
        (
            ("blank = 0.3", "[grid]\ncrystal_size = [2]"),
            "draw.N with crystal_size, whose number of blocks",
        ),
        (("blank = 0.3", "cell = [1, 2]"), "draw.cell is a list of 2; expected a distribution, or a list of 3"),
        (("[draw]", "[zip]\nN = [1, 2]\nlambda = [1]\n[draw]"), "zip has lists of N 2, lambda 1 values"),
    ],
)
def test_a_wrong_table_is_one_line(batch, folder, made, change, said):
    (folder / "v.csv").write_text("mm\n100\n101\n")
    (folder / "w.csv").write_text("mm\n100\nfar\n")
    result = batch(SHOTS.replace(*change))
    assert result.status == 2 and said in result.err and result.err.count("\n") == 1
    assert made() == ["b.toml", "v.csv", "w.csv"]


@pytest.mark.parametrize("draw, warned", [("fluence = 1e20", False), ("energy = 12000", True)])
def test_a_drawn_fluence_is_one_that_is_stated(batch, draw, warned):
    head = f'flags = "{" ".join(BASE)}"\nzarr = "s.zarr"\nshots = 1\ncrystal_size = 2\n[draw]\n{draw}\n'
    assert ("nanoBragg's own fluence" in batch(head, "--dry-run").err) == warned


def test_structure_factors_of_a_model_that_do_not_follow_drawn_energies_are_warned_of(batch, folder):
    write_pdb(folder / "m.pdb")
    words = [word for word in BASE if word not in ("-hkl", "P1.hkl")]
    text = SHOTS.replace(" ".join(BASE), " ".join(words)).replace(
        "shots = 6", 'shots = 2\nmodel = "m.pdb"\nmodel_dmin = 5'
    )
    result = batch(text)
    assert result.status == 0 and "structure factors of m.pdb are those of the flags' photon energy" in result.err
    result = batch(text.replace("[draw]", 'spectrum = "gaussian:bandwidth=0.002"\n[draw]'), "--overwrite")
    assert result.status == 0 and "structure factors of m.pdb" not in result.err
