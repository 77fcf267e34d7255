"""What distribution costs and gains: workers, overhead per task, memory, and the rate of tiles.

Four measurements, each of real processes on this machine:

speedup   the lysozyme command as a series of frames on one and on two single-threaded worker processes, in turn
tiles     a job of trivial tiles on one worker: tiles per second, overhead per task, how much of the time the scheduler
          was at work, and the memory of the client as it goes on
memory    one large image on two workers to a store, and the store to a float file: peak memory of every process
table     the time to send structure factors to the workers, by size

The client and the scheduler share a process here, as with --workers.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from bench.record import LYSOZYME, input_flags, machine, save

PARTS = ("speedup", "tiles", "memory", "table")


def main(arguments: list[str]) -> None:
    """Measure, print, and write bench/results/scaling-DATE.json; parts that are there of the same day are kept."""
    parser = argparse.ArgumentParser(prog="python -m bench scaling", description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--repeats", type=int, default=3, help="of the speed-up")
    parser.add_argument("--frames", type=int, default=8, help="of the speed-up")
    parser.add_argument("--tiles", type=int, default=100_000, help="trivial tiles")
    parser.add_argument("--edge", type=int, default=16384, help="pixels along the large image")
    options = parser.parse_args(arguments)
    measure = {
        "speedup": lambda: speedup(options.frames, options.repeats),
        "tiles": lambda: tiles(options.tiles),
        "memory": lambda: memory(options.edge),
        "table": table,
    }
    results = {"machine": machine()}
    for part in options.parts:
        results[part] = measure[part]()
        print(f"{part}: {json.dumps(results[part])}", flush=True)
    save("scaling", results, add=True)


def speedup(frames: int, repeats: int) -> dict:
    """Seconds of computing, from the first tile sent to the last stored, on one and on two workers."""
    from tilesim.engine.job import make_job
    from tilesim.nanobragg.resolve import read_command
    from tilesim.series.frames import frames_of_command

    with tempfile.TemporaryDirectory() as folder:
        flags, source = input_flags(Path(folder))
        command = read_command([*LYSOZYME, *flags])
        job = make_job(frames_of_command(command, frames).series, None, "mixed", "cpu", "eager")
        seconds: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(repeats):
            for workers, taken in seconds.items():
                with local(workers) as cluster:
                    taken.append(timed(cluster, job, f"{folder}/a.zarr")["seconds"])
    best = {workers: min(taken) for workers, taken in seconds.items()}
    return {
        "frames": frames,
        "source": source,
        "steps": job.evaluations,
        "seconds": seconds,
        "speedup_of_best": best[1] / best[2],
        "speedup_of_medians": statistics.median(seconds[1]) / statistics.median(seconds[2]),
    }


def tiles(count: int) -> dict:
    """Tiles of 2 x 2 pixels and one step each, on one worker."""
    import resource

    from tilesim.engine.job import make_job
    from tilesim.engine.work import compute_here
    from tilesim.nanobragg.resolve import read_command

    edge = 2 * round(count**0.5)
    words = f"-default_F 100 -cell 50 50 50 90 90 90 -N 3 -oversample 1 -nointerpolate -distance 100 -detpixels {edge}"
    experiment = read_command(words.split()).experiment
    alone = make_job(read_command(words.replace(str(edge), "64").split()).experiment, (2, 2), "mixed", "cpu", "eager")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        for _ in compute_here([stored(alone, f"{folder}/alone.zarr")], 1):
            pass
        inline = (time.perf_counter() - start) / len(alone.plan)
        job, resident = make_job([experiment], (2, 2), "mixed", "cpu", "eager"), []
        with local(1) as cluster:
            every = max(1, len(job.plan) // 10)

            def look(done: int) -> None:
                if done % every == 0:
                    resident.append(resident_bytes(os.getpid()))

            before = resource.getrusage(resource.RUSAGE_SELF)
            found = timed(cluster, job, f"{folder}/a.zarr", look)
            after = resource.getrusage(resource.RUSAGE_SELF)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    each = found["seconds"] / len(job.plan)
    return {
        "tiles": len(job.plan),
        "tiles_per_second": 1 / each,
        "milliseconds_per_tile": 1e3 * each,
        "milliseconds_in_the_task": 1e3 * found["in_tasks"] / len(job.plan),
        "milliseconds_per_tile_in_one_process": 1e3 * inline,
        "overhead_milliseconds": 1e3 * (each - inline),
        "share_of_time_that_client_and_scheduler_were_at_work": busy / found["seconds"],
        "client_and_scheduler_bytes_at_each_tenth": resident,
    }


def memory(edge: int) -> dict:
    """Peak memory of each process of `tilesim run` on a large image, and of turning its store into a float file."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("TILESIM_BENCH_FOLDER")) as folder:
        words = "-default_F 100 -cell 78 78 38 90 90 90 -N 5 -oversample 1 -nointerpolate -distance 500 -pixel 0.05"
        command = [*words.split(), "-detpixels", str(edge), "--zarr", f"{folder}/a.zarr", "--workers", "2", "--quiet"]
        simulated = watched(["run", *command, "-floatfile", os.devnull], folder)
        converted = watched(["run", *command, "-floatfile", f"{folder}/a.bin", "--resume"], folder)
        size = os.path.getsize(f"{folder}/a.bin")
    return {"edge": edge, "simulate": simulated, "store_to_float_file": converted, "float_file_bytes": size}


def table() -> dict:
    """Seconds from sending the job to its first tile, by the bytes of its structure factors, on two workers."""
    import numpy as np

    from tilesim.engine.job import make_job
    from tilesim.model import StructureFactors
    from tilesim.nanobragg.resolve import read_command

    words = "-default_F 100 -cell 50 50 50 90 90 90 -N 3 -oversample 1 -nointerpolate -distance 100 -detpixels 32"
    base, found = read_command(words.split()).experiment, {}
    with tempfile.TemporaryDirectory() as folder, local(2) as cluster:
        for edge in (10, 100, 200, 300):
            factors = StructureFactors(np.ones((edge, edge, edge)), (-edge // 2,) * 3)
            job = make_job([base.replace(factors=factors)], (32, 32), "mixed", "cpu", "eager")
            found[factors.grid.nbytes] = timed(cluster, job, f"{folder}/{edge}.zarr")["seconds"]
    return {"seconds_by_bytes": found}


def local(workers: int):
    """So many single-threaded worker processes, ready."""
    import contextlib

    from tilesim.engine.access import Access
    from tilesim.engine.connect import connect

    @contextlib.contextmanager
    def ready():
        before = os.environ.get("OMP_NUM_THREADS")
        os.environ["OMP_NUM_THREADS"] = str(workers)  # cores to share, hence one thread each
        try:
            with connect(Access(processes=workers), "cpu") as cluster:
                while len(cluster.fit) < workers:
                    cluster.await_workers()
                    cluster.refresh()
                yield cluster
        finally:
            os.environ.pop("OMP_NUM_THREADS")
            if before is not None:
                os.environ["OMP_NUM_THREADS"] = before

    return ready()


def stored(job, place: str):
    """The job with an empty store."""
    from tilesim.engine.work import Work
    from tilesim.store.create import Contents, create_store

    contents = Contents({"digest": "", "job_digest": job.digest}, job.experiment.detector.panels[0].pixel_size)
    return Work(job, create_store(place, job.plan, contents, overwrite=True))


def timed(cluster, job, place: str, look=lambda done: None) -> dict:
    """Seconds to compute a job on a cluster, and those that its tasks report."""
    from tilesim.engine.dispatch import run_on_workers

    work, inside = stored(job, place), 0.0
    start = time.perf_counter()
    for done, (_, event) in enumerate(run_on_workers(cluster, [work])):
        inside += event.seconds
        look(done)
    return {"seconds": time.perf_counter() - start, "in_tasks": inside}


def watched(words: list[str], folder: str) -> dict:
    """Run tilesim in a folder; its seconds, and the peak memory of the client and of the largest other process."""
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "tilesim_cli.main", *words], cwd=folder, start_new_session=True)
    peaks: dict[int, int] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            for process in session(child.pid):
                peaks[process] = max(peaks.get(process, 0), peak_bytes(process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    status = child.wait()
    done.set()
    watcher.join()
    if status:
        raise SystemExit(f"tilesim {' '.join(words)} ended with status {status}")
    client = peaks.pop(child.pid)
    others = max(peaks.values(), default=0)
    return {"seconds": time.perf_counter() - start, "client_peak_bytes": client, "largest_other_peak_bytes": others}


def session(leader: int) -> list[int]:
    """The processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if int((entry / "stat").read_text().rpartition(")")[2].split()[3]) == leader:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def peak_bytes(process: int) -> int:
    return _status(process, "VmHWM:")


def resident_bytes(process: int) -> int:
    return _status(process, "VmRSS:")


def _status(process: int, name: str) -> int:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)
