"""Reflections that fall between the points of an image are warned of."""

from stills import noisy, still

import tilesim
from tilesim import MosaicSpread
from tilesim.refinement.sampling import undersampled


def of_cells(cells, **changes):
    return still().replace(crystal=still().crystal.replace(cells=(cells,) * 3, **changes))


def test_narrow_reflections_are_warned_of_unless_they_are_sampled_or_spread():
    assert undersampled(of_cells(4)) == "" != undersampled(of_cells(40))
    assert "an oversampling of 15 or so" in undersampled(of_cells(40))
    finer = of_cells(40).sampling.replace(oversample=15)
    assert undersampled(of_cells(40).replace(sampling=finer)) == ""
    assert undersampled(of_cells(40, mosaic_spread=MosaicSpread(0.01, domains=10))) == ""


def test_a_refinement_says_so():
    found = tilesim.refine(of_cells(40), noisy(still()), "scale", readout=2.0, widths=[1])
    assert [line for line in found.warnings if "oversampling of 15" in line]
    assert not tilesim.refine(of_cells(4), noisy(of_cells(4)), "scale", readout=2.0, widths=[1]).warnings
