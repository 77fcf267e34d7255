"""NXmx HDF5 files: a series of one or many panels under bitshuffle/lz4, with beam, detector, spindle and cell.

All vectors are in the McStas frame (light along +z), so the experiment is turned into it as a whole. Panels lie one
below the other in the data, (frame, panel x slow, fast), each with its NXdetector_module.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.formats.axes import Axes, cell_parameters, oscillation, rotation_to, turned
from tilesim.formats.banded import Bands, regrouped
from tilesim.formats.counts import Counts
from tilesim.formats.extra import Hdf5, need
from tilesim.io.replace import replacing_path
from tilesim.model import Experiment, Panel
from tilesim.model.resolution import beam_centre

MATERIALS = ("Si", "CdTe", "GaAs")
"""Sensors that readers know."""
NO_THICKNESS = 1e-9
"""Metres, of the sensor where none was simulated: readers want one, and a real one would move spots (parallax)."""
TOP = 2**31 - 3
"""Largest count; readers take the two above it for marks."""
ABSENT = 2**32 - 1
CHUNK_BYTES = 2**27
"""Frames of more are stored in bands of rows; smaller ones in one chunk, as a detector's own."""
BAND_PIXELS = 2**22
OUTSIDE = 1 << 8
"""Bit of the pixel mask ("user defined") of pixels that were not simulated."""


@dataclass(frozen=True)
class Exposure:
    """What an experiment does not say of its beam in time."""

    seconds: float = 1.0
    total_flux: float | None = None
    """Photons per second."""
    beam_size: float | None = None
    """Edge of the square beam, metres."""


def nxmx_counts(scale: float | None) -> Counts:
    """Unsigned 32-bit numbers."""
    return Counts("an integer NXmx file", scale, "<u4", 0, TOP, ABSENT)


def write_nxmx(
    path: str | os.PathLike[str],
    frames: Sequence[Experiment],
    image: Callable[[int, int], Bands],
    *,
    material: str = "Si",
    exposure: Exposure = Exposure(),
    notes: dict[str, Any] | None = None,
) -> None:
    """Write a series, all or nothing, a chunk of it in memory at a time.

    frames   the experiment of each frame; they may differ in the start of their scan alone
    image    pixels of (frame, panel)
    notes    plain values that are kept beside the data, such as the command line

    Raises InputError where libraries are missing or the frames are no series of one experiment; StoreError.
    """
    h5py, plugin = need("h5py", "writing NXmx files"), need("hdf5plugin", "writing NXmx files")
    check_series(frames)
    first = turned(frames[0], rotation_to(Axes.MCSTAS, frames[0]))
    if material not in MATERIALS:
        raise InputError(f"--material {material}; expected one of {', '.join(MATERIALS)}")
    pixels = image(0, 0)
    with replacing_path(path) as name, h5py.File(name, "w") as file:
        file.attrs.update(NX_class="NXroot", default="entry")
        entry = _group(file, "entry", "NXentry", default="data")
        entry["definition"] = "NXmx"
        entry["definition"].attrs["version"] = "1.0"
        entry["program_name"] = "tilesim"
        instrument = _group(entry, "instrument", "NXinstrument")
        instrument["name"] = "tilesim"
        source = _group(entry, "source", "NXsource")
        source["name"] = "simulation by tilesim"
        sample = _group(entry, "sample", "NXsample")
        _write_beam(_group(instrument, "beam", "NXbeam"), first, exposure)
        sample["beam"] = instrument["beam"]
        _write_sample(sample, first, frames)
        integer = pixels.dtype.kind in "iu"
        _write_detector(_group(instrument, "detector", "NXdetector"), first, pixels, material, exposure, integer)
        if notes:
            _write_notes(entry, first, notes)
        data = _group(entry, "data", "NXdata", signal="data")
        compression = plugin.Bitshuffle(cname="lz4")
        _write_pixels(data, frames, image, pixels, compression)
        instrument["detector"]["data"] = h5py.SoftLink("/entry/data/data")
        _write_mask(instrument["detector"], first, compression)


def check_series(frames: Sequence[Experiment]) -> None:
    """Raise InputError unless the frames differ in the start of their scans alone, on flat panels of one shape."""
    first = frames[0]
    if any(panel.curved_radius is not None for panel in first.detector.panels):
        raise InputError("the detector is curved, which this format cannot tell; expected a flat one")
    for number, one in enumerate(frames):
        if one is first:
            continue
        same = (one.beam, one.crystal, one.detector) == (first.beam, first.crystal, first.detector)
        if not same or one.scan.replace(start=0.0) != first.scan.replace(start=0.0):
            raise InputError(f"frame {number} differs from frame 0 in more than its spindle angle; export it alone")


def _write_beam(beam: Hdf5, experiment: Experiment, exposure: Exposure) -> None:
    waves = experiment.beam.waves
    wavelengths = sorted({wave.wavelength for wave in waves})
    _number(beam, "incident_wavelength", experiment.beam.wavelength * 1e10, "angstrom")
    if len(wavelengths) > 1:
        weights = [sum(wave.weight for wave in waves if wave.wavelength == x) for x in wavelengths]
        beam["incident_wavelength"].attrs["variant"] = "incident_wavelength_spectrum"
        _number(beam, "incident_wavelength_spectrum", np.array(wavelengths) * 1e10, "angstrom")
        beam["incident_wavelength_spectrum_weights"] = np.array(weights)
    _number(beam, "flux", experiment.beam.fluence / exposure.seconds, "1/s/m^2")
    if exposure.total_flux is not None:
        _number(beam, "total_flux", exposure.total_flux, "1/s")
    if exposure.beam_size is not None:
        _number(beam, "incident_beam_size", np.full(2, exposure.beam_size), "m")
        beam["profile"] = "rectangular"
    if experiment.beam.kahn_factor is not None:
        x, y, _ = experiment.beam.polarization_axis
        # Stokes vector of intensity one; the angle of the electric field is counted from x to y.
        twice = 2.0 * math.atan2(y, x)
        factor = experiment.beam.kahn_factor
        beam["incident_polarization_stokes"] = np.array(
            [[1.0, factor * math.cos(twice), factor * math.sin(twice), 0.0]]
        )


def _write_sample(sample: Hdf5, first: Experiment, frames: Sequence[Experiment]) -> None:
    sample["name"] = "simulated crystal"
    axes = _group(sample, "transformations", "NXtransformations")
    starts = np.degrees([one.scan.start for one in frames])
    width = math.degrees(oscillation(first.scan))
    about = {"transformation_type": "rotation", "vector": np.array(first.scan.axis), "depends_on": "."}
    _number(axes, "omega", starts, "deg", **about)
    _number(axes, "omega_end", starts + width, "deg")
    _number(axes, "omega_increment_set", np.full(len(starts), width), "deg")
    sample["depends_on"] = "/entry/sample/transformations/omega"
    lengths, angles = np.split(np.array(cell_parameters(first.crystal)), 2)
    sample["unit_cell"] = np.array([[*(lengths * 1e10), *np.degrees(angles)]])
    sample["unit_cell_group"] = "triclinic"


def _write_detector(
    group: Hdf5, experiment: Experiment, pixels: Bands, material: str, exposure: Exposure, integer: bool
) -> None:
    panels, beam = experiment.detector.panels, experiment.beam
    group["description"] = "simulated by tilesim"
    group["type"] = "pixel"
    group["sensor_material"] = material
    sensor = panels[0].sensor
    _number(group, "sensor_thickness", sensor.layers * sensor.layer_thickness if sensor else NO_THICKNESS, "m")
    group["underload_value"] = 0 if integer else 0.0
    group["saturation_value"] = TOP if integer else float(np.finfo(np.float32).max)
    if integer:
        group["bit_depth_readout"] = 32
        group["bit_depth_image"] = 32
    for name in ("count_time", "frame_time"):
        _number(group, name, exposure.seconds, "s")
    hits = [(number, hit) for number, panel in enumerate(panels) if (hit := beam_centre(panel, beam))]
    inside = [
        (number, hit)
        for number, hit in hits
        if all(0 <= x <= n for x, n in zip(hit, panels[number].shape, strict=True))
    ]
    if met := inside or hits:
        number, hit = met[0]
        panel, top = panels[number], sum(p.shape[0] for p in panels[:number])
        place = _position(panel, *hit)
        _number(group, "beam_center_x", hit[1], "pixels")
        _number(group, "beam_center_y", top + hit[0], "pixels")
        # Where panels differ it is that of the panel that the beam meets.
        _number(group, "distance", float(np.linalg.norm(place)), "m")
    axes = _group(group, "transformations", "NXtransformations")
    about = {"transformation_type": "translation", "vector": np.array([0.0, 0.0, 1.0]), "depends_on": "."}
    _number(axes, "det_z", np.array([panels[0].origin[2]]), "m", **about)
    group["depends_on"] = "/entry/instrument/detector/transformations/det_z"
    top = 0
    for number, panel in enumerate(panels):
        name = f"module_{number}" if len(panels) > 1 else "module"
        _write_module(_group(group, name, "NXdetector_module"), panel, top, panels[0].origin[2])
        top += panel.shape[0]


def _write_module(group: Hdf5, panel: Panel, top: int, det_z: float) -> None:
    """One panel: a shift from where det_z ends to its outer corner, and the steps of its axes."""
    group["data_origin"] = np.array([top, 0])
    group["data_size"] = np.array(panel.shape)
    shift = np.array(panel.origin) - [0.0, 0.0, det_z]
    length = float(np.linalg.norm(shift))
    translation = {"transformation_type": "translation", "offset": np.zeros(3), "offset_units": "m"}
    here = {**translation, "vector": shift / length if length > 0 else np.array([1.0, 0.0, 0.0])}
    _number(
        group,
        "module_offset",
        np.array([length]),
        "m",
        depends_on="/entry/instrument/detector/transformations/det_z",
        **here,
    )
    for name, axis in (("fast_pixel_direction", panel.fast), ("slow_pixel_direction", panel.slow)):
        size = float(np.linalg.norm(axis))  # the reference's swing axes need not be unit vectors
        _number(
            group,
            name,
            np.array([panel.pixel_size * size]),
            "m",
            vector=np.array(axis) / size,
            depends_on=f"{group.name}/module_offset",
            **translation,
        )


def _write_pixels(
    data: Hdf5,
    frames: Sequence[Experiment],
    image: Callable[[int, int], Bands],
    pixels: Bands,
    compression: Mapping[str, Any],
) -> None:
    panels = frames[0].detector.panels
    if any(panel.shape[1] != panels[0].shape[1] for panel in panels):
        raise InputError("panels of different width cannot lie in one NXmx file; export them one by one (--panel)")
    slow, fast = sum(panel.shape[0] for panel in panels), panels[0].shape[1]
    row = fast * pixels.dtype.itemsize
    rows = slow if slow * row <= CHUNK_BYTES else max(1, BAND_PIXELS // fast)
    shape = (len(frames), slow, fast)
    stored = data.create_dataset("data", shape, pixels.dtype, chunks=(1, rows, fast), **compression)
    stored.attrs["units"] = "counts" if pixels.dtype.kind in "iu" else "photons"
    for frame in range(len(frames)):
        bands = (band for number in range(len(panels)) for _, band in image(frame, number).bands())
        top = 0
        for block in regrouped(bands, rows):
            stored[frame, top : top + len(block)] = block
            top += len(block)


def _write_mask(group: Hdf5, experiment: Experiment, compression: Mapping[str, Any]) -> None:
    """Which pixels were not simulated: outside the region of interest or masked, on the first panel."""
    region, (slow, fast) = experiment.region, experiment.shape
    whole = region.pixels == slow * fast
    if whole and experiment.mask is None:
        return
    total = sum(panel.shape[0] for panel in experiment.detector.panels)
    rows = max(1, min(total, BAND_PIXELS // fast))
    mask = group.create_dataset("pixel_mask", (total, fast), "<u4", chunks=(rows, fast), fillvalue=0, **compression)
    for top in range(0, slow, rows):
        below = min(top + rows, slow)
        band = np.full((below - top, fast), OUTSIDE, "<u4")
        first, last = max(region.slow_start, top), min(region.slow_stop, below)
        if first < last:
            band[first - top : last - top, region.fast_start : region.fast_stop] = 0
        if experiment.mask is not None:
            band[~experiment.mask.active[top:below]] = OUTSIDE
        mask[top:below] = band


def _write_notes(entry: Hdf5, experiment: Experiment, notes: dict[str, Any]) -> None:
    group = _group(entry, "tilesim", "NXcollection")
    for name in "abc":
        _number(group, f"real_space_{name}", np.array(getattr(experiment.crystal, name)) * 1e10, "angstrom")
    for name, value in notes.items():
        group[name] = value if isinstance(value, str) else json.dumps(value)


def _position(panel: Panel, slow: float, fast: float) -> np.ndarray:
    along = slow * np.array(panel.slow) + fast * np.array(panel.fast)
    return np.array(panel.origin) + panel.pixel_size * along


def _group(parent: Hdf5, name: str, kind: str, **attributes: Any) -> Hdf5:
    group = parent.create_group(name)
    group.attrs.update(NX_class=kind, **attributes)
    return group


def _number(group: Hdf5, name: str, value: float | np.ndarray, units: str, **attributes: Any) -> None:
    group[name] = value
    group[name].attrs.update(units=units, **attributes)
