"""One small sound file of each kind that tilesim reads, written by other programs' libraries where there are any."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from commands import MATRIX, REFLECTIONS

TEXTS = {
    "A.mat": MATRIX,
    "P1.hkl": REFLECTIONS,
    "s.txt": "0 0 1 1 1.5e-10\n0 0.001 1 1 1.5e-10\n",
    "c.stol": "0 5\n0.1 4\n0.5 1\n2 0.1\n",
    "g.toml": "pixel = 1\nshape = [6, 6]\nwavelength = 1.5\n[[panel]]\norigin = [-3, -3, 100]\n"
    "fast = [1, 0, 0]\nslow = [0, 1, 0]\n",
    "g.geom": "photon_energy = 8000 eV\nclen = 0.1\nres = 1000\nadu_per_photon = 1\np0/min_fs = 0\np0/max_fs = 5\n"
    "p0/min_ss = 0\np0/max_ss = 5\np0/corner_x = -3\np0/corner_y = -3\np0/fs = x\np0/ss = y\n",
    "b.toml": 'flags = "-mat A.mat -hkl P1.hkl -N 2 -lambda 1.5 -distance 100 -pixel 1 -detpixels 6 -oversample 1"\n'
    'floatfile = "b_{frame}.bin"\nzarr = "b.zarr"\n[grid]\nphi = [1, 2]\n[[experiment]]\nname = "x"\nmosaic = 0.1\n',
    "u.cell": "CrystFEL unit cell file version 1.0\n\nlattice_type = orthorhombic\ncentering = P\n"
    "a = 50 A\nb = 4.0 nm\nc = 33 A\nal = 90 deg\nbe = 90 deg\nga = 90 deg\n",
    "list.hkl": "CrystFEL reflection list version 2.0\nSymmetry: mmm\n"
    "   h    k    l          I    phase   sigma(I)   nmeas\n"
    "   1    2    3      49.00        -       1.00       9\n   0    1    2      25.00        -       2.00       3\n"
    "End of reflections\n",
    "pulse.txt": "# energy/eV weight\n8200, 1\n8260, 4\n8300, 2\n",
    "pulse.lam": "1.49 1\n1.5 2\n1.51 1\n",
    "fp.txt": "# eV f' f''\n8000 0.3 0.5\n8300 0.31 0.55\n8500 0.3 0.6\n",
    "turns.txt": "1 0 0 0 1 0 0 0 1\n0 1 0 0 0 1 1 0 0\n",
    "lattices.txt": "0.6 0 0 0\n0.4 12 -75 30\n",
    "sizes.txt": "0.8 1\n1.2 2\n",
    "shots.toml": 'flags = "-mat A.mat -hkl P1.hkl -N 2 -lambda 1.5 -distance 100 -pixel 1 -detpixels 6"\n'
    "oversample = 1\n"
    'floatfile = "d_{frame}.bin"\nzarr = "d.zarr"\nshots = 3\n[draw]\nseed = 2\n'
    'orientation = { stream = "x.stream", order = "cyclic" }\n'
    'cell = { distribution = "normal", sd = 0.01, relative = true }\n'
    'lattices = { distribution = "poisson", mean = 1.2 }\nlattice_share = 0.5\n'
    'size = { distribution = "lognormal", median = 20, sigma = 0.3, high = 60 }\n'
    'energy = { distribution = "normal", sd = 50 }\nfluence = { distribution = "gamma", sd = 0.4, relative = true }\n'
    'beam_centre = [{ distribution = "uniform", low = -1, high = 1 }, 0.5]\n'
    'distance = { csv = "v.csv", column = "mm" }\nblank = 0.2\n',
    "rows.toml": 'flags = "-mat A.mat -hkl P1.hkl -N 2 -lambda 1.5 -distance 100 -pixel 1 -detpixels 6 -oversample 1"\n'
    'zarr = "d.zarr"\nshots = 2\n[draw]\norientation = { csv = "v.csv", quaternion = ["w", "x", "y", "z"] }\n'
    'N = { distribution = "choice", values = [2, 3], weights = [1, 2] }\n[zip]\nphi = [1, 2]\n',
    "x.lst": "n.h5 //0\nn.h5 //1\n",
    "v.csv": "mm, w, x, y, z\n100, 1, 0, 0, 0\n101, 0, 1, 0, 0\n102, 0.6, 0, 0.8, 0\n",
    "mask.img": "{\nHEADER_BYTES=512;\nDIM=2;\nBYTE_ORDER=little_endian;\nTYPE=unsigned_short;\nSIZE1=6;\nSIZE2=6;\n"
    "PIXEL_SIZE=1;\n}\n\f".ljust(512)
    + "\1\0" * 36,
    "t.log": "TRACE: lambda_meters 1.5e-10\nTRACE: a 1 2 3\nTRACE: F_cell 20\n",
    "sched.json": '{"type": "Scheduler", "address": "tcp://127.0.0.1:1", "workers": {}}',
}
FLAGS = "-mat A.mat -hkl P1.hkl -N 2 -lambda 1.5 -distance 100 -pixel 1 -detpixels 6 -oversample 1".split()
"""A command line whose image takes no time."""
STORES = ("z.zarr", "levels.zarr", "t.zarr")
BESIDE = {
    "shots.toml": ("x.stream", "v.csv"),
    "rows.toml": ("v.csv",),
    "x.lst": ("n.h5",),
    "drawn.toml": ("x.stream", "d.expt", "v.csv"),
}
"""Files that files read."""


def build(folder: str) -> None:
    """Write all files into an empty folder; to be called in a process that is not forked any more."""
    import h5py
    import models
    import numpy as np

    import tilesim

    before = os.getcwd()
    os.chdir(folder)
    try:
        for name, text in TEXTS.items():
            Path(name).write_text(text)
        hkl = models.unique("P 21 21 21", 6.0)
        amplitudes = np.linspace(5, 100, len(hkl))
        models.write_mtz("m.mtz", hkl, {"FP": ("F", amplitudes), "SIGFP": ("Q", amplitudes / 9)})
        models.write_sf_cif("f.cif", hkl, {"F_meas_au": amplitudes})
        models.write_pdb("m.pdb", atoms=5)
        models.structure(atoms=5).make_mmcif_document().write_file("m.cif")
        still = tilesim.from_nanobragg([*FLAGS, "-osc", "1", "-phisteps", "2"])
        series = tilesim.Series(still, {"scan.start": [0.0, 0.02]})
        tilesim.run(series, store="z.zarr", tile=4, progress=False)
        tilesim.export("z.zarr", "f.bin", frames=0)
        tilesim.export("z.zarr", "i.img", frames=0, scale=1.0)
        for name in ("c.cbf", "e.edf", "t.tif"):
            tilesim.export("z.zarr", name, frames=0, scale=1.0)
        tilesim.export("z.zarr", "n.h5", scale=1.0)
        tilesim.export("z.zarr", "d.expt")
        tilesim.run(tilesim.draw(still, 2, orientation="uniform"), store="t.zarr", truth=True, progress=False)
        write_stream("x.stream", TEXTS["g.geom"])
        shutil.copy("f.bin", "raw.bin")
        with h5py.File("data.h5", "w") as file:
            file["data"] = np.ones((1, 6, 6), np.int32)
        with h5py.File("master.h5", "w") as file:
            file["entry/data/data_000001"] = h5py.ExternalLink("data.h5", "/data")
        _with_levels()
        command = tilesim.read_command([*FLAGS, "-dump", "F.bin"], write_fdump=True)
        from tilesim.reflections.fdump import write_fdump

        write_fdump("F.bin", command.experiment.factors)
    finally:
        os.chdir(before)


def write_stream(name: str, geometry: str) -> None:
    """A CrystFEL stream by its definition: a geometry, a chunk without and one with a crystal."""
    head = "----- Begin chunk -----\nImage filename: {0}.h5\nEvent: //{0}\nphoton_energy_eV = 8265.6\n"
    crystal = "--- Begin crystal\nastar = +0.2 +0.01 +0.0 nm^-1\nbstar = +0.0 +0.25 +0.01 nm^-1\n"
    crystal += "cstar = +0.01 +0.0 +0.3 nm^-1\n--- End crystal\n"
    rows = [
        "CrystFEL stream format 2.3\n",
        f"----- Begin geometry file -----\n{geometry}----- End geometry file -----\n",
    ]
    rows += [f"{head.format(k)}{crystal * k}----- End chunk -----\n" for k in range(3)]
    Path(name).write_text("".join(rows))


def _with_levels() -> None:
    """A store whose image is large enough for coarser levels."""
    import numpy as np
    import samples

    from tilesim.tools.pyramid import build_pyramid

    samples.store(Path("levels.zarr"), np.zeros((1, 520, 8), np.float32), (260, 8))
    build_pyramid("levels.zarr")
