"""A folder with small input, and the program called in it as a user would."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import MATRIX, REFLECTIONS, Result

from tilesim_cli import main as program


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, with a matrix and structure factors in it."""
    (tmp_path / "A.mat").write_text(MATRIX)
    (tmp_path / "P1.hkl").write_text(REFLECTIONS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tilesim(folder, monkeypatch, capfd):
    """`tilesim(*words)` runs the program in this process, in `folder`."""

    def leave(status):
        raise SystemExit(status)

    # Threads of zarr and torch live on in a test process, which must not go.
    monkeypatch.setattr(program.os, "_exit", leave)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["tilesim", *map(str, words)])
        capfd.readouterr()
        try:
            with pytest.raises(SystemExit) as left:
                program.main()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        out, err = capfd.readouterr()
        return Result(left.value.code or 0, out, err)

    return run


@pytest.fixture
def made(folder):
    """`made()` lists what was added to `folder` since the test began, hidden files too."""
    before = set(os.listdir(folder))
    return lambda: sorted(set(os.listdir(folder)) - before)


def start(*words, first="", **options) -> subprocess.Popen:
    """The program in a process of its own, which a signal for this one does not reach; it runs the code `first`."""
    script = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n{first}\n"
    script += "from tilesim_cli.main import main; main()"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", script, *words], **{**pipes, "env": environment, **options})


@pytest.fixture
def process(folder):
    """`process(*words, ...)` starts the program in `folder`, see `start`; it is gone when the test ends."""
    running = []

    def begin(*words, **options):
        running.append(start(*words, **{"cwd": Path(folder), **options}))
        return running[-1]

    yield begin
    for child in running:
        if child.poll() is None:
            child.kill()
        child.communicate()
