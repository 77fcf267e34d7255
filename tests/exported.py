"""Experiments for the tests of writers, and what other readers make of the files."""

import math

import h5py
import numpy as np
import nxmx

from tilesim.geometry.resolution import positions
from tilesim.model import Beam, Crystal, Detector, Experiment, Panel, Scan, Sensor, Series, StructureFactors
from tilesim.model.vectors import add, dot, rotate_about, scale, unit


def skewed(panels: int = 1, **fields) -> Experiment:
    """Nothing along any axis: a beam, spindle and tilted panels in general directions."""
    beam = unit((0.3, -0.2, 0.9))
    spindle = unit((0.8, 0.5, -0.1))
    fast = unit((0.9, 0.1, -0.28))
    fast = unit(add(fast, scale(beam, -dot(fast, beam))))
    facing = Panel.facing(0.1, 1e-4, (20, 30), (12.0, 13.0), beam, fast, sensor=Sensor(2, 1e-4, 3e3))
    made = []
    for number in range(panels):
        turn = {name: rotate_about(getattr(facing, name), unit((1, 2, 3)), 0.05 + 0.02 * number) for name in AXES}
        made.append(facing.replace(**turn))
    experiment = Experiment(
        beam=Beam(beam, 1.1e-10, polarization_axis=unit((1, 2, 0)), kahn_factor=0.9),
        crystal=Crystal.from_cell(31e-10, 42e-10, 53e-10, 1.3, 1.5, 1.8, cells=(5, 5, 5)),
        detector=Detector(tuple(made)),
        factors=StructureFactors.constant(0.0),
        scan=Scan(spindle, math.radians(20), math.radians(0.1), 5),
    )
    return experiment.replace(**fields)


AXES = ("origin", "fast", "slow", "normal")


def series(experiment: Experiment, count: int) -> Series:
    """Frames that follow each other."""
    scan = experiment.scan
    starts = [scan.start + k * scan.step * scan.steps for k in range(count)]
    return Series(experiment, scan_start=starts)


def corners(experiment: Experiment, number: int) -> np.ndarray:
    """Positions in metres of points all over a panel, by tilesim's own word."""
    slow, fast = grid(experiment.detector.panels[number].shape)
    return positions(experiment.detector.panels[number], experiment.beam, slow, fast)


def grid(shape):
    slow, fast = np.meshgrid(np.linspace(0, shape[0], 5), np.linspace(0, shape[1], 7), indexing="ij")
    return slow.reshape(-1), fast.reshape(-1)


def nxmx_corners(path, number: int) -> np.ndarray:
    """The same points in metres, from the chain of transformations as the nxmx library follows it."""
    with h5py.File(path) as file:
        detector = nxmx.NXmx(file).entries[0].instruments[0].detectors[0]
        module = detector.modules[number]
        slow, fast = grid(tuple(module.data_size))
        where = np.zeros((len(slow), 3))
        for steps, axis in ((slow, module.slow_pixel_direction), (fast, module.fast_pixel_direction)):
            where += steps[:, None] * axis[()].to("m").magnitude * axis.vector
        chain = nxmx.get_dependency_chain(module.fast_pixel_direction.depends_on)
        matrix = nxmx.get_cumulative_transformation(chain)[0]  # in mm
        return where @ matrix[:3, :3].T + matrix[:3, 3] / 1e3


def expt_corners(models: dict, number: int) -> np.ndarray:
    """The same points in metres, from a panel of a DIALS model file."""
    panel = models["detector"][0]["panels"][number]
    slow, fast = grid(tuple(reversed(panel["image_size"])))
    step = np.outer(fast * panel["pixel_size"][0], panel["fast_axis"])
    step += np.outer(slow * panel["pixel_size"][1], panel["slow_axis"])
    return (np.array(panel["origin"]) + step) / 1e3


def spots(models: dict, angle: float, indices: np.ndarray, number: int = 0):
    """Where reflections (n, 3) in the middle of an image at `angle` degrees fall.

    (fast, slow) pixels, excitation errors in 1/angstrom, path to the panel (negative: behind the sample).

    The textbook's geometry, from the models of one experiment alone: s1 = s0 + A h.
    """
    crystal, beam = models["crystal"][0], models["beam"][0]
    real = np.array([crystal[f"real_space_{name}"] for name in "abc"])
    matrix = np.linalg.inv(real)
    if models["goniometer"]:
        axis = models["goniometer"][0]["rotation_axis"]
        matrix = np.column_stack([rotate_about(column, axis, math.radians(angle)) for column in matrix.T])
    s0 = -np.array(beam["direction"]) / beam["wavelength"]
    s1 = s0 + indices @ matrix.T
    error = np.linalg.norm(s1, axis=1) - 1 / beam["wavelength"]
    panel = models["detector"][0]["panels"][number]
    origin, fast, slow = (np.array(panel[name]) for name in ("origin", "fast_axis", "slow_axis"))
    rays = np.stack([np.column_stack([fast, slow, -ray]) for ray in s1])
    x, y, path = np.linalg.solve(rays, np.broadcast_to(-origin, s1.shape)[..., None])[..., 0].T
    return np.column_stack([x, y]) / panel["pixel_size"], error, path
