"""Lists of files and events, as CrystFEL has them, wherever images are read; noise straight to CXI."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from experiments import plain

import tilesim
from tilesim import Distribution, InputError
from tilesim.images.image import open_image

BASE = plain()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store of five drawn shots, and the same in CXI, NXmx and CBF files."""
    folder = tmp_path_factory.mktemp("listed")
    fluence = Distribution("gamma", mean=1e26, sd=4e25)
    series = tilesim.draw(BASE, 5, orientation="uniform", fluence=fluence)
    tilesim.run(series, store=folder / "s.zarr", progress=False)
    data = tilesim.open(folder / "s.zarr")
    tilesim.export(data, folder / "a.cxi", frames=[0, 1, 2])
    tilesim.export(data, folder / "b.h5", frames=[3, 4])
    tilesim.export(data, folder / "c.cbf", frames=4, scale=1.0)
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    for path in made.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_frames_are_those_of_the_lines(folder):
    Path("x.lst").write_text("b.h5 //1\n\na.cxi //2\n  a.cxi   //0  \nb.h5\n")
    data, store = tilesim.open("x.lst"), tilesim.open("s.zarr")
    assert data.frames == (0, 1, 2, 3, 4) and data.format == "lst"
    for frame, wanted in enumerate((4, 2, 0, 3, 4)):
        image = store.image(wanted).compute()
        assert image.max() > 0 and np.array_equal(data.image(frame).compute(), image)
        assert np.array_equal(open_image("x.lst", frame=frame).block(slice(0, 9), slice(0, 9)), image[:9, :9])
    assert {Path(one.path).name for one in data.inputs} >= {"x.lst", "a.cxi", "b.h5"}


def test_experiments_are_those_of_the_files(folder):
    Path("x.lst").write_text("b.h5 //1\nb.h5 //0\n")
    data, store = tilesim.open("x.lst"), tilesim.open("s.zarr")
    for frame, wanted in enumerate((4, 3)):
        assert data.experiment(frame).beam.fluence == pytest.approx(store.experiment(wanted).beam.fluence, rel=1e-6)
    np.testing.assert_allclose(
        data.experiment(0).detector.panels[0].distance, store.experiment(4).detector.panels[0].distance, rtol=1e-6
    )


def test_names_are_of_the_folder_of_the_list_or_the_working_folder(folder):
    Path("lists").mkdir()
    Path("lists/x.lst").write_text("b.h5 //1\n../b.h5 //1\n")
    data = tilesim.open("lists/x.lst")
    assert len(data) == 2 and np.array_equal(data.image(0).compute(), data.image(1).compute())


def test_tools_take_a_list(folder):
    Path("x.lst").write_text("a.cxi\nb.h5\n")
    store = tilesim.open("s.zarr")
    assert tilesim.export("x.lst", "o_{frame}.tif").files == [f"o_{k}.tif" for k in range(5)]
    assert np.array_equal(tilesim.open("o_4.tif").image(0).compute(), store.image(4).compute())
    assert command("compare", "x.lst", "s.zarr", "--frame", "4", "--quiet") == 0
    assert command("compare", "x.lst", "s.zarr", "--frame", "4,3", "--quiet") != 0
    assert command("preview", "x.lst", "o.png", "--frame", "3") == 0 and Path("o.png").stat().st_size > 100
    with pytest.raises(InputError, match=r"b\.h5"):  # it is read
        tilesim.export("x.lst", "b.h5")


def test_noise_goes_straight_to_cxi(folder):
    noise = tilesim.Noise(readout=2.0, seed=5)
    tilesim.add_noise("s.zarr", noise, store="n.zarr")
    tilesim.export("n.zarr", "two.cxi")
    assert noise_command("s.zarr", "one.cxi") == 0
    with h5py.File("one.cxi") as one, h5py.File("two.cxi") as two:
        images = one["entry_1/data_1/data"][...]
        assert images.shape[0] == 5 and images.max() > 3 and np.array_equal(images, two["entry_1/data_1/data"][...])
        energies = (
            one["entry_1/instrument_1/beam/photon_energy"][...],
            two["entry_1/instrument_1/beam/photon_energy"][...],
        )
        assert np.array_equal(*energies) and energies[0].min() > 0
    Path("x.lst").write_text("one.cxi //3\n")
    assert np.array_equal(tilesim.open("x.lst").image(0).compute(), images[3])
    assert noise_command("x.lst", "o.zarr") == 0 and len(tilesim.open("o.zarr")) == 1


def noise_command(*words):
    return command("noise", *words, "--readout", "2", "--seed", "5", "--quiet")


def command(*words):
    from click.testing import CliRunner

    from tilesim_cli.program import tilesim as program

    done = CliRunner().invoke(program, words)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "x.lst: expected a file in each line, and //EVENT; found none"),
        ("a.cxi //0\nz.cxi //0\n", "x.lst line 2: there is no file z.cxi; expected FILE, or FILE //EVENT"),
        ("a.cxi //x\n", "x.lst line 1: expected an event such as //3, found '//x'"),
        ("a.cxi entry//3\n", "x.lst line 1: expected an event such as //3, found 'entry//3'"),
        ("a.cxi //3\n", "x.lst line 1: a.cxi: there is no event 3; expected 0 to 2"),
        ("x.lst\n", "x.lst line 1: x.lst is a lst file; expected HDF5 or CBF in a list"),
        ("text.txt //0\n", "x.lst line 1: text.txt is a float file; expected HDF5 or CBF in a list"),
        ("a.cxi //1\nsmall.h5 //0\n", "x.lst line 2: small.h5 holds 1 panels of (3, 4) pixels"),
        ("i.img\n", "x.lst line 1: i.img is a smv file; expected HDF5 or CBF in a list"),
    ],
)
def test_a_wrong_list_is_one_line(folder, text, said):
    Path("x.lst").write_text(text)
    Path("text.txt").write_text("nothing")
    with h5py.File("small.h5", "w") as file:
        file["entry/data/data"] = np.ones((1, 3, 4), np.int32)
    tilesim.export("s.zarr", "i.img", frames=0, scale=1.0)
    with pytest.raises(InputError) as caught:
        tilesim.open("x.lst")
    assert said in str(caught.value) and "\n" not in str(caught.value)
