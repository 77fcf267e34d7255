"""Values that nobody means: numbers, words and names of files."""

from __future__ import annotations

import os

NUMBERS = ["nan", "inf", "-inf", "0", "-1", "1e308", "-1e308", "1e-308", "1e400", "x", "", "1_0", "0x10", "1e", "1,5"]
NUMBERS += ["٣", "²", "1\x07", " 1", "+-1", "9" * 400, "1e5e5", "--", "1/2", "True", "None", "$(true)"]
WHOLE = ["1.5", "-2147483649", "2147483648", "9" * 30, "-0", "1e3", *NUMBERS]
WORDS = [
    "",
    " ",
    "x",
    "-",
    "--",
    "None",
    "\udcff",
    "\n",
    "a\tb",
    "é",
    "x" * 5000,
    "{frame}",
    "{",
    "%s",
    "../..",
    "$x^{",
    "$$",
]
MISSING = ["nowhere", "no/where", "", " ", ".", "..", "/", "A.mat/x", "x" * 300, "y/" * 2100 + "y", "\udcff"]
MISSING += ["loop", "dangling"]
READ = [*MISSING, "folder", "empty", "/dev/null", "/dev/full", "/proc/self/mem", "z.zarr", "z.zarr/zarr.json", "text"]
READ += ["s3://", "s3:///x", "http://127.0.0.1:1/x", "file:///nowhere", "nonsense://x", "~", "é", "a\nb", "{frame}"]
WRITTEN = [*MISSING, "folder", "/dev/full", "z.zarr", "z.zarr/zarr.json", "z.zarr/0/intensity/c/0/0/0", "a/../A.mat"]
WRITTEN += ["./A.mat", "P1.hkl", "soft", "hard", "/proc/self/cwd/A.mat", "{", "{panel}{frame}{x}", "é", "a\nb"]
WRITTEN += ["\x1b[31m"]
WRITTEN += ["readonly/x", "file:///nowhere/x", "nonsense://x", "b.toml", "f.bin", "i.img", "g.toml", "/dev/stdin"]
WRITTEN += [" lead", "n" * 255, "n" * 251 + ".bin", "n" * 251 + ".png", "n" * 250 + ".zarr"]


def furnish(folder: str) -> None:
    """What some of the names lead to."""

    def path(name: str) -> str:
        return os.path.join(folder, name)

    os.mkdir(path("folder"))
    os.mkdir(path("readonly"), 0o500)
    for name, content in (("empty", b""), ("text", b"This is a text.\nIt says nothing.\n")):
        with open(path(name), "wb") as file:
            file.write(content)
    os.symlink("loop", path("loop"))
    os.symlink("no/where", path("dangling"))
    if os.path.exists(path("P1.hkl")):
        os.symlink("P1.hkl", path("soft"))
        os.link(path("P1.hkl"), path("hard"))
