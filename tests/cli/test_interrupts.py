"""Ctrl-C and SIGTERM from the first moment on: one line and a status, whatever is being imported."""

import signal
import subprocess
import sys

import pytest
from commands import BASE

from tilesim_cli import signals

INTERRUPTED = """
import importlib.abc, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)

class Interrupt(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {name!r}:
            sys.meta_path.remove(self)
            try:
                signal.raise_signal(signal.{sent})
            except BaseException:
                raise ImportError("taken for a library that is not there") from None

sys.meta_path.insert(0, Interrupt())
from tilesim_cli.main import main
main()
"""


@pytest.mark.parametrize("name", ["click", "tilesim_cli.run", "numpy", "tilesim.series.launch", "zarr", "matplotlib"])
def test_ctrl_c_during_an_import_is_one_line(folder, made, name):
    words = ["run", *BASE, "-floatfile", "f.bin", "--zarr", "z.zarr", "--preview", "p.png", "--quiet"]
    command = [sys.executable, "-c", INTERRUPTED.format(name=name, sent="SIGINT"), *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    [line] = done.stderr.split("\n")[-2:-1]
    assert done.returncode == 130 and line.startswith("tilesim: interrupted; "), done.stderr
    assert "Traceback" not in done.stderr
    assert made() in ([], ["z.zarr"], ["f.bin", "p.png", "z.zarr"])


def test_a_termination_during_an_import_is_one_line(folder):
    command = [sys.executable, "-c", INTERRUPTED.format(name="numpy", sent="SIGTERM"), "run", *BASE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (143, "tilesim: terminated; nothing was written\n")


@pytest.fixture
def handlers():
    """Signals are not ignored, also of tests in the background, and are treated as before at the end."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_an_import_comes_to_its_end_before_the_exception(handlers, tmp_path, monkeypatch):
    (tmp_path / "inner_module.py").write_text("import signal; signal.raise_signal(signal.SIGINT); done = True\n")
    (tmp_path / "outer_module.py").write_text("import inner_module\ndone = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    signals.obey()
    with pytest.raises(KeyboardInterrupt):
        import outer_module

        raise AssertionError("the interrupt was lost")
    assert outer_module.done and sys.modules.pop("inner_module").done
    del sys.modules["outer_module"]


def test_elsewhere_the_exception_comes_at_once(handlers):
    signals.obey()
    with pytest.raises(signals.Terminated):
        signal.raise_signal(signal.SIGTERM)


def test_signals_that_are_ignored_stay_so(handlers):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signals.obey()
    signal.raise_signal(signal.SIGINT)


def test_what_the_system_refuses_is_one_line(tilesim, monkeypatch, made):
    def thread(*_, **__):
        raise RuntimeError("can't start new thread")

    def load(*_, **__):
        raise ImportError("no torch") from ImportError("libx.so: failed to map segment from shared object")

    def full(*_, **__):
        raise MemoryError

    for fail, said in ((thread, "thread"), (load, "libx.so: failed to map"), (full, "memory")):
        monkeypatch.setattr("tilesim.nanobragg.resolve.read_command", fail)
        result = tilesim("run", *BASE, "-floatfile", "f.bin", "--quiet")
        [line] = result.err.splitlines()
        assert result.status == 1 and said in line and made() == []
