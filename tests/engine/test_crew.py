"""How many workers compute, who came and went, in words."""

from types import SimpleNamespace

import pytest

pytest.importorskip("distributed")

from tilesim.engine.cluster import Cluster
from tilesim.engine.worker import versions


class Scheduler:
    """A client of a scheduler whose workers are those that `there` names."""

    status = "running"
    scheduler = SimpleNamespace(address="tcp://127.0.0.1:1", identity=None)

    def __init__(self):
        self.there = []

    def sync(self, identity, n_workers):
        return {"workers": {name: {"last_seen": 1.0, "nthreads": 2} for name in self.there}}

    def run(self, facts, workers, **how):
        same = {"versions": versions(), "jobs": [], "gpus": 0, "fusable": True, "fused": True}
        same |= {"triton": False, "backend": "fused"}
        return dict.fromkeys(workers, same)


def test_the_crew_counts_who_came_and_who_went():
    client = Scheduler()
    cluster = Cluster(client, 1.0, "http://127.0.0.1:8787/status")
    said = []
    for there in ((), ("a", "b"), ("a", "b", "c"), ("c",), (), ("d",)):
        client.there = there
        cluster.refresh()
        said.append(cluster.crew.removesuffix(", dashboard http://127.0.0.1:8787/status"))
    assert said[:3] == ["0 workers", "2 workers", "3 workers, 1 new"]
    assert said[3:] == ["1 worker, 2 lost, 1 new", "0 workers, 3 lost, 1 new", "1 worker, 3 lost, 2 new"]
    assert cluster.crew.endswith("dashboard http://127.0.0.1:8787/status")
    assert "dashboard" not in Cluster(client, 1.0).crew
