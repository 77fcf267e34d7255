"""What tests of pages for a browser share: the numbers in them, and a real browser."""

import base64
import io
import json
import re
import subprocess

import numpy as np
from PIL import Image

from tilesim.pictures.coding import Coding


def element_of(path, name):
    """The JSON in an element of a page: "data", or "picture-0" and so on."""
    return json.loads(re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', path.read_text())[1])


def numbers_of(data, level=0):
    """What the tiles of a level of a picture stand for."""
    coding = Coding(**data["code"])

    def codes(png):
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(png)))).astype(np.uint16)
        return pixels[..., 0] << 8 | pixels[..., 1]

    tiles = data["levels"][level]["tiles"]
    return coding.decode(np.block([[codes(png) for png in row] for row in tiles]))


def opened(browser, folder, page, place="", *words):
    """The page as a browser has it after its script ran, at a place."""
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --window-size=900,700 --virtual-time-budget=10000"
    command = [browser, *flags.split(), f"--user-data-dir={folder / 'profile'}", *words, "--dump-dom"]
    done = subprocess.run([*command, f"file://{page}#{place}"], capture_output=True, text=True, timeout=120, check=True)
    return dict(re.findall(r'data-(\w+)="([^"]*)"', done.stdout.partition(">")[2].partition(">")[0])), done.stdout
