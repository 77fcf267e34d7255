"""Spectra as nouns: what generators and channels promise, and beams that have one."""

import math

import numpy as np
import pytest

from tilesim import Beam, InputError, Series, Source, Spectrum, sase_spectrum
from tilesim.model.materials import ENERGY_TIMES_WAVELENGTH
from tilesim.physics.philox import uniforms

WAVELENGTH = 1.3e-10
ENERGY = ENERGY_TIMES_WAVELENGTH / WAVELENGTH


def test_weights_are_relative_and_the_central_wavelength_is_that_of_the_mean_energy():
    spectrum = Spectrum([1.0e-10, 1.25e-10], [30, 10])
    assert spectrum.weights.tolist() == [1.5, 0.5]
    assert spectrum.wavelength == pytest.approx(1e-10 / (0.75 * 1.0 + 0.25 * 0.8), rel=1e-15)
    assert spectrum == Spectrum([1.0e-10, 1.25e-10], [3, 1]) != Spectrum([1.0e-10, 1.25e-10], [1, 1])


def test_a_gaussian_has_its_mean_and_deviation():
    spectrum = Spectrum.gaussian(WAVELENGTH, 0.01, 400)
    assert spectrum.energy == pytest.approx(ENERGY, rel=1e-12) and spectrum.bandwidth == pytest.approx(0.01, rel=1e-3)
    assert np.ptp(spectrum.energies) == pytest.approx(0.1 * ENERGY * 399 / 400)
    np.testing.assert_allclose(np.diff(spectrum.energies), np.diff(spectrum.energies)[0], rtol=1e-6)
    within = np.abs(spectrum.energies / ENERGY - 1) < 0.01
    assert spectrum.weights[within].sum() / 400 == pytest.approx(
        math.erf(math.sqrt(0.5)) / math.erf(5 * math.sqrt(0.5)), rel=1e-12
    )


def test_a_tophat_is_flat_between_its_edges():
    spectrum = Spectrum.tophat(WAVELENGTH, 0.02, 4)
    np.testing.assert_allclose(spectrum.energies / ENERGY, [0.9925, 0.9975, 1.0025, 1.0075], rtol=1e-12)
    assert spectrum.weights.tolist() == [1, 1, 1, 1]


def test_two_colours_share_the_photons_and_leave_the_gap_out():
    spectrum = Spectrum.two_colour(WAVELENGTH, 0.05, 0.001, share=0.25, channels=20)
    high = spectrum.energies > ENERGY
    assert high.sum() == 10 and spectrum.weights[high].sum() / 20 == pytest.approx(0.25, rel=1e-12)
    for side, one in ((high, 1.025), (~high, 0.975)):
        mean = np.average(spectrum.energies[side], weights=spectrum.weights[side])
        assert mean == pytest.approx(one * ENERGY, rel=1e-12)
        assert np.abs(spectrum.energies[side] / ENERGY - one).max() < 0.005
    near = Spectrum.two_colour(WAVELENGTH, 0.005, 0.001, channels=20)
    assert np.ptp(np.diff(near.energies)) < 1e-9


def test_sase_spikes_are_where_the_generator_puts_them():
    spectrum = sase_spectrum(WAVELENGTH, 0.02, frame=5, seed=9, spikes=3, spike_width=2e-5, channels=20000)
    import torch

    places, areas = (x.numpy() for x in uniforms(torch.arange(3), seed=9, stream=6, frame=5))
    for place, area in zip(places, areas / areas.sum(), strict=True):
        at = np.abs(spectrum.energies / ENERGY - (1 + 0.02 * (place - 0.5))) < 1e-4
        assert spectrum.weights[at].sum() / 20000 == pytest.approx(area, rel=1e-5)


def test_a_pulse_depends_on_seed_and_frame_alone_and_all_have_the_same_channels():
    pulses = [sase_spectrum(WAVELENGTH, 0.003, frame=k) for k in range(40)]
    assert len(set(pulses)) == 40 and pulses[7] == sase_spectrum(WAVELENGTH, 0.003, frame=7)
    assert pulses[7] != sase_spectrum(WAVELENGTH, 0.003, frame=7, seed=1)
    assert all(np.array_equal(pulse.wavelengths, pulses[0].wavelengths) for pulse in pulses)
    step = -np.diff(1 / pulses[0].wavelengths).mean()
    assert abs(step) <= 1e6  # two channels for the standard deviation of a spike, 2e6 1/m
    assert np.mean([pulse.energy for pulse in pulses]) == pytest.approx(ENERGY, rel=3e-4)


@pytest.mark.parametrize("chosen", [{"number": 12}, {"width": 0.01}, {"number": 1}])
def test_fewer_channels_keep_number_and_mean_energy_of_the_photons(chosen):
    fine = Spectrum.of_energies(np.linspace(9.1, 8.9, 301), 1 + np.sin(np.arange(301)) ** 2)
    coarse = fine.in_channels(**chosen)
    assert coarse.energy == pytest.approx(fine.energy, rel=1e-12)
    assert coarse.weights.mean() == pytest.approx(1.0) and len(coarse.weights) == chosen.get("number", 21)
    if len(coarse.weights) > 1:
        np.testing.assert_allclose(np.diff(coarse.energies), np.diff(coarse.energies)[0], rtol=1e-9)
        # What a smooth detector sees of both is the same.
        seen = [np.average(np.exp(one.energies), weights=one.weights) for one in (coarse, fine)]
        assert seen[0] == pytest.approx(seen[1], rel=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Spectrum([1e-10], [0]), "weights of a spectrum"),
        (lambda: Spectrum([1e-10, 2e-10], [1, -1]), "weights of a spectrum"),
        (lambda: Spectrum([1e-10], [1, 1]), "1 wavelengths, 2 weights"),
        (lambda: Spectrum([1.0], [1]), "did you mean 1e-10"),
        (lambda: Spectrum([[1e-10]], [1]), "expected a list of numbers"),
        (lambda: Spectrum.gaussian(1e-10, 0.3), "reaches down to an energy of 0"),
        (lambda: Spectrum.tophat(1e-10, 0.0), "bandwidth of a spectrum is 0"),
        (lambda: Spectrum.tophat(1e-10, 0.1, 10**7), "at most"),
        (lambda: Spectrum.tophat(1e-10, 0.1, 4).in_channels(5), "5 channels of a spectrum that has 4"),
        (lambda: sase_spectrum(1e-10, 0.01, spikes=0), "number of spikes is 0"),
    ],
)
def test_what_is_no_spectrum_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_beam_has_every_direction_at_every_wavelength():
    ahead, aside = (0.0, 0.0, 1.0), (0.0, 0.6, 0.8)
    beam = Beam(ahead, 1e-10, sources=(Source(ahead, 1e-10, 1.5), Source(aside, 2e-10, 0.5)))
    lit = beam.with_spectrum(Spectrum([1e-10, 1.1e-10], [3, 1]))
    assert [(one.direction, one.wavelength, one.weight) for one in lit.sources] == [
        (ahead, 1e-10, 2.25), (ahead, 1.1e-10, 0.75), (aside, 1e-10, 0.75), (aside, 1.1e-10, 0.25)
    ]  # fmt: skip
    assert lit.wavelength == Spectrum([1e-10, 1.1e-10], [3, 1]).wavelength and lit.fluence == beam.fluence
    np.testing.assert_allclose(lit.spectrum.weights, [0.5, 1.5])
    plain = Beam(ahead, 1e-10).with_spectrum(Spectrum([1.2e-10], [7]))
    assert plain == Beam(ahead, 1.2e-10) and plain.spectrum == Spectrum([1.2e-10], [1])


def test_a_series_has_a_spectrum_for_each_frame():
    from experiments import plain

    base = plain()
    pulses = [sase_spectrum(base.beam.wavelength, 0.01, frame=k, channels=6) for k in range(3)]
    series = Series(base, spectrum=pulses)
    assert series.columns["spectrum"].shape == (3, 6, 2)
    assert [one.beam for one in series] == [base.beam.with_spectrum(pulse) for pulse in pulses]
    with pytest.raises(InputError, match=r"expected \(channel, 2\)"):
        Series(base, spectrum=[[1.0, 2.0]])
