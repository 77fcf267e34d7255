"""The program on worker processes: the files of one process, faults told in one line, and runs that go on."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import BASE, LIMIT
from distribution import QUIET, certificates, free_port, session

from tilesim.kernels import library

pytest.importorskip("distributed")
pytestmark = [pytest.mark.filterwarnings(*QUIET)]

LONG = (*BASE, *"-detpixels 96 --tile 8 -noprogress".split())
"""144 tiles, which take a moment."""
ENDLESS = (*BASE, *"-detpixels 4096 --tile 8 -noprogress".split())
"""262144 tiles: whatever is done to them, some are left."""
HOLD = """
import threading
from tilesim.engine import worker
from tilesim.engine.task import run_tile  # dask loads this twice

left = 8

def held(*how):
    global left
    left -= 1
    return run_tile(*how) if left >= 0 else threading.Event().wait()

worker.run_tile = held
"""
"""Preloaded by a worker process, which then computes eight tiles and holds on for ever over the ninth."""
SERIES = (*BASE, *"-osc 1 -phisteps 2 --frames 4 --tile 5 -noprogress".split())
NOISY = ("-floatfile", "s{frame}.bin", "-noisefile", "n{frame}.img", "-seed", "3")


@pytest.fixture
def dask(folder):
    """`dask("scheduler", ...)` starts a process of dask's command line in `folder`; all end with the test."""
    running = []

    def start(*words):
        command = [sys.executable, "-m", "dask", *words]
        with open(folder.parent / f"dask{len(running)}.log", "w") as log:
            running.append(subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True))
        return running[-1]

    yield start
    for child in running:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _wait_for_port(port, process):
    """Return when somebody listens there; a scheduler may take long to start on a busy machine."""
    while process.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the scheduler has ended")


@pytest.fixture
def scheduler(dask):
    """`scheduler(2)` starts a scheduler and so many workers, and gives its process and address."""

    def start(workers, *options):
        address = f"{'tls' if options else 'tcp'}://127.0.0.1:{(port := free_port())}"
        first = dask("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard", *options)
        _wait_for_port(port, first)
        for _ in range(workers):
            dask("worker", address, "--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard", *options)
        return first, address

    return start


def test_local_workers_make_the_files_of_one_process(tilesim, folder, made):
    files = ("-floatfile", "f.bin", "-intfile", "i.img", "-noisefile", "n.img", "-seed", "3")
    assert tilesim("run", *BASE, *files, "--tile", "5").status == 0
    alone = {name: (folder / name).read_bytes() for name in made()}
    result = tilesim("run", *BASE, *files, "--tile", "5", "--workers", "2", "--json", "j.json")
    assert result.status == 0 and "max_I = " in result.out
    assert {name: (folder / name).read_bytes() for name in alone} == alone
    assert made() == sorted([*alone, "j.json"])
    account = json.loads((folder / "j.json").read_text())
    assert account["workers"] in (1, 2) and account["complete"] and account["computed_tiles"] == account["tiles"] == 9


def test_a_series_is_that_of_single_runs(tilesim, folder, made):
    words = ("-floatfile", "s{frame}.bin", "--zarr", "s.zarr")
    assert tilesim("run", *SERIES, *words, "--workers", "2").status == 0
    assert made() == ["s.zarr", "s0.bin", "s1.bin", "s2.bin", "s3.bin"]
    for frame in range(4):
        single = [*SERIES[: SERIES.index("--frames")], "-phi", str(frame)]
        assert tilesim("run", *single, "-floatfile", "one.bin").status == 0
        assert (folder / "one.bin").read_bytes() == (folder / f"s{frame}.bin").read_bytes()
    assert tilesim("run", *SERIES, "-floatfile", "t{frame}.bin").status == 0
    assert (folder / "t3.bin").read_bytes() == (folder / "s3.bin").read_bytes()
    assert "t.bin" not in made() and not any(name.startswith(".") for name in made())


def test_workers_assemble_the_files_of_a_series(tilesim, folder, made):
    assert tilesim("run", *SERIES, *NOISY).status == 0
    alone = {name: (folder / name).read_bytes() for name in made()}
    for name in alone:
        (folder / name).unlink()
    words = (*NOISY, "--workers", "2", "--assemble", "workers")
    assert tilesim("run", *SERIES, *words).status == 0
    assert {name: (folder / name).read_bytes() for name in made()} == alone


def test_without_workers_nobody_else_assembles(tilesim):
    result = tilesim("run", *BASE, "-floatfile", "f.bin", "--assemble", "workers")
    assert result.status == 2 and "--assemble" in result.err


def test_a_series_needs_names_that_tell_its_frames_apart(tilesim, made):
    result = tilesim("run", *SERIES, "-floatfile", "s.bin")
    assert result.status == 2 and "-floatfile s.bin is one file for 4 frames" in result.err
    assert "s_{frame:05d}.bin" in result.err
    still = tilesim("run", *BASE, "--frames", "2", "-floatfile", "s{frame}.bin")
    assert still.status == 2 and "--frame-osc" in still.err
    assert made() == []


def test_the_noise_of_frames_differs_with_one_seed(tilesim, folder):
    words = "-seed 7 -noisefile n{frame}.img --frames 2 --frame-osc 0".split()
    assert tilesim("run", *BASE, *words).status == 0
    assert (folder / "n0.img").read_bytes() != (folder / "n1.img").read_bytes()
    assert tilesim("run", *BASE, "-seed", "7", "-noisefile", "n.img").status == 0
    assert (folder / "n0.img").read_bytes() == (folder / "n.img").read_bytes()


def test_plan_says_what_the_workers_have(tilesim, scheduler):
    _, address = scheduler(1)
    result = tilesim("plan", *SERIES, "-floatfile", "f{frame}.bin", "--scheduler", address, "--json", "-")
    assert result.status == 0
    plan = json.loads(result.out)
    assert plan["workers"] == 1 and plan["frames"] == 4 and plan["tiles"] == 36 and plan["in_flight"] >= 2
    told = tilesim("plan", *BASE, "--scheduler", address).out
    assert f"at {address}" in told and "in flight" in told


@pytest.mark.parametrize("word", ["--scheduler", "--scheduler-file"])
def test_a_scheduler_that_is_not_there_is_one_line(tilesim, folder, made, monkeypatch, word):
    from tilesim.engine import connect

    monkeypatch.setattr(connect, "CONNECT_SECONDS", 1.0)
    where = f"tcp://127.0.0.1:{free_port()}" if word == "--scheduler" else "nowhere.json"
    result = tilesim("run", *BASE, "-floatfile", "f.bin", "--quiet", word, where)
    assert result.status == 2
    [line] = result.err.splitlines()
    assert where in line
    assert made() == []


def test_options_that_exclude_each_other_are_refused(tilesim, made):
    for words in (["--workers", "2", "--scheduler", "tcp://x:1"], ["--tls-ca", "a.pem"], ["--workers", "0"]):
        assert tilesim("run", *BASE, *words).status == 2
    assert made() == []


@pytest.fixture
def hold(folder):
    """The path of HOLD, for dask to preload."""
    path = folder.parent / "hold.py"
    path.write_text(HOLD)
    return str(path)


def some_tiles(store: Path, count: int, child) -> None:
    """Wait until so many tiles are stored."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end and child.poll() is None:
        if sum(path.is_file() for path in (store / "0" / "intensity" / "c").rglob("*")) >= count:
            return
        time.sleep(0.02)
    child.kill()
    raise AssertionError(child.communicate())


@pytest.fixture
def whole(tilesim, folder):
    """The float file of LONG, made by one process."""
    assert tilesim("run", *LONG, "-floatfile", "whole.bin").status == 0
    return (folder / "whole.bin").read_bytes()


def test_a_run_whose_scheduler_was_killed_goes_on_with_another(tilesim, process, dask, hold, folder, whole):
    address = f"tcp://127.0.0.1:{(port := free_port())}"
    first = dask("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    dask("worker", address, "--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard", "--preload", hold)
    words = (*LONG, "-floatfile", "f.bin", "--zarr", "z.zarr")
    child = process("run", *words, "--scheduler", address)
    some_tiles(folder / "z.zarr", 5, child)
    os.killpg(first.pid, signal.SIGKILL)
    _, err = child.communicate(timeout=LIMIT)
    assert child.returncode == 1
    assert "was lost" in err.splitlines()[-1] and "--resume" in err.splitlines()[-1]
    assert "Traceback" not in err and not (folder / "f.bin").exists()
    result = tilesim("run", *words, "--workers", "2", "--resume", "--json", "-")
    account = json.loads(result.out)
    assert account["restored_tiles"] >= 5 and account["computed_tiles"] > 0
    assert (folder / "f.bin").read_bytes() == whole
    assert tilesim("verify", "z.zarr").status == 0


@pytest.mark.parametrize("sent, status", [("SIGINT", 130), ("SIGTERM", 143), ("SIGKILL", -9)])
def test_a_client_that_ends_leaves_a_store_that_can_be_resumed(tilesim, process, hold, folder, whole, sent, status):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "DASK_DISTRIBUTED__WORKER__PRELOAD": json.dumps([hold])}
    child = process("run", *LONG, "-floatfile", "f.bin", "--workers", "2", env=environment)
    some_tiles(folder / ".f.bin.tiles.zarr", 10, child)
    child.send_signal(getattr(signal, sent))
    _, err = child.communicate(timeout=LIMIT)
    assert child.returncode == status and "Traceback" not in err
    if status > 0:
        # Python's own helper may say more, of what had no time to be given back.
        [line] = [line for line in err.splitlines() if line.startswith("tilesim: ")]
        assert "144 tiles are kept in" in line
    assert tilesim("run", *LONG, "-floatfile", "f.bin", "--resume").status == 0
    assert (folder / "f.bin").read_bytes() == whole
    assert not (folder / ".f.bin.tiles.zarr").exists()


def left_after(seconds, leader):
    """Processes of a session that are still there then; multiprocessing's own helper needs a moment to end."""
    end = time.monotonic() + seconds
    while session(leader) and time.monotonic() < end:
        time.sleep(0.05)
    return session(leader)


def test_ctrl_c_at_a_terminal_reaches_workers_too_and_is_told_in_one_line(process, folder):
    child = process("run", *ENDLESS, "-floatfile", "f.bin", "--workers", "2", "--zarr", "z.zarr", "--quiet")
    some_tiles(folder / "z.zarr", 3, child)
    os.killpg(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=LIMIT)
    assert child.returncode == 130
    [line] = [line for line in err.splitlines() if line and not line.startswith(("NOTE", "WARNING"))]
    assert line.startswith("tilesim: interrupted; ")
    assert left_after(LIMIT, child.pid) == []


def test_ctrl_c_while_workers_start_is_told_in_one_line(process):
    child = process("run", *ENDLESS, "-floatfile", "f.bin", "--workers", "2", "--quiet")
    end = time.monotonic() + LIMIT
    while len(session(child.pid)) < 3 and time.monotonic() < end:  # the helper of multiprocessing, what is forked
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=LIMIT)
    assert child.returncode == 130
    # Where the machine is slow to send it, tiles are there already.
    [line] = [line for line in err.splitlines() if line]
    assert re.fullmatch(r"tilesim: interrupted; (nothing was written|\d+ of 262144 tiles are kept in .*)", line)
    assert left_after(LIMIT, child.pid) == []


def test_workers_of_a_dead_client_are_gone(process, folder):
    child = process("run", *ENDLESS, "-floatfile", "f.bin", "--workers", "2", "--zarr", "z.zarr")
    some_tiles(folder / "z.zarr", 3, child)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert left_after(LIMIT, child.pid) == []


def limited(soft, hard):
    """What a child process does before it begins: few open files."""
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_limit_of_open_files_that_stops_workers_is_told_in_one_line(process, made):
    child = process("run", *BASE, "-floatfile", "f.bin", "--workers", "2", "--quiet", preexec_fn=limited(64, 64))
    _, err = child.communicate(timeout=LIMIT)
    [line] = err.splitlines()
    assert child.returncode == 1 and line.endswith("need up to 120 open files, the limit is 64 (ulimit -n)")
    assert made() == []


def test_a_low_limit_of_open_files_that_may_be_raised_is(process, made):
    child = process("run", *BASE, "-floatfile", "f.bin", "--workers", "2", "--quiet", preexec_fn=limited(64, 1024))
    assert child.communicate(timeout=LIMIT) == ("", "") and child.returncode == 0
    assert made() == ["f.bin"]


def test_workers_that_do_not_start_are_told_in_one_line(process, folder, made):
    (folder.parent / "die.py").write_text("raise RuntimeError('no such thing')\n")
    environment = {**os.environ, "DASK_DISTRIBUTED__WORKER__PRELOAD": json.dumps([str(folder.parent / "die.py")])}
    child = process("run", *BASE, "-floatfile", "f.bin", "--workers", "2", "--quiet", env=environment)
    _, err = child.communicate(timeout=LIMIT)
    [line] = err.splitlines()
    assert child.returncode == 1 and line.startswith("tilesim: worker processes do not start, tried 3 times")
    assert made() == []


def test_files_of_the_working_folder_are_no_modules_of_workers(folder):
    (folder / "yaml.py").write_text("raise SystemExit('the wrong module')\n")
    program = Path(sys.executable).with_name("tilesim")
    if not program.exists():
        pytest.skip("tilesim is not installed as a program")
    words = [program, "run", *BASE, "-floatfile", "f.bin", "--workers", "1", "--quiet"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")
def test_the_client_of_workers_does_without_torch_and_more(folder):
    code = """
import sys
from tilesim_cli import main as program
program._leave = lambda status: print([m for m in ("torch", "dask.array", "pandas", "matplotlib") if m in sys.modules])
program.main()
"""
    words = [sys.executable, "-c", code, "run", *BASE, *"-floatfile f.bin --workers 1 --backend fused --quiet".split()]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_resuming_another_experiment_is_refused(tilesim, made):
    assert tilesim("run", *BASE, "--zarr", "z.zarr").status == 0
    for words in (["-lambda", "1.6"], ["--precision", "double"], ["--tile", "3"]):
        result = tilesim("run", *BASE, *words, "--zarr", "z.zarr", "--resume", "--workers", "1")
        assert result.status == 2 and "cannot be resumed" in result.err


def test_tls_is_offered_and_required(tilesim, scheduler, folder, made, monkeypatch):
    from tilesim.engine import connect

    authority, certificate, key = certificates(folder.parent)
    files = ("--tls-ca-file", authority, "--tls-cert", certificate, "--tls-key", key)
    _, address = scheduler(1, *files)
    mine = ("--tls-ca", authority, "--tls-cert", certificate, "--tls-key", key)
    assert tilesim("run", *BASE, "-floatfile", "f.bin", "--scheduler", address, *mine).status == 0
    monkeypatch.setattr(connect, "CONNECT_SECONDS", 1.0)
    for words in ((), (*mine[:1], certificate, *mine[2:])):
        refused = tilesim("run", *BASE, "-floatfile", "g.bin", "--quiet", "--scheduler", address, *words)
        assert refused.status == 2 and len(refused.err.splitlines()) == 1
    missing = tilesim("run", *BASE, "--scheduler", address, *mine[:-1], "nowhere.pem")
    assert missing.status == 2 and "nowhere.pem: there is no such file" in missing.err
    assert made() == ["f.bin"]


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"address": 5}'])
def test_what_is_no_schedulers_file_is_named(tilesim, folder, made, text, monkeypatch):
    monkeypatch.setattr("tilesim.engine.connect.CONNECT_SECONDS", 0.3)
    (folder / "s.json").write_text(text)
    result = tilesim("run", *BASE, "-floatfile", "f.bin", "--scheduler-file", "s.json", "--quiet")
    assert result.status == 2 and "s.json: expected the file" in result.err and len(result.err.splitlines()) == 1
    assert "f.bin" not in made()


def test_a_port_of_something_else_is_no_scheduler(tilesim, monkeypatch):
    monkeypatch.setattr("tilesim.engine.connect.CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        result = tilesim("run", *BASE, "-floatfile", "f.bin", "--scheduler", address)
    assert result.status == 2 and f"no scheduler answers at {address}" in result.err


@pytest.mark.parametrize(
    "words, named",
    [
        (("--resume", "--overwrite"), "--overwrite"),
        (("--workers", "1", "--timeout", "nan"), "--timeout"),
        (("--workers", "1", "--patience", "-1"), "--timeout"),
        (("--scheduler", "tls://127.0.0.1:1"), "--tls-ca"),
        (("--frames", "1000000", "--frame-osc", "1"), "--frames"),
    ],
)
def test_options_that_make_no_sense_are_refused_at_once(tilesim, words, named):
    result = tilesim("run", *BASE, "-floatfile", "f{frame}.bin", "--zarr", "z.zarr", "--quiet", *words)
    assert result.status == 2 and named in result.err and len(result.err.splitlines()) == 1
