"""The torch port of nanoBragg beside: CPU time of its image and of one backward pass, where NB_TORCH names its folder.

It is run in a process of its own, on the experiment of `bench gradients`, in float64, on as many threads as tilesim.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

SCRIPT = """
import json, resource, sys, time
import torch
from nanobrag_torch.config import BeamConfig, CrystalConfig, DetectorConfig
from nanobrag_torch.models.crystal import Crystal
from nanobrag_torch.models.detector import Detector
from nanobrag_torch.simulator import Simulator

edge, phi, domains, repeats = map(int, sys.argv[1:5])
torch.set_num_threads(int(sys.argv[5]))


def number(value):
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


def image(leaves):
    a, b, c, alpha, beta, gamma, x, y, z, wavelength, distance, fluence = leaves
    crystal = CrystalConfig(
        a, b, c, alpha, beta, gamma, misset_deg=(x, y, z), N_cells=(12, 12, 12), default_F=100.0, phi_steps=phi,
        osc_range_deg=0.1 if phi > 1 else 0.0, mosaic_spread_deg=0.3 if domains > 1 else 0.0, mosaic_domains=domains,
    )
    beam = BeamConfig(wavelength_A=wavelength, fluence=fluence)
    detector = DetectorConfig(distance_mm=distance, pixel_size_mm=0.1, spixels=edge, fpixels=edge, oversample=1)
    kind = {"dtype": torch.float64}
    made = Crystal(crystal, beam, **kind)
    made.interpolate = False
    return Simulator(made, Detector(detector, **kind), crystal, beam, **kind).run()


def leaves():
    return [number(v) for v in (78.0, 78.0, 38.0, 90.0, 90.0, 90.0, 10.0, 20.0, 30.0, 1.0, 100.0, 1e24)]


forward, both = [], []
for _ in range(repeats + 1):
    start = time.process_time()
    with torch.no_grad():
        made = image(leaves())
    forward.append(time.process_time() - start)
    varied = leaves()
    start = time.process_time()
    image(varied).sum().backward()
    both.append(time.process_time() - start)
assert float(made.max()) > 0 and all(one.grad is not None and one.grad != 0 for one in varied[6:9])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"image_ms": 1e3 * min(forward[1:]), "backward": min(both[1:]) / min(forward[1:]), "peak_mb": peak}))
"""


def port(edge: int, phi: int, domains: int, repeats: int) -> dict[str, float] | None:
    """Milliseconds of its image, how many times that image and one backward pass take, and megabytes at the peak.

    None where NB_TORCH does not name a folder that has it.
    """
    folder = os.environ.get("NB_TORCH")
    if not folder:
        return None
    words = [sys.executable, "-c", SCRIPT, *map(str, (edge, phi, domains, repeats)), "1"]
    environment = {**os.environ, "PYTHONPATH": folder, "NANOBRAGG_DISABLE_COMPILE": "1"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1]}
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
