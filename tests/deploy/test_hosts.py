"""The scripts for plain hosts: what they start works, listens on loopback only, and ends with them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import BASE, LIMIT, MATRIX, REFLECTIONS
from distribution import QUIET, certificates, free_port, session

distributed = pytest.importorskip("distributed")
pytestmark = [pytest.mark.filterwarnings(*QUIET)]
HOSTS = Path(__file__).parents[2] / "deploy" / "hosts"


@pytest.fixture
def dask(tmp_path):
    """A program called dask, as the scripts expect one on the path."""
    program = tmp_path / "dask"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dask "$@"\n')
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def script(tmp_path, dask):
    """`script("workers.sh", ..., CORES="2")` starts one; whatever is left of it ends with the test."""
    running = []

    def start(name, *words, **settings):
        settings = {"DASK": dask, "DASHBOARD": "none", **{key: str(value) for key, value in settings.items()}}
        command = ["sh", str(HOSTS / name), *map(str, words)]
        with open(tmp_path / f"{name}{len(running)}.log", "w") as log:
            options = {"stdout": log, "stderr": log, "start_new_session": True}
            running.append(subprocess.Popen(command, env={**os.environ, **settings}, **options))
        return running[-1]

    yield start
    for child in running:
        for process in session(child.pid):
            os.kill(process, signal.SIGKILL)
        child.wait()


def ends(child) -> None:
    """SIGTERM ends the script and all that it started."""
    child.send_signal(signal.SIGTERM)
    child.wait(LIMIT)
    end = time.monotonic() + LIMIT
    while session(child.pid) and time.monotonic() < end:
        time.sleep(0.1)
    assert session(child.pid) == []


def listening(child) -> set[str]:
    """The addresses on which the processes of a script listen, as /proc writes them."""
    sockets = set()
    for process in session(child.pid):
        for entry in Path(f"/proc/{process}/fd").iterdir():
            try:
                target = os.readlink(entry)
            except FileNotFoundError:  # closed since it was listed
                continue
            if target.startswith("socket:["):
                sockets.add(target[8:-1])
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[9] in sockets}


LOOPBACK = "0100007F"


def test_scheduler_and_workers_run_what_they_are_sent_on_loopback_and_end(script):
    address = f"tcp://127.0.0.1:{(port := free_port())}"
    first = script("scheduler.sh", PORT=port)
    workers = script("workers.sh", address, GPUS="", CORES=4, THREADS=2)
    with distributed.Client(address, timeout=LIMIT, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=LIMIT)
        found = client.scheduler_info(n_workers=-1)["workers"].values()
        assert sorted(worker["nthreads"] for worker in found) == [2, 2]
        assert client.submit(sum, [1, 2, 3]).result(timeout=LIMIT) == 6
        assert set(client.run(lambda: os.environ["OMP_NUM_THREADS"]).values()) == {"1"}
    assert listening(first) == {LOOPBACK} and listening(workers) == {LOOPBACK}
    ends(workers)
    ends(first)


def test_a_worker_for_each_gpu_declares_it_and_sees_it_alone(script):
    address = f"tcp://127.0.0.1:{(port := free_port())}"
    script("scheduler.sh", PORT=port)
    script("workers.sh", address, GPUS="0 3")
    with distributed.Client(address, timeout=LIMIT, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=LIMIT)
        found = client.scheduler_info(n_workers=-1)["workers"].values()
        assert [(worker["nthreads"], worker["resources"]) for worker in found] == [(1, {"GPU": 1.0})] * 2
        assert sorted(client.run(lambda: os.environ["CUDA_VISIBLE_DEVICES"]).values()) == ["0", "3"]


def test_the_program_finds_them_by_the_scheduler_file_and_by_tls(script, tmp_path):
    authority, certificate, key = certificates(tmp_path)
    tls = {"TLS_CA": authority, "TLS_CERT": certificate, "TLS_KEY": key}
    file = tmp_path / "scheduler.json"
    script("scheduler.sh", "--scheduler-file", file, PORT=0, **tls)
    script("workers.sh", "--scheduler-file", file, GPUS="", CORES=1, **tls)
    (tmp_path / "A.mat").write_text(MATRIX)
    (tmp_path / "P1.hkl").write_text(REFLECTIONS)
    words = ["--scheduler-file", file, "--tls-ca", authority, "--tls-cert", certificate, "--tls-key", key]
    command = [sys.executable, "-m", "tilesim_cli.main", "run", *BASE, "-floatfile", "f.bin", "--json", "-", *words]
    done = subprocess.run(list(map(str, command)), cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["workers"] == 1
    assert json.loads(file.read_text())["address"].startswith("tls://127.0.0.1:")
    assert (tmp_path / "f.bin").stat().st_size == 4 * 12 * 12


NAMESPACES = ("tilesim-a", "tilesim-b")


@pytest.fixture
def two_hosts():
    """Two network namespaces with a wire between them: (name, address) of each."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and iproute2 to make network namespaces")

    def ip(*words):
        return subprocess.run(["ip", *words], capture_output=True, check=False).returncode == 0

    if not all(ip("netns", "add", name) for name in NAMESPACES):
        pytest.skip("network namespaces may not be made here")
    a, b = NAMESPACES
    try:
        ip("link", "add", "tsa", "netns", a, "type", "veth", "peer", "name", "tsb", "netns", b)
        for name, device, address in ((a, "tsa", "10.97.0.1"), (b, "tsb", "10.97.0.2")):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
            ip("-n", name, "link", "set", device, "up")
            if not ip("-n", name, "link", "set", "lo", "up"):
                pytest.skip("network namespaces cannot be wired here")
        yield ((a, "10.97.0.1"), (b, "10.97.0.2"))
    finally:
        for name in NAMESPACES:
            ip("netns", "delete", name)


def test_a_worker_on_another_host_computes_into_the_shared_folder(two_hosts, script, tmp_path, dask):
    (a, scheduler), (b, _) = two_hosts
    (tmp_path / "A.mat").write_text(MATRIX)
    (tmp_path / "P1.hkl").write_text(REFLECTIONS)

    def on(host):
        inside = tmp_path / f"dask-{host}"
        inside.write_text(f'#!/bin/sh\nexec ip netns exec {host} "{dask}" "$@"\n')
        inside.chmod(0o755)
        return inside

    script("scheduler.sh", LISTEN=scheduler, PORT=8786, DASK=on(a))
    script("workers.sh", f"tcp://{scheduler}:8786", LISTEN="auto", GPUS="", CORES=1, DASK=on(b))
    command = ["ip", "netns", "exec", a, sys.executable, "-m", "tilesim_cli.main", "run", *BASE]
    command += ["-floatfile", "f.bin", "--scheduler", f"tcp://{scheduler}:8786", "--json", "-"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["workers"] == 1
    assert (tmp_path / "f.bin").stat().st_size == 4 * 12 * 12
