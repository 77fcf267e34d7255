"""Structure factors of an atomic model: atoms, bulk solvent, anomalous scattering; all of it by gemmi."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from tilesim.errors import InputError
from tilesim.files.libraries import need
from tilesim.files.reading import printable
from tilesim.frozen import frozen
from tilesim.model.anomalous import AnomalousCurve
from tilesim.reflections.coordinates import read_coordinates, special_positions
from tilesim.reflections.fpfdp import calculated_curve, read_fp_fdp
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
HEAVIEST_TABULATED, LIGHTEST_ANOMALOUS, HEAVIEST_ANOMALOUS = 98, 3, 92
"""Atomic numbers: of form factors (IT92), and of the Cromer-Liberman tables."""
PROBE = 10.0
"""Electrons that are added to the atoms of an element to find their partial sum: more than any f' or f'' times a few,
so that the error of the difference does not grow."""


@frozen
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
    wavelengths: tuple[float, ...] = ()
    """Metres: those of the sources, where f' and f'' follow them; empty: they are of `wavelength`"""
    fp_fdp: tuple[tuple[str, str], ...] = ()
    """Elements whose f' and f'' are those of a file, and its name"""


@frozen
class OpenedModel:
    """A model whose file was read and checked."""

    library: ModuleType
    structure: gemmi.Structure
    cell: gemmi.UnitCell
    spacegroup: gemmi.SpaceGroup
    elements: list[gemmi.Element]
    notes: list[str]
    curves: dict[str, AnomalousCurve]
    """f' and f'' by element"""
    d_min: float
    """Angstrom: just below what was asked for, since gemmi leaves out what lies on the limit itself"""


def model_reflections(model: Model) -> Reflections:
    """|F(h)| and |F(-h)| to `d_min`, F000 included, on an absolute scale.

    Form factors are those of International Tables 1992 with f' and f'' by Cromer and Liberman for every element,
    occupancies, B factors and alternative conformations as in the file; solvent by a flat mask (radii of cctbx).
    Amplitudes of Friedel mates are |A + iB| and |A - iB|, A from f0 + f' and solvent, B from f''.

    Raises InputError for a file that is no model, or whose grid would not fit in memory.
    """
    opened, name = _opened(model, [model.wavelength * 1e-10]), printable(model.path)
    library, structure, d_min = opened.library, opened.structure, opened.d_min
    values = {e.name: _anomalous(opened, e, model) for e in opened.elements}
    with one_line(name, "a model"), np.errstate(invalid="ignore", over="ignore"):
        blur = _blur(library, structure, d_min)
        data = _atoms(library, structure, [(e, values[e.name].real) for e in opened.elements], d_min, blur)
        real = np.array(data.value_array, dtype=np.complex128)
        # As if f'' were real: what it adds. It is small, and so is the error of the difference.
        sums = [(e, values[e.name].real + values[e.name].imag) for e in opened.elements]
        both = _atoms(library, structure, sums, d_min, blur)
        imaginary = np.asarray(both.value_array, dtype=np.complex128) - real
        if model.k_sol > 0:
            _add_solvent(library, structure, model, d_min, data)
            real = np.array(data.value_array, dtype=np.complex128)
        indices = np.asarray(data.miller_array)
        plus, minus = np.abs(real + 1j * imaginary), np.abs(real - 1j * imaginary)
    return _merged(model, opened, indices, plus, minus)


def model_by_energy(model: Model) -> tuple[Reflections, np.ndarray, tuple[AnomalousCurve, ...]]:
    """The reflections of `model_reflections`, and what their amplitudes at other wavelengths are made of.

    That are parts (1 + elements, n) complex of the same reflections, F0 with solvent and the partial sums of the
    elements with anomalous scattering, and their f' and f''. Raises InputError, also where a file does not have these
    for all wavelengths.
    """
    opened, name = _opened(model, model.wavelengths), printable(model.path)
    library, structure, d_min = opened.library, opened.structure, opened.d_min
    mixed = [e for e in opened.elements if e.name in opened.curves]
    curves = tuple(opened.curves[e.name] for e in mixed)
    with one_line(name, "a model"), np.errstate(invalid="ignore", over="ignore"):
        blur = _blur(library, structure, d_min)
        parts: list[np.ndarray] = []
        for element in opened.elements:
            alone = library.Selection(f"[{element.name}]").copy_structure_selection(structure)
            data = _atoms(library, alone, [], d_min, blur)
            bare = np.array(data.value_array, dtype=np.complex128)
            parts = parts or [np.zeros_like(bare)]
            parts[0] += bare
            if element.name in opened.curves:
                more = _atoms(library, alone, [(element, PROBE)], d_min, blur)
                parts.append((np.asarray(more.value_array, dtype=np.complex128) - bare) / PROBE)
        indices = np.array(data.miller_array)
        if model.k_sol > 0:
            data.value_array[:] = 0
            _add_solvent(library, structure, model, d_min, data)
            parts[0] += np.asarray(data.value_array, dtype=np.complex128)
        found = np.array(parts)
        factors = np.array([1.0, *(curve.at(model.wavelength * 1e-10) for curve in curves)])
        # Friedel mates of all parts are conjugate: f'' has the other sign.
        plus, minus = np.abs(factors @ found), np.abs(factors.conj() @ found)
    return _merged(model, opened, indices, plus, minus), found, curves


def _opened(model: Model, wavelengths: Sequence[float]) -> OpenedModel:
    """The model of a file, with f' and f'' at these wavelengths, metres. Raises InputError."""
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
    if bare := [e.name for e in elements if e.atomic_number > HEAVIEST_ANOMALOUS]:
        notes.append(f"no f' and f'' for {', '.join(bare)}: taken for 0")
    curves = _curves(gemmi, model, elements, wavelengths, name)
    _check_memory(model, name, cell.volume, len(curves))
    d_min = model.d_min * (1 - 1e-6)
    return OpenedModel(gemmi, structure, cell, spacegroup, elements, notes, curves, d_min)


def _curves(
    library: ModuleType, model: Model, elements: Sequence[gemmi.Element], wavelengths: Sequence[float], name: str
) -> dict[str, AnomalousCurve]:
    """f' and f'' by element: as files say, else by Cromer and Liberman. Raises InputError."""
    known = {e.name.upper(): e.name for e in elements}
    curves = {}
    for symbol, path in model.fp_fdp:
        element = known.get(symbol.upper())
        if element is None:
            raise InputError(
                f"--fp-fdp {symbol}: {name} has no such element; expected one of {', '.join(known.values())}"
            )
        curves[element] = read_fp_fdp(path, element)
        try:
            curves[element].over(wavelengths)
        except InputError as error:
            raise InputError(f"{printable(path)}: {error}") from None
    for e in elements:
        if e.name not in curves and LIGHTEST_ANOMALOUS <= e.atomic_number <= HEAVIEST_ANOMALOUS:
            curves[e.name] = calculated_curve(library, e.name, e.atomic_number, wavelengths)
    return curves


def _anomalous(opened: OpenedModel, element: gemmi.Element, model: Model) -> complex:
    """f' + i f'' at the wavelength of a model that has one."""
    curve = opened.curves.get(element.name)
    return 0j if curve is None else curve.at(model.wavelength * 1e-10)


def _merged(model: Model, opened: OpenedModel, indices: np.ndarray, plus: np.ndarray, minus: np.ndarray) -> Reflections:
    """Amplitudes with what the report says of them. Raises InputError where they are not finite."""
    name = printable(model.path)
    if not (np.isfinite(plus).all() and np.isfinite(minus).all()):
        raise InputError(f"{name}: its structure factors are not finite; expected usual B factors and occupancies")
    values = {e.name: _anomalous(opened, e, model) for e in opened.elements}
    strongest = max(values, key=lambda e: values[e].imag)
    solvent = f"k_sol {model.k_sol:g}, B_sol {model.b_sol:g}" if model.k_sol > 0 else "no solvent"
    at = f"{model.wavelength:.5g} A" + (" and of every source by its energy" if model.wavelengths else "")
    what = (
        f"model to {model.d_min:.4g} A, {solvent}, f' and f'' at {at}"
        f" ({strongest} {values[strongest].real:.2f} and {values[strongest].imag:.2f})"
    )
    return merged(
        indices,
        plus,
        minus,
        opened.spacegroup,
        cell=opened.cell,
        source=model.path,
        what=what,
        notes=tuple(opened.notes),
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


def _blur(library: ModuleType, structure: gemmi.Structure, d_min: float) -> float:
    """What is added to all B factors, so that the density of every atom is sampled finely enough."""
    density: gemmi.DensityCalculatorX = library.DensityCalculatorX()
    density.d_min, density.rate = d_min, RATE
    density.set_refmac_compatible_blur(structure[0])
    return float(density.blur)


def _atoms(
    library: ModuleType,
    structure: gemmi.Structure,
    addends: Sequence[tuple[gemmi.Element, float]],
    d_min: float,
    blur: float,
) -> gemmi.ComplexAsuData:
    """Structure factors of the atoms, whose form factors are changed by `addends` for each element."""
    density: gemmi.DensityCalculatorX = library.DensityCalculatorX()
    density.d_min, density.rate, density.cutoff, density.blur = d_min, RATE, CUTOFF, blur
    for element, addend in addends:
        density.addends.set(element, addend)
    density.set_grid_cell_and_spacegroup(structure)
    density.put_model_density_on_grid(structure[0])
    transform = library.transform_map_to_f_phi(density.grid, half_l=True)
    found: gemmi.ComplexAsuData = transform.prepare_asu_data(dmin=d_min, unblur=density.blur, with_000=True)
    return found


def _check_memory(model: Model, name: str, volume: float, elements: int) -> None:
    """Raise InputError where the grids would not fit into the memory that is free."""
    needed = BYTES_PER_POINT * volume / (model.d_min / (2 * RATE)) ** 3
    if model.wavelengths:  # complex parts over the box of indices
        needed += 16 * (1 + elements) * volume / (model.d_min / 2) ** 3
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
