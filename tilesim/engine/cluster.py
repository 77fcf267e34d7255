"""Workers of a dask scheduler: what they have, and which of them are compatible."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from tilesim.engine.calibrate import Trial, try_out
from tilesim.engine.job import Job
from tilesim.engine.timed import one_line
from tilesim.engine.worker import NO_COMPILER, NO_DEVICE, facts, mismatch, versions
from tilesim.errors import ClusterError, InputError
from tilesim.frozen import frozen

if TYPE_CHECKING:
    from distributed import Client

ANSWER_SECONDS = 10.0
"""How long a worker may take to say what it has; dask itself would wait for ever for one that is stopped."""
TRIAL_SECONDS = 60.0
"""How long a trial may take at least, the job's way to the worker included."""
SILENT_SECONDS = 10.0
"""A worker that has not been heard of for so long takes no tiles: it is stopped, or its host is gone."""


@frozen
class Worker:
    """A worker process that is compatible with this one."""

    address: str
    threads: int
    memory: int
    """Bytes that it may use; 0 where nobody limits it."""
    gpus: int
    """CUDA devices that it sees."""
    gpu_resource: float
    """What it declares as GPU to the scheduler."""
    fusable: bool
    """It can compile the fused CPU kernel."""
    fused: bool
    """It has compiled it already."""
    triton: bool = False
    """It can compile the fused GPU kernel."""
    backend: str = "fused"
    """What its fused CPU kernel is called: see `backend.fused_here`"""


class Cluster:
    """A connected scheduler. `refresh` asks who is there; `compatible` and `incompatible` say who may compute."""

    def __init__(self, client: Client, timeout: float, dashboard: str = "") -> None:
        """
        dashboard  address of the scheduler's status page; empty where there is none
        """
        self.client = client
        self.dashboard = dashboard
        self.timeout = timeout
        self.compatible: dict[str, Worker] = {}
        self.incompatible: dict[str, str] = {}
        """Why a worker may not compute, by its address."""
        self.idle: dict[str, str] = {}
        """Why a compatible worker takes no tiles at the moment, by its address."""
        self._heard: dict[str, tuple[float, float]] = {}
        """By the address of a worker: the scheduler's time of its last message, and since when that is known here."""
        self._mute: dict[str, float] = {}
        """Workers that did not answer, with that time: they are asked again once they are heard of."""
        self.came, self.went = 0, 0
        """Compatible workers that came after the first, and that are gone."""
        self.stale: set[str] = set()
        """Names of jobs on workers, whoever sent them."""

    @property
    def address(self) -> str:
        return str(self._scheduler.address)

    @property
    def _scheduler(self) -> Any:
        return self.client.scheduler

    @property
    def threads(self) -> int:
        return sum(worker.threads for worker in self.compatible.values())

    @property
    def taking(self) -> list[str]:
        """Addresses of the compatible workers that take tiles now."""
        return [address for address in self.compatible if address not in self.idle]

    @property
    def crew(self) -> str:
        """How many workers compute, who came and went since the start, and where to watch them, for people."""
        count = len(self.compatible)
        changes = [f"{number} {what}" for number, what in ((self.went, "lost"), (self.came, "new")) if number]
        page = [f"dashboard {self.dashboard}"] if self.dashboard else []
        return ", ".join([f"{count} worker{'' if count == 1 else 's'}", *changes, *page])

    @property
    def lost(self) -> bool:
        """The scheduler is gone, or this client for it."""
        return bool(self.client.status != "running")

    def there(self) -> dict[str, dict[str, Any]]:
        """What the scheduler knows of each worker, by its address. Raises ClusterError where it is lost.

        Asked directly: what the client keeps of it is renewed by a timer of its own, which leaves the workers out.
        """
        if self.lost:  # the client would wait for it until its own timeout
            raise ClusterError(f"the scheduler at {self.address} was lost")
        with self._asking():
            workers: dict[str, dict[str, Any]]
            workers = self.client.sync(self._scheduler.identity, n_workers=-1)["workers"]
        self._heard = {address: heard for address, heard in self._heard.items() if address in workers}
        for address, about in workers.items():
            if self._heard.get(address, (None, 0.0))[0] != about["last_seen"]:
                self._heard[address] = (about["last_seen"], monotonic())
        return workers

    def idleness(self, address: str, about: Mapping[str, Any]) -> str:
        """Why a worker takes no tiles at the moment, by what the scheduler knows of it; empty where it takes some."""
        if about.get("status") == "paused":
            limit, used = about.get("memory_limit") or 0, about.get("metrics", {}).get("memory", 0)
            return f"paused for want of memory ({used / 1e6:.0f} MB of {limit / 1e6:.0f} MB are used)"
        silent = monotonic() - self._heard[address][1]
        # Of many workers dask has each one write more rarely.
        return f"not heard of for {silent:.0f} s" if silent > SILENT_SECONDS + len(self._heard) / 50 else ""

    def refresh(self) -> None:
        """Ask the scheduler who is there, and newcomers what they have. Raises ClusterError where it is lost."""
        known, before = self.there(), set(self.compatible)
        self.compatible = {address: worker for address, worker in self.compatible.items() if address in known}
        new = [
            address
            for address, about in known.items()
            if address not in self.compatible
            and address not in self.incompatible
            and self._mute.get(address) != about["last_seen"]
        ]
        for address, answer in self._ask(new).items():
            self._admit(address, known[address], answer)
        self.went += len(before - set(self.compatible))
        if before or self.went:
            self.came += len(set(self.compatible) - before)
        self._mute |= {address: known[address]["last_seen"] for address in new if not self._decided(address)}
        idle = {address: self.idleness(address, known[address]) for address in self.compatible}
        self.idle = {address: reason for address, reason in idle.items() if reason}

    def _decided(self, address: str) -> bool:
        return address in self.compatible or address in self.incompatible

    def _ask(self, addresses: Sequence[str]) -> dict[str, Any]:
        """What workers have, by address; those that do not answer in time are left out."""
        if not addresses:
            return {}
        with self._asking():
            try:
                answers: dict[str, Any] = self.client.run(
                    facts, workers=list(addresses), on_error="return", callback_timeout=ANSWER_SECONDS
                )
                return answers
            except TimeoutError:
                if len(addresses) == 1:
                    return {}
        # One of them keeps the answers of all.
        half = len(addresses) // 2
        return self._ask(addresses[:half]) | self._ask(addresses[half:])

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except (OSError, TimeoutError) as error:
            raise ClusterError(f"the scheduler at {self.address} was lost ({error})") from error

    def _admit(self, address: str, known: Mapping[str, Any], answer: object) -> None:
        if isinstance(answer, OSError):
            return  # gone again, or not up yet: asked once more the next time
        if not isinstance(answer, Mapping):
            self.incompatible[address] = (
                f"tilesim {versions()['tilesim']} does not run there ({type(answer).__name__}: {answer})"
            )
            return
        if differs := mismatch(answer["versions"], versions()):
            self.incompatible[address] = differs
            return
        self.stale.update(answer["jobs"])
        self.compatible[address] = Worker(
            address,
            known["nthreads"],
            known.get("memory_limit") or 0,
            answer["gpus"],
            known.get("resources", {}).get("GPU", 0.0),
            answer["fusable"],
            answer["fused"],
            answer["triton"],
            answer["backend"],
        )

    def await_workers(self, say: Callable[[str], None] = lambda line: None) -> None:
        """Return when a compatible worker is there. Raises ClusterError where that takes longer than the timeout."""
        start, said = monotonic(), False
        self.refresh()
        while not self.taking:
            if self.incompatible and not self.compatible and not said:
                raise ClusterError(f"no worker at {self.address} is compatible: {_reasons(self.incompatible)}")
            if monotonic() - start > self.timeout:
                raise ClusterError(self.shortage("has come"))
            if not said:
                say(f"waiting for workers at {self.address}{self.idlers}")
                said = True
            sleep(0.5)
            self.refresh()

    def shortage(self, what: str) -> str:
        """The line that ends a run for which no worker was there, or took tiles, for as long as the timeout is."""
        if self.idle:
            return f"no worker at {self.address} took tiles in {self.timeout:g} s{self.idlers}"
        return f"no worker {what} to {self.address} in {self.timeout:g} s"

    @property
    def idlers(self) -> str:
        """Workers that take no tiles, and why, as the end of a line."""
        return f": {_reasons(self.idle)}" if self.idle else ""

    def resolve(self, device: str, backend: str, steps: float) -> tuple[str, str]:
        """Device kind and backend for a job on these workers; those without are incompatible. Raises ClusterError."""
        from tilesim.engine.backend import COMPILE_FROM, NO_TRITON

        if device not in ("auto", "cpu", "cuda"):
            raise InputError(f"--device {device} names one machine's device; expected auto, cpu or cuda for workers")
        if device == "auto":
            device = "cuda" if any(worker.gpus for worker in self.compatible.values()) else "cpu"
        if device == "cuda":
            self._dismiss(lambda worker: worker.gpus > 0, NO_DEVICE)
        if backend == "auto":
            workers = self.compatible.values()
            ready = all(worker.fused or (worker.fusable and steps >= COMPILE_FROM) for worker in workers)
            if device == "cuda":
                ready = all(worker.triton for worker in workers)
            backend = "fused" if ready else "eager"
        elif backend == "fused" and device == "cuda":
            self._dismiss(lambda worker: worker.triton, NO_TRITON)
        elif backend != "eager":
            self._dismiss(lambda worker: worker.fusable, NO_COMPILER)
        if backend == "eager" or device == "cuda":
            return device, backend
        return device, self._one_rounding(backend)

    def _one_rounding(self, backend: str) -> str:
        """The fused backend of the best processors, or the one of an earlier job; others are incompatible."""
        from tilesim.engine.backend import NO_FMA, OTHER_ROUNDING

        found = {worker.backend for worker in self.compatible.values()}
        chosen = backend if backend in found or backend == NO_FMA else NO_FMA
        self._dismiss(lambda worker: worker.backend == chosen, OTHER_ROUNDING)
        return chosen

    def _dismiss(self, able: Callable[[Worker], bool], reason: str) -> None:
        for address, worker in list(self.compatible.items()):
            if not able(worker):
                self.incompatible[address] = reason
                del self.compatible[address]
        if not self.compatible:
            raise ClusterError(f"no worker at {self.address} is compatible: {_reasons(self.incompatible)}")

    def try_out(self, job: Job) -> Trial | None:
        """The rate of one thread of one worker. Raises ClusterError where the trial fails there."""
        worker = max((self.compatible[address] for address in self.taking or self.compatible), key=lambda w: w.gpus)
        limit = max(self.timeout, TRIAL_SECONDS)
        resources = {"GPU": 1} if job.device != "cpu" and worker.gpu_resource else None
        try:
            # A future of its own: as an argument of the task the job would stay with the scheduler.
            [sent] = self.client.scatter([job], workers=[worker.address], hash=False, timeout=limit)
            done = self.client.submit(try_out, sent, workers=[worker.address], resources=resources, pure=False)
            trial: Trial | None = done.result(timeout=limit)
            return trial
        except Exception as error:
            raise ClusterError(f"worker {worker.address} fails in a trial: {one_line(error)}") from error

    def drop_stale_jobs(self) -> None:
        """Take from the workers what clients left that are no longer there."""
        with contextlib.suppress(OSError, TimeoutError, ValueError):
            clients = self.client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.clients))
            for name in self.stale:
                if name.split()[1] not in clients:
                    self.client.unregister_worker_plugin(name)
        self.stale.clear()


def _reasons(incompatible: Mapping[str, str]) -> str:
    return "; ".join(f"{address}: {reason}" for address, reason in list(incompatible.items())[:3])
