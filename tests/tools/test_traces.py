"""Two logs of one pixel: the first value that differs is found, and nothing that is only named or printed otherwise."""

import dataclasses
import math

import pytest

from tilesim.errors import InputError
from tilesim.tools.tracelog import Traced, read_trace
from tilesim.tools.traces import compare_traces, comparison_lines

REFERENCE = """\
TRACE: Raw matrix values from file:
TRACE:   a_star (raw) = [0.03, 0.0015, 0]
TRACE:   lambda0 = 1.5 Angstroms
TRACE:   scaling factor = 1e-10/lambda0 = 0.666667
TRACE: After wavelength correction:
TRACE:   a_star = [0.02, 0.001, 0] |a_star| = 0.020025
TRACE_C:angles_rad=rotx:0.1 roty:0 rotz:0 twotheta:0.2
TRACE_C:beam_center_m=X:5.125e-05 Y:5.125e-05 pixel_mm:0.1
TRACE_C:fdet_after_rotz=0.5 0.5 0.25
TRACE_C:fdet_after_twotheta=0.5 0.5 0.25
TRACE_C: scattering_vec_A_inv 12345678.5 1e8 -2e8
TRACE_C: rot_a_star_A_inv 0.02 0.001 0
TRACE_C: hkl_frac 1.25 0.5 -0.125
TRACE_C: scattering_vec_A_inv 22345678.5 1e8 -2e8
TRACE_C: hkl_frac 2.25 0.5 -0.125
TRACE_C: I_pixel_final 3.25
"""
"""What an instrumented build of the reference prints of two sub-pixels (shortened)."""
OURS = """\
TRACE: mode strict-c
TRACE: Xbeam_m 0.05125
TRACE: pixel_mm 0.1
TRACE: detector_rotx_rad 0.1
TRACE: twotheta_rad 0.2
TRACE: fdet_after_rotz 0.4 0.6 0.25
TRACE: fdet_after_twotheta 0.5 0.5 0.25
TRACE: a_star_raw 0.03 0.0015 0.0
TRACE: lambda0_angstroms 1.5
TRACE: matrix_scale 0.6666666666666666
TRACE: a_star_scaled 0.02 0.001 0.0
TRACE: a_star_A_inv 0.02 0.001 0.0
TRACE: subpixel 0 0
TRACE: source 0
TRACE: scattering_vec_A_inv 12345678.5 1e8 -2e8
TRACE: phi_step 0
TRACE: rot_a_star_A_inv 0.019 0.002 0.0
TRACE: hkl_frac 1.25 0.5 -0.125
TRACE: phi_step 1
TRACE: hkl_frac 1.375 0.5 -0.125
TRACE: source 1
TRACE: scattering_vec_A_inv 0.0 0.0 1.0
TRACE: phi_step 0
TRACE: hkl_frac 9.0 9.0 9.0
TRACE: subpixel 0 1
TRACE: source 0
TRACE: scattering_vec_A_inv 22345678.5 1e8 -2e8
TRACE: phi_step 0
TRACE: hkl_frac 2.25 0.5 -0.125
TRACE: evaluations 8
TRACE: I_pixel_final 3.25
"""
"""The same pixel by `tilesim trace` (shortened)."""


@pytest.fixture
def logs(tmp_path):
    """`logs(text, text)` as values."""

    def read(*texts):
        for number, text in enumerate(texts):
            (tmp_path / str(number)).write_text(text)
        return [read_trace(tmp_path / str(number)) for number in range(len(texts))]

    return read


def names(comparison):
    return [found.a.name for found in comparison.differences]


def test_our_log_agrees_with_the_reference_whatever_its_names_units_and_loops(logs):
    ours, theirs = logs(OURS, REFERENCE)
    for comparison in (compare_traces(ours, theirs), compare_traces(theirs, ours)):
        assert comparison.differences == ()
        assert comparison.compared == comparison.agreeing == 15
        assert len(comparison.notes) == 4
    only_ours = compare_traces(ours, theirs).only_a
    assert set(only_ours) == {
        "mode",
        "fdet_after_rotz",
        "rot_a_star_A_inv",
        "subpixel",
        "source",
        "phi_step",
        "evaluations",
    }
    assert compare_traces(ours, theirs).only_b == ("detector_roty_rad", "detector_rotz_rad", "Ybeam_m")


@pytest.mark.parametrize(
    "line, wrong, first, ratio",
    [
        ("lambda0_angstroms 1.5", "lambda0_angstroms 1.6", "lambda0_angstroms", 1.5 / 1.6),
        ("a_star_scaled 0.02 0.001 0.0", "a_star_scaled 0.03 0.0015 0.0", "a_star_scaled", 2 / 3),
        ("fdet_after_twotheta 0.5 0.5 0.25", "fdet_after_twotheta 0.5 0.5 0.5", "fdet_after_twotheta", 0.5),
        ("hkl_frac 2.25", "hkl_frac 2.26", "hkl_frac", 2.25 / 2.26),
        ("I_pixel_final 3.25", "I_pixel_final -3.25", "I_pixel_final", -1.0),
    ],
)
def test_a_wrong_value_of_ours_is_the_one_that_is_found(logs, line, wrong, first, ratio):
    assert line in OURS
    comparison = compare_traces(*logs(OURS.replace(line, wrong), REFERENCE))
    assert names(comparison) == [first]
    found = comparison.differences[0]
    assert any(r == pytest.approx(ratio) for r in found.ratio)
    assert found.occurrence == (2 if first == "hkl_frac" else 1)


def test_six_figures_of_the_reference_are_not_held_against_us_but_fifteen_are(logs):
    scale = "TRACE: matrix_scale 0.6666666666666666\n"
    assert compare_traces(*logs(scale, REFERENCE)).differences == ()
    assert names(compare_traces(*logs(scale.replace("0.66666", "0.66668"), REFERENCE))) == ["matrix_scale"]
    printed = "TRACE_C: polar 0.987654321012345\nTRACE_C: other 0.987654\n"
    assert names(compare_traces(*logs("TRACE: other 0.98765\nTRACE: x 0.123456789\n", printed))) == ["other"]


def test_the_tolerance_is_relative_to_the_longest_component(logs):
    a, b = logs("TRACE: v 1.0 1e-9 0.123456789\nTRACE: w 1e-9\n", "TRACE: v 1.0 2e-9 0.123456789\nTRACE: w 2e-9\n")
    assert names(compare_traces(a, b)) == ["w"]
    assert names(compare_traces(a, b, 1e-10)) == ["v", "w"]
    assert names(compare_traces(a, b, 0.5)) == []


@pytest.mark.parametrize(
    "a, b, hint",
    [
        ("x 1e-10", "x 1.0", "as between metres and angstroms"),
        ("x 0.1 0.2", "x 100.0 200.0", "as between metres and millimetres"),
        (f"x {math.pi}", "x 180", "as between radians and degrees"),
        ("x 1.5 -2.5", "x -1.5 2.5", "the sign"),
        ("x 1.5", "x 1.6", ""),
    ],
)
def test_a_known_ratio_is_said(logs, a, b, hint):
    (found,) = compare_traces(*logs(f"TRACE: {a}\n", f"TRACE: {b}\n")).differences
    assert found.hint.endswith(hint)
    assert bool(found.hint) == bool(hint)


def test_names_that_differ_in_their_unit_are_one_value(logs):
    ours = "TRACE: pixel_pos_meters 0.1 0.0 -0.02\nTRACE: phi_deg 180.0\n"
    comparison = compare_traces(*logs(ours, f"TRACE_PY: pixel_pos_angstroms 1e9 0 -2e8\nTRACE_PY: phi_rad {math.pi}\n"))
    assert (comparison.compared, comparison.differences) == (2, ())
    assert comparison.notes == (
        "pixel_pos_meters and pixel_pos_angstroms are compared in one unit",
        "phi_deg and phi_rad are compared in one unit",
    )
    wrong = compare_traces(*logs(ours, "TRACE_PY: pixel_pos_angstroms 2e9 0 -4e8\n"))
    assert wrong.differences[0].ratio == pytest.approx((2.0, math.nan, 2.0), nan_ok=True)


def test_the_one_name_whose_unit_programs_do_not_agree_on_is_noted_not_accused(logs):
    ours = "TRACE: scattering_vec_A_inv 1e8 2e8 -1e7\n"
    same = compare_traces(*logs(ours, "TRACE_PY: scattering_vec_A_inv 0.01 0.02 -0.001\n"))
    assert same.differences == ()
    assert same.notes == (
        "scattering_vec_A_inv is in 1/m in one log and in 1/angstrom in the other; otherwise they agree",
    )
    assert names(compare_traces(*logs(ours, "TRACE_PY: scattering_vec_A_inv 0.011 0.02 -0.001\n")))


def test_nan_agrees_with_nan_alone_and_texts_without_case(logs):
    a, b = logs(
        "TRACE: x nan\nTRACE: y nan\nTRACE: z inf\nTRACE: t xds\n",
        "TRACE: x nan\nTRACE: y 1\nTRACE: z inf\nTRACE: t XDS\n",
    )
    assert names(compare_traces(a, b)) == ["y"]
    assert names(compare_traces(*logs("TRACE: t xds\n", "TRACE: t adxv\n"))) == ["t"]


def test_a_line_that_lost_a_number_differs(logs):
    (found,) = compare_traces(*logs("TRACE: v 1 2 3\n", "TRACE: v 1 2\n")).differences
    assert (found.ratio, found.hint) == ((), "3 values against 2; is a line cut short?")


def test_logs_of_other_calculations_are_refused(logs):
    with pytest.raises(InputError, match="no name in common"):
        compare_traces(*logs("TRACE: v 1\n", "TRACE: w 1\n"))


def test_what_one_log_has_more_of_is_said(logs):
    comparison = compare_traces(*logs("TRACE: v 1\nTRACE: u 1\n", "TRACE: v 1\nTRACE: v 2\nTRACE: v 3\nTRACE: w 1\n"))
    assert comparison.only_a == ("u",)
    assert comparison.only_b == ("v (2 more)", "w")


def test_modes_are_noted():
    ours = [Traced("mode", ("corrected",)), Traced("x", (1.0,))]
    strict = [dataclasses.replace(ours[0], values=("strict-c",)), ours[1]]
    comparison = compare_traces(ours, strict)
    assert comparison.notes == ("one log is of --strict-c, the other of the corrected calculation",)
    assert (comparison.compared, comparison.differences) == (1, ())


def test_the_lines_point_at_the_first_difference(logs):
    ours = OURS.replace("hkl_frac 2.25", "hkl_frac 4.5").replace("I_pixel_final 3.25", "I_pixel_final 3.5")
    lines = comparison_lines(compare_traces(*logs(ours, REFERENCE)), ("ours.log", "c.log"))
    assert lines[4:9] == [
        "first difference: hkl_frac, occurrence 2 at subpixel_slow 0 subpixel_fast 1 source 0 phi_step 0",
        "  ours.log  4.5 0.5 -0.125  (line 29)",
        "  c.log     2.25 0.5 -0.125  (line 15)",
        "  ratio     0.5 1 1",
        "13 values before it agree; 2 of 15 differ in all: hkl_frac, I_pixel_final",
    ]
    assert lines[9].startswith("only in ours.log: ")
    assert lines[10] == "only in c.log: detector_roty_rad, detector_rotz_rad, Ybeam_m"
