"""Shots that are drawn: their statistics, the lattice that remains, and that a frame is the same in any series."""

import math

import numpy as np
import pytest
from experiments import plain

import tilesim
from tilesim import Crystal, Distribution, InputError, draw
from tilesim.geometry.resolution import beam_centre
from tilesim.series.draws import tied_angles, tied_lengths

TETRAGONAL = plain().replace(
    crystal=Crystal.from_cell(
        6e-9, 6e-9, 9e-9, cells=(5, 5, 4), mosaic_rotations=(np.eye(3), [[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    )
)
EVERYTHING = {
    "orientation": "uniform",
    "cell": Distribution("normal", sd=0.01, relative=True),
    "size": Distribution("lognormal", median=3e-8, sigma=0.2),
    "mosaic_spread": Distribution("uniform", low=0.0, high=0.3),
    "energy": Distribution("normal", sd=20.0),
    "fluence": Distribution("gamma", sd=0.4, relative=True),
    "distance": Distribution("normal", sd=1e-4),
    "beam_shift": Distribution("normal", sd=2e-4),
    "blank": 0.25,
}
MANY = 20_000


def column(name, **draws):
    return draw(TETRAGONAL, MANY, seed=4, **draws).columns[name]


def test_a_frame_is_the_same_in_a_series_of_any_length():
    long, short = draw(TETRAGONAL, 50, seed=4, **EVERYTHING), draw(TETRAGONAL, 9, seed=4, **EVERYTHING)
    alone = draw(TETRAGONAL, 1, seed=4, numbers=[8], **EVERYTHING)
    assert long[8] == short[8] == alone[0]
    assert len({experiment.digest for experiment in long}) == 50
    assert draw(TETRAGONAL, 9, seed=5, **EVERYTHING)[8] != short[8]


def test_a_further_draw_changes_no_other():
    both = draw(TETRAGONAL, 9, seed=4, orientation="uniform", energy=Distribution("normal", sd=20.0))
    assert np.array_equal(
        both.columns["orientation"], draw(TETRAGONAL, 9, seed=4, orientation="uniform").columns["orientation"]
    )


def test_the_experiments_have_what_was_drawn():
    series = draw(TETRAGONAL, 40, seed=4, **EVERYTHING)
    hits = [k for k in range(40) if not series.columns["blank"][k]]
    assert 20 < len(hits) < 40
    for k in hits[:5]:
        crystal, columns = series[k].crystal, {name: values[k] for name, values in series.columns.items()}
        np.testing.assert_allclose(crystal.orientation.ravel(), columns["orientation"], atol=1e-12)
        np.testing.assert_allclose(crystal.cell, columns["unit_cell"], rtol=1e-12)
        assert crystal.cells == tuple(columns["cells"])
        assert crystal.spread == pytest.approx(columns["mosaic_scale"] * TETRAGONAL.crystal.spread)
        assert series[k].beam.wavelength == columns["wavelength"] and series[k].beam.fluence == columns["fluence"]
        assert series[k].detector.panels[0].distance == pytest.approx(columns["distance"])
        pixel = TETRAGONAL.detector.panels[0].pixel_size
        shift = np.subtract(centre(series[k]), centre(TETRAGONAL))
        np.testing.assert_allclose(shift * pixel, columns["beam_shift"], atol=1e-9)
    blank = series[next(k for k in range(40) if k not in hits)]
    assert blank.crystal is None and not tilesim.simulate_now(blank, device="cpu", backend="eager").any()


def centre(experiment):
    return beam_centre(experiment.detector.panels[0], experiment.beam)


def test_lattice_constraints_are_kept():
    cell = column("unit_cell", cell=Distribution("normal", sd=1e-10), cell_angles=Distribution("normal", sd=0.01))
    assert np.array_equal(cell[:, 0], cell[:, 1]) and (cell[:, 3:] == math.pi / 2).all()
    assert (cell[:, 0].std(), cell[:, 2].std()) == (pytest.approx(1e-10, rel=0.03), pytest.approx(1e-10, rel=0.03))
    assert abs(np.corrcoef(cell[:, 0], cell[:, 2])[0, 1]) < 0.03
    rhombohedral, triclinic = (5.0, 5.0, 5.0, 1.4, 1.4, 1.4), (5.0, 6.0, 7.0, 1.4, 1.5, 1.6)
    assert (tied_lengths(rhombohedral), tied_angles(rhombohedral)) == ((0, 0, 0), (0, 0, 0))
    assert (tied_lengths(triclinic), tied_angles(triclinic)) == ((0, 1, 2), (0, 1, 2))
    assert tied_angles((5.0, 5.0, 7.0, math.pi / 2, math.pi / 2, 2 * math.pi / 3)) == (-1, -1, -1)
    assert tied_angles((5.0, 6.0, 7.0, math.pi / 2, 1.7, math.pi / 2)) == (-1, 1, -1)


def test_draws_have_the_moments_of_their_distributions():
    base = TETRAGONAL.beam
    energy = 1.23984198e-6 / column("wavelength", energy=Distribution("normal", mean=9000.0, sd=30.0))
    assert (energy.mean(), energy.std()) == (pytest.approx(9000.0, abs=1.0), pytest.approx(30.0, rel=0.03))
    fluence = column("fluence", fluence=Distribution("gamma", sd=0.5, relative=True)) / base.fluence
    assert (fluence.mean(), fluence.std()) == (pytest.approx(1.0, abs=0.02), pytest.approx(0.5, rel=0.05))
    assert ((fluence - fluence.mean()) ** 3).mean() / fluence.std() ** 3 == pytest.approx(1.0, abs=0.15)  # 2 / sqrt(4)
    cells = column("cells", size=Distribution("lognormal", median=2e-7, sigma=0.3))
    size = cells[:, 0] * 6e-9
    assert (np.median(size), np.log(size).std()) == (pytest.approx(2e-7, rel=0.015), pytest.approx(0.3, rel=0.03))
    np.testing.assert_allclose(cells[:, 2] * 9e-9, size, rtol=1e-12)  # real numbers of cells
    uniform = column("distance", distance=Distribution("uniform", low=0.1, high=0.2))
    assert (uniform.mean(), uniform.std()) == (
        pytest.approx(0.15, abs=1e-3),
        pytest.approx(0.1 / math.sqrt(12), rel=0.02),
    )
    chosen = column("distance", distance=Distribution("choice", values=(0.1, 0.2), weights=(1, 3)))
    assert set(chosen) == {0.1, 0.2} and (chosen == 0.2).mean() == pytest.approx(0.75, abs=0.01)
    bounded = column("fluence", fluence=Distribution("normal", mean=0.0, sd=1.0, low=0.0))
    assert bounded.min() >= 0 and bounded.mean() == pytest.approx(math.sqrt(2 / math.pi), abs=0.02)
    assert column("blank", blank=0.3).mean() == pytest.approx(0.3, abs=0.012)


def test_every_quantity_has_mean_and_width_of_its_distribution():
    """Each of the standard error or so of 20,000 draws, 1 / sqrt(20,000) = 0.7 % of the width."""

    def normal(values, mean, sd):
        assert values.mean() == pytest.approx(mean, abs=0.03 * sd) and values.std() == pytest.approx(sd, rel=0.03)
        assert (np.abs(values - mean) < sd).mean() == pytest.approx(0.6827, abs=0.015)

    triclinic = TETRAGONAL.replace(crystal=Crystal.from_cell(5e-9, 6e-9, 7e-9, 1.4, 1.5, 1.7, cells=(5, 5, 4)))
    lengths, angles = Distribution("normal", sd=0.01, relative=True), Distribution("normal", sd=0.005)
    cell = draw(triclinic, MANY, seed=4, cell=lengths, cell_angles=angles).columns["unit_cell"]
    means, widths = (5e-9, 6e-9, 7e-9, 1.4, 1.5, 1.7), (5e-11, 6e-11, 7e-11, 0.005, 0.005, 0.005)
    for values, mean, sd in zip(cell.T, means, widths, strict=True):
        normal(values, mean, sd)
    assert np.abs(np.corrcoef(cell.T) - np.eye(6)).max() < 0.03
    shift = column(
        "beam_shift", beam_shift=[Distribution("normal", sd=1e-4), Distribution("normal", mean=1e-3, sd=2e-4)]
    )
    normal(shift[:, 0], 0.0, 1e-4)
    normal(shift[:, 1], 1e-3, 2e-4)
    assert abs(np.corrcoef(shift.T)[0, 1]) < 0.03
    distance = TETRAGONAL.detector.panels[0].distance
    normal(column("distance", distance=Distribution("normal", sd=1e-3)), distance, 1e-3)
    normal(column("wavelength", wavelength=Distribution("normal", mean=1e-10, sd=1e-13)), 1e-10, 1e-13)
    normal(column("cells", cells=Distribution("normal", mean=50.0, sd=2.0))[:, 1], 50.0, 2.0)
    spread = (
        column("mosaic_scale", mosaic_spread=Distribution("uniform", low=0.1, high=0.3)) * TETRAGONAL.crystal.spread
    )
    assert 0.1 < spread.min() < 0.101 and 0.299 < spread.max() < 0.3
    assert (spread.mean(), spread.std()) == (pytest.approx(0.2, abs=2e-3), pytest.approx(0.2 / math.sqrt(12), rel=0.02))


def test_drawn_orientations_are_uniform_in_so3():
    matrices = column("orientation", orientation="uniform").reshape(-1, 3, 3)
    angles = np.degrees(np.arccos(np.clip((np.trace(matrices, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert angles.mean() == pytest.approx(math.degrees(math.pi / 2 + 2 / math.pi), abs=0.8)  # 126.5
    assert (angles < 30).mean() == pytest.approx(0.0075, abs=0.002)
    np.testing.assert_allclose(matrices.mean(axis=0), 0.0, atol=5 / math.sqrt(3 * MANY))


def test_draws_of_a_shot_are_independent():
    columns = draw(TETRAGONAL, MANY, seed=4, **EVERYTHING).columns
    edge = columns["unit_cell"][:, 0]
    names = ("orientation", "mosaic_scale", "wavelength", "fluence", "distance", "beam_shift", "blank")
    others = [columns[name].reshape(MANY, -1)[:, -1] for name in names]
    found = np.corrcoef([edge, columns["unit_cell"][:, 2], columns["cells"][:, 0] * edge, *others])
    assert found.shape == (10, 10) and np.abs(found - np.eye(10)).max() < 0.03


def test_orientations_about_that_of_the_base():
    turned = column("orientation", orientation=Distribution("normal", mean=0.0, sd=math.radians(2))).reshape(-1, 3, 3)
    relative = turned @ TETRAGONAL.crystal.orientation.T
    angles = np.degrees(np.arccos(np.clip((np.trace(relative, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert math.sqrt((angles**2).mean()) == pytest.approx(2.0, rel=0.03)
    axis = np.array([relative[:, 2, 1] - relative[:, 1, 2], relative[:, 0, 2] - relative[:, 2, 0]])
    np.testing.assert_allclose(axis.mean(axis=1), 0.0, atol=0.002)


def test_listed_values_are_those_of_the_shots_in_order():
    listed = Distribution("listed", values=(0.1, 0.2, 0.15))
    assert draw(TETRAGONAL, 2, distance=listed).columns["distance"].tolist() == [0.1, 0.2]
    matrices = draw(TETRAGONAL, 5, orientation="uniform").columns["orientation"].reshape(-1, 3, 3)
    assert np.array_equal(draw(TETRAGONAL, 4, orientation=matrices).columns["orientation"], matrices[:4].reshape(4, 9))


def test_numbers_of_cells_are_real_but_for_the_reference():
    drawn = {"size": Distribution("uniform", low=2.0e-8, high=4.0e-8)}
    real = draw(TETRAGONAL, 20, seed=4, **drawn)
    np.testing.assert_allclose(np.array(real[3].crystal.cells) * TETRAGONAL.crystal.cell[:3], [size_of(real, 3)] * 3)
    assert not float(real[3].crystal.cells[0]).is_integer() and tilesim.simulate_now(real[3], backend="eager").any()
    strict = TETRAGONAL.replace(sampling=TETRAGONAL.sampling.replace(strict_c=True))
    whole = draw(strict, 20, seed=4, **drawn)
    assert np.array_equal(whole.columns["cells"], np.round(real.columns["cells"])) and whole[3].sampling.strict_c


def size_of(series, frame):
    return series.columns["cells"][frame, 0] * series.base.crystal.cell[0]


def test_size_is_drawn_of_a_diagonal_n_only():
    oriented = TETRAGONAL.crystal.replace(shape="gauss-hkl", cells_off_diagonal=(0.5, 0.0, 0.0))
    with pytest.raises(InputError, match="size is drawn of a crystal with an oriented N"):
        draw(TETRAGONAL.replace(crystal=oriented), 5, size=3e-8)


def test_n_is_not_drawn_of_blocks_whose_number_would_not_follow():
    with pytest.raises(InputError, match="cells is drawn of a crystal of many blocks"):
        draw(TETRAGONAL.replace(crystal=TETRAGONAL.crystal.replace(blocks=7.0)), 5, cells=Distribution("normal", sd=1))


POISSON = Distribution("poisson", mean=1.4)
HALF = Distribution("uniform", low=0.2, high=0.8)


def test_the_number_of_lattices_and_each_further_one_is_drawn():
    draws = {"orientation": "uniform", "lattices": POISSON, "lattice_share": HALF}
    series = draw(TETRAGONAL, 60, seed=4, **draws)
    assert {len(one.crystals) for one in series} >= {0, 1, 2, 3}
    for frame in (5, 41):  # the same alone, in a series whose column is narrower
        assert draw(TETRAGONAL, 1, seed=4, numbers=[frame], **draws)[0] == series[frame]
    three = next(one for one in series if len(one.crystals) == 3)
    first, second, third = three.crystals
    assert first.share == 1.0 and 0.2 < second.share < 0.8 and second.share != third.share
    assert {one.cells for one in three.crystals} == {first.cells}
    assert not np.allclose(second.orientation, third.orientation)
    assert [one.crystal is None for one in series] == [bool(x) for x in series.columns["blank"]]
    # A draw of the first lattice is the same without further ones.
    alone = draw(TETRAGONAL, 60, seed=4, orientation="uniform")
    assert np.array_equal(alone.columns["orientation"], series.columns["orientation"])
    parts = [draw(TETRAGONAL, 20, seed=4, numbers=range(k, k + 20), **draws) for k in (0, 20, 40)]
    joined = tilesim.Series.join(parts, numbers=range(60))
    assert set(joined.columns) == set(series.columns) and list(joined) == list(series)
    # As many frames to estimate the cost from as there are numbers of lattices.
    assert len(series.representatives()) == len({len(one.crystals) for one in series})


def test_numbers_and_orientations_of_lattices_have_their_distributions():
    rows = column("further_lattices", lattices=POISSON, lattice_share=HALF)
    blank = column("blank", lattices=POISSON)
    there = ~np.isnan(rows[..., 0])
    counts = np.where(blank, 0, 1 + there.sum(axis=1))
    assert (counts.mean(), counts.var()) == (pytest.approx(1.4, abs=0.03), pytest.approx(1.4, rel=0.04))
    assert blank.mean() == pytest.approx(math.exp(-1.4), abs=0.01)
    assert rows[there][:, 0].mean() == pytest.approx(0.5, abs=0.01)
    matrices = rows[there][:, 1:].reshape(-1, 3, 3)
    angles = np.degrees(np.arccos(np.clip((np.trace(matrices, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert len(angles) > 10_000 and angles.mean() == pytest.approx(126.5, abs=1.2)
    np.testing.assert_allclose(matrices.mean(axis=0), 0.0, atol=0.03)
    two = draw(
        TETRAGONAL,
        5_000,
        seed=4,
        orientation="uniform",
        lattices=2.0,
        lattice_orientation=Distribution("normal", mean=0.0, sd=0.01),
    )
    relative = two.columns["further_lattices"][:, 0, 1:].reshape(-1, 3, 3)
    relative = relative @ two.columns["orientation"].reshape(-1, 3, 3).transpose(0, 2, 1)
    across = np.linalg.norm(relative - np.eye(3), axis=(1, 2)) / math.sqrt(2.0)
    assert math.sqrt((across**2).mean()) == pytest.approx(0.01, rel=0.03)
    hits = column("further_lattices", lattices=Distribution("poisson", mean=0.2, low=1))
    assert (1 + (~np.isnan(hits[..., 0])).sum(axis=1)).mean() == pytest.approx(0.2 / (1 - math.exp(-0.2)), abs=0.01)


@pytest.mark.parametrize(
    "draws, said",
    [
        ({"lattices": Distribution("normal", mean=2.0, sd=0.1)}, "lattices of frame 0 is 2.*; expected whole numbers"),
        ({"lattices": 1000}, "expected whole numbers up to 256"),
        ({"lattice_share": HALF}, "without lattices; expected how many there are"),
        ({"lattices": 2, "lattice_share": -1.0}, "lattice_share of frame 0 is -1; expected 0 or more"),
        ({"lattices": 2, "lattice_orientation": "random"}, "lattice_orientation is 'random'; expected uniform"),
        ({"energy": POISSON}, "a poisson distribution of energy"),
        ({"size": Distribution("normal", mean=1e-9, sd=1e-8)}, "size of frame [0-9]+ is -.*; expected metres above 0"),
        ({"colour": 1.0}, "no draw of 'colour'"),
        ({"orientation": "random"}, "orientation 'random'; expected uniform"),
        ({"cells": 3, "size": 1e-8}, "draws of cells and size"),
        ({"energy": Distribution("normal", mean=1.0, sd=100.0)}, "energy of frame [0-9]+ is -.*; expected eV above 0"),
        ({"fluence": Distribution("normal", sd=1.0, low=5.0, high=6.0, mean=900.0)}, "expected bounds that leave room"),
        ({"distance": Distribution("listed", values=(0.1,))}, "distance: 1 values of 30 shots"),
        ({"blank": 1.5}, "share of blank shots is 1.5"),
        ({"cell_angles": Distribution("normal", sd=2.0)}, None),
        ({"distance": "far"}, "draw of distance is 'far'; expected a Distribution"),
    ],
)
def test_draws_that_cannot_be_are_one_line(draws, said):
    if said is None:  # nothing is free
        assert draw(TETRAGONAL, 30, **draws)[3] == draw(TETRAGONAL, 1, **draws)[0]
        return
    with pytest.raises(InputError, match=said):
        draw(TETRAGONAL, 30, **draws)


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"name": "gauss"}, "distribution 'gauss'; expected one of constant, normal"),
        ({"name": ["normal"]}, "expected one of constant, normal"),
        ({"name": "normal"}, "a normal distribution without sd"),
        ({"name": "uniform", "low": 1, "high": 2, "sd": 1}, "a uniform distribution with sd; expected low, high"),
        ({"name": "uniform", "low": 3, "high": 2}, "expected low below high"),
        ({"name": "normal", "sd": -1}, "sd of a distribution is -1"),
        ({"name": "normal", "sd": math.nan}, "expected a finite number"),
        ({"name": "poisson", "mean": 0}, "mean of a poisson distribution is 0"),
        (
            {"name": "poisson", "relative": True},
            "a poisson distribution expects a mean up to 10000 that is not relative",
        ),
        ({"name": "choice", "values": (1, 2), "weights": (1,)}, "1 weights of 2 values"),
    ],
)
def test_distributions_that_cannot_be_are_one_line(fields, said):
    with pytest.raises(InputError, match=said):
        Distribution(**fields)
