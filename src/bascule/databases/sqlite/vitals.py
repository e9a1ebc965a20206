"""What can be seen of a SQLite database while a run is at work: the process is the server."""

from __future__ import annotations

import os
from pathlib import Path

from bascule.ports.vitals import Sample


class SqliteVitals:
    """See `bascule.ports.vitals`."""

    def __init__(self, path: Path) -> None:
        self._wal = Path(f"{path}-wal")

    def sample(self) -> Sample:
        """Look."""
        read, written = _own_io()
        return Sample(wal_bytes=_size(self._wal), read_bytes=read, written_bytes=written)

    def close(self) -> None:
        """There is nothing to give back."""


def _size(path: Path) -> int | None:
    try:
        return os.stat(path).st_size
    except OSError:
        return None


def _own_io() -> tuple[int | None, int | None]:
    """Bytes this process had read from and written to disks; None where the system does not tell."""
    try:
        with open("/proc/self/io", encoding="ascii") as told:
            words = dict(line.split(": ") for line in told.read().splitlines())
        return int(words["read_bytes"]), int(words["write_bytes"])
    except (OSError, KeyError, ValueError):
        return None, None
