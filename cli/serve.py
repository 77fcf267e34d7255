"""`tilesim serve`: a process that has imported everything and runs the commands of others in children of its own."""

from __future__ import annotations

import gc
import os
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

import click

from tilesim_cli import signals
from tilesim_cli.command import FILE, ExampledCommand

PRELOADED = (
    *("tilesim_cli.run", "tilesim_cli.launch", "tilesim_cli.summary", "tilesim.nanobragg.resolve"),
    *("tilesim.series.targets", "tilesim.series.launch", "tilesim.series.rendering", "tilesim.series.direct"),
    *("tilesim.series.progress", "tilesim.series.provenance", "tilesim.store.create", "tilesim.store.finish"),
    *("tilesim.engine.lowered", "tilesim.engine.work", "tilesim.kernels.fused", "tilesim.kernels.library"),
)
"""What a run imports."""
MINUTE = 60.0
LONGEST = 1e6
"""Minutes without a command."""


@click.command(
    "serve", cls=ExampledCommand, examples=("$XDG_RUNTIME_DIR/tilesim.sock", "/scratch/me/tilesim.sock --idle 5")
)
@click.argument("socket_file", metavar="SOCKET", type=FILE)
@click.option("--idle", type=float, default=30.0, metavar="MINUTES", help="End after so long without a command [30].")
def command(socket_file: str, idle: float) -> None:
    """Run commands of this user sooner: those that start with SOCKET in the variable TILESIM_SERVER.

    They skip the imports, and write the same bytes. A command whose surroundings are not this process's own starts as
    usual, as do all when it has ended. See docs/server.md.
    """
    if not 0.0 < idle <= LONGEST:
        raise click.UsageError(f"--idle is {idle:g}; expected minutes, above 0 and at most {LONGEST:g}")
    if not socket_file:
        raise click.UsageError("SOCKET is empty; expected the name of a file")
    if None in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
        raise click.UsageError("standard input, output or error is closed; expected open ones, such as /dev/null")
    for name in PRELOADED:
        import_module(name)
    if len(os.listdir("/proc/self/task")) > 1:
        raise click.UsageError(
            "numpy has started threads, which the processes of commands would not have; "
            "expected OPENBLAS_NUM_THREADS=1, or no such variable"
        )
    gc.freeze()
    with listening(socket_file) as listener:
        click.echo(f"tilesim: serving at {socket_file}, process {os.getpid()}", err=True)
        listener.settimeout(idle * MINUTE)
        try:
            _serve(listener)
        except BaseException as error:
            error.add_note("the server has ended")
            raise


def _serve(listener: socket.socket) -> None:
    """Give every client a process of its own, until none has come for some time."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel takes them away
    code = _Code()
    while True:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            return
        if code.changed():
            connection.close()
            click.echo("tilesim: the code has changed; the server ends", err=True)
            return
        with signals.held():
            if os.fork() == 0:
                listener.close()
                _attend(connection)
        connection.close()


def _attend(connection: socket.socket) -> None:
    """Do what one client asks for, and leave."""
    from tilesim_cli.attendant import attend

    def refused(reason: str) -> None:
        click.echo(f"tilesim: a command was not taken: other {reason}", err=True)

    try:
        attend(connection, refused)
    except ConnectionError:
        pass  # the client is gone
    except (OSError, ValueError, TypeError, EOFError) as error:
        click.echo(f"tilesim: a command was not taken: {error}", err=True)
    finally:
        os._exit(1)


@contextmanager
def listening(path: str) -> Iterator[socket.socket]:
    """A socket that only this user can reach; it is removed at the end. Raises InputError."""
    from tilesim.errors import InputError
    from tilesim.files.reading import printable

    with socket.socket(socket.AF_UNIX) as listener:
        mask = os.umask(0o177)
        try:
            _remove_left(path)
            listener.bind(path)
            listener.listen(128)
        except OSError as error:
            raise InputError(f"{printable(path)}: expected a name for a socket; {error.strerror or error}") from error
        finally:
            os.umask(mask)
        try:
            yield listener
        finally:
            with suppress(OSError):
                os.unlink(path)


def _remove_left(path: str) -> None:
    """Remove the socket of a server that was killed."""
    with suppress(FileNotFoundError), socket.socket(socket.AF_UNIX) as other:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            try:
                other.connect(path)
            except ConnectionRefusedError:
                os.unlink(path)


class _Code:
    """The files that the program's modules came from."""

    def __init__(self) -> None:
        rooms = [Path(sys.modules[name].__file__ or "").parent for name in ("tilesim", "tilesim_cli")]
        own = {str(path) for room in rooms for path in room.rglob("*.py")}
        self._files = sorted(own | {name for m in list(sys.modules.values()) if (name := getattr(m, "__file__", None))})
        self._before = self._state()

    def _state(self) -> list[tuple[int, int]]:
        found = []
        for name in self._files:
            with suppress(OSError):
                about = os.stat(name)
                found.append((about.st_mtime_ns, about.st_size))
        return found

    def changed(self) -> bool:
        """Whether one of them is another now, or gone."""
        return self._state() != self._before
