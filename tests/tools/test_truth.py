"""Tables of the truth: reflections and labels of stored shots, as CSV, Parquet and HDF5."""

import csv

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from experiments import plain

import tilesim
from tilesim import InputError
from tilesim.geometry.prediction import predicted
from tilesim.model import Shape, StructureFactors
from tilesim.tools.partiality import partialities
from tilesim_cli.truth import command

CRYSTAL = plain().crystal.replace(shape=Shape.GAUSS_HKL)
SHOT = plain(crystal=CRYSTAL, water_size=1e-6, beam=plain().beam.replace(fluence=1e28))
BLANK = SHOT.replace(crystal=None, factors=StructureFactors.constant(0))


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / "x.zarr"
    tilesim.run([SHOT, BLANK], store=path, truth=True, backend="eager", progress=False)
    return path


def tables(stored, *options):
    done = CliRunner().invoke(command, [str(stored), *map(str, options)], catch_exceptions=False)
    assert done.exit_code == 0, done.output


def rows_of(path):
    with open(path) as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_reflections_lie_where_they_are_predicted_with_all_photons(stored, tmp_path):
    tables(stored, "--reflections", tmp_path / "r.csv", "--least", 0)
    rows = rows_of(tmp_path / "r.csv")
    spots = predicted(SHOT, SHOT.detector.panels[0])
    places = {tuple(hkl): place for hkl, *place in zip(spots.hkl.tolist(), spots.slow, spots.fast, strict=True)}
    assert len(rows) > 5
    near = []
    for row in rows:
        hkl = tuple(int(row[name]) for name in "hkl")
        d = 1e10 / np.linalg.norm(np.array(hkl) @ np.array(CRYSTAL.star))
        assert row["frame"] == 0 and row["resolution"] == pytest.approx(d) and row["wavelength"] == pytest.approx(1.0)
        if hkl in places and 3 < row["slow"] < 20 and 3 < row["fast"] < 28 and row["photons"] > 100:
            near.append(float(np.hypot(*np.subtract(places[hkl], (row["slow"], row["fast"])))))
        assert row["partiality"] == pytest.approx(partialities(SHOT, np.array([hkl]))[0], rel=1e-12)
    assert len(near) > 3 and max(near) < 0.7 and 0 < rows[0]["partiality"] < 1
    bare = tilesim.simulate_now(SHOT.replace(water_size=0.0), backend="eager")
    total = bare.sum(dtype=float)  # some of them around the direct beam
    assert 0.8 * total < sum(row["photons"] for row in rows) < total


def test_labels_tell_hits_from_blanks(stored, tmp_path):
    tables(stored, "--labels", tmp_path / "l.csv", "--reflections", tmp_path / "r.h5")
    hit, blank = rows_of(tmp_path / "l.csv")
    assert (hit["hit"], blank["hit"], hit["frame"], blank["frame"]) == (1, 0, 0, 1)
    assert hit["a"] == pytest.approx(np.linalg.norm(CRYSTAL.a) * 1e10)
    assert np.isnan(blank["a"]) and np.isnan(blank["resolution"]) and blank["photons"] == blank["reflections"] == 0
    matrix = np.array([[hit[f"r{i}{j}"] for j in (1, 2, 3)] for i in (1, 2, 3)])
    np.testing.assert_allclose(matrix, CRYSTAL.orientation)
    with h5py.File(tmp_path / "r.h5") as file:
        assert len(file["h"]) == hit["reflections"] > 5 and file["h"].dtype == np.int64
        assert file["resolution"][:].min() == hit["resolution"]


def test_parquet_has_the_same_rows(stored, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    tables(stored, "--reflections", tmp_path / "r.parquet")
    tables(stored, "--reflections", tmp_path / "r.csv")
    assert parquet.read_table(tmp_path / "r.parquet").to_pylist() == rows_of(tmp_path / "r.csv")


def test_python_gives_the_columns_that_files_hold(stored, tmp_path):
    known = tilesim.truth(tilesim.open(stored), reflections=tmp_path / "r.csv", labels=tmp_path / "l.csv", least=5)
    for table, name in ((known.reflections, "r.csv"), (known.labels, "l.csv")):
        rows = rows_of(tmp_path / name)
        assert list(table) == list(rows[0]) and len(rows) == len(table["frame"])
        for column, values in table.items():
            np.testing.assert_array_equal(values, [row[column] for row in rows])
    assert known.reflections["photons"].min() >= 5 > tilesim.truth(stored).reflections["photons"].min() > 1


def test_what_cannot_be_written_is_one_line(stored, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    for name, why in (("r.parquet", "takes pyarrow, which is not installed"), ("r.txt", "no ending of a table")):
        done = CliRunner().invoke(command, [str(stored), "--reflections", str(tmp_path / name)])
        assert isinstance(done.exception, InputError) and why in str(done.exception)
    tilesim.run(SHOT, store=tmp_path / "without.zarr", backend="eager", progress=False)
    done = CliRunner().invoke(command, [str(tmp_path / "without.zarr"), "--labels", str(tmp_path / "l.csv")])
    assert "holds no truth" in str(done.exception)
    with pytest.raises(InputError, match="holds no truth"):
        tilesim.truth(tmp_path / "without.zarr")
    with pytest.raises(InputError, match="least is -1; expected a number of 0 or more"):
        tilesim.truth(stored, least=-1)
    with pytest.raises(InputError, match="named for two outputs"):
        tilesim.truth(stored, reflections=tmp_path / "r.csv", labels=tmp_path / "r.csv")
    two = SHOT.replace(other_crystals=(CRYSTAL.rotated((0.0, 0.0, 1.0), 0.3),))
    tilesim.run(two, store=tmp_path / "two.zarr", truth=True, backend="eager", progress=False)
    done = CliRunner().invoke(command, [str(tmp_path / "two.zarr"), "--reflections", str(tmp_path / "r.csv")])
    assert "frame 0 has 2 lattices" in str(done.exception)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["two.zarr", "without.zarr"]
