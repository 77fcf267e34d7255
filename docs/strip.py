"""Draw the strip of pictures at the head of the README: python docs/strip.py OUT.png."""

import os
import sys
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib import pyplot
from matplotlib.colors import AsinhNorm

import tilesim
from tilesim.example import write_example
from tilesim.model.sampling import Region
from tilesim.pictures.grey import grey_of
from tilesim.tools.look import Subject, look

CRYSTAL = (
    "-mat A.mat -hkl lysozyme.hkl -lambda 0.9768 -N 20 --crystal-shape gauss-hkl --crystal-size 20 -mosaic_domains 20"
)
BEAM = "-flux 1e12 -exposure 0.1 -beamsize 0.03 -phi 10"
SQUARE = "-distance 150 -pixel 0.344 -detpixels 500 -oversample 3"
TURN = "-osc 0.5 -phisteps 5"
WATER = "--background water --background-thickness 0.1"
STRIP = {
    "half a degree in water": f"{SQUARE} {TURN} --mosaic-sigma 0.1 {WATER}",
    "still, 3 % bandwidth": f"{SQUARE} --mosaic-sigma 0.02 --spectrum tophat:bandwidth=0.03 --channels 60",
    "64 panels of a CSPAD": f"--detector cspad -distance 140 {TURN} --mosaic-sigma 0.3 -oversample 1",
    "rings of ice": f"{SQUARE} {TURN} --mosaic-sigma 0.1 --background ice --background-thickness 0.02",
}
"""Experiments of the strip, by what is written above each."""
INCH, BLOCKS = 3.2, 330


def main(out: str) -> None:
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        write_example(".")
        shown = [(title, blocks(flags), None) for title, flags in STRIP.items()]
        wet = experiment(STRIP["half a degree in water"])
        part = (slice(110, 200), slice(250, 340))
        counts = tilesim.add_noise(tilesim.simulate(wet), tilesim.Noise(scale=0.03, offset=0.0)).compute()
        shown.append(("counts of 3 % of it, enlarged", np.asarray(counts)[part], None))
        slope = np.asarray(tilesim.gradient(wet, "crystal.rotation")[1][part])
        shown.append(("derivative by a rotation", slope, AsinhNorm(np.abs(slope).max() / 300, clip=True)))
    save(shown, out)


def experiment(flags: str) -> tilesim.Experiment:
    return tilesim.from_nanobragg(f"{CRYSTAL} {BEAM} {flags}")


def blocks(flags: str) -> np.ndarray:
    """The image of an experiment, its panels assembled, in blocks of pixels."""
    one = experiment(flags)
    tilesim.run(one, store="one.zarr", overwrite=True)
    subject = Subject(tilesim.open("one.zarr"), panel_number=None if len(one.detector.panels) > 1 else 0)
    return look(subject, Region(0, subject.image.shape[0], 0, subject.image.shape[1]), BLOCKS).blocks


def save(shown, out: str) -> None:
    figure, places = pyplot.subplots(1, len(shown), figsize=(INCH * len(shown), INCH * 1.01), layout="constrained")
    for axes, (title, image, norm) in zip(places, shown, strict=True):
        colours = pyplot.get_cmap("gray_r" if norm is None else "RdBu").with_extremes(bad="#f2ead8")
        if norm is None:
            norm = grey_of(image[np.isfinite(image)]).norm()
        else:
            norm.vmin, norm.vmax = -np.abs(image).max(), np.abs(image).max()
        axes.imshow(image, cmap=colours, norm=norm, interpolation="nearest" if image.shape[0] < 200 else "antialiased")
        axes.set_title(title, fontsize=10)
        axes.set(xticks=(), yticks=())
    figure.get_layout_engine().set(w_pad=0.02, wspace=0.01)
    figure.savefig(out, dpi=100)


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
