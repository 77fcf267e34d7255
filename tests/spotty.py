"""An experiment and an image with spots, for tests of pictures."""

import numpy as np

from tilesim.model import Beam, Crystal, Detector, Experiment, Panel, StructureFactors


def make_experiment(shape, origin=None, direction=(1.0, 0.0, 0.0), **panel):
    slow, fast = shape
    origin = origin or (0.1, slow * 0.5e-4, -fast * 0.5e-4)
    panel = Panel(origin, (0, 0, 1), (0, -1, 0), (1, 0, 0), 1e-4, shape, 0.1, **panel)
    crystal = Crystal((1e-9, 0, 0), (0, 1e-9, 0), (0, 0, 1e-9))
    return Experiment(Beam(direction, 1e-10), crystal, Detector((panel,)), StructureFactors.constant(1.0))


def spots(shape):
    slow, fast = np.mgrid[: shape[0], : shape[1]]
    image = 20 * np.exp(-np.hypot(slow - shape[0] / 2, fast - shape[1] / 2) / 200)
    image[::50, ::50] += 500
    return image.astype(np.float32)
