"""One command that was handed over to `tilesim serve`: a process that waits for it, and its child that runs it."""

from __future__ import annotations

import ctypes
import gc
import marshal
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from socket import recv_fds, socket
from typing import Any, NoReturn

from tilesim_cli import signals
from tilesim_cli.handover import ACCEPTED, PATIENCE, REFUSED, STATUS_BYTES, peer, surroundings

LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
PR_SET_PDEATHSIG = 1
STREAMS = 3
"""Standard input, output and error."""


def attend(connection: socket, refused: Callable[[str], None]) -> NoReturn:
    """Run the command of a client and tell it the exit status; call `refused` with a reason why not."""
    os.setsid()  # Ctrl-C where the server runs is not for the command
    for number in (signal.SIGCHLD, *signals.EXCEPTIONS):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.EXCEPTIONS)
    connection.settimeout(PATIENCE)
    (theirs, mask, words, environment), files = _received(connection)
    reason = _difference(theirs) or _limited(peer(connection)[0])
    connection.sendall(REFUSED if reason else ACCEPTED)
    if reason:
        refused(reason)
        os._exit(0)
    worker = os.fork()
    if worker == 0:
        connection.close()
        _become(files, mask, words, environment)
        _run()
    for file in files:
        os.close(file)
    connection.sendall(_watched(connection, worker).to_bytes(STATUS_BYTES, "big", signed=True))
    os._exit(0)


def _received(connection: socket) -> tuple[Any, list[int]]:
    """What a client of the same user sends, and its open files. Raises OSError and ValueError."""
    if peer(connection)[1] != os.getuid():
        raise PermissionError("another user's command")
    data, files, _, _ = recv_fds(connection, 2**16, STREAMS + 1)
    while len(data) < 8 or len(data) < 8 + int.from_bytes(data[:8], "big"):
        more = connection.recv(2**16)
        if not more:
            raise ConnectionError("a command that ended too early")
        data += more
    return marshal.loads(data[8:]), files


def _difference(theirs: dict[str, Any]) -> str:
    """What is not the same in the client; empty where all is."""
    ours = surroundings()
    return next((name for name in sorted(ours.keys() | theirs.keys()) if ours.get(name) != theirs.get(name)), "")


def _limited(pid: int) -> str:
    """Take over the client's limits, cores and priority; what cannot be taken over, else nothing."""
    try:
        for limit in LIMITS:
            resource.setrlimit(limit, resource.prlimit(pid, limit))
        os.sched_setaffinity(0, os.sched_getaffinity(pid))
        os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, pid))
    except (OSError, ValueError) as error:
        return f"limits ({error})"
    return ""


def _become(files: Sequence[int], mask: int, words: list[str], environment: dict[bytes, bytes]) -> None:
    """Make this process what the client is: streams, working folder, mask of files, arguments, environment."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    for number, file in enumerate(files[:STREAMS]):
        os.dup2(file, number)
    os.fchdir(files[STREAMS])
    for file in files:
        os.close(file)
    os.umask(mask)
    sys.argv = words
    os.environb.clear()
    os.environb.update(environment)
    time.tzset()
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        before = getattr(sys, f"__{name}__")
        how = {"encoding": before.encoding, "errors": before.errors, "closefd": False}
        if number == 0:
            setattr(sys, name, os.fdopen(number, **how))
        else:
            setattr(sys, name, os.fdopen(number, "w", 1 if number == 2 or os.isatty(number) else -1, **how))


def _run() -> NoReturn:
    """Run the command and leave."""
    from tilesim_cli.main import here

    try:
        here()
    except SystemExit as left:
        gc.collect()  # gives back what worker processes shared
        os._exit(int(left.code or 0))
    raise AssertionError("a command that has not left")


def _watched(connection: socket, worker: int) -> int:
    """Exit status of the process, or the number of the signal that killed it, negative.

    Signals that the client sends are passed on; a client that is gone terminates it.
    """
    connection.settimeout(None)
    ended = os.pidfd_open(worker)
    waited_for = [ended, connection.fileno()]
    while ended not in select.select(waited_for, [], [])[0]:
        try:
            sent = connection.recv(1)
        except OSError:
            sent = b""
        if not sent:
            waited_for = [ended]
        os.kill(worker, sent[0] if sent else signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
