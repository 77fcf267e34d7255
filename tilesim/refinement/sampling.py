"""Whether an image samples its reflections: those that fall between its points have neither photons nor derivatives."""

from __future__ import annotations

from tilesim.model import Experiment

MOST_POINTS_APART = 2.5
"""Distance of points, in widths of the narrowest reflections, from which on a warning is due."""


def undersampled(experiment: Experiment) -> str:
    """A warning where reflections are narrower than the points of a pixel are apart; empty where they are not."""
    crystal, panel = experiment.lattice, experiment.detector.panels[0]
    spread = crystal.spread
    # In the reciprocal lattice, across a reflection at the beam: what a mosaic spread widens is not narrow.
    apart = panel.pixel_size / experiment.sampling.oversample / abs(panel.distance) / experiment.beam.wavelength
    lengths = zip(crystal.cells, crystal.cell[:3], strict=True)
    width = min(1.0 / (float(n) * edge) for n, edge in lengths)
    if spread > 0.0 or apart <= MOST_POINTS_APART * width:
        return ""
    needed = -(-panel.pixel_size // (abs(panel.distance) * experiment.beam.wavelength * width))
    return (
        f"reflections are {apart / width:.2g} times narrower than the points of a pixel are apart: an image that is "
        f"measured in whole pixels has others; expected an oversampling of {needed:.0f} or so"
    )
