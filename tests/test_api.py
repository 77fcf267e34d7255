"""What `import tilesim` offers: its names, command lines as text or words, arguments checked at once."""

from pathlib import Path

import numpy as np
import pytest
from experiments import plain
from hypothesis import given
from hypothesis import strategies as st

import tilesim
from tilesim import InputError, PlanError
from tilesim.engine.job import make_job

TINY = "-cell 50 60 70 90 90 90 -default_F 1 -N 1 -nointerpolate -oversample 1 -detpixels 4 -pixel 0.1"
HERE = {"device": "cpu", "backend": "eager"}


def test_dir_lists_the_public_names_and_each_of_them_is_there():
    assert dir(tilesim) == sorted(tilesim.__all__)
    assert all(getattr(tilesim, name) is not None for name in dir(tilesim))
    with pytest.raises(AttributeError, match="no attribute 'Beem'"):
        _ = tilesim.Beem


# --- one experiment, several, images


def test_several_experiments_for_one_are_refused_not_cut_to_the_first():
    still = tilesim.from_nanobragg(TINY)
    series = tilesim.Series(still, scan_start=[0.0, 0.1])
    calls = (
        tilesim.simulate,
        tilesim.simulate_now,
        tilesim.resolution,
        lambda given: tilesim.radial_average(np.ones((4, 4)), given),
        lambda given: tilesim.gradient(given, "crystal.rotation"),
        lambda given: tilesim.normal_equations(given, np.ones((4, 4)), 1.0, "beam.fluence", np.ones((4, 4), bool)),
        lambda given: tilesim.pullback(given, np.ones((4, 4)), ["factors"]),
        lambda given: tilesim.torch.simulate({}, given),
        lambda given: tilesim.Parameters(given, "rotation"),
    )
    for call in calls:
        with pytest.raises(InputError, match=r"a Series of 2 frames; expected an Experiment: series\[n\]"):
            call(series)
        with pytest.raises(InputError, match="experiment is a list; expected an Experiment"):
            call([still, still])
    assert tilesim.Series.of(still)[0] == still


def test_an_experiment_for_its_images_is_refused():
    still = tilesim.from_nanobragg(TINY)
    calls = (tilesim.open, tilesim.truth, lambda given: tilesim.preview(given, "x.png"))
    for call in (*calls, lambda given: tilesim.export(given, "x.cbf")):
        with pytest.raises(InputError, match="images are an Experiment; expected a store or image file by its path"):
            call(still)


# --- command lines


def test_a_command_line_is_one_text_or_its_words_of_any_kind():
    words = ["-cell", 50, 60.0, np.float64(70), 90, 90, 90, "-default_F", 1, "-N", np.int64(1), *TINY.split()[11:]]
    expected = tilesim.from_nanobragg(TINY.split())
    assert tilesim.from_nanobragg(TINY) == expected
    assert tilesim.from_nanobragg(words) == expected
    assert tilesim.from_nanobragg(iter(words)) == expected


def test_paths_are_words_and_quotes_keep_a_blank(tmp_path):
    table = tmp_path / "my table.hkl"
    table.write_text("1 2 3 4\n")
    for args in ([*TINY.split(), "-hkl", table], f"{TINY} -hkl '{table}'"):
        assert tilesim.from_nanobragg(args).factors.grid.tolist() == [[[4.0]]]


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (f"{TINY} --strict-c", "strict_c=True"),
        ([*TINY.split(), "--strict-c"], "strict_c=True"),
        (f"{TINY} -hkl 'A", "No closing quotation"),
        (Path("A.mat"), "expected one text or a list of words"),
        (None, "expected one text or a list of words"),
        ([*TINY.split(), "-N", None], "-N"),
        ([*TINY.split(), "-lambda", np.nan], "-lambda"),
    ],
)
def test_other_arguments_are_refused(args, named):
    with pytest.raises(InputError) as error:
        tilesim.from_nanobragg(args)
    assert named in str(error.value) and "\n" not in str(error.value)


def test_read_command_names_corrections_and_surprising_flags():
    command = tilesim.read_command(f"{TINY} -phi 0 -osc 1 -phisteps 2 -intfile a.img -pivot beam".split())
    assert command.corrections == ("K1", "K12")
    assert any("-pivot is not used" in line for line in command.warnings)
    assert command.experiment == tilesim.from_nanobragg(f"{TINY} -phi 0 -osc 1 -phisteps 2 -pivot beam")


# --- simulating


@given(st.integers(1, 40), st.sampled_from([int, np.int64, float]))
def test_one_number_is_a_square_tile(edge, spelled):
    expected = make_job(plain(), (edge, edge), **HERE)
    assert make_job(plain(), spelled(edge), **HERE).plan == expected.plan
    assert make_job(plain(), np.array([edge, edge]), **HERE).plan == expected.plan


def test_an_image_in_square_tiles_is_the_image():
    lazy = tilesim.simulate(plain(), 10, **HERE)
    assert lazy.chunks == ((10, 10, 3), (10, 10, 10, 1))
    np.testing.assert_array_equal(lazy.compute(scheduler="synchronous"), tilesim.simulate_now(plain(), **HERE))


WRONG = {
    "no tile": ({"tile": 0}, "tile is 0; expected pixels"),
    "negative tile": ({"tile": (4, -4)}, "tile is (4, -4)"),
    "three edges": ({"tile": (4, 4, 4)}, "tile is (4, 4, 4)"),
    "half a pixel": ({"tile": 4.5}, "tile is 4.5"),
    "a tile in words": ({"tile": "512"}, "tile is '512'"),
    "precision": ({"precision": "half"}, "precision is 'half'"),
    "type of a precision": ({"precision": np.float64}, "precision is"),
    "device": ({"device": "abacus"}, "device is 'abacus'"),
    "type of a device": ({"device": 0}, "device is 0; expected text"),
    "backend": ({"backend": None}, "backend is None; expected text"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_are_refused_at_once(case):
    options, named = WRONG[case]
    functions = [tilesim.simulate] if "tile" in options else [tilesim.simulate, tilesim.simulate_now]
    for simulate in functions:
        with pytest.raises(PlanError) as error:
            simulate(plain(), **options)
        assert named in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("simulate", [tilesim.simulate, tilesim.simulate_now])
def test_what_is_no_experiment_or_has_panels_of_two_kinds_is_refused(simulate):
    with pytest.raises(InputError, match=r"experiment is '-cell 50.*; expected an Experiment"):
        simulate("-cell 50 -default_F 1")
    panel = plain().detector.panels[0]
    with pytest.raises(PlanError, match=r"panel 1 has 3 x 4 pixels .*; expected one shape"):
        simulate(plain(detector=tilesim.Detector([panel, panel.replace(shape=(3, 4))])))
