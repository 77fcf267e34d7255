"""The library of detectors: their pixels, gaps and sensors, placed by nanoBragg's flags or by a distance."""

import numpy as np
import pytest

import tilesim
from tilesim.errors import InputError
from tilesim.instruments.library import layout, library
from tilesim.model.materials import attenuation

CRYSTAL = "-default_F 100 -cell 50 60 70 90 90 90 -N 3 -oversample 1 -lambda 1.2 -distance 120".split()

MODULES = {
    "eiger2-16m": (32, 512 * 1028),
    "eiger2-4m": (8, 512 * 1028),
    "pilatus3-6m": (60, 195 * 487),
    "jungfrau-4m": (8, 514 * 1030),
    "jungfrau-16m": (32, 514 * 1030),
    "rayonix-mx340": (1, 7680 * 7680),
    "agipd-1m": (16, 512 * 128),
    "cspad": (32, 2 * 185 * 194),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_detector_has_the_pixels_of_its_modules(name):
    count, pixels = MODULES[name]
    found = tilesim.detector(name, 0.15)
    active = np.prod(found.shape) if found.mask is None else found.mask.active.sum()
    assert active == count * pixels
    chosen = layout(name)
    assert chosen.source and chosen.nominal and chosen.sensor.thickness > 0


@pytest.mark.parametrize("name", ["agipd-1m", "cspad"])
def test_panels_do_not_overlap_and_leave_the_beam_a_hole(name):
    found = tilesim.detector(name, 0.15)
    seen = np.zeros(tuple(n + 2 for n in layout(name).raster), int)
    for panel in found.panels:
        assert panel.distance == pytest.approx(0.15)
        slow, fast = (np.arange(n) + 0.5 for n in panel.shape)
        x, y = (
            panel.origin[k] / panel.pixel_size + slow[:, None] * panel.slow[k] + fast * panel.fast[k] for k in (0, 1)
        )
        rows, columns = (np.floor(v + n // 2 + 1e-6).astype(int) for v, n in zip((y, x), seen.shape, strict=True))
        np.add.at(seen, (rows, columns), 1)
    assert seen.max() == 1
    middle = [n // 2 for n in seen.shape]
    assert not seen[middle[0] - 3 : middle[0] + 3, middle[1] - 3 : middle[1] + 3].any()


def test_one_panel_is_placed_as_the_flags_place_a_detector():
    words = "-xds -ORGX 1030 -ORGY 1100 -twotheta 10".split()
    found = tilesim.from_nanobragg([*CRYSTAL, "--detector", "eiger2-4m", *words])
    flags = "-pixel 0.075 -detpixels_x 2068 -detpixels_y 2162 -detector_thick 450".split()
    wanted = tilesim.from_nanobragg([*CRYSTAL, *flags, *words])
    [one], [other] = found.detector.panels, wanted.detector.panels
    assert one.replace(sensor=None) == other.replace(sensor=None) and found.beam == wanted.beam
    assert not found.mask.active[512:550].any() and found.mask.active[:512, :1028].all()


def test_several_panels_lie_in_the_plane_of_the_flags():
    found = tilesim.from_nanobragg([*CRYSTAL, "--detector", "agipd-1m", "-xds", "-ORGX", "550.5", "-ORGY", "631.5"])
    given = tilesim.detector("agipd-1m", 0.12)
    assert len(found.detector.panels) == 128
    for one, other in zip(found.detector.panels, given.panels, strict=True):
        np.testing.assert_allclose(one.origin, other.origin, atol=1e-12)
        np.testing.assert_allclose((one.fast, one.slow), (other.fast, other.slow), atol=1e-12)
    corner = found.detector.panels[0].origin
    np.testing.assert_allclose(np.array(corner) / 2e-4, (-525, 625, 600))
    # The mosflm convention has the light along x, the fast axis along z.
    turned = tilesim.from_nanobragg([*CRYSTAL, "--detector", "agipd-1m", "-pivot", "sample"]).detector.panels[0]
    np.testing.assert_allclose(np.array(turned.origin)[[2, 1, 0]] / 2e-4, (-525, -625, 600), atol=1)


def test_the_sensor_absorbs_what_its_material_does_unless_the_flags_say_otherwise():
    def sensor(*words):
        return tilesim.from_nanobragg([*CRYSTAL, "--detector", "eiger2-4m", *words]).detector.panels[0].sensor

    assert sensor().attenuation is None and sensor().material == "Si"
    assert sensor().attenuation_at(1.2e-10) == pytest.approx(attenuation("Si", 1.2e-10))
    assert sensor().thickness == pytest.approx(450e-6)
    assert sensor("-detector_abs", "200").attenuation == pytest.approx(1 / 200e-6)
    assert sensor("-detector_thick", "320", "-thicksteps", "4").layer_thickness == pytest.approx(80e-6)
    assert sensor("-detector_thick", "0") is None
    with pytest.raises(InputError, match="the attenuation of Si is known from 3 to"):
        sensor("-lambda", "10")


@pytest.mark.parametrize(
    ("material", "energy", "nist"),
    [("Si", 10.0, 33.89), ("Si", 20.0, 4.464), ("Si", 8.0, 64.68)],
)
def test_silicon_is_that_of_nist(material, energy, nist):
    """Hubbell and Seltzer, https://physics.nist.gov/PhysRefData/XrayMassCoef/ElemTab/z14.html, cm^2/g."""
    assert attenuation(material, 1.23984198e-9 / energy) / 232.9 == pytest.approx(nist, rel=2e-3)


def test_edges_of_the_tables_are_jumps():
    for material, edge in (("CdTe", 26.71), ("GaAs", 10.367), ("Gd2O2S", 50.237)):
        below, above = (attenuation(material, 1.23984198e-9 / (edge * x)) for x in (0.999, 1.001))
        assert above > 2 * below


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--detector eiger2", "there is no detector 'eiger2'; expected one of eiger2-16m"),
        ("--detector cspad -pixel 0.1", "expected no -pixel, -detpixels or -curved_det"),
        ("--detector cspad -curved_det", "expected no -pixel, -detpixels or -curved_det"),
        ("--detector -xds", "--detector needs a value"),
        ("--detector cspad --geometry a.geom", "more than one detector"),
    ],
)
def test_what_does_not_go_together_is_refused(words, expected):
    with pytest.raises(InputError) as error:
        tilesim.from_nanobragg([*CRYSTAL, *words.split()])
    assert expected in str(error.value) and "\n" not in str(error.value)


def test_flags_that_place_a_detector_do_not_go_with_a_file(tmp_path):
    (tmp_path / "d.toml").write_text(
        "pixel = 1\nshape = [3, 4]\n[[panel]]\norigin = [0, 0, 50]\nfast = [1, 0, 0]\nslow = [0, 1, 0]\n"
    )
    for words, flag in (("-ORGX 3", "-ORGX"), ("-twotheta 3", "-twotheta"), ("-xds", "-mosflm, -xds")):
        with pytest.raises(InputError, match=f"--geometry has placed the detector; expected no {flag}"):
            tilesim.from_nanobragg([*CRYSTAL[:-2], "--geometry", tmp_path / "d.toml", *words.split()])
    with pytest.raises(InputError, match="--geometry is tilesim's own"):
        tilesim.from_nanobragg([*CRYSTAL[:-2], "--geometry", tmp_path / "d.toml"], strict_c=True)


def test_names_are_found_in_any_case():
    assert layout("EIGER2-16M") is library()["eiger2-16m"]
