"""The crystal beyond nanoBragg's flags (--crystal-shape, --ncells, ...), in place of what these say."""

from __future__ import annotations

from dataclasses import replace

from tilesim.errors import InputError
from tilesim.model import Crystal
from tilesim.model.crystal import Shape
from tilesim.nanobragg.options import Options
from tilesim.nanobragg.settings import Settings

FLAGS = {Shape.ROUND: "-round_xtal", Shape.GAUSS: "-gauss_xtal", Shape.TOPHAT: "-tophat_spots"}
"""Flags of nanoBragg's that choose a shape."""


def with_crystal(settings: Settings, options: Options) -> Settings:
    """The settings with the shape and the cells that options say. Raises InputError where flags say others."""
    shape, cells = settings.shape, list(settings.cells)
    if options.crystal_shape is not None:
        if shape in FLAGS:
            raise InputError(f"--crystal-shape and {FLAGS[shape]}; expected one of them")
        shape = Shape(options.crystal_shape)
    if options.ncells is not None:
        if cells != Settings().cells:
            raise InputError("--ncells and -N, -Na, -Nb or -Nc; expected one of them")
        if any(settings.sample_size):
            raise InputError("--ncells with a crystal size (-xtalsize and its kin); expected one of them")
        if not min(options.ncells[:3]) > 0:
            shown = ",".join(f"{n:g}" for n in options.ncells)
            raise InputError(f"--ncells is {shown}; expected numbers of cells above 0")
        cells = list(options.ncells[:3] if len(options.ncells) > 1 else options.ncells * 3)
    _check_shape(shape, options)
    return replace(settings, shape=shape, cells=cells)


def _check_shape(shape: Shape, options: Options) -> None:
    oriented = options.ncells is not None and len(options.ncells) == 6
    for said, given in (("--ncells of six numbers", oriented), ("--node-height", options.node_height is not None)):
        if given and not shape.in_hkl:
            raise InputError(f"{said} with the shape {shape}; expected --crystal-shape gauss-hkl or tophat-hkl")


def as_chosen(crystal: Crystal, options: Options) -> Crystal:
    """The crystal of the flags with what else options say of it. Raises InputError."""
    oriented = options.ncells is not None and options.ncells[3:]
    return crystal.replace(cells_off_diagonal=oriented or (0.0, 0.0, 0.0), unit_height=options.node_height == "one")
