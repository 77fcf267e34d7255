"""The scattering curve of ice, from its crystal structure: python -m bench.ice > tilesim/io/materials/ice.stol

A powder of small crystals of hexagonal ice scatters per molecule, with s = 1/d = 2 sin(theta)/lambda,

    F^2(s) = sum over reflections of |F_hkl|^2 / (4 V) x G(s - s_hkl) / (4 pi s^2)  +  sum over atoms of f^2 (1 - T^2)

where 4 V is four molecules times the volume of the cell, G a ring of unit area as wide as crystals of 30 nm make it,
and T the damping of an atom by its vibration: what vibrations take from the rings they spread between them.
"""

from __future__ import annotations

import gemmi
import numpy as np

A, C = 4.4975, 7.3224
"""Cell at about 100 K, angstrom"""
SITES = (
    ("O", 1.0, (1 / 3, 2 / 3, 0.06226), 1.0),
    ("H", 0.5, (1 / 3, 2 / 3, 0.178), 2.0),
    ("H", 0.5, (0.439, 0.878, 0.020), 2.0),
)
"""Element, occupancy, place (Goto, Hondoh and Mae, J. Chem. Phys. 93, 1412, 1990), B in angstrom^2 (assumed, 100 K)"""
MOLECULE = (("O", 1), ("H", 2))
SIZE = 300.0
"""Edge of the crystals, angstrom"""
HIGHEST, STEP = 0.65, 0.00025
"""Of sin(theta)/lambda, 1/angstrom"""
HEAD = """\
# Powder of hexagonal ice, H2O: 0.93 g/cm3, 18 g/mol
# Columns: sin(theta)/lambda in 1/angstrom; amplitude in electrons per molecule
# Source: computed by bench/ice.py from the crystal structure (Goto, Hondoh and Mae, J. Chem. Phys. 93, 1412, 1990)
# with the cell of 100 K, crystals of 30 nm, and thermal diffuse scattering
"""


def structure() -> gemmi.SmallStructure:
    """Hexagonal ice."""
    ice = gemmi.SmallStructure()
    ice.cell, ice.spacegroup_hm = gemmi.UnitCell(A, A, C, 90, 90, 120), "P 63/m m c"
    ice.spacegroup = gemmi.SpaceGroup("P 63/m m c")
    for number, (element, occupancy, place, b) in enumerate(SITES):
        site = gemmi.SmallStructure.Site()
        site.label, site.type_symbol, site.element = f"{element}{number}", element, gemmi.Element(element)
        site.occ, site.fract, site.u_iso = occupancy, gemmi.Fractional(*place), b / (8 * np.pi**2)
        ice.add_site(site)
    ice.setup_cell_images()
    ice.change_occupancies_to_crystallographic()  # an atom on a symmetry element is one, not one for each operation
    return ice


def reflections() -> list[tuple[float, float]]:
    """1/d and the sum of |F|^2 over the equivalent reflections, of each unique one."""
    ice = structure()
    calculator = gemmi.StructureFactorCalculatorX(ice.cell)
    operations = ice.spacegroup.operations()
    found = []
    for hkl in gemmi.make_miller_array(ice.cell, ice.spacegroup, 0.5 / (HIGHEST + 0.01)).tolist():
        equivalent = {tuple(operation.apply_to_hkl(hkl)) for operation in operations.sym_ops}
        equivalent |= {tuple(-i for i in one) for one in equivalent}
        amplitude = abs(calculator.calculate_sf_from_small_structure(ice, hkl))
        found.append((1 / ice.cell.calculate_d(hkl), len(equivalent) * amplitude**2))
    return found


def curve() -> tuple[np.ndarray, np.ndarray]:
    """sin(theta)/lambda and electrons per molecule."""
    stol = np.arange(round(HIGHEST / STEP) + 1) * STEP
    s = 2 * stol
    width = 0.9 / SIZE / np.sqrt(8 * np.log(2))
    rings = np.zeros_like(s)
    for place, squares in reflections():
        rings += squares * np.exp(-0.5 * ((s - place) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    volume = structure().cell.volume
    rings[1:] /= 4 * volume * 4 * np.pi * s[1:] ** 2
    damping = {element: np.exp(-b * stol**2) for element, _, _, b in SITES}
    diffuse = np.zeros_like(s)
    for element, count in MOLECULE:
        free = np.array([gemmi.Element(element).it92.calculate_sf(x) for x in (stol**2).tolist()])
        diffuse += count * free**2 * (1 - damping[element] ** 2)
    return stol, np.sqrt(rings + diffuse)


def text() -> str:
    """The file."""
    return HEAD + "".join(f"{x:.5f} {f:.5g}\n" for x, f in zip(*curve(), strict=True))


if __name__ == "__main__":
    print(text(), end="")
