"""`tilesim run --background` and the curves of -stol, -4stol and -Q, as a user would."""

import json
import math

import numpy as np
import pytest
from commands import BASE

import tilesim as package
from tilesim.reflections.curves import MATERIALS
from tilesim_cli.arguments import BACKGROUND

STOL = "".join(f"{0.02 * k:g} {4 + math.cos(k / 3):.6f} 77\n" for k in range(30))
OWN = ("--background-thickness", "0.1", "--background-density", "1", "--background-mw", "18")
DARK = "-default_F 1e-30 -cell 50 50 50 90 90 90 -N 1 -lambda 1.5 -distance 20 -pixel 1 -detpixels 12".split()


@pytest.fixture
def image(tilesim, folder):
    """`image(*words)` is what a run of them gives, (slow, fast)."""

    def render(*words):
        result = tilesim("run", *words, "-floatfile", "out.bin", "--overwrite", "--quiet")
        assert result.status == 0, result.err
        return np.fromfile("out.bin", np.float32).reshape(12, 12).astype(np.float64)

    return render


@pytest.mark.parametrize("name", MATERIALS)
def test_a_material_and_its_thickness_are_enough(image, tilesim, name):
    thin = image(*DARK, "--background", name, "--background-thickness", "0.1")
    thick = image(*DARK, "--background", name, "--background-thickness", "0.3")
    assert thin.min() > 0
    np.testing.assert_allclose(thick, 3 * thin, rtol=1e-6)
    report = tilesim("run", *DARK, "--background", name, "--background-thickness", "0.1").out
    assert f"  amorphous background: {name}, 0.0001 m thick, {MATERIALS[name].density / 1e3:g} g/cm^3" in report


def test_the_crystal_shines_through(image):
    clear, hidden = image(*BASE), image(*BASE, "--background", "water", "--background-thickness", "0.1")
    dark = "-default_F 1e-30 -cell 50 50 50 90 90 90 -N 1".split()
    alone = image(*dark, *BASE[4:], "--background", "water", "--background-thickness", "0.1")
    np.testing.assert_allclose(hidden, clear + alone, rtol=2e-7)


def test_the_three_kinds_of_table_say_the_same(image, folder):
    rows = [line.split() for line in STOL.splitlines()]
    (folder / "w.stol").write_text("# water\n" + STOL)
    (folder / "w.4stol").write_text("".join(f"{4 * float(x)!r}, {f}\n" for x, f, _ in rows))
    (folder / "w.q").write_text("\r\n".join(f"{4 * math.pi * float(x)!r} {f}" for x, f, _ in rows))
    plain = image(*DARK, "-stol", "w.stol", *OWN)
    for flag, name in (("-4stol", "w.4stol"), ("-Q", "w.q")):
        np.testing.assert_allclose(image(*DARK, flag, name, *OWN), plain, rtol=1e-6)
    assert plain.min() > 0


NONBRAGG = {
    **{(0, 0): 640540.81, (0, 11): 651090.44, (3, 7): 1460014.9, (5, 5): 1727673.2},
    **{(6, 6): 1771501.6, (8, 2): 1251247.8, (11, 0): 691335.88, (11, 11): 736925.69},
}
"""Pixels (slow, fast) of nonBragg with the same flags (-thick, -density, -MW; its beam centre 5.5, 6.5)."""


def test_photons_are_those_of_nonbragg(image, folder):
    (folder / "w.stol").write_text(STOL)
    flags = "-Xbeam 6 -Ybeam 5 -flux 1e12 -exposure 1 -beamsize 0.05 -polar 0.9 -dispersion 10 -dispsteps 3"
    turned = "-detector_rotx 8 -detector_roty -12"
    own = "--background-thickness 0.2 --background-density 0.9 --background-mw 30"
    got = image(*DARK, *flags.split(), *turned.split(), "-stol", "w.stol", *own.split())
    for place, photons in NONBRAGG.items():
        assert got[place] == pytest.approx(photons, rel=1e-7)


def test_without_a_thickness_the_tables_stay_unused(image, tilesim, folder):
    (folder / "w.stol").write_text(STOL)
    np.testing.assert_array_equal(image(*BASE, "-stol", "w.stol"), image(*BASE))
    assert "no effect on the image without --background-thickness" in tilesim("run", *BASE, "-stol", "w.stol").err
    used = tilesim("run", *BASE, "-stol", "w.stol", *OWN)
    assert used.status == 0 and "no effect" not in used.err and used.note == ["K14"]


def test_a_curve_that_ends_on_the_detector_is_told(tilesim, folder):
    (folder / "w.stol").write_text("0 3\n0.1 2\n")
    assert (
        "the scattering curve of w.stol ends at 5 A; its last value is held"
        in tilesim("run", *DARK, "-stol", "w.stol", *OWN).err
    )


def test_region_mask_layers_store_and_noise_see_it_as_other_photons(tilesim, folder):
    words = (*BASE, *"-roi 2 8 3 9 -detector_thick 100 -detector_abs 200 -seed 1".split())
    words += ("--background", "air", "--background-thickness", "500")
    result = tilesim("run", *words, "-floatfile", "f.bin", "-noisefile", "n.img", "--zarr", "z.zarr", "--json", "-")
    assert result.status == 0, result.err
    account = json.loads(result.out)
    described = account["experiment"]["background"]
    assert described["thickness"] == 0.5 and described["curve"]["source"] == "air"
    image = np.fromfile("f.bin", np.float32).reshape(12, 12)
    inside = np.zeros((12, 12), bool)
    inside[3:10, 2:9] = True
    assert (image[inside] > 0).all() and not image[~inside].any()
    assert account["statistics"]["total"] == pytest.approx(float(image.astype(float).sum()), rel=1e-6)


def test_a_store_is_not_resumed_with_another_background(tilesim, folder):
    water = (*BASE, "--zarr", "z.zarr", "--background", "water", "--background-thickness")
    assert tilesim("run", *water, "0.1").status == 0
    assert tilesim("run", *water, "0.1", "--resume").status == 0
    assert tilesim("run", *water, "0.2", "--resume").status == 2


def test_the_printed_pixel_holds_it(tilesim):
    words = (*BASE, "--background", "water", "--background-thickness", "0.1", "-floatfile", "f.bin")
    out = tilesim("run", *words, "-printout_pixel", "3", "4", "-noprogress").out
    value = next(float(line.split()[1]) for line in out.splitlines() if line.startswith("pixel "))
    assert value == pytest.approx(np.fromfile("f.bin", np.float32).reshape(12, 12)[4, 3], rel=1e-6)


def test_thickness_and_material_may_vary_in_a_batch(tilesim, folder, image):
    (folder / "b.toml").write_text(
        f'flags = "{" ".join(BASE)}"\nzarr = "z.zarr"\nfloatfile = "b{{frame}}.bin"\n'
        "[grid]\nbackground = ['water', 'ice']\nbackground_thickness = [0, 0.1]\n"
    )
    done = tilesim("batch", "b.toml", "--quiet")
    assert done.status == 0, done.err
    images = [np.fromfile(f"b{k}.bin", np.float32).reshape(12, 12) for k in range(4)]
    np.testing.assert_array_equal(images[0], image(*BASE))
    np.testing.assert_array_equal(images[2], images[0])
    for k, name in ((1, "water"), (3, "ice")):
        alone = image(*BASE, "--background", name, "--background-thickness", "0.1")
        np.testing.assert_array_equal(images[k], alone)


def test_the_command_line_that_a_store_keeps_makes_the_same_image(tilesim, folder):
    words = (*BASE, "--background", "water", "--background-thickness=0.1", "--zarr", "z.zarr", "--json", "-")
    kept = json.loads(tilesim("run", *words).out)
    again = package.from_nanobragg(kept["command_line"])
    assert again.digest == kept["digest"] and again.background is not None


def test_a_trace_says_it_and_ends_in_the_pixel(tilesim, image):
    words = (*BASE, "--background", "water", "--background-thickness", "0.1")
    traced = {line.split()[1]: line.split()[2:] for line in tilesim("trace", *words, "--pixel", 3, 4).out.splitlines()}
    pixel = image(*words, "--precision", "double", "--backend", "eager")[3, 4]
    assert float(traced["floatimage_accumulated"][0]) == pixel
    assert 0 < float(traced["photons_from_background"][0]) <= float(traced["I_pixel_final"][0])
    assert tilesim("run", *words, "-trace_pixel", 3, 4, "-floatfile", "t.bin").status == 0


def test_a_batch_lies_behind_it_too(tilesim, folder, image):
    (folder / "b.toml").write_text(
        f'flags = "{" ".join(BASE)}"\nfloatfile = "b{{frame}}.bin"\n[grid]\nphi = [0.5, 1.5]\n'
    )
    done = tilesim("batch", "b.toml", "--background", "water", "--background-thickness", "0.1", "--quiet")
    assert done.status == 0, done.err
    alone = image(*BASE, "-phi", "1.5", "--background", "water", "--background-thickness", "0.1")
    np.testing.assert_array_equal(np.fromfile("b1.bin", np.float32).reshape(12, 12), alone)


WRONG = {
    "--background water": ["--background-thickness"],
    "--background-density 1": ["--background-thickness"],
    "--background-thickness 1": ["--background water", "-stol"],
    "--background slime --background-thickness 1": ["'slime'", "water, air, ice"],
    "--background water --background-thickness -1": ["--background-thickness expects", "[mm]", "'-1'"],
    "--background water --background-thickness nan": ["--background-thickness", "'nan'"],
    "--background water --background-thickness 1 --background-mw 0": ["--background-mw", "above 0"],
    "--background water --background-thickness 1 --background-density -1": ["--background-density", "[g/cm^3]"],
    "--background water --background-thickness 1 -stol w.stol": ["-stol", "one scattering curve"],
    "--background water --background-thickness 1 --strict-c": ["--strict-c"],
    "--background water --background-thickness 1 -beamsize 0": ["-beamsize"],
    "--background-thickness 1 -stol w.stol": ["w.stol", "--background-density", "--background-mw"],
    "--background-thickness x": ["'x'"],
}


@pytest.mark.parametrize("words", WRONG)
def test_what_makes_no_sense_is_one_line(tilesim, folder, made, words):
    (folder / "w.stol").write_text(STOL)
    result = tilesim("run", *BASE, *words.split())
    assert result.status == 2
    assert len(result.err.strip().splitlines()) == 1 and all(part in result.err for part in WRONG[words]), result.err
    assert made() == ["w.stol"]


def test_a_bad_table_is_one_line_with_its_place(tilesim, folder):
    (folder / "w.stol").write_text("0 3\n0.1 2\n0.05 2\n")
    result = tilesim("run", *BASE, "-stol", "w.stol", *OWN)
    assert result.status == 2 and "w.stol line 3" in result.err and len(result.err.splitlines()) == 1


def test_the_help_names_every_material():
    from tilesim_cli.run import command

    option = next(p for p in command.params if p.name == "background")
    assert option.metavar.split("|") == list(MATERIALS) and len(BACKGROUND) == 4


def test_python_takes_a_slab(image, folder):
    from_words = image(*BASE, "--background", "water", "--background-thickness", "0.1", "--background-density", "0.9")
    slab = package.Slab("water", thickness=1e-4, density=900.0)
    experiment = package.from_nanobragg(BASE, background=slab)
    np.testing.assert_array_equal(package.simulate_now(experiment), from_words.astype(np.float32))
    with pytest.raises(package.InputError, match="expected a Slab"):
        package.from_nanobragg(BASE, background="water")
    words = [*BASE, "--background", "water", "--background-thickness", 0.1, "--background-density", 0.9]
    assert package.from_nanobragg(words) == experiment
    with pytest.raises(package.InputError, match="one of them"):
        package.from_nanobragg(words, background=slab)
