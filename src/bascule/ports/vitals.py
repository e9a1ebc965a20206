"""How a database server is doing while a run is at work on it.

How to implement: a connection of its own, opened with the first sample; a sample costs a few milliseconds, waits for no
lock, and leaves out (None) what the server or the role does not let it see. It is used by one thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look. The bytes count up from some moment in the past; only differences mean something."""

    connections: int | None = None
    """Open to this database now."""
    lock_wait_ms: float | None = None
    """For how long the run has been waiting for a lock now."""
    wal_bytes: int | None = None
    temp_bytes: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None


class Vitals(Protocol):
    """Takes samples."""

    def sample(self) -> Sample:
        """Look. Raises `TargetUnreachable`, `Refused`."""

    def close(self) -> None:
        """Hang up."""
