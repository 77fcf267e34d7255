"""Draw the pictures of README and pages again, by the commands of each page: python docs/pictures.py [NAME ...]

"compare" needs the nanoBragg that NB_C_BIN names, and "preview-page" chromium; both are left out where these are not.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

PAGES = Path(__file__).parent
PICTURES = {
    "background": ("background.md", "out.png"),
    "crystal": ("crystals.md", "out.png"),
    "detectors": ("detectors.md", "eiger.png"),
    "preview": ("preview.md", "preview.png"),
    "preview-page": ("preview.md", "look.html"),
}
"""Pictures whose page has their commands: the page, and the file that these write."""
COMPARED = (
    "-mat A.mat -hkl lysozyme.hkl -lambda 0.9768 -distance 250 -pixel 0.172 -detpixels 512 "
    "-N 20 -phi 0 -osc 1 -phisteps 10"
)
"""Flags of docs/compare.md."""
SHOWN, WINDOW = "#590,400,1.7", "1060,740"
"""Place and zoom of the page for a browser, and its size."""
COLOURS, LARGEST = (256, 128, 64, 32), 150_000


def main(names: list[str]) -> None:
    # The commands of a page find the tilesim of this Python.
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    for name in names or ["example", *PICTURES, "compare", "strip"]:
        with TemporaryDirectory() as folder:
            found = picture(name, Path(folder))
            print(f"{name}.png:", "left out" if found is None else f"{keep(found, PAGES / f'{name}.png')} bytes")


def picture(name: str, folder: Path) -> Path | None:
    """The picture as its commands make it in a folder; None where what they need is not there."""
    if name == "example":
        shell(f"tilesim example demo && sh demo/run.sh {shlex.quote(shutil.which('tilesim') or '')}", folder)
        return folder / "demo/out.png"
    if name == "compare":
        return compared(folder)
    if name == "strip":
        shell(f"{shlex.quote(sys.executable)} {shlex.quote(str(PAGES / 'strip.py'))} strip.png", folder)
        return folder / "strip.png"
    page, written = PICTURES[name]
    if written.endswith(".html") and shutil.which("chromium") is None:
        return None
    shell(commands((PAGES / page).read_text(), f"({name}.png)"), folder)
    found = folder / "input" / written
    return screenshot(found) if written.endswith(".html") else found


def commands(page: str, mark: str) -> str:
    """Lines of commands above a picture of a page, from the example's input on."""
    before = page[: page.index(mark)]
    before = before[before.rindex("    tilesim example input") :]
    return "\n".join(re.findall(r"^    (.*)$", before, re.MULTILINE))


def compared(folder: Path) -> Path | None:
    reference = os.environ.get("NB_C_BIN")
    if reference is None:
        return None
    call = f"tilesim compare --against {shlex.quote(reference)} --corrected --outdir out --roi 290 389 300 399 --"
    # The images differ, which is what the picture is of.
    shell(f"tilesim example input && cd input && {{ {call} {COMPARED} || test $? = 1; }}", folder)
    drawn = folder / "input/out/comparison.png"
    with Image.open(drawn) as image:
        image.resize((1350, image.height * 1350 // image.width), Image.Resampling.LANCZOS).save(drawn)
    return drawn


def screenshot(page: Path) -> Path:
    """A page as a browser without a window shows it."""
    drawn = page.with_suffix(".png")
    quiet = [f"--disable-{what}" for what in ("gpu", "background-networking", "component-update", "sync")]
    chromium = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--no-first-run",
        *quiet,
        f"--user-data-dir={page.parent}/profile",
    ]
    shot = [f"--window-size={WINDOW}", f"--screenshot={drawn}", page.as_uri() + SHOWN]
    subprocess.run([*chromium, *shot], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return drawn


def keep(drawn: Path, path: Path) -> int:
    """Write a picture with as many colours as LARGEST leaves it; the bytes that it takes."""
    with Image.open(drawn) as image:
        for colours in COLOURS:
            few = image.convert("RGB").quantize(colours, Image.Quantize.MEDIANCUT, kmeans=4, dither=Image.Dither.NONE)
            few.save(path, optimize=True)
            if path.stat().st_size <= LARGEST:
                break
    return path.stat().st_size


def shell(lines: str, folder: Path) -> None:
    subprocess.run(
        ["sh", "-e", "-c", lines], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


if __name__ == "__main__":
    main(sys.argv[1:])
