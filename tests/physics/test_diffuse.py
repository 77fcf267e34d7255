"""Diffuse scattering against its formula as it is written down, and the groups that it is averaged over."""

import itertools
import math

import numpy as np
import pytest
from experiments import TABLE, plain

from tilesim.compute import rendered_pixels
from tilesim.engine.lazy import simulate_now
from tilesim.kernels import tensors
from tilesim.model import Diffuse, Rotations, StructureFactors
from tilesim.tiling.tile import Tile

GAMMA, SIGMA = np.array([30.0, 20.0, 25.0]), np.array([0.5, 0.3, 0.4])
"""Angstrom."""


def of_the_table(node):
    place = np.array(node) - TABLE.minimum
    inside = (place >= 0).all() and (place < TABLE.grid.shape).all()
    return TABLE.grid[tuple(place.astype(int))] if inside else TABLE.default


def written_down(h, star, rotations, stencil):
    """The formula for one index vector; star has columns a*, b*, c* in 1/angstrom."""
    nearest, total = np.ceil(h - 0.5), 0.0
    for turn in rotations:
        q0 = star @ turn @ nearest
        e = 4 * math.pi**2 * (SIGMA**2 * q0**2).sum()
        for offset in itertools.product(range(-stencil, stencil + 1), repeat=3):
            node = nearest + offset
            dq = star @ turn @ (h - node)
            fall = (1 + 4 * math.pi**2 * ((GAMMA * dq) ** 2).sum()) ** 2
            total += e * math.exp(-e) * 8 * math.pi * GAMMA.prod() / fall * of_the_table(node) ** 2
    return total / len(rotations) / (2 * stencil + 1) ** 3


@pytest.mark.parametrize("frame", ["lab", "crystal"])
@pytest.mark.parametrize("symmetry, stencil", [("1", 0), ("222", 1)])
def test_it_is_added_to_the_squared_lattice_factor(frame, symmetry, stencil):
    base = plain(scan=plain().scan.replace(start=0.0), beam=plain().beam.replace(kahn_factor=None))
    diffuse = Diffuse(GAMMA * 1e-10, SIGMA * 1e-10, symmetry, stencil, frame)
    crystal = base.crystal.replace(diffuse=diffuse)
    numbers = rendered_pixels(base, Tile(0, 0, 3, 5, 0, 31))
    more, less = (tensors.lower(one, "double").photons(numbers)[0] for one in (base.replace(crystal=crystal), base))
    panel, scale = base.detector.panels[0], tensors.lower(base, "double").setup.scale
    slow, fast = (panel.pixel_size * (x + 0.5) for x in np.divmod(numbers, base.shape[1]))
    r = np.outer(panel.slow, slow) + np.outer(panel.fast, fast) + np.reshape(panel.origin, (3, 1))
    way = r / np.linalg.norm(r, axis=0)
    q = (way - np.array([[0.0], [0.0], [1.0]])) / (base.beam.wavelength * 1e10)
    cell = np.array([base.crystal.a, base.crystal.b, base.crystal.c]) * 1e10
    star = np.linalg.inv(cell)
    if frame == "crystal":
        star = base.crystal.orientation.T @ star
    wanted = [written_down(cell @ one, star, Rotations(symmetry).matrices, stencil) for one in q.T]
    omega = panel.pixel_size**2 / (r * r).sum(axis=0) * panel.distance / np.linalg.norm(r, axis=0)
    scaled = np.array(wanted) * omega * scale
    assert scaled.max() > 0
    np.testing.assert_allclose(more - less, scaled, rtol=1e-6, atol=1e-9 * less.max())


@pytest.mark.parametrize(
    "name, order",
    list(zip(Rotations, (1, 2, 4, 4, 8, 3, 6, 6, 6, 12, 12, 24), strict=True)),
)
def test_groups_are_closed_and_of_their_order(name, order):
    matrices = name.matrices
    assert len(matrices) == order and np.allclose(np.linalg.det(matrices), 1.0)
    products = {(a @ b).tobytes() for a in matrices + 0.0 for b in matrices + 0.0}
    assert {(m + 0.0).tobytes() for m in matrices} == {(np.frombuffer(p) + 0.0).tobytes() for p in products}


@pytest.mark.parametrize("name, angle", [("622", 120), ("321", 120), ("432", 90)])
def test_rotations_of_indices_keep_lengths(name, angle):
    """Of a hexagonal cell in particular, whose indices turn by other matrices than coordinates do."""
    angle = math.radians(angle)
    edge = 5.0 if name == "432" else 9.0
    cell = np.array([[5.0, 0, 0], [5 * math.cos(angle), 5 * math.sin(angle), 0], [0, 0, edge]])
    star = np.linalg.inv(cell)
    hkl = np.array([1.0, 2.0, 3.0])
    lengths = [np.linalg.norm(star @ turn @ hkl) for turn in Rotations(name).matrices]
    np.testing.assert_allclose(lengths, np.linalg.norm(star @ hkl), rtol=1e-12)


def test_without_structure_factors_nothing_scatters_between_reflections():
    crystal = plain().crystal.replace(diffuse=Diffuse(3e-9, 5e-11))
    dark = plain(crystal=crystal, factors=StructureFactors.constant(0.0))
    assert simulate_now(dark, "double", "cpu", "eager").max() == 0.0
