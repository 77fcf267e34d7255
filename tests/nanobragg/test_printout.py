"""What the reference prints while it renders: its own blocks, compared line by line."""

import itertools
import math

import pytest

from tilesim.engine.job import make_job
from tilesim.kernels.tensors import find_latch, lower
from tilesim.nanobragg.printout import print_rendering, printout_lines
from tilesim.nanobragg.resolve import read_command
from tilesim.series.direct import render
from tilesim.series.frames import frames_of_command

R_E_SQUARED = 7.94079248018965e-30

SWEEP = (
    "-cell 50 60 70 80 95 105 -default_F 3 -N 4 -lambda 1.2 -distance 60 -detpixels_f 5 -detpixels_s 4 -pixel 4 "
    "-oversample 2 -phi 0 -osc 2 -phisteps 2 -mosaic_spread 1 -mosaic_domains 3 -fluence 1e24"
)
SWEEP_BLOCK = """\
   3    1 : stol = 3.53144e+08 or 0.0353144
at 0.06 0.005 0.001
hkl= -1.027665 4.233204 1.021672  hkl0= -1 4 1
 F_cell=3  F_latt=4.86068   I = 70435.7
I/steps     2934.822709
polar      0.9931506849
omega    0.004353433715
capfrac               1
pixel   0.0001007610772
real-space cell vectors (Angstrom):
     a           b           c         
X: 48.36290049 -0.63334374  0.42234432
Y: -11.85389771 59.19273419  0.78450399
Z: -4.52934490  9.78872283 69.99432962"""

RUNNING = (
    "-cell 50 60 70 80 95 105 -default_F 3 -N 5 -round_xtal -lambda 1.2 -distance 60 -detpixels_f 3 -detpixels_s 1 "
    "-pixel 4 -oversample 2 -oversample_thick -oversample_polar -oversample_omega -detector_thick 300 "
    "-detector_abs 200 -detector_thicksteps 2 -polar 0.6 -curved_det -water 3 -dispersion 2 -dispsteps 2 "
    "-fluence 1e26 -printout"
)
CELL = """
real-space cell vectors (Angstrom):
     a           b           c         
X: 48.24767663 -0.00000000  0.00000000
Y: -12.37192543 59.08341460  0.00000000
Z: -4.37002990 10.44749342 70.00000000
"""
RUNNING_BLOCKS = f"""\
   0    0 : stol = 5.23101e+08 or 0.0528332
at 0.0595177 -0.0069754 0.00299875
hkl= 0.686503 -5.236540 2.886586  hkl0= 1 -5 3
 F_cell=3  F_latt=-6.3784   I = 0.278372
I/steps   0.03479648151
polar      0.9952985414
omega    0.004444444444
capfrac    0.1718429252
pixel    2.76311639e-05{CELL}\
   1    0 : stol = 2.91589e+08 or 0.0294505
at 0.0598501 -0.002995 0.00299875
hkl= 0.229898 -2.002552 2.886586  hkl0= 0 -2 3
 F_cell=3  F_latt=7.37541   I = 0.375854
I/steps   0.04698170597
polar      0.9975033306
omega    0.004444444444
capfrac    0.1728791541
pixel   3.730719618e-05{CELL}\
   2    0 : stol = 2.17394e+08 or 0.0219568
at 0.0599167 0.000998704 0.00299875
hkl= -0.405389 1.242248 2.886586  hkl0= 0 1 3
 F_cell=3  F_latt=-0.444008   I = 0.00136265
I/steps 0.0001703308212
polar      0.9979462545
omega    0.004444444444
capfrac    0.1730854591
pixel   1.352561725e-07{CELL}"""

INTERPOLATED = (
    "-cell 40 45 50 90 90 90 -hkl box.hkl -N 2 -lambda 2 -distance 60 -detpixels_f 4 -detpixels_s 1 -pixel 7 "
    "-oversample 1 -fluence 1e24 -Xbeam 5 -Ybeam 3 -hdivrange 2 -hdivsteps 2"
)
OPEN = "WARNING: further warnings will not be printed! "
WARNING = "WARNING: out of range for three point interpolation: h,k,l,h0,k0,l0: -0.393613,1.8381,4.51813,0,2,5 "
AROUND_THE_WARNING = [
    "hkl= -0.093771 1.866208 -1.269139  hkl0= 0 2 -1",
    " F_cell=57.8719  F_latt=-4.6361   I = 163576",
    "hkl= -0.112915 1.864413 1.632256  hkl0= 0 2 2",
    " F_cell=58.2186  F_latt=2.75751   I = 74312.5",
    WARNING,
    OPEN + "   2    0 : stol = 4.93734e+08 or 0.0495998",
    "hkl= -0.393613 1.838098 4.468128  hkl0= 0 2 4",
    " F_cell=68  F_latt=0.229121   I = 242.743",
    "hkl= -0.904198 1.790231 7.135922  hkl0= -1 2 7",
    " F_cell=0  F_latt=5.49809   I = 0",
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to run in, with structure factors between -4 and 4."""
    box = range(-4, 5)
    rows = [f"{h} {k} {l} {20 + (17 * h + 31 * k + 47 * l) % 101}" for h, k, l in itertools.product(box, box, box)]
    (tmp_path / "box.hkl").write_text("\n".join(rows) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rendering(arguments: str, *, strict_c: bool = True) -> list[str]:
    """All lines up to the solid angle."""
    command = read_command([*arguments.split(), "-nonoise", "-nopgm"], strict_c)
    lines = []
    latch = find_latch(command.experiment) if strict_c else None
    unfinished = print_rendering(command.experiment, command.settings, latch, lines.append)
    return [*lines, unfinished]


def outcome(arguments: str, **options):
    command = read_command(arguments.split(), True)
    job = make_job(command.experiment, None, "double", "cpu", "eager")
    return render(frames_of_command(command)[0], job, **options).frames[0]


def test_one_pixel_with_spindle_steps_and_mosaic_domains(folder):
    assert rendering(f"{SWEEP} -printout_pixel 3 1") == [*SWEEP_BLOCK.split("\n"), ""]


def test_all_pixels_with_the_running_products(folder):
    assert rendering(RUNNING) == RUNNING_BLOCKS.split("\n")


def test_one_pixel_alone_reads_as_among_all(folder):
    every = rendering(f"{SWEEP} -printout")
    assert len(every) == 4 * 5 * 14 + 1
    assert every[8 * 14 : 9 * 14] == SWEEP_BLOCK.split("\n")
    assert rendering(f"{SWEEP} -printout_pixel -1 2") == every
    for fast, slow in ((0, 0), (4, 3)):
        start = (5 * slow + fast) * 14
        assert rendering(f"{SWEEP} -printout_pixel {fast} {slow}") == [*every[start : start + 14], ""]


def test_the_first_pixel_of_the_image_starts_unrotated(folder):
    lowered = lower(read_command([*SWEEP.split(), "-nonoise"], True).experiment, "double")
    assert printout_lines(lowered, 0, 0)[2:5] == (
        "hkl= -1.853732 5.758835 -10.319682  hkl0= -2 6 -10",
        " F_cell=3  F_latt=-0.319115   I = 3083.61",
        "I/steps     128.4836675",
    )


@pytest.mark.parametrize("pixel", ["5 0", "0 4", "0 -1", "7 0"])
def test_pixels_that_are_not_rendered_are_not_printed(folder, pixel):
    assert rendering(f"{SWEEP} -printout_pixel {pixel}") == [""]


def test_pixels_outside_the_region_are_not_printed(folder):
    assert rendering(f"{SWEEP} -roi 0 2 0 3 -printout_pixel 3 1") == [""]
    assert len(rendering(f"{SWEEP} -roi 0 2 0 3 -printout")) == 12 * 14 + 1


def test_without_the_flag_nothing_is_printed(folder):
    assert rendering(SWEEP) == [""]


def test_the_corrected_sum_has_its_own_numbers(folder):
    """The spindle sweep and the domains are others; layout and geometry stay."""
    strict, corrected = (rendering(f"{SWEEP} -printout_pixel 3 1", strict_c=strict_c) for strict_c in (True, False))
    for line in (0, 1, 5, 6, 7, 9, 10):
        assert strict[line] == corrected[line]
    assert strict[4] != corrected[4]
    value = float(corrected[8].removeprefix("pixel"))
    factors = [float(corrected[line].split()[1]) for line in (4, 5, 6, 7)]
    assert value == pytest.approx(math.prod(factors) * R_E_SQUARED * 1e24, rel=1e-7)


def test_where_dmin_rejects_everything_there_is_nothing_to_tell(folder):
    block = rendering(f"{SWEEP} -dmin 60 -printout_pixel 4 0")
    assert block[2:6] == [
        "hkl= 0.000000 0.000000 0.000000  hkl0= 0 0 0",
        " F_cell=0  F_latt=0   I = 0",
        "I/steps               0",
        "polar                 0",
    ]


def test_interpolated_and_nearest_structure_factors_around_the_warning(folder):
    lines = rendering(f"{INTERPOLATED} -printout")
    assert [line for line in lines if "F_cell" in line or "WARNING" in line or "hkl0" in line] == AROUND_THE_WARNING
    assert lines[-1] == ""


def test_the_second_line_of_the_warning_stays_open(folder):
    assert rendering(INTERPOLATED) == [WARNING, OPEN]
    assert rendering(f"{INTERPOLATED} -printout_pixel 1 0")[-2:] == [WARNING, OPEN]
    later = rendering(f"{INTERPOLATED} -printout_pixel 3 0")
    assert later[:2] == [WARNING, OPEN + "   3    0 : stol = 7.4937e+08 or 0.0751751"]
    assert later[-1] == ""
    report = outcome(f"{INTERPOLATED} -nonoise -nopgm").lines
    assert report[:2] == (WARNING, OPEN)
    assert report[2].startswith("solid angle")


def test_the_corrected_sum_does_not_warn(folder):
    assert rendering(INTERPOLATED, strict_c=False) == [""]


def test_blocks_come_before_the_solid_angle_or_are_said_at_once(folder):
    arguments = f"{SWEEP} -printout_pixel 3 1 -nonoise -nopgm"
    block = tuple(SWEEP_BLOCK.split("\n"))
    collected, said = outcome(arguments).lines, []
    assert collected[:14] == block
    assert collected[14] == ""
    assert collected[15].startswith("solid angle")
    assert outcome(arguments, say=said.append).lines == collected[14:]
    assert tuple(said) == block
