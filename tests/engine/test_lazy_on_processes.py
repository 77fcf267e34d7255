"""The lazy image on a real cluster of processes: the same bytes as in this one."""

import numpy as np
import pytest
from experiments import ALL

from tilesim.engine.lazy import simulate, simulate_now


@pytest.fixture(scope="module")
def client(forks):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", ["rich", "strict interpolated"])
def test_workers_give_the_bytes_of_the_in_process_engine(client, name):
    image = simulate(ALL[name], (7, 11), "mixed", "cpu", "eager")
    computed = client.compute(image, sync=True)
    np.testing.assert_array_equal(computed, simulate_now(ALL[name], "mixed", "cpu", "eager"))
