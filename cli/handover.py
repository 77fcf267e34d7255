"""Handing a command over to the server that TILESIM_SERVER names, which has imported everything (docs/server.md)."""

from __future__ import annotations

import marshal
import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

from tilesim_cli import signals
from tilesim_cli.complaint import complain

if TYPE_CHECKING:
    from socket import socket

SERVER = "TILESIM_SERVER"
PATIENCE = 10.0
"""Seconds that either side waits for the other while a command is handed over."""
ACCEPTED, REFUSED = b"+", b"-"
STATUS_BYTES = 4
READ_AT_START = (
    *("PYTHON", "LANG", "LC_", "LD_", "GLIBC_", "MALLOC_", "HOME", "XDG_CONFIG"),
    *("OPENBLAS_", "GOTO_", "MKL_", "NPY_", "NUMPY_", "ZARR_", "DASK_", "NUMCODECS_", "BLOSC_"),
)
"""Beginnings of the variables that Python and libraries read when they start: others are taken as they are."""
OF_THIS_PROCESS = ("/proc/", "/dev/fd/", "/dev/tty")
"""Parts of the names of files that another process would not find."""
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")


def handed_over() -> int | None:
    """Exit status of the command, which the server has run; None where this process is to run it.

    That is so where nobody listens, and where the server could not do exactly what this process does.
    """
    path, words = os.environ.get(SERVER), sys.argv[1:]
    if not path or words[:1] == ["serve"] or any(part in word for word in words for part in OF_THIS_PROCESS):
        return None
    import socket

    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.settimeout(PATIENCE)
            connection.connect(path)
            if peer(connection)[1] != os.getuid():
                return None
            _send(connection)
            if connection.recv(1) != ACCEPTED:
                return None
        except (OSError, ValueError):
            return None
        connection.settimeout(None)
        return _awaited(connection)


def peer(connection: socket) -> tuple[int, int]:
    """Process and user at the other end."""
    from socket import SO_PEERCRED, SOL_SOCKET

    found = connection.getsockopt(SOL_SOCKET, SO_PEERCRED, 12)
    pid, user = (int.from_bytes(found[at : at + 4], sys.byteorder) for at in (0, 4))
    return pid, user


def surroundings() -> dict[str, Any]:
    """What must be the same in the server for a command to do the same there."""
    from tilesim import __version__

    with open("/proc/self/cgroup", "rb") as file:
        group = file.read()
    return {
        "version of tilesim": (__version__, __file__),
        "Python": (sys.version, sys.executable, repr(sys.flags), repr(sys.warnoptions), repr(sys._xoptions)),
        "user or group": (os.getresuid(), os.getresgid(), tuple(sorted(os.getgroups()))),
        "control group": group,
        "root folder": os.readlink("/proc/self/root"),
        **{f"namespace {name}": os.readlink(f"/proc/self/ns/{name}") for name in NAMESPACES},
        **{name: value for name, value in os.environ.items() if name.startswith(READ_AT_START)},
    }


def _send(connection: socket) -> None:
    """Send the command, and with it standard streams and working folder. Raises OSError."""
    from socket import send_fds

    mask = os.umask(0o077)
    os.umask(mask)
    data = marshal.dumps((surroundings(), mask, sys.argv, dict(os.environb)))
    data = len(data).to_bytes(8, "big") + data
    folder = os.open(".", os.O_PATH | os.O_DIRECTORY)
    try:
        sent = send_fds(connection, [data], [0, 1, 2, folder])
    finally:
        os.close(folder)
    connection.sendall(data[sent:])


def _awaited(connection: socket) -> int:
    """The exit status, which the server sends at the end. Signals go to the process that runs the command."""

    def forward(number: int, frame: FrameType | None) -> None:
        with suppress(OSError):
            connection.send(bytes([number]))

    for number in signals.EXCEPTIONS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, forward)
    answer = b""
    with suppress(OSError):
        while len(answer) < STATUS_BYTES and (more := connection.recv(STATUS_BYTES - len(answer))):
            answer += more
    if len(answer) < STATUS_BYTES:
        complain(f"the server at {os.environ[SERVER]} was killed while it ran the command")
        return 1
    status = int.from_bytes(answer, "big", signed=True)
    if status < 0:  # as the process was that ran it
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status
