"""The cases: every flag, option, kind of file, member of a store, output, stream and signal with something hostile."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

import click
from fuzz.corpus import FLAGS, STORES
from fuzz.damage import damage
from fuzz.hostile import NUMBERS, READ, WHOLE, WORDS, WRITTEN

from tilesim.nanobragg.flags import FLAGS as TABLE
from tilesim.nanobragg.values import Kind
from tilesim_cli.program import COMMANDS, tilesim

RUN = ("run", *FLAGS)
FILES = ("-floatfile", "o.bin")
HEAVY = ("workers", "scheduler", "scheduler_file", "tls_ca", "tls_cert", "tls_key", "assemble", "device")
"""Options that would start processes, or import much."""
SOURCES = ("z.zarr", "f.bin", "raw.bin", "i.img", "c.cbf", "e.edf", "t.tif", "n.h5", "master.h5")
BASES: dict[str, tuple[str, ...]] = {
    "run": (*RUN, *FILES, "--tile", "4"),
    "plan": ("plan", *FLAGS),
    "batch": ("batch", "b.toml"),
    "trace": ("trace", "--pixel", "3", "3", *FLAGS),
    "example": ("example", "ex"),
    "noise": ("noise", "z.zarr", "o_{frame}.img", "--readout", "2"),
    "info": ("info", "z.zarr"),
    "preview": ("preview", "z.zarr", "o.png"),
    "pyramid": ("pyramid", "levels.zarr", "--overwrite"),
    "rerun": ("rerun", "z.zarr"),
    "verify": ("verify", "z.zarr"),
    "compare": ("compare", "f.bin", "raw.bin"),
    "export": ("export", "z.zarr", "o_{frame}.cbf", "--round"),
}
"""What each command does without anything hostile."""
GEOMETRY = ("run", "-mat", "A.mat", "-hkl", "P1.hkl", "-N", "2", "-lambda", "1.5", *FILES, "--geometry")
MODEL = ("run", *FLAGS[4:], "-misset", "1", "2", "3")
STRICT = ("--strict-c", "-nopgm", "-nonoise")
READERS: dict[str, list[tuple[str, ...]]] = {
    "P1.hkl": [BASES["run"], ("trace", "--pixel", "1", "1", *FLAGS), (*RUN, *FILES, *STRICT)],
    "A.mat": [BASES["run"], (*RUN, *FILES, *STRICT)],
    "m.mtz": [(*RUN, *FILES, "-hkl", "m.mtz")],
    "f.cif": [(*RUN, *FILES, "-hkl", "f.cif")],
    "m.pdb": [(*MODEL, *FILES, "--model", "m.pdb", "--dmin", "6")],
    "m.cif": [(*MODEL, *FILES, "--model", "m.cif", "--dmin", "6")],
    "s.txt": [(*RUN, *FILES, "-sourcefile", "s.txt"), (*RUN, *FILES, *STRICT, "-sourcefile", "s.txt")],
    "c.stol": [(*RUN, *FILES, "-stol", "c.stol", "--background-thickness", "1")],
    "mask.img": [(*RUN, *FILES, "-mask", "mask.img"), (*RUN, *FILES, "-img", "mask.img")],
    "F.bin": [("run", *FLAGS[:2], *FLAGS[4:], *FILES, "-dump", "F.bin")],
    "b.toml": [BASES["batch"], ("batch", "b.toml", "--dry-run"), ("batch", "b.toml", "--keep-going")],
    "t.log": [("trace", "--compare", "t.log", "t.log")],
    "sched.json": [("plan", *FLAGS, "--scheduler-file", "sched.json", "--timeout", "0")],
    **{name: [(*GEOMETRY, name)] for name in ("g.toml", "g.geom", "d.expt")},
    "n.h5": [(*GEOMETRY, "n.h5")],
    "master.h5": [],
    "f.bin.json": [
        (*way, "--quiet") for way in (("export", "f.bin", "o.cbf", "--round"), ("noise", "f.bin", "o.zarr"))
    ],
}
"""Commands that read each kind of file."""
for _name in (*SOURCES[1:], "f.bin"):
    READERS.setdefault(_name, [])
    READERS[_name] += [
        ("export", _name, "o.tif"),
        ("export", _name, "o.bin"),
        ("preview", _name, "o.png", "--size", "16"),
        ("noise", _name, "o.edf", "--frame", "0"),
        ("compare", _name, "raw.bin"),
    ]
STORE_READERS = [
    ("info", "{store}"),
    ("info", "{store}", "--json"),
    ("info", "{store}", "--frame", "0"),
    ("verify", "{store}"),
    ("export", "{store}", "o.h5"),
    ("export", "{store}", "o_{frame}.tif"),
    ("preview", "{store}", "o.png", "--size", "16"),
    ("pyramid", "{store}", "--overwrite"),
    ("pyramid", "{store}"),
    ("compare", "{store}", "f.bin"),
    ("noise", "{store}", "o.zarr"),
    ("rerun", "{store}"),
    ("trace", "{store}", "--pixel", "3", "3"),
    (*RUN, *"-osc 1 -phisteps 2 --frames 2 --frame-osc 1.1459155902616465 --zarr {store} --resume".split()),
    (*RUN, "--zarr", "{store}", "--overwrite"),
]
OUTPUTS: dict[str, list[tuple[str, ...]]] = {
    "run": [(*RUN, f"-{name}file", "{out}") for name in ("float", "int", "noise", "pgm")]
    + [(*RUN, option, "{out}") for option in ("--zarr", "--preview")]
    + [(*RUN, *FILES, option, "{out}") for option in ("--json", "--zarr", "-intfile")]
    + [(*RUN, *FILES, "--write-fdump", "-dump", "{out}"), (*RUN, "--zarr", "{out}", "--overwrite", *FILES)],
    "plan": [("plan", *FLAGS, "--json", "{out}")],
    "batch": [("batch", "b.toml", "--json", "{out}")],
    "trace": [(*BASES["trace"], "--json", "{out}"), ("trace", "--compare", "t.log", "t.log", "--json", "{out}")],
    "noise": [("noise", "f.bin", "{out}"), ("noise", "z.zarr", "{out}"), (*BASES["noise"], "--json", "{out}")],
    "preview": [("preview", "f.bin", "{out}")],
    "rerun": [("rerun", "z.zarr", "--json", "{out}")],
    "compare": [(*BASES["compare"], option, "{out}") for option in ("--json", "--outdir")],
    "export": [("export", "f.bin", "{out}", "--round", *more) for more in ((), ("--format", "smv"))]
    + [("export", "f.bin", "{out}", "--round", "--format", "nxmx")]
    + [("export", "f.bin", "{out}", "--format", name) for name in ("float", "tiff", "edf", "expt", "png")]
    + [("export", "i.img", "o.cbf", "--expt", "{out}")],
    "example": [("example", "{out}"), ("example", "{out}", "--overwrite")],
}
"""Commands with a place for an output."""
WRITES = [
    (*RUN, *FILES, *"-intfile o.img -noisefile n.img -pgmfile o.pgm --json o.json --write-fdump".split()),
    (*RUN, *FILES, "--zarr", "o.zarr", "--tile", "2"),
    (*RUN, *FILES, "--preview", "o.png"),
    ("batch", "b.toml", "--json", "o.json"),
    BASES["noise"],
    ("noise", "z.zarr", "o.zarr"),
    BASES["export"],
    ("export", "z.zarr", "o.h5", "--round", "--expt", "o.expt"),
    ("export", "f.bin", "o.bin"),
    BASES["preview"],
    BASES["pyramid"],
    ("compare", "f.bin", "raw.bin", "--outdir", "new"),
    BASES["example"],
]
"""Commands that write, to be interrupted."""
STREAMS = ("stdout closed", "stdout full", "stderr closed", "stderr full", "both closed", "ascii")


@dataclass(frozen=True)
class Case:
    """One call of the program."""

    kind: str
    words: tuple[str, ...]
    prepare: Callable[[str, str], str] | None = None
    """Called with the folder, and that of the corpus, before; what it did, for people"""
    changed: tuple[str, ...] = ()
    """Inputs that the call may change"""
    stream: str = ""
    """What is wrong with a stream"""
    interrupt: float = 0.0
    """Share of the events of the call after which SIGINT comes; 0: it does not"""
    room: int | None = None
    """Bytes that a file may have, as if the disk were full then; None: any"""


def cases(seed: int) -> Iterator[Case]:
    """Cases without end, of all kinds in turn; the same for one seed."""
    makers = (*2 * (_flags, _options, _files, _members, _outputs), _signals, _streams, _disks)
    streams = [_endless(f"{seed}:{place}", list(make())) for place, make in enumerate(makers)]
    for number, group in enumerate(zip(*streams, strict=True)):
        yield from (one(Random(f"{seed}:{number}:{place}")) for place, one in enumerate(group))


Maker = Callable[[Random], Case]


def _endless(seed: str, makers: list[Maker]) -> Iterator[Maker]:
    """The makers in a random order, again and again."""
    random = Random(seed)
    while True:
        random.shuffle(makers)
        yield from makers


def _flags() -> Iterator[Maker]:
    values = {Kind.REAL: NUMBERS, Kind.INTEGER: WHOLE, Kind.FILE: READ, Kind.PIVOT: WORDS, Kind.DEPTH: NUMBERS}
    for flag in TABLE:
        for name, bad in itertools.product(flag.names, range(max(1, len(flag.takes)))):

            def make(random: Random, name: str = name, bad: int = bad, flag: Any = flag) -> Case:
                words = ["1"] * len(flag.takes)
                if words:
                    output = flag.group == "output" and flag.takes[bad].kind is Kind.FILE
                    words[bad] = random.choice(WRITTEN if output else values[flag.takes[bad].kind])
                words = words[: random.choice([len(words)] * 5 + [random.randrange(len(words) + 1)])]
                mode = ("--strict-c",) if random.random() < 0.25 else ()
                return Case("flag", (*RUN, *FILES, *mode, "-nopgm", "-nonoise", name, *words))

            yield make


def _options() -> Iterator[Maker]:
    for name in COMMANDS:
        command = tilesim.get_command(click.Context(tilesim), name)
        assert command is not None
        for option in command.params:
            if isinstance(option, click.Option) and option.name not in HEAVY:
                yield from [partial(_option, name, option)] * 3
            elif isinstance(option, click.Argument) and name not in ("compare",):
                yield partial(_argument, name)


def _option(command: str, option: click.Option, random: Random) -> Case:
    spelled = random.choice([*option.opts, *option.secondary_opts])
    numbers = isinstance(option.type, click.types.IntParamType | click.types.FloatParamType)
    among = WHOLE if numbers else random.choice([WORDS, READ, WRITTEN, NUMBERS])
    values = [] if option.is_flag else [random.choice(among) for _ in range(option.nargs)]
    if option.is_flag and random.random() < 0.3:
        spelled += "=yes"
    base = BASES[command]
    cut = base.index("--") if "--" in base else len(base)
    changed = ("levels.zarr",) if command == "pyramid" else ()
    return Case("option", (*base[:cut], spelled, *values, *base[cut:]), changed=changed)


def _argument(command: str, random: Random) -> Case:
    base = list(BASES[command])
    places = [n for n, word in enumerate(base) if n and not word.startswith("-")] or [len(base) - 1]
    base[random.choice(places)] = random.choice([*READ, *WORDS])
    changed = ("levels.zarr", "z.zarr") if command == "pyramid" else ()
    return Case("option", tuple(base), changed=changed)


def _files() -> Iterator[Maker]:
    for name, readers in READERS.items():
        # Simple texts need fewer tries than formats with many places.
        yield from [partial(_damaged, name, words) for words in readers for _ in range(3)]


def _damaged(name: str, words: tuple[str, ...], random: Random) -> Case:
    def prepare(folder: str, corpus: str) -> str:
        others = sorted(os.path.join(corpus, one) for one in READERS if one != name)
        return damage(os.path.join(folder, name), random, others)

    return Case("file", words, prepare)


def _members() -> Iterator[Maker]:
    for store, words in itertools.product(STORES, STORE_READERS):
        yield from [partial(_member, store, tuple(word.replace("{store}", store) for word in words))] * 4


def _member(store: str, words: tuple[str, ...], random: Random) -> Case:
    def prepare(folder: str, corpus: str) -> str:
        top = os.path.join(folder, store)
        found = sorted(os.path.join(where, name) for where, _, names in os.walk(top) for name in names)
        roots = [path for path in found if path.endswith("zarr.json")]
        path = random.choice(random.choice([roots, roots, [os.path.join(top, "zarr.json")], found]))
        member = os.path.relpath(path, folder)
        if random.random() < 0.08:
            os.remove(path)
            if random.random() < 0.3:
                os.mkdir(path)
                return f"{member} is a folder"
            return f"{member} is gone"
        return f"{member}: {damage(path, random, found)}"

    writes = words[0] in ("pyramid", "run")
    return Case("member", words, prepare, changed=(store,) if writes else ())


def _outputs() -> Iterator[Maker]:
    for words in itertools.chain.from_iterable(OUTPUTS.values()):
        for place in WRITTEN:
            # A store may be replaced where somebody says so.
            changed = ("z.zarr",) if "--overwrite" in words and place == "z.zarr" else ()

            def make(random: Random, words: Any = words, place: str = place, changed: Any = changed) -> Case:
                ending = random.choice(["", "", ".png", ".zarr", ".tif", ".bin"])
                name = place + ending if place in ("nowhere", "no/where", "\udcff", "é", "a\nb", "\x1b[31m") else place
                filled = tuple(word.replace("{out}", name) for word in words)
                return Case("output", filled, changed=changed)

            yield make


def _signals() -> Iterator[Maker]:
    for words in WRITES:
        changed = ("levels.zarr",) if words[0] == "pyramid" else ()
        yield lambda random, words=words, changed=changed: Case(
            "signal", words, changed=changed, interrupt=random.uniform(1e-6, 1)
        )


def _disks() -> Iterator[Maker]:
    for words, room in itertools.product(WRITES, (0, 10, 100, 500, 1000, 2000, 4000, 10000)):
        changed = ("levels.zarr",) if words[0] == "pyramid" else ()
        yield lambda random, words=words, room=room, changed=changed: Case("disk", words, changed=changed, room=room)


def _streams() -> Iterator[Maker]:
    for words, stream in itertools.product([*BASES.values(), *WRITES, *_printing()], STREAMS):
        changed = ("levels.zarr",) if words[0] == "pyramid" else ()
        yield lambda random, words=words, stream=stream, changed=changed: Case(
            "stream", words, changed=changed, stream=stream
        )


def _printing() -> Sequence[tuple[str, ...]]:
    """Calls that print much, or names that not every stream can."""
    names = ("\udcff.bin", "é.bin", "a\nb.bin")
    return [
        ("--help",),
        ("run", "--help"),
        ("--version",),
        ("info", "z.zarr", "--json"),
        ("verify", "z.zarr", "--json"),
        (*RUN, *FILES, "--json", "-"),
        *((*RUN, "-floatfile", name) for name in names),
        *(("export", "z.zarr", name, "--frame", "0") for name in names),
        *((*RUN, "-title", name) for name in names[:1]),
        *(("preview", "z.zarr", "o.png", "--title", name) for name in names),
    ]
