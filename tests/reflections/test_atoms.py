"""Structure factors of models against the direct sum over atoms, and what is refused."""

import gemmi
import models
import numpy as np
import pytest

from tilesim.errors import InputError
from tilesim.reflections.atoms import Model, model_reflections
from tilesim.reflections.merged import expand

EDGE = 0.9795
"""Angstrom, K edge of selenium."""


def factors(path, wavelength=EDGE, d_min=2.5, **options):
    return expand(model_reflections(Model(str(path), d_min, wavelength, **options)), 0.0)


def at(table, hkl):
    return table.grid[tuple((np.asarray(hkl) - table.minimum).T)]


def sphere(table, cell, d_min):
    """All indices within a resolution, the origin included."""
    box = np.argwhere(np.ones(table.grid.shape)) + table.minimum
    return box[cell.calculate_1_d2_array(box.astype(np.int32)) <= d_min**-2]


@pytest.mark.parametrize("spacegroup", models.CELLS)
def test_amplitudes_of_the_whole_sphere_equal_the_direct_sum(tmp_path, spacegroup):
    made = models.write_pdb(tmp_path / "m.pdb", spacegroup=spacegroup, atoms=6)
    table, known = factors(tmp_path / "m.pdb", k_sol=0)
    hkl = sphere(table, made.cell, 2.5)
    some = hkl[np.random.default_rng(1).choice(len(hkl), 150, replace=False)]
    expected = models.direct_sum(made, some, EDGE)
    error = np.abs(at(table, some) - expected)
    assert error.max() < 1e-3 * expected.mean() and error.sum() < 1e-4 * expected.sum()
    assert known[tuple((hkl - table.minimum).T)].all()


def test_friedel_mates_differ_at_an_edge_as_f2_says(tmp_path):
    made = models.write_pdb(tmp_path / "m.pdb")
    table, _ = factors(tmp_path / "m.pdb", k_sol=0)
    hkl = np.array([[1, 2, 3], [2, 1, 4], [3, 3, 1], [5, 2, 2], [1, 1, 7]])
    found = at(table, hkl) - at(table, -hkl)
    expected = models.direct_sum(made, hkl, EDGE) - models.direct_sum(made, -hkl, EDGE)
    assert np.abs(expected).min() > 0.2
    assert np.abs(found - expected).max() < 0.02
    # Far above the edge's wavelength selenium has little of it.
    soft = factors(tmp_path / "m.pdb", 1.1, k_sol=0)[0]
    assert np.abs(at(soft, hkl) - at(soft, -hkl)).max() < np.abs(found).max() / 3


def test_f000_counts_the_electrons(tmp_path):
    made = models.write_pdb(tmp_path / "m.pdb", elements="C", atoms=10)
    table, _ = factors(tmp_path / "m.pdb", 1.0, k_sol=0)
    f1, f2 = gemmi.cromer_liberman(z=6, energy=12398.42)
    assert at(table, [[0, 0, 0]])[0] == pytest.approx(4 * 10 * abs(6 + f1 + 1j * f2), rel=1e-3)
    solvent, _ = factors(tmp_path / "m.pdb", 1.0, k_sol=0.3)
    more = at(solvent, [[0, 0, 0]])[0] - at(table, [[0, 0, 0]])[0]
    assert 0.3 * 0.3 * made.cell.volume < more < 0.3 * made.cell.volume


def test_solvent_matters_at_low_resolution_only(tmp_path):
    models.write_pdb(tmp_path / "m.pdb")
    bare, _ = factors(tmp_path / "m.pdb", k_sol=0)
    wet, _ = factors(tmp_path / "m.pdb", k_sol=0.35, b_sol=200)
    change = np.abs(wet.grid - bare.grid)
    low, high = change[tuple((np.array([[0, 0, 2], [0, 2, 0], [1, 1, 0]]) - bare.minimum).T)], change[0]
    assert low.min() > 100 * high.max()


def test_mmcif_and_compressed_files_give_the_same(tmp_path):
    import gzip

    made = models.write_pdb(tmp_path / "m.pdb", atoms=4)
    made.make_mmcif_document().write_file(str(tmp_path / "m.cif"))
    (tmp_path / "m.pdb.gz").write_bytes(gzip.compress((tmp_path / "m.pdb").read_bytes()))
    table, _ = factors(tmp_path / "m.pdb")
    assert factors(tmp_path / "m.pdb.gz")[0] == table
    np.testing.assert_allclose(factors(tmp_path / "m.cif")[0].grid, table.grid, atol=0.05)


def test_occupancies_count(tmp_path):
    made = models.structure(atoms=4)
    made.write_pdb(str(tmp_path / "full.pdb"))
    for site in made[0].all():
        site.atom.occ = 0.5
    made.write_pdb(str(tmp_path / "half.pdb"))
    full, half = (factors(tmp_path / f"{name}.pdb", k_sol=0)[0].grid for name in ("full", "half"))
    np.testing.assert_allclose(half, full / 2, atol=2e-3)


def lines(path, **replaced):
    """A PDB file with lines that begin with a word replaced."""
    text = [replaced.get(line.split()[0], line) for line in path.read_text().splitlines()]
    path.write_text("\n".join(x for x in text if x) + "\n")


@pytest.mark.parametrize(
    "cryst1, complaint",
    [
        ("", "expected a unit cell"),
        ("CRYST1    1.000    1.000    1.000  90.00  90.00  90.00 P 1           1", "expected a unit cell"),
        ("CRYST1   20.000   24.000   28.000  90.00  90.00  90.00 P 9 9 9       1", "unknown space group 'P 9 9 9'"),
        ("CRYST1   20.000   24.000   28.000  90.00  90.00  90.00", "unknown space group"),
        ("CRYST1   20.000   24.000   28.000  10.00  90.00 170.00 P 1", "expected a unit cell"),
    ],
)
def test_a_model_without_a_usable_cell_is_refused(tmp_path, cryst1, complaint):
    path = tmp_path / "m.pdb"
    models.write_pdb(path)
    lines(path, CRYST1=cryst1)
    with pytest.raises(InputError, match=complaint) as error:
        factors(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_unknown_elements_and_empty_models_are_refused(tmp_path):
    path = tmp_path / "m.pdb"
    models.write_pdb(path, elements="C", atoms=2)
    text = path.read_text()
    path.write_text(text.replace("           C", "           X"))
    with pytest.raises(InputError, match="is of element 'X'"):
        factors(path)
    path.write_text("\n".join(line for line in text.splitlines() if not line.startswith(("ATOM", "HETATM"))))
    with pytest.raises(InputError, match="expected a model with atoms"):
        factors(path)


def test_a_grid_beyond_all_memory_is_refused_at_once(tmp_path):
    models.write_pdb(tmp_path / "m.pdb", cell=(900, 900, 900, 90, 90, 90))
    with pytest.raises(InputError, match=r"need \d.* GB .* expected --dmin of \d.*or more"):
        factors(tmp_path / "m.pdb", d_min=0.1)


def test_a_resolution_beyond_the_cell_leaves_f000(tmp_path):
    models.write_pdb(tmp_path / "m.pdb")
    table, _ = factors(tmp_path / "m.pdb", d_min=500)
    assert table.grid.shape == (1, 1, 1)


@pytest.mark.parametrize("cut", [0, 1, 60, 81])
def test_truncated_and_foreign_files_are_refused_or_read(tmp_path, cut):
    models.write_pdb(tmp_path / "m.pdb")
    data = (tmp_path / "m.pdb").read_bytes()
    for name, content in (("t.pdb", data[:cut]), ("x.cif", b"data_x\nloop_\n_atom_site.id\n"), ("n.pdb", b"\0" * cut)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError) as error:
            factors(tmp_path / name)
        assert name in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(InputError, match=r"none\.pdb"):
        factors(tmp_path / "none.pdb")


def test_elements_without_anomalous_factors_are_named(tmp_path):
    models.write_pdb(tmp_path / "m.pdb", elements="C H PU")
    found = model_reflections(Model(str(tmp_path / "m.pdb"), 3.0, 1.0))
    assert found.notes == ("no f' and f'' for Pu: taken for 0",)


def test_absurd_atoms_give_one_line_or_finite_amplitudes(tmp_path):
    for field, value in (
        ("occ", 1e9),
        ("b_iso", 1e9),
        ("b_iso", -1e4),
        ("b_iso", -1e9),
        ("pos", gemmi.Position(1e30, 0, 0)),
    ):
        made = models.structure(atoms=3)
        setattr(made[0][0][0][0], field, value)
        made.make_mmcif_document().write_file(str(tmp_path / "m.cif"))
        try:
            assert factors(tmp_path / "m.cif")[0].finite
        except InputError as error:
            assert "m.cif" in str(error) and "\n" not in str(error)


def test_non_crystallographic_mates_are_made_and_further_models_left_out(tmp_path):
    made = models.structure(atoms=3, spacegroup="P 1 21 1")
    turn = gemmi.Transform()
    turn.vec.fromlist([3, 4, 5])
    made.ncs.append(gemmi.NcsOp(turn, "1", False))
    made.write_pdb(str(tmp_path / "ncs.pdb"))
    expanded = gemmi.read_structure(str(tmp_path / "ncs.pdb"))
    expanded.expand_ncs(gemmi.HowToNameCopiedChain.Short)
    expanded.write_pdb(str(tmp_path / "all.pdb"))
    one, other = (factors(tmp_path / f"{name}.pdb")[0].grid for name in ("ncs", "all"))
    np.testing.assert_allclose(one, other, atol=0.02)
    two = models.structure(atoms=3)
    two.add_model(two[0].clone())
    two[1].num = 2
    two.write_pdb(str(tmp_path / "two.pdb"))
    found = model_reflections(Model(str(tmp_path / "two.pdb"), 3.0, 1.0))
    assert any("holds 2 models; the first is taken" in note for note in found.notes)


def with_codes(text):
    """A PDB file as it was before 1996: entry code and line number in columns 73 to 80."""
    return "".join(f"{line[:72]:72}1ABC{place:4}\n" for place, line in enumerate(text.splitlines(), 1))


def test_entry_codes_of_old_pdb_files_are_not_read(tmp_path):
    path = tmp_path / "m.pdb"
    models.write_pdb(path, elements="C N O S")
    new = model_reflections(Model(str(path), 2.5, 1.0))
    path.write_text(with_codes(path.read_text()))
    old = model_reflections(Model(str(path), 2.5, 1.0))
    np.testing.assert_array_equal(old.plus, new.plus)
    assert old.notes == (f"columns 73 to 80 of {path} hold an entry code and line numbers; they are not read",)


@pytest.mark.parametrize(
    "columns, text, complaint",
    [
        ((30, 38), "   xxxxx", r"m\.pdb line \d+: expected x in columns 31 to 38, found 'xxxxx'"),
        ((38, 46), "        ", r"line \d+: expected y in columns 39 to 46, found ''"),
        ((46, 54), "   1.2.3", "expected z in columns 47 to 54, found '1.2.3'"),
        ((46, 54), "   1e-03", "expected z in columns 47 to 54, found '1e-03'"),
        ((46, 54), "     nan", "expected z in columns 47 to 54"),
        ((54, 60), "      ", "expected the occupancy in columns 55 to 60, found ''"),
        ((60, 99), "\n", "expected the B factor in columns 61 to 66, found ''"),
        ((54, 60), "  1_0 ", "expected the occupancy in columns 55 to 60, found '1_0'"),
        ((60, 66), " ***** ", r"expected the B factor in columns 61 to 66, found '\*\*\*\*\*"),
    ],
)
def test_fields_that_are_no_numbers_are_named_with_their_line(tmp_path, columns, text, complaint):
    path = tmp_path / "m.pdb"
    models.write_pdb(path)
    lines = path.read_text().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if line.startswith(("ATOM", "HETATM")))
    start, end = columns
    lines[place] = lines[place][:start] + text + lines[place][end:]
    path.write_text("".join(lines))
    with pytest.raises(InputError, match=complaint):
        factors(path)


def test_numbers_of_mmcif_atoms_are_checked_too(tmp_path):
    path = tmp_path / "m.cif"
    models.structure(elements="C").make_mmcif_document().write_file(str(path))
    values = gemmi.cif.read(str(path))[0].find_values("_atom_site.Cartn_y")
    text = path.read_text()
    path.write_text(text.replace(values[3], "1_0"))
    with pytest.raises(InputError, match=r"m\.cif: expected a number for _atom_site\.Cartn_y of atom 4, found '1_0'"):
        factors(path)


def test_atoms_on_special_positions_are_warned_of_where_they_count_more_than_once(tmp_path):
    made = models.structure("I 2 3", atoms=3)
    on_axis, off_axis, shared = (cra.atom for cra in made[0].all())
    on_axis.pos = shared.pos = made.cell.orthogonalize(gemmi.Fractional(0.2, 0.2, 0.2))
    shared.occ, off_axis.pos = 1 / 3, made.cell.orthogonalize(gemmi.Fractional(0.1, 0.2, 0.37))
    made.write_pdb(str(tmp_path / "m.pdb"))
    [note] = model_reflections(Model(str(tmp_path / "m.pdb"), 3.0, 1.0)).notes
    assert "an atom lies on special positions" in note and note.endswith("with 1; expected at most 1/3 there")
    on_axis.occ = 1 / 3
    made.write_pdb(str(tmp_path / "m.pdb"))
    assert model_reflections(Model(str(tmp_path / "m.pdb"), 3.0, 1.0)).notes == ()


def test_hybrid_serials_and_deuterium_are_read(tmp_path):
    path = tmp_path / "m.pdb"
    models.write_pdb(path, elements="C D", atoms=2)
    text = path.read_text()
    plain = model_reflections(Model(str(path), 3.0, 1.0)).plus
    for serial in ("A0000", "*****"):
        path.write_text(text.replace("HETATM    1", f"HETATM{serial}").replace("ATOM      1", f"ATOM  {serial}"))
        assert path.read_text() != text
        np.testing.assert_array_equal(model_reflections(Model(str(path), 3.0, 1.0)).plus, plain)
