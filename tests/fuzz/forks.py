"""Calls of the program in forked children: imported once, each with a limit of time and memory."""

from __future__ import annotations

import os
import re
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fuzz.cases import Case
from fuzz.corpus import BESIDE
from fuzz.hostile import furnish
from fuzz.verdict import Outcome, contents

CPU_SECONDS, WALL_SECONDS = 20, 90
"""What a call may take; on a busy machine it waits longer."""
LARGEST_FILE = 2**30
ADDRESSES = 2**32
"""Bytes of addresses beyond those of the parent."""


HEAVY = re.compile(r"physics|kernels|__main__|nanobragg\.noise|assemble|engine\.(cluster|dispatch|local|worker|sizing)")
"""Modules that import torch or distributed, which few calls need."""


def import_all() -> None:
    """What calls import, none of which starts a thread."""
    import importlib

    names = "numpy zarr h5py hdf5plugin gemmi fabio tifffile PIL.Image matplotlib.figure dask.array xarray"
    for name in (*names.split(), "matplotlib.backends.backend_agg", *_modules()):
        importlib.import_module(name)


def _modules() -> Iterator[str]:
    """All other modules of tilesim."""
    import pkgutil

    import tilesim
    import tilesim_cli

    for package in (tilesim, tilesim_cli):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not re.search(
                r"\.(physics|kernels|__main__)\b|engine\.(cluster|dispatch|local|worker|sizing)", module.name
            ):
                yield module.name


def in_child(work: Callable[[], None]) -> int:
    """Do something in a forked child; its exit status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@dataclass
class Call:
    """A child that runs a case in a folder of its own."""

    case: Case
    number: int
    place: str
    pid: int
    begun: float
    said: str
    before: dict
    pipes: tuple[int, int] = (-1, -1)
    """Where it writes instead of files, whose size is limited"""


def prepare(case: Case, corpus: str, folder: str) -> str:
    """Put the files of a case into an empty folder; what was done to them."""
    for name in needed(case, os.listdir(corpus)):
        source, target = os.path.join(corpus, name), os.path.join(folder, name)
        if os.path.isdir(source):
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    furnish(folder)
    return case.prepare(folder, corpus) if case.prepare else ""


def needed(case: Case, there: list[str]) -> list[str]:
    """The files of the corpus that a case may read, or meet where it writes."""
    text = " ".join(("A.mat P1.hkl", *case.words, *(one for word in case.words for one in BESIDE.get(word, ()))))
    return [name for name in there if name in text or name.removesuffix(".json") in text or name == "data.h5"]


def begin(case: Case, number: int, corpus: str) -> Call:
    """Start a case."""
    place = tempfile.mkdtemp(prefix="tilesim-fuzz-")
    folder = os.path.join(place, "work")
    os.mkdir(folder)
    said = prepare(case, corpus, folder)
    before = contents(folder)
    sys.stdout.flush()
    sys.stderr.flush()
    pipes = [os.pipe() for _ in range(2)] if case.room is not None else []
    pid = os.fork()
    if pid == 0:
        try:
            _limit()
            _redirect(case, place, [end for _, end in pipes])
            os.chdir(folder)
            if case.room is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (case.room, case.room))
            call(case)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(99)
    for _, end in pipes:
        os.close(end)
    return Call(case, number, place, pid, time.monotonic(), said, before, tuple(end for end, _ in pipes) or (-1, -1))


def ended(one: Call) -> Outcome | None:
    """The outcome of a call, None while it runs; its folder is gone afterwards."""
    pid, status, used = os.wait4(one.pid, os.WNOHANG)
    why = ""
    if pid == 0:
        if time.monotonic() - one.begun < WALL_SECONDS:
            return None
        os.kill(one.pid, signal.SIGKILL)
        _, status, used = os.wait4(one.pid, 0)
        why = f"still there after {WALL_SECONDS} s"
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGXCPU:
        why = f"more than {CPU_SECONDS} s of computing"
    pairs = zip(("out", "err"), one.pipes, strict=True)
    out, err = (_read(os.path.join(one.place, name) if end < 0 else end) for name, end in pairs)
    after = contents(os.path.join(one.place, "work"))
    os.chmod(os.path.join(one.place, "work", "readonly"), 0o700) if "readonly" in after else None
    shutil.rmtree(one.place, ignore_errors=True)
    return Outcome(code, out, err, one.before, after, used.ru_maxrss * 1024, why)


def call(case: Case) -> None:
    """Run the program as its entry point does, and leave with its status."""
    from tilesim_cli import main as program

    sys.argv = ["tilesim", *case.words]
    if case.interrupt:
        _interrupt_at(case)
    else:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    status = 0
    try:
        program.main()
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            status = status or 120
    os._exit(status)


EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.listdir", "os.scandir", "os.chmod", "import")
"""What is counted to interrupt at."""
TYPICAL = 400
"""Events of a call, about; those that have fewer end before the signal."""


def _interrupt_at(case: Case) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    left = [1 + int(case.interrupt**2 * TYPICAL)]
    own = os.getpid()

    def count(event: str, arguments: object) -> None:
        if event in EVENTS:
            left[0] -= 1
            if left[0] == 0:
                os.kill(own, signal.SIGINT)

    sys.addaudithook(count)


def _limit() -> None:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESSES, used + ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))


def _redirect(case: Case, place: str, pipes: list[int]) -> None:
    """Standard input empty, standard output and error in files, or as bad as the case wants them."""
    ends = ["/dev/null", os.path.join(place, "out"), os.path.join(place, "err")]
    for name in ends[1:]:
        open(name, "wb").close()
    for number, name in enumerate(ends):
        what = ("stdin", "stdout", "stderr")[number]
        if case.stream == f"{what} full":
            name = "/dev/full"
        descriptor = os.open(name, os.O_RDONLY if number == 0 else os.O_WRONLY)
        os.dup2(descriptor, number)
        os.close(descriptor)
    for number, end in enumerate(pipes, 1):
        os.dup2(end, number)
    encoding = {"encoding": "ascii" if case.stream == "ascii" else "utf-8"}
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  (they stay open)
    sys.stdout = open(1, "w", errors="strict", closefd=False, **encoding)  # noqa: SIM115
    sys.stderr = open(2, "w", errors="backslashreplace", closefd=False, buffering=1, **encoding)  # noqa: SIM115
    for number, what in ((1, "stdout"), (2, "stderr")):
        if case.stream in (f"{what} closed", "both closed"):
            os.close(number)
            setattr(sys, what, None)
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr


def _read(path: str | int) -> str:
    with open(path, "rb") as file:
        return file.read(2**20).decode("utf-8", "backslashreplace")


def pause() -> None:
    """Wait for a child to end, or a moment."""
    select.select([], [], [], 0.002)
