"""The scripts of deploy/, with stand-ins for dask and SLURM that say how they were called."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from commands import LIMIT

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """`programs(name, script)` puts a shell script on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(name, script):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return make


def ran(*words, **options) -> subprocess.CompletedProcess:
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=LIMIT, check=False, **options)


def test_workers_wait_for_a_scheduler_that_restarts_and_give_up_where_none_comes(programs, tmp_path):
    # dask ends with 0 where its scheduler went, and with 1 where none came in time.
    programs("dask", f'echo "$@" >> {tmp_path}/calls; [ $(wc -l < {tmp_path}/calls) -lt 3 ]')
    settings = {**os.environ, "GPUS": "", "CORES": "1", "WAIT": "7"}
    done = ran("sh", DEPLOY / "hosts" / "workers.sh", "tcp://10.0.0.5:8786", env=settings)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert done.returncode == 1 and done.stderr.count("waiting for one") == 2
    assert done.stderr.endswith("workers.sh: no scheduler for 7 s, or workers that do not start; gave up\n")
    assert len(calls) == 3 and len(set(calls)) == 1
    assert calls[0].startswith("worker --nworkers 1 --nthreads 1 ") and "--death-timeout 7 " in calls[0]


@pytest.fixture
def slurm(programs, tmp_path, monkeypatch):
    """`slurm(deploy)` runs the batch script as SLURM does: a copy in its spool, in the folder of submission."""
    programs("dask", f'echo "dask $@" >> {tmp_path}/calls; exec sleep 20')
    programs("srun", 'shift 2; exec "$@"')
    # Until both are up, so that the order of the calls is known.
    waits = f"while [ $(grep -c ^dask {tmp_path}/calls) -lt 2 ]; do sleep 0.05; done"
    programs("tilesim", f'{waits}; echo "tilesim $@" >> {tmp_path}/calls; pwd >> {tmp_path}/calls')
    folder, spool = tmp_path / "elsewhere", tmp_path / "spool"
    folder.mkdir()
    spool.mkdir()
    shutil.copy(DEPLOY / "slurm" / "allocation.sbatch", spool / "slurm_script")
    (tmp_path / "calls").touch()
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SLURM_SUBMIT_DIR", str(folder))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "1")
    monkeypatch.delenv("TILESIM_DEPLOY", raising=False)

    def run(command):
        programs("scontrol", f'echo "JobId=17 JobName=tilesim"; echo "   Command={command} run -N 5"')
        return ran("bash", spool / "slurm_script", "run", "-N", "5", cwd=folder)

    return run


def test_a_job_is_submitted_from_any_folder(slurm, tmp_path):
    done = slurm(DEPLOY / "slurm" / "allocation.sbatch")
    assert done.returncode == 0, done.stderr
    *started, tilesim, folder = (tmp_path / "calls").read_text().splitlines()
    file = tmp_path / "elsewhere" / ".tilesim-scheduler-17.json"
    assert sorted(line.split()[1] for line in started) == ["scheduler", "worker"]
    assert all(f"--scheduler-file {file}" in line for line in started)
    assert tilesim == f"tilesim run -N 5 --scheduler-file {file}" and folder == str(tmp_path / "elsewhere")


def test_a_job_whose_script_was_copied_asks_for_the_others(slurm, monkeypatch, tmp_path):
    done = slurm("/home/somebody/allocation.sbatch")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "set TILESIM_DEPLOY" in done.stderr
    assert (tmp_path / "calls").read_text() == ""
    monkeypatch.setenv("TILESIM_DEPLOY", str(DEPLOY))
    assert slurm("/home/somebody/allocation.sbatch").returncode == 0
