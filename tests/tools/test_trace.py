"""The traced pixel is the simulated pixel, and the values on the way to it are those of the reference."""

import json
import os
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from experiments import ALL

from tilesim.engine.job import lower_job, make_job
from tilesim.engine.lazy import simulate_now
from tilesim.errors import InputError
from tilesim.model import Detector
from tilesim.nanobragg.resolve import read_command
from tilesim.tools.trace import trace_pixel
from tilesim.tools.tracelog import Traced

TESTS = Path(__file__).parents[1]
CASES = {case["name"]: case for case in json.loads((TESTS / "golden" / "cases.json").read_text())}
KINDS = (
    "cell_tric mat_misset misset_random energy water_phi nopolar polar_vector curved_det point_pixel roi mask "
    "twotheta_mosflm rotxyz_xds conv_dials_org pivot_sample close_distance_custom "
    "shape_round_fudge shape_gauss_fudge shape_binary_fudge size_sample_xyz "
    "source_5col disp_steps mosaic_phi phi_through_zero phi_zero_start "
    "oversample_2 oversample_4_omega oversample_polar oversample_thick thick_abs_steps "
    "dmin interp_on interp_range_exit dump_named"
).split()
VECTORS = json.loads((TESTS / "data" / "trace-vectors.json").read_text())
WORKED = {case["id"]: case for case in VECTORS["cases"]}
REAL = Path(os.environ.get("TILESIM_LYSOZYME", "none"))
"""The folder of the real data set, where there is one."""


def traced(command, slow, fast, most=None) -> list[Traced]:
    said = []
    final = trace_pixel(command.experiment, slow, fast, said.append, most, command.stages)
    assert final == value(said, "I_pixel_final")
    return said


def value(said, name, occurrence=0):
    (*_, found) = [one.values for one in said if one.name == name][: occurrence + 1]
    return found[0] if len(found) == 1 else found


@pytest.mark.parametrize("strict_c", [True, False], ids=["strict", "corrected"])
@pytest.mark.parametrize("name", KINDS)
def test_the_traced_pixel_is_the_simulated_one(name, strict_c, tmp_path, monkeypatch):
    case = CASES[name]
    for path in case["inputs"]:
        shutil.copy(TESTS / "golden" / path, tmp_path)
    monkeypatch.chdir(tmp_path)
    command = read_command(case["args"], strict_c)
    experiment = command.experiment
    image = simulate_now(experiment, "double", "cpu", "eager")
    lowered = lower_job(make_job(experiment, None, "double", "cpu", "eager"))
    slow, fast = np.unravel_index(image.argmax(), image.shape)
    rendered = np.argwhere(image != 0)[0]
    for s, f in ((int(slow), int(fast)), tuple(map(int, rendered)), (image.shape[0] - 1, 0)):
        said = traced(command, s, f, most=3)
        assert np.float32(value(said, "I_pixel_final")) == image[s, f]
        if value(said, "rendered"):
            exact, _ = lowered.photons(np.array([s * image.shape[1] + f]))
            assert value(said, "I_pixel_final") == pytest.approx(exact[0], rel=1e-12)
            assert value(said, "evaluations") <= experiment.evaluations
            check_scaling(command, said)


@pytest.mark.parametrize("name", ALL)
def test_every_pixel_of_every_option_at_once_is_traced_to_its_photons(name):
    experiment = ALL[name]
    image = simulate_now(experiment, "double", "cpu", "eager")
    for slow, fast in ((0, 0), (1, 2), (5, 15), (11, 20), (22, 30)):
        said = []
        value = trace_pixel(experiment, slow, fast, said.append)
        assert np.float32(value) == image[slow, fast]
        evaluations = [one for one in said if one.name == "I_term"]
        assert len({one.place for one in evaluations}) == len(evaluations)


def test_a_pixel_of_a_stack_of_panels_is_that_of_its_panel():
    first = ALL["plain"]
    [panel] = first.detector.panels
    second = panel.replace(origin=tuple(x + d for x, d in zip(panel.origin, (0.0, 0.01, 0.0), strict=True)))
    experiment = first.replace(detector=Detector((panel, second)))
    image = simulate_now(experiment, "double", "cpu", "eager")
    said = []
    assert np.float32(trace_pixel(experiment, 23 + 4, 7, said.append)) == image[1, 4, 7]
    assert value(said, "panel") == 1
    assert value(said, "pix0_vector_meters") == second.origin
    with pytest.raises(InputError, match="none of the detector's 46 x 31"):
        trace_pixel(experiment, 46, 0, said.append)


@pytest.mark.parametrize("more", ["", "-detector_thick 300 -detector_thicksteps 2 -dispersion 2 -dispsteps 2 -water 1"])
def test_a_background_is_part_of_the_trace(more):
    flags = (
        "-cell 50 60 70 90 90 90 -default_F 1e5 -N 9 -distance 100 -pixel 1 -detpixels 8 -oversample 1 -beamsize 0.01"
    )
    command = read_command(shlex.split(f"{flags} --background water --background-thickness 0.001 {more}"))
    image = simulate_now(command.experiment, "double", "cpu", "eager")
    said = traced(command, 3, 4)
    assert np.float32(value(said, "I_pixel_final")) == image[3, 4]
    parts = [one.values[0] for one in said if one.name.startswith("photons_from")]
    assert len(parts) == (3 if more else 2) and min(parts) > 0
    assert sum(parts) == pytest.approx(value(said, "I_pixel_final"), rel=1e-12)


def check_scaling(command, said):
    """The scaling chain of the log, multiplied by hand."""
    photons = value(said, "I_before_scaling") * value(said, "r_e_sqr") * value(said, "fluence_photons_per_m2")
    photons /= value(said, "steps")
    factors = {"capture_fraction": "thick", "polar": "polar", "omega_pixel": "omega"}
    for name, option in factors.items():
        if not value(said, f"oversample_{option}") and any(one.name == name for one in said):
            photons *= value(said, name)
    if any(one.name == "photons_from_water" for one in said):
        assert value(said, "photons_from_crystal") == pytest.approx(photons, rel=1e-12)
        photons += value(said, "photons_from_water")
    assert value(said, "I_pixel_final") == pytest.approx(photons, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("name", WORKED)
def test_the_worked_pixels_of_the_specification_are_traced_to_their_values(name, tmp_path, monkeypatch):
    """Every geometric value, every term, by place in the loops."""
    monkeypatch.chdir(tmp_path)
    box = range(-8, 9)
    lines = (f"{h} {k} {l} {20 + (17 * h + 31 * k + 47 * l) % 101}" for h in box for k in box for l in box)
    (tmp_path / "formula.hkl").write_text("\n".join(lines) + "\n")
    if name == "lysozyme":
        if not (REAL / "scaled.hkl").exists():
            pytest.skip("needs the lysozyme data set (TILESIM_LYSOZYME)")
        for path in ("A.mat", "scaled.hkl"):
            shutil.copy(REAL / path, tmp_path)
    case = WORKED[name]
    command = read_command(shlex.split(case["arguments"]), strict_c=True)
    setup, terms = case["setup"], 0
    for pixel in case["pixels"]:
        said = traced(command, pixel["s"], pixel["f"])
        for ours, theirs in SETUP.items():
            np.testing.assert_allclose(value(said, ours), setup[theirs], rtol=1e-9, atol=1e-15, err_msg=ours)
        for theirs, at, expected in worked(pixel):
            ours, factor = PIXEL[theirs]
            found = [one.values for one in said if one.name == ours and dict(one.place) == at]
            assert len(found) == 1, (ours, at)
            np.testing.assert_allclose(found[0], np.atleast_1d(expected) * factor, rtol=1e-9, atol=1e-15, err_msg=ours)
            terms += 1
        for theirs, ours in FINAL.items():
            assert value(said, ours) == pytest.approx(pixel["final"][theirs], rel=1e-9), ours
    assert terms > 10


SETUP = {
    "beam_vec": "beam_vector",
    "fdet_after_twotheta": "fdet_vector",
    "sdet_after_twotheta": "sdet_vector",
    "odet_after_twotheta": "odet_vector",
    "twotheta_axis": "twotheta_axis",
    "pix0_vector": "pix0_vector_m",
    "close_distance_final_m": "close_distance_m",
    "ratio": "ratio",
    "Fbeam_final_m": "Fbeam_m",
    "Sbeam_final_m": "Sbeam_m",
    "Xbeam_m": "Xbeam_m",
    "a_star_A_inv": "a_star_per_A",
    "c_star_A_inv": "c_star_per_A",
    "b0_meters": "b0_m",
    "V_cell": "V_cell_A3",
    "fluence_photons_per_m2": "fluence_per_m2",
    "steps": "steps",
}
PIXEL = {
    "pixel_pos_m": ("pixel_pos_meters", 1.0),
    "airpath_m": ("R_distance_meters", 1.0),
    "diffracted": ("diffracted_vec", 1.0),
    "omega_in_use": ("omega_pixel_sr", 1.0),
    "capture_fraction_in_use": ("capture_fraction_in_use", 1.0),
    "scattering_per_m": ("scattering_vec_A_inv", 1.0),
    "hkl": ("hkl_frac", 1.0),
    "hkl0": ("hkl_rounded", 1.0),
    "F_latt": ("F_latt", 1.0),
    "F_cell": ("F_cell", 1.0),
    "a_m": ("rot_a_angstroms", 1e10),
    "obliquity": ("obliquity_factor", 1.0),
    "incident": ("incident_vec", 1.0),
    "lambda_m": ("lambda_angstroms", 1e10),
    "polar_in_use": ("polar_in_use", 1.0),
    "term": ("I_term", 1.0),
    "b_m": ("rot_b_angstroms", 1e10),
}
FINAL = {
    "I_accumulated": "I_before_scaling",
    "steps": "steps",
    "polar": "polar",
    "omega": "omega_pixel",
    "capture_fraction": "capture_fraction",
    "value_double": "I_pixel_final",
}


def worked(pixel):
    """(their name, place in the loops, value) of everything in a vector that we trace."""
    for sub in pixel["subpixels"]:
        at = {"layer": sub["layer"], "subpixel_slow": sub["subS"], "subpixel_fast": sub["subF"]}
        yield from ((name, at, sub[name]) for name in PIXEL if name in sub)
        for source in sub["sources"]:
            beside = {**at, "source": source["source"]}
            yield from ((name, beside, source[name]) for name in PIXEL if name in source)
            for term in source["terms"]:
                here = {**beside, "phi_step": term["phi_index"], "mosaic_domain": term["mosaic_index"]}
                yield from ((name, here, term[name]) for name in PIXEL if name in term and not term.get("skipped"))
