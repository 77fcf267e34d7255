"""Options of the crystal beyond nanoBragg's flags: what they set, and what contradicts them."""

import pytest

from tilesim.errors import InputError
from tilesim.model import Shape
from tilesim.nanobragg.resolve import from_nanobragg, read_command

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
        ("--node-height one -gauss_xtal", "--node-height with the shape gauss"),
        ("--node-height two --crystal-shape gauss-hkl", "cells, one; found 'two'"),
    ],
)
def test_what_means_nothing_is_one_line(words, said):
    with pytest.raises(InputError) as error:
        crystal(words)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_the_reference_has_none_of_them():
    with pytest.raises(InputError, match="--ncells is no flag of nanoBragg's"):
        from_nanobragg(f"{TINY} --ncells 5", strict_c=True)
    strict = from_nanobragg(f"{TINY} -N 5", strict_c=True)
    for changes in ({"shape": "gauss-hkl"}, {"cells": (5, 5.5, 5)}):
        with pytest.raises(InputError, match="with strict_c"):
            strict.replace(crystal=strict.crystal.replace(**changes))
