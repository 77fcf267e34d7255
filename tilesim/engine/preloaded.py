"""All that a worker of a CPU job uses, imported before workers are forked.

Where that fails, the process that starts them fails in the same way and says so: multiprocessing passes over an
ImportError, and prints any other with its traceback.
"""

try:
    from tilesim.engine import worker as worker
except Exception as error:
    raise ImportError from error
