"""Seeing off the server processes of somebody who is gone: waited for, then terminated. Nobody goes on before they
are gone.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from bascule.databases.postgres.message import literal
from bascule.databases.postgres.wire import ask
from bascule.errors import NeedsPerson

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

GRACE: Final = 2.0
"""Seconds in which a server process may end by itself: it looks every second whether its client is still there."""
AFTER_TERMINATION: Final = 10.0
"""Seconds in which it must have gone once it was told to."""

Worker = Mapping[str, Any]
"""As the function `workers` answers it: pid, start, idle, user, application, state, query."""


class Farewell:
    """One wait. Call `wait` with the workers that are there still, until there are none."""

    def __init__(self, connection: Connection, whose: str) -> None:
        self._connection = connection
        self._whose = whose
        self._begun = time.monotonic()
        self._told: dict[int, float] = {}

    def wait(self, workers: Sequence[Worker], *, at_once: bool = False) -> None:
        """Give them a moment; past `GRACE` terminate them. `at_once`: those that do nothing get no grace.

        Raises:
            NeedsPerson: one may not be terminated by us, or does not go.
        """
        now = time.monotonic()
        for worker in workers:
            pid = int(worker["pid"])
            told = self._told.get(pid)
            if told is not None:
                if now - told > AFTER_TERMINATION:
                    raise self._stuck(worker, f"was told to end {AFTER_TERMINATION:g} s ago and is still there")
            elif now - self._begun > GRACE or (at_once and worker["idle"]):
                self._terminate(worker)
                self._told[pid] = now
        # Half of the pause is chance: everybody who wants the lease may be waiting here.
        time.sleep(0.04 + random.random() * 0.04)

    def _terminate(self, worker: Worker) -> None:
        import psycopg

        # The start is compared again: between the look and the call the number may have passed to somebody else.
        start = literal(worker["start"])
        try:
            ask(
                self._connection,
                "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_get_activity("
                f"{int(worker['pid'])}) WHERE {start}::timestamptz IS NULL OR backend_start = {start}::timestamptz",
            )
        except psycopg.errors.InsufficientPrivilege as exc:
            raise self._stuck(worker, "may not be ended by us") from exc

    def _stuck(self, worker: Worker, why: str) -> NeedsPerson:
        pid = worker["pid"]
        about = f"user {worker['user']}, application {worker['application']}, state {worker['state']}"
        return NeedsPerson(
            f"The server process {pid} ({about}) of {self._whose} {why}. "
            f"What it does: {worker['query'] or 'not shown to us'}. "
            "Until it is gone, what the database will look like is not known.",
            code="backend_remains",
            hint=f"Let somebody who may do so run: SELECT pg_terminate_backend({pid}); then run again.",
            details={"pid": pid, "start": worker["start"]},
        )


def see_off(connection: Connection, workers_sql: str, whose: str) -> None:
    """Return when `workers_sql` (one JSON value, an array or NULL) finds nobody any more. Raises as `Farewell.wait`,
    and psycopg.Error.
    """
    farewell = Farewell(connection, whose)
    while True:
        found = ask(connection, workers_sql)[0][0]
        if found is None:
            return
        farewell.wait(json.loads(found))
