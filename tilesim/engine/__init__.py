"""Carrying out a tile function over a plan: in threads of this process, or on the workers of a dask scheduler."""
