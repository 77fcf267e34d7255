"""Batch files: lists and grids of experiments, and what is said of a wrong one."""

import math
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilesim.errors import InputError
from tilesim.files.outputs import Outputs
from tilesim.files.templates import fill
from tilesim.series.batchfile import read_batch

FULL = """
flags = "-mat A.mat -N 10"
lambda = 1.0
nopolar = true
interpolate = false
zarr = "grid.zarr"
floatfile = "img_{frame:05d}.bin"
[grid]
N = [5, 10]
misset = [[0, 0, 0], [10, 20.5, 30]]
[[experiment]]
name = "still"
[[experiment]]
name = "sweep"
flags = "-osc 0.5 -hkl 'a b.hkl'"
hkl = "c.hkl"
frames = 10
frame_osc = 0.5
"""


@pytest.fixture
def read(tmp_path):
    def write_and_read(text):
        (tmp_path / "b.toml").write_text(text)
        return read_batch(tmp_path / "b.toml")

    return write_and_read


def test_a_list_is_run_at_every_point_of_the_grid_whose_last_key_varies_fastest(read):
    batch = read(FULL)
    assert (batch.zarr, batch.outputs.float_file, batch.outputs.int_file) == ("grid.zarr", "img_{frame:05d}.bin", None)
    assert [entry.name for entry in batch.entries] == ["still"] * 4 + ["sweep"] * 4
    assert sum(entry.frames for entry in batch.entries) == 44
    common = "-mat A.mat -N 10 -lambda 1.0 -nopolar".split()
    assert list(batch.entries[1].arguments) == [*common, *"-N 5 -misset 10 20.5 30".split()]
    assert list(batch.entries[6].arguments) == [
        *common,
        *["-osc", "0.5", "-hkl", "a b.hkl", "-hkl", "c.hkl", "-N", "10", "-misset", "0", "0", "0"],
    ]
    assert batch.entries[6].parameters == {"hkl": "c.hkl", "N": 10, "misset": (0, 0, 0)}
    assert (batch.entries[6].frames, batch.entries[6].frame_osc) == (10, 0.5)


@pytest.mark.parametrize(
    "text, said",
    [
        ('zarr = ""', "zarr is ''; expected a name"),
        ('floatfile = " "', "floatfile is ' '; expected a name"),
        ("a = " + 5000 * "[", "nested less deeply"),
        ("a = " + 5000 * "{a = ", "nested less deeply"),
        ("a = " + 5000 * "1", "a number of thousands of digits"),
        (5000 * "a" + " = {}", "aaaa ... a"),
        ("[grid]\nN = '" + 5000 * "x" + "'", "grid.N is 'xxx"),
    ],
)
def test_hostile_files_are_one_short_line(read, text, said):
    with pytest.raises(InputError) as error:
        read(text)
    assert said in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 700


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "b.toml").write_bytes(b'zarr = "\xff"')
    with pytest.raises(InputError, match=r"b\.toml: expected TOML in UTF-8, found something else at byte 9"):
        read_batch(tmp_path / "b.toml")
    (tmp_path / "b.toml").write_bytes(b"\xef\xbb\xbf" + FULL.encode())
    assert read_batch(tmp_path / "b.toml").zarr == "grid.zarr"


def test_a_file_without_list_and_grid_is_one_experiment(read):
    [entry] = read('flags = "-N 5"\nfloatfile = "a.bin"\nframes = 3\n').entries
    assert (entry.arguments, entry.frames, entry.frame_osc, entry.parameters) == (("-N", "5"), 3, None, {})


WRONG = {
    "flags = ": "expected TOML",
    "flags = 5": "flags is 5; expected text",
    'flags = "-N \'x"': "flags cannot be split into words",
    "[grid]\nN = 5": "grid.N is 5; expected a list",
    "[grid]\nN = []": "grid.N is []; expected a list",
    "[grid]\nfloatfile = ['a']": "grid.floatfile does not belong there",
    "grid = 3": "grid is 3; expected a table",
    "[experiment]\nN = 3": "experiment: expected one or more tables [[experiment]]",
    "[[experiment]]\n[[experiment]]\nframes = 0": "table 2 of the file, frames is 0; expected a whole number",
    "frame_osc = 'x'": "frame_osc is 'x'; expected degrees",
    "lambda = {a = 1}": "lambda holds {'a': 1}; expected numbers, texts",
    "lambda = [[1]]": "lambda holds [1]; expected",
    "lambda = nan": "lambda holds nan; expected",
    "lambda = 2020-01-01": "expected numbers, texts",
    "-lambda = 1": "lambda: expected the flag without its dash",
    "experiments = 3": "did you mean experiment",
    "floatfiles = 'x'": "did you mean floatfile",
    "name = 'x'": "name does not belong there",
    "[[experiment]]\nname='a'\n[[experiment]]\nname='a'": "two experiments have the name 'a'",
    "zarr = 3": "zarr is 3; expected text",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_file_is_told_in_one_line_that_names_it(read, text):
    with pytest.raises(InputError) as caught:
        read(text)
    assert "b.toml: " in str(caught.value) and WRONG[text] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml"):
        read_batch(tmp_path / "none.toml")


texts = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=8)
numbers = st.one_of(st.integers(-(10**9), 10**9), st.floats(allow_nan=False, allow_infinity=False))


@given(st.dictionaries(st.sampled_from("abcdefg"), st.lists(numbers, min_size=1, max_size=3), max_size=3))
def test_a_grid_has_the_product_of_its_lists(tmp_path_factory, grid):
    path = tmp_path_factory.mktemp("grid") / "b.toml"
    lines = "".join(f"{key} = [{', '.join(map(repr, values))}]\n" for key, values in grid.items())
    path.write_text(f"[grid]\n{lines}")
    entries = read_batch(path).entries
    assert len(entries) == math.prod(map(len, grid.values()))
    for entry in entries:
        assert shlex.split(shlex.join(entry.arguments)) == list(entry.arguments)
        assert [float(word) for word in entry.arguments[1::2]] == [float(v) for v in entry.parameters.values()]


def test_names_are_filled_in():
    assert fill("a_{frame:03d}_{name}.bin", 7, name="x") == "a_007_x.bin"


@pytest.mark.parametrize(
    "template", ["a.bin", "{name}.bin", "a_{frme}.bin", "a_{}.bin", "a_{frame:q}.bin", "a_{", "{0}"]
)
def test_a_template_that_does_not_tell_frames_apart_is_refused(template):
    with pytest.raises(InputError, match="-floatfile"):
        Outputs(float_file=template).check(2)


def test_one_frame_needs_no_field_in_its_name():
    Outputs(float_file="a.bin").check(1)
    Outputs(float_file="a_{frame}.bin").check(10**6)


@pytest.mark.parametrize(
    "field", ["{frame:c}", "{frame:0300d}", "{frame:0100000000d}", "{frame.real}", "{frame!r}", "{x}"]
)
def test_templates_hold_numbers_and_names_only(field):
    with pytest.raises(InputError, match="-floatfile"):
        Outputs(float_file=f"a_{field}.bin").check(2)


def test_templates_take_the_usual_widths():
    for field in ("{frame}", "{frame:5}", "{frame:05d}", "{frame:d}"):
        Outputs(float_file=f"a_{field}_{{name}}.bin").check(2)


@pytest.mark.parametrize(
    "text, reason",
    [
        ('[[experiment]]\nname = "../a"', "no path"),
        ("frames = 100000000", "at most 100000"),
        ("[grid]\nNa = [1, 2]\n[[experiment]]\nframes = 60000", "at most 100000"),
    ],
)
def test_names_are_no_paths_and_counts_have_a_limit(tmp_path, text, reason):
    (tmp_path / "b.toml").write_text(f'floatfile = "{{name}}{{frame}}.bin"\n{text}\n')
    with pytest.raises(InputError, match=reason):
        read_batch(tmp_path / "b.toml")
