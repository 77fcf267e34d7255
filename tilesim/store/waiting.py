"""Waiting in ordinary code for what zarr's stores do asynchronously."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import cache
from threading import Thread
from typing import Any, TypeVar

Result = TypeVar("Result")


def wait(work: Coroutine[Any, Any, Result]) -> Result:
    """What a coroutine gives or raises; it runs in a loop that all threads of this process share."""
    return asyncio.run_coroutine_threadsafe(work, _loop()).result()


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, name="store", daemon=True).start()
    return loop
