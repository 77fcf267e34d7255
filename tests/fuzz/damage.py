"""Damage: files cut, changed and mistaken for others; JSON whose values are of another type."""

from __future__ import annotations

import json
import os
import re
import shutil
from random import Random
from typing import Any

TOKENS = [
    b"nan",
    b"inf",
    b"-1",
    b"0",
    b"1e400",
    b"x",
    b"",
    b"1_0",
    b"9" * 40,
    b"\xff\xfe",
    b"\0",
    b"'",
    b"{",
    b"[" * 999,
]
VALUES: list[Any] = [None, True, 0, -1, 1.5, 2**31, 2**70, 1e308, "", "x", "nan", [], [[]], [0], {}, {"a": 1}]


def damage(path: str, random: Random, others: list[str]) -> str:
    """Damage one file; what was done, for people. `others` are files of other kinds."""
    with open(path, "rb") as file:
        data = file.read()
    ways = [_cut, _flip, _hole, _insert, _repeat, _lines] + ([_token] * 3 if _is_text(data) else [_flip, _cut])
    others = [other for other in others if other != path]
    if random.random() < 0.06 and others:
        other = random.choice(others)
        shutil.copy(other, path)
        return f"{os.path.basename(path)} is {os.path.basename(other)}"
    if path.endswith(".json") or (data[:1] == b"{" and _is_json(data)):
        ways += [_json] * 8
    way = random.choice(ways)
    changed, said = way(data, random)
    with open(path, "wb") as file:
        file.write(changed)
    return f"{os.path.basename(path)}: {said}"


def _is_text(data: bytes) -> bool:
    return b"\0" not in data[:4096]


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


def _cut(data: bytes, random: Random) -> tuple[bytes, str]:
    end = random.choice([0, 1, len(data) // 2, max(0, len(data) - 1), random.randrange(len(data) + 1)])
    return data[:end], f"the first {end} of {len(data)} bytes"


def _flip(data: bytes, random: Random) -> tuple[bytes, str]:
    changed = bytearray(data)
    places = sorted(random.randrange(len(data)) for _ in range(random.choice([1, 1, 2, 8, 64]))) if data else []
    for place in places:
        changed[place] = random.choice([0, 255, 10, 32, 48, changed[place] ^ (1 << random.randrange(8))])
    return bytes(changed), f"other bytes at {places[:8]}"


def _hole(data: bytes, random: Random) -> tuple[bytes, str]:
    start = random.randrange(len(data) + 1)
    size = random.choice([8, 64, 512, 4096])
    return data[:start] + bytes(len(data[start : start + size])) + data[start + size :], f"{size} zeros at {start}"


def _insert(data: bytes, random: Random) -> tuple[bytes, str]:
    start = random.randrange(len(data) + 1)
    noise = bytes(random.randrange(256) for _ in range(16))
    what = random.choice([b"\n", b"\r\n", b"\xef\xbb\xbf", b"#", b";", b"9" * 500, noise])
    return data[:start] + what + data[start:], f"{what[:20]!r} at {start}"


def _repeat(data: bytes, random: Random) -> tuple[bytes, str]:
    return data * random.choice([2, 3]), "itself again"


def _lines(data: bytes, random: Random) -> tuple[bytes, str]:
    lines = data.split(b"\n")
    place = random.randrange(len(lines))
    what = random.choice(["gone", "twice", "last", "long"])
    if what == "gone":
        del lines[place]
    elif what == "twice":
        lines.insert(place, lines[place])
    elif what == "last":
        lines.append(lines.pop(place))
    else:
        lines[place] *= 1000
    return b"\n".join(lines), f"line {place + 1} {what}"


def _token(data: bytes, random: Random) -> tuple[bytes, str]:
    """Another word or number in a text."""
    found = list(re.finditer(rb"[^\s=,;\[\]{}\"':]+", data))
    if not found:
        return data, "nothing"
    one = random.choice(found)
    token = random.choice(TOKENS)
    return data[: one.start()] + token + data[one.end() :], f"{token[:20]!r} for {one[0][:30]!r} at {one.start()}"


def _json(data: bytes, random: Random) -> tuple[bytes, str]:
    """Another value, or none, somewhere in JSON."""
    try:
        plain = json.loads(data)
    except ValueError:
        return _flip(data, random)
    places = list(_places(plain))
    place = random.choice(places)
    what = random.choice([*VALUES, "gone", "gone", "twice"])
    holder, parents = plain, place[:-1]
    if not place:
        return json.dumps(what).encode(), f"{what!r:.40} in place of all"
    for key in parents:
        holder = holder[key]
    if what == "gone":
        del holder[place[-1]]
    elif what == "twice":
        holder[place[-1]] = [holder[place[-1]]] * 2
    else:
        holder[place[-1]] = what
    return json.dumps(plain).encode(), f"{what!r:.40} at {'/'.join(map(str, place))}"


def _places(plain: Any, above: tuple[Any, ...] = ()) -> Any:
    yield above
    if isinstance(plain, dict):
        for key, value in plain.items():
            yield from _places(value, (*above, key))
    elif isinstance(plain, list):
        for number, value in enumerate(plain[:4]):
            yield from _places(value, (*above, number))
