"""Waiting for SQLite's own lock where Bascule keeps its books: in the open, bounded, and able to be stopped."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bascule.databases.sqlite.blockers import who_locks
from bascule.databases.sqlite.errors import is_busy
from bascule.errors import Interrupted, LockNotAvailable

T = TypeVar("T")

SHORTEST, LONGEST = 0.005, 0.1
"""Seconds between two tries, on top of the connection's own short wait."""


def until_free(
    attempt: Callable[[], T], *, seconds: float, path: Path, stopped: Callable[[], bool] = lambda: False
) -> T:
    """Repeat `attempt` while another connection is in its way.

    Raises:
        LockNotAvailable: the time is over; the message names who holds the lock, where the system tells.
        Interrupted: told to stop while waiting.
    """
    deadline = time.monotonic() + seconds
    pause = SHORTEST
    while True:
        try:
            return attempt()
        except sqlite3.OperationalError as exc:
            if not is_busy(exc):
                raise
            if time.monotonic() >= deadline:
                raise _too_long(path, seconds) from exc
        if stopped():
            raise Interrupted("Stopped while waiting for the database's lock.", hint="Nothing was begun.")
        # Half of the pause is chance: many waiters must not come back in the same instant.
        time.sleep(pause * (0.5 + os.urandom(1)[0] / 512))
        pause = min(pause * 2, LONGEST)


def _too_long(path: Path, seconds: float) -> LockNotAvailable:
    blockers = who_locks(path)
    names = ", ".join(blockers) or "another connection"
    return LockNotAvailable(
        f"{path} was locked for {seconds:g} s by {names}.",
        hint="Let that program end its transaction, or stop it; then run again.",
        details={"blockers": list(blockers)},
    )
