"""Calls in a child process, for libraries that a damaged file can crash or keep busy without end."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import pickle
import resource
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import IO, Any, TypeVar, TypeVarTuple, Unpack

LIMIT = 10.0
"""Seconds of processor time that a call may take: time spent in waiting for a slow disk does not count."""
LONGEST = 1800
"""Seconds in all, after which nothing will come: a pipe that nobody writes to."""
SIZE = struct.Struct("<Q")
"""Bytes of a part of a message, ahead of it."""
PIPE = 2**20
"""Bytes on their way, where the system allows it: images go faster."""

Found = TypeVar("Found")
Given = TypeVarTuple("Given")


class LostError(Exception):
    """The child ended in the middle of a call; the message says how."""


def apart(function: Callable[[Unpack[Given]], Found], *arguments: *Given, seconds: float | None = None) -> Found:
    """What a function of a module makes of its arguments, in a child of this process that serves all calls.

    seconds  of processor time that it may take; None: LIMIT

    Raises what the function raises, and LostError where it crashes or takes longer.
    """
    if _here.serving:
        return function(*arguments)
    found: Found = _here.call(function, arguments, LIMIT if seconds is None else seconds)
    return found


def prepare() -> None:
    """Start the child, unless it is there: it imports while this process goes on."""
    _here.prepare()


class _Here:
    """The child of this process, or this process as a child."""

    def __init__(self) -> None:
        self.serving = False
        self._lock = Lock()
        self._owner = 0
        self._child: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        with self._lock:
            self._running()

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...], seconds: float) -> Any:
        with self._lock:
            child = self._running()
            try:
                assert child.stdin is not None and child.stdout is not None
                _send(child.stdin, (function, arguments, seconds, os.getcwd()))
                good, found = _receive(child.stdout)
            except (BrokenPipeError, EOFError):
                status = child.wait()
                self.end()
                raise LostError(_how(status, seconds)) from None
            except BaseException:
                # What it would still answer belongs to no call.
                self.end()
                raise
        if not good:
            raise found
        return found

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._owner != os.getpid():
            # The child of the process that this one was forked from is not its own.
            self._owner, self._child = os.getpid(), _started()
        return self._child

    def end(self) -> None:
        """End the child, if it is this process's own."""
        child, self._child = self._child, None
        if child is not None and self._owner == os.getpid():
            child.kill()
            child.wait()
            for pipe in filter(None, (child.stdin, child.stdout)):
                with contextlib.suppress(OSError):
                    pipe.close()


def _started() -> subprocess.Popen[bytes]:
    # Nothing in the working folder is a module, and the terminal's Ctrl-C is for the parent.
    root = str(Path(__file__).parents[2])
    code = f"import sys; sys.path.append({root!r}); from tilesim.files.apart import serve; serve()"
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    child = subprocess.Popen([sys.executable, "-P", "-c", code], env=environment, start_new_session=True, **pipes)
    assert child.stdout is not None
    with contextlib.suppress(OSError):
        fcntl.fcntl(child.stdout, fcntl.F_SETPIPE_SZ, PIPE)
    return child


def _how(status: int, seconds: float) -> str:
    """How a child ended, in words."""
    if status in (-signal.SIGPROF, -signal.SIGALRM):
        return f"was not read after {seconds:g} s of work"
    name = signal.Signals(-status).name if status < 0 else f"status {status}"
    return f"ended its reader ({name})"


def serve() -> None:
    """Answer calls on standard input until it ends."""
    _here.serving = True
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (memory, resource.getrlimit(resource.RLIMIT_AS)[1]))
    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What a library prints is no answer.
    os.dup2(2, 1)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            function, arguments, seconds, folder = _receive(asked)
            os.chdir(folder)
            # Handlers of Python would wait for the library to return; the signals' own effect does not.
            signal.setitimer(signal.ITIMER_PROF, seconds)
            signal.setitimer(signal.ITIMER_REAL, LONGEST)
            try:
                answer = (True, function(*arguments))
            except Exception as error:
                answer = (False, _portable(error))
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            _send(answers, answer)


def _portable(error: Exception) -> Exception:
    """The error, or one that can be sent with its words."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _send(pipe: IO[bytes], message: Any) -> None:
    """Write a message: its parts, the last of which are arrays as they lie in memory."""
    arrays: list[pickle.PickleBuffer] = []
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL, buffer_callback=arrays.append)
    parts = [memoryview(data), *(array.raw() for array in arrays)]
    pipe.write(SIZE.pack(len(parts)) + b"".join(SIZE.pack(part.nbytes) for part in parts))
    for part in parts:
        pipe.write(part)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> Any:
    """The next message. Raises EOFError where there is none."""
    count = SIZE.unpack(_read(pipe, SIZE.size))[0]
    sizes = [SIZE.unpack(_read(pipe, SIZE.size))[0] for _ in range(count)]
    data, *arrays = [_read(pipe, size) for size in sizes]
    return pickle.loads(data, buffers=arrays)


def _read(pipe: IO[bytes], size: int) -> bytearray:
    data = bytearray(size)
    if pipe.readinto(data) < size:  # type: ignore[attr-defined]
        raise EOFError
    return data


_here = _Here()
atexit.register(_here.end)
