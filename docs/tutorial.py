# %% [markdown]
# # tilesim from Python
#
# Run it as a script (`python docs/tutorial.py`) or cell by cell in an editor that knows `# %%`.
# It needs no input files: the structure factors are synthetic.

# %% An experiment from a nanoBragg command line
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

import tilesim
from tilesim.example import write_example

folder = Path(mkdtemp())
write_example(folder / "input")

experiment = tilesim.from_nanobragg(
    f"-mat {folder}/input/A.mat -hkl {folder}/input/lysozyme.hkl -lambda 0.9768 -distance 180 -pixel 0.172 "
    "-detpixels_x 600 -detpixels_y 500 -N 20 -phi 10 -osc 0.5 -phisteps 5 -oversample 1 -fluence 1e24"
)
print(experiment.shape, "pixels (slow, fast);", experiment.evaluations, "evaluations per pixel")

# %% A lazy image: nothing is computed until something asks for it
image = tilesim.simulate(experiment, tile=128)
print(image)

# %% Slicing computes only the tiles that the slice touches
corner = image[:100, :100].compute()
print("brightest pixel of the corner:", corner.max(), "photons")

# %% The whole image; reductions run tile by tile
print("all photons:", float(image.sum(dtype=np.float64).compute()))

# %% Small images at once
region = tilesim.Region(slow_start=200, slow_stop=264, fast_start=300, fast_stop=364)
small = experiment.replace(sampling=experiment.sampling.replace(roi=region))
pixels = tilesim.simulate_now(small)
inside = pixels[200:264, 300:364]
print("lit pixels:", np.count_nonzero(pixels), "| of them in the region:", np.count_nonzero(inside))

# %% Experiments are values: every part has `replace`, which changes some fields and keeps the others
turned = experiment.replace(scan=experiment.scan.replace(start=0.3))
print("the same experiment?", turned == experiment, "| digests:", turned.digest[:12], experiment.digest[:12])

# %% Or build one from nouns, in SI units: metres, radians, photons per square metre
cubic = tilesim.Experiment(
    beam=tilesim.Beam(direction=(0.0, 0.0, 1.0), wavelength=1e-10, polarization_axis=(1.0, 0.0, 0.0), fluence=1e26),
    crystal=tilesim.Crystal.from_cell(5e-9, 5e-9, 5e-9, cells=(8, 8, 8)),
    detector=tilesim.Detector(tilesim.Panel.facing(distance=0.1, pixel_size=1e-4, shape=(256, 256))),
    factors=tilesim.StructureFactors.constant(100.0),
)
print("photons from a cubic crystal:", tilesim.simulate_now(cubic).sum(dtype=np.float64))
