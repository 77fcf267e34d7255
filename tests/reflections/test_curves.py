"""Scattering curves as text: what is read, and what is refused with file and line."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilesim.errors import InputError
from tilesim.reflections.curves import MATERIALS, material_curve, read_curve


@pytest.fixture
def curve(tmp_path):
    def read(text, **options):
        path = tmp_path / "w.stol"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_curve(path, **options)

    return read


def test_columns_are_angle_and_amplitude(curve):
    read = curve("# water\n0 2.5 x\n\n0.1,2.6;i\r\n  .2 : 3e0 # end")
    np.testing.assert_allclose(read.stol, [0.0, 1e9, 2e9], rtol=1e-15)
    np.testing.assert_array_equal(read.amplitude, [2.5, 2.6, 3.0])
    assert read.source.endswith("w.stol")
    assert curve("0 1\n4 1\n", unit=1e10 / 4).stol[-1] == 1e10


BAD = {
    "": "found 0",
    "# nothing\n\n": "found 0",
    "0 1\n": "found 1",
    "0 1\n0.1\n": "line 2: expected an angle and an amplitude",
    "0 1\n0.1 x\n": "line 2: expected an angle and an amplitude, found '0.1 x'",
    "0 1\n\n0.1 nan\n": "line 3",
    "0 1\n0.1 inf\n": "line 2",
    "0 1\nnan 1\n": "line 2",
    "0 1_0\n": "line 1",
    "0 1\n0.1 -2\n": "line 2: the amplitude is -2",
    "-0.1 1\n0.1 2\n": "line 1: the angle is -0.1",
    "0.1 1\n0.1 2\n": "line 2: the angle is 0.1; expected angles that rise",
    "0.2 1\n0.1 2\n": "line 2",
    "0 1\n1e306 2\n": "too large",
    "stol F\n0 1\n": "line 1",
    b"\x00\xff\x1b[2J\n": "line 1",
}


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_anything_else_is_refused_with_its_line(curve, text):
    with pytest.raises(InputError) as error:
        curve(text)
    message = str(error.value)
    assert "w.stol" in message and BAD[text] in message and message.isprintable() and len(message) < 300


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match="cannot read"):
            read_curve(path)


@given(st.binary(max_size=60))
def test_no_text_does_worse_than_being_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("curve") / "x.stol"
    path.write_bytes(data)
    try:
        assert (np.diff(read_curve(path).stol) > 0).all()
    except InputError as error:
        assert str(error).isprintable()


@pytest.mark.parametrize("name", MATERIALS)
def test_the_materials_reach_to_an_angstrom_from_the_beam(name):
    curve = material_curve(name)
    assert curve.source == name and curve.stol[0] == 0.0 and curve.stol[-1] >= 0.4999e10


def test_materials_have_the_forward_scattering_of_their_molecules():
    water, air = material_curve("water"), material_curve("air")
    # Of a liquid by its compressibility: F(0)^2 = Z^2 n k T kappa, with 4.6e-10/Pa at 20 degrees C.
    compressed = 10 * np.sqrt(1000 / 0.018 * 6.022e23 * 1.381e-23 * 293 * 4.6e-10)
    assert water.amplitude[0] == pytest.approx(compressed, rel=0.05)
    assert air.amplitude[0] == pytest.approx(14.0, rel=0.01)  # the electrons of N2


def test_ice_scatters_as_its_atoms_do_on_average():
    """Rings and diffuse scattering together are those of free atoms, where interference is over (1 to 2 angstrom)."""
    gemmi = pytest.importorskip("gemmi")
    ice = material_curve("ice")
    stol = np.linspace(0.25, 0.5, 200_001)
    squares = np.interp(stol * 1e10, ice.stol, ice.amplitude**2)
    x = np.linspace(0.25, 0.5, 501)
    free = [sum(n * gemmi.Element(e).it92.calculate_sf(y * y) ** 2 for e, n in (("O", 1), ("H", 2))) for y in x]
    expected = np.trapezoid(np.array(free) * x * x, x)
    assert np.trapezoid(squares * stol * stol, stol) == pytest.approx(expected, rel=0.1)
    rings = 0.5e10 / ice.stol[1:-1][(np.diff(ice.amplitude)[:-1] > 0) & (np.diff(ice.amplitude)[1:] <= 0)]
    for known in (3.90, 3.67, 3.44, 2.67, 2.25, 2.07, 1.95, 1.92):
        assert np.abs(rings - known).min() < 0.02


def test_the_curve_of_ice_is_what_its_script_makes():
    pytest.importorskip("gemmi")
    stol, amplitude = runpy.run_path(str(Path(__file__).parents[2] / "bench" / "ice.py"))["curve"]()
    ice = material_curve("ice")
    np.testing.assert_allclose(ice.stol, stol * 1e10, atol=1e-3)
    np.testing.assert_allclose(ice.amplitude, amplitude, rtol=1e-4, atol=1e-4)


def test_an_unknown_material_is_refused():
    with pytest.raises(InputError, match="'slime'; expected one of water, air, ice"):
        material_curve("slime")
