"""Time of a still with a spectrum of many channels, as a share of as many monochromatic stills.

A square or gaussian crystal in one orientation, amplitudes by photon energy of some anomalous elements: they are mixed
from their parts at every evaluation. CPU times of the kernel alone, the best of three.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import tilesim
from bench.record import machine, save, table
from tilesim.kernels import fused
from tilesim.model import AnomalousCurve, AnomalousFactors, Spectrum, StructureFactors

FLAGS = (
    "-cell 78 78 38 90 90 90 -default_F 100 -nointerpolate -oversample 1 -distance 100 -lambda 1 -pixel 0.1 -N 20 "
    "-detpixels 512 -misset 10 20 30"
)
TABLE, LOWEST = (61, 61, 41), (-30, -30, -20)
BAND = (0.995e-10, 1.005e-10)
PIXELS = 2**17
RNG = np.random.default_rng(1)


def main(arguments: list[str]) -> None:
    """Run, print the table, write bench/results/channels-DATE.json."""
    parser = argparse.ArgumentParser(prog="python -m bench channels", description=__doc__.splitlines()[0])
    parser.add_argument("--channels", type=int, default=100)
    options = parser.parse_args(arguments)
    base = tilesim.from_nanobragg(FLAGS.split())
    beam = base.beam.with_spectrum(Spectrum(np.linspace(*BAND, options.channels), np.ones(options.channels)))
    single = base.replace(factors=StructureFactors(RNG.uniform(5, 100, TABLE), LOWEST))
    rows = []
    for shape in ("square", "gauss"):
        crystal = base.crystal.replace(shape=shape)
        alone = seconds(single.replace(crystal=crystal))
        for elements in (0, 1, 3, 5):
            factors = anomalous(elements) if elements else single.factors
            many = seconds(base.replace(crystal=crystal, beam=beam, factors=factors))
            share = 100 * many / alone / options.channels
            rows.append(
                {"shape": shape, "elements": elements, "mono_ms": 1e3 * alone, "ms": 1e3 * many, "percent": share}
            )
    table(tuple(rows[0]), rows)
    save("channels", {**machine(), "flags": FLAGS, "channels": options.channels, "rows": rows})


def anomalous(elements: int) -> AnomalousFactors:
    """Amplitudes by photon energy of so many elements."""
    shape = (1 + elements, *TABLE)
    parts = RNG.uniform(-60, 60, shape) + 1j * RNG.uniform(-60, 60, shape)
    curves = [
        AnomalousCurve(f"E{n}", [11.0, 12.3, 13.0], RNG.uniform(-2, 1, 3), RNG.uniform(0, 2, 3))
        for n in range(elements)
    ]
    return AnomalousFactors(parts, curves, 1e-10, LOWEST)


def seconds(experiment: tilesim.Experiment) -> float:
    """CPU time of the kernel over some pixels."""
    kernel, numbers, times = fused.lower(experiment), np.arange(PIXELS), []
    for _ in range(3):
        start = time.process_time()
        kernel.photons(numbers)
        times.append(time.process_time() - start)
    return min(times)
