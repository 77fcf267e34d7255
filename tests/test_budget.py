"""The memory model against measured peaks, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tilesim.tiling.budget import NUMBERS_PER_PIXEL

BLOCK = 2**19
SCRIPT = f"""
import dataclasses, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from experiments import ALL, panel
from tilesim.model import Detector
from tilesim.run.job import lower_job, make_job
from tilesim.compute import simulate_tile

def status(key):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

experiment = ALL[sys.argv[1]].replace(detector=Detector((panel((512, 1024)),)), mask=None)
experiment = experiment.replace(sampling=dataclasses.replace(experiment.sampling, roi=None))
job = make_job(experiment, (512, 1024), sys.argv[2], "cpu", "eager")
lowered = lower_job(job)
simulate_tile(lowered, dataclasses.replace(job.plan[0], slow_stop=8, fast_stop=64))
open("/proc/self/clear_refs", "w").write("5")  # forget the peak so far
before = status("VmRSS:")
simulate_tile(dataclasses.replace(lowered, block={BLOCK}), job.plan[0])
print(status("VmHWM:") - before)
"""


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux to tell the peak")
@pytest.mark.parametrize("name", ["plain", "interpolated", "strict rich"])
def test_the_kernel_holds_no_more_numbers_per_pixel_than_budgeted(name):
    done = subprocess.run([sys.executable, "-c", SCRIPT, name, "double"], capture_output=True, text=True, check=True)
    numbers = int(done.stdout) / 8 / BLOCK
    assert 10 < numbers < NUMBERS_PER_PIXEL
