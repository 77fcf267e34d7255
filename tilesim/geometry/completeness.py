"""How much of what a detector can see a table of structure factors lists, by shells of resolution."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tilesim.frozen import frozen
from tilesim.geometry.resolution import d_spacings, resolution_limits
from tilesim.model import Beam, Experiment, Panel
from tilesim.model.vectors import norm

SHELLS = 8
SAMPLES = 64
"""Points along each side of a panel at which its pixels are put into shells."""
POINTS = 4_000_000
"""Points of the reciprocal lattice that are counted; of more, every so many planes."""


@frozen
class Shell:
    """A range of resolution."""

    d_max: float
    """Metres; infinite for the first shell of a detector that is hit by the direct beam."""
    d_min: float
    pixels: float
    """Share of all pixels that lies in it."""
    reflections: int
    """Points of the reciprocal lattice in it, the origin left out."""
    listed: int
    """How many of these the table does not leave to its default."""


def shells(experiment: Experiment, known: np.ndarray, count: int = SHELLS) -> tuple[Shell, ...]:
    """Shells of equal volume from the largest to the smallest d-spacing on the detector, for its central wavelength.

    known  (h, k, l) bool, which points of the grid of structure factors do not hold the default

    Symmetry is not thought of: systematic absences that are not known count as missing. A -dmin of the run ends the
    last shell.
    """
    beam, panels = experiment.beam, experiment.detector.panels
    finest = max(min(resolution_limits(panel, beam)[1] for panel in panels), experiment.sampling.dmin)
    spots = np.concatenate([_inverse_spacings(panel, beam) for panel in panels])
    lit = any(resolution_limits(panel, beam)[0] is not None for panel in panels)
    nearest = 0.0 if lit else min(spots.min(), 1 / finest)
    edges = np.cbrt(np.linspace(nearest**3, finest**-3, count + 1))
    share = np.histogram(spots, edges)[0] / max(1, len(spots))
    found, listed = _lattice_points(experiment, known, edges)
    return tuple(
        Shell(float(1 / lo) if lo > 0 else math.inf, float(1 / hi), float(p), int(n), int(k))
        for lo, hi, p, n, k in zip(edges[:-1], edges[1:], share, found, listed, strict=True)
    )


def _inverse_spacings(panel: Panel, beam: Beam) -> np.ndarray:
    """1/d (n,) in 1/m of points spread over a panel."""
    slow, fast = ((np.arange(SAMPLES) + 0.5) / SAMPLES * n for n in panel.shape)
    return 1 / d_spacings(panel, beam, *np.meshgrid(slow, fast, indexing="ij")).ravel()


def _lattice_points(experiment: Experiment, known: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lattice points in each shell (count,), all and known ones; estimates where there are very many."""
    crystal, minimum = experiment.lattice, experiment.factors.minimum
    reach = [int(norm(v) * edges[-1]) for v in (crystal.a, crystal.b, crystal.c)]
    metric = np.array(crystal.star) @ np.array(crystal.star).T
    k, l = (np.arange(-n, n + 1) for n in reach[1:])
    plane = metric[1, 1] * k[:, None] ** 2 + 2 * metric[1, 2] * np.outer(k, l) + metric[2, 2] * l**2
    across = 2 * (metric[0, 1] * k[:, None] + metric[0, 2] * l)
    # Odd, so that planes of both parities are counted.
    step = math.ceil((2 * reach[0] + 1) * plane.size / POINTS) // 2 * 2 + 1
    found, listed = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    for h in range(-reach[0], reach[0] + 1, step):
        squared = metric[0, 0] * h * h + h * across + plane
        if h == 0:
            squared[reach[1], reach[2]] = np.inf
        shell = np.searchsorted(edges**2, squared, side="right") - 1
        inside = (shell >= 0) & (shell < len(found))
        found += np.bincount(shell[inside], minlength=len(found))
        inside &= _plane_of(known, minimum, h, k, l)
        listed += np.bincount(shell[inside], minlength=len(found))
    return found * step, listed * step


def _plane_of(known: np.ndarray, minimum: tuple[int, int, int], h: int, k: np.ndarray, l: np.ndarray) -> np.ndarray:
    """Which lattice points of plane h are known, (k, l) bool."""
    plane = np.zeros((len(k), len(l)), dtype=bool)
    if not 0 <= h - minimum[0] < known.shape[0]:
        return plane
    rows, columns = (
        (x - lo >= 0) & (x - lo < n) for x, lo, n in zip((k, l), minimum[1:], known.shape[1:], strict=True)
    )
    plane[np.ix_(rows, columns)] = known[h - minimum[0]][np.ix_(k[rows] - minimum[1], l[columns] - minimum[2])]
    return plane


def completeness_lines(found: Sequence[Shell], default: float) -> tuple[str, ...]:
    """The shells as a small table, and what is left to `default`; nothing of no shells."""
    if not found:
        return ()
    lines = [
        "structure factors on the detector, by resolution:",
        f"{'d (A)':^17}{'pixels':>8}{'reflections':>13}{'listed':>9}",
    ]
    for s in found:
        share = f"{100 * s.listed / s.reflections:.1f} %" if s.reflections else "-"
        lines.append(
            f"{s.d_max * 1e10:7.3f} - {s.d_min * 1e10:6.3f} {100 * s.pixels:6.1f} %{s.reflections:13d}{share:>9}"
        )
    total, listed = sum(s.reflections for s in found), sum(s.listed for s in found)
    if total:
        lines.append(
            f"{100 * listed / total:.1f} % are listed; {total - listed} of {total} hold -default_F, {default:g}"
        )
    return tuple(lines)
