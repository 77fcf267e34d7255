"""Structure factors by photon energy in every kernel: the sum over monochromatic images, and the definition."""

import importlib

import numpy as np
import pytest
from experiments import ALL, RNG, assembled, diffuse, interpolated, plain, rich

from tilesim.errors import InputError
from tilesim.kernels import fused, library, tensors
from tilesim.kernels.tables import table_key
from tilesim.model import AnomalousCurve, AnomalousFactors, ChannelFactors, Sampling, Spectrum, StructureFactors

SOME = np.arange(0, 23 * 31, 3)
LOW = (-6, -7, -8)
SHAPE = (13, 15, 17)
SPECTRUM = Spectrum([0.99e-10, 1.0e-10, 1.02e-10, 1.03e-10], [1.0, 3.0, 2.0, 1.0])
WAVES = SPECTRUM.wavelengths.tolist()


def anomalous(elements):
    parts = RNG.uniform(-60, 60, (1 + elements, *SHAPE)) + 1j * RNG.uniform(-60, 60, (1 + elements, *SHAPE))
    curves = [
        AnomalousCurve(f"E{n}", [11.0, 12.3, 13.0], RNG.uniform(-2, 1, 3), RNG.uniform(0, 2, 3))
        for n in range(elements)
    ]
    return AnomalousFactors(parts, curves, 1e-10, LOW, default=3.0)


FEW, MANY = anomalous(1), anomalous(5)
CHANNELS = ChannelFactors({wave: StructureFactors(RNG.uniform(5, 120, SHAPE), LOW, default=3.0) for wave in WAVES})
FACTORS = {"mixed": FEW, "tables": MANY, "channels": CHANNELS}
BASES = {"plain": plain, "rich": rich, "interpolated": interpolated, "assembled": assembled, "diffuse": diffuse}
compiler = pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")


def experiment(base, kind):
    one = BASES[base](water_size=0.0)
    return one.replace(beam=one.beam.with_spectrum(SPECTRUM), factors=FACTORS[kind])


def metric(image, reference):
    return (np.abs(image - reference) / np.maximum(np.abs(reference), 1e-6 * np.abs(reference).max())).max()


def test_few_channels_have_tables_and_many_mix_their_parts():
    assert not FEW.tabulated(4) and MANY.tabulated(4) and table_key(FEW, WAVES) == () != table_key(MANY, WAVES)
    assert table_key(CHANNELS, WAVES) == tuple(WAVES) and table_key(ALL["plain"].factors, WAVES) == ()
    [mixed] = tensors.lower_table(FEW, "float32", "cpu", WAVES)
    assert mixed.parts.shape == (15 * 17 * 19, 2, 2)
    assert len(tensors.lower_table(MANY, "float32", "cpu", WAVES)) == 4


@pytest.mark.parametrize("kind", FACTORS)
def test_the_image_is_the_sum_of_those_of_its_channels(kind):
    whole = plain(factors=FACTORS[kind], beam=plain().beam.with_spectrum(SPECTRUM))
    whole = whole.replace(sampling=Sampling(oversample_polar=True))
    values, _ = tensors.lower(whole, "double").photons(SOME)
    total = np.zeros(len(SOME))
    for wave, weight in zip(WAVES, SPECTRUM.weights, strict=True):
        table = StructureFactors(FACTORS[kind].at(wave), LOW, default=3.0)
        alone = whole.replace(factors=table, beam=plain().beam.replace(wavelength=wave))
        total += weight / 4 * tensors.lower(alone, "double").photons(SOME)[0]
    assert values.max() > 0 and metric(values, total) < 1e-12


@compiler
@pytest.mark.parametrize("precision, tolerance", [("mixed", 1e-5), ("double", 1e-9)])
@pytest.mark.parametrize("kind", FACTORS)
@pytest.mark.parametrize("base", BASES)
def test_the_fused_kernel_agrees_with_the_definition(base, kind, precision, tolerance):
    one = experiment(base, kind)
    wanted, angles = tensors.lower(one, "double").photons(SOME)
    values, solid_angle = fused.lower(one, precision).photons(SOME)
    assert wanted.max() > 0 and metric(values, wanted) < tolerance
    assert solid_angle == pytest.approx(angles)
    other = one.replace(factors=StructureFactors(FACTORS[kind].grid, LOW, default=3.0))
    assert metric(fused.lower(other, precision).photons(SOME)[0], wanted) > 1e-3


@pytest.mark.parametrize(
    "base, kind, precision, tolerance",
    [
        ("plain", "mixed", "mixed", 1e-5),
        ("plain", "mixed", "double", 1e-9),
        ("plain", "channels", "mixed", 1e-5),
        ("plain", "channels", "double", 1e-9),
        ("interpolated", "mixed", "double", 1e-9),
        ("assembled", "mixed", "mixed", 1e-5),
    ],
)
def test_the_gpu_kernel_agrees_with_the_definition(base, kind, precision, tolerance, monkeypatch):
    pytest.importorskip("triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    import tilesim.kernels.gpu as module

    gpu = importlib.reload(module)
    try:
        one = experiment(base, kind)
        values, _ = gpu.lower(one, precision, "cpu").photons(SOME[::4])
    finally:
        monkeypatch.undo()
        importlib.reload(module)
    wanted, _ = tensors.lower(one, "double").photons(SOME[::4])
    assert wanted.max() > 0 and metric(values, wanted) < tolerance


@compiler
def test_frames_that_are_rendered_together_meet_the_factors_of_their_own_channels():
    base = experiment("plain", "mixed")
    beam = base.beam.with_spectrum(Spectrum(WAVES[1::-1] + WAVES[3:1:-1], SPECTRUM.weights))
    kernels = [fused.lower(one) for one in (base, base.replace(beam=beam), base.replace(factors=MANY))]
    assert kernels[0].shared == kernels[1].shared == kernels[2].shared
    together = np.empty((3, len(SOME)), np.float32)
    assert kernels[0].shared.photons(kernels, SOME, together) > 0
    for values, kernel in zip(together, kernels, strict=True):
        assert values.max() > 0 and values.tobytes() == kernel.photons(SOME)[0].astype(np.float32).tobytes()
    assert len({values.tobytes() for values in together}) == 3


def test_a_wavelength_that_has_no_factors_is_refused():
    beam = plain().beam
    with pytest.raises(InputError, match=r"f' and f'' of E0 are known from 11 to 13 keV; expected them at 6.19"):
        plain(factors=FEW, beam=beam.replace(wavelength=2e-10))
    with pytest.raises(InputError, match=r"no structure factors for a source of 1.01 angstrom; expected one of the 4"):
        plain(factors=CHANNELS, beam=beam.replace(wavelength=1.01e-10))
    with pytest.raises(InputError, match="by photon energy with strict_c"):
        plain(factors=FEW, sampling=Sampling(strict_c=True))
    with pytest.raises(InputError, match="expected F0 and a part for each curve"):
        AnomalousFactors(np.zeros((1, *SHAPE), complex), FEW.curves, 1e-10)
    with pytest.raises(InputError, match="different defaults"):
        ChannelFactors({1e-10: StructureFactors.constant(1.0), 2e-10: StructureFactors.constant(2.0)})


def test_tables_of_channels_may_reach_unequally_far():
    small = StructureFactors(np.full((1, 2, 1), 5.0), (1, 1, 1), default=9.0)
    large = StructureFactors(np.full((3, 1, 2), 6.0), (0, 2, 1), default=9.0)
    both = ChannelFactors({1e-10: small, 1.1e-10: large})
    assert both.minimum == (0, 1, 1) and both.maximum == (2, 2, 2)
    grid = both.at(1e-10)
    assert grid[1, :, 0].tolist() == [5.0, 5.0] and (grid == 5.0).sum() == 2 and (grid == 9.0).sum() == 10
    assert (both.at(1.1e-10) == 6.0).sum() == 6
