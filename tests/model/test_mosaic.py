"""Mosaic spread and sizes of domains: the recipe of simtbx, and distributions that come out as asked for."""

import math

import numpy as np
import pytest
from experiments import assembled, plain

from tilesim.engine.lazy import simulate_now
from tilesim.errors import InputError
from tilesim.model import Crystal, MosaicSpread, SizeSpread
from tilesim.model.mosaic import _shuffled


def angles(rotations):
    return np.arccos(np.clip((np.trace(rotations, axis1=1, axis2=2) - 1) / 2, -1, 1))


def axes(rotations):
    """Unit vectors times the sine of the angle."""
    return np.stack([rotations[:, 2, 1] - rotations[:, 1, 2], rotations[:, 0, 2] - rotations[:, 2, 0],
                     rotations[:, 1, 0] - rotations[:, 0, 1]], axis=1) / 2  # fmt: skip


def image(experiment):
    return simulate_now(experiment, "double", "cpu", "eager").astype(np.float64)


def test_the_order_is_that_of_pythons_shuffle():
    assert _shuffled(10, 8675309) == [7, 8, 0, 2, 1, 5, 9, 4, 3, 6]  # mosaic_angle_indices of a file of diffBragg
    assert sorted(_shuffled(1000, 3)) == list(range(1000))


@pytest.mark.parametrize("kind", ["spiral", "random"])
def test_angles_are_normal_and_axes_are_everywhere(kind):
    sigma = 0.01
    found = MosaicSpread(sigma, 4000, kind).rotations()
    np.testing.assert_allclose(found @ found.transpose(0, 2, 1), np.broadcast_to(np.eye(3), found.shape), atol=1e-12)
    np.testing.assert_allclose(found[::2] @ found[1::2], np.broadcast_to(np.eye(3), found[::2].shape), atol=1e-12)
    size = angles(found)
    assert math.sqrt((size**2).mean()) == pytest.approx(sigma, rel=0.05)
    assert np.mean(size < sigma) == pytest.approx(0.6827, abs=0.03)
    # Components of the rotation along x, y, z share its square equally.
    np.testing.assert_allclose((axes(found) ** 2).mean(axis=0), sigma**2 / 3, rtol=0.15)


def test_an_anisotropic_spread_is_that_of_its_axes():
    """About an axis of the frame the standard deviation is the one of that axis, about others what T says."""
    spread = MosaicSpread((0.002, 0.004, 0.01), 20000)
    found = spread.rotations()
    about = axes(found)
    ways = about / np.linalg.norm(about, axis=1)[:, None].clip(1e-12)
    for axis, sigma in zip(np.eye(3), spread.sigma, strict=True):
        near = np.abs(ways @ axis) > 0.99
        assert near.sum() > 50
        assert math.sqrt((angles(found[near]) ** 2).mean()) == pytest.approx(sigma, rel=0.25)


def test_the_frame_of_the_crystal_turns_the_axes():
    cell = {"a": (0.0, 5e-9, 0.0), "b": (0.0, 0.0, 6e-9), "c": (7e-9, 0.0, 0.0)}
    crystal = Crystal(**cell, mosaic_spread=MosaicSpread((0.002, 0.004, 0.01), 200), mosaic_frame="crystal")
    # a lies along y, b along z and c along x.
    wanted = MosaicSpread((0.01, 0.002, 0.004), 200).rotations()
    np.testing.assert_allclose(crystal.mosaic_matrices, wanted, atol=1e-12)


def test_rotations_in_the_frame_of_the_crystal_turn_with_the_spindle():
    """Turning the crystal by the spindle is turning it as it stands, with its domains."""
    experiment = assembled(scan=plain().scan.replace(axis=(0.6, 0.8, 0.0), start=0.4))
    turned = []
    for one in experiment.crystals:
        matrices = one.mosaic_matrices
        if one.mosaic_frame == "crystal":
            basis = np.array([one.replace(mosaic_spread=None).replace(a=v).rotated((0.6, 0.8, 0.0), 0.4).a
                              for v in np.eye(3) * 1e-9]).T * 1e9  # fmt: skip
            matrices = basis @ matrices @ basis.T
        turned.append(one.rotated((0.6, 0.8, 0.0), 0.4).with_domains(matrices).replace(mosaic_frame="lab"))
    still = experiment.replace(crystal=turned[0], other_crystals=turned[1:], scan=experiment.scan.replace(start=0.0))
    found, wanted = image(experiment), image(still)
    assert wanted.max() > 0
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6 * wanted.max())


def test_lattices_add_up_by_their_shares():
    experiment = assembled()
    parts = [one.replace(share=1.0) for one in experiment.crystals]
    alone = [image(experiment.replace(crystal=one, other_crystals=())) for one in parts]
    wanted = 0.7 * alone[0] + 0.3 * alone[1]
    assert min(one.max() for one in alone) > 0
    np.testing.assert_allclose(image(experiment), wanted, rtol=1e-5, atol=1e-9 * wanted.max())


def test_the_intensity_is_the_mean_over_domains_of_all_sizes():
    crystal = plain().crystal.replace(cells=(6, 5, 4))
    sizes = SizeSpread((0.5, 1.0, 1.5), (1, 2, 1))
    found = image(plain(crystal=crystal.replace(sizes=sizes)))
    each = [image(plain(crystal=crystal.grown(factor))) for factor in sizes.factors]
    wanted = 0.25 * each[0] + 0.5 * each[1] + 0.25 * each[2]
    assert wanted.max() > 0
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_lognormal_sizes_have_mean_one_and_about_the_spread():
    sizes = SizeSpread.lognormal(0.3, 400)
    factors = np.array(sizes.factors)
    assert factors.mean() == pytest.approx(1.0, rel=1e-12) and factors.std() == pytest.approx(0.3, rel=0.03)
    assert SizeSpread.lognormal(0.0, 1).factors == (1.0,)


def test_a_cell_so_skew_that_the_spread_is_imaginary_is_refused():
    skew = Crystal.from_cell(5e-9, 5e-9, 5e-9, 2.9, 0.3, 2.9)
    with pytest.raises(InputError, match="expected the frame lab"):
        skew.replace(mosaic_spread=MosaicSpread((0.001, 0.1, 0.05), 200), mosaic_frame="crystal")


def test_lattices_of_two_shapes_are_refused():
    with pytest.raises(InputError, match="square and gauss in one experiment"):
        plain(other_crystals=[plain().crystal.replace(shape="gauss")])
    strict = plain().sampling.replace(strict_c=True)
    with pytest.raises(InputError, match="other_crystals with strict_c"):
        plain(other_crystals=[plain().crystal], sampling=strict)
    with pytest.raises(InputError, match="with strict_c"):
        plain(crystal=plain().crystal.replace(share=0.5), sampling=strict)
