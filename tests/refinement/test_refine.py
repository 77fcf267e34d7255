"""`tilesim.refine`: starts that are off come back to the truth, alone and side by side, wherever it is computed."""

import os
import signal
from functools import partial

import dask
import numpy as np
import pytest
from stills import READOUT, deviations, noisy, start, still

import tilesim
from tilesim import Bounded, Free, InputError, StoreError
from tilesim.gradients.changed import with_values
from tilesim.kernels import library

pytestmark = pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")
VARIED = ("rotation", "cell", "distance", "scale")


@pytest.fixture(scope="module")
def data():
    return noisy(still())


def test_twenty_starts_of_twenty_come_back_within_their_standard_errors(data):
    found = [tilesim.refine(start(still(), 0.3, seed), data, VARIED, readout=READOUT) for seed in range(20)]
    assert all(one.converged for one in found)
    away = np.array([list(deviations(one.frames[0], still()).values()) for one in found])
    assert away.shape == (20, 6) and np.abs(away).max() < 4.0
    # They all find one minimum.
    assert np.ptp(away, axis=0).max() < 0.1
    chi = found[0].frames[0].chi_squared / found[0].frames[0].pixels
    assert chi == pytest.approx(1.0, abs=0.05)
    history = found[0].history
    assert [step.width for step in history][-1] == 1 and history[-1].deviance < history[0].deviance


def test_standard_errors_are_those_of_repeated_measurements():
    pulls = []
    for seed in range(12):
        found = tilesim.refine(still(), noisy(still(), seed), VARIED, readout=READOUT)
        pulls.append(list(deviations(found.frames[0], still()).values()))
    assert np.std(pulls) == pytest.approx(1.0, abs=0.35)
    assert abs(np.mean(pulls)) < 0.6


def test_the_image_itself_is_a_minimum_and_nothing_moves():
    image = tilesim.simulate_now(still())
    found = tilesim.refine(still(), image, "rotation", widths=[1])
    assert found.converged and image.max() > 1000
    assert max(abs(value) for value in found.frames[0].values.values()) < 1e-7


def test_size_and_mosaic_spread_are_found():
    spread = still().crystal.replace(mosaic_spread=tilesim.MosaicSpread(0.004, domains=8))
    truth = still().replace(crystal=spread)
    data = noisy(truth)
    off = with_values(truth, {"crystal.cells": (5.5, 6.6, 6.3), "crystal.mosaic_spread.sigma": 0.003})
    [frame] = tilesim.refine(off, data, ["N", "eta", "scale"], readout=READOUT).frames
    assert frame.converged
    for n, name in enumerate("abc"):
        one = f"crystal.cells.{name}"
        assert abs(frame.values[one] - 6.0) < 4.0 * frame.errors[one] < 1.0, n
    sigma = "crystal.mosaic_spread.sigma"
    assert abs(frame.values[sigma] - 0.004) < 4.0 * frame.errors[sigma] < 0.004


def test_frames_share_what_is_common_to_them():
    truths = [with_values(still(), {"crystal.rotation": (0.1 * n, 0.0, 0.0)}) for n in range(3)]
    offs = [start(one, 0.2, n, cell=0.0, distance=0.0) for n, one in enumerate(truths)]
    offs = [with_values(one, {"detector.distance": 2e-4}) for one in offs]
    images = [noisy(one, seed) for seed, one in enumerate(truths)]
    alone = tilesim.refine(offs, images, ["rotation", "distance"], readout=READOUT)
    together = tilesim.refine(offs, images, ["rotation", "distance"], shared=["distance"], readout=READOUT)
    assert alone.converged and together.converged
    distances = {frame.values["detector.distance"] for frame in together.frames}
    assert len(distances) == 1 and len({frame.values["detector.distance"] for frame in alone.frames}) == 3
    name = "detector.distance"
    weights = np.array([frame.errors[name] ** -2 for frame in alone.frames])
    mean = weights @ [frame.values[name] for frame in alone.frames] / weights.sum()
    error = together.frames[0].errors[name]
    assert error == pytest.approx(weights.sum() ** -0.5, rel=0.02) and error < min(weights**-0.5)
    assert distances.pop() == pytest.approx(mean, abs=0.1 * error)
    for frame, truth in zip(together.frames, truths, strict=True):
        assert max(map(abs, deviations(frame, truth).values())) < 4.0


def test_what_is_shared_begins_at_one_value_and_stays_one():
    offs = [
        with_values(still(), {"crystal.cell": (a, a, c, *[np.pi / 2] * 3)})
        for a, c in ((772e-11, 381e-11), (768e-11, 378e-11))
    ]
    images = [noisy(still(), seed) for seed in (1, 2)]
    frames = tilesim.refine(offs, images, VARIED, shared="cell", readout=READOUT).frames
    assert len({frame.values["crystal.cell.a"] for frame in frames}) == 1
    for frame in frames:
        assert max(map(abs, deviations(frame, still()).values())) < 4.0
    offs[1] = with_values(still(), {"crystal.cell": (77e-10, 77.1e-10, 38e-10, *[np.pi / 2] * 3)})
    with pytest.raises(InputError, match=r"frame 1 and frame 0 differ in what is free \(crystal.cell.b\)"):
        tilesim.refine(offs, images, VARIED, shared=["distance"], readout=READOUT)
    together = tilesim.refine(offs, images, VARIED, shared=["cell"], readout=READOUT).frames[0]
    assert "crystal.cell.b" in together.errors and max(map(abs, deviations(together, still()).values())) < 4.0


def test_outliers_pull_no_harder_than_they_may(data):
    spoilt = data.copy()
    rng = np.random.default_rng(4)
    spoilt[rng.integers(0, 112, 60), rng.integers(0, 112, 60)] += 400.0
    plain = tilesim.refine(still(), spoilt, VARIED, readout=READOUT).frames[0]
    robust = tilesim.refine(still(), spoilt, VARIED, readout=READOUT, robust=4.0).frames[0]
    away = [np.abs(list(deviations(one, still()).values())).max() for one in (plain, robust)]
    assert away[1] < 4.0 < away[0]
    assert 40 < robust.outliers < 80 and plain.outliers == 0


def test_bounds_and_priors_hold(data):
    off = start(still(), 0.0, 3, cell=0.003, distance=0.0)
    narrow = {"cell": Bounded(0.999, 1.001)}
    bound = tilesim.refine(off, data, narrow, readout=READOUT, widths=[1]).frames[0]
    lengths = np.array(bound.experiment.crystal.cell[:3]) / off.crystal.cell[:3]
    assert np.abs(lengths - 1.0).max() < 0.001 + 1e-12 and np.abs(lengths - 1.0).max() > 0.0009
    known = tilesim.refine(off, data, {"cell": Free(prior=1e-6)}, readout=READOUT).frames[0]
    lengths = np.array(known.experiment.crystal.cell[:3]) / off.crystal.cell[:3]
    assert np.abs(lengths - 1.0).max() < 1e-4


def test_a_number_at_its_bound_is_held_and_named(data):
    off = start(still(), 0.0, 3, cell=0.003, distance=0.0)
    found = tilesim.refine(off, data, {"cell": Bounded(0.999, 1.001), "scale": None}, readout=READOUT, widths=[1])
    held = [one for one in found.frames[0].numbers if one.bound]
    assert found.converged and {one.name for one in held} == {"crystal.cell.a", "crystal.cell.c"}
    assert [one.error for one in held] == [0.0, 0.0] and not found.undetermined
    assert "crystal.cell.a stands at its bound" in found.warnings[0]
    # Bounds that hold the minimum do not matter.
    free = tilesim.refine(start(still(), 0.2, 3), data, VARIED, readout=READOUT).frames[0]
    wide = {"cell": Bounded(0.99, 1.01), "rotation": None, "distance": None, "scale": None}
    within = tilesim.refine(start(still(), 0.2, 3), data, wide, readout=READOUT)
    assert within.converged
    for name, value in free.values.items():
        assert abs(within.frames[0].values[name] - value) < 0.05 * free.errors[name], name


@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_a_scale_that_is_far_off_is_found(data, factor):
    off = still().replace(beam=still().beam.replace(fluence=factor * still().beam.fluence))
    found = tilesim.refine(off, data, ["rotation", "scale"], readout=READOUT, widths=[1])
    frame = found.frames[0]
    assert found.converged and frame.errors["beam.fluence"] < 0.02 * still().beam.fluence
    assert abs(frame.values["beam.fluence"] - still().beam.fluence) < 4.0 * frame.errors["beam.fluence"]


def test_an_image_without_reflections_is_warned_of():
    found = tilesim.refine(still(), np.zeros((112, 112)), ["rotation", "scale"], readout=READOUT)
    assert [line for line in found.warnings if "no reflections of this crystal are seen" in line]


def test_masked_pixels_of_an_array_do_not_count(data):
    masked = np.ma.masked_array(np.where(data > 500, 0.0, data), data > 500)
    frame = tilesim.refine(still(), masked, VARIED, readout=READOUT, widths=[1]).frames[0]
    assert frame.pixels < 112 * 112 - masked.mask.sum() + 1 and masked.mask.sum() > 5
    assert max(map(abs, deviations(frame, still()).values())) < 4.0
    whole, nested = (
        tilesim.refine(still(), one, VARIED, widths=[1]).frames[0] for one in (data.clip(0), data.clip(0).tolist())
    )
    assert nested.values == whole.values


def test_a_spread_of_zero_is_refused(data):
    flat = still().crystal.replace(mosaic_spread=tilesim.MosaicSpread(0.0, domains=8))
    with pytest.raises(InputError, match="begins at 0, where no image changes with it"):
        tilesim.refine(still().replace(crystal=flat), data, "eta")


def test_what_the_image_does_not_determine_is_named(data):
    found = tilesim.refine(still(), data, ["scale", "crystal.share"], readout=READOUT, widths=[1])
    assert set(found.undetermined) == {"beam.fluence", "crystal.share"}


def test_pixels_without_a_value_and_outside_of_shoeboxes_do_not_count(data):
    part = data.copy()
    part[:40] = np.nan
    found = tilesim.refine(start(still(), 0.1, 1), part, VARIED, readout=READOUT)
    assert found.converged and 72 * 112 - 20 < found.frames[0].pixels < 72 * 112  # 0 0 0 does not count, either
    boxes = tilesim.refine(start(still(), 0.1, 1), data, VARIED, readout=READOUT, shoebox=1).frames[0]
    assert 500 < boxes.pixels < 0.8 * data.size
    assert max(map(abs, deviations(boxes, still()).values())) < 4.5


def test_a_background_is_expected_beside_the_experiment(data):
    image = np.full(data.shape, 20.0) + np.linspace(0.0, 30.0, data.shape[1])
    counts = np.random.default_rng(8).poisson(tilesim.simulate_now(still()) + image).astype(float)
    found = tilesim.refine(start(still(), 0.2, 4), counts, VARIED, background=image)
    frame = found.frames[0]
    assert found.converged and max(map(abs, deviations(frame, still()).values())) < 4.0
    assert frame.chi_squared / frame.pixels == pytest.approx(1.0, abs=0.05)
    without = tilesim.refine(still(), counts, "rotation", widths=[1]).frames[0]
    assert without.chi_squared > 10.0 * frame.chi_squared
    constant = tilesim.refine(still(), counts, "rotation", background=35.0, widths=[1]).frames[0]
    assert frame.chi_squared < constant.chi_squared < without.chi_squared


def test_panels_move_in_groups():
    whole = still().detector.panels[0]
    right = whole.replace(origin=np.add(whole.origin, (112 * 4.6e-4, 0.0, 0.0)))
    truth = still().replace(detector=tilesim.Detector([whole, right]))
    data = noisy(truth)
    off = with_values(truth, {"detector[1].translation": (1e-4, -1e-4, 0.0)})
    found = tilesim.refine(off, data, "detector.translation", groups=[[0], [1]], readout=READOUT).frames[0]
    names = [f"detector[{panel}].translation.{axis}" for panel in (0, 1) for axis in "xyz"]
    assert list(found.values) == names and found.converged
    expected = [0.0, 0.0, 0.0, -1e-4, 1e-4, 0.0]
    for name, value in zip(names, expected, strict=True):
        assert abs(found.values[name] - value) < 4.0 * found.errors[name], name


def test_an_interrupted_refinement_goes_on_with_the_same_result(data, tmp_path):
    arguments, how = (start(still(), 0.2, 5), data, VARIED), {"readout": READOUT, "widths": [2, 1]}
    whole = tilesim.refine(*arguments, **how)
    state, seen = tmp_path / "state", []

    class Interrupted(Exception):
        pass

    def stop(*args):
        seen.append(args)
        if len(seen) == 5:
            raise Interrupted

    with pytest.MonkeyPatch.context() as patch:
        from tilesim.refinement import state as module

        write = module.write_state
        patch.setattr(module, "write_state", lambda *args: (write(*args), stop(*args)))
        with pytest.raises(Interrupted):
            tilesim.refine(*arguments, **how, state=state)
    resumed = tilesim.refine(*arguments, **how, state=state)
    assert resumed.frames[0].experiment == whole.frames[0].experiment
    assert resumed.history == whole.history and len(whole.history) > 7
    for image, vary in (data, "rotation"), (data + 1.0, VARIED):
        with pytest.raises(StoreError, match="is of another refinement"):
            tilesim.refine(arguments[0], image, vary, **how, state=state)


def test_workers_give_the_bytes_of_threads_though_one_dies(data, connected):
    from tilesim.engine.dispatch import run_on_workers
    from tilesim.refinement.measured import measured_arrays
    from tilesim.refinement.refining import refining

    off = start(still(), 0.2, 6)
    with dask.config.set(scheduler="synchronous"):
        here = tilesim.refine(off, data, VARIED, readout=READOUT)
    plan = refining([off], measured_arrays(data, data.shape, 1), VARIED, readout=READOUT)
    cluster, passes = connected(2), []
    pids = sorted(cluster.client.run(os.getpid).values())

    def watch(progress):
        passes.append(progress)
        if len(passes) == 3:
            os.kill(pids[0], signal.SIGKILL)

    there = plan.run(partial(run_on_workers, cluster), watch)
    assert there.frames[0].experiment == here.frames[0].experiment
    assert there.history == here.history


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"vary": "colour"}, "parameter colour is not known"),
        ({"vary": ["cell", "crystal.cell"]}, "listed twice"),
        ({"vary": "cell", "lattice": "cubic"}, "lattice cubic: the cell 77 77 38 Å 90 90 90°"),
        ({"vary": "cell", "lattice": "square"}, "lattice 'square'; expected one of cubic"),
        ({"vary": {"cell": Bounded(1.1, 1.2)}}, "parameter crystal.cell.a begins at"),
        ({"vary": "cell", "shared": ["distance"]}, "shared parameter distance is not varied"),
        ({"vary": "cell", "widths": [2.0]}, "widths 2; expected falling numbers, the last of them 1"),
        ({"vary": "cell", "readout": -1.0}, "readout is -1"),
        ({"vary": "cell", "data": np.zeros((3, 4))}, r"data has the shape \(3, 4\)"),
        ({"vary": "cell", "data": np.full((112, 112), -50.0)}, "pixels down to -50 photons"),
        ({"vary": "cell", "data": np.full((112, 112), np.nan)}, "no pixel with a value"),
        ({"vary": "cell", "data": np.full((112, 112), np.inf)}, "data is infinite in tile frame 0 panel 0"),
        ({"vary": "cell", "background": -1.0}, "background is -1"),
        ({"vary": "cell", "background": np.zeros((3, 3))}, "background has the shape"),
        ({"vary": "distance", "groups": [[0], [0]]}, "panel 0 is in two groups"),
        ({"vary": "cell", "experiment": 3}, "experiment is 3; expected an Experiment"),
        ({"vary": "distance", "groups": [[]]}, "a group has no panels"),
        ({"vary": "cell", "groups": [[0]]}, "nothing of the detector is varied"),
        ({"vary": "cell", "data": np.zeros((112, 112), complex)}, "data is an array of complex128"),
        ({"vary": "cell", "data": [[1.0], [1.0, 2.0]]}, "data has rows of different lengths"),
        ({"vary": "distance", "groups": [[7]]}, "the experiment has 1 panels"),
    ],
)
def test_bad_arguments_are_one_line(data, arguments, said):
    given = {"data": data, **arguments}
    with pytest.raises(InputError, match=said) as error:
        tilesim.refine(given.pop("experiment", still()), given.pop("data"), given.pop("vary"), **given)
    assert "\n" not in str(error.value)
