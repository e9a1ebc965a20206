"""What a driver raised while an author's function was reading between its steps, as the ports know it."""

from __future__ import annotations

import sys

from bascule.ports.database import WorkFailed


def reading_failed(error: BaseException) -> WorkFailed | None:
    """The failure for the driver's error; None when it is no driver's."""
    psycopg, sqlite = sys.modules.get("psycopg"), sys.modules.get("sqlite3")
    failure: WorkFailed | None = None
    if psycopg is not None and isinstance(error, psycopg.Error):
        from bascule.databases.postgres.errors import driver_failed

        failure = driver_failed(error)
    elif sqlite is not None and isinstance(error, sqlite.Error):
        failure = WorkFailed("error", str(error))
    if failure is not None:
        # Where in the author's file it was, and what was asked.
        failure.context = "\n".join((*([failure.context] if failure.context else ()), *getattr(error, "__notes__", ())))
    return failure
