"""Hostile calls by the thousand: `python -m fuzz --cases 3000`; those that fail are listed, with how to repeat them."""

from __future__ import annotations

import os

# Before anything is imported that begins threads: a process that forks must have none.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "BLOSC_NTHREADS"):
    os.environ[_name] = "1"
os.environ["MPLBACKEND"] = "agg"

import argparse  # noqa: E402
import itertools  # noqa: E402
import shlex  # noqa: E402
import shutil  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections import Counter  # noqa: E402

from fuzz.cases import Case, cases  # noqa: E402
from fuzz.corpus import build  # noqa: E402
from fuzz.forks import begin, ended, import_all, in_child, pause, prepare  # noqa: E402
from fuzz.verdict import faults  # noqa: E402

SEED = 14


def main() -> int:
    """Exit status: 1 where a case failed."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=3000, metavar="N", help="how many [3000]")
    parser.add_argument("--seed", type=int, default=SEED, metavar="N", help=f"of all that is random [{SEED}]")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="calls at a time [2]")
    parser.add_argument("--kind", metavar="KIND", help="of this kind alone: flag, option, file, member, ...")
    parser.add_argument("--only", type=int, metavar="N", help="this case alone; its folder is kept")
    parser.add_argument("--verbose", action="store_true", help="print every case")
    chosen = parser.parse_args()
    import_all()
    corpus = tempfile.mkdtemp(prefix="tilesim-corpus-")
    try:
        if in_child(lambda: build(corpus)):
            print("the corpus could not be made", file=sys.stderr)
            return 1
        if chosen.only is not None:
            return repeat(chosen.seed, chosen.only, corpus)
        wanted = itertools.islice(enumerate(cases(chosen.seed)), chosen.cases)
        return run(((n, one) for n, one in wanted if chosen.kind in (None, one.kind)), corpus, chosen)
    finally:
        shutil.rmtree(corpus, ignore_errors=True)


def run(numbered, corpus: str, chosen) -> int:
    """Run cases side by side and list the failures."""
    started, failures, statuses, total = time.monotonic(), 0, Counter(), 0
    running = []
    for number, case in itertools.chain(numbered, itertools.repeat((-1, None))):
        if case is None and not running:
            break
        if case is not None:
            running.append(begin(case, number, corpus))
        while running and (case is None or len(running) >= chosen.jobs):
            for one in list(running):
                done = ended(one)
                if done is None:
                    continue
                running.remove(one)
                total += 1
                statuses[done.status] += 1
                wrong = list(faults(one.case, done))
                failures += bool(wrong)
                if wrong or chosen.verbose:
                    report(one, done, wrong, chosen.seed)
            pause()
    seconds = time.monotonic() - started
    counts = ", ".join(f"{count} with status {status}" for status, count in sorted(statuses.items()))
    print(f"{total} cases in {seconds:.0f} s, {failures} failed; {counts}")
    return int(failures > 0)


def report(one, done, wrong: list[str], seed: int) -> None:
    """Say what a case was, what is wrong, and how to repeat it."""
    case: Case = one.case
    print(f"--- case {one.number} ({case.kind}): {'; '.join(wrong[:4]) or 'as it should be'}")
    print(ascii(shlex.join(("tilesim", *case.words)))[1:-1][:400])
    for what in (one.said, case.stream, case.interrupt and f"SIGINT at {case.interrupt:.3f}", _room(case)):
        if what:
            print(f"    with {ascii(what)[1:-1][:300]}")
    tail = [line for line in done.err.splitlines() if line.strip()][-4:]
    print("\n".join(f"    | {ascii(line)[1:-1][:300]}" for line in tail))
    print(f"    repeat: PYTHONPATH=tests python -m fuzz --seed {seed} --only {one.number}", flush=True)


def _room(case: Case) -> str:
    return "" if case.room is None else f"a disk that takes files of {case.room} bytes"


def repeat(seed: int, number: int, corpus: str) -> int:
    """Run one case, and leave its folder as it was before it."""
    case = next(itertools.islice(cases(seed), number, None))
    folder = tempfile.mkdtemp(prefix=f"tilesim-fuzz-{number}-")
    prepare(case, corpus, folder)
    print(f"its files: {folder}\ncd {folder} && {ascii(shlex.join(('tilesim', *case.words)))[1:-1]}")
    case = next(itertools.islice(cases(seed), number, None))
    one = begin(case, number, corpus)
    while (done := ended(one)) is None:
        pause()
    wrong = list(faults(case, done))
    print(done.out[:2000], done.err[:6000], sep="\n")
    report(one, done, wrong, seed)
    print(f"status {done.status}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
