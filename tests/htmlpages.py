"""What tests of pages for a browser share: the numbers in them, and a real browser."""

import base64
import io
import json
import os
import re
import subprocess
import threading
from contextlib import contextmanager

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


QUIETLY = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --window-size=900,700".split()
PATIENCE = 120
"""Seconds after which a browser that hangs is ended."""


class Driven:
    """A page in a browser that is told what to do through a pipe (Chrome DevTools Protocol): no port, no package."""

    def __init__(self, send, receive):
        self._send, self._receive, self._calls, self.errors = send, receive, 0, []

    def call(self, method, **parameters):
        """What a method answers."""
        self._calls += 1
        own = self._calls
        words = {"id": own, "method": method, "params": parameters}
        self._send.write(json.dumps(words | getattr(self, "session", {})).encode() + b"\0")
        self._send.flush()
        while (told := self._message()).get("id") != own:
            if told.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
                self.errors.append(told["params"])
        assert "error" not in told, told
        return told["result"]

    def _message(self):
        text = b""
        while (one := self._receive.read(1)) != b"\0":
            assert one, "the browser has gone"
            text += one
        return json.loads(text)

    def evaluate(self, expression):
        """The value of an expression of JavaScript, or what its promise gives."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key)

    def click(self, element):
        """Click into the middle of what an expression gives."""
        box = f"(b => [b.x + b.width / 2, b.y + b.height / 2])(({element}).getBoundingClientRect())"
        x, y = self.evaluate(box)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self):
        """A PNG of what is seen."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    def told(self, condition):
        """What the page says of itself as soon as a condition on it, `now`, holds."""
        now = "const now = document.documentElement?.dataset || {}"
        look = f"{now}; if ({condition}) done({{ ...now }}); else setTimeout(look, 10);"
        return self.evaluate(f"new Promise(done => {{ const look = () => {{ {look} }}; look(); }})")


@contextmanager
def driven(browser, folder, address):
    """A page that is shown in a browser until the block ends."""
    (read, send), (receive, write) = os.pipe(), os.pipe()
    flags = [*QUIETLY, "--remote-debugging-pipe", f"--user-data-dir={folder / 'driven'}", "about:blank"]
    command = ["bash", "-c", f'exec "$0" "$@" 3<&{read} 4>&{write}', browser, *flags]
    process = subprocess.Popen(command, pass_fds=(read, write), stderr=subprocess.DEVNULL)
    os.close(read)
    os.close(write)
    watch = threading.Timer(PATIENCE, process.kill)
    watch.start()
    try:
        with os.fdopen(send, "wb") as to, os.fdopen(receive, "rb", 0) as back:
            page = Driven(to, back)
            [target] = [one for one in page.call("Target.getTargets")["targetInfos"] if one["type"] == "page"]
            attached = page.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
            page.session = {"sessionId": attached["sessionId"]}
            for part in ("Runtime", "Log", "Page"):
                page.call(f"{part}.enable")
            page.call("Page.navigate", url=address)
            yield page
    finally:
        watch.cancel()
        process.kill()
        process.wait()
