"""Spectra, structure factors by energy and the background of a spectrum against images of simtbx and diffBragg."""

import numpy as np
import pytest
from peer import cases

from tilesim import (
    AnomalousCurve,
    AnomalousFactors,
    Background,
    ChannelFactors,
    ScatteringCurve,
    Spectrum,
    StructureFactors,
)
from tilesim.engine.lazy import simulate_now
from tilesim.kernels import library
from tilesim.model.materials import ENERGY_TIMES_WAVELENGTH

compiler = pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")
BACKENDS = ["eager", pytest.param("fused", marks=compiler)]
FACTOR_OF_NODES = 3e-4
"""Largest difference where diffBragg takes the B factor of heavy atoms at the pixel, and tilesim at the reflection."""


def sources(name):
    return cases.params(name)["beam"]["sources"]


def render(experiment, backend):
    return simulate_now(experiment, "double", "cpu", backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_ten_weighted_wavelengths(backend):
    name = "c_spectrum10_square"
    plain = cases.experiment(name)
    weights = [one["weight"] for one in sources(name)]
    spectrum = Spectrum([one["wavelength_A"] * 1e-10 for one in sources(name)], weights)
    monochromatic = plain.beam.replace(sources=())
    experiment = plain.replace(beam=monochromatic.with_spectrum(spectrum))
    mean = np.average([one["energy_eV"] for one in sources(name)], weights=weights)
    assert experiment.beam.energy * 1e3 == pytest.approx(mean, rel=1e-6)
    assert cases.difference(render(experiment, backend), name) < cases.LIMIT


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_table_for_each_of_five_channels(backend):
    name = "f_anomalous5"
    tables = {one["wavelength_A"] * 1e-10: cases.factors(one["F_file"]) for one in sources(name)}
    found = render(cases.experiment(name, factors=ChannelFactors(tables)), backend)
    assert cases.difference(found, name) < cases.LIMIT
    one_for_all = render(cases.experiment(name), backend)
    assert cases.difference(one_for_all, name) > 0.01


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_background_of_seven_channels(backend):
    name = "i_background_poly7"
    p = cases.params(name)
    [slab] = p["background"]
    stol, amplitude = np.array(slab["stol_F"]).T
    background = Background(
        ScatteringCurve(stol * 1e10, amplitude),
        slab["thickness_mm"] * 1e-3,
        slab["density_g_cm3"] * 1e3,
        slab["molecular_weight_g_mol"] * 1e-3,
    )
    beam = cases.beam(p).replace(size=p["beam"]["beamsize_mm"] * 1e-3)
    experiment = cases.experiment(name, beam=beam, background=background)
    assert cases.difference(render(experiment, backend), name) < cases.LIMIT


def heavy_atoms(p, table, squared=None):
    """The partial sum of the heavy atoms (h, k, l) of a case, at the reflections themselves or all at one |q|^2."""
    h, k, l = (np.arange(low, high + 1) for low, high in zip(table.minimum, table.maximum, strict=True))
    hkl = np.stack(np.meshgrid(h, k, l, indexing="ij"), axis=-1)
    if squared is None:
        squared = ((hkl @ np.array(p["crystal"]["A_star_rows"])) ** 2).sum(axis=-1)
    return sum(
        atom["occ"] * np.exp(-atom["B"] * squared / 4) * np.exp(2j * np.pi * (hkl @ np.array(atom["xyz"])))
        for atom in p["crystal"]["heavy_atoms"]
    )


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("few", [True, False], ids=["tables", "mixed"])
def test_f_prime_and_f_double_prime_of_three_channels(backend, few, monkeypatch):
    """diffBragg takes the B factor of the heavy atoms at the pixel; here it is that of the reflection."""
    name = "j5_fp_fdp"
    p = cases.params(name)
    real, imaginary = (cases.factors(file) for file in ("F_real.hkl", "F_imag.hkl"))
    assert real.minimum == imaginary.minimum and real.grid.shape == imaginary.grid.shape
    parts = [real.grid + 1j * imaginary.grid, heavy_atoms(p, real)]
    energies = [ENERGY_TIMES_WAVELENGTH / one["wavelength_A"] * 1e10 for one in sources(name)]
    listed = sorted((energy, one["fp"], one["fdp"]) for energy, one in zip(energies, sources(name), strict=True))
    curve = AnomalousCurve("Xx", *np.array(listed).T)
    factors = AnomalousFactors(parts, [curve], 1e-10, real.minimum)
    monkeypatch.setattr(AnomalousFactors, "tabulated", lambda self, count: few)
    found = render(cases.experiment(name, factors=factors), backend)
    assert cases.difference(found, name) < FACTOR_OF_NODES
    mates = AnomalousFactors(parts, [AnomalousCurve("Xx", curve.energies, curve.f1, -curve.f2)], 1e-10, real.minimum)
    assert cases.difference(render(cases.experiment(name, factors=mates), backend), name) > 10 * FACTOR_OF_NODES


def test_with_its_own_rule_for_b_factors_diffbragg_agrees():
    """What the limit above allows is that rule alone: amplitudes at the pixel, times the rest of the image."""
    name = "j5_fp_fdp"
    p = cases.params(name)
    real, imaginary = (cases.factors(file) for file in ("F_real.hkl", "F_imag.hkl"))
    unit = cases.experiment(name, factors=StructureFactors.constant(1.0))
    d = p["detector"]
    slow, fast = np.mgrid[: d["n_slow"], : d["n_fast"]][..., None] + 0.5
    pixels = np.array(d["pix0_mm"]) + d["pixel_mm"] * (fast * np.array(d["fast"]) + slow * np.array(d["slow"]))
    ways = pixels / np.linalg.norm(pixels, axis=-1, keepdims=True)
    total = 0.0
    for one in sources(name):
        q = (ways - np.array(one["incident"])) / one["wavelength_A"]
        hkl = np.ceil(q @ np.array(p["crystal"]["A_rows_A"]).T - 0.5).astype(int)
        place = tuple(np.moveaxis(hkl - real.minimum, -1, 0))
        amplitude = real.grid[place] + 1j * imaginary.grid[place]
        for atom in p["crystal"]["heavy_atoms"]:
            phase = np.exp(2j * np.pi * (hkl @ np.array(atom["xyz"])))
            share = atom["occ"] * np.exp(-atom["B"] * (q**2).sum(axis=-1) / 4) * phase
            amplitude = amplitude + share * (one["fp"] + 1j * one["fdp"])
        beam = unit.beam.replace(sources=(), wavelength=one["wavelength_A"] * 1e-10)
        total = total + one["weight"] * np.abs(amplitude) ** 2 * render(unit.replace(beam=beam), "eager")
    assert cases.difference(total / sum(one["weight"] for one in sources(name)), name) < cases.LIMIT
