"""Stores in an object store, here an S3-compatible server on loopback: as in a folder."""

import logging
import os

import numpy as np
import pytest

pytest.importorskip("obstore")
boto3 = pytest.importorskip("boto3")
server = pytest.importorskip("moto.server")

from tilesim.errors import InputError, StoreError  # noqa: E402
from tilesim.images.stored import StoredImage  # noqa: E402
from tilesim.store.create import Contents, create_store  # noqa: E402
from tilesim.store.describe import describe_store, stored_choices  # noqa: E402
from tilesim.store.finish import count_present, finish_store  # noqa: E402
from tilesim.store.place import delete_store, is_taken  # noqa: E402
from tilesim.store.store import Store  # noqa: E402
from tilesim.store.verify import verify_store  # noqa: E402
from tilesim.tiling.plan import TilePlan  # noqa: E402

PLAN = TilePlan((2, 20, 30), (8, 16))
PLACE = "s3://images/run/a.zarr"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def endpoint():
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    running = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(endpoint, monkeypatch):
    """An empty bucket called images, and an environment that leads to it."""
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    found = boto3.resource("s3", endpoint_url=endpoint).create_bucket(Bucket="images")
    yield found
    found.objects.all().delete()


def start(place=PLACE, job="ab" * 32, **options):
    return create_store(place, PLAN, Contents({"digest": "c" * 64, "job_digest": job}, 1e-4), **options)


def fill(handle):
    image = np.arange(2 * 20 * 30, dtype=np.float32).reshape(PLAN.shape)
    for tile in PLAN:
        handle.write(tile, image[(tile.frame, *tile.slices)])
    finish_store(handle, {"max_I": 1.0})
    return image


def test_a_store_is_made_read_and_verified(bucket):
    assert not is_taken(PLACE) and stored_choices(PLACE) == {}
    image = fill(start())
    assert verify_store(Store.open(PLACE)).intact and count_present(PLACE) == len(PLAN)
    about = describe_store(Store.open(PLACE))
    assert (about["status"], about["tiles"]["present"], stored_choices(PLACE)["tile"]) == (
        "complete",
        len(PLAN),
        (8, 16),
    )
    bands = [band for _, band in StoredImage(Store.open(PLACE), 1).bands(6)]
    np.testing.assert_array_equal(np.concatenate(bands), image[1])


def test_it_is_resumed_refused_and_replaced_as_in_a_folder(bucket):
    fill(start())
    with pytest.raises(StoreError, match=r"s3://images/run/a\.zarr exists and holds a complete run of this job"):
        start()
    with pytest.raises(StoreError, match="cannot be resumed"):
        start(job="cd" * 32, resume=True)
    assert start(resume=True).read(PLAN[0]) is not None
    start(overwrite=True)
    assert count_present(PLACE) == 0
    bucket.put_object(Key="run/b.zarr/thesis.txt", Body=b"years of work")
    with pytest.raises(StoreError, match="not a store made by tilesim"):
        start("s3://images/run/b.zarr", overwrite=True)
    delete_store(PLACE)
    assert [found.key for found in bucket.objects.all()] == ["run/b.zarr/thesis.txt"]


def test_damage_is_found_and_mended(bucket):
    handle = start()
    fill(handle)
    body = bucket.Object("run/a.zarr/0/intensity/c/0/0/0")
    data = bytearray(body.get()["Body"].read())
    data[40] ^= 1
    body.put(Body=bytes(data))
    bucket.Object("run/a.zarr/0/intensity/c/1/2/1").delete()
    found = verify_store(Store.open(PLACE))
    assert (found.damaged, found.missing) == ((PLAN[0],), (PLAN[len(PLAN) - 1],))
    stored = start(resume=True)
    for tile in (*found.damaged, *found.missing):
        assert stored.read(tile) is None
        stored.write(tile, np.zeros(tile.shape))
    assert verify_store(Store.open(PLACE)).intact


def test_a_bucket_that_is_not_there_is_one_line(bucket):
    with pytest.raises(StoreError, match=r"s3://nowhere/a\.zarr") as caught:
        start("s3://nowhere/a.zarr")
    assert "\n" not in str(caught.value)


def test_a_url_that_nobody_serves_is_one_line():
    with pytest.raises(InputError, match=r"gopher://x/a\.zarr: expected the URL of a folder"):
        start("gopher://x/a.zarr")


def test_workers_write_to_it(forks, bucket, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    from distribution import expected, pixels
    from experiments import plain

    from tilesim.engine.cluster import Cluster
    from tilesim.engine.dispatch import run_on_workers
    from tilesim.engine.job import make_job
    from tilesim.engine.work import Work

    job = make_job([plain()], (7, 11), "mixed", "cpu", "eager")
    contents = Contents({"digest": "e", "job_digest": job.digest}, job.experiment.detector.panels[0].pixel_size)
    work = Work(job, create_store(PLACE, job.plan, contents))
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=":0",
            silence_logs=50,
            env=dict(os.environ),  # what they are forked from has another
        ) as local,
        distributed.Client(local, set_as_default=False) as client,
    ):
        cluster = Cluster(client, 30.0)
        cluster.await_workers()
        assert len(list(run_on_workers(cluster, [work]))) == len(job.plan)
    assert pixels(work) == expected(tmp_path / "here.zarr", work)
