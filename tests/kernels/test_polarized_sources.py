"""Sources with a polarisation of their own: images are sums, stores keep it, files state the mean."""

import json
import math

import h5py
import numpy as np
import pytest
from experiments import TILTED, plain, polarized, veiled

import tilesim
from tilesim import Beam, InputError, Sampling, Series, Source, Spectrum
from tilesim.compute import tile_truth
from tilesim.engine.job import lower_job, make_job
from tilesim.geometry.axes import Axes, rotation_to, turned
from tilesim.images.expt import models
from tilesim.kernels import library
from tilesim.tiling.tile import Tile

Z, X = (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)
UPRIGHT = Source(Z, 1e-10, kahn_factor=1.0, polarization_axis=(0.0, 1.0, 0.0))
ASLANT = Source(TILTED, 1.02e-10, kahn_factor=0.5, polarization_axis=(0.6, 0.8, 0.0))
BACKENDS = ("eager", pytest.param("fused", marks=pytest.mark.skipif(library.compiler() is None, reason="no compiler")))


def image(experiment, backend="eager"):
    return tilesim.simulate_now(experiment, precision="double", device="cpu", backend=backend).astype(np.float64)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("base", [plain(), veiled(sampling=Sampling(oversample_polar=True))], ids=["plain", "veiled"])
def test_two_sources_are_the_sum_of_each_with_half_of_the_photons(base, backend):
    both = image(base.replace(beam=base.beam.replace(sources=(UPRIGHT, ASLANT))), backend)
    parts = []
    for one in (UPRIGHT, ASLANT):
        # The factor and axis of the beam itself, without sources that have any.
        beam = base.beam.replace(kahn_factor=one.kahn_factor, polarization_axis=one.polarization_axis)
        wave = Source(one.direction, one.wavelength)
        parts.append(image(base.replace(beam=beam.replace(sources=(wave,), fluence=beam.fluence / 2)), backend))
    assert both.max() > 0 and not np.allclose(*parts, rtol=0.1)
    np.testing.assert_allclose(both, sum(parts), rtol=2e-7)
    unlike = image(base.replace(beam=base.beam.replace(sources=(Source(Z, 1e-10), Source(TILTED, 1.02e-10)))), backend)
    assert np.abs(unlike - both).max() > 1e-4 * both.max()


def test_water_has_the_mean_of_all_sources():
    base = plain(water_size=3e-4)
    dark = base.replace(crystal=None, factors=tilesim.StructureFactors.constant(0.0))
    sources = (UPRIGHT.replace(weight=1.5), ASLANT.replace(weight=0.5))
    both = image(dark.replace(beam=dark.beam.replace(sources=sources)))
    parts = [
        one.weight * image(dark.replace(beam=dark.beam.replace(sources=(one.replace(weight=1.0),)))) for one in sources
    ]
    assert both.min() > 0
    np.testing.assert_allclose(both, sum(parts) / 2, rtol=2e-7)


def test_sources_that_are_alike_are_a_beam_with_that_polarisation():
    base = plain()
    own = base.beam.replace(sources=(UPRIGHT, UPRIGHT.replace(wavelength=1.01e-10)))
    assert own.polarizations == ((1.0, (0.0, 1.0, 0.0)),) and own.summary()["polarization"].startswith("Kahn factor 1,")
    waves = tuple(Source(one.direction, one.wavelength) for one in own.sources)
    same = own.replace(sources=waves, kahn_factor=1.0, polarization_axis=(0.0, 1.0, 0.0))
    assert image(base.replace(beam=own)).tobytes() == image(base.replace(beam=same)).tobytes()


def test_one_beam_of_the_mean_polarisation_gives_the_same_image():
    base = plain(sampling=Sampling(oversample=2, oversample_polar=True))
    unlike = base.beam.replace(
        sources=(UPRIGHT.replace(weight=1.5), ASLANT.replace(direction=Z, wavelength=1e-10, weight=0.5))
    )
    factor, axis = unlike.mean_polarization
    assert 0 < factor < 1 and axis[2] == pytest.approx(0)
    mean = base.beam.replace(kahn_factor=factor, polarization_axis=axis)
    found, wanted = (image(base.replace(beam=beam)) for beam in (unlike, mean))
    assert found.max() > 0
    np.testing.assert_allclose(found, wanted, rtol=2e-7)
    # Two crossed fields of equal strength are unpolarised.
    crossed = base.beam.replace(sources=(UPRIGHT, UPRIGHT.replace(polarization_axis=X)))
    assert crossed.mean_polarization[0] == pytest.approx(0, abs=1e-15)
    assert base.beam.replace(kahn_factor=None).mean_polarization is None


def test_a_store_keeps_it_and_is_resumed(tmp_path):
    experiment = polarized()
    tilesim.run(experiment, store=tmp_path / "a.zarr", backend="eager")
    before = tilesim.open(tmp_path / "a.zarr")
    assert before.experiment(0) == experiment and before.experiment(0).beam.sources[0].kahn_factor == 0.9
    assert before.image(0).max().compute() > 0
    tilesim.run(experiment, store=tmp_path / "a.zarr", backend="eager", resume=True)
    other = experiment.replace(beam=experiment.beam.replace(sources=(*experiment.beam.sources[:2], UPRIGHT)))
    with pytest.raises(tilesim.TilesimError):
        tilesim.run(other, store=tmp_path / "a.zarr", backend="eager", resume=True)


def test_files_state_the_mean(tmp_path):
    experiment = plain(beam=plain().beam.replace(sources=(UPRIGHT, UPRIGHT.replace(kahn_factor=0.4))))
    store = tmp_path / "a.zarr"
    tilesim.run(experiment, store=store, backend="eager")
    tilesim.export(tilesim.open(store), tmp_path / "a.nxs")
    with h5py.File(tmp_path / "a.nxs") as file:
        found = []
        file.visititems(lambda name, item: found.append(item[()]) if name.endswith("polarization_stokes") else None)
    # Along y of imgCIF, which is y of McStas: Q is -1.
    assert len(found) == 1 and found[0][0] == pytest.approx([1.0, -0.7, 0.0, 0.0], abs=1e-12)
    beam = json.loads(json.dumps(models(Series.of([experiment]), Axes.LAB)))["beam"][0]
    assert beam["polarization_fraction"] == pytest.approx(0.85)
    assert np.abs(beam["polarization_normal"]) == pytest.approx([1.0, 0.0, 0.0], abs=1e-12)


def test_what_is_derived_from_a_beam_keeps_it():
    beam = Beam(Z, 1e-10, sources=(UPRIGHT, ASLANT.replace(direction=Z, wavelength=1e-10)))
    lit = beam.with_spectrum(Spectrum([1e-10, 1.02e-10], [1.0, 1.0]))
    assert [one.kahn_factor for one in lit.sources] == [1.0, 1.0, 0.5, 0.5]
    assert [one.kahn_factor for one in beam.replace(wavelength=2e-10).sources] == [1.0, 0.5]
    alone = Beam(Z, 1e-10, sources=(UPRIGHT,)).with_spectrum(Spectrum([1.1e-10], [1.0]))
    assert alone.polarizations == ((1.0, (0.0, 1.0, 0.0)),)
    experiment = plain(beam=plain().beam.replace(sources=(UPRIGHT, ASLANT)))
    seen = turned(experiment, rotation_to(Axes.MCSTAS, experiment))
    np.testing.assert_allclose(image(seen), image(experiment), rtol=1e-6)


@pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")
def test_truth_of_the_fused_kernel_is_the_definition():
    kernels = (lower_job(make_job(polarized(), None, "double", "cpu", backend)) for backend in ("eager", "fused"))
    defined, fused = (tile_truth(kernel, Tile(0, 0, 0, 23, 0, 31)) for kernel in kernels)
    assert np.nanmax(defined[0]) > 0
    np.testing.assert_allclose(fused, defined, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Source(Z, 1e-10, kahn_factor=math.nan), "Kahn factor of a source"),
        (lambda: Source(Z, 1e-10, polarization_axis=(1, 1, 0)), "polarization axis of a source"),
        (lambda: Beam(Z, 1e-10, kahn_factor=None, sources=(UPRIGHT,)), "kahn_factor is None"),
        (lambda: plain(beam=plain().beam.replace(sources=(UPRIGHT.replace(polarization_axis=Z),))), "across the beam"),
        (lambda: plain(beam=plain().beam.replace(sources=(UPRIGHT,)), sampling=Sampling(strict_c=True)), "strict_c"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.skipif(library.compiler() is None, reason="no compiler")
@pytest.mark.parametrize("axis", [X, (0.6, 0.8, 0.1)], ids=["across", "aslant"])
def test_the_fused_factor_is_that_of_the_definition_wherever_the_field_points(axis):
    base = plain()
    beam = base.beam.replace(direction=Z, sources=(), kahn_factor=0.9, polarization_axis=axis)
    defined, fused = (image(base.replace(beam=beam), backend) for backend in ("eager", "fused"))
    assert defined.max() > 0
    np.testing.assert_allclose(fused, defined, rtol=2e-7)
    unpolarized = image(base.replace(beam=beam.replace(kahn_factor=0.0)), "fused")
    assert np.abs(fused - unpolarized).max() > 1e-4 * fused.max()
