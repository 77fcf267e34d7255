"""How to reach workers, before any are reached."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
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
