"""The memory model against measured peaks, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tilesim.kernels import fused, library, tensors

BLOCK = 2**16
SCRIPT = f"""
import dataclasses, sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from experiments import ALL, panel
from tilesim.model import Detector
from tilesim.engine.job import lower_job, make_job
from tilesim.compute import simulate_tile

def status(key):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

experiment = ALL[sys.argv[1]].replace(detector=Detector((panel((128, 512)),)), mask=None)
experiment = experiment.replace(sampling=dataclasses.replace(experiment.sampling, roi=None))
job = make_job(experiment, (128, 512), sys.argv[2], "cpu", sys.argv[3])
lowered = lower_job(job)
simulate_tile(lowered, dataclasses.replace(job.plan[0], slow_stop=8, fast_stop=64))
open("/proc/self/clear_refs", "w").write("5")  # forget the peak so far
before = status("VmRSS:")
if sys.argv[3] == "eager":
    lowered = dataclasses.replace(lowered, block={BLOCK})
simulate_tile(lowered, job.plan[0])
print(status("VmHWM:") - before)
"""


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux to tell the peak")
@pytest.mark.parametrize("name", ["plain", "interpolated", "strict rich"])
def test_the_kernel_holds_no_more_numbers_per_pixel_than_budgeted(name):
    assert 10 < measured(name, "eager") < tensors.NUMBERS_PER_PIXEL


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux to tell the peak")
@pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")
@pytest.mark.parametrize("name", ["strict rich", "veiled"])
def test_the_fused_kernel_holds_next_to_nothing(name):
    tile = (4 + 4 + 3 * 8 + 8) / 8  # what the budget counts for a tile apart
    assert 1 < measured(name, "fused") < tile + fused.NUMBERS_PER_PIXEL


def measured(name, backend):
    """Float64 numbers for each pixel at the peak of one tile."""
    words = [sys.executable, "-c", SCRIPT, name, "double", backend]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return int(done.stdout) / 8 / BLOCK
