"""MTZ and structure-factor CIF to tables: columns, symmetry, Friedel mates, absences, bad files."""

import gzip
import os
import types

import gemmi
import models
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilesim.errors import InputError
from tilesim.reflections.hkl import read_hkl
from tilesim.reflections.tables import Request, read_factors

NAN = np.nan


def read(path, default=0.0, column=None):
    return read_factors(Request(str(path), default, column=column))


def at(table, hkl):
    return table.factors.grid[tuple((np.asarray(hkl) - table.factors.minimum).T)]


def drawn(count, seed=3):
    return np.random.default_rng(seed).uniform(5, 100, count).astype(np.float32).astype(float)


@pytest.fixture
def hkl():
    return models.unique("P 21 21 21", 4.0)


@pytest.mark.parametrize("spacegroup", models.CELLS)
def test_all_mates_are_there_and_equal_and_extinct_ones_are_zero(tmp_path, spacegroup):
    unique = models.unique(spacegroup)
    models.write_mtz(tmp_path / "f.mtz", unique, {"F": ("F", drawn(len(unique)))}, spacegroup)
    table = read(tmp_path / "f.mtz", default=777.0)
    group, cell = gemmi.SpaceGroup(spacegroup).operations(), gemmi.UnitCell(*models.CELLS[spacegroup])
    np.testing.assert_array_equal(at(table, unique), drawn(len(unique)))
    for op in group.sym_ops:
        mates = np.array([op.apply_to_hkl([int(x) for x in h]) for h in unique])
        np.testing.assert_array_equal(at(table, mates), at(table, unique))
        np.testing.assert_array_equal(at(table, -mates), at(table, unique))
    box = np.argwhere(np.ones(table.factors.grid.shape)) + table.factors.minimum
    finest = cell.calculate_1_d2_array(unique.astype(np.int32)).max() * (1 + 1e-9)
    inside = cell.calculate_1_d2_array(box.astype(np.int32)) <= finest
    extinct = group.systematic_absences(box.astype(np.int32))
    values = at(table, box)
    assert (values[extinct & inside] == 0).all()
    origin = (box == 0).all(axis=1)
    np.testing.assert_array_equal(values == 777, ~inside | origin)
    np.testing.assert_array_equal(table.known[tuple((box - table.factors.minimum).T)], inside & ~origin)


def test_mtz_cif_and_text_of_the_same_data_are_one_table(tmp_path, hkl):
    values = drawn(len(hkl))
    models.write_mtz(tmp_path / "f.mtz", hkl, {"FP": ("F", values)})
    models.write_sf_cif(tmp_path / "f.cif", hkl, {"F_meas_au": values})
    table = read(tmp_path / "f.mtz")
    nonzero = np.argwhere(table.factors.grid)
    rows = zip((nonzero + table.factors.minimum).tolist(), table.factors.grid[tuple(nonzero.T)], strict=True)
    (tmp_path / "f.hkl").write_text(
        "".join(f"{h} {k} {m} {f!r}\n" for (h, k, m), f in ((r, float(f)) for r, f in rows))
    )
    assert read(tmp_path / "f.cif").factors == table.factors
    text, _ = read_hkl(tmp_path / "f.hkl")
    assert text.reflections == table.factors.reflections
    assert np.array_equal(text.grid[text.grid > 0], table.factors.grid[table.factors.grid > 0])


def test_files_are_known_by_content_compressed_ones_too(tmp_path, hkl):
    models.write_mtz(tmp_path / "f.hkl", hkl, {"FP": ("F", drawn(len(hkl)))})
    models.write_sf_cif(tmp_path / "g.txt", hkl, {"F_meas_au": drawn(len(hkl))})
    (tmp_path / "f.mtz.gz").write_bytes(gzip.compress((tmp_path / "f.hkl").read_bytes()))
    (tmp_path / "g.cif.gz").write_bytes(gzip.compress(b"# comment\n\n" + (tmp_path / "g.txt").read_bytes()))
    tables = [read(tmp_path / name).factors for name in ("f.hkl", "g.txt", "f.mtz.gz", "g.cif.gz")]
    assert len({table.digest for table in tables}) == 1


def test_a_damaged_gzip_file_is_one_line(tmp_path):
    whole = gzip.compress(bytes(range(256)) * 40)
    for data in (whole[:30], whole[:40] + b"\xff" * 8 + whole[48:]):
        (tmp_path / "f.mtz.gz").write_bytes(data)
        with pytest.raises(InputError, match=r"f\.mtz\.gz: "):
            read(tmp_path / "f.mtz.gz")


PAIR = {"F(+)": ("G", [10, 20, NAN, 40]), "F(-)": ("G", [12, NAN, 30, 44])}
INDICES = np.array([[1, 2, 3], [2, 2, 1], [1, 1, 1], [0, 2, 1]])
"""The last is centric in P212121."""


@pytest.mark.parametrize(
    "columns, column, plus, minus",
    [
        ({"FP": ("F", [1, 2, NAN, 4]), "FC": ("F", [5, 6, 7, 8])}, None, [1, 2, 0, 4], None),
        ({"FP": ("F", [1, 2, NAN, 4]), "FC": ("F", [5, 6, 7, 8])}, "FC", [5, 6, 7, 8], None),
        ({"FP": ("F", [1, 2, 3, 4]), **PAIR}, None, [10, 20, 30, 42], [12, 20, 30, 42]),
        ({"FP": ("F", [1, 2, 3, 4]), **PAIR}, "F(-)", [10, 20, 30, 42], [12, 20, 30, 42]),
        ({"FP": ("F", [1, 2, 3, 4]), **PAIR}, "F(+),F(-)", [10, 20, 30, 42], [12, 20, 30, 42]),
        ({"F(-)": PAIR["F(-)"], "F(+)": PAIR["F(+)"]}, None, [10, 20, 30, 42], [12, 20, 30, 42]),
        ({"F": ("F", [10, 20, 30, 4]), "D": ("D", [4, NAN, -2, 0])}, None, [12, 20, 29, 4], [8, 20, 31, 4]),
        ({"F": ("F", [10, 20, 30, 4]), "D": ("D", [4, NAN, -2, 0])}, "F", [10, 20, 30, 4], None),
        ({"F": ("F", [10, 20, 30, 4]), "D": ("D", [4, NAN, -2, 0])}, "F,D", [12, 20, 29, 4], [8, 20, 31, 4]),
        ({"I": ("J", [100, -4, 9, NAN])}, None, [10, 0, 3, 0], None),
        ({"I(+)": ("K", [4, 9, 16, 1]), "I(-)": ("K", [1, NAN, -1, 1])}, None, [2, 3, 4, 1], [1, 3, 0, 1]),
        ({"FWT": ("F", [-1, 2, -3, 4]), "PHWT": ("P", [0, 10, 20, 30])}, None, [1, 2, 3, 4], None),
        ({"F": ("R", [1, 2, 3, 4]), "I": ("J", [4, 4, 4, 4])}, "F", [1, 2, 3, 4], None),
    ],
)
def test_columns_become_amplitudes_of_h_and_of_minus_h(tmp_path, columns, column, plus, minus):
    models.write_mtz(tmp_path / "f.mtz", INDICES, columns)
    table = read(tmp_path / "f.mtz", column=column)
    assert at(table, INDICES).tolist() == plus
    assert at(table, -INDICES).tolist() == (plus if minus is None else minus)


def write_sets(path, sets, indices=None, **header):
    """An MTZ file of {crystal/dataset: {label: (type, values)}}."""
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup, mtz.cell = gemmi.SpaceGroup("P 21 21 21"), gemmi.UnitCell(*models.CELLS["P 21 21 21"])
    columns = []
    for name, labels in sets.items():
        made = mtz.add_dataset("x")
        made.crystal_name, made.dataset_name = name.split("/")
        made.cell = mtz.cell
        for label, (kind, values) in labels.items():
            mtz.add_column(label, kind)
            columns.append(values)
    mtz.set_data(np.column_stack([INDICES if indices is None else indices, *columns]).astype(np.float32))
    mtz.write_to_file(str(path))


ONE, TWO = ("F", [10, 20, 30, 40]), ("F", [11, 21, 31, 41])
FOUR, ZERO = ("D", [4, 4, 4, 0]), ("D", [0, 0, 0, 0])
ISYM = ("Y", [0, 0, 0, 0])
PLUS, MINUS = ("G", [12, 22, 32, 42]), ("G", [8, 18, 28, 42])


@pytest.mark.parametrize(
    "sets, column, labels",
    [
        # of another data set or of another name
        ({"n/n": {"FP": ONE}, "p/p": {"DANO": FOUR, "I": ("J", [1, 2, 3, 4])}}, None, ("FP",)),
        ({"n/n": {"F_native": ONE, "DANO_peak": FOUR}}, None, ("F_native",)),
        # not by order
        ({"n/n": {"DANO": FOUR, "SIGF": ("Q", [1, 1, 1, 1]), "F": ONE}}, None, ("F", "DANO")),
        ({"n/n": {"FP": ONE, "DANO2": FOUR, "DANO": ZERO}}, None, ("FP", "DANO")),
        ({"n/n": {"DPEAK": FOUR, "FPEAK": ONE, "FC": TWO, "PHIC": ("P", [0, 0, 0, 0])}}, None, ("FPEAK", "DPEAK")),
        ({"n/n": {"G-": MINUS, "F(-)": MINUS, "SIGF(-)": ("L", [1] * 4), "F(+)": PLUS}}, "F(-)", ("F(+)", "F(-)")),
        ({"n/n": {"Fminus": MINUS, "Fplus": PLUS}}, None, ("Fplus", "Fminus")),
        ({"n/n": {"F-obs-": MINUS, "F-obs+": PLUS}}, None, ("F-obs+", "F-obs-")),
        # measured before computed, whatever comes first
        ({"c/c": {"FWT": TWO, "PHWT": ("P", [0] * 4), "F-model": TWO}, "n/n": {"FP": ONE}}, None, ("FP",)),
        ({"c/c": {"X": TWO, "PX": ("P", [0] * 4)}, "n/n": {"I": ("J", [1, 4, 9, 16])}}, None, ("X",)),
        # as named
        ({"n/n": {"F": ONE, "D": FOUR}, "p/p": {"F": TWO, "D": ZERO}}, "p/F,p/D", ("F", "D")),
        ({"n/n": {"F": ONE}, "p/q": {"F": TWO}}, "/p/q/F", ("F",)),
        ({"n/n": {"A": PLUS, "B": MINUS}}, "A,B", ("A", "B")),
        ({"n/n": {"F(+)": PLUS}, "p/p": {"F(-)": MINUS}}, "F(+)", ("F(+)",)),
        # of type Y, in merged files of ctruncate, iotbx and reciprocalspaceship
        (
            {"n/n": {"F": ONE, "DANO": FOUR, "F(+)": PLUS, "F(-)": MINUS, "ISYM": ("Y", [0] * 4)}},
            None,
            ("F(+)", "F(-)"),
        ),
        ({"n/n": {"F": ONE, "M/ISYM": ("Y", [1] * 4)}}, None, ("F",)),
    ],
)
def test_columns_belong_together_by_data_set_and_name(tmp_path, sets, column, labels):
    write_sets(tmp_path / "f.mtz", sets)
    table = read(tmp_path / "f.mtz", column=column)
    assert f": {' and '.join(labels)} (" in table.lines[0]
    every = {label: values for one in sets.values() for label, (_, values) in one.items()}
    first, *second = (np.array(every[label], dtype=float) for label in labels)
    kind = next(one[label][0] for one in sets.values() for label in labels[-1:] if label in one)
    plus, minus = (
        (first + second[0] / 2, first - second[0] / 2) if kind == "D" else (first, second[0] if second else first)
    )
    assert at(table, INDICES)[:3].tolist() == plus[:3].tolist()
    assert at(table, -INDICES)[:3].tolist() == minus[:3].tolist()


@pytest.mark.parametrize(
    "sets, column, candidates",
    [
        ({"n/n": {"FP": ONE}, "p/p": {"FPH": TWO}}, None, "FP or FPH"),
        ({"n/n": {"F": ONE}, "p/p": {"F": TWO}}, None, "n/F or p/F"),
        ({"n/n": {"F": ONE}, "p/p": {"F": TWO}}, "F", "n/n/F or p/p/F"),
        ({"n/n": {"F1": ONE, "F2": TWO, "DANO": FOUR}}, None, "F1 or F2"),
        ({"n/n": {"FP": ONE, "D1": FOUR, "D2": ZERO}}, None, "FP,D1 or FP,D2"),
        ({"n/n": {"F1(+)": PLUS, "F1(-)": MINUS, "F2(+)": PLUS, "F2(-)": MINUS}}, None, r"F1\(\+\),F1\(-\) or F2"),
        ({"n/n": {"A": PLUS, "B": MINUS}}, None, r"PLUS,MINUS, or one of .*A \(G\), B \(G\)"),
        ({"n/n": {"F(+)": PLUS}, "p/p": {"F(-)": MINUS}}, None, "PLUS,MINUS"),
        ({"n/n": {"I": ("J", [1] * 4), "IMEAN": ("J", [4] * 4)}}, None, "I or IMEAN"),
    ],
)
def test_what_could_be_meant_is_listed_and_not_guessed(tmp_path, sets, column, candidates):
    write_sets(tmp_path / "f.mtz", sets)
    with pytest.raises(InputError, match=rf"f\.mtz.* --column .*{candidates}"):
        read(tmp_path / "f.mtz", column=column)


def test_files_without_batches_that_list_a_reflection_twice_are_not_merged(tmp_path):
    twice = np.array([[1, 2, 3], [2, 2, 1], [1, 2, 3]])
    models.write_mtz(tmp_path / "f.mtz", twice, {"F": ("F", [10, 20, 12]), "M/ISYM": ("Y", [1, 1, 2])})
    with pytest.raises(InputError, match=r"f\.mtz lists 1 2 3 twice, with different values \(1 such\)"):
        read(tmp_path / "f.mtz")
    models.write_mtz(tmp_path / "f.mtz", twice, {"F": ("F", [10, 20, 10])})
    assert at(read(tmp_path / "f.mtz"), twice).tolist() == [10, 20, 10]


def test_values_that_are_none_are_named_and_unknown_ones_are_missing(tmp_path):
    models.write_sf_cif(tmp_path / "f.cif", INDICES, {"F_meas_au": [77, 2.5, NAN, 3]})
    text = (tmp_path / "f.cif").read_text()
    (tmp_path / "f.cif").write_text(text.replace("2.5", "2.5(3)"))
    assert at(read(tmp_path / "f.cif", 9.0), INDICES).tolist() == [77, 2.5, 9, 3]
    (tmp_path / "f.cif").write_text(text.replace("77", "xyz"))
    with pytest.raises(
        InputError, match=r"f\.cif: expected a number for _refln\.F_meas_au of reflection 1, found 'xyz"
    ):
        read(tmp_path / "f.cif")
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup, mtz.valm = gemmi.SpaceGroup("P 21 21 21"), -1e10
    mtz.set_cell_for_all(gemmi.UnitCell(*models.CELLS["P 21 21 21"]))
    mtz.add_dataset("x")
    mtz.add_column("F", "F")
    mtz.set_data(np.column_stack([INDICES, [1, 3, -1e10, NAN]]).astype(np.float32))
    mtz.write_to_file(str(tmp_path / "f.mtz"))
    assert at(read(tmp_path / "f.mtz", 9.0), INDICES).tolist() == [1, 3, 9, 9]


def test_one_block_of_several_can_be_named(tmp_path):
    models.write_sf_cif(tmp_path / "a.cif", INDICES, {"F_meas_au": [1, 2, 3, 4]})
    text = (tmp_path / "a.cif").read_text()
    other = text.replace("data_sf", "data_two").replace("F_meas_au", "F_calc_au")
    (tmp_path / "b.cif").write_bytes(b"\xef\xbb\xbf" + (text + other).encode())
    table = read(tmp_path / "b.cif")
    assert "F_meas_au" in table.lines[0] and "2 blocks of reflections; sf is taken" in table.notes[0]
    assert "F_calc_au" in read(tmp_path / "b.cif", column="two/F_calc_au").lines[0]


def test_a_half_sphere_listed_twice_keeps_both_values(tmp_path):
    both = np.array([[1, 2, 3], [-1, -2, -3]])
    models.write_mtz(tmp_path / "f.mtz", both, {"F": ("F", [10, 12])}, "P 1", (20, 24, 28, 90, 90, 90))
    assert at(read(tmp_path / "f.mtz"), both).tolist() == [10, 12]


def test_cif_items_and_their_names(tmp_path):
    items = {
        "F_calc_au": [5, 6, 7, 8],
        "intensity_meas": [100, -4, 9, NAN],
        "pdbx_F_minus": PAIR["F(-)"][1],
        "pdbx_F_plus": PAIR["F(+)"][1],
    }
    models.write_sf_cif(tmp_path / "f.cif", INDICES, items)
    assert at(read(tmp_path / "f.cif"), -INDICES).tolist() == [12, 20, 30, 42]
    assert at(read(tmp_path / "f.cif", column="_refln.F_calc_au"), INDICES).tolist() == [5, 6, 7, 8]
    table = read(tmp_path / "f.cif", column="intensity_meas")
    assert at(table, INDICES).tolist() == [10, 0, 3, 0]
    assert any("1 negative intensities" in note for note in table.notes)


def test_what_was_read_is_said(tmp_path):
    models.write_mtz(tmp_path / "f.mtz", INDICES, {"FP": ("F", [1, 2, NAN, 4]), "FC": ("F", [5, 6, 7, 8])})
    table = read(tmp_path / "f.mtz")
    first, second, third = table.lines
    assert first == f"reading {tmp_path / 'f.mtz'}: FP (amplitudes)"
    assert second == "3 reflections of space group P 21 21 21, 20 in P1; cell 20 24 28 90 90 90"
    assert third == "F000 = 0, not listed"
    assert table.cell == (20, 24, 28, 90, 90, 90) and table.notes == ()


@pytest.mark.parametrize("column, complaint", [("FX", "has no column 'FX'"), ("PHI", "--column PHI is of type P")])
def test_a_column_that_cannot_be_is_answered_with_the_list(tmp_path, column, complaint):
    models.write_mtz(tmp_path / "f.mtz", INDICES, {"FP": ("F", [1, 2, 3, 4]), "PHI": ("P", [5, 6, 7, 8])})
    with pytest.raises(InputError) as error:
        read(tmp_path / "f.mtz", column=column)
    assert complaint in str(error.value) and "FP (F), PHI (P)" in str(error.value)


def test_files_that_are_no_merged_amplitudes_are_refused(tmp_path, hkl):
    path = tmp_path / "f.mtz"

    def complaint(columns, **options):
        models.write_mtz(path, INDICES, columns, **options)
        with pytest.raises(InputError) as error:
            read(path)
        assert str(path) in str(error.value) and "\n" not in str(error.value)
        return str(error.value)

    assert "expected a column of amplitudes" in complaint({"PHI": ("P", [5, 6, 7, 8])})
    assert "holds no value" in complaint({"F": ("F", [NAN] * 4)})
    assert "found infinity" in complaint({"F": ("F", [1, np.inf, 2, 3])})
    assert "unmerged" in complaint({"M/ISYM": ("Y", [1, 1, 1, 1]), "BATCH": ("B", [1, 1, 1, 1]), "I": ("J", [1] * 4)})
    (tmp_path / "no.cif").write_text("data_x\n_cell.length_a 3\n")
    with pytest.raises(InputError, match=r"expected a loop of _refln\.index_h"):
        read(tmp_path / "no.cif")
    models.structure().make_mmcif_document().write_file(str(tmp_path / "model.cif"))
    with pytest.raises(InputError, match="a model goes to --model"):
        read(tmp_path / "model.cif")
    models.write_sf_cif(tmp_path / "g.cif", INDICES, {"F_meas_au": [1, 2, 3, 4]})
    text = (tmp_path / "g.cif").read_text()
    (tmp_path / "g.cif").write_text(text.replace("P 21 21 21", "P 9 9 9"))
    with pytest.raises(InputError, match="expected the space group"):
        read(tmp_path / "g.cif")
    (tmp_path / "g.cif").write_text(text.replace("_cell.length_a 20", "_cell.length_a 0"))
    with pytest.raises(InputError, match="expected a unit cell"):
        read(tmp_path / "g.cif")


def test_column_and_strict_go_with_the_right_kind_of_file(tmp_path):
    models.write_mtz(tmp_path / "f.mtz", INDICES, {"FP": ("F", [1, 2, 3, 4])})
    (tmp_path / "f.hkl").write_text("1 2 3 4\n")
    with pytest.raises(InputError, match="neither MTZ nor CIF"):
        read(tmp_path / "f.hkl", column="F")
    with pytest.raises(InputError, match="is an MTZ file; expected lines of h k l F with --strict-c"):
        read_factors(Request(str(tmp_path / "f.mtz"), strict=True))


def test_far_indices_do_not_exhaust_the_memory(tmp_path):
    models.write_mtz(tmp_path / "f.mtz", np.array([[1, 2, 3], [9999, 9999, 9999]]), {"F": ("F", [1, 2])})
    with pytest.raises(InputError, match="expected indices that fit in memory"):
        read(tmp_path / "f.mtz")


@settings(max_examples=40)
@given(st.data())
def test_damaged_files_give_a_table_or_one_line(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    kind = data.draw(st.sampled_from(["mtz", "cif"]))
    path = folder / f"f.{kind}"
    if kind == "mtz":
        models.write_mtz(path, INDICES, {"FP": ("F", [1, 2, 3, 4])})
    else:
        models.write_sf_cif(path, INDICES, {"F_meas_au": [1, 2, 3, 4]})
    whole = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place : place + 8] = data.draw(st.binary(max_size=8))
    path.write_bytes(
        bytes(whole[: data.draw(st.integers(0, len(whole)))]) if data.draw(st.booleans()) else bytes(whole)
    )
    try:
        table = read(path)
    except InputError as error:
        assert "\n" not in str(error) and "f." in str(error)
    else:
        assert table.factors.reflections > 0


@pytest.mark.lysozyme
def test_real_data_in_a_triclinic_mtz_file_are_the_same_table(tmp_path):
    folder = os.environ.get("TILESIM_LYSOZYME")
    if not folder:
        pytest.skip("needs the lysozyme data set (TILESIM_LYSOZYME)")
    factors, _ = read_hkl(f"{folder}/scaled.hkl")
    hkl = np.argwhere(factors.grid) + factors.minimum
    amplitudes = at(types.SimpleNamespace(factors=factors), hkl)
    models.write_mtz(tmp_path / "f.mtz", hkl, {"F": ("F", amplitudes)}, "P 1", (27, 32, 34, 88, 109, 112))
    table = read(tmp_path / "f.mtz")
    # Friedel mates differ in this list; one that it does not have is taken from its mate.
    np.testing.assert_allclose(at(table, hkl), amplitudes, rtol=1e-6)
    everything = np.argwhere(table.factors.grid) + table.factors.minimum
    added = np.array(sorted(set(map(tuple, everything)) - set(map(tuple, hkl))))
    assert len(added) == table.factors.reflections - len(hkl) > 0
    np.testing.assert_array_equal(at(table, added), at(table, -added))
    assert set(map(tuple, -added)) <= set(map(tuple, hkl))


def test_a_wrong_index_that_would_make_a_huge_empty_grid_is_named(tmp_path):
    models.write_mtz(tmp_path / "f.mtz", np.array([[1, 2, 3], [900, 90, 90]]), {"F": ("F", [1, 2])}, "P 1 21 1")
    with pytest.raises(InputError, match=r"found h to 900, k to 90, l to 90, a grid of 5.9\d*e\+07 points"):
        read(tmp_path / "f.mtz")
    (tmp_path / "g.mtz").write_bytes((tmp_path / "f.mtz").read_bytes().replace(b"P 1 21 1", b"P \xff\xfe 1"))
    with pytest.raises(InputError, match=r"g\.mtz"):
        read(tmp_path / "g.mtz")
