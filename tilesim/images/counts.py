"""Photons to the whole numbers that integer formats hold: never rounded unasked, and what did not fit is counted."""

from __future__ import annotations

import numpy as np

from tilesim.errors import InputError
from tilesim.images.absent import mark_of, usual_marks

ADC_OFFSET = 40.0
"""Added to the pixels of SMV images, as in nanoBragg's."""
TOP_16 = 65535


class Counts:
    """Turns bands of one image after the other into whole numbers of type `dtype`.

    scale   what pixels are multiplied by before they are rounded; None: they must be whole numbers
    least   smaller values become this
    top     larger values become this
    absent  what a pixel without a value becomes
    """

    def __init__(self, what: str, scale: float | None, dtype: str, least: int, top: int, absent: int) -> None:
        self.what, self.scale, self.dtype = what, scale, np.dtype(dtype)
        self.least, self.top, self.absent = least, top, absent
        self.cut = self.gaps = 0
        """Pixels cut off at `least` or `top`, and pixels without a value."""

    def convert(self, first: int, band: np.ndarray, missing: np.ndarray) -> np.ndarray:
        """Pixels (rows, fast) of the band that begins at row `first`, some of them without a value.

        Raises InputError on a fraction without scale.
        """
        values = np.where(missing, 0.0, band).astype(np.float64)
        if self.scale is not None:
            values *= self.scale
        elif band.dtype.kind == "f":
            self._check_whole(first, values)
        return self._fitted(values, missing)

    def _fitted(self, values: np.ndarray, missing: np.ndarray) -> np.ndarray:
        values = np.rint(values)
        self.cut += int(np.count_nonzero((values > self.top) | (values < self.least)))
        self.gaps += int(np.count_nonzero(missing))
        whole: np.ndarray = np.clip(values, self.least, self.top).astype(self.dtype)
        whole[missing] = self.absent
        return whole

    def _check_whole(self, first: int, values: np.ndarray) -> None:
        fraction = values != np.rint(values)
        if fraction.any():
            row, column = np.unravel_index(np.argmax(fraction), values.shape)
            raise InputError(
                f"{self.what} holds whole numbers, but pixel slow {first + row} fast {column} is "
                f"{values[row, column]:g}; expected --round, --scale FACTOR, or an image of counts (tilesim noise)"
            )

    def remarks(self) -> list[str]:
        """What became of pixels that the format cannot hold, one line each."""
        lines = []
        if self.cut:
            lines.append(f"{self.cut} pixels beyond {self.least} to {self.top} were set to the nearer of the two")
        if self.gaps:
            lines.append(f"{self.gaps} pixels are missing in the input; they are {self.absent}")
        return lines


class SameCounts(Counts):
    """Whole numbers as they are, in a file that says of no pixel whether it has a value but by the usual marks."""

    def __init__(self, dtype: np.dtype) -> None:
        mark = mark_of(dtype)
        top = usual_marks(dtype).most if dtype.kind == "u" else np.iinfo(dtype).max
        super().__init__("an image of counts", None, dtype.str, 0, int(top or 0), int(mark))

    def convert(self, first: int, band: np.ndarray, missing: np.ndarray) -> np.ndarray:
        """The band, changed only where its own marks are not the usual ones."""
        marked = usual_marks(band.dtype).found(band)
        if np.array_equal(marked, missing):
            return band
        band, alike = band.copy(), marked & ~missing
        self.gaps += int(np.count_nonzero(missing))
        band[missing & ~marked] = self.absent
        # Negative numbers that count are what they are; an overload must not become a mark.
        if band.dtype.kind == "u":
            self.cut += int(np.count_nonzero(alike))
            band[alike] = self.top
        return band


class SmvCounts(Counts):
    """The 16-bit pixels of an SMV image, with the offset that its readers take off; rounded as nanoBragg rounds."""

    def __init__(self, scale: float | None, offset: float) -> None:
        super().__init__("an SMV image", scale, "<u2", 0, TOP_16, 0)
        self.offset = offset

    def _fitted(self, values: np.ndarray, missing: np.ndarray) -> np.ndarray:
        shifted = values + self.offset
        self.cut += int(np.count_nonzero((shifted >= self.top + 1) | (shifted < 0.0)))
        self.gaps += int(np.count_nonzero(missing))
        pixels = int_pixels(values, 1.0, self.offset)
        pixels[missing] = self.absent
        return pixels


def int_pixels(values: np.ndarray, scale: float, adc: float) -> np.ndarray:
    """Float image to uint16, rounded half up in single precision, clamped to 0..65535; NaN is 0 (spec files 7.2)."""
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = values.astype(np.float64) * scale + adc
    scaled = np.clip(np.nan_to_num(scaled, copy=False, nan=0.0, posinf=65535.0, neginf=0.0), 0.0, 65535.0)
    return np.floor((scaled + 0.5).astype(np.float32)).astype("<u2")
