"""Structure factors of an atomic model: atoms, bulk solvent, anomalous scattering; all of it by gemmi."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from tilesim.errors import InputError
from tilesim.files.libraries import need
from tilesim.files.reading import printable
from tilesim.reflections.coordinates import read_coordinates, special_positions
from tilesim.reflections.merged import Reflections, merged
from tilesim.reflections.mtz import checked_cell, one_line
from tilesim.tiling.budget import available_memory

if TYPE_CHECKING:
    import gemmi

K_SOL, B_SOL = 0.35, 46.0
"""Density of the bulk solvent, electrons per cubic angstrom, and its B factor, angstrom^2: usual for proteins."""
RATE = 1.5
"""Grid points per d_min / 2."""
CUTOFF = 1e-6
"""Electrons per cubic angstrom below which the density of an atom is cut off."""
BYTES_PER_POINT = 14
"""Arrays in memory: the density, its transform, the FFT's copy of it and the solvent mask."""
HEAVIEST_TABULATED, HEAVIEST_ANOMALOUS = 98, 92
"""Atomic numbers: of form factors (IT92), and of the Cromer-Liberman tables, which begin at 3."""


@dataclass(frozen=True)
class Model:
    """A file of coordinates and how to compute its structure factors."""

    path: str
    d_min: float
    """Angstrom."""
    wavelength: float
    """Angstrom, for f' and f''."""
    k_sol: float = K_SOL
    """Electrons per cubic angstrom; 0 leaves the solvent out."""
    b_sol: float = B_SOL
    """Angstrom^2."""


def model_reflections(model: Model) -> Reflections:
    """|F(h)| and |F(-h)| to `d_min`, F000 included, on an absolute scale.

    Form factors are those of International Tables 1992 with f' and f'' by Cromer and Liberman for every element,
    occupancies, B factors and alternative conformations as in the file; solvent by a flat mask (radii of cctbx).
    Amplitudes of Friedel mates are |A + iB| and |A - iB|, A from f0 + f' and solvent, B from f''.

    Raises InputError for a file that is no model, or whose grid would not fit in memory.
    """
    gemmi = need("gemmi", "computing structure factors of a model")
    name = printable(model.path)
    structure, notes = read_coordinates(gemmi, model.path)
    cell = checked_cell(name, structure.cell)
    with one_line(name, "a model"):
        spacegroup = structure.find_spacegroup()
        if spacegroup is None:
            raise InputError(f"{name}: unknown space group {structure.spacegroup_hm!r}; expected one of gemmi's table")
        elements = _elements(structure[0], name)
        notes += special_positions(structure, name)
    _check_memory(model, name, cell.volume)
    d_min = model.d_min * (1 - 1e-6)  # gemmi leaves out what lies on the limit itself
    energy = gemmi.hc / model.wavelength
    anomalous = {e.atomic_number: gemmi.cromer_liberman(z=e.atomic_number, energy=energy) for e in elements}
    if bare := [e.name for e in elements if e.atomic_number > HEAVIEST_ANOMALOUS]:
        notes.append(f"no f' and f'' for {', '.join(bare)}: taken for 0")

    addends = [(e, *anomalous[e.atomic_number]) for e in elements]
    with one_line(name, "a model"), np.errstate(invalid="ignore", over="ignore"):
        data = _atoms(gemmi, structure, [(e, f1) for e, f1, _ in addends], d_min)
        real = np.array(data.value_array, dtype=np.complex128)
        # As if f'' were real: what it adds. It is small, and so is the error of the difference.
        both = _atoms(gemmi, structure, [(e, f1 + f2) for e, f1, f2 in addends], d_min)
        imaginary = np.asarray(both.value_array, dtype=np.complex128) - real
        if model.k_sol > 0:
            _add_solvent(gemmi, structure, model, d_min, data)
            real = np.array(data.value_array, dtype=np.complex128)
        indices = np.asarray(data.miller_array)
        plus, minus = np.abs(real + 1j * imaginary), np.abs(real - 1j * imaginary)
    if not (np.isfinite(plus).all() and np.isfinite(minus).all()):
        raise InputError(f"{name}: its structure factors are not finite; expected usual B factors and occupancies")
    strongest = max(elements, key=lambda e: anomalous[e.atomic_number][1])
    f1, f2 = anomalous[strongest.atomic_number]
    solvent = f"k_sol {model.k_sol:g}, B_sol {model.b_sol:g}" if model.k_sol > 0 else "no solvent"
    what = (
        f"model to {model.d_min:.4g} A, {solvent}, f' and f'' at {model.wavelength:.5g} A"
        f" ({strongest.name} {f1:.2f} and {f2:.2f})"
    )
    return merged(
        indices,
        plus,
        minus,
        spacegroup,
        cell=cell,
        source=model.path,
        what=what,
        notes=tuple(notes),
        d_min=model.d_min,
    )


def _elements(model: gemmi.Model, name: str) -> list[gemmi.Element]:
    """Elements of the atoms. Raises InputError at an atom that is of none, or that no table knows."""
    elements = {}
    for cra in model.all():
        element, atom = cra.atom.element, cra.atom
        if not 1 <= element.atomic_number <= HEAVIEST_TABULATED:
            raise InputError(f"{name}: atom {cra} is of element {element.name!r}; expected one with a form factor")
        if not all(map(math.isfinite, (*atom.pos.tolist(), atom.occ, atom.b_iso))):
            raise InputError(f"{name}: atom {cra} has no finite position, occupancy and B factor")
        elements[element.name] = element
    return list(elements.values())


def _atoms(
    library: ModuleType, structure: gemmi.Structure, addends: Sequence[tuple[gemmi.Element, float]], d_min: float
) -> gemmi.ComplexAsuData:
    """Structure factors of the atoms, whose form factors are changed by `addends` for each element."""
    density: gemmi.DensityCalculatorX = library.DensityCalculatorX()
    density.d_min, density.rate, density.cutoff = d_min, RATE, CUTOFF
    for element, addend in addends:
        density.addends.set(element, addend)
    density.set_refmac_compatible_blur(structure[0])
    density.set_grid_cell_and_spacegroup(structure)
    density.put_model_density_on_grid(structure[0])
    transform = library.transform_map_to_f_phi(density.grid, half_l=True)
    found: gemmi.ComplexAsuData = transform.prepare_asu_data(dmin=d_min, unblur=density.blur, with_000=True)
    return found


def _check_memory(model: Model, name: str, volume: float) -> None:
    """Raise InputError where the grids would not fit into the memory that is free."""
    needed = BYTES_PER_POINT * volume / (model.d_min / (2 * RATE)) ** 3
    free = available_memory()
    if free is not None and needed > free / 2:
        finest = model.d_min * (needed / (free / 2)) ** (1 / 3)
        raise InputError(
            f"{name}: structure factors to {model.d_min:.3g} A need {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are"
            f" free; expected --dmin of {math.ceil(finest * 100) / 100:g} or more"
        )


def _add_solvent(
    library: ModuleType, structure: gemmi.Structure, model: Model, d_min: float, data: gemmi.ComplexAsuData
) -> None:
    """Add k_sol exp(-B_sol s^2 / 4) times the transform of the solvent mask to `data`, in place."""
    grid = library.FloatGrid()
    grid.setup_from(structure, spacing=model.d_min / (2 * RATE))
    library.SolventMasker(library.AtomicRadiiSet.Cctbx).put_mask_on_float_grid(grid, structure[0])
    mask = library.transform_map_to_f_phi(grid, half_l=True).prepare_asu_data(dmin=d_min, with_000=True)
    scaling = library.Scaling(structure.cell, structure.find_spacegroup())
    scaling.use_solvent, scaling.k_sol, scaling.b_sol = True, model.k_sol, model.b_sol
    scaling.scale_data(data, mask)
