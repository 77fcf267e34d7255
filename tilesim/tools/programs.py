"""Running two programs with the same nanoBragg flags, in the user's folder and without a trace in it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence

from tilesim.errors import InputError
from tilesim.frozen import frozen

UNWANTED = ("-intfile", os.devnull, "-nopgm", "-nonoise")
"""What keeps the reference from writing files by default, besides its cache."""
CACHE = ("-dump", os.devnull)
SHOWN = 300
"""Characters of a program's last words."""


@frozen
class ProgramRun:
    """A program that has run and made its float file."""

    command: tuple[str, ...]
    seconds: float
    float_file: str
    """Where it lies now."""
    log: str
    """File with what it printed on standard output."""
    errors: str
    """The same of standard error."""

    def join_logs(self) -> None:
        """Append standard error to the log."""
        with open(self.log, "ab") as out, open(self.errors, "rb") as err:
            shutil.copyfileobj(err, out)


@frozen
class Program:
    """The words that start a program, and those that a user would start it with."""

    words: tuple[str, ...]
    shown: tuple[str, ...]


def own_program(*options: str) -> Program:
    """This tilesim's `run`, with options."""
    return Program((sys.executable, "-m", "tilesim_cli.main", "run", *options), ("tilesim", "run", *options))


def find_program(text: str) -> Program:
    """A program by its file's name or by a command line. Raises InputError where it cannot be found."""
    try:
        words = (text,) if os.path.exists(text) else tuple(shlex.split(text))
    except ValueError as error:
        raise InputError(f"{text}: expected the name of a program or a command line ({error})") from None
    found = shutil.which(words[0]) if words and words[0] else None
    if found is None:
        raise InputError(f"{words[0] if words else 'an empty name'}: there is no such program that can be run")
    # A relative name without a slash would be looked for elsewhere.
    return Program((os.path.abspath(found), *words[1:]), words)


def with_outputs(flags: Sequence[str], float_file: str, has_table: bool) -> tuple[str, ...]:
    """The flags, with the float file as the only output; the last flag of a kind counts.

    has_table   whether -hkl is given: then the cache would be written, and is read otherwise
    """
    added = (*UNWANTED, *(CACHE if has_table else ()), "-floatfile", float_file)
    # For the reference three words behind -misset_seed are angles, too: there must not become more of them.
    tail = next((n for n in range(len(flags) - 1, max(-1, len(flags) - 4), -1) if "-misset_seed" in flags[n]), None)
    place = len(flags) if tail is None else tail
    return (*flags[:place], *added, *flags[place:])


def run_program(
    program: Program, flags: Sequence[str], folder: str, name: str, final: str, has_table: bool
) -> ProgramRun:
    """Run a program with the flags in the working folder; its float file and what it says go to `folder`.

    name    of the files there, without ending
    final   what its float file will be called in the end; the recorded command names that

    Raises InputError, with the program's last words, where it fails or makes no float file.
    """
    float_file, log, errors = (os.path.join(folder, f"{name}.{ending}") for ending in ("bin", "log", "err"))
    command = (*program.words, *with_outputs(flags, float_file, has_table))
    begun = time.perf_counter()
    try:
        with open(log, "wb") as out, open(errors, "wb") as err:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, check=False)
    except OSError as error:
        raise InputError(f"{program.shown[0]} cannot be run: {error.strerror or error}") from error
    seconds = time.perf_counter() - begun
    if done.returncode or not os.path.exists(float_file):
        status = f"status {done.returncode}" if done.returncode >= 0 else f"signal {-done.returncode}"
        how = f"failed with {status}" if done.returncode else "wrote no float file"
        raise InputError(
            f"{shlex.join(program.shown)} {how}: {last_words(errors) or last_words(log) or 'it said nothing'}"
        )
    recorded = (*program.shown, *with_outputs(flags, final, has_table))
    return ProgramRun(recorded, seconds, float_file, log, errors)


def last_words(path: str) -> str:
    """The end of what a program printed: its last line, and of a long line the end."""
    with open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
        lines = file.read().decode("utf-8", "replace").split("\n")
    errors = [line for line in lines if "error" in line.lower()]
    last = next((line for line in reversed(errors or lines) if line.strip()), "")
    text = "".join(c if c.isprintable() else " " for c in last).strip()
    return text if len(text) <= SHOWN else "..." + text[-SHOWN:]
