"""The order of help: options that matter most first, then all options of `run` by their subject."""

from __future__ import annotations

FIRST = (
    *("-mat", "-cell", "-hkl", "--model", "-default_F", "-N", "-lambda", "-distance", "-pixel", "-detpixels"),
    *("--detector", "-phi", "-osc", "-phisteps", "--frames", "-floatfile", "--zarr", "--preview", "--workers"),
    "--resume",
)
"""Flags and options that most runs consist of."""
GROUPS: dict[str, tuple[str, ...]] = {
    "Output": (
        *("--zarr", "--preview", "--json", "--compression", "--resume", "--overwrite", "--tables", "--truth"),
        *("--completeness", "--write-fdump", "--dry-run", "--quiet", "-h"),
    ),
    "Where it runs": (
        *("--workers", "--scheduler", "--scheduler-file", "--tls-ca", "--tls-cert", "--tls-key", "--timeout"),
        *("--assemble", "--device"),
    ),
    "What is simulated: series": ("--frames", "--frame-osc"),
    "What is simulated: structure factors": (
        *("--column", "--symmetry", "--model", "--dmin", "--k-sol", "--b-sol", "--hkl-by-energy", "--fp-fdp"),
    ),
    "What is simulated: crystal": (
        *("--cell-file", "--stream", "--crystal-shape", "--ncells", "--node-height", "--mosaic-sigma"),
        *("--mosaic-frame", "--mosaic-axes", "--spread-seed", "--mosaic-matrices", "--domain-sizes"),
        *("--crystal-size", "--lattices"),
        *("--diffuse-gamma", "--diffuse-sigma", "--diffuse-symmetry", "--diffuse-stencil", "--diffuse-frame"),
    ),
    "What is simulated: beam": ("--spectrum", "--channels", "--channel-width"),
    "What is simulated: background": (
        *("--background", "--background-thickness", "--background-density", "--background-mw"),
    ),
    "What is simulated: detector": ("--detector", "--geometry", "--experiment"),
    "Numerics": ("--tile", "--precision", "--backend", "--strict-c"),
}
"""Options by the first of their spellings."""
