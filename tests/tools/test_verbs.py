"""The verbs of `import tilesim`: what they refuse, and what follows from geometry."""

import subprocess
import sys

import dask.array as da
import numpy as np
import pytest
from experiments import plain
from panels import PANELS, ROWS, cut, plane

import tilesim
from tilesim.geometry.resolution import d_spacings

STILL = tilesim.from_nanobragg("-default_F 100 -cell 50 60 70 90 90 90 -N 5 -detpixels 64 -distance 100")


def test_one_image_goes_into_files_without_a_store(tmp_path):
    outputs = tilesim.Outputs(float_file=str(tmp_path / "a.bin"), int_file=str(tmp_path / "a.img"))
    results = tilesim.run(STILL, files=outputs)
    image = tilesim.simulate_now(STILL)
    np.testing.assert_array_equal(np.fromfile(tmp_path / "a.bin", "<f4").reshape(64, 64), image)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "a.img"]
    assert results.frames[0].summary.max_I == image.max()
    assert tilesim.open(tmp_path / "a.img").experiment(0).beam.wavelength == pytest.approx(1e-10)


def test_an_interrupted_run_is_resumed(tmp_path):
    store = tmp_path / "x.zarr"
    tilesim.run(STILL, store=store, tile=16)
    next((store / "0/intensity/c").rglob("3/3")).unlink()
    again = tilesim.run(STILL, store=store, resume=True)
    assert (again.computed, again.restored) == (1, 15)
    np.testing.assert_array_equal(np.asarray(tilesim.open(store).image(0)), tilesim.simulate_now(STILL))


def test_a_store_of_other_tiles_is_resumed_and_one_of_another_precision_not(tmp_path):
    store = tmp_path / "x.zarr"
    tilesim.run(STILL, store=store, tile=16)
    with pytest.raises(tilesim.errors.StoreError, match=r"tile \[16, 16\] instead of .* expected --resume"):
        tilesim.run(STILL, store=store, tile=32)
    with pytest.raises(tilesim.errors.StoreError, match="precision mixed instead of double; expected --overwrite"):
        tilesim.run(STILL, store=store, precision="double", tile=16)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: tilesim.run(STILL), "expected store=, or files="),
        (lambda: tilesim.run(STILL, store="x.zarr", resume=True, overwrite=True), "exclude each other"),
        (lambda: tilesim.run(STILL, store="x.zarr", compression="zip"), "expected none, lz4 or zstd"),
        (lambda: tilesim.run([STILL, 5], store="x.zarr"), "experiment is 5; expected an Experiment"),
        (lambda: tilesim.run([STILL] * 2, files=tilesim.Outputs(float_file="a.bin")), "one file for 2 frames"),
        (lambda: tilesim.run(STILL, store="x.zarr", workers=1, scheduler="tcp://x"), "exclude each other"),
        (lambda: tilesim.run(STILL, store="x.zarr", workers=0), "workers is 0; expected at least 1"),
        (lambda: tilesim.run(STILL, store="x.zarr", workers="2"), "workers is '2'; expected a whole number"),
        (lambda: tilesim.open("none.zarr"), "none.zarr"),
        (lambda: tilesim.add_noise("none.bin", tilesim.Noise()), "expected store="),
        (lambda: tilesim.add_noise(da.zeros((4, 4)), tilesim.Noise(), store="x.zarr"), "store= goes with a dataset"),
        (lambda: tilesim.preview("none.zarr", "x.png"), "none.zarr"),
        (lambda: tilesim.radial_average(np.zeros((3, 3)), STILL), "expected the same"),
    ],
)
def test_what_cannot_be_done_is_an_error_of_one_line(call, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(tilesim.TilesimError, match=said) as caught:
        call()
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_a_preview_knows_its_choices(tmp_path):
    tilesim.run(STILL, store=tmp_path / "x.zarr")
    with pytest.raises(tilesim.InputError, match="no choice 'rngs'; expected one of region"):
        tilesim.preview(tmp_path / "x.zarr", tmp_path / "x.png", rngs=True)
    assert tilesim.preview(tmp_path / "x.zarr", tmp_path / "x.html", spots=3, histogram=True) == ()
    assert (tmp_path / "x.html").stat().st_size > 10_000


def test_resolution_is_that_of_pixel_centres_on_every_panel():
    experiment = cut(plane())
    spacing = tilesim.resolution(experiment)
    assert spacing.shape == (PANELS, ROWS, 31)
    last = experiment.detector.panels[-1]
    assert spacing[-1, 2, 7] == d_spacings(last, experiment.beam, np.array(2.5), np.array(7.5))
    np.testing.assert_array_equal(tilesim.resolution(experiment, panel=1), spacing[1])


def test_a_radial_average_keeps_the_sum_of_the_image():
    experiment = plain()
    image = tilesim.simulate_now(experiment)
    spacing, mean = tilesim.radial_average(image, experiment, shells=7)
    stars = 1 / tilesim.resolution(experiment)
    counts, _ = np.histogram(stars, np.linspace(0, stars.max(), 8))
    assert np.nansum(mean * counts) == pytest.approx(image.sum(dtype=float), rel=1e-9) and image.sum() > 0
    assert (np.diff(spacing) < 0).all()


def test_a_script_without_a_guard_runs_once_also_where_a_worker_is_replaced(tmp_path):
    (tmp_path / "s.py").write_text(
        "import os, signal, tilesim\n"
        "print('begun', flush=True)\n"
        "still = tilesim.from_nanobragg('-default_F 9 -cell 50 60 70 90 90 90 -N 5 -detpixels 64 -distance 100')\n"
        "from tilesim.engine.access import Access\n"
        "from tilesim.engine.connect import connect\n"
        "with connect(Access(1), 'cpu') as cluster:\n"
        "    cluster.await_workers()\n"
        "    [pid] = cluster.client.run(os.getpid).values()\n"
        "    os.kill(pid, signal.SIGKILL)\n"
        "    there = {}\n"
        "    while pid in there.values() or not there:\n"
        "        there = cluster.client.run(os.getpid, on_error='ignore')\n"
        "print(tilesim.run(still, store='x.zarr', workers=1).missing)\n"
    )
    done = subprocess.run([sys.executable, "s.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["begun", "()"]
