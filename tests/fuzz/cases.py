"""The cases: every flag, option, kind of file, member of a store, output, stream and signal with something hostile."""

from __future__ import annotations

import itertools
import os
import re
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
    "background": ("background", "z.zarr", "o.stol", "--background-thickness", "1", "--frame", "0", "--rings", "2"),
    "refine": ("refine", "z.zarr", "z.zarr", "--vary", "rotation,scale", "--steps", "3", "--expt", "o.expt"),
    "truth": ("truth", "t.zarr", "--reflections", "o.csv"),
    "info": ("info", "z.zarr"),
    "preview": ("preview", "z.zarr", "o.png"),
    "pyramid": ("pyramid", "levels.zarr", "--overwrite"),
    "rerun": ("rerun", "z.zarr"),
    "verify": ("verify", "z.zarr"),
    "compare": ("compare", "f.bin", "raw.bin"),
    "export": ("export", "z.zarr", "o_{frame}.cbf", "--round"),
    "detectors": ("detectors", "cspad", "--picture", "o.png"),
    "corrections": ("corrections", "K1"),
    "nb-compare": ("nb-compare", "--outdir", "out", "--c-bin", "nowhere", "--", "-default_F", "1", "-detpixels", "4"),
    "serve": ("serve", "none/s.sock", "--idle", "1e-4"),
    "completion": ("completion", "zsh"),
    "help": ("help", "run"),
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
    "x.stream": [
        ("run", "-hkl", "P1.hkl", "-N", "2", *FILES, "--geometry", "x.stream", "--experiment", "1"),
        ("run", "-hkl", "P1.hkl", "-N", "2", *FILES, "--geometry", "g.geom", "--stream", "x.stream"),
        ("batch", "shots.toml"),
    ],
    "u.cell": [("run", *FLAGS[2:], *FILES, "--cell-file", "u.cell")],
    "list.hkl": [(*RUN, *FILES, "-hkl", "list.hkl"), (*RUN, *FILES, "-hkl", "list.hkl", "--symmetry", "mmm")],
    "pulse.txt": [
        (*RUN, *FILES, "--spectrum", "pulse.txt"),
        (*RUN, *FILES, "--spectrum", "pulse.txt", "--channels", "2"),
    ],
    "pulse.lam": [(*RUN, *FILES, "--spectrum", "pulse.lam")],
    "fp.txt": [(*MODEL, *FILES, "--model", "m.pdb", "--dmin", "6", "--fp-fdp", "S=fp.txt")],
    "turns.txt": [(*RUN, *FILES, "--mosaic-matrices", "turns.txt")],
    "lattices.txt": [(*RUN, *FILES, "--lattices", "lattices.txt")],
    "sizes.txt": [(*RUN, *FILES, "--domain-sizes", "sizes.txt")],
    "shots.toml": [("batch", "shots.toml"), ("batch", "shots.toml", "--truth"), ("batch", "shots.toml", "--dry-run")],
    "rows.toml": [("batch", "rows.toml")],
    "x.lst": [
        ("export", "x.lst", "o_{frame}.tif", "--round"),
        ("noise", "x.lst", "o.cxi"),
        ("compare", "x.lst", "f.bin", "--frame", "1,0"),
    ],
    "v.csv": [("batch", "shots.toml"), ("batch", "rows.toml")],
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
    ("truth", "{store}", "--reflections", "o.csv", "--labels", "o.h5"),
    ("export", "{store}", "o.cxi", "--geom", "o.geom", "--stream", "o.stream", "--lst", "o.lst"),
    ("background", "{store}", "o.stol", "--background-thickness", "1", "--frame", "0", "--rings", "2"),
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
    "refine": [
        (*BASES["refine"][:5], "--expt", "{out}"),
        (*BASES["refine"], "--residuals", "{out}"),
        (*BASES["refine"], "--json", "{out}"),
    ],
    "compare": [(*BASES["compare"], option, "{out}") for option in ("--json", "--outdir")],
    "export": [("export", "f.bin", "{out}", "--round", *more) for more in ((), ("--format", "smv"))]
    + [("export", "f.bin", "{out}", "--round", "--format", "nxmx")]
    + [("export", "f.bin", "{out}", "--format", name) for name in ("float", "tiff", "edf", "expt", "png")]
    + [("export", "i.img", "o.cbf", "--expt", "{out}")]
    + [("export", "z.zarr", "o.cxi", option, "{out}") for option in ("--geom", "--stream", "--lst")]
    + [("export", "z.zarr", "{out}", "--format", "cxi")],
    "truth": [("truth", "t.zarr", option, "{out}") for option in ("--reflections", "--labels")],
    "background": [(*BASES["background"][:2], "{out}", *BASES["background"][3:])],
    "example": [("example", "{out}"), ("example", "{out}", "--overwrite")],
}
"""Commands with a place for an output."""
WRITES = [
    (*RUN, *FILES, *"-intfile o.img -noisefile n.img -pgmfile o.pgm --json o.json --write-fdump".split()),
    (*RUN, *FILES, "--zarr", "o.zarr", "--tile", "2"),
    (*RUN, *FILES, "--preview", "o.png"),
    ("batch", "b.toml", "--json", "o.json"),
    ("batch", "shots.toml", "--truth"),
    ("export", "z.zarr", "o.cxi", "--geom", "o.geom", "--stream", "o.stream", "--lst", "o.lst"),
    BASES["truth"],
    BASES["background"],
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
    makers = (*2 * (_flags, _options, _files, _members, _outputs), _values, _draws, _signals, _streams, _disks)
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


SPECTRA = (
    "gaussian:bandwidth=0.002",
    "tophat:bandwidth=20eV",
    "sase:bandwidth=0.002,spikes=3",
    "two-colour:separation=40",
)
TEXTS = {
    "--spectrum": SPECTRA,
    "--ncells": ("2,3,4", "2.5", "3,3,3,0.1,0.1,0.1"),
    "--mosaic-sigma": ("0.2", "0.1,0.2,0.3"),
    "--domain-sizes": ("lognormal:0.3", "lognormal:0.3:3"),
    "--crystal-size": ("20", "20,10,5"),
    "--diffuse-gamma": ("50", "50,40,30"),
    "--diffuse-sigma": ("0.4", "0.4,0.3,0.2"),
    "--channels": ("3",),
    "--channel-width": ("5",),
    "--crystal-shape": ("gauss-hkl", "tophat-hkl", "round"),
    "--symmetry": ("mmm", "4/mmm"),
    "--diffuse-symmetry": ("222",),
    "--mosaic-frame": ("lab", "crystal"),
}
"""Sound values of options that have a form of their own."""


def _values() -> Iterator[Maker]:
    for option, values in TEXTS.items():
        yield from [partial(_near, option, value) for value in values]


def _near(option: str, value: str, random: Random) -> Case:
    """A sound value with one part of it hostile, and perhaps another option beside."""
    parts = re.split(r"([:=,])", value)
    place = random.randrange(0, len(parts), 2)
    parts[place] = random.choice([*NUMBERS, *WORDS[:4], parts[place] * 2, *8 * (parts[place], "2", "0.5")])
    words = [option, "".join(parts)]
    if random.random() < 0.5:
        other = random.choice(sorted(TEXTS.keys() - {option}))
        words += [other, random.choice(TEXTS[other])]
    return Case("value", (*RUN, *FILES, *words))


SOUND: dict[str, dict[str, Any]] = {
    "constant": {"mean": 1.1},
    "normal": {"sd": 0.01, "low": 0.5},
    "uniform": {"low": 0.9, "high": 1.2},
    "lognormal": {"sigma": 0.1, "high": 2},
    "gamma": {"mean": 1.0, "sd": 0.2},
    "poisson": {"mean": 1.3},
    "choice": {"values": [1, 2, 1.1], "weights": [1, 2, 3]},
    "listed": {"values": [1, 1.1, 1.2]},
}
DRAWN = ("orientation", "lattice_orientation", "cell", "cell_angles", "N", "size", "mosaic_spread", "wavelength")
DRAWN += ("energy", "fluence", "distance", "beam_centre", "blank", "lattices", "lattice_share", "seed", "colour")
REALS: tuple[Any, ...] = (
    0,
    1,
    -1,
    2,
    0.5,
    1e-300,
    1e300,
    1e9,
    float("nan"),
    float("inf"),
    True,
    "x",
    [1, 2],
    [],
    2**40,
)


def _draws() -> Iterator[Maker]:
    for key in DRAWN:
        yield from [partial(_table, key)] * 4


def _table(key: str, random: Random) -> Case:
    """A batch of shots of which one draw, or two, are hostile."""
    draws = {key: _drawn(random), random.choice(("energy", "cell", "fluence")): {"distribution": "normal", "sd": 0.1}}
    if key.startswith("lattice_"):
        draws["lattices"] = 2
    text = (
        f'flags = "{" ".join(FLAGS)}{random.choice(["", " -mosaic 1 -mosaic_domains 3"])}"\n'
        f'floatfile = "d_{{frame}}.bin"\nzarr = "d.zarr"\nshots = {random.choice([1, 3, 3, 3])}\n[draw]\n'
    )
    text += "".join(f"{name} = {_toml(value)}\n" for name, value in draws.items())

    def prepare(folder: str, corpus: str) -> str:
        with open(os.path.join(folder, "drawn.toml"), "w") as file:
            file.write(text)
        return " ".join(text.split("[draw]")[1].split())

    return Case("draw", ("batch", "drawn.toml", *random.choice([(), (), ("--truth",), ("--dry-run",)])), prepare)


def _drawn(random: Random) -> Any:
    """What a table may say of a quantity."""
    kind = random.randrange(10)
    if kind < 6:
        name = random.choice(sorted(SOUND))
        found = {"distribution": name} | SOUND[name]
        if name != "poisson":
            found["relative"] = True
        if random.random() < 0.6:
            place = random.choice([*found, *found, "mean", "low", "high", "x"])
            found[place] = random.choice(REALS)
        return found
    if kind < 8:
        source = random.choice([("stream", "x.stream"), ("expt", "d.expt"), ("csv", "v.csv"), ("csv", "text")])
        more = {"columns": ["w"] * 9, "quaternion": ["w", "x", "y", "z"], "misset": ["x", "y", "z"], "column": "mm"}
        more |= {"order": random.choice(["cyclic", "random", "once", 3])}
        chosen = {name: more[name] for name in random.sample(sorted(more), random.randrange(3))}
        return dict([source]) | chosen
    return random.choice(["uniform", "random", *REALS, [0.1, {"distribution": "normal", "sd": 0.1}], {}])


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else repr(value)


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
