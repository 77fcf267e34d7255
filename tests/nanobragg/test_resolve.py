"""Command lines to experiments: worked vectors of the reference, and both modes of the corrections."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tilesim.errors import InputError
from tilesim.model.vectors import dot, norm
from tilesim.nanobragg.headers import smv_header
from tilesim.nanobragg.resolve import read_command
from tilesim.reflections.fdump import write_fdump

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "trace-vectors.json").read_text())
TINY = "-cell 50 60 70 90 90 90 -default_F 1 -N 3 -oversample 1 -detpixels 4 -pixel 1"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working folder with the files that the vectors name."""
    monkeypatch.chdir(tmp_path)
    rows = VECTORS["files"]["A.mat"]["rows"]
    Path("A.mat").write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
    Path("C.mat").write_text("# a* b* c*\n" + Path("A.mat").read_text())
    head = b"{\nHEADER_BYTES=512;\nSIZE1=4;\nSIZE2=4;\nPIXEL_SIZE=1;\nBYTE_ORDER=little_endian;\n}\f".ljust(512)
    Path("m.img").write_bytes(head + bytes([0, 0] + 15 * [1, 0]))
    Path("all.img").write_bytes(head + bytes(16 * [1, 0]))
    indices = range(-8, 9)
    Path("formula.hkl").write_text(
        "".join(
            f"{h} {k} {m} {20 + (17 * h + 31 * k + 47 * m) % 101}\n" for h in indices for k in indices for m in indices
        )
    )
    return tmp_path


def run(text, strict_c=False, **options):
    return read_command(text.split(), strict_c, **options)


def tiny(text="", *, strict_c=False, **options):
    return run(f"{TINY} {text}", strict_c, **options)


def close(expected):
    return pytest.approx(expected, rel=1e-9, abs=1e-15)


def check_geometry(geometry, expected):
    assert geometry.convention == expected["convention"].lower()
    assert geometry.pivot == expected["pivot"].lower()
    for name in ("beam", "fdet", "sdet", "odet", "polar", "vert", "spindle"):
        assert getattr(geometry, name) == close(expected[f"{name}_vector"]), name
    assert geometry.twotheta_axis == close(expected["twotheta_axis"])
    assert geometry.pix0 == close(expected["pix0_vector_m"])
    for name in ("distance", "close_distance", "Xbeam", "Ybeam", "Fbeam", "Sbeam", "Fclose", "Sclose"):
        assert getattr(geometry, name) == close(expected[f"{name}_m"]), name
    for name in ("ORGX", "ORGY", "ratio", "dials_origin_mm"):
        assert getattr(geometry, name) == close(expected[name]), name


def cases(kind):
    entries = VECTORS["setup_cases"][kind]
    return pytest.mark.parametrize("case", entries, ids=[str(n) for n in range(len(entries))])


def strict(case):
    return run(case["arguments"] + " -default_F 1", True)


@cases("geometry")
def test_detector_vectors(case):
    check_geometry(strict(case).geometry, case)


@cases("crystal")
def test_crystal_vectors(case):
    command = strict(case)
    crystal = command.experiment.crystal
    assert case["printed"] in command.report
    for name, star in zip("abc", crystal.reciprocal, strict=True):
        # nanometres, so that the absolute tolerance means rounding
        assert [x * 1e9 for x in getattr(crystal, name)] == close([x * 1e9 for x in case[f"{name}_m"]])
        assert [x * 1e-10 for x in star] == close(case[f"{name}_star_per_A"])
    assert list(crystal.cells) == case["N"]


@cases("sources")
def test_source_vectors(case):
    sources = strict(case).experiment.beam.waves
    assert len(sources) == case["count"]
    for source, expected in zip(sources, case["sources"], strict=True):
        assert [-x for x in source.direction] == close(expected[:3])
        assert source.wavelength == pytest.approx(expected[3], rel=1e-12)
        assert source.weight == 1.0


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["id"])
def test_set_up_of_the_traced_runs(case):
    # The real data set is not here; its table decides nothing of the set-up.
    arguments = case["arguments"].replace("scaled.hkl", "formula.hkl")
    command = run(arguments, True)
    experiment, expected = command.experiment, case["setup"]
    panel, sensor = experiment.detector.panels[0], experiment.detector.panels[0].sensor
    check_geometry(command.geometry, expected)
    for name in "abc":
        assert [x * 1e9 for x in getattr(experiment.crystal, name)] == close([x * 1e9 for x in expected[f"{name}0_m"]])
    assert experiment.crystal.cells == (expected["Na"], expected["Nb"], expected["Nc"])
    assert experiment.beam.wavelength == close(expected["lambda0_m"])
    assert experiment.beam.fluence == pytest.approx(expected["fluence_per_m2"], rel=1e-12)
    assert experiment.steps == expected["steps"]
    assert experiment.sampling.oversample == expected["oversample"]
    assert panel.pixel_size == close(expected["pixel_size_m"])
    assert panel.shape == (expected["spixels"], expected["fpixels"])
    assert experiment.scan.start == close(expected["phi0_rad"])
    assert experiment.scan.step == close(expected["phistep_rad"])
    assert experiment.scan.steps == expected["phisteps"]
    assert experiment.layers == expected["detector_thicksteps"]
    assert (sensor.layer_thickness if sensor else 0) == close(expected["detector_thickstep_m"])
    assert (sensor.attenuation if sensor else -1) == close(expected["detector_mu_per_m"])
    assert experiment.sampling.interpolate == bool(expected["interpolate_initial"])
    assert experiment.factors.default == expected["default_F"]
    assert experiment.crystal.fudge == expected["fudge"]
    assert experiment.water_size == close(expected["water_size_m"])
    assert experiment.sampling.dmin == close(expected["dmin_m"])
    assert experiment.beam.kahn_factor == (None if expected["nopolar"] else expected["kahn_factor"])
    for rotation, matrix in zip(experiment.crystal.mosaic_rotations, expected["mosaic_umats_rowmajor"], strict=True):
        assert rotation == close(matrix)
    for source, row in zip(experiment.beam.waves, expected["sources"], strict=True):
        assert [-x for x in source.direction] == close(row["direction_to_source"])
        assert source.wavelength == pytest.approx(row["lambda_m"], rel=1e-12)
    assert panel.curved_radius == (command.geometry.distance if "-curved_det" in arguments else None)


def test_k6_makes_the_requested_cell():
    oblique = "-cell 50 60 70 80 95 110 -misset 10 20 30"
    crystal = tiny(oblique).experiment.crystal
    vectors = (crystal.a, crystal.b, crystal.c)
    assert [norm(v) * 1e10 for v in vectors] == pytest.approx([50, 60, 70], rel=1e-12)
    angles = [
        math.degrees(math.acos(dot(u, v) / norm(u) / norm(v)))
        for u, v in ((crystal.b, crystal.c), (crystal.a, crystal.c), (crystal.a, crystal.b))
    ]
    assert angles == pytest.approx([80, 95, 110], abs=1e-9)
    for n, star in enumerate(crystal.reciprocal):
        assert [dot(star, v) for v in vectors] == pytest.approx([float(n == m) for m in range(3)], abs=1e-12)
    assert "K6" in tiny(oblique).corrections
    assert "Unit Cell: 50 60 70 79.967 95.0168 110.004" in tiny(oblique, strict_c=True).report


def test_k6_does_not_touch_cells_that_are_exact():
    for cell in ("50 60 70 90 100 90", "50 60 70"):
        assert "K6" not in tiny(f"-cell {cell}").corrections
        assert tiny(f"-cell {cell}").experiment.crystal.a == tiny(f"-cell {cell}", strict_c=True).experiment.crystal.a
    assert "K6" not in tiny("-cell 27 31 34 89 71 68 -mat A.mat").corrections


def test_k4_layers():
    text = "-detector_thick 100 -detector_abs 50 -thicksteps 4"
    exact, reference = tiny(text), tiny(text, strict_c=True)
    assert exact.experiment.detector.panels[0].sensor.layer_thickness == pytest.approx(25e-6)
    assert reference.experiment.detector.panels[0].sensor.layer_thickness == pytest.approx(100e-6 / 3)
    assert "K4" in exact.corrections
    assert "K4" in tiny("-detector_thick 100 -detector_abs 50 -thicksteps 1").corrections
    assert tiny("-detector_thick 100").experiment.detector.panels[0].sensor.attenuation == pytest.approx(1e4)


def test_k7_weights():
    Path("s.txt").write_text("-10 0 0 3 1e-10\n-10 1 0 1 1.1e-10\n")
    command = tiny("-sourcefile s.txt")
    assert [s.weight for s in command.experiment.beam.waves] == [1.5, 0.5]
    assert "K7" in command.corrections
    assert [s.weight for s in tiny("-sourcefile s.txt", strict_c=True).experiment.beam.waves] == [1, 1]
    Path("s.txt").write_text("-10 0 0 7 1e-10\n-10 1 0 7\n")
    command = tiny("-sourcefile s.txt")
    assert [s.weight for s in command.experiment.beam.waves] == [1, 1]
    assert "K7" not in command.corrections


@pytest.mark.parametrize("weights", ["0 0", "1 -1", "-1 -1", "1e308 1e308"])
def test_weights_that_cannot_be_scaled(weights):
    first, second = weights.split()
    Path("s.txt").write_text(f"-10 0 0 {first} 1e-10\n-10 1 0 {second} 1e-10\n")
    with pytest.raises(InputError, match=r"s\.txt: .*weight.* expected .*zero or more"):
        tiny("-sourcefile s.txt")
    assert [s.weight for s in tiny("-sourcefile s.txt", strict_c=True).experiment.beam.waves] == [1, 1]


def test_k9_nopolar():
    text = "-polar 0.7 -nopolar -oversample_polar"
    assert tiny(text).experiment.beam.kahn_factor is None
    assert "K9" in tiny(text).corrections
    assert tiny(text, strict_c=True).experiment.beam.kahn_factor == 0.7
    assert tiny("-nopolar", strict_c=True).experiment.beam.kahn_factor is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("-phi 0 -osc 1 -phisteps 2", "K1"),
        ("-phi -1 -osc 2 -phisteps 2", "K1"),
        ("-oversample 2 -oversample_omega", "K2"),
        ("-oversample_thick", "K2"),
        ("-water 5 -fluence 1e20", "K5"),
        ("-water 5 -dmin 2", "K5"),
        ("-misset_seed 1 -seed 2 -adc 3", "K8"),
        ("-intfile x.img", "K12"),
        ("", "K14"),
        ("-mat C.mat", "K10"),
        ("-mask m.img", "K16"),
    ],
)
def test_corrections_that_matter(text, number):
    assert number in tiny(text).corrections
    assert tiny(text, strict_c=True).corrections == ()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("-phi 1 -osc 1 -phisteps 2", "K1"),
        ("-phi 0", "K1"),
        ("-osc 0", "K1"),
        ("-oversample_omega", "K2"),
        ("-water 5", "K5"),
        ("-floatfile x.bin", "K14"),
        ("-mat A.mat", "K10"),
        ("-mask all.img", "K16"),
    ],
)
def test_corrections_that_do_not_matter(text, number):
    assert number not in tiny(text).corrections


def files(command):
    outputs = command.outputs
    return outputs.float_file, outputs.int_file, outputs.noise_file, outputs.pgm_file


@pytest.mark.parametrize(
    ("text", "default", "reference"),
    [
        ("", ("floatimage.bin", None, None, None), ("floatimage.bin", "intimage.img", "noiseimage.img", "image.pgm")),
        ("-intfile i", (None, "i", None, None), ("floatimage.bin", "i", "noiseimage.img", "image.pgm")),
        ("-noisefile n -nopgm", (None, None, "n", None), ("floatimage.bin", "intimage.img", "n", None)),
        (
            "-noisefile n -nonoise",
            ("floatimage.bin", None, None, None),
            ("floatimage.bin", "intimage.img", None, "image.pgm"),
        ),
        (
            "-nopgm -pgmscale 2",
            (None, None, None, "image.pgm"),
            ("floatimage.bin", "intimage.img", "noiseimage.img", "image.pgm"),
        ),
    ],
)
def test_k14_outputs(text, default, reference):
    assert files(tiny(text)) == default
    assert files(tiny(text, strict_c=True)) == reference


def test_k13_cache():
    bare = "-cell 50 60 70 90 90 90 -oversample 1 -detpixels 4 -pixel 1 -N 3"
    table = f"{bare} -hkl formula.hkl"
    assert run(table).cache_file is None
    assert run(table, write_fdump=True).cache_file == "Fdump.bin"
    command = run(table, True)
    assert command.cache_file == "Fdump.bin"
    write_fdump("Fdump.bin", command.experiment.factors)
    assert tiny().experiment.factors.empty
    assert not tiny(strict_c=True).experiment.factors.empty
    command = run(bare)
    assert "K13" in command.corrections
    assert np.array_equal(command.experiment.factors.grid, run(table).experiment.factors.grid)
    Path("Fdump.bin").unlink()
    with pytest.raises(InputError, match="structure factors"):
        run(bare)


def test_region_is_half_open():
    region = tiny("-roi 1 2 0 -1").experiment.sampling.roi
    assert (region.fast_start, region.fast_stop, region.slow_start, region.slow_stop) == (1, 3, 0, 5)
    assert tiny("-roi 1 2 0 -1").experiment.rendered_pixels == 8
    assert tiny("-roi 3 1 0 3").experiment.rendered_pixels == 0
    assert any("no pixel" in line for line in tiny("-roi 3 1 0 3").warnings)


def test_mask():
    words = np.ones((4, 4), dtype="<u2")
    words[1, 2] = 0
    Path("mask.img").write_bytes(smv_header(tiny(), tiny().experiment) + words.tobytes())
    experiment = tiny("-mask mask.img").experiment
    assert experiment.rendered_pixels == 15
    assert not experiment.mask.active[1, 2]
    with pytest.raises(InputError, match=r"mask\.img"):
        tiny("-mask mask.img -detpixels_f 5")
    with pytest.raises(InputError, match=r"mask\.img"):
        tiny("-mask mask.img -detpixels_f 5", strict_c=True)
    assert not tiny("-mask mask.img -detpixels_f 2", strict_c=True).experiment.mask.active[3, 0]
    assert tiny("-mask mask.img", strict_c=True).report[0] == "reading mask.img"


def test_a_missing_mask():
    with pytest.raises(InputError, match="absent"):
        tiny("-mask absent.img")
    command = tiny("-mask absent.img", strict_c=True)
    assert command.experiment.mask is None
    assert "absent.img" not in "\n".join(command.report)


def test_sample_size_makes_cells_and_is_clipped_to_the_beam():
    command = tiny("-samplesize 0.0001 -beamsize 0.00005")
    assert command.experiment.crystal.cells == (20, 9, 8)
    assert any("cut to the beam" in line for line in command.warnings)
    assert "WARNING: clipping sample (1e-07 m high) with beam (5e-08 m)" in command.report


def test_flux_wins_over_fluence():
    assert tiny("-flux 1e12 -fluence 5 -exposure 2 -beamsize 0.1").experiment.beam.fluence == pytest.approx(2e20)
    assert tiny("-flux 1e12 -fluence 5 -exposure 0").experiment.beam.fluence == 5
    with pytest.raises(InputError, match="-beamsize"):
        tiny("-flux 1e12 -beamsize 0")


def test_k11_matrix():
    rest = "-default_F 1 -detpixels 4 -pixel 1 -mat"
    Path("short.mat").write_text("1 2 3\n")
    Path("flat.mat").write_text("1 0 0\n0 1 0\n1 1 0\n")
    for name in ("absent.mat", "short.mat", "flat.mat"):
        for strict_c in (False, True):
            with pytest.raises(InputError, match="mat"):
                run(f"{rest} {name}", strict_c)
    cell = "-cell 50 60 70 90 90 90"
    for name in ("absent.mat", "short.mat"):
        with pytest.raises(InputError, match=name):
            run(f"{rest} {name} {cell}")
        run(f"{rest} {name} {cell}", True)
    assert "reading absent.mat" not in run(f"{rest} absent.mat {cell}", True).report
    assert "reading short.mat" in run(f"{rest} short.mat {cell}", True).report


@pytest.mark.parametrize(
    "text",
    [
        "-distance 0",
        "-cell 50 60 70 10 20 170",
        "-cell 50 60 70 90 90 180",
        "-cell 0",
        "-pixel 0",
        "-hdivrange 2 -hdivstep 2 -hdivsteps 1 -vdivrange 2 -vdivstep 2 -vdivsteps 1",
        "-osc 0 -phistep 0.5",
        "-oversample 60000",
        "-detpixels 2000000",
    ],
)
def test_impossible_requests(text):
    with pytest.raises(InputError) as error:
        tiny(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("flag", ["-twotheta", "-detector_roty", "-misset 0 0", "-vdivrange", "-phi", "-mosaic"])
@pytest.mark.parametrize("strict_c", [False, True])
def test_angles_are_finite(flag, strict_c):
    with pytest.raises(InputError):
        tiny(f"{flag} inf", strict_c=strict_c)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("-pix0_vector 1 2 3", "-pix0_vector"),
        ("-xds -Xbeam 1", "Xbeam"),
        ("-Xclose 1", "-Xclose"),
        ("-ORGX 1", "ORGX"),
        ("-mosflm -pivot sample", "-pivot"),
        ("-close_distance 50 -distance 60", "-distance"),
        ("-distance -250", "-distance -250 is taken as 250"),
        ("-twotheta 5", "-twotheta"),
        ("-xds -curved_det -nopolar", "-curved_det"),
        ("-phisteps 5 -phistep 0.1", "-phisteps"),
        ("-hdivsteps 3", "-hdivrange"),
        ("-misset random", "-misset_seed"),
        ("-detector_abs inf -detector_thick 100", "zero"),
        ("-xtalsize 0.0001 -N 1", "interpolation"),
        ("-N 0", "taken as one"),
        ("-Nb -3", "along b (-N"),
        ("-roi 50 60 0 3", "the image is zero"),
        ("-cell 0.5 60 20000 90 90 90", "below 1 or above 10000 A: a = 0.5, c = 20000"),
    ],
)
def test_warnings(text, word):
    for strict_c in (False, True):
        assert any(word in line for line in tiny(text, strict_c=strict_c).warnings)


@pytest.mark.parametrize("flags, said", [("", 0), (" -ORGX 5", 1)])
def test_a_header_that_states_the_place_in_two_ways_is_no_surprise(tmp_path, flags, said):
    header = "{\nHEADER_BYTES=512;\nSIZE1=8;\nSIZE2=8;\nBEAM_CENTER_X=0.4;\nBEAM_CENTER_Y=0.4;\nXDS_ORGX=5;\n}\f"
    (tmp_path / "i.img").write_bytes(header.ljust(512).encode() + bytes(128))
    warnings = tiny(f"-img {tmp_path / 'i.img'}{flags}").warnings
    assert len([line for line in warnings if "ORGX and ORGY do not move" in line]) == said


@pytest.mark.parametrize("strict_c", [False, True])
def test_an_unlikely_matrix_is_said(folder, strict_c):
    rest = "-mat B.mat -default_F 1 -N 3 -oversample 1 -detpixels 4 -pixel 1"

    def warnings(matrix, flags=""):
        (folder / "B.mat").write_text(matrix)
        said = run(f"{rest} {flags}", strict_c).warnings
        return [line for line in said if "recommended" not in line]

    right = "0.02 0 0\n0 0.02 0\n0 0 0.02\n"
    assert warnings(right) == []
    (line,) = warnings("0 0.02 0\n0.02 0 0\n0 0 0.02\n")
    assert "left-handed" in line and "volume of -125000 A^3" in line
    (line,) = warnings("4 0 0\n0 0.02 0\n0 0 0.02\n")
    assert "a = 0.25" in line and "-lambda" in line
    line, unusual = warnings(right, "-lambda 1000")
    assert "a = 50000, b = 50000, c = 50000" in line and unusual == "the wavelength is 1000 A"
    assert not any("taken as one" in line for line in tiny("-N 0 -samplesize 0.001", strict_c=strict_c).warnings)


def test_random_misset_follows_its_seed():
    text = "-misset_seed 7 -misset random"
    assert tiny(text).experiment.crystal == tiny(text).experiment.crystal
    assert tiny(text).experiment.crystal != tiny(text.replace("7", "8")).experiment.crystal


def test_commands_keep_what_the_noise_needs():
    command = tiny("-seed 5 -adc 10 -noisefile n.img")
    assert (command.outputs.seed, command.outputs.adc) == (5, 10.0)
    hash(command.noise_state)
    assert command.arguments[0] == "-cell"
