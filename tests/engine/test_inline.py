"""The in-process runner: what happens to tiles in flight when a run ends early."""

import threading
import time

import pytest
from experiments import plain

from tilesim.engine import inline, lowered
from tilesim.engine.inline import run_inline
from tilesim.engine.job import make_job
from tilesim.errors import StoreError


def job():
    return make_job(plain(), (4, 4), "mixed", "cpu", "eager")


def test_no_sink_is_at_work_once_the_run_has_failed():
    first, stored, failed = threading.Lock(), [], threading.Event()

    def sink(tile, values):
        if first.acquire(blocking=False):
            failed.wait(60)
            raise StoreError("full")
        failed.set()
        time.sleep(0.2)
        stored.append(tile)

    with pytest.raises(StoreError, match="full"):
        list(run_inline(job(), [sink], threads=2))
    count = len(stored)
    assert count >= 1
    time.sleep(0.5)
    assert len(stored) == count


def test_a_run_that_is_left_early_stores_nothing_more():
    stored = []
    reports = run_inline(job(), [lambda tile, values: stored.append(tile)], threads=2)
    next(reports)
    reports.close()
    count = len(stored)
    time.sleep(0.3)
    assert len(stored) == count < len(job().plan)


def test_an_unexpected_error_names_the_tile(monkeypatch):
    def fail(kernels, tile):
        raise RuntimeError("no memory")

    monkeypatch.setattr(lowered, "simulate_frames", fail)
    failures = list(run_inline(job(), [], threads=2))
    assert len(failures) == len(job().plan)
    assert failures[0].reason == "tile frame 0 panel 0 slow 0:4 fast 0:4: RuntimeError: no memory"


def test_omp_num_threads_sets_the_threads_as_for_the_reference(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert inline.default_threads(job()) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert inline.default_threads(job()) >= 1
