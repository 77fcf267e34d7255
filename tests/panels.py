"""A plane, and the same plane cut into panels, for tests of detectors of several panels."""

from experiments import ALL

from tilesim.model import Detector

ROWS = 5
"""Of a panel: a plane of PANELS x ROWS rows is cut."""
PANELS = 4


def plane(**changes):
    """An experiment of one panel, PANELS x ROWS pixels high."""
    one = ALL["rich"]
    panel = one.detector.panels[0].replace(shape=(PANELS * ROWS, 31))
    return one.replace(
        detector=Detector((panel,)), **{"mask": None, "sampling": one.sampling.replace(roi=None), **changes}
    )


def cut(experiment):
    """The same with the plane cut into panels; the numbers of a pixel's position round otherwise."""
    [panel] = experiment.detector.panels
    step = tuple(panel.pixel_size * ROWS * x for x in panel.slow)
    panels = [
        panel.replace(origin=tuple(o + n * s for o, s in zip(panel.origin, step, strict=True)), shape=(ROWS, 31))
        for n in range(PANELS)
    ]
    return experiment.replace(detector=Detector(panels))
