"""Where tilesim departs from nanoBragg: what the reference does, what is done instead, and why."""

from __future__ import annotations

from tilesim.frozen import frozen


@frozen
class Correction:
    """A defect of the reference that tilesim does not share, in the Markdown of docs/corrections.md."""

    number: str
    """K1, ...: its name in notes, stores and tests."""
    words: str
    """What changes in a run that it affects, for the NOTE."""
    reference: str
    """What nanoBragg does."""
    ours: str
    """What tilesim does by default."""
    why: str = ""


CORRECTIONS = (
    Correction(
        "K1",
        "phi step 0 is rotated afresh",
        "A phi step of exactly 0 keeps the orientation computed before it: that of the last step, for a sweep from 0",
        "Every step is rotated afresh; step 0 is the unrotated cell",
        "`-phi 0 -osc 0.1 -phisteps 10` should sample 0 to 0.09 degrees once each",
    ),
    Correction(
        "K2",
        "-oversample_thick, _polar and _omega weight each sample once",
        "`-oversample_thick`, `_polar`, `_omega` multiply the running sum, so that all but the last sample are damped",
        "Each contribution is multiplied once by its own factor",
        "The options promise a finer correction, not another image",
    ),
    Correction(
        "K3",
        "interpolation at the edge of the table is decided at each point",
        "The first evaluation whose neighbours are outside the table ends interpolation for the rest of the run",
        "Decided per evaluation: tricubic where all neighbours are in the table, else the nearest entry, else "
        "`-default_F`",
        "The image must not depend on the order of the pixels",
    ),
    Correction(
        "K4",
        "each sensor layer has its own capture fraction and its share of the thickness",
        "The capture fraction of the last sensor layer scales the sum over all layers; N layers are t/(N-1) thick",
        "Each layer's contributions carry their own fraction; N layers of t/N",
        "The sum is then the absorption of the stack",
    ),
    Correction(
        "K5",
        "the water background is added once per pixel",
        "The water background contains r_e² x fluence twice, is divided by the steps, and vanishes where dmin rejects"
        " everything",
        "Added once per pixel: background x polarisation x solid angle x capture",
        "It should not depend on sampling, and scale with the fluence",
    ),
    Correction(
        "K6",
        "the angles of -cell are exact",
        "`-cell` with two or more oblique angles gives slightly different angles",
        "The cell that was asked for",
        "c*_z is 1/c in the default orientation",
    ),
    Correction(
        "K7",
        "weights of sources count",
        "Weights of a source file are read and ignored",
        "Contributions are multiplied by w n / sum(w)",
        "That is what weights are for",
    ),
    Correction(
        "K8",
        "a flag sets only what its own name says",
        "Flags are found by sub-string, so that one can also set another (`-misset_seed` the angles, `-twotheta_axis`"
        " the angle)",
        "The longest known name that the argument begins with, alone",
        "One flag, one meaning",
    ),
    Correction(
        "K9",
        "-nopolar wins over -oversample_polar",
        "`-oversample_polar` undoes `-nopolar`",
        "`-nopolar` wins",
        "Off is off",
    ),
    Correction(
        "K10",
        "input files are read to their end, comments skipped",
        "A comment, a fifth column or `1.0` as an index ends the reading of an hkl file silently; source files break "
        "on comments, CR-LF and a missing final newline, matrix files on comments; gzip and byte order marks are read"
        " as numbers",
        "Comments (#) and blank lines are skipped, extra columns ignored, whole numbers accepted, gzip and marks "
        "passed over; anything else is an error with file and line",
        "Half a table is worse than none",
    ),
    Correction(
        "K11",
        "bad input is an error",
        "A missing or short matrix, zero distance, NaN, unknown flags and too few values are accepted; so are flat "
        "and impossible unit cells, parallel detector axes, `-polar` beyond -1 to 1, wavelengths that are none, "
        "source weights that are negative or all zero",
        "Errors, exit status 2",
    ),
    Correction(
        "K12",
        "SMV headers say their true length",
        "The SMV header claims 512 bytes and can be longer; DIALS_ORIGIN lacks its semicolon",
        "Padded to a multiple of 512, HEADER_BYTES true, every item ends with a semicolon",
        "Readers trust HEADER_BYTES",
    ),
    Correction(
        "K13",
        "structure factors are read from a cache, as no flag names any",
        "An `Fdump.bin` in the working folder is read silently and beats `-default_F`; one is written on every run",
        "Read only where `-hkl` and `-default_F` are both missing, with the NOTE; written with `--write-fdump`",
        "Leftovers must not decide an image",
    ),
    Correction(
        "K14",
        "of nanoBragg's default files at most floatimage.bin is written",
        "A run without output flags also writes `intimage.img`, `image.pgm` and `noiseimage.img`",
        "Only the files named, and `floatimage.bin` where none is (nor `--zarr` or `--preview`)",
    ),
    Correction(
        "K15",
        "the swing of the detector counts in its normal and in automatic oversampling",
        "The normal of a detector that is swung by more than 90 degrees about the beam spot points to the sample: all"
        " pixels are negative. The automatic oversampling counts with the distance along the beam, without the swing,"
        " which vanishes at 90 degrees and is negative beyond",
        "The normal points away from the sample. Oversampling counts with that distance, or with the nearest point of"
        " the detector where that is nearer",
        "A pixel receives no fewer than 0 photons, and subtends what its own distance says",
    ),
    Correction(
        "K16",
        "masked pixels count in no figure",
        "Pixels that `-mask` leaves out count in rmsd, as the square of the mean, and so in the automatic scale of "
        "the PGM image",
        "They count in no figure, as they do not in mean and rms",
        "A figure of the image is one of its pixels",
    ),
    Correction(
        "K17",
        "the solid angle is that of the detector",
        "The solid angle that is printed is a sum over layers and sub-pixels divided by all steps, of sources, phi and "
        "mosaic domains, too",
        "The mean over layers and sub-pixels, summed over pixels; the NOTE does not name it, which is about images",
        "A detector does not shrink as a crystal turns",
    ),
)


def in_words(number: str) -> str:
    """The number of a correction with what it changes."""
    [found] = [one for one in CORRECTIONS if one.number == number]
    return f"{number} ({found.words})"
