"""How to reach workers, before any are reached."""

from __future__ import annotations

from tilesim.files.inventory import NamedFile
from tilesim.frozen import frozen


@frozen
class Access:
    """How to reach workers: exactly one of the first three."""

    processes: int = 0
    """Worker processes to start on this machine."""
    scheduler: str | None = None
    """Address of a scheduler."""
    scheduler_file: str | None = None
    """JSON file that a scheduler wrote."""
    tls: tuple[str, str, str] | None = None
    """PEM files: authority, certificate, key."""
    timeout: float = 300.0
    """Seconds to wait for a worker where there is none."""

    @property
    def files(self) -> tuple[NamedFile, ...]:
        """The files that are read to reach the scheduler."""
        labels = ("--scheduler-file", "--tls-ca", "--tls-cert", "--tls-key")
        names = (self.scheduler_file, *(self.tls or (None, None, None)))
        return tuple(NamedFile(label, name) for label, name in zip(labels, names, strict=True) if name is not None)
