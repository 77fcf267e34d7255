"""`tilesim export`: what other readers make of the files, end to end."""

import json
import math
import sys

import fabio
import h5py
import numpy as np
import pytest
import zarr
from commands import BASE
from exported import corners, expt_corners, nxmx_corners, series, skewed, spots

import tilesim as library
from tilesim.engine.job import make_job
from tilesim.engine.work import Work, compute_here
from tilesim.geometry.axes import Axes, rotation_to
from tilesim.images.smv import read_smv_header
from tilesim.store.create import Contents, create_store
from tilesim.store.place import normal_place

RUN = ("run", *BASE, "-floatfile", "f.bin", "--zarr", "z.zarr", "--quiet")
SERIES = ("run", *BASE, "-osc", "1", "-phisteps", "2", "--frames", "3", "--zarr", "s.zarr", "--quiet")
NAMES = ("x_0001.cbf", "x_0002.cbf", "x_0003.cbf")


def pilatus_header(name):
    """The text header of a miniCBF file as fabio understands it."""
    return fabio.cbfimage.PilatusHeader(fabio.open(name).header["_array_data.header_contents"])


@pytest.fixture
def store(tilesim, folder):
    """A store of one frame, `z.zarr`, and its pixels."""
    assert tilesim(*RUN).status == 0
    return np.fromfile(folder / "f.bin", "<f4").reshape(12, 12)


@pytest.mark.parametrize("name", ["x.edf", "x.tif", "x.h5"])
def test_floats_come_back_exactly_by_fabio(tilesim, folder, store, name):
    result = tilesim("export", "z.zarr", name)
    assert (result.status, result.out, result.err) == (0, f"wrote {name}\n", "")
    assert np.array_equal(fabio.open(name).data, store)
    assert fabio.open(name).data.dtype == "f4"


def test_a_float_file_says_its_shape_and_geometry_beside_it(tilesim, folder, store):
    assert tilesim("export", "z.zarr", "x.bin").out == "wrote x.bin\nwrote x.bin.json\n"
    assert (folder / "x.bin").read_bytes() == (folder / "f.bin").read_bytes()
    beside = json.loads((folder / "x.bin.json").read_text())
    assert beside["shape"] == [12, 12] and beside["dtype"] == "<f4"
    assert beside["experiment"]["beam"]["wavelength"] == pytest.approx(1.5e-10)
    assert "-lambda" in beside["command_line"]


def test_floats_can_be_piped(folder, store, process):
    child = process("export", "z.zarr", "/dev/stdout", "--format", "float", "--quiet", text=False)
    assert child.communicate()[0] == (folder / "f.bin").read_bytes() and child.returncode == 0


def test_cbf_counts_and_header_by_fabio(tilesim, folder, store):
    assert tilesim("export", "z.zarr", "x.cbf", "--scale", "100").status == 0
    assert np.array_equal(fabio.open("x.cbf").data, np.rint(store.astype(float) * 100))
    header = pilatus_header("x.cbf")
    experiment = library.from_nanobragg(BASE)
    assert header["Wavelength"] == pytest.approx(1.5) and header["Detector_distance"] == pytest.approx(0.1)
    assert header["Pixel_size"] == (1e-3, 1e-3)
    # Where the header says that the beam arrives, the panel is met by it.
    fast, slow = header["Beam_xy"]
    panel = experiment.detector.panels[0]
    hit = np.array(panel.origin) + 1e-3 * (fast * np.array(panel.fast) + slow * np.array(panel.slow))
    assert np.allclose(hit, 0.1 * np.array(experiment.beam.direction))


def test_a_series_as_cbf_tells_the_angles_and_the_models_name_the_files(tilesim, folder):
    tilesim(*SERIES)
    result = tilesim("export", "s.zarr", "x_{image:04d}.cbf", "--round", "--expt", "x.expt")
    assert result.status == 0 and result.out.split()[1::2] == [*NAMES, "x.expt"]
    for number, name in enumerate(NAMES):
        header = pilatus_header(name)
        assert (header["Start_angle"], header["Angle_increment"]) == (number, 1)
    models = json.loads((folder / "x.expt").read_text())
    assert models["imageset"][0]["template"] == "x_####.cbf" and models["scan"][0]["image_range"] == [1, 3]
    assert models["experiment"][0]["imageset"] == 0


def test_smv_is_the_image_that_run_writes(tilesim, folder, store):
    tilesim("run", *BASE, "-intfile", "i.img", "-scale", "7", "--quiet")
    assert tilesim("export", "z.zarr", "x.img", "--scale", "7").status == 0
    assert np.array_equal(fabio.open("x.img").data, fabio.open("i.img").data)
    ours, theirs = (read_smv_header(name).text.decode().split("\n") for name in ("x.img", "i.img"))
    # What DIALS reads is in ADSC's convention, and the file is not taken for one of nanoBragg's.
    other = ("HEADER_BYTES", "BEAM_CENTER", "BEAMLINE")
    same = [line for line in theirs if "=" in line and not line.startswith(other)]
    assert [line for line in ours if line in same] == same
    assert (folder / "x.img").stat().st_size % 512 == 2 * 144 % 512
    assert all(line.count("=") <= 1 for line in ours) and fabio.open("x.img").header["ADC_OFFSET"] == "40"


def test_a_series_as_nxmx_and_its_models(tilesim, folder):
    tilesim(*SERIES)
    assert tilesim("export", "s.zarr", "x.h5", "--expt", "x.expt").status == 0
    experiment = library.from_nanobragg(BASE)
    to_mcstas, to_imgcif = (rotation_to(axes, experiment).T for axes in (Axes.MCSTAS, Axes.IMGCIF))
    assert np.abs(nxmx_corners("x.h5", 0) - corners(experiment, 0) @ to_mcstas).max() < 1e-9
    models = json.loads((folder / "x.expt").read_text())
    assert np.abs(expt_corners(models, 0) - corners(experiment, 0) @ to_imgcif).max() < 1e-9
    assert models["imageset"][0] == {
        **models["imageset"][0], "__id__": "ImageSequence", "template": "x.h5", "single_file_indices": [0, 1, 2],
    }  # fmt: skip
    with h5py.File("x.h5") as file:
        assert file["entry/sample/transformations/omega"][()].tolist() == [0, 1, 2]
        assert "-lambda" in json.loads(file["entry/tilesim/command_line"][()])
    part = tilesim("export", "s.zarr", "y.h5", "--frame", "1:3")
    assert part.status == 0
    assert np.array_equal(fabio.open("y.h5").getframe(0).data, fabio.open("x.h5").getframe(1).data)


@pytest.mark.parametrize("convention", ["-mosflm", "-xds", "-dials"])
def test_the_crystal_in_the_models_predicts_the_brightest_pixels(tilesim, folder, convention):
    """Spots are where the A matrix, beam, spindle and panel of the .expt say, on a skewed crystal off phi 0."""
    flags = "-default_F 100 -cell 40 50 60 80 95 100 -misset 10 20 30 -N 40 -lambda 1 -distance 60 -pixel 0.2"
    flags += f" -detsize_fast 60 -detsize_slow 50 -phi 37 -osc 0.4 -phisteps 8 -oversample 2 {convention}"
    flags += " -Xbeam 24 -Ybeam 29"
    assert tilesim("run", *flags.split(), "--zarr", "z.zarr", "--quiet").status == 0
    assert tilesim("export", "z.zarr", "x.expt").status == 0 and tilesim("export", "z.zarr", "x.edf").status == 0
    models, image = json.loads((folder / "x.expt").read_text()), fabio.open("x.edf").data
    indices = np.array([(h, k, l) for h in range(-20, 21) for k in range(-25, 26) for l in range(-30, 31)])
    # Excitation errors when the exposure begins and ends: reflections that cross the sphere in between.
    begin, end = (spots(models, angle, indices)[1] for angle in (37.0, 37.0 + 0.4 * 7 / 8))
    crossing = (np.sign(begin) != np.sign(end)) & (np.abs(end - begin) > 1e-4) & indices.any(1)
    place, _, path = spots(models, 37 + 0.2, indices[crossing])
    fast, slow = place.T
    seen = (path > 0) & (fast > 3) & (fast < 297) & (slow > 3) & (slow < 247)
    assert np.count_nonzero(seen) > 20
    around = [image[int(s) - 2 : int(s) + 3, int(f) - 2 : int(f) + 3].max() for f, s in place[seen]]
    assert np.median(around) > 100 * np.median(image)
    assert np.mean(np.array(around) > np.percentile(image, 99)) > 0.9


def test_floats_take_their_geometry_from_flags(tilesim, folder, store):
    assert tilesim("export", "f.bin", "x.edf").status == 0
    assert np.array_equal(fabio.open("x.edf").data, store)
    refused = tilesim("export", "f.bin", "x.h5")
    assert refused.status == 2 and "f.bin does not state the geometry" in refused.err and refused.err.count("\n") == 1
    assert tilesim("export", "f.bin", "x.h5", "--", *BASE).status == 0
    warned = tilesim("export", "f.bin", "x.cbf", "--round", "--", *BASE, "-pix0_vector", 1, 2, 3)
    assert warned.status == 0 and "WARNING: -pix0_vector" in warned.err
    tilesim("export", "z.zarr", "y.h5")
    with h5py.File("x.h5") as ours, h5py.File("y.h5") as theirs:
        for name in ("entry/instrument/detector/module/module_offset", "entry/data/data"):
            assert np.array_equal(ours[name][()], theirs[name][()])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("z.zarr", "x.cbf"), "--round, --scale FACTOR"),
        (("z.zarr", "x.img"), "--round, --scale FACTOR"),
        (("z.zarr", "x.jpg"), "ends in one of"),
        (("z.zarr", "x.edf", "--frame", "1"), "there is no frame 1; expected 0"),
        (("z.zarr", "x.edf", "--frame", "-1"), "--frame"),
        (("z.zarr", "x.edf", "--panel", "1"), "--panel 1"),
        (("z.zarr", "x_{phi}.edf"), "expected {frame} or {image} or {panel}"),
        (("z.zarr", "x.cbf", "--scale", "nan"), "--scale is nan"),
        (("z.zarr", "x.cbf", "--scale", "0"), "--scale is 0"),
        (("z.zarr", "x.bin", "--round"), "for integer formats"),
        (("z.zarr", "x.h5", "--material", "Fe"), "--material"),
        (("z.zarr", "no/x.edf"), "there is no folder"),
        (("A.mat", "x.edf"), "A.mat: 43 bytes are no square image"),
        (("none.bin", "x.edf"), "none.bin"),
        (("f.bin", "x.edf", "--shape", "3x4"), "expected a float file of 48 bytes"),
        (
            ("f.bin", "x.edf", "--shape", "12x12", "--", "-detpixels", "9", "-mat", "A.mat"),
            "its geometry is that of 1 of (9, 9)",
        ),
        (("f.bin", "x.cbf", "--", "-bogus"), "-bogus"),
        (("z.zarr", "x.edf", "--", *BASE, "-detpixels", "9"), "the flags behind -- contradict it"),
        (("s.zarr", "x.edf"), "x_{frame:05d}.edf"),
        (("s.zarr", "x_{frame}.h5"), "holds all frames"),
        (("s.zarr", "x.edf", "--frame", "2:1"), "numbered 0 to 2"),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_leaves_nothing(tilesim, folder, made, store, words, message):
    if "s.zarr" in words:
        tilesim(*SERIES)
    before = made()
    result = tilesim("export", *words)
    assert result.status == 2 and message in result.err, result.err
    assert len(result.err.splitlines()) <= 3 and made() == before


def test_what_was_exported_can_be_exported_again(tilesim, folder, store):
    """Counts go through unchanged, without rounding and without a second offset."""
    tilesim("export", "z.zarr", "x.cbf", "--scale", "10")
    counts = fabio.open("x.cbf").data
    for name in ("y.edf", "y.tif"):
        assert tilesim("export", "x.cbf", name).status == 0
        assert np.array_equal(fabio.open(name).data, counts)
    for name in ("y.img", "y.h5"):
        assert tilesim("export", "x.cbf", name, "--", *BASE).status == 0
        assert np.array_equal(fabio.open(name).data, counts)
    assert fabio.open("y.img").header["ADC_OFFSET"] == "0"
    assert tilesim("export", "z.zarr", "z.img", "--scale", "10").status == 0
    assert tilesim("export", "z.img", "y.cbf").status == 0
    assert pilatus_header("y.cbf")["Beam_xy"] == pytest.approx(pilatus_header("x.cbf")["Beam_xy"])
    tilesim("export", "z.img", "zz.img", "--", *BASE)
    assert np.array_equal(fabio.open("zz.img").data, counts + 40)
    assert fabio.open("zz.img").header["ADC_OFFSET"] == "40"


def test_marks_of_missing_pixels_stay_marks(tilesim, folder):
    fabio.edfimage.EdfImage(np.array([[5, -1], [-2, 7]], "i4")).write("x.edf")
    flags = "-default_F 1 -cell 50 50 50 90 90 90 -N 2 -detpixels 2 -distance 100 -pixel 1".split()
    for name, expected in (("y.h5", [[5, 2**32 - 1], [2**32 - 1, 7]]), ("y.img", [[5, 0], [0, 7]])):
        result = tilesim("export", "x.edf", name, "--", *flags)
        assert result.status == 0 and "2 pixels are missing" in result.err, result.err
        assert fabio.open(name).data.tolist() == expected
    tilesim("export", "y.h5", "y.cbf", "--", *flags)
    assert fabio.open("y.cbf").data.tolist() == [[5, -1], [-1, 7]]


def test_damage_is_one_line_and_leaves_nothing(tilesim, folder, made, store):
    chunk = next(path for path in (folder / "z.zarr/0/intensity/c").rglob("*") if path.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-20])
    before = made()
    for name in ("x.edf", "x.h5", "x.tif", "x.bin"):
        result = tilesim("export", "z.zarr", name)
        assert result.status == 2 and "damaged" in result.err and result.err.count("\n") == 1
    assert made() == before


@pytest.mark.parametrize(
    ("name", "value", "refused"),
    [
        *(("experiment", value, False) for value in ({}, {"beam": None})),
        *(("experiment", value, True) for value in ([], "x", 5)),
        *(("noise", value, True) for value in ("x", 5, {}, {"offset": "a", "gain": 1}, {"offset": 1, "gain": [1]})),
        *(("command_line", value, False) for value in (["-lambda"], ["-img", "none.img"], None)),
        *(("command_line", value, True) for value in ("x", 5, [5])),
        ("strict_c", None, False),
        *(("strict_c", value, True) for value in ("x", [1])),
    ],
)
def test_a_store_that_says_nonsense_is_one_line(tilesim, folder, made, store, name, value, refused):
    path = folder / "z.zarr" / "zarr.json"
    plain = json.loads(path.read_text())
    plain["attributes"]["tilesim"][name] = value
    path.write_text(json.dumps(plain))
    before = made()
    result = tilesim("export", "z.zarr", "x.img", "--round") if refused else tilesim("export", "z.zarr", "x.h5")
    if refused:
        assert result.status == 2 and "z.zarr" in result.err and result.err.count("\n") == 1 and made() == before
    else:
        assert result.status == 0 and np.array_equal(fabio.open("x.h5").data, store)


@pytest.mark.parametrize("changes", [{"pixel_size": "x"}, {"shape": [9, 9]}, {"normal": [0, 0, 0]}, {"fast": [1, 2]}])
def test_a_panel_that_cannot_be_is_one_line(tilesim, folder, store, changes):
    group = zarr.open_group("z.zarr/experiments", mode="r+")
    plain = json.loads(group["base"][...].tobytes())
    plain["detector"]["panels"][0].update(changes)
    text = np.frombuffer(json.dumps(plain).encode(), "u1")
    group.create_array("base", data=text, overwrite=True, dimension_names=["byte"])
    result = tilesim("export", "z.zarr", "x.h5")
    assert result.status == 2 and "z.zarr" in result.err and result.err.count("\n") == 1


def test_missing_tiles_are_told_and_marked(tilesim, folder, store):
    tilesim(*RUN, "--tile", "6", "--overwrite")
    next((folder / "z.zarr/0/intensity/c").rglob("1/1")).unlink()
    result = tilesim("export", "z.zarr", "x.cbf", "--round")
    assert result.status == 0 and "36 pixels are missing in the input; they are -1" in result.err
    assert (fabio.open("x.cbf").data[6:, 6:] == -1).all()
    tilesim("export", "z.zarr", "x.edf")
    assert np.isnan(fabio.open("x.edf").data[6:, 6:]).all()


def test_geometry_that_a_header_cannot_tell_is_a_warning(tilesim, folder):
    tilesim("run", *BASE, "-detector_rotx", "5", "--zarr", "z.zarr", "--quiet")
    result = tilesim("export", "z.zarr", "x.cbf", "--round")
    assert result.status == 0 and "WARNING: a cbf header states distance and beam centre only" in result.err


def test_every_frame_of_a_batch_keeps_its_geometry(tilesim, folder):
    (folder / "b.toml").write_text(
        'flags = "-default_F 10 -cell 50 50 50 90 90 90 -N 2 -detpixels 8 -distance 100 -pixel 1 -nointerpolate"\n'
        'zarr = "b.zarr"\n[grid]\nlambda = [1.0, 1.5]\n'
    )
    assert tilesim("batch", "b.toml", "--quiet").status == 0
    assert tilesim("export", "b.zarr", "x.h5").status == 0
    assert tilesim("export", "b.zarr", "x1.h5", "--frame", "1").status == 0
    with h5py.File("x.h5") as both, h5py.File("x1.h5") as one:
        wavelength = "entry/instrument/beam/incident_wavelength"
        assert both[wavelength][()] == pytest.approx([1.0, 1.5]) and one[wavelength][()] == pytest.approx(1.5)


def test_a_picture_is_that_of_the_preview(tilesim, folder):
    tilesim(*RUN, "--preview", "p.png")
    assert tilesim("export", "z.zarr", "x.png").status == 0
    assert (folder / "x.png").read_bytes() == (folder / "p.png").read_bytes()


def test_spindle_angles_of_a_series_are_those_of_its_frames(tilesim, folder):
    tilesim("run", *BASE, "-phi", "5", "--frames", "2", "--frame-osc", "30", "--zarr", "s.zarr", "--quiet")
    assert tilesim("export", "s.zarr", "x.expt", "--axes", "lab").status == 0
    models = json.loads((folder / "x.expt").read_text())
    assert len(models["experiment"]) == 2 and models["scan"] == []
    first, second = (np.array(crystal["real_space_a"]) for crystal in models["crystal"])
    cosine = first[:2] @ second[:2] / (np.linalg.norm(first[:2]) * np.linalg.norm(second[:2]))
    assert math.degrees(math.acos(cosine)) == pytest.approx(30)


def test_measured_images_keep_their_own_offset(tilesim, folder, store):
    assert tilesim("noise", "z.zarr", "n.zarr", "--offset", "10", "--gain", "2", "--quiet").status == 0
    assert tilesim("export", "n.zarr", "x.edf").status == 0
    counts = fabio.open("x.edf").data
    assert counts.dtype.kind in "iu" and tilesim("export", "n.zarr", "x.img", "--expt", "x.expt").status == 0
    assert np.array_equal(fabio.open("x.img").data, np.minimum(counts, 65535))
    assert fabio.open("x.img").header["ADC_OFFSET"] == "10"
    [panel] = json.loads((folder / "x.expt").read_text())["detector"][0]["panels"]
    assert (panel["pedestal"], panel["gain"], panel["trusted_range"]) == (10, 2, [0, 65525])


@pytest.fixture
def panels(folder):
    """`p.zarr`, two frames of a skewed detector of three panels, and its experiments and pixels."""
    frames = series(skewed(3, factors=library.StructureFactors.constant(100.0)), 2)
    job = make_job(frames, (7, 11), "mixed", "cpu", "eager")
    contents = Contents({"job_digest": job.digest}, frames[0].detector.panels[0].pixel_size, frames)
    stored = create_store(normal_place("p.zarr"), job.plan, contents)
    list(compute_here([Work(job, stored)]))
    return frames, np.stack([library.simulate_now(one, backend="eager") for one in frames])


def test_a_detector_of_several_panels_goes_into_one_nxmx_file(tilesim, panels):
    frames, pixels = panels
    result = tilesim("export", "p.zarr", "x.h5", "--expt", "x.expt")
    assert result.status == 0, result.err
    for number in range(3):
        ours = corners(frames[0], number)
        assert np.abs(nxmx_corners("x.h5", number) - ours @ rotation_to(Axes.MCSTAS, frames[0]).T).max() < 1e-12
        with open("x.expt") as file:
            found = expt_corners(json.load(file), number)
        assert np.abs(found - ours @ rotation_to(Axes.IMGCIF, frames[0]).T).max() < 1e-12
    with h5py.File("x.h5") as file:
        assert np.array_equal(file["entry/data/data"], pixels.reshape(2, 60, 30)) and pixels.max() > 0
        assert np.allclose(file["entry/sample/transformations/omega"], [20, 20.5])
    # tilesim itself finds the panels again.
    assert tilesim("export", "x.h5", "again_{frame}_{panel}.edf").status == 0
    assert np.array_equal(fabio.open("again_1_2.edf").data, pixels[1, 2])


def test_panels_go_into_files_of_their_own_or_below_each_other(tilesim, folder, panels):
    _, pixels = panels
    assert tilesim("export", "p.zarr", "x_{frame}_{panel:02d}.cbf", "--scale", "1e6").status == 0
    assert np.array_equal(fabio.open("x_1_02.cbf").data, np.rint(pixels[1, 2].astype(float) * 1e6))
    assert tilesim("export", "p.zarr", "x_{frame}.edf").status == 0
    assert np.array_equal(fabio.open("x_1.edf").data, pixels[1].reshape(60, 30))
    assert tilesim("export", "p.zarr", "y.tif", "--frame", "1", "--panel", "2").status == 0
    assert np.array_equal(fabio.open("y.tif").data, pixels[1, 2])
    assert tilesim("export", "p.zarr", "x.bin", "--frame", "0").status == 0
    assert json.loads((folder / "x.bin.json").read_text())["panels"] == [0, 1, 2]
    for words in (("--frame", "0"), ("--frame", "0", "--panel", "1")):
        assert tilesim("export", "p.zarr", "x.png", *words).status == 0
    result = tilesim("export", "p.zarr", "x.cbf", "--frame", "0", "--round")
    assert result.status == 2 and "x_{panel:05d}.cbf" in result.err


@pytest.mark.parametrize(
    ("name", "library_name", "module"),
    [("x.cbf", "fabio", "fabio.compression"), ("x.tif", "tifffile", "tifffile"), ("x.h5", "h5py", "h5py")],
)
def test_a_library_that_is_missing_is_named(tilesim, made, store, monkeypatch, name, library_name, module):
    monkeypatch.setitem(sys.modules, module, None)
    before = made()
    words = ("--round",) if name == "x.cbf" else ()
    result = tilesim("export", "z.zarr", name, *words)
    assert result.status == 2 and f"needs {library_name}" in result.err and "tilesim[formats]" in result.err
    assert made() == before
    for other in ("x.edf", "x.bin", "x.img", "x.expt"):
        assert tilesim("export", "z.zarr", other, *(("--round",) if other == "x.img" else ())).status == 0
