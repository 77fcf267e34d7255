"""What is refused: exit status 2, one line that says why, and no file left behind."""

import errno
import json
import os
import resource

import pytest
from commands import BASE, LIMIT, REFLECTIONS

NO_TABLE = tuple(word for word in BASE if word not in ("-hkl", "P1.hkl"))
OUTPUTS = "-floatfile f.bin -intfile i.img -noisefile n.img -pgmfile p.pgm --preview v.png --json j.json".split()


def check_refused(result, made, status=2):
    """The parts of the one line after the program's name."""
    assert result.status == status
    lines = [
        line for line in result.err.splitlines() if not line.startswith(("NOTE:", "WARNING:")) and "% done" not in line
    ]
    assert len(lines) == 1 and lines[0].startswith("tilesim: ")
    assert "Traceback" not in result.err and len(lines[0]) < 500
    assert made() == []
    return lines[0].removeprefix("tilesim: ")


# --- input files

INPUTS = {
    "truncated hkl": ("P1.hkl", "1 2 3 4\n1 2 3\n", "P1.hkl"),
    "text in an hkl": ("P1.hkl", "1 2 3 4\n1 2 x 4\n", "P1.hkl line 2"),
    "fractional index": ("P1.hkl", "1 2.5 3 4\n", "P1.hkl line 1"),
    "empty hkl": ("P1.hkl", "", "P1.hkl"),
    "binary hkl": ("P1.hkl", "\x00\x01\x02\x03" * 50, "P1.hkl"),
    "NaN in an hkl": ("P1.hkl", "1 2 3 nan\n", "P1.hkl line 1"),
    "huge index": ("P1.hkl", "1 2 3 4\n99999999999 2 3 4\n", "P1.hkl"),
    "singular matrix": ("A.mat", "1 2 3\n2 4 6\n3 6 9\n", "singular"),
    "short matrix": ("A.mat", "1 0 0\n0 1 0\n", "A.mat"),
    "text in a matrix": ("A.mat", "a b c\n0 1 0\n0 0 1\n", "A.mat"),
    "NaN in a matrix": ("A.mat", "nan 0 0\n0 1 0\n0 0 1\n", "A.mat"),
    "infinity in a matrix": ("A.mat", "inf 0 0\n0 1 0\n0 0 1\n", "A.mat"),
}


@pytest.mark.parametrize("case", INPUTS)
def test_bad_input_files_are_refused_by_name(tilesim, folder, made, case):
    name, text, named = INPUTS[case]
    (folder / name).write_text(text)
    assert named in check_refused(tilesim("run", *BASE, *OUTPUTS), made)


FLAGS = ["-mat", "-hkl", "-sourcefile", "-img", "-mask", "-stol"]


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("name", ["missing", "a folder", "empty"])
def test_input_files_that_cannot_be_read_are_refused_by_name(tilesim, folder, made, tmp_path_factory, flag, name):
    other = tmp_path_factory.mktemp("inputs")
    (other / "a folder").mkdir()
    (other / "empty").write_bytes(b"")
    assert name in check_refused(tilesim("run", *BASE, *OUTPUTS, flag, other / name), made)


def smv(fast, slow, pixels, text=b""):
    header = b"{\nHEADER_BYTES=512;\nSIZE1=%d;\nSIZE2=%d;\nPIXEL_SIZE=1;\n%s}\n\f" % (fast, slow, text)
    return header.ljust(512) + bytes(2 * pixels)


IMAGES = {
    "mask of another size": ("-mask", smv(10, 12, 120), "expected 12 x 12"),
    "mask without its last pixels": ("-mask", smv(12, 12, 100), "288 bytes"),
    "short header": ("-img", b"{\nHEADER_BYTES=512;\n", "512"),
    "no header": ("-img", b"P5\n" * 300, "HEADER_BYTES"),
    "header longer than the file": ("-img", smv(12, 12, 0).replace(b"=512;", b"=9999;"), "HEADER_BYTES"),
    "no size": ("-img", smv(0, 0, 0), "SIZE1"),
    "negative size": ("-img", smv(-4, -4, 0), "SIZE1"),
    "zero pixel size": ("-img", smv(12, 12, 144, b"PIXEL_SIZE=0;\n"), "PIXEL_SIZE"),
    "infinite wavelength": ("-img", smv(12, 12, 144, b"WAVELENGTH=inf;\n"), "WAVELENGTH"),
    "zero distance": ("-img", smv(12, 12, 144, b"DISTANCE=0;\n"), "distance is 0"),
}


@pytest.mark.parametrize("case", IMAGES)
def test_bad_images_are_refused(tilesim, folder, tmp_path_factory, made, case):
    flag, data, named = IMAGES[case]
    path = tmp_path_factory.mktemp("inputs") / "x.img"
    path.write_bytes(data)
    without = [w for w in BASE if w not in ("-pixel", "1", "-distance", "100", "-lambda", "1.5", "-oversample")]
    assert named in check_refused(tilesim("run", *without, *OUTPUTS, "-oversample", "1", flag, path), made)


@pytest.mark.parametrize("damage", ["cut", "longer", "text", "empty", "NaN"])
def test_a_damaged_cache_is_refused(tilesim, folder, tmp_path_factory, made, damage):
    path = tmp_path_factory.mktemp("inputs") / "F.bin"
    tilesim("run", *BASE, "-floatfile", "/dev/null", "--write-fdump", "-dump", path)
    data = path.read_bytes()
    start = data.index(b"\f") + 1
    broken = {
        "cut": data[:-100],
        "longer": data + b"12345678",
        "text": b"no cache\n" * 100,
        "empty": b"",
        "NaN": data[:start] + b"\xff" * 8 + data[start + 8 :],
    }
    path.write_bytes(broken[damage])
    assert str(path) in check_refused(tilesim("run", *NO_TABLE, *OUTPUTS, "-dump", path), made)


# --- numbers and words

WRONG = {
    "-lambda nan": "-lambda expects a number above 0",
    "-lambda inf": "-lambda expects",
    "-lambda 0": "-lambda expects",
    "-lambda 1,5": "-lambda expects",
    "-energy 0": "-energy expects",
    "-distance 0": "-distance expects a number other than 0 [mm]",
    "-distance -inf": "-distance expects",
    "-close_distance 0": "-close_distance expects",
    "-pixel 0": "-pixel expects",
    "-pixel -0.1": "-pixel expects",
    "-detpixels -4": "-detpixels expects",
    "-detpixels 1.5": "-detpixels expects",
    "-detpixels 99999999999": "-detpixels expects",
    "-detpixels 2000000000": "expected at most",
    "-detpixels 0 -detsize 1e12": "expected at most",
    "-detpixels 0 -detsize 0.1": "smaller than half a pixel",
    "-detsize -1": "-detsize expects",
    "-cell 0": "-cell expects",
    "-cell 10 10 10 180 90 90": "each below 180",
    "-cell 10 10 10 120 120 120": "sum below 360",
    "-cell 10 10 10 90 90 270": "each below 180",
    "-cell 10 10 10 90 30 20": "each below the sum of the others",
    "-cell 10 10 10 90 90 0.0001": "is flat",
    "-fdet_vector 0 0 1 -sdet_vector 0 0 -2": "are parallel",
    "--distance 100": "Did you mean '-distance'?",
    "--hkl=P1.hkl": "Did you mean '-hkl'?",
    "--frames 1_0": "'1_0'; expected a number",
    "--frames \u0661": "expected a number",
    "-N nan": "-N expects a 32-bit whole number",
    "-fluence -1": "-fluence expects",
    "-water -1": "-water expects",
    "-mosaic_domains 2000000000": "expected at most",
    "-osc 1 -phistep 1e-9": "expected at most",
    "-oversample 100000": "expected at most",
    "-dispersion 300 -dispsteps 3": "-dispersion is 300 percent; expected less than 200",
    "-beam_vector 0 0 0": "-beam_vector expects",
    "-roi 1 2 3": "-roi expects 4",
    "-misset 1 2": "-misset expects random or 3 numbers",
    "-floatfile": "-floatfile expects a file name; found nothing",
    "-hkl -floatfile f.bin": "-hkl expects a file name",
    "-seed abc": "-seed expects",
    "-pivot corner": "-pivot expects sample or beam",
    "-lamda 1": "the nearest known: -lambda",
    "-floatfil f.bin": "the nearest known: -floatfile",
    "-nonoize": "the nearest known: -nonoise",
    "-xyzzy": "unknown flag",
    "stray": "expected a flag",
    "--zar x": "Did you mean '--zarr'?",
    "--lambda 1": "No such option '--lambda'",
    "--tile 0": "expected pixels such as 512",
    "--tile 4x": "expected pixels such as 512",
    "--tile ²": "expected pixels such as 512",
    "--tile": "--tile needs a value",
    "--zarr --tile 4": "--zarr needs a value; found '--tile'",
    "--json -floatfile f.bin": "--json needs a value; found '-floatfile'",
    "--zarr=": "--zarr needs a value",
    "--precision half": "'half' is not one of",
    "--backend c++": "'c++' is not one of",
    "--device abacus": "device is 'abacus'",
    "--device cuda:²": "device is 'cuda:²'",
    "--device cuda:99": "device cuda:99 is not there",
    "--quiet=yes": "does not take a value",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_arguments_are_refused_by_name(tilesim, made, words):
    assert WRONG[words] in check_refused(tilesim("run", *BASE, *words.split()), made)


@pytest.mark.parametrize(
    "words, said",
    [
        ("plan grid.toml", "`tilesim batch grid.toml --dry-run` says what would be done"),
        ("detectors --picture", "expected such as `tilesim detectors --picture detectors.png`"),
    ],
)
def test_what_was_meant_is_named(tilesim, made, words, said):
    assert said in check_refused(tilesim(*words.split()), made)


@pytest.mark.parametrize("words", ["", "-hkl P1.hkl", "-mat A.mat", "-default_F 10"])
def test_a_crystal_or_structure_factors_missing_is_refused(tilesim, made, words):
    check_refused(tilesim("run", *words.split()), made)


@pytest.mark.parametrize("words", [("bogus",), ("--bogus",), ("info",), ("info", "missing"), ("info", "A.mat")])
def test_other_commands_are_refused_alike(tilesim, made, words):
    check_refused(tilesim(*words), made)


# --- outputs

UNWRITABLE = {
    "-floatfile missing/f.bin": "there is no folder",
    "-intfile missing/i.img": "there is no folder",
    "-pgmfile ..": "found that of a folder",
    "-noisefile new/": "found that of a folder",
    "--preview missing/v.png": "there is no folder",
    "--preview v.jpg": "expected a name that ends in .png",
    "--preview png": "expected a name that ends in .png",
    "--json missing/j.json": "there is no folder",
    "--zarr missing/z.zarr": "there is no folder",
    "--zarr ..": "A.mat (-mat) lies inside the output ..",
    "--zarr P1.hkl": "P1.hkl is an input (-hkl)",
    "-floatfile A.mat": "A.mat is an input (-mat)",
    "-intfile ./P1.hkl": "./P1.hkl is an input (-hkl)",
    "--json A.mat": "A.mat is an input (-mat)",
    "--write-fdump -dump A.mat": "A.mat is an input (-mat)",
    "--strict-c -dump P1.hkl": "P1.hkl is an input (-hkl)",
    "-floatfile x -intfile ./x": "named for two outputs",
    "-floatfile x --json x": "named for two outputs",
    "-floatfile x --zarr x/": "named for two outputs",
    "--write-fdump -dump x -floatfile x": "named for two outputs",
    "-floatfile /dev/full": "No space left on device",
    "-pgmfile /dev/full": "No space left on device",
}


@pytest.mark.parametrize("words", UNWRITABLE)
def test_outputs_that_cannot_be_written_are_refused(tilesim, folder, made, words):
    before = (folder / "A.mat").read_bytes(), (folder / "P1.hkl").read_bytes()
    assert UNWRITABLE[words] in check_refused(tilesim("run", *BASE, *words.split(), "--quiet"), made)
    assert ((folder / "A.mat").read_bytes(), (folder / "P1.hkl").read_bytes()) == before


def test_the_cache_that_is_read_is_not_overwritten(tilesim, folder, made, tmp_path_factory):
    path = tmp_path_factory.mktemp("inputs") / "F.bin"
    tilesim("run", *BASE, "-floatfile", "/dev/null", "--write-fdump", "-dump", path)
    for mode in ((), ("--strict-c",)):
        result = tilesim("run", *NO_TABLE, *mode, "-dump", path, "-floatfile", path)
        assert "is an input (-dump)" in check_refused(result, made)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tilesim, folder, made):
    folder.chmod(0o500)
    try:
        assert "no permission" in check_refused(tilesim("run", *BASE, "-floatfile", "f.bin"), made)
    finally:
        folder.chmod(0o700)


def test_a_read_only_file_is_refused(tilesim, folder, made, monkeypatch):
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: "f.bin" not in str(path) and access(path, mode))
    (folder / "f.bin").write_bytes(b"old")
    result = tilesim("run", *BASE, "-floatfile", "f.bin", "--quiet")
    assert (result.status, result.err) == (2, "tilesim: cannot write f.bin: Permission denied\n")
    assert (folder / "f.bin").read_bytes() == b"old"


# --- a disk that fills up

ALL = (*OUTPUTS, "--write-fdump", "--tile", "4")
STORED = (*ALL, "--zarr", "z.zarr")


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def fails_after(count, function):
    """`function`, until it fails at call `count`."""
    calls = []

    def call(*arguments, **options):
        calls.append(1)
        return full() if len(calls) > count else function(*arguments, **options)

    return call


@pytest.mark.parametrize("count", [0, 3])
def test_a_full_disk_at_the_float_image_leaves_nothing(tilesim, made, monkeypatch, count):
    monkeypatch.setattr(os, "pwrite", fails_after(count, os.pwrite))
    assert "cannot write f.bin: No space left" in check_refused(tilesim("run", *BASE, *ALL), made)


def test_a_disk_too_small_for_the_float_image_shows_at_once(tilesim, made, monkeypatch):
    monkeypatch.setattr(os, "posix_fallocate", full)
    result = tilesim("run", *BASE, *ALL, "--quiet")
    assert "cannot write f.bin: No space left" in check_refused(result, made)


@pytest.mark.parametrize("count", [0, 3, 8])
def test_a_full_disk_at_a_chunk_of_the_store_leaves_what_can_be_resumed(tilesim, folder, made, monkeypatch, count):
    from zarr.storage import LocalStore

    put, chunks = LocalStore.set, []

    async def failing(store, key, value):
        if "intensity/c/0/" in key:
            chunks.append(key)
            if len(chunks) > count:
                full()
        await put(store, key, value)

    with monkeypatch.context() as patched:
        patched.setattr(LocalStore, "set", failing)
        result = tilesim("run", *BASE, *STORED, "--quiet")
    assert result.status == 2 and len(result.err.splitlines()) == 2
    assert "z.zarr: No space left on device" in result.err and "--resume computes the rest" in result.err
    assert made() == ["z.zarr"]
    objects = [path for path in (folder / "z.zarr" / "0" / "intensity" / "c").rglob("*") if path.is_file()]
    assert len(objects) <= count
    account = tilesim("run", *BASE, *STORED, "--resume", "--json", "-")
    assert json.loads(account.out)["restored_tiles"] == len(objects)
    assert tilesim("verify", "z.zarr").status == 0


LATER = ["int_pixels", "pgm_pixels", "noise_pixels", "preview"]


@pytest.mark.parametrize("words", [ALL, STORED], ids=["files", "store"])
@pytest.mark.parametrize("at", LATER)
def test_a_full_disk_at_a_later_output_leaves_nothing_of_the_others(tilesim, folder, made, monkeypatch, at, words):
    from tilesim.physics import poisson
    from tilesim.pictures import picture
    from tilesim.series import images

    place = {"noise_pixels": (poisson, at), "preview": (picture, "draw")}
    monkeypatch.setattr(*place.get(at, (images, at)), full)
    (folder / "i.img").write_bytes(b"old")
    result = tilesim("run", *BASE, *words)
    assert result.status in (1, 2) and "No space left" in result.err
    assert [name for name in made() if name != "z.zarr"] == ["i.img"]
    assert (folder / "i.img").read_bytes() == b"old"


def test_a_limit_of_the_file_size_is_told_and_leaves_nothing(process, folder, made):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    child = process("run", *BASE, "-detpixels", "16", "-floatfile", "f.bin", "-intfile", "i.img", preexec_fn=limit)
    _, err = child.communicate(timeout=LIMIT)
    assert child.returncode == 2
    assert err.splitlines()[-1] == "tilesim: cannot write f.bin: File too large"
    assert made() == []


def test_strict_mode_goes_on_where_the_reference_does(tilesim, folder):
    (folder / "P1.hkl").write_text(REFLECTIONS + "this ends the table\n")
    words = "--strict-c -unknown stray --lambda 1.4 -floatfile f.bin -detpixels 5x -distance".split()
    assert tilesim("run", *BASE, *words).status == 0
    assert (folder / "f.bin").stat().st_size == 4 * 5 * 5


@pytest.mark.parametrize("words", [("-img", "pipe"), ("-mask", "pipe"), ("--geometry", "pipe")])
def test_a_pipe_where_a_file_is_read_in_parts_is_named(tilesim, folder, words):
    os.mkfifo(folder / "pipe")
    result = tilesim("run", *BASE, *words)
    assert (result.status, result.err) == (2, "tilesim: pipe: expected a file, found a folder, a pipe or a device\n")
