"""Real clusters of worker processes on loopback, for the tests of distribution."""

import logging

import pytest

distributed = pytest.importorskip("distributed")


@pytest.fixture
def cluster():
    """`cluster(2)` starts a scheduler and worker processes with nannies; all end with the test."""
    running = []

    def start(workers=2, threads=1, **options):
        spec = {"n_workers": workers, "threads_per_worker": threads, "processes": True, "host": "127.0.0.1"}
        quiet = {"dashboard_address": None, "silence_logs": logging.CRITICAL}
        running.append(distributed.LocalCluster(**{**spec, **quiet, **options}))
        return running[-1]

    yield start
    for one in running:
        one.close()


@pytest.fixture
def connected(cluster):
    """`connected(2)` starts a cluster and gives tilesim's view of it, with its workers admitted."""
    from tilesim.engine.cluster import Cluster

    clients = []

    def start(workers=2, **options):
        client = distributed.Client(cluster(workers, **options), set_as_default=False)
        clients.append(client)
        found = Cluster(client, patience=60.0)
        found.await_workers()
        return found

    yield start
    for client in clients:
        client.close()
