"""Automatic choices count with the detector's own pixels and its own distance, however it was placed (K15)."""

import numpy as np
import pytest

import tilesim
from tilesim import Instrument, Panel
from tilesim.geometry.resolution import nearest_distance

CRYSTAL = "-default_F 100 -cell 50 60 70 90 90 90 -misset 10 20 30".split()
SWUNG = "-lambda 1.2 -detpixels 20 -pixel 2.5 -distance 80".split()


def command(*words, instrument=None, strict_c=False):
    return tilesim.read_command([*CRYSTAL, "-N", "20", *words], strict_c, instrument=instrument)


def oversampling(*words, **options):
    return command(*words, **options).experiment.sampling.oversample


def facing(pixel, distance=0.1, count=100, **options):
    panel = Panel.facing(distance=distance, pixel_size=pixel * 1e-3, shape=(count, count), **options)
    return Instrument("bench", [panel], wavelength=1e-10)


@pytest.mark.parametrize(("pixel", "wanted"), [(0.5, 21), (0.172, 8), (0.05, 3)])
def test_a_geometry_has_the_oversampling_of_the_same_flags(pixel, wanted):
    flags = f"-xds -lambda 1 -distance 100 -pixel {pixel} -detpixels 100 -ORGX 50.5 -ORGY 50.5".split()
    found = command(instrument=facing(pixel))
    assert found.experiment.sampling.oversample == oversampling(*flags) == wanted and found.corrections == ("K14",)
    assert f"auto-selected {wanted}-fold oversampling" in found.report
    few = command("-oversample", "1", instrument=facing(pixel)).warnings
    assert any(f"-oversample {wanted} is recommended" in line for line in few)


def test_reflections_narrower_than_a_sub_pixel_are_warned_of():
    def said(*words):
        return [line for line in command(*words, *SWUNG).warnings if "narrower than a sub-pixel" in line]

    [line] = said("-gauss_xtal", "-N", "19")
    assert "-oversample 536 resolves them, --crystal-shape gauss-hkl" in line  # 3 x 19^3 A over 1.2 A x 80 / 2.5
    assert said("-tophat_spots") and not said() and not said("--crystal-shape", "gauss-hkl")
    assert not said("-gauss_xtal", "-oversample", "626") and not said("-gauss_xtal", "-N", "5")


def test_the_panel_whose_pixels_are_widest_decides():
    near, fine = facing(0.2, 0.05).panels[0], facing(0.1, 0.2).panels[0]
    far = facing(0.2, 0.4).panels[0].replace(shape=(100, 100))
    one = oversampling(instrument=Instrument("near", [near], wavelength=1e-10))
    assert one == 17
    assert oversampling(instrument=Instrument("all", [far, fine, near], wavelength=1e-10)) == one


@pytest.mark.parametrize(
    ("origin", "fast", "slow"),
    [
        ((0.05, -0.005, -0.005), (0, 0, 1), (0, 1, 0)),  # beside the sample
        ((-0.005, -0.005, -0.05), (1, 0, 0), (0, 1, 0)),  # behind it
        ((-0.005, -0.005, 0.05), (1, 0, 0), (0, 1, 0)),
        ((0.005, -0.005, 0.05), (-1, 0, 0), (0, 1, 0)),  # seen from its other side
    ],
)
def test_a_panel_may_stand_anywhere(origin, fast, slow):
    normal = np.cross(fast, slow)
    normal = normal if normal @ np.array(origin) > 0 else -normal
    instrument = Instrument("any", [Panel(origin, fast, slow, normal, 1e-4, (100, 100))], wavelength=1e-10)
    found = command(instrument=instrument)
    assert found.experiment.sampling.oversample == 9
    assert found.geometry.distance == pytest.approx(0.05)


@pytest.mark.parametrize("twotheta", [0, 30, 89.9, 90, 120, 180])
def test_a_swung_detector_is_sampled_as_its_nearest_point_asks(twotheta):
    found = command(*SWUNG, "-twotheta", str(twotheta))
    [panel] = found.experiment.detector.panels
    slow, fast = ((np.linspace(0, 20, 201)) * 2.5e-3 for _ in "sf")
    places = (
        np.array(panel.origin) + slow[:, None, None] * np.array(panel.slow) + fast[None, :, None] * np.array(panel.fast)
    )
    nearest = np.linalg.norm(places, axis=-1).min()
    assert nearest_distance(panel) == pytest.approx(nearest, rel=1e-4)
    distance = min(0.08, nearest) if twotheta else 0.08
    assert found.experiment.sampling.oversample == np.ceil(3 * 20 * 70e-10 / (1.2e-10 * distance / 2.5e-3))
    assert ("K15" in found.corrections) or twotheta < 80
    if abs(twotheta - 90) > 1:  # where the reference would take more steps than it can count
        strict = command(*SWUNG, "-twotheta", str(twotheta), strict_c=True).experiment
        assert (strict.detector == found.experiment.detector) == (twotheta < 90)
        differs = strict.sampling.oversample != found.experiment.sampling.oversample
        assert ("K15" in found.corrections) == (differs or twotheta > 90)


@pytest.mark.parametrize("convention", ["-mosflm", "-denzo", "-adxv"])
def test_beyond_ninety_degrees_photons_are_positive(convention):
    words = [*SWUNG, convention, "-twotheta", "120", "-oversample", "1"]
    default, strict = (command(*words, strict_c=strict_c) for strict_c in (False, True))
    image, reference = (
        tilesim.simulate_now(one.experiment, precision="double", backend="eager") for one in (default, strict)
    )
    assert image.min() > 0 and "K15" in default.corrections
    np.testing.assert_array_equal(image, -reference)
