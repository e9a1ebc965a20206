"""The right to change a SQLite database: a lock of the operating system on the sidecar, and a token in the database.

The lock ends with its owner, however that ends; no heartbeat is needed, and a frozen owner keeps it. The token is
for the case the lock cannot see: the sidecar was deleted or replaced, or the file is reached by another path, so
that two processes each hold a lock. Every transaction compares it under the database's own write lock.
"""

from __future__ import annotations

import contextlib
import sqlite3

from bascule.databases.sqlite.filelock import FileLock
from bascule.databases.sqlite.sidecar import Sidecar
from bascule.domain.history import Holder


class SqliteLease:
    """Held until released, closed with its target, or this process ends."""

    def __init__(self, *, token: int, taken_from: Holder | None, lock: FileLock, sidecar: Sidecar) -> None:
        self.token = token
        self.taken_from = taken_from
        self._lock = lock
        self._sidecar = sidecar

    def held(self) -> bool:
        """The lock is ours, on the sidecar that is in its place now."""
        return self._lock.holds()

    def release(self) -> None:
        """Give it back. Doing so twice is no error."""
        if not self._lock.holds():
            # Somebody took the sidecar away; what is locked is a file without a name.
            self._lock.give_back()
            return
        # On a full disk the note cannot be written. The next owner then reads that it took over from us, which harms
        # nobody.
        with contextlib.suppress(sqlite3.Error):
            self._sidecar.write_released(self.token)
        self._lock.give_back()
