"""Draw the same part of several images side by side: python noise.py IMAGE ... OUT.png (see noise.md)."""

import sys

import numpy as np
from matplotlib import pyplot

from tilesim.images.image import open_image

*names, out = sys.argv[1:]
ROWS, COLUMNS = slice(560, 660), slice(600, 700)

figure, panels = pyplot.subplots(1, len(names), figsize=(4 * len(names), 4.2), layout="constrained")
for name, axes in zip(names, panels, strict=True):
    part = open_image(name).block(ROWS, COLUMNS).astype(float)
    low, high = np.percentile(part, [1, 99.5])
    axes.imshow(part, cmap="gray_r", vmin=low, vmax=high, extent=(COLUMNS.start, COLUMNS.stop, ROWS.stop, ROWS.start))
    axes.set_title(f"{name}: {low:.0f} to {high:.0f}", fontsize=10)
figure.savefig(out, dpi=80)
