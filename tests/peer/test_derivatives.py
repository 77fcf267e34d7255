"""Derivatives of images against those of diffBragg, which agree with its own central differences to about 1e-8."""

import numpy as np
import pytest
from peer import cases
from peer.test_spectra import heavy_atoms

import tilesim
from tilesim import AnomalousCurve, AnomalousFactors
from tilesim.kernels import library
from tilesim.model.materials import ENERGY_TIMES_WAVELENGTH
from tilesim.model.vectors import IDENTITY

pytestmark = pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")
LIMIT = 1e-8
"""Largest difference that a test allows, relative to the largest derivative."""
SLOPE_OF_NODES = 3e-3
"""The same where diffBragg takes the B factor of heavy atoms at the pixel, and tilesim at the reflection."""
ANGSTROM, DEGREE = 1e-10, np.pi / 180.0
NAMES = "rotX rotY rotZ Na Nb Nc Nd_ab Ne_bc Nf_ac lambda0".split()
UNITS = {"rot": -1.0, "lam": ANGSTROM}
PARAMETERS = ["crystal.rotation", "crystal.cells", "crystal.cells_off_diagonal", "beam.wavelength"]
CELL = "a b c alpha beta gamma".split()
STRAINS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def derivatives(experiment, names):
    """(number, slow, fast) in double precision; none is zero."""
    found = tilesim.gradient(experiment, names, precision="double").compute()
    assert all(np.abs(one).max() > 0 for one in found)
    return found


def agrees(found, name, case):
    off = cases.difference(found, case, f"d_{name}.npy")
    assert off < LIMIT, f"{name}: {off:.1e}"


def motion(rows, change):
    """Rotation vector and strain (xx, yy, zz, yz, xz, xy) that change cell vectors, `rows` (3, 3), by `change`."""
    moved = np.linalg.solve(rows, change)  # a row becomes itself times 1 + moved
    strain, turn = (moved + moved.T) / 2, (moved.T - moved) / 2
    return np.array([turn[2, 1], turn[0, 2], turn[1, 0]]), np.array([strain[pair] for pair in STRAINS])


@pytest.mark.parametrize("case", ["j1_nmatrix", "j2_eta_iso"])
def test_orientation_numbers_of_cells_and_wavelength(case):
    """diffBragg's rotations turn the crystal the other way, by the transposed matrices."""
    found = derivatives(cases.experiment(case), PARAMETERS)
    for name, one in zip(NAMES, found, strict=True):
        agrees(one * UNITS.get(name[:3], 1.0), name, case)


@pytest.mark.parametrize("case", ["j1_nmatrix", "j2_eta_iso"])
def test_the_unit_cell_by_strain_and_rotation(case):
    """diffBragg keeps a along x of the crystal's own axes, and so turns the crystal where tilesim does not."""
    experiment, c = cases.experiment(case), cases.params(case)["crystal"]
    crystal = experiment.crystal
    rows = np.array([crystal.a, crystal.b, crystal.c])
    turns, strains, cell = np.split(
        derivatives(experiment, ["crystal.rotation", "crystal.strain", "crystal.cell"]), [3, 9]
    )
    for place, name in enumerate(CELL):
        change = (np.array(c["U"]) @ np.array(c["cell_derivatives_of_B"][name])).T * ANGSTROM
        turn, strain = motion(rows, change)
        agrees(np.tensordot(turn, turns, 1) + np.tensordot(strain, strains, 1), name, case)
        lengths = np.array(crystal.cell)
        step = 1e-4 * (lengths[place] if place < 3 else 1.0)
        lengths[place] += step
        low, high = lengths - 2 * step * (np.arange(6) == place), lengths
        kept = [tilesim.Crystal.from_cell(*one).oriented(np.array(crystal.orientation)) for one in (low, high)]
        before, after = (np.array([one.a, one.b, one.c]) for one in kept)
        own, _ = motion(rows, (after - before) / (2 * step))
        unit = ANGSTROM if place < 3 else 1.0
        apart = np.tensordot(turn - own * unit, turns, 1)
        off = cases.difference(cell[place] * unit + apart, case, f"d_{name}.npy")
        assert off < 1e-7, f"{name}: {off:.1e}"  # that of differences of cell vectors


def test_the_mosaic_spread():
    case = "j2_eta_iso"
    experiment = cases.experiment(case)
    spread = tilesim.MosaicSpread(0.5 * DEGREE, experiment.crystal.domains)
    crystal = experiment.crystal.replace(mosaic_rotations=(IDENTITY,), mosaic_spread=spread)
    [found] = derivatives(experiment.replace(crystal=crystal), "crystal.mosaic_spread.sigma")
    agrees(found * DEGREE, "eta", case)


def anomalous(p, squared=None):
    """The factors of j5_fp_fdp; heavy atoms with the B factor at a squared length of q, or at the reflections."""
    real, imaginary = (cases.factors(file) for file in ("F_real.hkl", "F_imag.hkl"))
    rows = sorted((ENERGY_TIMES_WAVELENGTH / one["wavelength_A"] * 1e10, one["fp"], one["fdp"]) for one in sources(p))
    parts = [real.grid + 1j * imaginary.grid, heavy_atoms(p, real, squared)]
    return AnomalousFactors(parts, [AnomalousCurve("Xx", *np.array(rows).T)], 1e-10, real.minimum)


def sources(p):
    return p["beam"]["sources"]


def together(experiment):
    """The derivatives with f' and f'' of all channels together."""
    f1, f2 = np.split(derivatives(experiment, ["factors.f1[Xx]", "factors.f2[Xx]"]), 2)
    assert len(f1) == len(experiment.beam.sources)
    return {"fp": f1.sum(axis=0), "fdp": f2.sum(axis=0)}


def test_f_prime_and_f_double_prime():
    """diffBragg takes the B factor of the heavy atoms at the pixel; here it is that of the reflection."""
    case = "j5_fp_fdp"
    for name, found in together(cases.experiment(case, factors=anomalous(cases.params(case)))).items():
        assert cases.difference(found, case, f"d_{name}.npy") < SLOPE_OF_NODES


def test_with_its_own_rule_for_b_factors_f_prime_and_f_double_prime_agree():
    """What the limit above allows is that rule alone: at the brightest pixels, one by one, with their B factors."""
    case = "j5_fp_fdp"
    p = cases.params(case)
    d, plain = p["detector"], cases.experiment(case, factors=anomalous(p))
    brightest = np.unravel_index(cases.image(case).ravel().argsort()[-6:], cases.image(case).shape)
    for slow, fast in zip(*brightest, strict=True):
        along = d["pixel_mm"] * ((fast + 0.5) * np.array(d["fast"]) + (slow + 0.5) * np.array(d["slow"]))
        way = np.array(d["pix0_mm"]) + along
        found = {"fp": 0.0, "fdp": 0.0}
        for channel, one in enumerate(sources(p)):
            q = (way / np.linalg.norm(way) - np.array(one["incident"])) / one["wavelength_A"]
            experiment = plain.replace(factors=anomalous(p, q @ q))
            slopes = tilesim.gradient(experiment, ["factors.f1[Xx]", "factors.f2[Xx]"], precision="double")
            pixel = slopes[:, slow, fast].compute()
            found["fp"] += pixel[channel]
            found["fdp"] += pixel[3 + channel]
        for name, value in found.items():
            wanted = cases.image(case, f"d_{name}.npy")
            assert abs(value - wanted[slow, fast]) < LIMIT * np.abs(wanted).max()


def test_the_place_of_a_panel():
    case = "j1_detector_nopolar"
    found = derivatives(cases.experiment(case), "detector.translation")
    for axis, one in zip("XYZ", found, strict=True):
        agrees(one, f"shift{axis}", case)
