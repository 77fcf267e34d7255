"""An experiment: everything that decides the value of a pixel, and nothing of the machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model import checks
from tilesim.model.background import Background, ScatteringCurve
from tilesim.model.beam import CLASSICAL_ELECTRON_RADIUS_SQUARED, Beam
from tilesim.model.crystal import Crystal
from tilesim.model.detector import Detector
from tilesim.model.factors import StructureFactors
from tilesim.model.mask import PixelMask
from tilesim.model.noun import Noun, quantity
from tilesim.model.sampling import Region, Sampling
from tilesim.model.scan import Scan
from tilesim.model.serial import from_plain, to_plain
from tilesim.model.source import polarized


@frozen(repr=False)
class Experiment(Noun):
    """Beam, crystal, detector, spindle, sampling, structure factors; equality by value.

    Raises
    ------
    InputError
        Where a part is of another class, where parts contradict each other (a mask of another shape, a background in a
        beam of unknown size, structure factors without a crystal), or where a value makes sense to `strict_c` alone.

    Examples
    --------
    >>> from tilesim import Beam, Crystal, Detector, Experiment, Panel, StructureFactors
    >>> experiment = Experiment(
    ...     beam=Beam(direction=(0.0, 0.0, 1.0), wavelength=1e-10),
    ...     crystal=Crystal.from_cell(5e-9, 6e-9, 7e-9, cells=(10, 10, 10)),
    ...     detector=Detector(Panel.facing(distance=0.1, pixel_size=1e-4, shape=(256, 256))),
    ...     factors=StructureFactors.constant(100.0),
    ... )
    >>> experiment.replace(beam=experiment.beam.replace(wavelength=1.1e-10)) == experiment
    False
    """

    beam: Beam
    """Incident beam."""
    crystal: Crystal | None
    """None: nothing diffracts; background and water still scatter."""
    detector: Detector
    """Panels; those of a job must be of one shape."""
    factors: StructureFactors
    """Amplitudes in electrons; without a crystal zero."""
    scan: Scan = Scan()
    """Spindle angles; by default a still."""
    sampling: Sampling = Sampling()
    """How finely a pixel is sampled, and the region."""
    water_size: float = 0.0
    """Edge of a cube of water around the crystal, metres, zero or more."""
    mask: PixelMask | None = None
    """Pixels to render, panels stacked along the slow axis; None renders all."""
    background: Background | None = None
    """What scatters besides the crystal; it needs a beam of known size."""
    other_crystals: tuple[Crystal, ...] = ()
    """Further lattices in the shot, of the same shape and structure factors, each with its `share`."""

    def __post_init__(self) -> None:
        for name, kind in PARTS.items():
            if not (name in OPTIONAL and getattr(self, name) is None):
                checks.instance(f"{name} of the experiment", getattr(self, name), kind)
        if self.background is not None:
            if self.sampling.strict_c:
                raise InputError("a background with strict_c; expected one of them: the reference has none like it")
            if self.beam.size is None:
                raise InputError("a background in a beam of unknown size; expected Beam(size=...) in metres")
        if self.crystal is None and not (self.factors.empty and self.factors.default == 0.0):
            raise InputError("structure factors without a crystal; expected a crystal, or StructureFactors.constant(0)")
        self._check_crystals()
        for panel in self.detector.panels:
            if panel.sensor is not None:
                panel.sensor.attenuation_at(self.beam.wavelength)  # known at this wavelength?
        checks.coerce(self, water_size=checks.number("water size", self.water_size))
        if self.sampling.strict_c:
            self._check_strict()
        else:
            self._check_values()
        if self.mask is not None and self.mask.active.shape != self.shape:
            raise InputError(
                f"the mask has {self.mask.active.shape} pixels (slow, fast) but the detector has {self.shape}"
            )

    def _check_crystals(self) -> None:
        """Make the further crystals a tuple. Raises InputError where they do not go with the first."""
        others = checks.instances("other crystals of the experiment", self.other_crystals, Crystal)
        checks.coerce(self, other_crystals=others)
        if self.crystal is None and others:
            raise InputError("other_crystals without a crystal; expected crystal to be the first of them")
        if len(shapes := dict.fromkeys(str(one.shape) for one in self.crystals)) > 1:
            raise InputError(f"crystals of the shapes {' and '.join(shapes)} in one experiment; expected one shape")

    def _check_strict(self) -> None:
        """What the reference does not have. Raises InputError."""
        if self.factors.by_energy:
            raise InputError("structure factors by photon energy with strict_c; expected one of them")
        if any(map(polarized, self.beam.sources)):
            raise InputError("sources with a polarization of their own with strict_c; expected that of the beam alone")
        crystal = self.crystal
        if self.other_crystals:
            raise InputError("other_crystals with strict_c; expected one crystal: the reference has one")
        if crystal is not None and not crystal.plain_mosaic():
            raise InputError(
                "mosaic_spread, mosaic_frame, sizes, share, blocks or diffuse with strict_c; expected none"
            )
        if crystal is not None and crystal.shape.in_hkl:
            raise InputError(f"the shape {crystal.shape} with strict_c; expected square, round, gauss or tophat")
        if crystal is not None and not all(isinstance(n, int) for n in crystal.cells):
            raise InputError(f"cells {crystal.cells} with strict_c; expected whole numbers, as the reference has")

    def _check_values(self) -> None:
        """What only the reproduction of the reference's own images can do without. Raises InputError."""
        self.beam.check()
        checks.unit_vector("spindle axis", self.scan.axis)
        if self.crystal is not None:
            for crystal in self.crystals:
                checks.finite("fudge factor", crystal.fudge)
        checks.not_negative("water size", self.water_size)
        if not self.factors.finite:
            raise InputError("the structure factors hold NaN or infinity; expected finite amplitudes")
        self.factors.check_wavelengths([wave.wavelength for wave in self.beam.waves])

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (slow, fast) of the image, in which panels are stacked along the slow axis."""
        slow, fast = self.panel_shape
        return (len(self.detector.panels) * slow, fast)

    @property
    def panel_shape(self) -> tuple[int, int]:
        """Pixels (slow, fast) of a panel; a job insists that all are alike."""
        return self.detector.panels[0].shape

    def of_panel(self, number: int) -> Experiment:
        """The experiment with panel `number` alone: what a kernel renders."""
        if len(self.detector.panels) == 1:
            return self
        rows, columns = self.panel_shape
        first, sampling, mask = number * rows, self.sampling, self.mask
        if sampling.roi is not None:
            r = self.region
            part = Region(r.slow_start - first, r.slow_stop - first, r.fast_start, r.fast_stop)
            sampling = sampling.replace(roi=part.clipped(rows, columns))
        if mask is not None:
            mask = PixelMask(mask.active[first : first + rows])
        detector = self.detector.replace(panels=(self.detector.panels[number],))
        return self.replace(detector=detector, sampling=sampling, mask=mask)

    @property
    def region(self) -> Region:
        """The part of the image that is rendered, clipped to it."""
        slow, fast = self.shape
        roi = self.sampling.roi
        if roi is None:
            return Region(0, slow, 0, fast)
        return roi.clipped(slow, fast)

    @property
    def layers(self) -> int:
        """Layers of the sensor; 1 without one."""
        sensor = self.detector.panels[0].sensor
        return sensor.layers if sensor else 1

    @property
    def lattice(self) -> Crystal:
        """The crystal of an experiment that has one, as kernels need it. Raises InputError."""
        if self.crystal is None:
            raise InputError("the experiment has no crystal; expected one")
        return self.crystal

    @property
    def crystals(self) -> tuple[Crystal, ...]:
        """All crystals, the first of them `crystal`."""
        return () if self.crystal is None else (self.crystal, *self.other_crystals)

    @property
    def domains(self) -> int:
        """Mosaic domains of the first crystal."""
        return self.crystal.domains if self.crystal is not None else 1

    @property
    def orientations(self) -> int:
        """Lattice evaluations of one spindle step: the mosaic domains of all crystals, each in every size."""
        return sum(crystal.orientations for crystal in self.crystals) or 1

    @property
    def steps(self) -> int:
        """What the sum over a pixel is divided by; sensor layers are not in it (spec intensity 2).

        Of several crystals and sizes of domains each has a weight instead.
        """
        orientations = self.domains * self.scan.steps
        return len(self.beam.waves) * orientations * self.sampling.oversample**2

    @property
    def evaluations(self) -> int:
        """Lattice evaluations per pixel: sub-pixels, layers, sources, phi steps, orientations."""
        return self.steps // self.domains * self.orientations * self.layers

    @property
    def rendered_pixels(self) -> int:
        """Pixels inside the region of interest and not masked."""
        r = self.region
        if self.mask is None:
            return r.pixels
        return int(self.mask.active[r.slow_start : r.slow_stop, r.fast_start : r.fast_stop].sum())

    @property
    def photon_scale(self) -> float:
        """r_e^2 times fluence, photons per steradian and squared electron."""
        return CLASSICAL_ELECTRON_RADIUS_SQUARED * self.beam.fluence

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and strings; table, mask and scattering curve are described, not copied."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_dict(
        cls,
        plain: Mapping[str, Any],
        factors: StructureFactors,
        mask: PixelMask | None = None,
        curve: ScatteringCurve | None = None,
    ) -> Experiment:
        """Rebuild from `to_dict` and the table, mask and curve that it describes. Raises InputError on another one."""
        background = plain.get("background")
        described = {name: plain.get(name) for name in ("factors", "mask")}
        described["curve"] = background and background["curve"]
        for (name, one), value in zip(described.items(), (factors, mask, curve), strict=True):
            if (one and one["digest"]) != (value.digest if value is not None else None):
                raise InputError(f"the {name} given are not those of the experiment (digests differ)")
        background = background and {**background, "curve": curve}
        return from_plain(cls, {**plain, "factors": factors, "mask": mask, "background": background})

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that decides a pixel or a header: equal for equal experiments on any machine."""
        plain = self.to_dict()
        plain["factors"] = self.factors.digest
        if self.background is not None:
            plain["background"]["curve"] = self.background.curve.digest
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()

    def summary(self) -> dict[str, str]:
        rows = {name: getattr(self, name).text for name in PARTS if getattr(self, name) is not None}
        if self.crystal is None:
            rows["crystal"] = "none"
        if self.other_crystals:
            shares = " ".join(f"{one.share:.4g}" for one in self.crystals)
            rows["lattices"] = f"{len(self.crystals)} in the shot, shares {shares}"
        if self.water_size > 0.0:
            rows["water"] = f"a cube of {quantity(self.water_size, 1e6, 'µm')}"
        return rows

    def _picture(self) -> str:
        return self.detector._picture()


PARTS = {
    "beam": Beam,
    "crystal": Crystal,
    "detector": Detector,
    "factors": StructureFactors,
    "scan": Scan,
    "sampling": Sampling,
    "mask": PixelMask,
    "background": Background,
}
OPTIONAL = ("crystal", "mask", "background")
