"""docs/python.md: the verbs of `import tilesim`, run as the one plain script that the page is, on two workers."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tilesim

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """The folder in which the page ran, and what it printed."""
    folder = tmp_path_factory.mktemp("page")
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    (folder / "page.py").write_text("\n".join(blocks))
    done = subprocess.run([sys.executable, "page.py"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_the_page_runs_as_it_stands(script):
    folder, done = script
    assert done.stdout.startswith("Experiment\n  beam      1 Å (12.3984 keV)")
    assert "4 frames in" in done.stdout and "A in the corner, 50 shells" in done.stdout
    assert done.stderr == ""
    names = {path.name for path in folder.iterdir()}
    assert {"x.zarr", "y.zarr", "x.h5", "x.expt", "x_0.cbf", "x.png", "x_003.bin", "x_003.png"} <= names
    assert not [name for name in names if name.startswith(".")]


def test_what_the_page_made_is_right(script):
    folder, _ = script
    data = tilesim.open(folder / "x.zarr")
    for frame in range(4):
        image = tilesim.simulate_now(data.experiment(frame))
        assert image.max() > 0
        np.testing.assert_array_equal(np.asarray(data.image(frame)), image)
        np.testing.assert_array_equal(np.fromfile(folder / f"x_{frame:03d}.bin", "<f4").reshape(300, 320), image)
        assert tilesim.open(folder / "x.h5").experiment(frame) == data.experiment(frame)
    assert len({data.experiment(frame).digest for frame in range(4)}) == 4
    np.testing.assert_allclose(data.xarray().wavelength, [1.0, 1.0, 1.1, 1.2])
