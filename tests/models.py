"""Small synthetic crystals and their reflections, made and written with gemmi."""

import gemmi
import numpy as np

CELLS = {
    "P 21 21 21": (20, 24, 28, 90, 90, 90),
    "P 43 21 2": (24, 24, 30, 90, 90, 90),
    "P 1 21 1": (20, 26, 22, 90, 105, 90),
    "C 1 2 1": (32, 20, 24, 90, 110, 90),
    "R 3 :H": (30, 30, 26, 90, 90, 120),
    "R 3 :R": (20, 20, 20, 75, 75, 75),
    "I 2 3": (30, 30, 30, 90, 90, 90),
    "P -1": (14, 16, 18, 80, 95, 100),
    "P 61 2 2": (24, 24, 40, 90, 90, 120),
}


def structure(spacegroup="P 21 21 21", atoms=12, elements="C N O S Se", seed=7, cell=None):
    """A structure of atoms at random places."""
    random = np.random.default_rng(seed)
    made = gemmi.Structure()
    made.cell = gemmi.UnitCell(*(cell or CELLS[spacegroup]))
    made.spacegroup_hm = spacegroup
    chain = gemmi.Chain("A")
    names = elements.split()
    for number in range(atoms):
        atom = gemmi.Atom()
        atom.element = gemmi.Element(names[number % len(names)])
        atom.name = atom.element.name.upper()
        atom.pos = made.cell.orthogonalize(gemmi.Fractional(*random.random(3)))
        atom.b_iso = float(random.uniform(12, 30))
        residue = gemmi.Residue()
        residue.name, residue.seqid = "UNK", gemmi.SeqId(str(number + 1))
        residue.add_atom(atom)
        chain.add_residue(residue)
    model = gemmi.Model(1)
    model.add_chain(chain)
    made.add_model(model)
    made.setup_cell_images()
    return made


def write_pdb(path, **options):
    """A PDB file; the structure as read back, for its coordinates are rounded."""
    structure(**options).write_pdb(str(path))
    return gemmi.read_structure(str(path))


def direct_sum(made, hkl, wavelength):
    """|F| (n,) of indices (n, 3) by the sum over all atoms of the cell, f' and f'' included."""
    energy = gemmi.hc / wavelength
    elements = {site.atom.element.name: site.atom.element for site in made[0].all()}
    scattering = {e.atomic_number: gemmi.cromer_liberman(z=e.atomic_number, energy=energy) for e in elements.values()}

    def total(add):
        calculator = gemmi.StructureFactorCalculatorX(made.cell)
        for element in elements.values():
            calculator.addends.set(element, add(*scattering[element.atomic_number]))
        return np.array([calculator.calculate_sf_from_model(made[0], [int(x) for x in h]) for h in hkl])

    real = total(lambda f1, f2: f1)
    return np.abs(real + 1j * (total(lambda f1, f2: f1 + f2) - real))


def unique(spacegroup, d_min=3.03, cell=None):
    """Unique indices (n, 3), systematic absences left out."""
    group = gemmi.SpaceGroup(spacegroup)
    return np.array(gemmi.make_miller_array(gemmi.UnitCell(*(cell or CELLS[spacegroup])), group, d_min))


def write_mtz(path, hkl, columns, spacegroup="P 21 21 21", cell=None):
    """An MTZ file of columns {label: (type, values)}."""
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = gemmi.SpaceGroup(spacegroup)
    mtz.set_cell_for_all(gemmi.UnitCell(*(cell or CELLS[spacegroup])))
    mtz.add_dataset("x")
    for label, (kind, _) in columns.items():
        mtz.add_column(label, kind)
    mtz.set_data(np.column_stack([hkl, *(values for _, values in columns.values())]).astype(np.float32))
    mtz.write_to_file(str(path))


def write_sf_cif(path, hkl, columns, spacegroup="P 21 21 21", cell=None):
    """A structure-factor CIF of items {name: values}, NaN as a question mark."""
    document = gemmi.cif.Document()
    block = document.add_new_block("sf")
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    for name, value in zip(names, cell or CELLS[spacegroup], strict=True):
        block.set_pair(f"_cell.{name}", str(value))
    block.set_pair("_symmetry.space_group_name_H-M", gemmi.cif.quote(gemmi.SpaceGroup(spacegroup).xhm()))
    loop = block.init_loop("_refln.", ["index_h", "index_k", "index_l", *columns])
    for h, values in zip(hkl, zip(*columns.values(), strict=True), strict=True):
        loop.add_row([*(str(int(x)) for x in h), *("?" if np.isnan(v) else repr(float(v)) for v in values)])
    document.write_file(str(path))
