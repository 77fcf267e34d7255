"""--spectrum as a user would: images are sums over channels, pulses belong to their frames."""

import json

import numpy as np
import pytest
import zarr

import tilesim as package
from tilesim.model.materials import ENERGY_TIMES_WAVELENGTH

CELL = "-cell 50 40 33.3 90 90 90 -misset 10 20 30 -default_F 10".split()
NO_LAMBDA = (*CELL, *"-N 3 -distance 100 -pixel 1 -detpixels 12 -oversample 1 -nointerpolate".split())


@pytest.fixture
def image(tilesim, folder):
    """`image(*words)` is what a run of them gives, (slow, fast)."""

    def render(*words):
        result = tilesim("run", *words, "-floatfile", "out.bin", "--precision", "double", "--quiet")
        assert result.status == 0, result.err
        return np.fromfile("out.bin", np.float32).reshape(12, 12).astype(np.float64)

    return render


@pytest.mark.parametrize("divergence", [(), ("-hdivrange", "5", "-hdivsteps", "3")])
def test_the_image_is_the_weighted_sum_of_its_channels(image, folder, divergence):
    (folder / "s.lam").write_text("wavelength, weight\n1.45, 1\n1.50, 5\n1.56, 2\n")
    # Factors that the central wavelength decides are off.
    words = (*NO_LAMBDA, *divergence, "-oversample_polar")
    sums = sum(w * image(*words, "-lambda", x) for x, w in ((1.45, 1), (1.50, 5), (1.56, 2))) / 8
    found = image(*words, "--spectrum", "s.lam")
    assert found.max() > 0
    np.testing.assert_allclose(found, sums, rtol=1e-6)


def test_the_mean_energy_is_the_central_wavelength_everywhere(tilesim, folder):
    (folder / "s.txt").write_text("# energy/eV weight\n8000 3\n8400 1\n")
    central = ENERGY_TIMES_WAVELENGTH / 8.1 * 1e10
    result = tilesim(
        "run", *NO_LAMBDA, "--spectrum", "s.txt", "--zarr", "o.zarr", "-intfile", "o.img", "--json", "o.json"
    )
    assert result.status == 0, result.err
    assert f"WAVELENGTH={central:g};" in (folder / "o.img").read_bytes()[:512].decode()
    assert f"wave={central * 1e-10:g} meters" in result.out and "2 sources" in result.out
    assert package.open("o.zarr").experiment(0).beam.wavelength == pytest.approx(central * 1e-10, rel=1e-12)
    assert f"{central:.7g} A" in tilesim("info", "o.zarr").out
    for name in ("o.h5", "o.expt"):
        assert tilesim("export", "o.zarr", name).status == 0
        assert package.read_detector(name).wavelength == pytest.approx(central * 1e-10, rel=1e-9)
    assert json.loads((folder / "o.expt").read_text())["beam"][0]["wavelength"] == pytest.approx(central, rel=1e-9)
    assert tilesim("verify", "o.zarr").status == 0 and tilesim("rerun", "o.zarr").status == 0


def test_every_frame_has_a_pulse_of_its_own_and_any_frame_alone_the_same(tilesim, folder):
    pulse = "sase:energy=8000,bandwidth=0.02,seed=3"
    words = (*NO_LAMBDA, "--spectrum", pulse, "--channels", "20", "--quiet")
    assert tilesim("run", *words, "--frames", "4", "--frame-osc", "0", "--zarr", "a.zarr").status == 0
    text = " ".join(NO_LAMBDA)
    # In a batch frames 2 and 3 are those of another entry.
    grid = f'flags = "{text}"\nzarr = "b.zarr"\nspectrum = "{pulse}"\nchannels = 20\nframe_osc = 0\n'
    (folder / "b.toml").write_text(f"{grid}[[experiment]]\nframes = 2\n[[experiment]]\nframes = 2\n")
    assert tilesim("batch", "b.toml", "--quiet").status == 0
    one, other = (package.open(name) for name in ("a.zarr", "b.zarr"))
    assert len({one.experiment(k) for k in range(4)}) == 4
    for k in range(4):
        assert one.experiment(k) == other.experiment(k)
        expected = package.sase_spectrum(ENERGY_TIMES_WAVELENGTH / 8.0, 0.02, frame=k, seed=3, channels=20)
        assert one.experiment(k).beam.sources == one.experiment(k).beam.with_spectrum(expected).sources
        np.testing.assert_array_equal(one.image(k).compute(), other.image(k).compute())
    group = zarr.open_group("a.zarr", mode="r")["0"]
    weights = group["spectrum_weight"]
    assert weights.shape == (4, 20) and weights.metadata.dimension_names == ("frame", "channel")
    np.testing.assert_allclose(weights[3], expected.weights, rtol=1e-12)
    assert tilesim("rerun", "a.zarr").status == 0
    # Alone it is frame 0.
    assert tilesim("run", *words, "--zarr", "c.zarr").status == 0
    assert package.open("c.zarr").experiment(0) == one.experiment(0)


CHANNELS = {
    "gaussian:energy=8000,bandwidth=1%": 40,
    "gaussian:energy=8keV,bandwidth=80eV --channels 7": 7,
    "tophat:wavelength=1.5,bandwidth=0.01 --channel-width 20": 5,
    "two-color:energy=8000,separation=200eV,bandwidth=5eV,share=30% --channels 10": 10,
    "sase:energy=8000,bandwidth=0.01": 85,
    "sase:energy=8000,bandwidth=40eV,spike=4eV --channel-width 2": 40,
}


@pytest.mark.parametrize("words", CHANNELS)
def test_generators_have_the_channels_that_were_asked_for(words):
    experiment = package.from_nanobragg([*NO_LAMBDA, "--spectrum", *words.split()])
    assert len(experiment.beam.sources) == CHANNELS[words]
    assert sum(source.weight for source in experiment.beam.sources) == pytest.approx(CHANNELS[words])


def test_a_generator_without_energy_is_at_the_wavelength_of_the_flags():
    found = package.from_nanobragg([*NO_LAMBDA, "-lambda", "1.2", "--spectrum", "gaussian:bandwidth=0.01"])
    assert found.beam.wavelength == pytest.approx(1.2e-10, rel=1e-12) and len(found.beam.sources) == 40


REFUSED = {
    "--spectrum none.txt": "none.txt",
    "--spectrum gaussian:energy=8000": "gaussian needs bandwidth; expected such as gaussian:energy=9000,bandwidth=0.01",
    "--spectrum gaussian:bandwidth=0.01": "states no energy; expected energy=EV among its parameters, or -lambda",
    "--spectrum gaussian:energy=8000,bandwidth=0.01,colour=2": "found 'colour=2'; expected bandwidth",
    "--spectrum gaussian:energy=8000,wavelength=1,bandwidth=0.01": "expected one of them",
    "--spectrum gaussian:energy=8000,bandwidth=30": "30 of the photon energy; expected a fraction below 1",
    "--spectrum gaussian:energy=8000,bandwidth=1nm": "expected a number, with a unit or not (%, ev, kev)",
    "--spectrum gaussian:energy=0,bandwidth=0.01": "expected an energy in eV",
    "--spectrum sase:energy=8000,bandwidth=0.01,spikes=0": "spikes is '0'; expected a whole number of 1 or more",
    "--spectrum sase:energy=8000,bandwidth=0.01 -lambda 1": "expected no -lambda or -energy",
    "--spectrum s.lam -energy 8000": "expected no -lambda or -energy",
    "--spectrum s.lam -dispersion 1 -dispsteps 3": "-dispersion and --spectrum; expected one of them",
    "--spectrum s.lam -sourcefile s.lam": "-sourcefile and --spectrum; expected one of them",
    "--spectrum s.lam --channels 0": "--channels expects a whole number of 1 or more",
    "--spectrum s.lam --channels 1.5": "--channels expects a whole number of 1 or more",
    "--spectrum s.lam --channels 3": "3 channels of a spectrum that has 2",
    "--spectrum s.lam --channels 2 --channel-width 3": "expected one of them",
    "--channels 2 -lambda 1": "--channels goes with --spectrum",
    "--spectrum s.lam --strict-c": "expected no --strict-c with it",
}


@pytest.mark.parametrize("words", REFUSED)
def test_contradictions_are_one_line(tilesim, folder, made, words):
    (folder / "s.lam").write_text("wavelength, weight\n1.4, 1\n1.5, 1\n")
    result = tilesim("run", *NO_LAMBDA, *words.split(), "-floatfile", "out.bin")
    assert result.status == 2 and REFUSED[words] in result.err, result.err
    assert len(result.err.strip().splitlines()) == 1 and made() == ["s.lam"]


def test_a_model_has_the_structure_factors_of_every_channel(tilesim, folder):
    import models

    models.write_pdb(folder / "m.pdb", elements="C Se", atoms=5)
    (folder / "se.txt").write_text("# energy/eV f' f''\n12600 -4 0.5\n12658 -10 2\n12700 -6 4\n")
    (folder / "s.txt").write_text("# energy/eV weight\n12640 1\n12658 2\n12680 1\n")
    words = "--model m.pdb --dmin 4 -N 3 -misset 10 20 30 -distance 60 -pixel 2 -detpixels 20 -nointerpolate".split()
    words += "-oversample 1 -oversample_polar --fp-fdp se=se.txt --precision double --quiet".split()
    result = tilesim("run", *words, "--spectrum", "s.txt", "--zarr", "o.zarr", "-floatfile", "o.bin")
    assert result.status == 0, result.err
    found = np.fromfile("o.bin", np.float32).astype(np.float64)
    total = np.zeros_like(found)
    for electronvolts, weight in ((12640, 0.25), (12658, 0.5), (12680, 0.25)):
        angstrom = repr(ENERGY_TIMES_WAVELENGTH / electronvolts * 1e13)
        result = tilesim("run", *words, "-lambda", angstrom, "-floatfile", "one.bin")
        assert result.status == 0, result.err
        total += weight * np.fromfile("one.bin", np.float32)
    assert found.max() > 0
    # Parts are computed element by element, tables of one energy at once: within the rounding of their grids.
    assert np.abs(found - total).max() < 1e-3 * total.max()
    factors = package.open("o.zarr").experiment(0).factors
    assert isinstance(factors, package.AnomalousFactors) and [c.element for c in factors.curves] == ["C", "Se"]
    assert factors == package.from_nanobragg([*words[:-3], "--spectrum", "s.txt"]).factors
    for verb in ("verify", "rerun", "info"):
        assert tilesim(verb, "o.zarr").status == 0
    assert tilesim("run", *words, "--spectrum", "s.txt", "--zarr", "o.zarr", "--resume").status == 0
    result = tilesim("run", *words, "--spectrum", "gaussian:energy=12658,bandwidth=0.01", "-floatfile", "no.bin")
    assert result.status == 2 and "se.txt: f' and f'' of Se are known from 12.6 to 12.7 keV" in result.err
    result = tilesim("run", *words[2:], "-hkl", "P1.hkl", "-cell", *"20 24 28 90 90 90".split())
    assert result.status == 2 and "goes with --model" in result.err
