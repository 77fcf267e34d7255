"""Panels assembled as they stand: a plane of pixels through their mean plane, seen from the sample."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model.detector import Panel
from tilesim.model.sampling import Region

STEEPEST = 0.17
"""Least cosine between the rays to a panel's corners and the plane's normal: beyond, panels do not lie on one plane."""
LARGEST = 30
"""Pixels of the plane over those of all panels, at most."""


@frozen
class Assembly:
    """Panels on a common plane.

    A pixel of the plane shows the pixel of a panel that the ray from the sample to its middle meets, so that its
    resolution, and the beam centre, are those of the plane.
    """

    panels: tuple[Panel, ...]
    plane: Panel

    @classmethod
    def of(cls, panels: Sequence[Panel]) -> Assembly:
        """The assembly of some panels, along the axes of the first one and on its grid.

        Raises InputError where they cannot be seen on one plane: curved ones, and those around the sample.
        """
        if any(panel.curved_radius is not None for panel in panels):
            raise InputError("curved panels cannot be assembled on a plane; expected flat ones")
        areas = np.array([np.prod(panel.shape) * panel.pixel_size**2 for panel in panels])
        corners = np.array([_points(panel, *np.array([[0, 1, 0, 1], [0, 0, 1, 1]]) * 1.0) for panel in panels])
        middle = areas @ corners.mean(axis=1) / areas.sum()
        normal = _unit(areas @ np.array([_unit(np.cross(one.fast, one.slow)) for one in panels]))
        # As the first panel's, whatever the handedness of its axes.
        normal = normal * (np.sign(middle @ normal) or 1.0)
        rays = corners.reshape(-1, 3)
        if (rays @ normal < STEEPEST * np.linalg.norm(rays, axis=1)).any():
            raise InputError("the panels do not lie near one plane; expected all of them in front of the sample")
        fast = _unit(np.array(panels[0].fast) - (np.array(panels[0].fast) @ normal) * normal)
        slow = np.cross(normal, fast)
        slow = slow * np.sign(slow @ np.array(panels[0].slow))
        size = min(panel.pixel_size for panel in panels)
        distance = float(middle @ normal)
        # The first panel's own corner is on the grid.
        corner = corners[0, 0] * distance / (corners[0, 0] @ normal)
        away = (rays * (distance / (rays @ normal))[:, None] - corner) / size
        along = np.stack([away @ slow, away @ fast])
        # Numbers that are whole but for rounding are whole.
        first, last = np.floor(along.min(axis=1) + 1e-6), np.ceil(along.max(axis=1) - 1e-6)
        origin = corner + size * (first[0] * slow + first[1] * fast)
        shape = (int(last[0] - first[0]), int(last[1] - first[1]))
        if np.prod(shape) > LARGEST * sum(np.prod(panel.shape) for panel in panels):
            raise InputError(f"the panels would be spread over {shape[0]} x {shape[1]} pixels")
        plane = Panel(tuple(origin), tuple(fast), tuple(slow), tuple(normal), size, shape)
        return cls(tuple(panels), plane)

    def coarser(self, factor: int) -> Assembly:
        """The same of blocks of `factor` x `factor` pixels, of the panels and of the plane."""
        return Assembly(tuple(_coarser(panel, factor) for panel in self.panels), _coarser(self.plane, factor))

    def box(self, number: int, rows: tuple[int, int], columns: tuple[int, int]) -> Region:
        """Pixels of the plane that hold those of a part of a panel."""
        slow, fast = np.meshgrid(rows, columns, indexing="ij")
        shape = self.panels[number].shape
        along = _met(_points(self.panels[number], slow.ravel() / shape[0], fast.ravel() / shape[1]), self.plane)
        (top, left), (bottom, right) = np.floor(along.min(axis=1) - 1e-6), np.ceil(along.max(axis=1) + 1e-6)
        return Region(int(top), int(bottom), int(left), int(right)).clipped(*self.plane.shape)

    def sources(self, number: int, region: Region) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Pixels of the plane (row, column) of a region that show a panel, and its pixels (row, column), each (n,)."""
        rows, columns = np.meshgrid(
            np.arange(region.slow_start, region.slow_stop),
            np.arange(region.fast_start, region.fast_stop),
            indexing="ij",
        )
        shape = self.plane.shape
        panel = self.panels[number]
        places = _points(self.plane, (rows.ravel() + 0.5) / shape[0], (columns.ravel() + 0.5) / shape[1])
        found = np.floor(_met(places, panel) + 1e-6).astype(np.int64)
        inside = ((found >= 0) & (found < np.array(panel.shape)[:, None])).all(axis=0)
        return rows.ravel()[inside], columns.ravel()[inside], found[0, inside], found[1, inside]


def _coarser(panel: Panel, factor: int) -> Panel:
    """A panel whose pixels are blocks of pixels; the last ones may reach over the edge."""
    slow, fast = (-(-n // factor) for n in panel.shape)
    return dataclasses.replace(panel, pixel_size=panel.pixel_size * factor, shape=(slow, fast))


def _points(panel: Panel, slow: np.ndarray, fast: np.ndarray) -> np.ndarray:
    """Places (n, 3) at shares of a panel's edges."""
    along = slow[:, None] * panel.shape[0] * np.array(panel.slow) + fast[:, None] * panel.shape[1] * np.array(
        panel.fast
    )
    return np.asarray(np.array(panel.origin) + along * panel.pixel_size)


def _met(places: np.ndarray, panel: Panel) -> np.ndarray:
    """Where the rays to places (n, 3) meet the plane of a panel: (slow, fast) pixels, (2, n)."""
    axes = np.stack([panel.slow, panel.fast])
    normal = np.cross(panel.slow, panel.fast)
    on = places * ((np.array(panel.origin) @ normal) / (places @ normal))[:, None] - np.array(panel.origin)
    return np.asarray(np.linalg.pinv(axes.T) @ on.T / panel.pixel_size)


def _unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / np.linalg.norm(vector))
