"""What a library does with a damaged file at its worst, for children that must survive it."""

import os
import signal


def crash(path):
    """End this process as a wrong pointer does."""
    os.kill(os.getpid(), signal.SIGSEGV)


def loop(path):
    """Go on for ever."""
    while True:
        pass
