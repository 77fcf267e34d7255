"""What tests of distribution share: a job with its store, and the bytes that it must give."""

from tilesim.run.job import Job, make_job
from tilesim.run.work import Work, compute_here
from tilesim.store.create import create_store
from tilesim.store.place import normal_place
from tilesim.store.write import open_image

QUIET = ("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
"""Of dask's clusters, not of ours."""


def work(path, experiments, tile=(7, 11), known=False, **options) -> Work:
    """A job of some experiments and an empty store for it; with `known` the store may be there."""
    settings = {"precision": "mixed", "device": "cpu", "backend": "eager", **options}
    return stored(path, make_job(experiments, tile, **settings), known)


def stored(path, job: Job, known=False) -> Work:
    about = {"digest": "e" * 64, "job_digest": job.digest}
    panel = job.experiment.detector.panels[0]
    return Work(job, create_store(normal_place(path), job.plan, panel, about, resume=known), known)


def pixels(one: Work) -> dict:
    """The bytes of every tile that is stored, by its number; None where it is not."""
    image = open_image(one.store)
    read = ((number, image.read(tile)) for number, tile in enumerate(one.job.plan))
    return {number: values if values is None else values.tobytes() for number, values in read}


def expected(path, one: Work) -> dict:
    """The same as the in-process engine makes it."""
    here = stored(path, one.job)
    assert len(list(compute_here([here]))) == len(one.job.plan)
    return pixels(here)
