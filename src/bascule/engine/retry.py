"""When to try again. Pure: time and chance come in as numbers."""

from __future__ import annotations

from bascule.ports.database import FailureKind

FIRST_WAIT = 0.05
LONGEST_WAIT = 2.0
CLASHES = 10
"""Deadlocks and serialization failures repeated more often than this are not bad luck."""


def next_wait(kind: FailureKind, *, attempt: int, elapsed: float, limit: float, jitter: float) -> float | None:
    """Seconds to wait before trying again, or None to give up.

    `attempt` counts the failures so far, from 1; `elapsed` and `limit` are seconds since the first try; `jitter` is
    in [0, 1).
    The wait doubles from 50 ms to 2 s, and half of it is chance, so that several runners do not queue in step with
    the application's own transactions.
    """
    if kind not in ("lock_timeout", "deadlock", "serialization"):
        return None
    if kind != "lock_timeout" and attempt > CLASHES:
        return None
    wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(attempt - 1, 10))
    wait = wait / 2 + wait / 2 * jitter
    return wait if elapsed + wait <= limit else None
