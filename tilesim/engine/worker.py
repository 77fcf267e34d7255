"""What runs on a worker: the jobs that it was sent once, the task of one tile, and what it says of itself."""

from __future__ import annotations

import pickle
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from distributed import WorkerPlugin, get_worker

from tilesim.engine.backend import (
    NO_TRITON,
    OTHER_ROUNDING,
    count_gpus,
    fused_here,
    has_triton,
    one_thread_each,
    rounds_otherwise,
)
from tilesim.engine.task import Runner, TileFailure, TileReport, run_tile
from tilesim.engine.work import Work
from tilesim.errors import PlanError, StoreError, TilesimError
from tilesim.frozen import frozen
from tilesim.kernels import library
from tilesim.tiling.tile import Tile

if TYPE_CHECKING:
    from distributed import Worker

    from tilesim.store.store import Store

NO_DEVICE = "it has no CUDA device, which the job asks for"
NO_COMPILER = "it has no C++ compiler, which the fused kernel asks for"


@frozen
class Refusal:
    """A tile that a worker did not take, and why it computes none."""

    reason: str
    worker: str
    """Address"""


Answer = TileReport | TileFailure | Refusal


class JobPlugin(WorkerPlugin):
    """Holds works for the tasks of one run; every worker gets it once, also those that join later.

    It is pickled in two layers: a worker with another version of tilesim can still say why it refuses.
    """

    def __init__(self, name: str, works: tuple[Work, ...]) -> None:
        self.name = name
        self._versions = versions()
        self._device, self._backend = works[0].function.device, works[0].function.backend
        self._payload = pickle.dumps(works)
        self.refusal = ""
        """Why this worker must not compute; empty where it may"""

    def setup(self, worker: Worker) -> None:
        """Unpack the works, unless this worker is incompatible; each task that reaches it then says so."""
        self._lock = Lock()
        self.refusal = incompatibility(self._versions, self._device, self._backend) or made_ready(
            self._device, self._backend
        )
        if self.refusal:
            return
        self._works = pickle.loads(self._payload)
        self._payload = b""
        self._runners: dict[int, tuple[Runner, Store | None]] = {}
        self._restore = one_thread_each()  # tiles run side by side, each on one thread

    def teardown(self, worker: Worker) -> None:
        """Let go of tables, experiments and tensors."""
        if not self.refusal:
            self._restore()
            del self._works, self._runners

    def run(self, work: int, number: int, address: str) -> TileReport | TileFailure:
        """Compute (or read back) and store one tile of one work."""
        function, known = self._works[work].function, self._works[work].known
        tile = function.plan[number]
        try:
            runner, store = self._ready(work)
            write, read = (store.write, store.read) if store is not None else (_nowhere, None)
            return run_tile(function, runner, tile, write, read if known else None, address)
        except StoreError as error:
            return TileFailure(tile, str(error), address, "storing")
        except TilesimError as error:
            return TileFailure(tile, str(error), address)

    def _ready(self, work: int) -> tuple[Runner, Store | None]:
        with self._lock:
            if work not in self._runners:
                one = self._works[work]
                self._runners[work] = (one.function.ready(), one.store and one.store.ready())
            return self._runners[work]


def _nowhere(tile: Tile, *values: np.ndarray) -> None:
    raise AssertionError(f"{tile} has pixels, but there is no store for them")


def run_remote(name: str, work: int, number: int) -> Answer:
    """The task of one tile: three small values; all else is in the plugin `name`. Errors come back as values."""
    worker = get_worker()
    plugin = cast(JobPlugin | None, worker.plugins.get(name))
    if plugin is None or plugin.refusal:
        reason = plugin.refusal if plugin else "it has not received the job"
        return Refusal(reason, worker.address)
    return plugin.run(work, number, worker.address)


def versions() -> dict[str, str]:
    """Versions of the packages that decide the bytes of a tile; torch's without its build, for CPU or CUDA."""
    from importlib.metadata import version

    import tilesim

    return {"tilesim": tilesim.__version__, "torch": version("torch").partition("+")[0]}


def mismatch(found: dict[str, str], wanted: dict[str, str]) -> str:
    """How the versions of a worker differ from the client's; empty where they agree."""
    return next((f"it has {n} {found[n]}, the client has {wanted[n]}" for n in wanted if found[n] != wanted[n]), "")


def incompatibility(wanted: dict[str, str], device: str, backend: str) -> str:
    """Why this process must not compute for a client with these versions in this way; empty where it may."""
    if differs := mismatch(versions(), wanted):
        return differs
    if device.startswith("cuda"):
        import torch

        if not torch.cuda.is_available():
            return NO_DEVICE
        return NO_TRITON if backend == "fused" and not has_triton() else ""
    if backend == "eager":
        return ""
    return OTHER_ROUNDING if rounds_otherwise(backend, device) else "" if fusable() else NO_COMPILER


def fusable() -> bool:
    """Whether the fused CPU kernel is compiled on this machine, or can be."""
    return library.usable() or (library.compiler() is not None and not library.cached())


def made_ready(device: str, backend: str) -> str:
    """Have the kernel compiled before the first task, unless this machine has it; why that failed, if it did."""
    if device.startswith("cuda"):
        import_module("torch")  # so that its threads can be held to one
    if backend == "eager":
        import_module("torch")
    elif device == "cpu":
        try:
            library.load()
        except PlanError as error:
            return str(error)
    return ""


def facts(dask_worker: Worker) -> dict[str, Any]:
    """Properties of this worker that the scheduler does not know."""
    return {
        "versions": versions(),
        "gpus": count_gpus(),
        "fusable": fusable(),
        "fused": library.usable(),
        "backend": fused_here(),
        "triton": has_triton(),
        "jobs": [name for name in dask_worker.plugins if str(name).startswith("tilesim ")],
    }
