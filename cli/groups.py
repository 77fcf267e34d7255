"""The order of help: options that matter most first, then all options of `run` by their subject."""

from __future__ import annotations

from collections.abc import Mapping

Record = tuple[str, str]
"""Spelling and help of an option."""
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


def by_subject(records: Mapping[str, Record]) -> dict[str, list[Record]]:
    """Records of options in the sections of help; the first one has those of their command alone."""
    subjects = {title: [records[name] for name in names if name in records] for title, names in GROUPS.items()}
    grouped = {name for names in GROUPS.values() for name in names}
    return {"Options": [record for name, record in records.items() if name not in grouped], **subjects}
