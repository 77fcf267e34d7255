"""Loaded by worker processes of our own as they start: Ctrl-C at the terminal is not for them.

It reaches every process there; the one that started the workers ends them in order.
"""

import signal


def dask_setup(worker) -> None:
    """What dask calls in a module that it preloads."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
