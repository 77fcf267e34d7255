"""The truth of pixels: photons without background, mean wavelength and mean Miller indices, by every kernel."""

import numpy as np
import pytest
from experiments import ALL, plain

from tilesim import Source
from tilesim.compute import simulate_tile, tile_truth
from tilesim.engine.job import lower_job, make_job
from tilesim.kernels import library
from tilesim.model import Shape
from tilesim.tiling.tile import Tile

WHOLE = Tile(0, 0, 0, 23, 0, 31)
TWO_COLOURS = (Source((0.0, 0.0, 1.0), 1e-10, 1.5), Source((0.0, 0.0, 1.0), 1.03e-10, 0.5))


def kernel(experiment, backend="eager", precision="double"):
    return lower_job(make_job(experiment, None, precision, "cpu", backend))


def test_photons_are_those_of_the_image_and_means_are_weighted_by_those_of_each_wavelength():
    beam = plain().beam.replace(sources=TWO_COLOURS)
    both = plain(beam=beam)
    truth = tile_truth(kernel(both), WHOLE)
    image = simulate_tile(kernel(both), WHOLE).photons
    np.testing.assert_allclose(truth[0], image, rtol=1e-6)
    assert image.max() > 0
    # Each colour alone, with half of the photons for each unit of its weight.
    parts = []
    for source in TWO_COLOURS:
        fluence = beam.fluence * source.weight / 2
        alone = plain(beam=beam.replace(sources=(source.replace(weight=1.0),), fluence=fluence))
        parts.append(tile_truth(kernel(alone), WHOLE).astype(float))
        np.testing.assert_allclose(parts[-1][1], source.wavelength, rtol=1e-6)
        assert (parts[-1][2:] == np.round(parts[-1][2:])).all()  # one orientation: one reflection
    expected = sum(part[0] * part[1:] for part in parts) / sum(part[0] for part in parts)
    np.testing.assert_allclose(truth[1:], expected, rtol=1e-5, atol=1e-5)
    assert len(np.unique(truth[1])) > 100


def test_indices_are_those_of_the_nearest_node():
    truth = tile_truth(kernel(plain()), WHOLE)
    panel, beam, crystal = plain().detector.panels[0], plain().beam, plain().crystal
    slow, fast = np.unravel_index(truth[0].argmax(), truth[0].shape)
    turn = np.cos(0.1), np.sin(0.1)  # about x, as the scan says
    turned = np.array([[1.0, 0.0, 0.0], [0.0, turn[0], -turn[1]], [0.0, turn[1], turn[0]]])
    rotated = [turned @ v for v in (crystal.a, crystal.b, crystal.c)]
    along = np.array([fast + 0.5, slow + 0.5, 0.0]) * panel.pixel_size
    place = np.array(panel.origin) + along
    q = (place / np.linalg.norm(place) - np.array(beam.direction)) / beam.wavelength
    assert truth[2:, slow, fast].tolist() == [round(float(v @ q)) for v in rotated]


def test_pixels_without_photons_have_no_means():
    few = plain(crystal=plain().crystal.replace(shape=Shape.TOPHAT))
    truth = tile_truth(kernel(few), WHOLE)
    dark = truth[0] == 0
    assert dark.any() and not dark.all()
    assert np.isnan(truth[1:, dark]).all() and np.isfinite(truth[1:, ~dark]).all()


def test_masked_pixels_have_none_and_tiles_do_not_count():
    experiment = ALL["rich"]
    whole = tile_truth(kernel(experiment), WHOLE)
    masked = ~experiment.mask.active
    assert (whole[0][masked] == 0).all() and np.isnan(whole[1:, masked]).all() and whole[0].max() > 0
    part = tile_truth(kernel(experiment), Tile(0, 0, 5, 16, 9, 24))
    assert part.tobytes() == whole[:, 5:16, 9:24].tobytes()


@pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")
@pytest.mark.parametrize("name", [name for name, one in ALL.items() if not one.sampling.strict_c])
def test_the_fused_kernel_is_the_definition(name):
    experiment = ALL[name]
    defined, fused = (tile_truth(kernel(experiment, backend), WHOLE) for backend in ("eager", "fused"))
    assert defined[0].max() > 0
    np.testing.assert_allclose(fused[0], defined[0], rtol=1e-5, atol=1e-9 * defined[0].max())
    bright = defined[0] > 1e-9 * defined[0].max()
    np.testing.assert_allclose(fused[1:, bright], defined[1:, bright], rtol=1e-5, atol=1e-5)
