"""Reaching a scheduler: by its address, its file, or one that is started here with workers."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from tilesim.engine.access import Access
from tilesim.engine.cluster import Cluster
from tilesim.engine.timed import one_line, within
from tilesim.errors import InputError

if TYPE_CHECKING:
    from distributed import Client, Security

CONNECT_SECONDS = 10.0
"""How long a scheduler may take to answer."""


def _check_port(address: str, where: str) -> None:
    """Raise InputError where the address of a scheduler has a port that is none."""
    host, colon, port = address.rpartition("://")[2].partition("/")[0].rpartition(":")
    if colon and not host.endswith(":") and not (port.isascii() and port.isdecimal() and int(port) < 2**16):
        raise InputError(f"no scheduler answers at {where}: its port is {port!r:.20}; expected a number up to 65535")


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
        options: dict[str, Any] = {"security": security, "timeout": CONNECT_SECONDS, "set_as_default": False}
        target: dict[str, Any]
        if access.processes:
            target = {"address": stack.enter_context(local_cluster(access.processes, device))}
        elif access.scheduler_file:
            target = {"address": _appearing(access.scheduler_file)}
        else:
            target = {"address": access.scheduler}
        where = access.scheduler or access.scheduler_file or "this machine"
        if not access.processes:
            _check_port(target["address"], where)
        try:
            client = stack.enter_context(_closing(within(2 * CONNECT_SECONDS, lambda: Client(**target, **options))))
        except Exception as error:  # of an address, of its files for TLS, of what is configured for dask
            raise InputError(f"no scheduler answers at {where}: {one_line(error)}") from error
        yield Cluster(client, access.timeout, "" if access.processes else _dashboard(client))


def _dashboard(client: Client) -> str:
    """Address of the scheduler's status page, where it has one for people."""
    # There is a port without the page, too; it is this module that draws it.
    with contextlib.suppress(OSError, TimeoutError, ValueError):
        if client.run_on_scheduler(lambda: "distributed.dashboard.scheduler" in __import__("sys").modules):
            return str(client.dashboard_link)
    return ""


def _silence() -> None:
    """Silence dask's loggers, which each have a level of their own: tilesim says in one line what befalls workers."""
    for name in ("distributed", "tornado", "asyncio", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _security(tls: tuple[str, str, str] | None) -> Security | None:
    if tls is None:
        return None
    from distributed import Security

    authority, certificate, key = map(_existing, tls)
    files = {"tls_ca_file": authority, "tls_client_cert": certificate, "tls_client_key": key}
    return Security(**files, require_encryption=True)


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
def _closing(client: Client) -> Iterator[Client]:
    try:
        yield client
    finally:
        client.close(timeout=2)
