"""--hkl-by-energy: every photon energy has the structure factors of its own file, or column of an MTZ file."""

import numpy as np
import pytest

import tilesim as package
from tilesim.model.materials import ENERGY_TIMES_WAVELENGTH

gemmi = pytest.importorskip("gemmi")
WORDS = "-N 3 -misset 10 20 30 -distance 60 -pixel 2 -detpixels 16 -nointerpolate -oversample 1 -default_F 1".split()
WORDS += "-oversample_polar --precision double --quiet".split()
CELL = "-cell 20 24 28 90 90 90".split()


def indices():
    h, k, l = np.mgrid[-6:7, -6:7, -6:7].reshape(3, -1)
    return [one for one in zip(h.tolist(), k.tolist(), l.tolist(), strict=True) if any(one)]


@pytest.fixture
def lists(folder):
    """Two tables of text, and an MTZ file of gemmi's with both as columns."""
    rng = np.random.default_rng(3)
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = gemmi.SpaceGroup("P 1")
    mtz.set_cell_for_all(gemmi.UnitCell(20, 24, 28, 90, 90, 90))
    mtz.add_dataset("mad")
    unique = [one for one in indices() if one > (0, 0, 0)]
    values = rng.uniform(5, 90, (len(unique), 2)).round(2)
    for label in ("F_PK", "F_IP"):
        mtz.add_column(label, "F")
    mtz.set_data(np.hstack([np.array(unique, float), values]).astype(np.float32))
    mtz.write_to_file("mad.mtz")
    (folder / "tables").mkdir()
    for name, column in (("peak", 0), ("edge", 1)):
        rows = [
            f"{s * h} {s * k} {s * l} {row[column]:.2f}"
            for (h, k, l), row in zip(unique, values, strict=True)
            for s in (1, -1)
        ]
        (folder / "tables" / f"{name}.hkl").write_text("\n".join(rows) + "\n")
    (folder / "s.txt").write_text("# energy/eV weight\n12650 1\n12658 3\n")
    (folder / "tables" / "texts.csv").write_text("energy/keV, file\n12.658, peak.hkl\n12.65, edge.hkl\n")
    (folder / "mtz.csv").write_text("12650.02, mad.mtz, F_IP # eV\n\n# the peak\n12658, mad.mtz, mad/F_PK\n")
    return folder


def run(tilesim, *words):
    result = tilesim("run", *WORDS, *words, "-floatfile", "o.bin")
    assert result.status == 0, result.err
    return np.fromfile("o.bin", np.float32).astype(np.float64)


def test_every_channel_has_the_amplitudes_of_its_own_file(tilesim, lists):
    found = run(tilesim, *CELL, "--hkl-by-energy", "tables/texts.csv", "--spectrum", "s.txt", "--zarr", "o.zarr")
    alone = [
        run(tilesim, *CELL, "-hkl", f"tables/{name}.hkl", "-lambda", repr(ENERGY_TIMES_WAVELENGTH / kev * 1e10))
        for name, kev in (("edge", 12.65), ("peak", 12.658))
    ]
    assert found.max() > 0 and not np.allclose(*alone, rtol=0.1)
    np.testing.assert_allclose(found, 0.25 * alone[0] + 0.75 * alone[1], rtol=1e-6)
    factors = package.open("o.zarr").experiment(0).factors
    assert isinstance(factors, package.ChannelFactors) and len(factors.wavelengths) == 2
    assert factors.at(factors.wavelengths[0])[tuple(-x for x in factors.minimum)] == 1  # -default_F
    assert tilesim("rerun", "o.zarr").status == 0
    # Columns of one MTZ file by gemmi are the same numbers; the cell comes from it.
    columns = run(tilesim, "--hkl-by-energy", "mtz.csv", "--spectrum", "s.txt")
    np.testing.assert_allclose(columns, found, rtol=1e-5)
    single = run(tilesim, "--hkl-by-energy", "mtz.csv", "-lambda", repr(ENERGY_TIMES_WAVELENGTH / 12.658 * 1e10))
    np.testing.assert_allclose(single, alone[1], rtol=1e-5)


def test_a_line_that_no_source_meets_is_said(tilesim, lists):
    words = [word for word in WORDS if word != "--quiet"]
    result = tilesim("plan", *words, *CELL, "--hkl-by-energy", "tables/texts.csv", "-lambda", "0.98")
    assert result.status == 2 and "texts.csv: no structure factors for a source of 12651.45 eV" in result.err
    wave = repr(ENERGY_TIMES_WAVELENGTH / 12.658 * 1e10)
    result = tilesim("plan", *words, *CELL, "--hkl-by-energy", "tables/texts.csv", "-lambda", wave)
    assert result.status == 0 and "1 energy no source of the beam has, the first in line 3" in result.out + result.err


def test_a_batch_takes_it(tilesim, lists):
    text = " ".join([*WORDS[:-3], *CELL])
    (lists / "b.toml").write_text(
        f'flags = "{text}"\nzarr = "b.zarr"\nhkl_by_energy = "tables/texts.csv"\nspectrum = "s.txt"\n'
        "[grid]\nphi = [0, 5]\n"
    )
    assert tilesim("batch", "b.toml", "--quiet").status == 0
    assert package.open("b.zarr").image(1).compute().max() > 0
    assert isinstance(package.open("b.zarr").experiment(1).factors, package.ChannelFactors)


REFUSED = {
    "12650 peak.hkl": "l.csv line 1: expected energy, file or energy, file, column; found '12650 peak.hkl'",
    "12650, ": "l.csv line 1: expected energy, file",
    "x, tables/peak.hkl": "l.csv line 1: expected energy, file",
    "-3, tables/peak.hkl": "l.csv line 1: expected energy, file",
    "nan, tables/peak.hkl": "l.csv line 1: expected energy, file",
    "# nothing": "l.csv: expected lines of energy, file; found none",
    "12.65, tables/peak.hkl": "l.csv line 1: an energy of 12.65; expected eV, or a comment that says keV",
    "12650, tables/peak.hkl\n12650.1, tables/edge.hkl": "l.csv line 2: its energy is that of line 1",
    "12650, tables/gone.hkl\n12658, tables/peak.hkl": "tables/gone.hkl",
    "12650, mad.mtz, F_NO\n12658, mad.mtz, F_PK": "mad.mtz has no column 'F_NO'",
    "12650, tables/peak.hkl, F_PK\n12658, mad.mtz, F_PK": "tables/peak.hkl is neither MTZ nor CIF",
    "12650, mad.mtz\n12658, mad.mtz": "mad.mtz holds several that could be meant",
    "12650, mad.mtz, F_PK": "l.csv: no structure factors for a source of 12658 eV; expected a line for it, the nearest",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_wrong_is_one_line(tilesim, lists, made, text):
    (lists / "l.csv").write_text(text + "\n")
    before = made()
    result = tilesim("run", *WORDS, *CELL, "--hkl-by-energy", "l.csv", "--spectrum", "s.txt", "-floatfile", "o.bin")
    assert result.status == 2 and REFUSED[text] in result.err, result.err
    assert len(result.err.strip().splitlines()) == 1 and made() == before


@pytest.mark.parametrize(
    "words, message",
    {
        "-hkl P1.hkl": "-hkl and --hkl-by-energy exclude each other",
        "--column F_PK": "expected columns in the lines of --hkl-by-energy",
        "--model m.pdb": "--hkl-by-energy and --model exclude each other",
        "--strict-c": "expected no --strict-c with it",
        "-floatfile tables/peak.hkl": "peak.hkl",
        "-floatfile tables/texts.csv": "texts.csv",
    }.items(),
)
def test_contradictions_are_one_line_and_harm_no_input(tilesim, lists, words, message):
    inputs = {path: path.read_bytes() for path in (lists / "tables").iterdir()}
    given = (*WORDS, *CELL, "--hkl-by-energy", "tables/texts.csv", "--spectrum", "s.txt", *words.split())
    result = tilesim("run", *given)
    assert result.status == 2 and message in result.err, result.err
    assert len(result.err.strip().splitlines()) == 1
    assert {path: path.read_bytes() for path in (lists / "tables").iterdir()} == inputs


def test_cells_of_different_crystals_are_refused(tilesim, lists):
    mtz = gemmi.read_mtz_file("mad.mtz")
    mtz.set_cell_for_all(gemmi.UnitCell(22, 24, 28, 90, 90, 90))
    mtz.write_to_file("other.mtz")
    (lists / "l.csv").write_text("12650, mad.mtz, F_PK\n12658, other.mtz, F_PK\n")
    result = tilesim("run", *WORDS, *CELL, "--hkl-by-energy", "l.csv", "--spectrum", "s.txt", "-floatfile", "o.bin")
    assert result.status == 2 and "l.csv line 2: the cell of other.mtz is 22 24 28 90 90 90" in result.err
