"""Cases of ../shared/peer, images of another program, as experiments; tests skip where they are not there."""

import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import tilesim

HERE = Path(__file__).parent
LIMIT = 1e-6
"""Largest difference that a test allows, relative to the image's maximum."""

SHAPES = {"square": "square", "round": "round", "gauss": "gauss-hkl"}
"""Shapes by the names that the cases have."""


def folder() -> Path | None:
    """The folder of the cases, where there is one."""
    places = (os.environ.get("TILESIM_PEER"), HERE.parents[2] / "shared" / "peer")
    return next((Path(p) for p in places if p and (Path(p) / "tables").is_dir()), None)


def params(name: str) -> dict:
    """What `params.json` of a case says; skips the test without it."""
    return json.loads(_file(name, "params.json").read_text())


def image(name: str, file: str = "image.npy") -> np.ndarray:
    """An image of a case (slow, fast) float64: photons, or a derivative."""
    return np.load(_file(name, file))


@cache
def factors(file: str) -> tilesim.StructureFactors:
    """A table of the cases by the name that `F_file` has."""
    table, _ = tilesim.read_hkl(_file("tables", f"{file}.gz"))
    return table


def experiment(name: str, **changes) -> tilesim.Experiment:
    """The experiment of a case, its crystal as `crystal` makes it; `changes` as of `Experiment.replace`.

    All sources share the table of the first one.
    """
    p = params(name)
    parts = {"beam": beam(p), "crystal": crystal(p), "detector": detector(p), "factors": factors(_tables(p)[0])}
    sampling = tilesim.Sampling(oversample=p["sampling"]["oversample"], oversample_omega=True, oversample_thick=True)
    return tilesim.Experiment(**{**parts, "sampling": sampling, **changes})


def beam(p: dict) -> tilesim.Beam:
    """The beam of a case: weights are shares of the fluence, of which `Beam` takes the mean for 1."""
    b = p["beam"]
    total = sum(one["weight"] for one in b["sources"])
    waves = [(one["incident"], one["wavelength_A"] * 1e-10, one["weight"] / total) for one in b["sources"]]
    wavelength = sum(wave * weight for _, wave, weight in waves)
    sources = [tilesim.Source(way, wave, weight * len(waves)) for way, wave, weight in waves]
    return tilesim.Beam(
        b["incident_mean"],
        wavelength,
        b["fluence_photons_per_m2"],
        b["polarization_E_axis"],
        None if b.get("nopolar") else b["kahn_factor"],
        sources,
    )


def detector(p: dict) -> tilesim.Detector:
    """The panel of a case, without a sensor."""
    d = p["detector"]
    assert d["thick_mm"] == 0.0, "a case with a sensor; expected none"
    panel = tilesim.Panel(
        origin=[x * 1e-3 for x in d["pix0_mm"]],
        fast=d["fast"],
        slow=d["slow"],
        normal=d["normal"],
        pixel_size=d["pixel_mm"] * 1e-3,
        shape=(d["n_slow"], d["n_fast"]),
        close_distance=d["close_distance_mm"] * 1e-3,
    )
    return tilesim.Detector((panel,))


def crystal(p: dict, **changes) -> tilesim.Crystal:
    """The crystal of a case with its explicit mosaic matrices."""
    c = p["crystal"]
    n = c.get("N_matrix")
    fields = {
        "cells": c["Ncells"],
        "cells_off_diagonal": (n[0][1], n[1][2], n[0][2]) if n else (0.0, 0.0, 0.0),
        "shape": SHAPES[c["shape"]],
        "mosaic_rotations": np.reshape(c["mosaic_matrices"], (-1, 3, 3)),
    }
    return tilesim.Crystal(*(tuple(x * 1e-10 for x in row) for row in c["A_rows_A"]), **{**fields, **changes})


def difference(found: np.ndarray, name: str, file: str = "image.npy") -> float:
    """Largest difference of an image from that of a case, relative to the case's maximum, which is not zero."""
    wanted = image(name, file)
    largest = np.abs(wanted).max()
    assert found.shape == wanted.shape and largest > 0 and np.abs(found).max() > 0
    return float(np.abs(found - wanted).max() / largest)


def _tables(p: dict) -> list[str]:
    return [one["F_file"] for one in p["beam"]["sources"]]


def _file(name: str, file: str) -> Path:
    found = folder()
    if found is None or not (found / name / file).exists():
        pytest.skip("needs the images of another program (TILESIM_PEER)")
    return found / name / file
