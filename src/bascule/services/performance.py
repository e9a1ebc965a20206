"""What runs took of host and server: kept, and told."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from typing import Any

from bascule.domain.performance import MEASURES, Performance
from bascule.errors import BasculeError, UsageError
from bascule.services.context import Context
from bascule.state import performance as state


def keep_measured(context: Context) -> bool:
    """Keep what was measured since this was last called; answers whether there was anything, and it is kept.
    Never raises for what cannot be kept: the runs are done.
    """
    records = context.measured()
    if not records:
        return False
    try:
        with closing(context.target.state(beside=False)) as door:
            state.add(door, records)
    except BasculeError as error:
        import logging

        logging.getLogger("bascule.performance").info("What was measured could not be kept: %s", error.message)
        return False
    return True


def performance(
    context: Context,
    *,
    limit: int = 100,
    since: datetime | None = None,
    until: datetime | None = None,
    measured: bool = False,
) -> tuple[Performance, ...]:
    """The newest records, newest first (0: all). `measured`: of runs that Bascule measured itself, not of what it was
    told. Raises `TargetUnreachable`, `Refused`.
    """
    with closing(context.target.state(beside=False)) as door:
        return state.newest(door, limit=limit, since=since, until=until, measured=measured)


def record_performance(context: Context, given: Mapping[str, Any]) -> Performance:
    """Keep a record that somebody else measured, in the JSON form of the contract: ``migrationName`` and
    ``executionTime`` at least. What the form does not know goes into ``extra``. Raises `UsageError`.
    """
    from uuid import uuid4

    name = given.get("migrationName")
    if not isinstance(name, str) or not name or len(name) > 500:
        raise UsageError("A performance record needs the migration's name.", hint="Give migrationName.")
    keys = {key: field for field, key in MEASURES.items()}
    measures: dict[str, Any] = {}
    for key, value in given.items():
        if key in keys and value is not None:
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**62:
                raise UsageError(f"{key} is not a number of 0 or more.", hint="Times are in milliseconds.")
            measures[keys[key]] = value
    if "execution_ms" not in measures:
        raise UsageError("A performance record needs the time that the run took.", hint="Give executionTime, in ms.")
    told = {"migrationName", "runId", "status", "direction", "host", "id", "timestamp", *keys}
    record = Performance(
        id=state.GIVEN + uuid4().hex,
        run_id=_text(given, "runId"),
        migration=name,
        at=context.clock.now(),
        status=_text(given, "status") or "completed",
        direction=_text(given, "direction") or "up",
        host=_text(given, "host"),
        extra={str(key): value for key, value in given.items() if key not in told},
        **measures,
    )
    with closing(context.target.state(beside=False)) as door:
        state.add(door, (record,))
    return record


def _text(given: Mapping[str, Any], key: str) -> str:
    value = given.get(key)
    if value is not None and (not isinstance(value, str) or len(value) > 500):
        raise UsageError(f"{key} is not a short text.", hint="Leave it out, or give a text.")
    return value or ""
