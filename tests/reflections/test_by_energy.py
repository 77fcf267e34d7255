"""Structure factors that follow the photon energy: against the direct sum over atoms, and tables of one energy."""

import gemmi
import models
import numpy as np
import pytest

from tilesim.errors import InputError
from tilesim.reflections.atoms import Model, model_reflections
from tilesim.reflections.fpfdp import files_by_element, read_fp_fdp
from tilesim.reflections.merged import expand
from tilesim.reflections.tables import Request, read_factors

WAVES = (0.975, 0.9795, 0.983)
"""Angstrom, around the K edge of selenium."""


def by_energy(path, wavelengths=WAVES, **options):
    metres = tuple(wave * 1e-10 for wave in wavelengths)
    model = Model(str(path), 2.5, wavelengths[1], wavelengths=metres, **options)
    return read_factors(Request(str(path), model=model))


@pytest.mark.parametrize("spacegroup", models.CELLS)
def test_every_wavelength_has_the_amplitudes_of_the_direct_sum(tmp_path, spacegroup):
    made = models.write_pdb(tmp_path / "m.pdb", spacegroup=spacegroup, atoms=6)
    found = by_energy(tmp_path / "m.pdb", k_sol=0).factors
    box = np.argwhere(np.ones(found.grid.shape)) + found.minimum
    sphere = box[made.cell.calculate_1_d2_array(box.astype(np.int32)) <= 2.5**-2]
    some = sphere[np.random.default_rng(1).choice(len(sphere), 60, replace=False)]
    some = np.concatenate([some, -some])  # Bijvoet mates
    place = tuple((some - found.minimum).T)
    for wave in (WAVES[0], WAVES[2]):
        expected, table = models.direct_sum(made, some, wave), found.at(wave * 1e-10)
        error = np.abs(table[place] - expected)
        assert error.max() < 1e-3 * expected.mean() and error.sum() < 1e-4 * expected.sum()


def test_it_is_the_table_of_each_wavelength_with_solvent_and_mates_apart(tmp_path):
    models.write_pdb(tmp_path / "m.pdb")
    table = by_energy(tmp_path / "m.pdb")
    found = table.factors
    assert [curve.element for curve in found.curves] == ["C", "N", "O", "S", "Se"]
    for wave in WAVES:
        alone, known = expand(model_reflections(Model(str(tmp_path / "m.pdb"), 2.5, wave)))
        assert alone.minimum == found.minimum and np.array_equal(known, table.known)
        scale = alone.grid[known].mean()
        assert np.abs(found.at(wave * 1e-10) - alone.grid).max() < 2e-4 * scale
    grid = found.at(WAVES[1] * 1e-10)
    np.testing.assert_array_equal(found.grid, grid)
    assert np.abs(grid - grid[::-1, ::-1, ::-1]).max() > 5.0
    # 4 electrons of f' apart at the edge.
    assert np.abs(found.at(WAVES[0] * 1e-10) - grid).max() > 5.0


def test_points_without_a_value_have_the_default_at_every_energy(tmp_path):
    models.write_pdb(tmp_path / "m.pdb")
    metres = tuple(wave * 1e-10 for wave in WAVES)
    model = Model(str(tmp_path / "m.pdb"), 2.5, WAVES[1], wavelengths=metres)
    table = read_factors(Request("m.pdb", default=7.0, model=model))
    assert (table.factors.at(metres[0])[~table.known] == 7.0).all() and (~table.known).any()
    absent = table.factors.at(metres[0])[tuple(-np.array(table.factors.minimum) + (0, 0, 1))]
    assert absent == 0.0  # by the screw axis


def test_measured_values_take_the_place_of_calculated_ones(tmp_path):
    made = models.write_pdb(tmp_path / "m.pdb", elements="C Se", atoms=4)
    (tmp_path / "se.txt").write_text("# energy/eV f' f''\n12500 -4 0.5\n12600 -6 1.5\n12800 -5 4.5\n")
    files = (("SE", str(tmp_path / "se.txt")),)
    found = by_energy(tmp_path / "m.pdb", k_sol=0, fp_fdp=files).factors
    curve = found.curves[1]
    assert curve.element == "Se" and curve.at(12.3984198e-10 / 12.7) == pytest.approx(-5.5 + 3j, rel=1e-9)
    monochromatic = Model(str(tmp_path / "m.pdb"), 2.5, WAVES[0], k_sol=0, fp_fdp=files)
    alone, known = expand(model_reflections(monochromatic))
    assert np.abs(found.at(WAVES[0] * 1e-10) - alone.grid).max() < 2e-4 * alone.grid[known].mean()
    usual, _ = expand(model_reflections(Model(str(tmp_path / "m.pdb"), 2.5, WAVES[0], k_sol=0)))
    assert np.abs(usual.grid - alone.grid).max() > 1.0
    assert made.cell.volume > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("12500 -4\n", "line 1: expected energy, f' and f''"),
        ("", "found none"),
        ("12.5 -4 1\n", "expected eV, or a comment that says keV"),
        ("12500 -4 1\n12500 -4 2\n", "do not rise"),
    ],
)
def test_a_file_that_is_not_understood_is_one_line(tmp_path, text, message):
    (tmp_path / "se.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        read_fp_fdp(str(tmp_path / "se.txt"), "Se")


def test_elements_and_energies_must_be_those_of_the_run(tmp_path):
    models.write_pdb(tmp_path / "m.pdb", elements="C Se", atoms=4)
    (tmp_path / "se.txt").write_text("# keV\n12.6 -4 1\n12.7 -4 1\n")
    with pytest.raises(InputError, match=r"se.txt: f' and f'' of Se are known from 12.6 to 12.7 keV; expected them at"):
        by_energy(tmp_path / "m.pdb", fp_fdp=(("Se", str(tmp_path / "se.txt")),))
    with pytest.raises(InputError, match=r"has no such element; expected one of C, Se"):
        by_energy(tmp_path / "m.pdb", fp_fdp=(("Fe", "fe.txt"),))
    for text, message in (("Fe", "expected ELEMENT=FILE"), ("Fe=a,fe=b", "twice"), ("=a", "expected ELEMENT=FILE")):
        with pytest.raises(InputError, match=message):
            files_by_element(text)
    assert files_by_element("Fe=a.txt,Se=b.txt") == (("Fe", "a.txt"), ("Se", "b.txt"))


def test_calculated_curves_are_exact_at_the_wavelengths(tmp_path):
    models.write_pdb(tmp_path / "m.pdb", elements="Se", atoms=2)
    [curve] = by_energy(tmp_path / "m.pdb").factors.curves
    for wave in WAVES:
        expected = complex(*gemmi.cromer_liberman(z=34, energy=12398.4198 / wave))
        assert curve.at(wave * 1e-10) == pytest.approx(expected, rel=1e-9)
