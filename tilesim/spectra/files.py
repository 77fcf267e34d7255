"""The spectra of a file: columns of text, .lam, NXmx or a DIALS .expt, by content and name."""

from __future__ import annotations

import json
import os
from typing import Any

from tilesim.errors import InputError
from tilesim.files.reading import BYTE_ORDER_MARK, printable, read_bytes, unreadable
from tilesim.instruments.files import HDF5, WRONG
from tilesim.model.spectrum import Spectrum
from tilesim.spectra.columns import read_columns_spectrum

ENERGIES, WEIGHTS = "spectrum_energies", "spectrum_weights"
"""Keys of a beam of DIALS; energies are in eV."""


def read_spectrum(path: str | os.PathLike[str], frame: int = 0) -> Spectrum:
    """Read the spectrum of an incident beam (docs/spectra.md).

    Parameters
    ----------
    path
        Two columns of text, a .lam file, NXmx HDF5 or a DIALS .expt.
    frame
        Number of the spectrum where the file has one for each frame, counted from 0.

    Returns
    -------
    Spectrum
        With weights that are numbers of photons: a density has been multiplied by the widths of its channels.

    Raises
    ------
    InputError
        Naming the file and place where it is no spectrum, or has none for that frame.

    Examples
    --------
    >>> import tilesim
    >>> with open("pulse.txt", "w") as file:
    ...     _ = file.write("# energy/keV current/A\\n8.99 0\\n9.00 2\\n9.01 0\\n")
    >>> tilesim.read_spectrum("pulse.txt").energy
    9.0
    """
    return of_frame(read_spectra(path), frame, printable(path))


def of_frame(spectra: tuple[Spectrum, ...], frame: int, name: str) -> Spectrum:
    """The spectrum of a frame: one is that of all. Raises InputError."""
    if len(spectra) == 1:
        return spectra[0]
    if not 0 <= frame < len(spectra):
        raise InputError(f"{name} has the spectra of {len(spectra)} frames; expected one for frame {frame}")
    return spectra[frame]


def read_spectra(path: str | os.PathLike[str]) -> tuple[Spectrum, ...]:
    """The spectra of a file, by frame where there is more than one. Raises InputError."""
    shown = printable(path)
    try:
        if os.path.isdir(path):
            raise InputError(f"{shown} is a folder; expected a file")
        with open(path, "rb") as file:
            start = file.read(len(HDF5))
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if start == HDF5:
        from tilesim.files.hdf5 import read_hdf5
        from tilesim.instruments.nxspectra import read_nxspectra

        try:
            return read_hdf5(read_nxspectra, path, shown)
        except InputError as error:
            raise InputError(str(error) if str(error).startswith(shown) else f"{shown}: {error}") from None
        except WRONG as error:
            said = " ".join(str(error).split())[:80]
            raise InputError(f"{shown}: expected an NXmx file; {type(error).__name__}: {said}") from None
    if start.removeprefix(BYTE_ORDER_MARK).lstrip()[:1] == b"{":
        return _of_expt(read_bytes(path), shown)
    return (read_columns_spectrum(os.fspath(path)),)


def _of_expt(content: bytes, name: str) -> tuple[Spectrum, ...]:
    """The spectrum of the beam of every experiment."""
    try:
        plain = json.loads(content)
        beams, experiments = plain["beam"], plain.get("experiment") or [{"beam": 0}]
        spectra = tuple(_of_beam(beams[experiment["beam"]]) for experiment in experiments)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except (ValueError, *WRONG):
        raise InputError(f"{name}: expected a DIALS .expt with a beam") from None
    return spectra if len(set(spectra)) > 1 else spectra[:1]


def _of_beam(beam: dict[str, Any]) -> Spectrum:
    missing = [key for key in (ENERGIES, WEIGHTS) if not beam.get(key)]
    if missing:
        raise InputError(f"a beam has no {missing[0]}; expected {ENERGIES} and {WEIGHTS}")
    return Spectrum.of_energies([energy * 1e-3 for energy in beam[ENERGIES]], beam[WEIGHTS])
