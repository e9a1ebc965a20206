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
PATIENCE = 1.0
"""Seconds of waiting after which a person is told."""


def until_free(
    attempt: Callable[[], T], *, seconds: float, path: Path, stopped: Callable[[], bool] = lambda: False
) -> T:
    """Repeat `attempt` while another connection is in its way.

    A wait of more than a second is told once, as a warning in the log: it comes to stderr where nobody set up another
    way, and this is reached from reads and preparations that no listener watches.

    Raises:
        LockNotAvailable: the time is over; the message names who holds the lock, where the system tells.
        Interrupted: told to stop while waiting.
    """
    begun = time.monotonic()
    pause, told = SHORTEST, False
    while True:
        try:
            return attempt()
        except sqlite3.OperationalError as exc:
            if not is_busy(exc):
                raise
            waited = time.monotonic() - begun
            if waited >= seconds:
                raise _too_long(path, seconds) from exc
            if waited >= PATIENCE and not told:
                told = True
                _tell(path, seconds)
        if stopped():
            raise Interrupted("Stopped while waiting for the database's lock.", hint="Run the command again.")
        # Half of the pause is chance: many waiters must not come back in the same instant.
        time.sleep(pause * (0.5 + os.urandom(1)[0] / 512))
        pause = min(pause * 2, LONGEST)


def _tell(path: Path, seconds: float) -> None:
    import logging  # hardly anybody waits

    logging.getLogger("bascule.sqlite").warning(
        "waiting for the lock of %s, held by %s; gives up after %g s", path, _in_words(who_locks(path)), seconds
    )


def _in_words(blockers: tuple[str, ...]) -> str:
    return ", ".join(blockers) or "another connection"


def _too_long(path: Path, seconds: float) -> LockNotAvailable:
    blockers = who_locks(path)
    return LockNotAvailable(
        f"{path} was locked for {seconds:g} s by {_in_words(blockers)}.",
        hint="Let that program end its transaction, or stop it; then run again.",
        details={"blockers": list(blockers)},
    )
