"""Files of a frame made by workers: the same bytes, also where a worker dies over them."""

import os
import pickle
import signal
from dataclasses import replace

import numpy as np
import pytest
from distribution import QUIET, work

from tilesim.engine.statistics import summarize
from tilesim.engine.tally import Tally
from tilesim.engine.work import compute_here
from tilesim.errors import StoreError
from tilesim.images.stored import StoredImage
from tilesim.model import Series, StructureFactors
from tilesim.nanobragg.resolve import read_command
from tilesim.series.assemble import make_on_workers, portable
from tilesim.series.files import write_files
from tilesim.series.frames import frames_of_command

pytestmark = [pytest.mark.filterwarnings(*QUIET)]
WORDS = "-default_F 100 -cell 70 80 90 90 90 90 -lambda 1 -distance 100 -detpixels 32 -N 5 -seed 3".split()
FILES = {"-floatfile": "f.bin", "-intfile": "i.img", "-noisefile": "n.img", "-pgmfile": "p.pgm"}


@pytest.fixture
def complete(tmp_path, monkeypatch):
    """A frame that names four files and a picture, its stored image, and its statistics."""
    monkeypatch.chdir(tmp_path)
    named = [word for pair in FILES.items() for word in pair]
    command = read_command([*WORDS, *named], False)
    command = replace(command, outputs=command.outputs.replace(preview="p.png"))
    [frame] = frames_of_command(command)
    one = work(tmp_path / "s.zarr", [frame.experiment], tile=(16, 16))
    tally = Tally(len(one.function.plan))
    for number, (_, report) in enumerate(compute_here([one])):
        tally.add(number, *report.figures)
    return frame, StoredImage(one.store, 0, None), summarize(one.function.experiment, tally.total)


def taken(frame):
    """The bytes of the files, which are removed."""
    found = {}
    for name in frame.outputs.named:
        with open(name, "rb") as file:
            found[name] = file.read()
        os.unlink(name)
    return found


def dying(folder):
    """A plugin that kills the first worker that is about to put files in place."""
    import distributed

    class Dying(distributed.WorkerPlugin):
        name = "dying"

        def setup(self, worker):
            from tilesim.series import files

            make = files.make_files

            def harmed(*arguments):
                try:
                    os.close(os.open(os.path.join(folder, "died"), os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    return make(*arguments)
                os.kill(os.getpid(), signal.SIGKILL)

            files.make_files = harmed

    return Dying()


def test_workers_make_the_files_that_this_process_makes(connected, complete):
    frame, image, summary = complete
    scales = write_files(frame, image, summary)
    expected = taken(frame)
    assert len(expected) == 5
    assert make_on_workers(connected(1), frame, image, summary) == scales
    assert taken(frame) == expected


def test_a_worker_that_dies_over_the_files_costs_nothing(connected, complete, tmp_path):
    frame, image, summary = complete
    write_files(frame, image, summary)
    expected = taken(frame)
    found = connected(2)
    found.client.register_plugin(dying(str(tmp_path)))
    make_on_workers(found, frame, image, summary)
    assert (tmp_path / "died").exists()
    assert taken(frame) == expected


def test_a_folder_that_is_gone_is_named(connected, complete, tmp_path):
    frame, image, summary = complete
    gone = os.path.join(tmp_path, "gone", "f.bin")
    outputs = replace(frame.outputs, float_file=gone)
    with pytest.raises(StoreError, match="gone"):
        make_on_workers(connected(1), replace(frame, outputs=outputs), image, summary)


def test_the_table_of_structure_factors_stays_behind(complete):
    table = StructureFactors(np.ones((40, 40, 40)), (-20, -20, -20))
    frame = replace(complete[0], series=Series(complete[0].experiment.replace(factors=table)), place=0)
    sent = portable(frame)
    assert sent.experiment == frame.experiment and len(pickle.dumps(sent)) < 20_000
    assert all(os.path.isabs(name) for name in sent.outputs.named)
