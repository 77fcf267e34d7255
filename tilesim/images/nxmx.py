"""NXmx HDF5 files: a series of one or many panels under bitshuffle/lz4, with beam, detector, spindle and cell.

All vectors are in the McStas frame (incident beam along +z), so the experiment is turned into it as a whole. Panels lie
one below the other in the data, (frame, panel x slow, fast), each with its NXdetector_module.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.files.deferred import replacing_deferred
from tilesim.files.libraries import Hdf5, need
from tilesim.geometry.axes import Axes, rotation_to, turned
from tilesim.geometry.resolution import beam_centre
from tilesim.images.absent import mark_of, outside
from tilesim.images.banded import Bands, regrouped
from tilesim.images.counts import Counts
from tilesim.images.facing import sensor_material
from tilesim.images.nxmxseries import series_as_plain
from tilesim.model import Beam, Experiment, Panel, Series, Spectrum

MATERIALS = ("Si", "CdTe", "GaAs")
"""Sensors that readers know; the first is written where the experiment does not state it."""
NO_THICKNESS = 1e-9
"""Metres, of the sensor where none was simulated: readers want one, and a real one would move spots (parallax)."""
BEAM = (0.0, 0.0, 1.0)
"""Direction of the incident beam in the McStas frame."""
TOP = 2**31 - 3
"""Largest count; readers take the two above it for marks."""
ABSENT = 2**32 - 1
CHUNK_BYTES = 2**27
"""Frames of more are stored in bands of rows; smaller ones in one chunk, as a detector's own."""
BAND_PIXELS = 2**22
OUTSIDE = 1 << 8
"""Bit of the pixel mask ("user defined") of pixels that were not simulated."""


def nxmx_counts(scale: float | None) -> Counts:
    """Unsigned 32-bit numbers."""
    return Counts("an integer NXmx file", scale, "<u4", 0, TOP, ABSENT)


def write_nxmx(
    path: str | os.PathLike[str],
    series: Series,
    image: Callable[[int, int], Bands],
    *,
    material: str | None = None,
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write a series, all or nothing, a chunk of it in memory at a time.

    image     pixels of (frame, panel)
    material  of the sensor, where the experiment does not state it
    notes     plain values that are kept beside the data, such as the command line

    Raises InputError where libraries are missing or frames differ in what the format states once; StoreError.
    """
    h5py, plugin = need("h5py", "writing NXmx files"), need("hdf5plugin", "writing NXmx files")
    frames = in_mcstas(series)
    first, pixels = frames[0], image(0, 0)
    with replacing_deferred(path) as target, h5py.File(target, "w") as file:
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
        _write_beam(_group(instrument, "beam", "NXbeam"), frames)
        sample["beam"] = instrument["beam"]
        _write_sample(sample, frames)
        _write_detector(_group(instrument, "detector", "NXdetector"), frames, pixels, material)
        write_notes(entry, series, first, notes or {})
        data = _group(entry, "data", "NXdata", signal="data")
        compression = plugin.Bitshuffle(cname="lz4")
        write_pixels(data, first, len(frames), image, pixels, compression)
        instrument["detector"]["data"] = h5py.SoftLink("/entry/data/data")
        write_mask(instrument["detector"], first, compression)


def in_mcstas(series: Series) -> list[Experiment]:
    """Every frame in the McStas frame. Raises InputError where one differs in what NXmx states once.

    These are spindle angles, wavelengths, fluences, crystals, and the distance of the detector along the beam.
    """
    rotation = rotation_to(Axes.MCSTAS, series[0])
    base, first = series[0], turned(series[0], rotation)
    # Panels that frames share are turned and kept once.
    shared = (first.detector if one.detector == base.detector else None for one in series)
    frames = [turned(one, rotation, detector) for one, detector in zip(series, shared, strict=True)]
    if any(panel.curved_radius is not None for panel in first.detector.panels):
        raise InputError("the detector is curved, which this format cannot describe; expected a flat one")
    for number, one in zip(series.numbers, frames, strict=True):
        same = {
            "the direction of the beam": one.beam.direction == first.beam.direction,
            "its polarization": one.beam.mean_polarization == first.beam.mean_polarization,
            "the spindle axis": one.scan.axis == first.scan.axis,
            "the detector": one.detector == first.detector or _shifted(first, one),
            "the region or mask": (one.region, one.mask) == (first.region, first.mask),
        }
        for what, holds in same.items():
            if not holds:
                raise InputError(
                    f"frame {number} differs from frame {series.numbers[0]} in {what}; expected --frame, for a file of "
                    "its own"
                )
    return frames


def _shifted(first: Experiment, other: Experiment) -> bool:
    """Whether the detector of another frame is that of the first, moved along the beam."""
    step = other.detector.panels[0].origin[2] - first.detector.panels[0].origin[2]
    return len(first.detector.panels) == len(other.detector.panels) and all(
        np.allclose(b.origin, np.add(a.origin, np.multiply(BEAM, step)), rtol=0.0, atol=1e-12)
        and (a.fast, a.slow, a.pixel_size, a.shape, a.sensor) == (b.fast, b.slow, b.pixel_size, b.shape, b.sensor)
        for a, b in zip(first.detector.panels, other.detector.panels, strict=True)
    )


def _known(values: Sequence[float | None]) -> list[float]:
    """The numbers of all frames; none where any of them is not known."""
    found = [value for value in values if value is not None]
    return found if len(found) == len(values) else []


def _each(values: Sequence[float]) -> np.ndarray | float:
    """One number where all are the same."""
    return values[0] if len(set(values)) == 1 else np.array(values)


def _write_beam(beam: Hdf5, frames: Sequence[Experiment]) -> None:
    first = frames[0].beam
    _write_spectra(beam, [one.beam for one in frames])
    exposures = _known([one.beam.exposure for one in frames])
    if exposures:
        rates = [one.beam.fluence / exposure for one, exposure in zip(frames, exposures, strict=True)]
        _number(beam, "flux", _each(rates), "1/s/m^2")
    fluxes, sizes = _known([one.beam.flux for one in frames]), _known([one.beam.size for one in frames])
    if fluxes:
        _number(beam, "total_flux", _each(fluxes), "1/s")
    if sizes and len(set(sizes)) == 1:
        _number(beam, "incident_beam_size", np.full(2, sizes[0]), "m")
        beam["profile"] = "rectangular"
    if (polarization := first.mean_polarization) is not None:
        factor, (x, y, _) = polarization
        # Stokes vector of intensity one; the angle of the electric field is counted from x to y.
        twice = 2.0 * math.atan2(y, x)
        beam["incident_polarization_stokes"] = np.array(
            [[1.0, factor * math.cos(twice), factor * math.sin(twice), 0.0]]
        )


def _write_spectra(group: Hdf5, beams: Sequence[Beam]) -> None:
    """Wavelengths, of a spectrum with their weights: of the channels, or frame by frame where they differ."""
    spectra = [beam.spectrum for beam in beams]
    channels = max(len(spectrum.wavelengths) for spectrum in spectra)
    if channels == 1:
        _number(group, "incident_wavelength", _each([beam.wavelength * 1e10 for beam in beams]), "angstrom")
        return
    same = all(spectrum == spectra[0] for spectrum in spectra)
    rows = [_padded(spectrum, channels) for spectrum in (spectra[:1] if same else spectra)]
    wavelengths, weights = (np.array(rows)[:, n].reshape(-1 if same else (len(rows), channels)) for n in (0, 1))
    _number(group, "incident_wavelength", wavelengths * 1e10, "angstrom")
    group["incident_wavelength_weights"] = weights


def _padded(spectrum: Spectrum, channels: int) -> np.ndarray:
    """Wavelengths and weights (2, channels); channels that it lacks repeat the last wavelength, without photons."""
    lacking = channels - len(spectrum.wavelengths)
    return np.stack([np.pad(spectrum.wavelengths, (0, lacking), mode="edge"), np.pad(spectrum.weights, (0, lacking))])


def _write_sample(sample: Hdf5, frames: Sequence[Experiment]) -> None:
    """Spindle angles, and cell and orientation at angle 0: of every frame where they differ."""
    first = frames[0]
    sample["name"] = "simulated crystal"
    axes = _group(sample, "transformations", "NXtransformations")
    starts = np.degrees([one.scan.start for one in frames])
    widths = np.degrees([one.scan.oscillation for one in frames])
    about = {"transformation_type": "rotation", "vector": np.array(first.scan.axis), "depends_on": "."}
    _number(axes, "omega", starts, "deg", **about)
    _number(axes, "omega_end", starts + widths, "deg")
    _number(axes, "omega_increment_set", widths, "deg")
    sample["depends_on"] = "/entry/sample/transformations/omega"
    crystals = [one.crystal for one in frames if one.crystal is not None]
    if len(crystals) < len(frames):
        return
    if all(crystal == crystals[0] for crystal in crystals):
        crystals = crystals[:1]
    cells = np.array([crystal.cell for crystal in crystals]) * 1e10
    cells[:, 3:] = np.degrees(cells[:, 3:] / 1e10)
    sample["unit_cell"] = cells
    sample["unit_cell_group"] = "triclinic"
    # After Busing and Levy: U turns the reciprocal vectors from their usual frame into the laboratory.
    matrices = [np.array(crystal.replace(reciprocal=None).star).T * 1e-10 for crystal in crystals]
    _number(sample, "ub_matrix", np.stack(matrices), "1/angstrom")
    sample["orientation_matrix"] = np.stack([crystal.orientation for crystal in crystals])


def _write_detector(group: Hdf5, frames: Sequence[Experiment], pixels: Bands, material: str | None) -> None:
    experiment, integer = frames[0], pixels.dtype.kind in "iu"
    panels, beam = experiment.detector.panels, experiment.beam
    name = experiment.detector.name
    group["description"] = f"{name}, simulated by tilesim" if name else "simulated by tilesim"
    group["type"] = "pixel"
    sensor = panels[0].sensor
    group["sensor_material"] = sensor_material(experiment, material, MATERIALS)
    _number(group, "sensor_thickness", sensor.thickness if sensor else NO_THICKNESS, "m")
    group["underload_value"] = 0 if integer else 0.0
    group["saturation_value"] = TOP if integer else float(np.finfo(np.float32).max)
    if integer:
        group["bit_depth_readout"] = 32
        group["bit_depth_image"] = 32
    exposures = _known([one.beam.exposure for one in frames])
    if exposures:
        for name in ("count_time", "frame_time"):
            _number(group, name, _each(exposures), "s")
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
        steps = [one.detector.panels[0].origin[2] - panels[0].origin[2] for one in frames]
        _number(group, "distance", _each([float(np.linalg.norm(place + step * np.array(BEAM))) for step in steps]), "m")
    axes = _group(group, "transformations", "NXtransformations")
    about = {"transformation_type": "translation", "vector": np.array([0.0, 0.0, 1.0]), "depends_on": "."}
    places = [one.detector.panels[0].origin[2] for one in frames]
    _number(axes, "det_z", np.array(places if len(set(places)) > 1 else places[:1]), "m", **about)
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


def write_pixels(
    data: Hdf5,
    first: Experiment,
    frames: int,
    image: Callable[[int, int], Bands],
    pixels: Bands,
    compression: Mapping[str, Any],
) -> None:
    """The pixels of all frames, panels one below the other, as the dataset `data` of a group."""
    panels = first.detector.panels
    if any(panel.shape[1] != panels[0].shape[1] for panel in panels):
        raise InputError("panels of different width cannot lie in one file; export them one by one (--panel)")
    slow, fast = sum(panel.shape[0] for panel in panels), panels[0].shape[1]
    row = fast * pixels.dtype.itemsize
    rows = slow if slow * row <= CHUNK_BYTES else max(1, BAND_PIXELS // fast)
    shape = (frames, slow, fast)
    # The mark of pixels without a value is that of what nobody wrote, too.
    blank = mark_of(pixels.dtype)
    stored = data.create_dataset("data", shape, pixels.dtype, chunks=(1, rows, fast), fillvalue=blank, **compression)
    stored.attrs["units"] = "counts" if pixels.dtype.kind in "iu" else "photons"
    for frame in range(frames):
        bands = (band for number in range(len(panels)) for _, band in image(frame, number).bands())
        top = 0
        for block in regrouped(bands, rows):
            stored[frame, top : top + len(block)] = block
            top += len(block)


def write_mask(group: Hdf5, experiment: Experiment, packed: Mapping[str, Any], name: str = "pixel_mask") -> None:
    """Which pixels have no value in any frame: outside the region of interest or masked."""
    where = outside(experiment)
    if where is None:
        return
    rows = max(1, min(len(where), BAND_PIXELS // where.shape[1]))
    chunks = (rows, where.shape[1])
    mask = group.create_dataset(name, where.shape, "<u4", chunks=chunks, fillvalue=0, **packed)
    for top in range(0, len(where), rows):
        mask[top : top + rows] = np.where(where[top : top + rows], OUTSIDE, 0)


def write_notes(entry: Hdf5, series: Series, experiment: Experiment, notes: Mapping[str, Any]) -> None:
    """What NXmx has no place for: the experiments exactly, and where the pixels come from."""
    group = _group(entry, "tilesim", "NXcollection")
    if experiment.crystal is not None:
        for name in "abc":
            _number(group, f"real_space_{name}", np.array(getattr(experiment.crystal, name)) * 1e10, "angstrom")
    plain = series_as_plain(series)
    if plain is not None:
        group["experiments"] = json.dumps(plain)
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
