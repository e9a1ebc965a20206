"""What runs took of host and server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from bascule.domain.performance import Performance
from bascule.ports.state import Row, StateDoor, Value
from bascule.state.moment import moment, read_moment

_AT_ONCE: Final = 100
GIVEN: Final = "given-"
"""How the ids of records begin that somebody else measured."""
_COLUMNS: Final = {"id", "run_id", "migration", "at"}
_KEPT: Final = tuple(each.name for each in fields(Performance) if each.name not in _COLUMNS)
_VALUES: Final = attrgetter(*_KEPT)
_encoded: Final = json.JSONEncoder(default=str).encode


def add(door: StateDoor, records: Sequence[Performance]) -> None:
    """Keep them. One that is there already, by its id, stays as it is."""
    with door.transaction(durable=False) as transaction:
        about = door.about()
        for first in range(0, len(records), _AT_ONCE):
            some = records[first : first + _AT_ONCE]
            values: list[Value] = []
            for each in some:
                values += [each.id, about, each.run_id, each.migration, moment(each.at), _data(each)]
            transaction.ask(
                "INSERT INTO @performance (id, target, run_id, migration, at, data) VALUES "
                f"{', '.join(['(?, ?, ?, ?, ?, ?)'] * len(some))} ON CONFLICT (id) DO NOTHING",
                values,
            )


def newest(
    door: StateDoor,
    *,
    limit: int = 100,
    since: datetime | None = None,
    until: datetime | None = None,
    measured: bool = False,
) -> tuple[Performance, ...]:
    """The newest, newest first (0: all); of those that ended from `since` on and before `until`. `measured`: of those
    that Bascule measured itself.
    """
    about = door.about()
    if not about:
        return ()
    own = f"AND id NOT LIKE '{GIVEN}%' " if measured else ""
    rows = door.read(
        f"SELECT id, run_id, migration, at, data FROM @performance WHERE target = ? AND at >= ? AND at < ? {own}"
        "ORDER BY at DESC, id DESC LIMIT ?",
        (about, moment(since) if since else "", moment(until) if until else "~", limit or 2**62),
    )
    return tuple(map(_record, rows))


def remove_before(door: StateDoor, before: datetime) -> int:
    """Remove those of runs that ended before that moment; answers how many."""
    about = door.about()
    if not about:
        return 0
    return len(door.write("DELETE FROM @performance WHERE target = ? AND at < ? RETURNING id", (about, moment(before))))


def _data(record: Performance) -> str:
    kept = zip(_KEPT, _VALUES(record), strict=True)
    return _encoded({name: value for name, value in kept if value or value is False})


def _record(row: Row) -> Performance:
    its_id, run_id, migration, at, data = row
    known: dict[str, Any] = {name: value for name, value in json.loads(data).items() if name in _KEPT}
    return Performance(id=its_id, run_id=run_id, migration=migration, at=read_moment(at), **known)
