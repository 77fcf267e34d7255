"""Options of the crystal beyond nanoBragg's flags: what they set, and what contradicts them."""

import math

import numpy as np
import pytest

from tilesim.errors import InputError
from tilesim.files.inventory import NamedFile
from tilesim.geometry.blocks import crystal_of_size, full_photons
from tilesim.model import Crystal, Diffuse, MosaicSpread, Shape, SizeSpread
from tilesim.nanobragg.inputs import files_read
from tilesim.nanobragg.resolve import read_command
from tilesim.nanobragg.words import from_nanobragg

CUBE = ((1e-9, 0.0, 0.0), (0.0, 1e-9, 0.0), (0.0, 0.0, 1e-9))
TINY = "-cell 31 42 53 80 85 95 -default_F 1 -detpixels 4 -oversample 1"


def crystal(words):
    return from_nanobragg(f"{TINY} {words}").crystal


def test_shape_and_real_oriented_cells():
    found = crystal("--crystal-shape gauss-hkl --ncells 9.5,7.2,6,1.1,-0.7,0.5 --node-height one")
    assert found.shape is Shape.GAUSS_HKL and found.unit_height
    assert found.cells == (9.5, 7.2, 6) and found.cells_off_diagonal == (1.1, -0.7, 0.5)
    assert found.cells_matrix == ((9.5, 1.1, 0.5), (1.1, 7.2, -0.7), (0.5, -0.7, 6.0))


def test_one_number_counts_for_all_axes_and_may_be_below_one():
    assert crystal("--ncells 0.5").cells == (0.5, 0.5, 0.5)
    assert crystal("--ncells 7 --crystal-shape round") == crystal("-N 7 -round_xtal")


def test_gaussian_spread_in_a_frame():
    found = crystal("--mosaic-sigma 0.15,0.5,1 --mosaic-frame crystal -mosaic_domains 6 --spread-seed 3")
    assert found.mosaic_spread == MosaicSpread(tuple(map(math.radians, (0.15, 0.5, 1.0))), 6, seed=3)
    assert found.mosaic_frame == "crystal" and found.domains == 6
    plain = crystal("--mosaic-sigma 0.5 --mosaic-axes random")
    assert plain.mosaic_spread == MosaicSpread(math.radians(0.5), axes="random") and plain.mosaic_frame == "lab"


def test_matrices_of_a_file(tmp_path):
    turn = Crystal(*CUBE).rotated((1, 2, 3), 0.01).orientation
    (tmp_path / "U.txt").write_text("# identity\n1 0 0 0 1 0 0 0 1\n" + " ".join(map(repr, turn.ravel().tolist())))
    command = read_command([*TINY.split(), "--mosaic-matrices", str(tmp_path / "U.txt")])
    found = command.experiment.lattice
    np.testing.assert_array_equal(found.mosaic_matrices, [np.eye(3), turn])
    assert f"  2 mosaic domains of {tmp_path}/U.txt, in the frame of the lab" in command.report
    assert NamedFile("--mosaic-matrices", str(tmp_path / "U.txt")) in files_read(command)


def test_sizes_of_domains(tmp_path):
    assert crystal("--domain-sizes lognormal:0.3").sizes == SizeSpread.lognormal(0.3, 7)
    assert crystal("--domain-sizes lognormal:0.3:5").sizes == SizeSpread.lognormal(0.3, 5)
    (tmp_path / "sizes.txt").write_text("0.5 1\n1.0 2\n1.5 1\n")
    assert crystal(f"--domain-sizes {tmp_path}/sizes.txt").sizes == SizeSpread((0.5, 1.0, 1.5), (1, 2, 1))


def test_a_size_makes_the_number_of_blocks():
    block = crystal("-N 20")
    expected = crystal_of_size(block, (5e-6, 4e-6, 3e-6))
    found = crystal("-N 20 --crystal-size 5,4,3")
    assert found.blocks == pytest.approx(expected.blocks) and found.replace(blocks=1.0) == block
    assert crystal("-N 20 --crystal-size 5,9,2 -beamsize 0.002") == crystal("-N 20 --crystal-size 5,2,2")
    assert crystal("-N 20 --crystal-size 200").blocks == pytest.approx(crystal("-N 20 --crystal-size 100").blocks * 2)
    unlimited = crystal("-N 20 --crystal-size 200 -beamsize -1")
    assert unlimited.blocks == pytest.approx(crystal_of_size(block, 200e-6).blocks)
    assert crystal("-xtalsize 0.0001 --crystal-size 5").cells == (33, 24, 19)


def test_the_report_says_blocks_and_photons():
    words = f"{TINY} -N 20 --crystal-size 5 -fluence 1e20 -lambda 1 -osc 0.1 -phisteps 2"
    command = read_command(words.split())
    blocks, photons = (next(x for x in command.report if name in x) for name in ("whole crystal", "reflection of F"))
    assert blocks.startswith("  whole crystal: 5 x 5 x 5 microns, 125 cubic microns in the beam, 232066 blocks")
    assert photons.split(": ")[1].startswith(f"{full_photons(command.experiment, 1.0):.4g} photons")
    assert not any("whole crystal" in line for line in read_command(f"{TINY} -N 20".split()).report)


def test_lattices_of_a_file(tmp_path):
    (tmp_path / "two.txt").write_text("0.6 0 0 0\n0.3 10 20 30\n0.1 0 -1 0 1 0 0 0 0 1\n")
    found = from_nanobragg(f"{TINY} -N 3 --lattices {tmp_path}/two.txt")
    one, two, three = found.crystals
    assert [one.share, two.share, three.share] == [0.6, 0.3, 0.1]
    assert one == crystal("-N 3").replace(share=0.6)
    np.testing.assert_allclose(two.a, crystal("-N 3 -misset 10 20 30").a, rtol=1e-12)
    np.testing.assert_allclose(three.a, (-one.a[1], one.a[0], one.a[2]), rtol=1e-12)
    assert found.evaluations == 3 * found.steps


def test_diffuse_scattering():
    words = (
        "--diffuse-gamma 50,40,60 --diffuse-sigma 0.4 --diffuse-symmetry 222 --diffuse-stencil 2 --diffuse-frame lab"
    )
    found = crystal(words).diffuse
    assert (found.symmetry, found.stencil, found.frame) == ("222", 2, "lab")
    assert found.gamma == pytest.approx((50e-10, 40e-10, 60e-10)) and found.sigma == pytest.approx((0.4e-10,) * 3)
    assert crystal("--diffuse-gamma 50 --diffuse-sigma 0.4").diffuse == Diffuse(50 * 1e-10, 0.4 * 1e-10)


FILES = {
    "few.txt": "1 0 0 0 1 0 0 0\n",
    "no_turn.txt": "1 0 0 0 1 0 0 0 2\n",
    "odd.txt": "0.5 1 2\n",
    "negative.txt": "-0.5 1 2 3\n",
    "nothing.txt": "0 1 2 3\n",
    "sizes.txt": "0.5 1\n-1 1\n",
    "one.txt": "0.5\n",
}


@pytest.mark.parametrize(
    "words, said",
    [
        ("--mosaic-matrices few.txt", "few.txt: matrix 1 has fewer than nine numbers"),
        ("--mosaic-matrices no_turn.txt", "matrix 0 of no_turn.txt (counted from 0) is no rotation"),
        ("--mosaic-matrices absent.txt", "absent.txt"),
        ("--mosaic-matrices few.txt -mosaic_domains 3", "--mosaic-matrices and -mosaic_domains"),
        ("--mosaic-matrices few.txt --mosaic-sigma 1", "--mosaic-sigma and --mosaic-matrices; expected one of them"),
        ("--mosaic-sigma 1 -mosaic 1", "--mosaic-sigma and -mosaic, nanoBragg's spread"),
        ("--mosaic-sigma 1 -mosaic_domains 5", "expected an even number"),
        ("--mosaic-sigma 1 -mosaic_seed 5", "expected --spread-seed"),
        ("--mosaic-sigma 1,2,3", "without --mosaic-frame; expected lab"),
        ("--mosaic-sigma 1,2", "1 or 3 angles"),
        ("--mosaic-sigma -1", "1 or 3 angles"),
        ("--mosaic-frame lab", "--mosaic-frame goes with --mosaic-sigma or --mosaic-matrices"),
        ("--mosaic-axes random", "--mosaic-axes goes with --mosaic-sigma"),
        ("--domain-sizes lognormal:x", "--domain-sizes lognormal:x; expected lognormal:SD"),
        ("--domain-sizes lognormal:0.3:0", "expected lognormal:SD"),
        ("--domain-sizes sizes.txt", "sizes.txt: sizes of domains"),
        ("--domain-sizes one.txt", "one.txt: expected two numbers a row"),
        ("--diffuse-gamma 50", "--diffuse-gamma and --diffuse-sigma go together"),
        ("--diffuse-frame lab", "--diffuse-frame goes with --diffuse-gamma and --diffuse-sigma"),
        ("--diffuse-gamma 1,2,3 --diffuse-sigma 1", "without --diffuse-frame; expected lab or crystal"),
        ("--diffuse-gamma 0 --diffuse-sigma 1", "1 or 3 lengths above 0"),
        ("--diffuse-gamma 5 --diffuse-sigma 1 --diffuse-symmetry 5", "expects one of 1, 2, 222"),
        ("--diffuse-gamma 5 --diffuse-sigma 1 --diffuse-stencil 9", "expected at most 5"),
        ("--lattices odd.txt", "odd.txt, lattice 1: 3 numbers; expected a share and three angles"),
        ("--lattices negative.txt", "negative.txt, lattice 1: the share is -0.5"),
        ("--lattices nothing.txt", "nothing.txt: all shares are 0"),
        ("--lattices no_turn.txt", "no_turn.txt, lattice 1"),
    ],
)
def test_a_file_or_combination_that_means_nothing_is_one_line(words, said, tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        crystal(words)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_the_report_says_what_is_simulated():
    command = read_command(f"{TINY} --ncells 9.5,7,6 --crystal-shape tophat-hkl".split())
    assert "  tophat-hkl xtal: 9.5x7x6 cells" in command.report
    assert not any("fewer than one" in line for line in command.warnings)


def test_cells_decide_oversampling_and_interpolation():
    assert from_nanobragg("-cell 100 -default_F 1 -detpixels 4 --ncells 900.5").sampling.oversample > 1
    assert "auto-selected tricubic" in " ".join(read_command(f"{TINY} --ncells 1.5".split()).report)


@pytest.mark.parametrize(
    "words, said",
    [
        ("--crystal-shape cube", "--crystal-shape expects one of square, round, gauss, tophat, gauss-hkl, tophat-hkl"),
        ("--crystal-shape gauss-hkl -gauss_xtal", "--crystal-shape and -gauss_xtal; expected one of them"),
        ("--ncells 5 -N 3", "--ncells and -N"),
        ("--ncells 5 -xtalsize 0.001", "--ncells with a crystal size"),
        ("--ncells 5,0,5", "expected numbers of cells above 0"),
        ("--ncells 5,5", "1, 3 or 6 numbers with commas"),
        ("--ncells 5,5,nan", "1, 3 or 6 numbers with commas"),
        ("--ncells 5,5,5,1,1,1", "--ncells of six numbers with the shape square"),
        ("--ncells 5,5,5,5,0,0 --crystal-shape gauss-hkl", "determinant above 0"),
        ("--crystal-size 20", "--crystal-size with a mosaic block of one unit cell; expected its cells, from -N"),
        ("--crystal-size 0.002 -N 20", "--crystal-size: a crystal with 8e-09 cubic microns in the beam is smaller"),
        ("--crystal-size 5,5 -N 20", "1 or 3 edges above 0 to 100000, with commas [micrometre]"),
        ("--crystal-size 1e9 -N 20", "1 or 3 edges above 0 to 100000, with commas [micrometre]"),
        ("--diffuse-gamma 1 --diffuse-sigma 101", "1 or 3 lengths above 0 to 100, with commas [angstrom]"),
        ("--crystal-size 5 -N 20 -beamsize 0", "size of the beam is 0"),
        ("--node-height one -gauss_xtal", "--node-height with the shape gauss"),
        ("--node-height two --crystal-shape gauss-hkl", "cells, one; found 'two'"),
    ],
)
def test_what_means_nothing_is_one_line(words, said):
    with pytest.raises(InputError) as error:
        crystal(words)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_crystal_of_a_size_in_a_beam_of_nobodys_fluence_is_warned_of():
    def warned(flags):
        return [line for line in read_command(f"{TINY} -N 20 {flags}".split()).warnings if "fluence" in line]

    assert "nanoBragg's own fluence, 1.26e+29/m^2" in warned("--crystal-size 5")[0]
    for flags in ("", "--crystal-size 5 -fluence 1e20", "--crystal-size 5 -flux 1e12 -exposure 1 -beamsize 0.1"):
        assert warned(flags) == []


def test_the_reference_has_none_of_them():
    for option in ("--ncells", "--crystal-size"):
        with pytest.raises(InputError, match=f"{option} is tilesim's own"):
            from_nanobragg(f"{TINY} {option} 5", strict_c=True)
    strict = from_nanobragg(f"{TINY} -N 5", strict_c=True)
    for changes in ({"shape": "gauss-hkl"}, {"cells": (5, 5.5, 5)}, {"blocks": 2.0}):
        with pytest.raises(InputError, match="with strict_c"):
            strict.replace(crystal=strict.crystal.replace(**changes))
