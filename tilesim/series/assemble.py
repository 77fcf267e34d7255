"""The files of a complete frame made by a worker, which reaches the store and their folder as this process does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from threading import Event
from time import monotonic
from typing import Any

from distributed import Future, KilledWorker

from tilesim.engine.cluster import Cluster
from tilesim.engine.statistics import Summary
from tilesim.errors import ClusterError, StoreError, TilesimError
from tilesim.files.outputs import FILES
from tilesim.files.replace import is_special
from tilesim.images.stored import StoredImage
from tilesim.model import Experiment, Series, StructureFactors
from tilesim.series.files import write_files
from tilesim.series.frames import Frame
from tilesim.series.images import Scales

LOOK_SECONDS = 2.0
"""Seconds between two checks that the workers that were asked are still there."""


def make_on_workers(cluster: Cluster, frame: Frame, image: StoredImage, summary: Summary) -> Scales:
    """Have one of the workers make the files of a frame; returns how they were scaled. For several threads.

    Files that are no regular files (a pipe, standard output) are this process's own, and so are all files of
    their frame. Raises StoreError, ClusterError.
    """
    if any(is_special(path) for path in frame.outputs.named):
        return write_files(frame, image, summary)
    task = partial(write_files, portable(frame), image, summary)
    while True:
        workers = cluster.taking
        future = cluster.client.submit(task, pure=False, workers=workers or None)
        try:
            if _done_by(future, cluster, workers):
                return future.result()
        except TilesimError:
            raise
        except KilledWorker as error:
            raise StoreError(f"frame {frame.number}: every worker that made its files died") from error
        except Exception as error:
            if cluster.lost:
                raise ClusterError(f"the scheduler at {cluster.address} was lost") from error
            raise StoreError(f"frame {frame.number}: {type(error).__name__}: {error}") from error
        finally:
            with suppress(OSError, TimeoutError):
                future.cancel(force=True)


def _done_by(future: Future[Any], cluster: Cluster, workers: Sequence[str]) -> bool:
    """Whether a task is done; False where the only workers that may do it are gone or idle, and there are others."""
    done, deserted = Event(), None
    future.add_done_callback(lambda _: done.set())
    while not cluster.lost:
        if done.wait(LOOK_SECONDS):
            return True
        there = cluster.there()
        if any(address in there and not cluster.idleness(address, there[address]) for address in workers):
            deserted = None
            continue
        cluster.refresh()
        if cluster.taking:
            return False
        deserted = deserted or monotonic()
        if monotonic() - deserted > cluster.timeout:
            raise ClusterError(cluster.shortage("has come back"))
    raise ClusterError(f"the scheduler at {cluster.address} was lost")


def portable(frame: Frame) -> Frame:
    """A frame with what its files are made from: full paths, and no table of structure factors."""
    outputs = frame.outputs.replace(**{field: _full(getattr(frame.outputs, field)) for field in FILES})
    series = Series(_without_table(frame.experiment))
    command = frame.command and replace(frame.command, experiment=_without_table(frame.command.experiment))
    return replace(frame, series=series, place=0, outputs=outputs, command=command)


def _without_table(experiment: Experiment) -> Experiment:
    factors = StructureFactors.described(experiment.factors.to_dict(), "the worker")
    return experiment.replace(factors=factors)


def _full(path: str | None) -> str | None:
    return path and os.path.abspath(path)
