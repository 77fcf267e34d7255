"""Trace logs of several programs as values by name, and what is said of logs that are none."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilesim.errors import InputError
from tilesim.tools.tracelog import Traced, read_trace


@pytest.fixture
def log(tmp_path):
    """`log(text)` writes a log and gives its values as {name: numbers}, or as a list where names repeat."""
    path = tmp_path / "some.log"

    def write(text) -> list[Traced]:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_trace(path)

    return write


@pytest.mark.parametrize(
    "line, name, values",
    [
        ("TRACE: hkl_frac -1.5 0.25 3e-2", "hkl_frac", (-1.5, 0.25, 0.03)),
        ("TRACE_C: steps 10", "steps", (10,)),
        ("TRACE_PY: polar 0.5\r", "polar", (0.5,)),
        ("TRACE_C:Fbeam_m=0.0513", "Fbeam_m", (0.0513,)),
        ("TRACE_C:initial_sdet=0 -1 0", "initial_sdet", (0, -1, 0)),
        ("TRACE_C:detector_convention=MOSFLM", "detector_convention", ("MOSFLM",)),
        ("TRACE_C:Rx=[1 0 0; 0 0.5 -0.5; 0 0.5 0.5]", "Rx", (1, 0, 0, 0, 0.5, -0.5, 0, 0.5, 0.5)),
        ("TRACE_PY: R_distance_meters = 0.125", "R_distance_meters", (0.125,)),
        ("TRACE_PY: pixel_pos_meters = [0.1, 0.2, -0.3]", "pixel_pos_meters", (0.1, 0.2, -0.3)),
        ("TRACE_BEAM_CENTER:Sclose_calc=(a + 0*b)/2.0 = (1 + 0)/2.0 = 0.5", "Sclose_calc", (0.5,)),
        ("TRACE:   V_star = a_star . (b_star x c_star) = 1e-06", "V_star", (1e-6,)),
        ("  further warnings will not be printed! TRACE_C: F_cell 3", "F_cell", (3,)),
    ],
)
def test_a_line_of_each_kind(log, line, name, values):
    (found,) = log(f"something else\n{line}\n")
    assert (found.name, found.values, found.line) == (name, values, 2)
    assert found.prefix == line.split(":")[0].split()[-1]


def test_several_values_on_a_line(log):
    found = log("TRACE_C:angles_rad=rotx:0.5 roty:-1 twotheta:2\nTRACE:   V_cell = 8, V_star = 0.125\n")
    assert [(one.name, *one.values) for one in found] == [
        ("angles_rad.rotx", 0.5),
        ("angles_rad.roty", -1),
        ("angles_rad.twotheta", 2),
        ("V_cell", 8),
        ("V_star", 0.125),
    ]


def test_values_under_headings_have_the_names_of_their_stage(log):
    found = log(
        "TRACE: Raw matrix values from file:\n"
        "TRACE:   a_star (raw) = [0.1, 0.2, 0.3]\n"
        "TRACE:   lambda0 = 1.5 Angstroms\n"
        "TRACE:   scaling factor = 1e-10/lambda0 = 0.666667\n"
        "TRACE_C: polar 1\n"
        "TRACE: After wavelength correction:\n"
        "TRACE:   a_star = [0.1, 0.2, 0.3] |a_star| = 0.374166\n"
        "TRACE: After misset rotation:\n"
        "TRACE:   a_star = [0.3, 0.2, 0.1] |a_star| = 0.374166\n"
        "TRACE:   Cross product results:\n"
        "TRACE:     b_star x c_star = [1, 2, 3]\n"
        "TRACE: Direct-space cell volume: V_cell = 1/V_star = 1000\n"
        "TRACE: Converting real-space vectors from Angstroms to meters:\n"
        "TRACE:   Before conversion: a = [10, 0, 0] |a| = 10 Angstroms\n"
        "TRACE:   After conversion: a = [1e-09, 0, 0] |a| = 1e-09 meters\n"
        "TRACE: Copying vectors to a0, b0, c0 (phi=0 mosaic=0 reference):\n"
    )
    assert [one.name for one in found] == [
        "a_star_raw",
        "lambda0_angstroms",
        "matrix_scale",
        "polar",
        "a_star_scaled",
        "a_star_after_misset",
        "b_star_cross_c_star",
        "V_cell",
        "Converting_real_space_vectors_from_Angstroms_to_meters_Before_conversion.a",
        "a0_meters",
    ]
    assert found[1].values == (1.5,)
    assert found[2].values == (0.666667,)


def test_lines_know_their_place_in_the_loops(log):
    found = log(
        "TRACE: steps 8\nTRACE: layer 0\nTRACE: subpixel 0 1\nTRACE: x 1\nTRACE: source 2\nTRACE: phi_step 3\n"
        "TRACE: mosaic_domain 4\nTRACE: x 2\nTRACE: I_source 5\nTRACE: source 3\nTRACE: x 3\nTRACE: subpixel 1 1\n"
        "TRACE: evaluations 9\nTRACE: x 4\n"
    )
    at = {one.values[0]: dict(one.place) for one in found if one.name in ("x", "I_source", "steps")}
    sub = {"layer": 0, "subpixel_slow": 0, "subpixel_fast": 1}
    assert at == {
        8: {},
        1: sub,
        2: {**sub, "source": 2, "phi_step": 3, "mosaic_domain": 4},
        5: {**sub, "source": 2},
        3: {**sub, "source": 3},
        4: {},
    }


def test_what_is_written_is_read_again(log):
    values = [
        Traced("a", (1, -0.0, math.inf)),
        Traced("b", ("MOSFLM",)),
        Traced("c", (0.1 + 0.2,)),
        Traced("d", (math.nan,)),
    ]
    text = "\n".join(value.text for value in values)
    plain = json.dumps({"trace": [value.plain for value in values]})
    for again in (log(text), log(plain)):
        assert [(one.name, repr(one.values)) for one in again] == [(one.name, repr(one.values)) for one in values]


@pytest.mark.parametrize(
    "data, complaint",
    [
        (b"", "holds no TRACE lines"),
        (b"TRACE: \nTRACE: heading:\nTRACED: \nTRACE_PY_TRICUBIC_GRID_START\n", "holds no TRACE lines"),
        (b"TRACE: polar 1\nTRACE: hkl_frac", "line 2: 'hkl_frac' has no value; is the line cut short?"),
        (b"TRACE_C: polar 1\nTRACE_C:Fbeam_m=", "line 2: 'Fbeam_m=' has no value"),
        (b"TRACE: polar 1\n\0\0\0\n", "line 2: found bytes that are no text"),
        (b"TRACE: polar " + b"1" * 70000, "line 1 is longer than 65536 bytes"),
        (b"{HEADER_BYTES=512;\n\xff", "expected the JSON of `tilesim trace`"),
        (b'{"trace": [{"name": 1}]}', "expected the JSON of `tilesim trace`, found another"),
        (b'{"trace": 5}', "expected the JSON of `tilesim trace`"),
        (b"[" * 5, "holds no TRACE lines"),
    ],
)
def test_bad_logs_get_one_line(log, data, complaint):
    with pytest.raises(InputError) as error:
        log(data)
    assert complaint in str(error.value)
    assert "some.log" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_log_that_is_too_long_is_refused(log, monkeypatch):
    monkeypatch.setattr("tilesim.tools.tracelog.MOST_VALUES", 3)
    assert len(log("TRACE: x 1\n" * 3)) == 3
    with pytest.raises(InputError, match="more than 3 values; --most limits"):
        log("TRACE: x 1\n" * 4)


def test_long_lines_of_other_programs_are_passed_over(log):
    (found,) = log(b"x" * 200_000 + b"\nTRACE: polar 1\n")
    assert (found.name, found.line) == ("polar", 2)


@given(
    st.lists(st.sampled_from(["TRACE", "_C", ":", " ", "=", "a", "[", "]", ";", ",", "|", "1", "-", "nan", "\n", "\0"]))
)
def test_no_text_ends_in_anything_but_values_or_one_line(tmp_path, parts):
    path = tmp_path / "drawn.log"
    path.write_text("TRACE: " + "".join(parts))
    try:
        assert all(value.name and value.values for value in read_trace(path))
    except InputError as error:
        assert "\n" not in str(error)
