"""The report of a refinement for people: values with standard errors in the field's units, and what to be wary of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from tilesim.model.noun import counted
from tilesim.refinement.loop import Progress, Step
from tilesim.refinement.result import RefinedFrame, RefinedNumber, Refinement

SHOWN = {"m": (1e3, "mm"), "rad": (180.0 / math.pi, "°"), "1": (1.0, ""), "1/m²": (1.0, "1/m²"), "1/m": (1e-3, "1/mm")}
"""Factor and unit in which a unit is shown."""
ANGSTROM = ("crystal.", "other_crystals", "beam.wavelength")
"""Parameters whose lengths are atomic."""
STRONG = 0.95
"""Correlation that is worth a line."""
MOST_FRAMES = 20
"""Frames that are shown one by one."""


def report_lines(found: Refinement, numbers: tuple[int, ...]) -> Iterator[str]:
    """Lines on all frames, which have these numbers; what they share stands before."""
    frames = found.frames
    common = {one for one in frames[0].numbers if len(frames) > 1 and all(one in frame.numbers for frame in frames)}
    if common:
        yield "all frames"
        yield from _number_lines([one for one in frames[0].numbers if one in common])
    for number, frame in list(zip(numbers, found.frames, strict=True))[:MOST_FRAMES]:
        if len(numbers) > 1:
            yield f"frame {number}"
        yield from _frame_lines(frame, common)
    if len(numbers) > MOST_FRAMES:
        yield f"and {counted(len(numbers) - MOST_FRAMES, 'frame')} more: --json has all"
    yield "converged" if found.converged else f"NOT converged: {_of_frames(found)}"


def _of_frames(found: Refinement) -> str:
    failed = sum(not frame.converged for frame in found.frames)
    return f"{failed} of {counted(len(found.frames), 'frame')}"


def _frame_lines(frame: RefinedFrame, common: set[RefinedNumber]) -> Iterator[str]:
    own = [one for one in frame.numbers if one not in common]
    yield from _number_lines(own)
    yield (
        f"  chi²/pixel {frame.chi_squared / max(frame.pixels, 1):.4g} of {counted(frame.pixels, 'pixel')}"
        + (f", {counted(frame.outliers, 'outlier')}" if frame.outliers else "")
    )
    strong = np.argwhere(np.abs(np.triu(frame.correlations, 1)) > STRONG)
    for i, j in strong.tolist():
        names = (frame.numbers[i].name, frame.numbers[j].name)
        yield f"  correlation of {names[0]} and {names[1]}: {frame.correlations[i, j]:.3f}"


def _number_lines(numbers: Sequence[RefinedNumber]) -> Iterator[str]:
    rows = [_row(one) for one in numbers]
    widths = [max((len(row[n]) for row in rows), default=0) for n in range(4)]
    for name, value, error, unit in rows:
        yield f"  {name:<{widths[0]}}  {value:>{widths[1]}}  ± {error:<{widths[2]}}  {unit}".rstrip()


def _row(one: RefinedNumber) -> tuple[str, str, str, str]:
    factor, unit = (1e10, "Å") if one.unit == "m" and one.name.startswith(ANGSTROM) else SHOWN[one.unit]
    value, error = factor * one.value, factor * one.error
    if one.bound:
        return one.name, f"{value:.8g}", "at its bound", unit
    if math.isinf(error):
        return one.name, f"{value:.8g}", "not determined", unit
    digits = max(0, 1 - math.floor(math.log10(error))) if error > 0 else 6
    small = abs(value) < 1e7 and digits < 9
    return one.name, f"{value:.{digits}f}" if small else f"{value:.6g}", f"{error:.2g}", unit


def step_line(progress: Progress) -> str:
    """One line on the last step of a refinement."""
    step: Step = progress.history[-1]
    stage = "" if step.width == 1 else f"{step.width:g} times broader{' (scale)' if step.scale_alone else ''}, "
    begins = "begins" if step.number == 0 else f"step {step.number}" + ("" if step.better else ", damped")
    running = f", {step.running} of {len(progress.fits)} go on" if len(progress.fits) > 1 else ""
    each = step.chi_squared / max(step.pixels, 1)
    return f"{stage}{begins}: chi²/pixel {each:.5g}, deviance {step.deviance:.8g}{running}"
