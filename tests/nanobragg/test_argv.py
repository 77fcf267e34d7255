"""Argument lists to settings: every flag, the reference's matching rules, and ours with its errors."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilesim.errors import InputError
from tilesim.model.shape import Shape
from tilesim.nanobragg.argv import read_settings, settings_differ
from tilesim.nanobragg.flags import FLAGS, GROUPS, flag_help
from tilesim.nanobragg.settings import RTD, Settings
from tilesim.nanobragg.values import atoi


def read(text, **options):
    return read_settings(text.split(), **options)


def strict(text):
    return read(text, strict_c=True)


def changed(result):
    """The fields that are not as they are without any flag."""
    return {name: value for name, value in vars(result).items() if value != getattr(Settings(), name)}


def refusal(text):
    with pytest.raises(InputError) as caught:
        read(text)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


DEGREE = 1 / RTD
VECTOR = (0.1, -2.0, 3.0)

# Spellings, values, and what they set.
EFFECTS = [
    ("-N", "7", {"cells": [7, 7, 7]}),
    ("-Na", "7", {"cells": [7, 1, 1]}),
    ("-Nb", "7", {"cells": [1, 7, 1]}),
    ("-Nc", "-7", {"cells": [1, 1, -7]}),
    ("-cell", "10 20 30 90 45 180", {"cell": [10, 20, 30, 90 / RTD, 45 / RTD, 180 / RTD]}),
    ("-mat -matrix", "A.mat", {"matrix_file": "A.mat"}),
    ("-misset", "1 -2 3", {"misset": (1 / RTD, -2 / RTD, 3 / RTD)}),
    ("-misset", "random", {"misset": "random"}),
    ("-misset_seed", "5", {"misset_seed": -5}),
    ("-samplesize -sample_size -xtalsize -xtal_size", "3", {"sample_size": [3e-3, 3e-3, 3e-3]}),
    ("-sample_thick -sample_thickness -sample_x -xtal_thick -xtal_x", "3", {"sample_size": [3e-3, 0, 0]}),
    ("-sample_width -sample_y -xtal_width -xtal_y -width", "3", {"sample_size": [0, 3e-3, 0]}),
    ("-sample_heigh -sample_height -sample_z -xtal_heigh -xtal_z -heigh -height", "3", {"sample_size": [0, 0, 3e-3]}),
    ("-round_xtal", "", {"shape": Shape.ROUND}),
    ("-gauss_xtal", "", {"shape": Shape.GAUSS}),
    ("-binary_spots -tophat_spots", "", {"shape": Shape.TOPHAT}),
    ("-square_xtal", "", {}),
    ("-fudge", "2.5", {"fudge": 2.5}),
    ("-mosaic -mosaici -mosaicity -mosaic_spr -mosaic_spread", "2", {"mosaic_spread": 2 / RTD}),
    ("-mosaic_dom -mosaic_domains", "9", {"mosaic_domains": 9}),
    ("-mosaic_seed", "9", {"mosaic_seed": -9}),
    ("-hdiv -vdiv -dispstep", "9", {}),
    ("-density -sample_den -sample_density -MW -molec -molecular_weight", "9", {}),
    ("-lambda -wave -wavelength", "0.98", {"wavelength": 0.98 / 1e10}),
    ("-energy", "11123", {"wavelength": (12398.42 / 11123) / 1e10}),
    ("-fluence", "1e24", {"fluence": 1e24}),
    ("-flux", "1e12", {"flux": 1e12}),
    ("-exposure", "0.3", {"exposure": 0.3}),
    ("-beamsize", "0.02", {"beamsize": 0.02 / 1000}),
    ("-polar", "0.97", {"kahn_factor": 0.97}),
    ("-nopolar", "", {"nopolar": True}),
    ("-dispersion", "3", {"dispersion": 0.03}),
    ("-dispsteps", "3", {"dispersion_steps": 3}),
    ("-divergence", "3", {"hdiv_range": 3e-3, "vdiv_range": 3e-3}),
    ("-hdivrange", "3", {"hdiv_range": 3e-3}),
    ("-vdivrange", "3", {"vdiv_range": 3e-3}),
    ("-hdivstep", "3", {"hdiv_step": 3e-3}),
    ("-vdivstep", "3", {"vdiv_step": 3e-3}),
    ("-hdivsteps", "3", {"hdiv_steps": 3}),
    ("-vdivsteps", "3", {"vdiv_steps": 3}),
    ("-divsteps", "3", {"hdiv_steps": 3, "vdiv_steps": 3}),
    ("-square_div", "", {"round_div": False}),
    ("-round_div", "", {}),
    ("-sourcefile", "s.txt", {"source_file": "s.txt"}),
    ("-water", "2", {"water_size": 2 / 1e6}),
    ("-coherent", "", {}),
    ("-source_distance -source_depth", "2", {}),
    ("-pixel -pixelsize -pixel_size", "0.172", {"pixel_size": 0.172 / 1000}),
    ("-detsize", "50", {"detsize_fast": 0.05, "detsize_slow": 0.05}),
    ("-detsize_f -detsize_fast", "50", {"detsize_fast": 0.05}),
    ("-detsize_s", "50", {"detsize_slow": 0.05}),
    ("-detpixels", "64", {"pixels_fast": 64, "pixels_slow": 64}),
    ("-detpixels_f -detpixels_x", "64", {"pixels_fast": 64}),
    ("-detpixels_s -detpixels_y", "64", {"pixels_slow": 64}),
    ("-distance", "95", {"distance": 0.095}),
    ("-close_distance", "95", {"close_distance": 0.095, "pivot": "sample"}),
    ("-Xbeam", "9.3", {"xbeam": 9.3 / 1000}),
    ("-Ybeam", "9.3", {"ybeam": 9.3 / 1000}),
    ("-Xclose", "9.3", {"xclose": 9.3 / 1000, "pivot": "sample"}),
    ("-Yclose", "9.3", {"yclose": 9.3 / 1000, "pivot": "sample"}),
    ("-ORGX", "9.3", {"orgx": 9.3, "pivot": "sample"}),
    ("-ORGY", "9.3", {"orgy": 9.3, "pivot": "sample"}),
    ("-pivot", "sample", {"pivot": "sample"}),
    ("-pivot", "beam", {}),
    ("-twotheta", "18", {"twotheta": 18 / RTD, "pivot": "sample"}),
    ("-detector_rotx", "18", {"detector_rotation": [18 / RTD, 0, 0]}),
    ("-detector_roty", "18", {"detector_rotation": [0, 18 / RTD, 0]}),
    ("-detector_rotz", "18", {"detector_rotation": [0, 0, 18 / RTD]}),
    ("-roi", "11 47 -1 33", {"roi": [11, 47, -1, 33]}),
    ("-curved_det -curved_detector", "1", {"curved": True}),
    ("-point_pixel", "", {"point_pixel": True}),
    ("-oversample", "4", {"oversample": 4}),
    ("-oversample_thick", "", {"oversample_thick": True}),
    ("-oversample_polar", "", {"oversample_polar": True}),
    ("-oversample_omega", "", {"oversample_omega": True}),
    ("-dmin", "6.5", {"dmin": 6.5 * 1e-10}),
    ("-mosflm", "", {}),
    ("-adxv", "", {"convention": "adxv"}),
    ("-denzo", "", {"convention": "denzo"}),
    ("-dials", "", {"convention": "dials"}),
    ("-xds", "", {"convention": "xds", "pivot": "sample"}),
    ("-fdet_vector", "0.1 -2 3", {"convention": "custom", "vectors": {"fdet": VECTOR}}),
    ("-sdet_vector", "0.1 -2 3", {"convention": "custom", "vectors": {"sdet": VECTOR}}),
    ("-odet_vector", "0.1 -2 3", {"convention": "custom", "vectors": {"odet": VECTOR}}),
    ("-beam_vector", "0.1 -2 3", {"convention": "custom", "vectors": {"beam": VECTOR}}),
    ("-polar_vector", "0.1 -2 3", {"convention": "custom", "vectors": {"polar": VECTOR}}),
    ("-spindle_axis", "0.1 -2 3", {"convention": "custom", "vectors": {"spindle": VECTOR}}),
    ("-twotheta_axis", "0.1 -2 3", {"convention": "custom", "vectors": {"twotheta": VECTOR}}),
    ("-pix0_vector -pix0_vector_mm", "0.1 -2 3", {"convention": "custom"}),
    ("-phi", "33", {"phi": 33 / RTD}),
    ("-osc", "2.4", {"osc": 2.4 / RTD}),
    ("-phistep", "1.1", {"phistep": 1.1 / RTD}),
    ("-phisteps", "6", {"phisteps": 6}),
    ("-detector_abs -detector_absorb", "250", {"attenuation": 1.0 / (250 * 1e-6)}),
    ("-detector_abs", "inf", {"attenuation": 0.0}),
    ("-detector_abs", "0", {"attenuation": 0.0}),
    ("-detector_thick", "600", {"thickness": 600 * 1e-6}),
    ("-detector_thicksteps -thicksteps", "5", {"thick_steps": 5}),
    ("-hkl", "P1.hkl", {"hkl_file": "P1.hkl"}),
    ("-default_F", "77", {"default_f": 77}),
    ("-dump", "other.bin", {"dump_file": "other.bin"}),
    ("-interpolate", "", {"interpolate": True}),
    ("-nointerpolate", "", {"interpolate": False}),
    ("-stol", "w.stol", {"stol_file": "w.stol"}),
    ("-4stol", "w.stol", {"stol_file": "w.stol", "stol_unit": 1e10 / 4}),
    ("-Q", "w.stol", {"stol_file": "w.stol", "stol_unit": 1e10 / (4 * math.pi)}),
    ("-stolout", "x.stol", {}),
    ("-floatfile -floatimage", "f.bin", {"float_file": "f.bin"}),
    ("-intfile -intimage", "i.img", {"int_file": "i.img"}),
    ("-noisefile -noiseimage", "n.img", {"noise_file": "n.img"}),
    ("-pgmfile -pgmimage", "p.pgm", {"pgm_file": "p.pgm"}),
    ("-nonoise", "", {"noise": False}),
    ("-nopgm", "", {"pgm": False}),
    ("-scale", "3e-4", {"scale": 3e-4}),
    ("-pgmscale", "3e-4", {"pgm_scale": 3e-4}),
    ("-adc -adcoffset", "13", {"adc": 13}),
    ("-seed", "42", {"seed": -42}),
    ("-seed", "-42", {"seed": 42}),
    ("-printout", "", {"printout": True}),
    ("-printout_pixel", "3 4", {"printout": True, "printout_pixel": (3, 4)}),
    ("-trace_pixel", "3 4", {"trace_pixel": (3, 4)}),
    ("-noprogress", "", {"progress": False}),
    ("-progress", "", {}),
]
EACH_SPELLING = [(f"{name} {values}", expected) for names, values, expected in EFFECTS for name in names.split()]


@pytest.mark.parametrize("text, expected", EACH_SPELLING, ids=[text for text, _ in EACH_SPELLING])
def test_each_spelling_sets_its_field_in_internal_units(text, expected):
    assert changed(read(text)) == expected


@pytest.mark.parametrize("text, expected", EACH_SPELLING, ids=[text for text, _ in EACH_SPELLING])
def test_strict_reading_agrees_unless_a_token_matches_twice(text, expected):
    if text.startswith("-twotheta_axis"):
        expected = {**expected, "twotheta": 0.1 / RTD, "pivot": "sample"}
    assert changed(strict(text)) == expected


def test_no_name_of_the_table_is_left_untested():
    tested = [text.split()[0] for text, _ in EACH_SPELLING]
    names = [name for flag in FLAGS for name in flag.names if not flag.header]
    assert set(names) <= set(tested)


def test_help_has_one_line_for_every_flag():
    groups = flag_help()
    assert tuple(group for group, _ in groups) == GROUPS
    entries = [entry for _, flags in groups for entry in flags]
    assert len(entries) == len(FLAGS)
    assert all(spelling.startswith("-") and text and "\n" not in text for spelling, text in entries)


# --- order


@pytest.mark.parametrize("strict_c", [False, True])
@pytest.mark.parametrize(
    "text, convention, pivot",
    [
        ("-xds -distance 90", "xds", "beam"),
        ("-distance 90 -xds", "xds", "sample"),
        ("-xds -beam_vector 1 0 0", "custom", "sample"),
        ("-beam_vector 1 0 0 -xds", "xds", "sample"),
        ("-twotheta 3 -mosflm", "mosflm", "beam"),
        ("-pivot sample -Xbeam 3", "mosflm", "beam"),
        ("-Xbeam 3 -Xclose 3", "mosflm", "sample"),
        ("-ORGX 3 -pivot beam", "mosflm", "beam"),
    ],
)
def test_the_last_flag_decides_convention_and_pivot(text, convention, pivot, strict_c):
    result = read(text, strict_c=strict_c)
    assert (result.convention, result.pivot) == (convention, pivot)


@pytest.mark.parametrize("strict_c", [False, True])
def test_later_flags_win(strict_c):
    assert read("-Na 5 -N 3 -Nc 9", strict_c=strict_c).cells == [3, 3, 9]
    assert read("-lambda 2 -energy 12398.42", strict_c=strict_c).wavelength == 1e-10
    assert read("-nopolar -polar 0.5", strict_c=strict_c).nopolar is False
    assert read("-polar 0.5 -nopolar", strict_c=strict_c).nopolar is True
    assert read("-nonoise -noisefile n.img", strict_c=strict_c).noise is True
    assert read("-nopgm -pgmscale 2", strict_c=strict_c).pgm is True
    assert read("-detpixels 9 -detpixels_x 0", strict_c=strict_c).pixels_fast == 0


@pytest.mark.parametrize("strict_c", [False, True])
def test_infinite_absorption_depth_clears_an_earlier_thickness_only(strict_c):
    before = read("-detector_thick 100 -detector_abs inf", strict_c=strict_c)
    assert (before.thickness, before.attenuation) == (0.0, 0.0)
    after = read("-detector_abs inf -detector_thick 100", strict_c=strict_c)
    assert (after.thickness, after.attenuation) == (100 * 1e-6, 0.0)


@pytest.mark.parametrize("strict_c", [False, True])
def test_a_short_cell_keeps_the_rest_of_an_earlier_one(strict_c):
    assert read("-cell 10 20 30 -cell 11 -nonoise", strict_c=strict_c).cell == [11, 20, 30, 0, 0, 0]


# --- the reference's matching


@pytest.mark.parametrize(
    "text, expected",
    [
        ("--lambda 2", {"wavelength": 2e-10}),
        ("-lambda=3 2", {"wavelength": 2e-10}),
        ("-lamb 2 -hdiv 3 -gauss", {}),
        ("lambda 2 -lambda", {}),
        ("-detsize_x 9 -detector_thickness 4 -polarize 1 -phi0 3 -N2 4 -mosaics 2", {}),
        ("-distance -nonoise", {"distance": 0.0, "noise": False}),
        ("-roi 1 2 3", {}),
        ("-curved_det", {}),
        ("-curved_det -xds", {"curved": True, "convention": "xds", "pivot": "sample"}),
        ("-cell", {}),
        ("-cell -xds", {"cell": [0.0] * 6, "convention": "xds", "pivot": "sample"}),
        ("-cell 10 x -3 40", {"cell": [10, 0, 0, 0, 0, 0]}),
        ("-misset 1 2", {}),
        ("-misset operands", {"misset": "random"}),
        ("-misset_seed random -seed 4", {"misset": "random", "seed": -4}),
        ("-misset_seed 5 -nopgm 7", {"misset": (5 / RTD, 0.0, 7 / RTD), "misset_seed": -5, "pgm": False}),
        ("-oversample_thick_polar 3", {"oversample_thick": True}),
        ("-N-img 3", {"image_file": "3"}),
        ("-Na-Nb-phisteps 3", {"cells": [3, 1, 1]}),
        ("-phisteps-osc 3", {"phisteps": 3, "osc": 3 / RTD}),
        ("-pivot sample_or_beam", {}),
        ("-pivot neither -xds", {"convention": "xds", "pivot": "sample"}),
        ("-detector_abs junk", {"attenuation": 0.0}),
        ("-printout_pixel 3", {"printout": True}),
        ("-N 3e3 -oversample 7.9 -phisteps x", {"cells": [3, 3, 3], "oversample": 7, "phisteps": 0}),
        ("-N 99999999999", {"cells": [1215752191] * 3}),
        ("-lambda 2e", {"wavelength": 2e-10}),
        ("-phi 0x10junk", {"phi": 16 / RTD}),
        ("-Xbeam nan -close_distance nan", {"pivot": "sample"}),
        ("-energy 0", {"wavelength": math.inf}),
    ],
)
def test_strict_matching_follows_the_reference(text, expected):
    assert changed(strict(text)) == expected


def test_strict_misset_seed_replaces_angles_and_randomness():
    result = strict("-misset random -misset_seed 3 -seed 6")
    assert result.misset == (3 / RTD, 0.0, 6 / RTD)
    assert (result.misset_seed, result.seed) == (-3, -6)
    assert strict("-misset_seed 5 -misset random").misset == "random"
    assert strict("-misset 1 2 3 -misset_seed 5").misset == (DEGREE, 2 / RTD, 3 / RTD)


def test_strict_twotheta_axis_replaces_the_angle():
    assert strict("-twotheta 15 -twotheta_axis 3 0.8 0.6").twotheta == 3 / RTD
    assert strict("-twotheta_axis 3 0.8 0.6 -twotheta 15").twotheta == 15 / RTD


@pytest.mark.parametrize("name", ["-detector_abs", "-detector_thick", "-detector_thicksteps", "-thicksteps"])
def test_strict_sensor_flag_without_value_is_an_error_where_the_reference_crashes(name):
    with pytest.raises(InputError, match=name):
        read_settings(["-N", "3", name], strict_c=True)


@pytest.mark.parametrize(
    "text, number",
    [("", 0), ("-", 0), (" +7x", 7), ("2147483648", -(2**31)), ("-99999999999999999999", 0), ("9" * 5000, -1)],
)
def test_atoi_wraps_as_c_does(text, number):
    assert atoi(text) == number


# --- our matching


def test_a_flag_fires_alone():
    result = read("-misset random -misset_seed 5 -seed 4 -twotheta 15 -twotheta_axis 3 0.8 0.6")
    assert (result.misset, result.misset_seed, result.seed) == ("random", -5, -4)
    assert result.twotheta == 15 / RTD
    assert read("-twotheta_axis 3 0.8 0.6").pivot == "beam"


def test_curved_detector_needs_no_value():
    assert read("-curved_det").curved
    assert read("-curved_det -N 3").cells == [3, 3, 3]
    assert read("-curved_det -1 -N 3").cells == [3, 3, 3]


@pytest.mark.parametrize("word", ["5\x1f", "5\n", "\x0b5", "\u00a05"])
def test_control_characters_are_no_part_of_a_number(word):
    with pytest.raises(InputError, match="-N expects"):
        read_settings(["-N", word])


def test_whole_numbers_may_be_spelled_as_reals():
    assert read("-Na 1e3 -Nb 7.0 -Nc +3").cells == [1000, 7, 3]


def test_the_cell_ends_at_a_flag():
    assert read("-cell 38.5 -xds").cell == [38.5, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "text, parts",
    [
        ("-lamda 3", ["'-lamda'", "-lambda"]),
        ("-hdivs 3", ["'-hdivs'", "-hdivstep"]),
        ("-polar 1.5", ["-polar expects a number from -1 to 1", "'1.5'"]),
        ("-lambda 1e-10", ["-lambda expects", "0.0001 to 100000 [angstrom]"]),
        ("-energy 0.0124", ["-energy expects", "[eV]"]),
        ("-N \u0665", ["-N expects"]),
        ("-N 1_0", ["-N expects", "'1_0'"]),
        ("--lambda 3", ["'--lambda'", "-lambda"]),
        ("-detsize_x 3", ["'-detsize_x'", "-detsize_f"]),
        ("-detector_thickness 3", ["'-detector_thickness'", "-detector_thick"]),
        ("-N 3 -xyzzy", ["'-xyzzy'", "-N 3"]),
        ("-lambda=3", ["-lambda", "next argument", "'-lambda=3'"]),
        ("-nonoise=3", ["-nonoise", "no value"]),
        ("file.hkl", ["expected a flag", "'file.hkl'"]),
        ("-N 5 6", ["'-N 5'", "'6'"]),
        ("-roi 1 2 3 4 -5", ["-roi 1 2 3 4", "'-5'"]),
        ("-cell 1 2 3 90 90 90 7", ["-cell", "'7'"]),
        ("-lambda", ["-lambda", "a number above 0", "nothing"]),
        ("-lambda x", ["-lambda", "[angstrom]", "'x'"]),
        ("-lambda 2A", ["-lambda", "'2A'"]),
        ("-lambda nan", ["-lambda", "'nan'"]),
        ("-lambda 1_0", ["-lambda", "'1_0'"]),
        ("-fluence inf", ["-fluence", "'inf'"]),
        ("-fluence 1e999", ["-fluence", "'1e999'"]),
        ("-distance -nonoise", ["-distance", "'-nonoise'"]),
        ("-hkl -4stol", ["-hkl", "a file name", "'-4stol'"]),
        ("-N 2.5", ["-N", "whole number", "'2.5'"]),
        ("-N 99999999999", ["-N", "32-bit"]),
        ("-roi 1 2 3", ["-roi", "4 32-bit whole numbers", "'1 2 3'"]),
        ("-roi 1 2 x 4", ["-roi", "'x'"]),
        ("-fdet_vector 1 0", ["-fdet_vector", "3 numbers", "'1 0'"]),
        ("-fdet_vector 0 0 0", ["-fdet_vector", "not all 0"]),
        ("-misset 1 2", ["-misset", "random or 3 numbers"]),
        ("-cell", ["-cell", "1 to 6 numbers", "nothing"]),
        ("-cell -nonoise", ["-cell", "nothing"]),
        ("-cell 10 -3", ["-cell", "none negative", "'10 -3'"]),
        ("-cell 0", ["-cell", "first above 0"]),
        ("-cell 10 b", ["-cell", "'b'"]),
        ("-pivot spot", ["-pivot", "sample or beam", "'spot'"]),
        ("-detector_abs", ["-detector_abs", "nothing"]),
        ("-detector_abs -3", ["-detector_abs", "0 or more", "'-3'"]),
        ("-pixel 0", ["-pixel", "above 0"]),
        ("-distance 0", ["-distance", "other than 0"]),
        ("-energy 0", ["-energy", "above 0"]),
        ("-fluence -1", ["-fluence", "0 or more"]),
        ("-detpixels -3", ["-detpixels", "0 or more"]),
        ("-detpixels 2000000", ["-detpixels", "2^40"]),
        ("-pixel 1e-190", ["-pixel", "2^40"]),
        ("-pixel 1000", ["-pixel", "half a pixel"]),
    ],
)
def test_a_mistake_is_one_line_that_names_the_flag(text, parts):
    message = refusal(text)
    assert all(part in message for part in parts), message


def test_what_the_reference_takes_as_unset_is_accepted():
    read("-osc -1 -phistep -1 -phisteps -1 -roi -1 -1 -1 -1 -oversample 0 -mosaic -1 -mosaic_dom 0 -hdivrange -1")
    read("-N 0 -beamsize -1 -exposure 0 -scale 0 -detpixels 0 -dispersion 0 -dmin 0 -flux 0 -detector_thick 0")


# --- whether the matching matters


@pytest.mark.parametrize(
    "text, differ",
    [
        ("-misset_seed 5 -misset random", False),
        ("-misset random -misset_seed 5 -N 3", True),
        ("-twotheta_axis 0 0 -1", True),
        ("-twotheta_axis 0 0 -1 -twotheta 4", False),
        ("-N 1e3 -oversample 2.0 -detector_abs INF", False),
        ("-printout_pixel 3 4 -curved_det -nonoise", False),
        ("-curved_det", True),
        ("-xds -roi 1 2 3 4 -source_distance 3", False),
    ],
)
def test_settings_differ_where_matching_alone_makes_a_difference(text, differ):
    assert settings_differ(text.split()) is differ


# --- image headers


@pytest.fixture
def header(tmp_path):
    def write(name, *items):
        path = tmp_path / name
        text = "\n".join(("{", "HEADER_BYTES=512", "BYTE_ORDER=little_endian", *items, "}\f"))
        path.write_bytes(text.replace("\n", ";\n").replace("{;", "{").encode().ljust(512))
        return str(path)

    return write


FULL = (
    "SIZE1=30",
    "SIZE2=20",
    "PIXEL_SIZE=0.5",
    "DISTANCE=80",
    "WAVELENGTH=1.5",
    "BEAM_CENTER_X=3",
    "BEAM_CENTER_Y=4",
    "ORGX=7",
    "ORGY=8",
    "PHI=9",
    "OSC_RANGE=2",
    "TWOTHETA=5",
)


@pytest.mark.parametrize("strict_c", [False, True])
def test_image_header_keys_become_settings(header, strict_c):
    path = header("a.img", *FULL)
    assert changed(read_settings(["-img", path], strict_c=strict_c)) == {
        "image_file": path,
        "pixels_fast": 30,
        "pixels_slow": 20,
        "pixel_size": 0.5 / 1000,
        "detsize_fast": 0.5 / 1000 * 30,
        "detsize_slow": 0.5 / 1000 * 20,
        "distance": 0.08,
        "wavelength": 1.5 / 1e10,
        "xbeam": 3 / 1000,
        "ybeam": 4 / 1000,
        "orgx": 7.0,
        "orgy": 8.0,
        "phi": 9 / RTD,
        "osc": 2 / RTD,
    }


@pytest.mark.parametrize("strict_c", [False, True])
def test_mask_header_counts_the_slow_beam_centre_from_the_other_edge(header, strict_c):
    result = read_settings(["-mask", header("m.img", *FULL)], strict_c=strict_c)
    assert result.ybeam == 0.5 / 1000 * 20 - 4 / 1000
    assert result.xbeam == 3 / 1000


@pytest.mark.parametrize("strict_c", [False, True])
def test_flags_beat_the_image_and_the_image_the_mask_in_any_order(header, strict_c):
    image = header("a.img", "SIZE1=30", "SIZE2=20", "WAVELENGTH=2", "PHI=3")
    mask = header("m.img", "SIZE1=10", "SIZE2=11", "WAVELENGTH=4", "PHI=5", "OSC_RANGE=6")
    result = read_settings(["-phi", "1", "-img", image, "-mask", mask], strict_c=strict_c)
    assert (result.pixels_fast, result.pixels_slow) == (30, 20)
    assert (result.phi, result.wavelength, result.osc) == (1 / RTD, 2 / 1e10, 6 / RTD)


def test_one_file_as_mask_and_image_is_read_as_both(header):
    path = header("a.img", *FULL)
    assert read_settings(["-mask", path, "-img", path]).ybeam == 4 / 1000


def test_a_key_within_another_counts(header):
    path = header("a.img", "SIZE1=30", "SIZE2=20", "DISTANCE=80", "CLOSE_DISTANCE=70")
    result = read_settings(["-img", path])
    assert (result.distance, result.close_distance) == (0.07, 0.07)


def test_a_missing_image_is_ignored_by_strict_reading_only(tmp_path):
    args = ["-img", str(tmp_path / "none.img")]
    assert set(changed(read_settings(args, strict_c=True))) == {"image_file"}
    with pytest.raises(InputError, match=re.escape("none.img")):
        read_settings(args)


@pytest.mark.parametrize(
    "item, word, remedy",
    [
        ("PIXEL_SIZE=0", "PIXEL_SIZE", "-pixel 0.1"),
        ("WAVELENGTH=0", "WAVELENGTH", "-lambda 1"),
        ("DISTANCE=0", "distance", "-distance 80"),
    ],
)
def test_senseless_header_numbers_are_refused_unless_a_flag_replaces_them(header, item, word, remedy):
    args = ["-img", header("a.img", "SIZE1=30", "SIZE2=20", item)]
    with pytest.raises(InputError, match=word):
        read_settings(args)
    read_settings([*args, *remedy.split()])


def test_an_infinite_header_number_is_refused(header):
    with pytest.raises(InputError, match="PHI"):
        read_settings(["-img", header("a.img", "SIZE1=30", "SIZE2=20", "PHI=inf")])


# --- anything at all

TOKENS = st.one_of(
    st.sampled_from([name for flag in FLAGS for name in flag.names]),
    st.sampled_from(
        ["random", "inf", "nan", "-1", "0", "1e400", "1e-400", "beam", "0x1p9999999999", "-", "", "9" * 400]
    ),
    st.floats().map(repr),
    st.integers().map(str),
    st.text(max_size=12),
    st.text("-abcNimgskro_=e5.", max_size=12),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(TOKENS, max_size=12))
def test_any_tokens_give_settings_or_an_input_error(tokens):
    for read_any in (
        read_settings,
        lambda args: read_settings(args, strict_c=True),
        settings_differ,
    ):
        try:
            result = read_any(tokens)
        except InputError as error:
            assert len(str(error).splitlines()) == 1
        else:
            assert isinstance(result, Settings | bool)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from([flag for flag in FLAGS if not flag.header]), st.lists(TOKENS, max_size=6))
def test_numbers_that_are_accepted_stay_finite(flag, tokens):
    try:
        result = read_settings([flag.names[0], *tokens])
    except InputError:
        return
    assert all(math.isfinite(value) for value in vars(result).values() if isinstance(value, float))
