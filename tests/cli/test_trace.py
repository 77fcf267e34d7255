"""`tilesim trace` and -trace_pixel as a user meets them."""

import json

import numpy as np
import pytest
from commands import BASE

from tilesim.tools.tracelog import read_trace

SWEEP = (*BASE, *"-osc 1 -phisteps 3".split())


def value(text, name):
    (found,) = [line.split()[2:] for line in text.splitlines() if line.startswith(f"TRACE: {name} ")]
    return [float(x) for x in found]


@pytest.mark.parametrize(
    "words", [("--pixel", 3, 4, "--", *SWEEP), (*SWEEP, "-trace_pixel", 3, 4), (*SWEEP, "--pixel", 3, 4)]
)
def test_a_trace_ends_in_the_pixel_of_the_image(tilesim, folder, made, words):
    traced = tilesim("trace", *words)
    assert traced.status == 0
    assert all(line.startswith("TRACE: ") for line in traced.out.splitlines())
    assert made() == []
    tilesim("run", *SWEEP, "--precision", "double", "--backend", "eager", "-floatfile", "out.bin")
    image = np.fromfile(folder / "out.bin", "<f4").reshape(12, 12)
    assert value(traced.out, "floatimage_accumulated") == [image[3, 4]]


def test_run_prints_the_trace_and_goes_on_with_the_image(tilesim, folder, made):
    alone = tilesim("trace", "--pixel", 3, 4, *SWEEP)
    run = tilesim("run", *SWEEP, "-trace_pixel", 3, 4)
    assert run.status == 0
    assert [line for line in run.out.splitlines() if line.startswith("TRACE")] == alone.out.splitlines()
    assert made() == ["floatimage.bin"]
    assert "TRACE" not in tilesim("run", *SWEEP, "-trace_pixel", 3, 4, "--quiet").out
    assert "TRACE" not in tilesim("run", *SWEEP, "-trace_pixel", -1, -1).out


def test_a_wrong_wavelength_is_found_where_it_first_counts(tilesim, folder):
    """The matrix is in units of 1/wavelength: everything after it is off, the first line is where it is scaled."""
    for name, words in (("right.log", ()), ("wrong.log", ("-lambda", 1.6))):
        (folder / name).write_text(tilesim("trace", "--pixel", 3, 4, *SWEEP, *words).out)
    found = tilesim("trace", "--compare", "right.log", "wrong.log")
    assert (found.status, found.err) == (1, "")
    lines = found.out.splitlines()
    assert lines[0] == "first difference: lambda0_angstroms"
    assert lines[3].split() == ["ratio", "1.06666666666667"]
    # Another program that forgets the wavelength has the right one, and the matrix as it stands.
    forgetful = (folder / "right.log").read_text().splitlines()
    raw = {line.split()[1]: line.split()[2:] for line in forgetful if "_star_raw " in line}
    for axis in "abc":
        (at,) = [k for k, line in enumerate(forgetful) if line.startswith(f"TRACE: {axis}_star_scaled ")]
        forgetful[at] = f"TRACE: {axis}_star_scaled {' '.join(raw[f'{axis}_star_raw'])}"
    (folder / "forgetful.log").write_text("\n".join(forgetful) + "\n")
    lines = tilesim("trace", "--compare", "right.log", "forgetful.log").out.splitlines()
    assert lines[0] == "first difference: a_star_scaled"
    assert lines[3].split() == ["ratio", "1.5"]  # the wavelength


def test_a_log_agrees_with_itself_and_with_its_json(tilesim, folder):
    log = tilesim("trace", "--pixel", 3, 4, *SWEEP, "--json", "t.json").out
    (folder / "t.log").write_text(log)
    for other in ("t.log", "t.json"):
        found = tilesim("trace", "--compare", "t.log", other)
        assert (found.status, found.out) == (0, f"all {len(log.splitlines())} values that both logs have agree\n")
    plain = json.loads((folder / "t.json").read_text())
    assert plain["pixel"] == [3, 4]
    assert plain["command_line"] == list(SWEEP)
    assert {"name": "steps", "values": [3]} in plain["trace"]
    phi = [one for one in plain["trace"] if one["name"] == "phi_deg"]
    assert [(one["phi_step"], one["source"]) for one in phi] == [(0, 0), (1, 0), (2, 0)]


def test_json_on_standard_output_stands_there_alone(tilesim, folder):
    assert json.loads(tilesim("trace", "--pixel", 3, 4, *SWEEP, "--json", "-").out)["strict_c"] is False
    for name in ("a.log", "b.log"):
        (folder / name).write_text("TRACE: x 1\n")
    plain = json.loads(tilesim("trace", "--compare", "a.log", "b.log", "--json", "-").out)
    assert (plain["agree"], plain["compared"], plain["differences"]) == (True, 1, [])


def test_most_limits_what_is_printed_and_not_what_is_summed(tilesim, folder):
    whole, short = (tilesim("trace", "--pixel", 3, 4, *SWEEP, *words).out for words in ((), ("--most", 1)))
    assert whole.count("hkl_frac") == 3
    assert short.count("hkl_frac") == 1
    assert value(short, "evaluations_left_out") == [2]
    assert value(short, "I_pixel_final") == value(whole, "I_pixel_final")


def test_strict_and_corrected_traces_are_each_true_to_themselves(tilesim, folder):
    """K1: a step at exactly zero keeps the orientation before it."""
    strict = tilesim("trace", "--pixel", 3, 4, *SWEEP, "--strict-c").out
    corrected = tilesim("trace", "--pixel", 3, 4, *SWEEP).out
    angles = [
        [line.split()[2] for line in text.splitlines() if line.startswith("TRACE: phi_deg")]
        for text in (strict, corrected)
    ]
    assert [float(x) for x in angles[1]] == pytest.approx([0, 1 / 3, 2 / 3])
    assert [float(x) for x in angles[0]] == pytest.approx([2 / 3, 1 / 3, 2 / 3])
    assert value(strict, "phi_asked_deg") == [0.0]


def test_a_pixel_that_is_not_rendered_is_traced_to_zero(tilesim, folder):
    out = tilesim("trace", "--pixel", 9, 9, *BASE, "-roi", 0, 5, 0, 5).out
    assert value(out, "rendered") == [0]
    assert value(out, "I_pixel_final") == [0]
    assert "hkl_frac" not in out


@pytest.mark.parametrize(
    "words, complaint",
    [
        (BASE, "which pixel? expected --pixel SLOW FAST"),
        (("--pixel", 12, 0, *BASE), "pixel 12 0 (slow fast) is none of the detector's 12 x 12"),
        (("--pixel", 0, -1, *BASE), "pixel 0 -1 (slow fast) is none of the detector's"),
        (("--pixel", 3, *BASE), "--pixel needs 2 values; found '-mat'"),
        (("--pixel", 3, "x", *BASE), "Invalid value for '--pixel'"),
        (("--pixel", 3, 4, "--most", -1, *BASE), "Invalid value for '--most'"),
        (("--pixel", 3, 4, "--tolerance", 1, *BASE), "--tolerance goes with --compare"),
        (("--pixel", 3, 4, "-mat", "none.mat", "-default_F", 1), "none.mat"),
        (("--compare", "a.log"), "--compare needs 2 values"),
        (("--compare", "a.log", "none.log"), "none.log"),
        (("--compare", "a.log", "A.mat"), "A.mat holds no TRACE lines"),
        (("--compare", "a.log", "other.log"), "no name in common"),
        (("--compare", "a.log", "a.log", "-N", 3), "--compare takes two logs alone; found '-N' besides"),
        (("--compare", "a.log", "a.log", "--pixel", 1, 2), "found '--pixel' besides"),
        (("--compare", "a.log", "a.log", "--tolerance", "nan"), "--tolerance is nan; expected 0 or more"),
    ],
)
def test_misuse_gets_one_line_and_status_2(tilesim, folder, made, words, complaint):
    (folder / "a.log").write_text("TRACE: x 1\n")
    (folder / "other.log").write_text("TRACE: y 1\n")
    result = tilesim("trace", *words)
    assert (result.status, result.out) == (2, "")
    assert complaint in result.err
    assert [line[:8] for line in result.err.splitlines() if not line.startswith("WARNING")] == ["tilesim:"]
    assert made() == ["a.log", "other.log"]


def test_a_pixel_outside_is_an_error_of_trace_and_a_warning_of_run(tilesim, folder, made):
    result = tilesim("trace", *BASE, "-trace_pixel", 12, 0)
    assert result.status == 2
    assert "pixel 12 0 (slow fast) is none of the detector's 12 x 12" in result.err
    assert made() == []
    result = tilesim("run", *BASE, "-trace_pixel", 12, 0, "--zarr", "out.zarr")
    assert result.status == 0 and "TRACE" not in result.out
    assert "-trace_pixel 12 0 (slow fast) is none of the detector's 12 x 12 pixels" in result.err
    assert "out.zarr" in made()


def test_help_says_the_pixel_first(tilesim):
    assert "tilesim trace --pixel" in tilesim("trace", "--help").out


def test_a_log_with_the_output_of_a_run_around_it_is_read(tilesim, folder):
    (folder / "run.log").write_text(tilesim("run", *SWEEP, "-trace_pixel", 3, 4).out)
    assert read_trace(folder / "run.log")[-1].name == "floatimage_accumulated"
