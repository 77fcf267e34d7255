"""`tilesim run` from end to end: which files it writes, what is in them, what it says."""

import json
import os
import re
import signal
import stat
import threading
import time

import numpy as np
import pytest
from commands import BASE, CRYSTAL, LIMIT, REFLECTIONS

from tilesim.images.opening import open_dataset
from tilesim.nanobragg.flags import FLAGS

SIZE = 12
NAMED = "-floatfile f.bin -intfile i.img -noisefile n.img -pgmfile p.pgm -seed 5".split()


def floats(path, size=SIZE):
    return np.fromfile(path, "<f4").reshape(-1, size)


def smv_pixels(path, size=SIZE):
    data = path.read_bytes()
    header = int(re.search(rb"HEADER_BYTES=(\d+);", data)[1])
    assert len(data) == header + 2 * size * size and header % 512 == 0
    return np.frombuffer(data, "<u2", offset=header).reshape(size, size)


def contents(folder, names):
    return {name: (folder / name).read_bytes() for name in names}


# --- pixels that are no counts


@pytest.mark.parametrize(
    "flags, said",
    [
        ("-fluence 1e80", "144 of 144 pixels are NaN or infinite; the fluence is 1e+80 photons/m^2 (-fluence"),
        ("-default_F 1e160 -hkl P1.hkl -distance 5", "a structure factor is 1e+160 electrons (-hkl, -default_F)"),
        ("-gauss_xtal -fudge -1e6", "the fudge factor of the spots is -1e+06 (-fudge)"),
    ],
)
def test_an_image_with_pixels_that_are_no_counts_is_an_error_and_not_written(tilesim, made, flags, said):
    result = tilesim("run", *BASE, *NAMED, *flags.split())
    assert result.status == 1 and said in result.err and "Warning" not in result.err and made() == []
    result = tilesim("run", *BASE, *flags.split(), "--zarr", "x.zarr", "-floatfile", "f.bin")
    assert result.status == 1 and said in result.err and "f.bin" not in made()
    assert tilesim("verify", "x.zarr").status == 1


def test_strictly_such_an_image_is_written_with_a_warning(tilesim, folder):
    for flags in ((), ("--zarr", "x.zarr")):
        result = tilesim("run", *BASE, *NAMED, "-fluence", "1e80", "-polar", "3", "--strict-c", *flags)
        assert result.status == 0 and not np.isfinite(floats(folder / "f.bin")).all()
        assert re.search(
            "WARNING: .*pixels are NaN or infinite; the Kahn factor is 3 .* and the fluence is", result.err
        )


def test_a_pixel_to_trace_that_is_none_is_warned_of(tilesim, folder):
    result = tilesim("run", *BASE, "-floatfile", "f.bin", "-trace_pixel", "12", "0")
    assert result.status == 0 and "no pixel is traced" in result.err and "TRACE" not in result.out
    assert floats(folder / "f.bin").any()


def test_masked_pixels_count_in_no_figure_and_strictly_in_rmsd(tilesim, folder):
    words = np.ones((SIZE, SIZE), "<u2")
    words[:, :5] = 0
    keys = f"HEADER_BYTES=512;\nSIZE1={SIZE};\nSIZE2={SIZE};\nPIXEL_SIZE=1;\nBYTE_ORDER=little_endian;\n"
    (folder / "m.img").write_bytes(f"{{\n{keys}}}\f".encode().ljust(512) + words.tobytes())

    def printed(*flags):
        result = tilesim("run", *BASE, "-mask", "m.img", "-floatfile", "f.bin", "-pgmfile", "p.pgm", *flags)
        found = re.search(r"rmsd= (\S+)\n(?:.*\n)*pgm_scale = (\S+)", result.out)
        return result.note, *map(float, found.groups())

    note, rmsd, scale = printed()
    rendered = floats(folder / "f.bin")[:, 5:].astype(float)
    assert note == ["K16"] and rmsd == pytest.approx(rendered.std(ddof=1), rel=1e-5)
    assert scale == pytest.approx(50 / rmsd, rel=1e-5)
    everything = np.concatenate([rendered.ravel(), np.zeros(5 * SIZE)])
    note, rmsd, _ = printed("--strict-c", "-nonoise", "-intfile", "i.img")
    assert note == [] and rmsd == pytest.approx(
        np.sqrt(((everything - rendered.mean()) ** 2).sum() / (SIZE * SIZE - 1)), rel=1e-5
    )


def test_strictly_the_end_of_interpolation_is_said_in_a_table_too_small_for_any(tilesim, folder):
    (folder / "small.hkl").write_text("0 0 0 10\n1 1 1 20\n")
    result = tilesim("run", *BASE, "-hkl", "small.hkl", "-interpolate", "--strict-c")
    [line] = [line for line in result.out.splitlines() if "out of range for three point interpolation" in line]
    assert re.fullmatch(r"WARNING: out of range .*: h,k,l,h0,k0,l0: (\S+,){3}-?\d+,-?\d+,-?\d+ ", line)


# --- which files are written


def test_only_the_named_files_are_written(tilesim, made):
    assert tilesim("run", *BASE, "-intfile", "i.img", "-pgmfile", "p.pgm").status == 0
    assert made() == ["i.img", "p.pgm"]


def test_floatimage_bin_is_written_where_nothing_is_named(tilesim, made, folder):
    assert tilesim("run", *BASE).status == 0
    assert made() == ["floatimage.bin"]
    assert (folder / "floatimage.bin").stat().st_size == 4 * SIZE * SIZE


def test_floatimage_bin_is_not_written_where_a_store_or_a_preview_is_named(tilesim, made, folder):
    assert tilesim("run", *BASE, "--zarr", "x.zarr").status == 0
    assert made() == ["x.zarr"]
    assert tilesim("run", *BASE, "--preview", "v.png").status == 0
    assert made() == ["v.png", "x.zarr"]
    # A report is no image.
    assert tilesim("run", *BASE, "--json", "j.json").status == 0
    assert made() == ["floatimage.bin", "j.json", "v.png", "x.zarr"]
    stored = open_dataset("x.zarr").image(0).compute()
    assert stored.any() and stored.tobytes() == (folder / "floatimage.bin").read_bytes()


def test_strict_mode_writes_the_files_of_the_reference(tilesim, made):
    result = tilesim("run", *BASE, "--strict-c")
    assert result.status == 0 and result.note == []
    assert made() == ["Fdump.bin", "floatimage.bin", "image.pgm", "intimage.img", "noiseimage.img"]


def test_the_cache_is_written_on_request_and_gives_the_same_image(tilesim, made, folder):
    tilesim("run", *BASE, "-floatfile", "a.bin", "--write-fdump")
    assert made() == ["Fdump.bin", "a.bin"]
    without_table = [word for word in BASE if word not in ("-hkl", "P1.hkl")]
    assert tilesim("run", *without_table, "-floatfile", "b.bin").note == ["K13"]
    assert (folder / "a.bin").read_bytes() == (folder / "b.bin").read_bytes()


def test_a_cache_that_cannot_be_written_is_only_a_warning(tilesim, made):
    result = tilesim("run", *BASE, "-floatfile", "f.bin", "--write-fdump", "-dump", "missing/F.bin")
    assert result.status == 0
    assert result.err.splitlines()[-1].startswith("WARNING: unable to write the dump file")
    assert made() == ["f.bin"]


def test_the_last_of_two_names_for_one_output_counts(tilesim, made):
    tilesim("run", *BASE, "-floatfile", "a.bin", "-floatfile", "b.bin")
    assert made() == ["b.bin"]


# --- what is in them


def test_every_output_has_its_size_and_agrees_with_the_store(tilesim, folder, made):
    result = tilesim("run", *BASE, *NAMED, "-adc", "0", "--zarr", "z.zarr", "--preview", "v.png", "--json", "j.json")
    assert result.status == 0
    assert made() == ["f.bin", "i.img", "j.json", "n.img", "p.pgm", "v.png", "z.zarr"]
    image = floats(folder / "f.bin")
    assert image.shape == (SIZE, SIZE) and image.max() > 0
    scaled = image * (55000.0 / image.max())
    assert np.abs(smv_pixels(folder / "i.img") - scaled).max() <= 1
    noise = smv_pixels(folder / "n.img").astype(float)
    assert np.abs(noise - image).max() < 8 * np.sqrt(image.max()) and (noise != np.round(image)).any()
    header, _, grey = (folder / "p.pgm").read_bytes().partition(b"\n255\n")
    assert header.startswith(b"P5\n12 12\n") and len(grey) == SIZE * SIZE
    assert (folder / "v.png").read_bytes().startswith(b"\x89PNG")
    account = json.loads((folder / "j.json").read_text())
    assert account["files"] == ["f.bin", "i.img", "n.img", "p.pgm", "v.png", "z.zarr"]
    assert account["statistics"]["max_I"] == image.max()
    assert account["digest"] and account["seeds"]["noise"] == 5


def test_a_store_opens_in_xarray_with_the_values_of_the_float_file(tilesim, folder):
    xarray = pytest.importorskip("xarray")
    tilesim("run", *BASE, "-floatfile", "f.bin", "--zarr", "z.zarr", "--tile", "5x7")
    with xarray.open_zarr(folder / "z.zarr", group="0") as store:
        assert store.intensity.dims == ("frame", "slow", "fast")
        np.testing.assert_array_equal(store.intensity[0].values, floats(folder / "f.bin"))


@pytest.mark.parametrize("tile", ["1x12", "5", "12x1", "7x3", "999"])
def test_tiles_do_not_change_a_byte(tilesim, folder, tile):
    names = ["f.bin", "i.img", "n.img", "p.pgm"]
    flags = "-mosaic 1 -mosaic_domains 3 -osc 1 -phisteps 2 -roi 1 10 0 11 -water 20".split()
    tilesim("run", *BASE, *flags, *NAMED)
    whole = contents(folder, names)
    assert tilesim("run", *BASE, *flags, *NAMED, "--tile", tile).status == 0
    assert contents(folder, names) == whole


def test_the_seed_changes_the_noise_alone(tilesim, folder):
    names = ["f.bin", "i.img", "n.img", "p.pgm"]
    tilesim("run", *BASE, *NAMED)
    first = contents(folder, names)
    tilesim("run", *BASE, *NAMED, "-seed", "6")
    second = contents(folder, names)
    assert {name for name in names if first[name] != second[name]} == {"n.img"}


@pytest.mark.parametrize("flags", ["-roi 100 200 100 200", "-roi 8 2 9 3", "-mask mask.img"])
def test_an_image_without_a_pixel_to_render_is_zero(tilesim, folder, flags):
    header = b"{\nHEADER_BYTES=512;\nSIZE1=12;\nSIZE2=12;\nPIXEL_SIZE=1;\nBYTE_ORDER=little_endian;\n}\n\f"
    (folder / "mask.img").write_bytes(header.ljust(512) + bytes(2 * SIZE * SIZE))
    result = tilesim("run", *BASE, *NAMED, *flags.split(), "--zarr", "z", "--preview", "v.png", "--json", "j.json")
    assert result.status == 0
    assert "leave no pixel to render" in result.err
    assert not floats(folder / "f.bin").any()
    assert json.loads((folder / "j.json").read_text())["statistics"]["rendered_pixels"] == 0
    assert tilesim("plan", *BASE, *flags.split()).status == 0


@pytest.mark.parametrize("fast, slow", [(1, 1), (1, 30), (30, 1)])
def test_detectors_of_one_row_or_column_work(tilesim, folder, fast, slow):
    flags = f"-detpixels_f {fast} -detpixels_s {slow} -intfile i.img -noisefile n.img -pgmfile p.pgm".split()
    result = tilesim("run", *BASE, *flags, "-floatfile", "f.bin", "--zarr", "z", "--preview", "v.png")
    assert result.status == 0
    assert floats(folder / "f.bin", fast).shape == (slow, fast)


@pytest.mark.parametrize(
    "flags",
    [
        "-oversample 30",
        "-N 100000 -oversample 2",
        "-lambda 100",
        "-lambda 1e-3",
        "-water 1000",
        "-fluence 0",
        "-distance -100",
        "-dmin 1e200",
        "-twotheta 180",
        "-fudge 0 -gauss_xtal",
        "-adc -1e9 -scale 1e200",
        "-seed -2147483647",
        "-mosaic 1 -mosaic_domains 300 -detpixels 2",
    ],
)
def test_unusual_numbers_give_an_image(tilesim, folder, flags):
    result = tilesim("run", *BASE, *NAMED, *flags.split())
    assert result.status == 0
    assert np.isfinite(np.fromfile(folder / "f.bin", "<f4")).all()


def test_one_reflection_is_enough(tilesim, folder):
    (folder / "P1.hkl").write_text("0 0 0 100\n")
    assert tilesim("run", *BASE, "-floatfile", "f.bin").status == 0
    assert floats(folder / "f.bin").max() > 0


# --- stores that exist


def test_an_existing_store_is_refused_and_then_replaced(tilesim, folder, made):
    tilesim("run", *BASE, "-floatfile", "f.bin", "--zarr", "z.zarr/")
    before = (folder / "z.zarr" / "zarr.json").read_bytes()
    refused = tilesim("run", *BASE, "-floatfile", "g.bin", "--zarr", "z.zarr", "-lambda", "1.4")
    assert refused.status == 2
    assert "--overwrite" in refused.err and "another job: its experiment is" in refused.err
    assert made() == ["f.bin", "z.zarr"]
    assert (folder / "z.zarr" / "zarr.json").read_bytes() == before
    again = tilesim("run", *BASE, "-floatfile", "g.bin", "--zarr", "z.zarr", "-lambda", "1.4", "--overwrite")
    assert again.status == 0
    assert (folder / "z.zarr" / "zarr.json").read_bytes() != before
    assert made() == ["f.bin", "g.bin", "z.zarr"]


def test_a_store_that_another_job_takes_meanwhile_is_left_to_it(tilesim, made, monkeypatch):
    from tilesim.series import rendering

    summarize, first = rendering.summarize, []

    def overtaken(*arguments):
        if not first:
            first.append(True)
            words = "-lambda 1.4 -floatfile f.bin --zarr z.zarr --overwrite".split()
            assert tilesim("run", *BASE, *words).status == 0
        return summarize(*arguments)

    monkeypatch.setattr(rendering, "summarize", overtaken)
    late = tilesim("run", *BASE, "--zarr", "z.zarr")
    assert late.status == 2 and "was replaced or removed by somebody else" in late.err
    assert tilesim("verify", "z.zarr").status == 0


# --- what is said


def test_json_on_standard_output_stands_there_alone(tilesim, made):
    result = tilesim("run", *BASE, "-floatfile", "f.bin", "--json", "-")
    assert json.loads(result.out)["files"] == ["f.bin"]
    assert made() == ["f.bin"]


def test_quiet_says_the_note_only(tilesim):
    result = tilesim("run", *BASE, "-intfile", "i.img", "--quiet")
    assert result.out == ""
    assert len(result.err.splitlines()) == 1 and result.note == ["K12"]
    assert tilesim("run", *BASE, "-floatfile", "f.bin", "--quiet").err == ""


def test_the_report_is_on_standard_output_and_progress_on_standard_error(tilesim):
    result = tilesim("run", *BASE, "-floatfile", "f.bin", "--tile", "6")
    assert "max_I = " in result.out and "writing f.bin as 144 4-byte floats" in result.out
    assert "100% done (4 of 4 tiles" in result.err
    assert "done" not in tilesim("run", *BASE, "-floatfile", "f.bin", "-noprogress").err


NOTES = {
    "": [],
    "-phi 0 -osc 1 -phisteps 3": ["K1"],
    "-phi 1 -osc 1 -phisteps 3": [],
    "-oversample 2 -oversample_omega": ["K2"],
    "-oversample_omega": [],
    "-interpolate": ["K3"],
    "-detector_thick 300 -detector_abs 500 -thicksteps 3": ["K4"],
    "-water 10": [],
    "-water 10 -fluence 1e24": ["K5"],
    "-cell 60 70 80 80 95 110": ["K6"],
    "-sourcefile unequal.txt": ["K7"],
    "-sourcefile equal.txt": [],
    "-misset_seed 5 -seed 6": ["K8"],
    "-twotheta_axis 0 0 1": ["K8"],
    "-nopolar -oversample_polar": ["K9"],
    "-hkl commented.hkl": ["K10"],
    "-intfile i.img": ["K12"],
    "-phi 0 -osc 1 -phisteps 3 -intfile i.img -water 10 -dmin 3": ["K1", "K5", "K12"],
}


@pytest.mark.parametrize("flags", NOTES)
def test_the_note_names_the_corrections_that_affect_the_run(tilesim, folder, flags):
    (folder / "unequal.txt").write_text("-10 0 0 1 1.5e-10\n-10 0.1 0 3 1.5e-10\n")
    (folder / "equal.txt").write_text("-10 0 0 1 1.5e-10\n-10 0.1 0 1 1.5e-10\n")
    (folder / "commented.hkl").write_text("# h k l F\n" + REFLECTIONS)
    crystal = BASE[2:] if "-cell" in flags else BASE
    result = tilesim("run", *crystal, "-floatfile", "f.bin", *flags.split())
    assert result.status == 0
    assert result.note == NOTES[flags]
    assert "NOTE" not in tilesim("run", *crystal, "-floatfile", "f.bin", *flags.split(), "--strict-c").err


def test_the_note_says_what_changed_and_where_to_read_on(tilesim):
    turned = (*BASE, "-floatfile", "f.bin", "-phi", "0", "-osc", "1", "-phisteps", "3", "--quiet")
    [line] = tilesim("run", *turned).err.splitlines()
    assert line == (
        "NOTE: this run departs from nanoBragg by K1 (phi step 0 is rotated afresh); "
        "`tilesim corrections K1` says why, --strict-c reproduces nanoBragg"
    )
    [line] = tilesim("run", *turned, "-intfile", "i.img").err.splitlines()
    assert " by K1 (phi step 0 is rotated afresh), K12 (" in line and "; `tilesim corrections` says why, " in line


def test_corrections_are_printed(tilesim):
    every, one = tilesim("corrections"), tilesim("corrections", "k6", "K1")
    assert every.status == one.status == 0
    assert re.findall(r"^(K\d+): ", every.out, re.MULTILINE) == [f"K{n}" for n in range(1, 18)]
    assert one.out.startswith("K6: ") and "\n\nK1: phi step 0 is rotated afresh\n  nanoBragg  " in one.out
    assert max(map(len, every.out.splitlines())) <= 100
    refused = tilesim("corrections", "K99")
    assert (refused.status, refused.out) == (
        2,
        "",
    ) and "K99: there is no such correction; expected K1 to K17" in refused.err


def test_the_note_names_the_cache_and_the_files_left_out(tilesim, folder):
    tilesim("run", *BASE, "--write-fdump", "-floatfile", "f.bin")
    without_table = [word for word in BASE if word not in ("-hkl", "P1.hkl")]
    assert tilesim("run", *without_table).note == ["K13", "K14"]
    # -default_F is enough: the cache is left alone.
    assert tilesim("run", *without_table, "-default_F", "10").note == ["K14"]


# --- the arguments


@pytest.mark.parametrize(
    "words",
    [
        ("--json", "j", "--tile", "5", *BASE, "-floatfile", "f.bin", "--quiet"),
        (*BASE, "-floatfile", "f.bin", "--quiet", "--tile=5", "--json=j"),
        (*BASE[:4], "--quiet", *BASE[4:6], "--json", "j", *BASE[6:], "--tile=5", "-floatfile", "f.bin"),
    ],
)
def test_options_stand_anywhere_among_the_flags(tilesim, folder, made, words):
    result = tilesim("run", *words)
    assert (result.status, result.out, result.err) == (0, "", "")
    assert made() == ["f.bin", "j"]
    assert json.loads((folder / "j").read_text())["tile"] == [5, 5]


def test_help_lists_every_flag_of_the_reference(process):
    child = process("run", "--help")
    out, err = child.communicate(timeout=LIMIT)
    assert (child.returncode, err) == (0, "")
    plain = re.sub(r"[\[\]]", "", out)
    missing = [name for flag in FLAGS for name in flag.names if not re.search(rf"(?<!\S){re.escape(name)}", plain)]
    assert missing == []
    assert "--zarr" in out and "--strict-c" in out


def test_without_a_command_the_usage_is_shown(tilesim):
    result = tilesim()
    assert result.status == 2
    assert result.err.startswith("Usage: ") and "\n  run " in result.err


# --- odd places to write to


def test_names_may_hold_spaces_and_letters_of_any_language(tilesim, made):
    words = ["-floatfile", "räumlich 1.bin", "-intfile", "図 2.img", "--zarr", "z é.zarr", "--json", "j ß.json"]
    assert tilesim("run", *BASE, *words).status == 0
    assert made() == sorted(words[1::2])


def test_devices_are_written_straight_and_stay_devices(tilesim, made):
    names = "-floatfile -intfile -noisefile -pgmfile --preview --json".split()
    assert tilesim("run", *BASE, *(word for name in names for word in (name, "/dev/null"))).status == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert made() == []


def test_a_fifo_gets_the_float_image(tilesim, folder):
    os.mkfifo(folder / "pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append((folder / "pipe").read_bytes()))
    reader.start()
    assert tilesim("run", *BASE, "-floatfile", "pipe").status == 0
    reader.join(timeout=LIMIT)
    assert len(read[0]) == 4 * SIZE * SIZE
    assert stat.S_ISFIFO(os.stat(folder / "pipe").st_mode)


def test_links_are_followed(tilesim, folder, made):
    os.mkdir(folder / "else")
    os.symlink("else/f.bin", folder / "f.bin")
    os.symlink("else/z.zarr", folder / "z.zarr")
    for _ in range(2):
        assert tilesim("run", *BASE, "-floatfile", "f.bin", "--zarr", "z.zarr", "--overwrite").status == 0
    assert sorted(os.listdir(folder / "else")) == ["f.bin", "z.zarr"]
    assert os.path.islink(folder / "f.bin") and os.path.islink(folder / "z.zarr")


def test_outputs_keep_the_mode_of_the_files_that_they_replace(tilesim, folder):
    (folder / "f.bin").write_bytes(b"")
    (folder / "f.bin").chmod(0o600)
    tilesim("run", *BASE, "-floatfile", "f.bin")
    assert stat.S_IMODE((folder / "f.bin").stat().st_mode) == 0o600


# --- processes and signals

# Hours of work in small tiles.
LONG = (*CRYSTAL, *"-N 3 -pixel 1 -detpixels 64 -oversample 10 -mosaic 1 -mosaic_domains 9000 --tile 16".split())


BEGIN = """
from tilesim.engine import inline
run_tile = inline.run_tile

def begun(*how):
    open({mark!r}, "w").close()
    return run_tile(*how)

inline.run_tile = begun
"""


@pytest.fixture
def computing(process, tmp_path_factory):
    """`computing(*words)` starts the program and returns its process once a tile is being computed."""

    def begin(*words):
        mark, end = tmp_path_factory.mktemp("mark") / "begun", time.monotonic() + LIMIT
        child = process(*words, first=BEGIN.format(mark=str(mark)))
        while not mark.exists():
            assert child.poll() is None and time.monotonic() < end, child.communicate(timeout=1)
            time.sleep(0.02)
        return child

    return begin


SIGNALS = [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")]


@pytest.mark.parametrize("sent, status, word", SIGNALS)
def test_a_signal_ends_the_run_within_seconds_and_leaves_nothing(computing, made, sent, status, word):
    child = computing("run", *LONG, "-floatfile", "f.bin", "--strict-c", "-nonoise", "-nopgm")
    child.send_signal(getattr(signal, sent))
    _, err = child.communicate(timeout=LIMIT)
    assert child.returncode == status
    assert err.splitlines()[-1] == f"tilesim: {word}; nothing was written"
    assert "Traceback" not in err
    assert made() == []


@pytest.mark.parametrize("sent, status, word", SIGNALS)
def test_a_signal_leaves_a_store_that_can_be_resumed(computing, tilesim, made, sent, status, word):
    child = computing("run", *LONG, "-floatfile", "f.bin", "--zarr", "z.zarr")
    child.send_signal(getattr(signal, sent))
    _, err = child.communicate(timeout=LIMIT)
    assert child.returncode == status
    assert re.match(rf"tilesim: {word}; \d+ of 16 tiles are kept in z\.zarr: --resume", err.splitlines()[-1])
    assert "Traceback" not in err
    assert made() == ["z.zarr"]
    assert tilesim("verify", "z.zarr").status == 1
    again = tilesim("run", *LONG, "-floatfile", "f.bin", "--zarr", "z.zarr")
    assert again.status == 2 and "--resume" in again.err


def test_a_reader_that_goes_away_is_no_traceback(process):
    reader, writer = os.pipe()
    os.close(reader)
    child = process("run", *BASE, "-floatfile", "f.bin", stdout=writer)
    os.close(writer)
    _, err = child.communicate(timeout=LIMIT)
    assert child.returncode == 1
    assert "Traceback" not in err and "BrokenPipe" not in err


def test_it_works_without_home_and_with_standard_output_closed(process, made):
    words = (*BASE, "-floatfile", "f.bin", "--preview", "v.png", "--zarr", "z.zarr")
    child = process("run", *words, env={"PATH": os.environ["PATH"]}, preexec_fn=lambda: os.close(1))
    _, err = child.communicate(timeout=LIMIT)
    assert (child.returncode, "Traceback" in err) == (0, False)
    assert made() == ["f.bin", "v.png", "z.zarr"]


def test_a_full_standard_output_is_one_line(process, made):
    with open("/dev/full", "w") as full:
        child = process("run", *BASE, "-floatfile", "f.bin", stdout=full)
        _, err = child.communicate(timeout=LIMIT)
    assert child.returncode == 1
    assert err.splitlines()[1:] == ["tilesim: cannot write standard output: No space left on device"]
    assert made() == []
