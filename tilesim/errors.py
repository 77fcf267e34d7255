"""The exceptions that tilesim raises on purpose; each carries one clear line and survives pickling."""


class TilesimError(Exception):
    """Base class of every error that a user can cause or mend."""


class InputError(TilesimError, ValueError):
    """A flag, argument or file is not what it must be. The message names it and says what was expected."""


class PlanError(TilesimError):
    """The work cannot be laid out as asked: tile shape, memory, device or backend."""


class StoreError(TilesimError):
    """An output exists already, belongs to another experiment, or cannot be written."""


class TileError(TilesimError):
    """One tile could not be computed; the message names the tile and the cause."""


class ClusterError(TilesimError):
    """The scheduler was lost, or no worker of it can do the job."""
