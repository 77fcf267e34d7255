"""Workers of a dask scheduler: what they have, and which of them are fit."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic, sleep

from tilesim.engine.access import Access
from tilesim.engine.calibrate import Trial, try_out
from tilesim.engine.job import Job
from tilesim.engine.worker import NO_COMPILER, NO_DEVICE, facts, mismatch, versions
from tilesim.errors import ClusterError, InputError

CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Worker:
    """A worker process that is fit for tilesim."""

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


class Cluster:
    """A connected scheduler. `refresh` looks who is there; `fit` and `unfit` say who may compute."""

    def __init__(self, client, patience: float) -> None:
        self.client = client
        self.patience = patience
        self.fit: dict[str, Worker] = {}
        self.unfit: dict[str, str] = {}
        """Why a worker may not compute, by its address."""
        self.stale: set[str] = set()
        """Names of jobs on workers, whoever sent them."""

    @property
    def address(self) -> str:
        return self.client.scheduler.address

    @property
    def threads(self) -> int:
        return sum(worker.threads for worker in self.fit.values())

    @property
    def lost(self) -> bool:
        """The scheduler is gone, or this client for it."""
        return self.client.status != "running"

    def there(self) -> dict[str, dict]:
        """What the scheduler knows of each worker, by its address. Raises ClusterError where it is lost.

        Asked directly: what the client keeps of it is renewed by a timer of its own, which leaves the workers out.
        """
        with self._asking():
            return self.client.sync(self.client.scheduler.identity, n_workers=-1)["workers"]

    def refresh(self) -> None:
        """Ask the scheduler who is there, and newcomers what they have. Raises ClusterError where it is lost."""
        known = self.there()
        self.fit = {address: worker for address, worker in self.fit.items() if address in known}
        new = [address for address in known if address not in self.fit and address not in self.unfit]
        with self._asking():
            found = self.client.run(facts, workers=new, on_error="return") if new else {}
        for address, told in found.items():
            self._admit(address, known[address], told)

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except (OSError, TimeoutError) as error:
            raise ClusterError(f"the scheduler at {self.address} was lost ({error})") from error

    def _admit(self, address: str, known: Mapping, told: object) -> None:
        if isinstance(told, OSError):
            return  # gone again, or not up yet: asked once more at the next look
        if not isinstance(told, Mapping):
            self.unfit[address] = f"tilesim {versions()['tilesim']} does not run there ({type(told).__name__}: {told})"
            return
        if differs := mismatch(told["versions"], versions()):
            self.unfit[address] = differs
            return
        self.stale.update(told["jobs"])
        self.fit[address] = Worker(
            address,
            known["nthreads"],
            known.get("memory_limit") or 0,
            told["gpus"],
            known.get("resources", {}).get("GPU", 0.0),
            told["fusable"],
            told["fused"],
            told["triton"],
        )

    def await_workers(self, say=lambda line: None) -> None:
        """Return when a worker is there and fit. Raises ClusterError where that takes longer than the patience."""
        start, told = monotonic(), False
        self.refresh()
        while not self.fit:
            if self.unfit and not told:
                raise ClusterError(f"no worker at {self.address} is fit: {_reasons(self.unfit)}")
            if monotonic() - start > self.patience:
                raise ClusterError(f"no worker has come to {self.address} in {self.patience:g} s")
            if not told:
                say(f"waiting for workers at {self.address}")
                told = True
            sleep(0.5)
            self.refresh()

    def resolve(self, device: str, backend: str, steps: float) -> tuple[str, str]:
        """Device kind and backend for a job on these workers; those without become unfit. Raises ClusterError."""
        from tilesim.engine.backend import COMPILE_FROM, NO_TRITON

        if device not in ("auto", "cpu", "cuda"):
            raise InputError(f"--device {device} names one machine's device; expected auto, cpu or cuda for workers")
        if device == "auto":
            device = "cuda" if any(worker.gpus for worker in self.fit.values()) else "cpu"
        if device == "cuda":
            self._dismiss(lambda worker: worker.gpus > 0, NO_DEVICE)
        if backend == "auto":
            fit = self.fit.values()
            ready = all(worker.fused or (worker.fusable and steps >= COMPILE_FROM) for worker in fit)
            if device == "cuda":
                ready = all(worker.triton for worker in fit)
            backend = "fused" if ready else "eager"
        elif backend == "fused" and device == "cuda":
            self._dismiss(lambda worker: worker.triton, NO_TRITON)
        elif backend == "fused":
            self._dismiss(lambda worker: worker.fusable, NO_COMPILER)
        return device, backend

    def _dismiss(self, able, reason: str) -> None:
        for address, worker in list(self.fit.items()):
            if not able(worker):
                self.unfit[address] = reason
                del self.fit[address]
        if not self.fit:
            raise ClusterError(f"no worker at {self.address} is fit: {_reasons(self.unfit)}")

    def try_out(self, job: Job) -> Trial | None:
        """The rate of one thread of one worker. Raises ClusterError where the trial fails there."""
        worker = max(self.fit.values(), key=lambda w: w.gpus)
        resources = {"GPU": 1} if job.device != "cpu" and worker.gpu_resource else None
        try:
            # A future of its own: as an argument of the task the job would stay with the scheduler.
            [sent] = self.client.scatter([job], workers=[worker.address], hash=False)
            done = self.client.submit(try_out, sent, workers=[worker.address], resources=resources, pure=False)
            return done.result()
        except Exception as error:
            raise ClusterError(f"worker {worker.address} fails in a trial: {_one_line(error)}") from error

    def drop_stale_jobs(self) -> None:
        """Take from the workers what clients left that are no longer there."""
        with contextlib.suppress(OSError, TimeoutError, ValueError):
            clients = self.client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.clients))
            for name in self.stale:
                if name.split()[1] not in clients:
                    self.client.unregister_worker_plugin(name)
        self.stale.clear()


@contextlib.contextmanager
def connect(access: Access, device: str = "auto") -> Iterator[Cluster]:
    """The cluster of `access`, until the block ends; workers that were started here end with it.

    Raises InputError, naming the address or file, where no scheduler answers.
    """
    from distributed import Client

    from tilesim.engine.local import local_cluster

    _silence()
    security = _security(access.tls)
    with contextlib.ExitStack() as stack:
        options = {"security": security, "timeout": CONNECT_SECONDS, "set_as_default": False}
        if access.processes:
            target = {"address": stack.enter_context(local_cluster(access.processes, device))}
        elif access.scheduler_file:
            target = {"address": _appearing(access.scheduler_file)}
        else:
            target = {"address": access.scheduler}
        where = access.scheduler or access.scheduler_file or "this machine"
        try:
            client = stack.enter_context(_closing(_within(2 * CONNECT_SECONDS, lambda: Client(**target, **options))))
        except (OSError, TimeoutError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"no scheduler answers at {where}: {_one_line(error)}") from error
        yield Cluster(client, access.patience)


def _silence() -> None:
    """What happens to workers is told by us, in one line each; dask's loggers each have a level of their own."""
    for name in ("distributed", "tornado", "asyncio", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _security(tls: tuple[str, str, str] | None):
    if tls is None:
        return None
    from distributed import Security

    authority, certificate, key = map(_existing, tls)
    return Security(tls_ca_file=authority, tls_client_cert=certificate, tls_client_key=key, require_encryption=True)


def _within(seconds: float, make: Callable[[], object]) -> object:
    """What `make` gives or raises; TimeoutError where that takes too long, as at a port of something else.

    dask tries such a port again and again, and no limit of its own ends that.
    """
    answer: SimpleQueue = SimpleQueue()

    def run() -> None:
        try:
            answer.put((make(), None))
        except Exception as error:
            answer.put((None, error))

    Thread(target=run, name="connect", daemon=True).start()
    try:
        made, error = answer.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"nothing that speaks as a dask scheduler does in {seconds:g} s") from None
    if error is not None:
        raise error
    return made


def _appearing(path: str) -> str:
    """The address in a scheduler's file; one that was started just now has written it a moment later."""
    end = monotonic() + CONNECT_SECONDS
    while (address := _address_in(path)) is None:
        if monotonic() > end:
            _existing(path)
            raise InputError(f"{path}: expected the file that a dask scheduler writes (--scheduler-file)")
        sleep(0.1)
    return address


def _address_in(path: str) -> str | None:
    try:
        with open(path) as file:
            address = json.load(file)["address"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return address if isinstance(address, str) else None


def _existing(path: str) -> str:
    if not os.path.isfile(path):
        raise InputError(f"{path}: there is no such file")
    return path


@contextlib.contextmanager
def _closing(client) -> Iterator:
    try:
        yield client
    finally:
        client.close(timeout=2)


def _reasons(unfit: Mapping[str, str]) -> str:
    return "; ".join(f"{address}: {reason}" for address, reason in list(unfit.items())[:3])


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
