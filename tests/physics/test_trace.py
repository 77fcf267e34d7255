"""Every intermediate value of the worked pixels of the specification, in double precision to 1e-9."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch

from tilesim.compute import simulate_tile
from tilesim.engine.job import lower_job, make_job
from tilesim.engine.lazy import simulate_now
from tilesim.kernels.tensors import find_latch
from tilesim.model import PixelMask
from tilesim.nanobragg.resolve import read_command
from tilesim.physics.intensity import PixelList, evaluate, numbered_orientations, rays, source_polarization, waves
from tilesim.physics.lattice import lattice_squared, miller_indices, nearest_node
from tilesim.tiling.tile import Tile

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "trace-vectors.json").read_text())
CASES = {c["id"]: c for c in VECTORS["cases"]}
REAL = "lysozyme"


def write_formula_hkl(folder: Path) -> None:
    """The synthetic table that the vectors' `files` block prescribes."""
    box = range(-8, 9)
    lines = (f"{h} {k} {l} {20 + (17 * h + 31 * k + 47 * l) % 101}" for h in box for k in box for l in box)
    (folder / "formula.hkl").write_text("\n".join(lines) + "\n")


@pytest.fixture
def job(request, tmp_path, monkeypatch):
    """The strict job of a case in double precision."""
    case = CASES[request.param]
    monkeypatch.chdir(tmp_path)
    write_formula_hkl(tmp_path)
    command = read_command(shlex.split(case["arguments"]), strict_c=True)
    return make_job(command.experiment, None, "double", "cpu", "eager")


SYNTHETIC = [name for name in CASES if name != REAL]


def one_pixel(job, slow, fast):
    number = slow * job.experiment.shape[1] + fast
    return PixelList(*(torch.tensor([x], dtype=torch.float64) for x in (slow, fast)), torch.tensor([number]))


@pytest.mark.parametrize("job", SYNTHETIC, indirect=True)
def test_every_term_of_the_worked_pixels_is_reproduced(job, request):
    case = CASES[request.node.callspec.params["job"]]
    lowered = lower_job(job)
    setup, terms = lowered.setup, 0
    for vector in case["pixels"]:
        pixels = one_pixel(job, vector["s"], vector["f"])
        wanted = {
            (s["layer"] * setup.oversample + s["subS"]) * setup.oversample + s["subF"]: s for s in vector["subpixels"]
        }
        for ray in rays(setup, pixels):
            sub = wanted.get(ray.group)
            if sub is None:
                continue
            np.testing.assert_allclose(ray.diffracted[:, 0], sub["diffracted"], rtol=1e-9)
            assert ray.omega.item() == pytest.approx(sub["omega_in_use"], rel=1e-9)
            assert ray.capture.item() == pytest.approx(sub["capture_fraction_in_use"], rel=1e-9)
            seen = {w.source: w for w in waves(setup, ray)}
            assert sorted(seen) == [s["source"] for s in sub["sources"]]
            for source in sub["sources"]:
                wave = seen[source["source"]]
                np.testing.assert_allclose(torch.stack(wave.q)[:, 0], source["scattering_per_m"], rtol=1e-9)
                polar = source_polarization(setup, wave.source, ray.diffracted).item()
                if setup.oversample_polar:
                    assert polar == pytest.approx(source["polar_in_use"], rel=1e-9)
                cells = [cell for _, cell in numbered_orientations(setup, wave.group)]
                for term in source["terms"]:
                    cell = cells[term["phi_index"] * setup.grains[0].mosaic.shape[1] + term["mosaic_index"]]
                    np.testing.assert_allclose(cell, [term["a_m"], term["b_m"], term["c_m"]], rtol=1e-9, atol=1e-21)
                    hkl = miller_indices(wave.q, cell)
                    np.testing.assert_allclose([x.item() for x in hkl], term["hkl"], rtol=1e-9)
                    node = nearest_node(hkl)
                    assert [x.item() for x in node] == term["hkl0"]
                    lattice = lattice_squared(hkl, node, setup.lattice).item()
                    assert lattice == pytest.approx(term["F_latt"] ** 2, rel=1e-9)
                    allowed = torch.tensor([True]) if term["interpolated"] else None
                    value = evaluate(hkl, setup.lattice, allowed).item()
                    assert value == pytest.approx(0.0 if term.get("skipped") else term["term"], rel=1e-9)
                    terms += 1
    assert terms > 0


@pytest.mark.parametrize("job", SYNTHETIC, indirect=True)
def test_the_worked_pixels_and_images_are_reproduced(job, request):
    case = CASES[request.node.callspec.params["job"]]
    image = simulate_now(job.experiment, "double", "cpu", "eager")
    expected = np.array(case["image"]["float32"], np.float64).reshape(case["image"]["shape_slow_fast"])
    np.testing.assert_allclose(image, expected, rtol=1e-6, atol=0)
    lowered = lower_job(job)
    for vector in case["pixels"]:
        s, f = vector["s"], vector["f"]
        pixel = simulate_tile(lowered, Tile(0, 0, s, s + 1, f, f + 1)).photons.item()
        assert pixel == pytest.approx(vector["final"]["value_double"], rel=1e-7)


@pytest.mark.parametrize("job", ["denzo-layers-tricubic"], indirect=True)
def test_the_latch_is_the_first_evaluation_outside_the_table(job):
    latch = find_latch(job.experiment)
    pixel, evaluation = divmod(latch, job.experiment.evaluations)
    assert job.latches == (latch,)
    assert 0 <= evaluation < job.experiment.evaluations
    # Without that pixel and those after it nothing lies outside the table; with it, it is the first.
    active = np.zeros(job.experiment.shape, bool)
    active.ravel()[:pixel] = True
    assert find_latch(job.experiment.replace(mask=PixelMask(active))) is None
    active.ravel()[pixel] = True
    assert find_latch(job.experiment.replace(mask=PixelMask(active))) == latch
