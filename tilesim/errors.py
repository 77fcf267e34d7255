"""The exceptions that tilesim raises on purpose; each carries one clear line and survives pickling."""


class TilesimError(Exception):
    """Base class of every error that a user can cause or repair.

    Examples
    --------
    >>> import tilesim
    >>> try:
    ...     tilesim.read_detector("nowhere.expt")
    ... except tilesim.TilesimError as error:
    ...     print(error)
    cannot read nowhere.expt: No such file or directory
    """


class InputError(TilesimError, ValueError):
    """A flag, argument or file is not what it must be. The message names it and says what was expected.

    Examples
    --------
    >>> from tilesim import Source
    >>> Source(direction=(0.0, 0.0, 1.0), wavelength=1.0)
    Traceback (most recent call last):
    tilesim.errors.InputError: wavelength of a source is 1 m; expected metres, from 1e-18 to 0.01; did you mean 1e-10?
    """


class PlanError(TilesimError):
    """The work cannot be laid out as asked: tile shape, memory, device or backend.

    Examples
    --------
    >>> import tilesim
    >>> experiment = tilesim.from_nanobragg("-cell 79 79 38 90 90 90 -default_F 100 -N 10 -detpixels 8")
    >>> tilesim.simulate(experiment, tile=(4, 0))
    Traceback (most recent call last):
    tilesim.errors.PlanError: tile is (4, 0); expected pixels such as 512 or (256, 1024), (slow, fast)
    """


class StoreError(TilesimError):
    """An output exists already, belongs to another experiment, or cannot be written.

    Examples
    --------
    >>> from tilesim.example import write_example
    >>> names = write_example("input")
    >>> write_example("input")
    Traceback (most recent call last):
    tilesim.errors.StoreError: input holds lysozyme.hkl, A.mat, run.sh, README.txt already; choose another folder, or
    --overwrite
    """


class TileError(TilesimError):
    """One tile could not be computed; the message names the tile and the cause.

    Examples
    --------
    >>> import tilesim
    >>> experiment = tilesim.from_nanobragg("-cell 79 79 38 90 90 90 -default_F 100 -N 10 -detpixels 8")
    >>> try:
    ...     image = tilesim.simulate_now(experiment)
    ... except tilesim.TileError as error:
    ...     print(f"no image: {error}")
    >>> image.shape, str(image.dtype)
    ((8, 8), 'float32')
    """


class ClusterError(TilesimError):
    """The scheduler was lost, or no worker of it can do the job.

    Examples
    --------
    >>> import tilesim
    >>> tilesim.ClusterError("no worker has come back to tcp://127.0.0.1:8786 in 300 s")
    ClusterError('no worker has come back to tcp://127.0.0.1:8786 in 300 s')
    """
