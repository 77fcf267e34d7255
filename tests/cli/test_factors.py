"""Structure factors of MTZ, CIF and models on the command line, from file to image."""

import json
import os

import models
import numpy as np
import pytest

import tilesim as api
from tilesim.errors import InputError

SCENE = "-lambda 0.9795 -distance 60 -detpixels 32 -pixel 2 -N 3 -misset 10 20 30 -floatfile f.bin".split()
CELL = "-cell 20 24 28 90 90 90".split()


@pytest.fixture
def data(folder):
    """The same amplitudes as MTZ, CIF and text, and a model."""
    hkl = models.unique("P 21 21 21", 2.5)
    values = np.random.default_rng(5).uniform(5, 100, len(hkl)).astype(np.float32).astype(float)
    models.write_mtz(folder / "f.mtz", hkl, {"FP": ("F", values), "FC": ("F", values / 2), "PHIC": ("P", values)})
    models.write_sf_cif(folder / "f.cif", hkl, {"F_meas_au": values})
    table = api.from_nanobragg([*SCENE, "-hkl", str(folder / "f.mtz")]).factors
    rows = np.argwhere(table.grid)
    lines = (
        f"{h} {k} {m} {f!r}\n"
        for (h, k, m), f in zip((rows + table.minimum).tolist(), table.grid[tuple(rows.T)].tolist(), strict=True)
    )
    (folder / "f.hkl").write_text("".join(lines))
    models.write_pdb(folder / "m.pdb")
    return folder


def image(folder):
    return (folder / "f.bin").read_bytes()


def test_mtz_cif_and_text_make_the_same_image(tilesim, data):
    images = {}
    for words in (["f.hkl", *CELL], ["f.mtz"], ["f.cif"], ["f.mtz", *CELL]):
        assert tilesim("run", *SCENE, "-hkl", *words).status == 0
        images[tuple(words)] = image(data)
    assert len(set(images.values())) == 1 and np.frombuffer(image(data), "<f4").max() > 0
    assert tilesim("run", *SCENE, "-hkl", "f.mtz", "--column", "FC").status == 0
    whole, half = (np.frombuffer(x, "<f4") for x in (images["f.mtz",], image(data)))
    np.testing.assert_allclose(half, whole / 4, rtol=1e-5)


def test_a_model_becomes_an_image_in_one_command(tilesim, data):
    done = tilesim("run", *SCENE, "--model", "m.pdb", "--dmin", "2", "--zarr", "z.zarr")
    assert done.status == 0
    assert "reading m.pdb: model to 2 A, k_sol 0.35, B_sol 46, f' and f'' at 0.9795 A (Se" in done.out
    assert "structure factors on the detector" in done.out
    pixels = np.frombuffer(image(data), "<f4")
    assert np.isfinite(pixels).all() and pixels.max() > 0
    first = image(data)
    assert tilesim("run", *SCENE, "--model", "m.pdb", "--dmin=2", "--k-sol", "0").status == 0
    assert image(data) != first
    assert "--model" in tilesim("info", "z.zarr").out


def test_a_model_is_computed_as_far_as_the_detector_sees(tilesim, data):
    done = tilesim("run", *SCENE, "--model", "m.pdb")
    assert "; 0 of " in done.out and "100.0 % are listed" in done.out
    assert "model to 3.5 A" in tilesim("run", *SCENE, "--model", "m.pdb", "-dmin", "3.5").out


def test_python_and_batch_take_the_same_words(tilesim, data):
    tilesim("run", *SCENE, "--model", "m.pdb", "--dmin", "2.2", "--k-sol", "0.3")
    experiment = api.from_nanobragg([*SCENE, "--model", "m.pdb", "--dmin", 2.2, "--k-sol", 0.3])
    np.testing.assert_array_equal(api.simulate_now(experiment).ravel(), np.frombuffer(image(data), "<f4"))
    flags = " ".join(SCENE[:-2])
    (data / "b.toml").write_text(
        f'flags = "{flags}"\nfloatfile = "b{{frame}}.bin"\n'
        '[[experiment]]\nmodel = "m.pdb"\nmodel_dmin = 2.2\nk_sol = 0.3\n'
        '[[experiment]]\nhkl = "f.mtz"\ncolumn = "FC"\n'
        '[[experiment]]\nflags = "-hkl f.mtz --column FP"\n'
    )
    done = tilesim("batch", "b.toml")
    assert done.status == 0, done.err
    assert (data / "b0.bin").read_bytes() == image(data)
    one, other = (np.fromfile(data / f"b{k}.bin", "<f4") for k in (1, 2))
    np.testing.assert_allclose(one, other / 4, rtol=1e-5)


def test_completeness_is_said_of_mtz_always_and_of_text_on_request(tilesim, data):
    assert "structure factors on the detector" in tilesim("run", *SCENE, "-hkl", "f.mtz").out
    plain = tilesim("run", *SCENE, *CELL, "-hkl", "f.hkl", "--json", "plain.json")
    assert "structure factors on the detector" not in plain.out
    asked = tilesim("run", *SCENE, *CELL, "-hkl", "f.hkl", "--completeness")
    assert "structure factors on the detector" in asked.out
    assert json.loads((data / "plain.json").read_text())["completeness"] == []
    planned = tilesim("plan", *SCENE, *CELL, "-hkl", "f.hkl", "--completeness", "--json", "plan.json")
    first, *_, last = json.loads((data / "plan.json").read_text())["completeness"]
    assert first["d_max"] is None and first["listed"] > 0 and 1e-10 < last["d_min"] < 2e-10
    assert planned.status == 0 and "structure factors on the detector" in planned.out


def test_a_cell_that_is_not_the_files_is_warned_of(tilesim, data):
    warning = "WARNING: the unit cell is 20.5 24 28 90 90 90 but f.mtz has 20 24 28 90 90 90"
    assert warning in tilesim("run", *SCENE, "-hkl", "f.mtz", "-cell", "20.5", "24", "28").err.splitlines()
    assert "WARNING" not in tilesim("run", *SCENE, "-hkl", "f.mtz", "-cell", "20.1", "24", "28").err


def test_fdump_of_an_mtz_file_is_its_table(tilesim, data):
    assert tilesim("run", *SCENE, "-hkl", "f.mtz", "--write-fdump").status == 0
    first = image(data)
    assert tilesim("run", *SCENE, *CELL).note == ["K13"]
    assert image(data) == first


@pytest.mark.parametrize(
    "words, complaint",
    [
        ("-hkl f.mtz --column F", "f.mtz has no column 'F'; expected --column with one of FP (F), FC (F), PHIC (P)"),
        ("-hkl f.hkl --column FP -cell 20 24 28", "f.hkl is neither MTZ nor CIF"),
        ("-hkl f.hkl", "no unit cell"),
        ("-hkl f.mtz --model m.pdb", "-hkl and --model exclude each other"),
        ("--model m.pdb --column FP", "--column goes with -hkl"),
        ("--column FP -default_F 1 -cell 20", "--column goes with -hkl"),
        ("-hkl f.mtz --dmin 2", "--dmin goes with --model"),
        ("--model m.pdb --dmin -2", "--dmin expects a number of 0.1 or more"),
        ("--model m.pdb --dmin 0", "--dmin expects a number of 0.1 or more"),
        ("--model m.pdb --k-sol x", "--k-sol expects a number of 0 or more"),
        ("--model none.pdb", "none.pdb"),
        ("--model f.mtz", "f.mtz"),
        ("-hkl f.mtz --strict-c", "f.mtz is an MTZ file; expected lines of h k l F with --strict-c"),
        ("-hkl f.cif --strict-c", "f.cif is a CIF; expected lines of h k l F with --strict-c"),
        ("--model m.pdb --strict-c", "--model is tilesim's own; expected no --strict-c with it"),
    ],
)
def test_what_does_not_go_together_is_one_line(tilesim, data, words, complaint):
    before = sorted(os.listdir(data))
    done = tilesim("run", *SCENE, *words.split())
    assert done.status == 2 and complaint in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert sorted(os.listdir(data)) == before


def test_a_batch_refuses_lists_for_a_model(tilesim, data):
    (data / "b.toml").write_text('flags = "-lambda 1"\nmodel = ["m.pdb"]\nzarr = "z"\n')
    done = tilesim("batch", "b.toml")
    assert done.status == 2 and "model is ['m.pdb']; expected one text or number" in done.err


def test_anomalous_signal_reaches_the_table(data):
    experiment = api.from_nanobragg([*SCENE, "--model", "m.pdb", "--dmin", "2"])
    grid = experiment.factors.grid
    assert np.abs(grid - grid[::-1, ::-1, ::-1]).max() > 5


def test_without_gemmi_the_way_to_get_it_is_said(data, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "gemmi", None)
    with pytest.raises(InputError, match=r"reading MTZ files needs gemmi .*pip install 'tilesim\[formats\]'"):
        api.from_nanobragg([*SCENE, "-hkl", "f.mtz"])


def test_a_pipe_is_read_once_as_text(tilesim, data):
    import threading

    tilesim("run", *SCENE, *CELL, "-hkl", "f.hkl")
    first, text = image(data), (data / "f.hkl").read_bytes()
    os.mkfifo(data / "pipe")
    feed = threading.Thread(target=(data / "pipe").write_bytes, args=(text,))
    feed.start()
    assert tilesim("run", *SCENE, *CELL, "-hkl", "pipe").status == 0
    feed.join()
    assert image(data) == first
