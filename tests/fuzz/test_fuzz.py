"""A sample of hostile calls; `make fuzz` makes the whole of them."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
SAMPLE = 40


def test_hostile_calls_end_in_a_line_and_harm_nothing():
    words = (sys.executable, "-m", "fuzz", "--cases", str(SAMPLE), "--jobs", "2")
    done = subprocess.run(
        words, env={**os.environ, "PYTHONPATH": str(TESTS)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{SAMPLE} cases in" in done.stdout
