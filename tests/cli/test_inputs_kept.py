"""No output of any command harms an input: whatever it is called, the inputs keep their bytes."""

import os
import shutil

import h5py
import numpy as np
import pytest
from commands import BASE

import tilesim as library
from tilesim.example import write_example
from tilesim.files.inventory import NamedFile, check_files

RUN = " ".join(BASE)
GEO = "-mat A.mat -hkl P1.hkl -N 3 --geometry g.toml"
PDB = "-mat A.mat -N 3 -lambda 1.5 -distance 100 -pixel 10 -detpixels 12 --dmin 9 --model m.pdb"
BATCH = 'flags = "-mat A.mat -hkl P1.hkl -N 3 -lambda 1.5 -distance 100 -pixel 1 -detpixels 12"\n'
GEOMETRY = """pixel = 1
shape = [12, 12]
wavelength = 1.5
[[panel]]
origin = [-6, -6, 100]
fast = [1, 0, 0]
slow = [0, 1, 0]
"""
GEOM = """photon_energy = 8000
clen = 0.1
res = 1000
p/min_fs = 0
p/max_fs = 11
p/min_ss = 0
p/max_ss = 11
p/corner_x = -6
p/corner_y = -6
p/fs = x
p/ss = y
"""
MODEL = """CRYST1   50.000   40.000   33.000  90.00  90.00  90.00 P 1           1
ATOM      1  CA  ALA A   1       1.000   2.000   3.000  1.00 20.00           C
END
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A folder with input of each kind; nothing in it may change."""
    folder = tmp_path_factory.mktemp("kept")
    before = os.getcwd()
    os.chdir(folder)
    try:
        write_example("ex")
        from commands import MATRIX, REFLECTIONS

        for name, text in {
            "A.mat": MATRIX,
            "P1.hkl": REFLECTIONS,
            "g.toml": GEOMETRY,
            "g.png": GEOM,
            "m.pdb": MODEL,
            "s.txt": "0 0 1 1 1.5e-10\n",
            "c.stol": "0 5\n0.1 4\n0.5 1\n",
            "mask.img": "{\nHEADER_BYTES=512;\nSIZE1=12;\nSIZE2=12;\nPIXEL_SIZE=1;\n}\n\f".ljust(512) + "\1\0" * 144,
            "b.toml": BATCH + 'floatfile = "b_{frame}.bin"\n',
            "over.toml": BATCH + 'floatfile = "over.toml"\n',
            "hkl.toml": BATCH + 'floatfile = "./P1.hkl"\n',
            "geo.toml": 'flags = "-mat A.mat -hkl P1.hkl -N 3"\ngeometry = "g.toml"\nzarr = "g.toml"\n',
            "ca.pem": "PEM",
            "t.log": "TRACE: a 1\n",
        }.items():
            (folder / name).write_text(text)
        experiment = library.from_nanobragg(RUN)
        library.run(experiment, store="z.zarr", files=library.Outputs(float_file="f.bin"), progress=False)
        library.export("z.zarr", "e.bin")
        library.export("z.zarr", "i.img", scale=1.0)
        with h5py.File("data.h5", "w") as file:
            file["data"] = np.ones((1, 12, 12), np.int32)
        with h5py.File("master.h5", "w") as file:
            file["entry/data/data_000001"] = h5py.ExternalLink("data.h5", "/data")
        with h5py.File("virtual.h5", "w") as file:
            layout = h5py.VirtualLayout((1, 12, 12), np.int32)
            layout[...] = h5py.VirtualSource("data.h5", "data", (1, 12, 12))
            file.create_virtual_dataset("entry/data/data", layout)
        os.symlink("P1.hkl", "soft.hkl")
        os.link("P1.hkl", "hard.hkl")
        os.symlink(".", "here")
    finally:
        os.chdir(before)
    return folder


OUTPUTS = "-floatfile -intfile -noisefile -pgmfile --json --zarr".split()
READ = {
    "P1.hkl": RUN,
    "A.mat": RUN,
    "mask.img": f"{RUN} -mask mask.img",
    "./mask.img": f"{RUN} -img mask.img",
    "s.txt": f"{RUN} -sourcefile s.txt",
    "c.stol": f"{RUN} -stol c.stol -water 1",
    "g.toml": GEO,
    "m.pdb": PDB,
    "t.log": f"{RUN} --scheduler-file t.log",
    "ca.pem": f"{RUN} --scheduler tls://127.0.0.1:1 --tls-ca ca.pem --tls-cert t.log --tls-key s.txt",
}
SPELLINGS = ("./P1.hkl", "ex/../P1.hkl", "{}/P1.hkl", "soft.hkl", "hard.hkl", "here/P1.hkl", "/proc/self/cwd/P1.hkl")
ALL = [
    *(f"run {words} -floatfile {name}" for name, words in READ.items()),
    *(f"run {RUN} {output} P1.hkl" for output in OUTPUTS),
    *(f"run {RUN} -floatfile {spelled}" for spelled in SPELLINGS),
    *(f"plan {GEO} --json {name}" for name in ("g.toml", "P1.hkl")),
    f"run {RUN} --zarr file://{{}}/P1.hkl",
    f"run {RUN} -floatfile z.zarr/zarr.json",
    f"run {RUN} -floatfile z.zarr/0/f.bin",
    f"run {RUN} --zarr z.zarr/0/new.zarr",
    f"run {RUN} -mask z.zarr/mask.img --zarr z.zarr --overwrite",
    f"run {RUN} -floatfile new.bin --json ex/../new.bin",
    f"run {RUN} --frames 2 --frame-osc 1 -floatfile f_{{frame}}.bin --json f_1.bin",
    "batch b.toml --json b.toml",
    "batch b.toml --json A.mat",
    "batch over.toml",
    "batch hkl.toml",
    "batch geo.toml --overwrite",
    "compare f.bin f.bin --json f.bin",
    "compare z.zarr f.bin --json z.zarr/zarr.json",
    "compare e.bin f.bin --json e.bin.json",
    "compare ex/a.png f.bin --outdir ex",
    "compare f.bin f.bin --outdir z.zarr",
    "compare f.bin f.bin --outdir new --json new/summary.json",
    f"compare --json P1.hkl --against ./none -- {RUN}",
    "trace --compare t.log t.log --json t.log",
    f"trace --pixel 3 3 --json P1.hkl {RUN}",
    f"trace --pixel 3 3 --json g.toml {GEO}",
    "trace z.zarr --pixel 3 3 --json z.zarr/0/zarr.json",
    "noise z.zarr z.zarr --overwrite",
    "noise z.zarr z.zarr/n.zarr",
    "noise z.zarr n.img --json z.zarr/zarr.json",
    "noise z.zarr n.img --json n.img",
    "noise z.zarr n.bin --json n.bin.json",
    "noise e.bin f.bin --dead f.bin",
    "noise i.img i.img",
    "noise f.bin n.img --geometry g.toml --json g.toml",
    "noise master.h5 n.img --json data.h5",
    "preview z.zarr z.zarr/0/p.png",
    "export i.img i.img",
    "export e.bin hard.bin",
    "export e.bin new.img --expt e.bin.json",
    "export z.zarr new.expt --expt ex/../new.expt",
    "export z.zarr z.zarr/0/x.cbf",
    "export f.bin g.toml --format expt --geometry g.toml",
    "export master.h5 data.h5",
    "export virtual.h5 data.h5",
    f"export f.bin P1.hkl --format smv -- {RUN}",
    "preview f.bin g.png --geometry g.png",
    "preview p.png p.png",
    "rerun z.zarr --json z.zarr/zarr.json",
    "rerun z.zarr --source e.bin --json e.bin",
    "pyramid z.zarr --scheduler-file z.zarr/zarr.json",
    "example z.zarr/0",
]


@pytest.fixture
def harmless(tilesim, folder, inputs):
    """`harmless(words)` runs the program among the inputs, which keep all their bytes; what it gives."""
    shutil.copytree(inputs, folder, dirs_exist_ok=True, symlinks=True)
    # Copying makes two files of one.
    os.remove("hard.hkl")
    os.link("P1.hkl", "hard.hkl")
    os.link("e.bin", "hard.bin")
    shutil.copy("mask.img", "z.zarr/mask.img")
    for name in ("p.png", "ex/a.png"):
        shutil.copy("f.bin", name)
    before = contents(folder)

    def run(words):
        result = tilesim(*words.format(folder, frame="{frame}").split())
        assert contents(folder) == before
        return result

    return run


def contents(folder):
    return {str(path): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@pytest.mark.parametrize("words", ALL)
def test_an_output_that_is_an_input_is_refused_before_anything_is_written(harmless, words):
    result = harmless(words)
    errors = [line for line in result.err.splitlines() if not line.startswith(("NOTE:", "WARNING:"))]
    assert result.status == 2 and len(errors) == 1 and "Traceback" not in result.err
    assert any(word in errors[0] for word in (" is an input (", " lies inside the ", " is named for two outputs"))


def test_python_verbs_refuse_alike(inputs, monkeypatch):
    monkeypatch.chdir(inputs)
    before = contents(inputs)
    experiment = library.from_nanobragg(RUN)
    for attempt in (
        lambda: library.export("e.bin", "here/e.bin"),
        lambda: library.export("z.zarr", "new.img", models="new.img", scale=1.0),
        lambda: library.preview("z.zarr", "z.zarr/0/p.png"),
        lambda: library.add_noise("z.zarr", library.Noise(), store="here/z.zarr", overwrite=True),
        lambda: library.run(experiment, store="z.zarr/0/new.zarr"),
        lambda: library.run(experiment, files=library.Outputs(float_file="t.log"), scheduler_file="t.log"),
    ):
        with pytest.raises(library.InputError, match=r"input|inside|two outputs"):
            attempt()
    assert contents(inputs) == before


def test_urls_are_compared_by_their_text():
    def check(read, stores):
        check_files([NamedFile("IN", read)], stores=[NamedFile("OUT", name) for name in stores])

    check("s3://bucket/a.zarr", ["s3://bucket/b.zarr", "s3://other/a.zarr"])
    for read, stores in (
        ("s3://bucket/a.zarr", ["S3://bucket/x/../a.zarr/"]),
        ("s3://bucket/a.zarr", ["s3://bucket/a.zarr/b.zarr"]),
        ("s3://bucket/a.zarr/mask", ["s3://bucket/a.zarr"]),
        ("file", ["s3://bucket/a.zarr", "s3://bucket//a.zarr"]),
    ):
        with pytest.raises(library.InputError, match=r"input|inside|two outputs"):
            check(read, stores)


def test_devices_may_be_both():
    check_files([NamedFile("-stol", "/dev/null")], [NamedFile("-floatfile", "/dev/null")])


@pytest.mark.parametrize("option", ["-floatfile", "-pgmfile", "--zarr", "--json", "--preview"])
def test_a_name_that_is_too_long_is_found_before_the_first_file_is_written(tilesim, made, option):
    for name in ("x" * 300, "y/" * 2100 + "y"):
        result = tilesim("run", *BASE, "-intfile", "o.img", option, f"{name}.png")
        assert result.status == 2 and "expected at most 255 and 4095" in result.err and made() == []
        assert len(result.err) < 1000
