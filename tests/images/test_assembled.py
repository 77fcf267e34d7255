"""Panels assembled on a plane: every pixel of a panel where its ray meets the plane, gaps without a value."""

import numpy as np
import pytest
from panels import PANELS, ROWS, cut, plane

from tilesim.errors import InputError
from tilesim.geometry.assembly import Assembly
from tilesim.geometry.resolution import beam_centre, d_spacings
from tilesim.images.assembled import AssembledImage
from tilesim.images.pixels import ArrayImage
from tilesim.model import Beam, Panel
from tilesim.pictures.view import assembled_maxima

BEAM = Beam((0.0, 0.0, 1.0), 1e-10)
QUARTER = Panel.facing(0.1, 1e-4, (30, 20), beam_centre=(-2.0, -3.0))
"""Lower right of the beam, two and three pixels away."""


def turned(panel, degrees):
    """The panel turned about the beam."""
    angle = np.radians(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    return panel.replace(**{name: tuple(matrix @ getattr(panel, name)) for name in ("origin", "fast", "slow")})


def test_a_plane_that_was_cut_is_whole_again():
    whole, pieces = plane().detector.panels[0], cut(plane()).detector.panels
    pixels = np.random.default_rng(0).random(whole.shape)
    assembly = Assembly.of(pieces)
    assert assembly.plane.shape == whole.shape
    np.testing.assert_allclose(assembly.plane.origin, whole.origin, atol=1e-9)
    image = AssembledImage([ArrayImage(pixels[n * ROWS : (n + 1) * ROWS]) for n in range(PANELS)], assembly)
    np.testing.assert_array_equal(image.block(slice(None), slice(None)), pixels)
    np.testing.assert_array_equal(image.block(slice(3, 12), slice(7, 20)), pixels[3:12, 7:20])
    bands = [(top, pixels[top : top + 7]) for top in range(0, len(pixels), 7)]
    np.testing.assert_array_equal(assembled_maxima(bands, assembly, 1), pixels)


def test_quarters_turned_about_the_beam_have_gaps_and_the_resolution_of_the_plane():
    panels = [turned(QUARTER, 90 * n) for n in range(4)]
    assembly = Assembly.of(panels)
    assert assembly.plane.shape == (64, 64)
    pixels = [d_spacings(panel, BEAM, *np.indices(panel.shape) + 0.5) for panel in panels]
    image = AssembledImage([ArrayImage(one) for one in pixels], assembly).block(slice(None), slice(None))
    there = np.isfinite(image)
    # Every pixel of every panel once, as they lie on one grid; the rest is gaps.
    assert there.sum() == 4 * 30 * 20 < image.size
    expected = d_spacings(assembly.plane, BEAM, *np.indices(image.shape) + 0.5)
    np.testing.assert_allclose(image[there], expected[there], rtol=1e-9)
    row, column = (int(x) for x in beam_centre(assembly.plane, BEAM))
    assert not there[row - 2 : row + 2, column - 2 : column + 2].any()
    stacked = np.concatenate(pixels)
    blocks = assembled_maxima([(0, stacked[:50]), (50, stacked[50:])], assembly, 1)
    np.testing.assert_array_equal(blocks, image)


def test_panels_at_other_distances_and_tilts_show_their_own_resolution():
    tilted = turned(QUARTER, 180)
    angle = np.radians(8)
    slow = tuple(np.cos(angle) * np.array(tilted.slow) + np.sin(angle) * np.array((0.0, 0.0, 1.0)))
    normal = tuple(np.cross(tilted.fast, slow) * np.sign(np.cross(tilted.fast, slow)[2]))
    panels = [QUARTER, tilted.replace(slow=slow, normal=normal, origin=(*tilted.origin[:2], 0.104))]
    assembly = Assembly.of(panels)
    images = [ArrayImage(d_spacings(panel, BEAM, *np.indices(panel.shape) + 0.5)) for panel in panels]
    image = AssembledImage(images, assembly).block(slice(None), slice(None))
    there = np.isfinite(image)
    assert 1000 < there.sum() < image.size
    expected = d_spacings(assembly.plane, BEAM, *np.indices(image.shape) + 0.5)
    # To within a pixel, as the nearest one is shown.
    beside = d_spacings(assembly.plane, BEAM, *np.indices(image.shape) + 1.5)
    assert (np.abs(1 / image - 1 / expected)[there] <= 1.2 * np.abs(1 / beside - 1 / expected).max()).all()


BEHIND = Panel.facing(0.1, 1e-4, (9, 9), beam=(0.0, 0.0, -1.0))


@pytest.mark.parametrize("other", [QUARTER.replace(curved_radius=0.1), BEHIND])
def test_what_does_not_lie_near_a_plane_is_refused(other):
    with pytest.raises(InputError, match=r"expected flat ones|one plane"):
        Assembly.of([QUARTER, other])
