"""The audit log: lines are added, one at a time, and never changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from bascule.access.audit_chain import START, AuditLine, canonical, line
from bascule.errors import Refused
from bascule.ports.state import Row, StateDoor
from bascule.state.moment import moment

_COLUMNS: Final = "number, at, entry, previous, mac"
_PAGE: Final = 2000
_LARGEST: Final = 2**62
"""No log gets there by itself."""


def append(door: StateDoor, entry: Mapping[str, Any], *, at: datetime, key: bytes | None) -> AuditLine:
    """Write the next line. When this returns it survives a loss of power. Raises `Refused` (code ``audit_unwritable``)
    where nothing can follow the line that is the last.
    """
    with door.transaction(alone="audit") as transaction:
        last = transaction.ask("SELECT number, mac FROM @audit ORDER BY number DESC LIMIT 1")
        number, previous = last[0] if last else (0, START)
        if not (isinstance(number, int) and number < _LARGEST and isinstance(previous, str)):
            raise Refused(
                "The newest line of the audit log is none that Bascule wrote.",
                code="audit_unwritable",
                hint="`bascule audit verify` says where the log was damaged.",
            )
        new = line(number + 1, moment(at), canonical(entry), previous, key)
        transaction.ask(
            f"INSERT INTO @audit ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)",
            (new.number, new.at, new.entry, new.previous, new.mac),
        )
    return new


def mac_of(door: StateDoor, number: int) -> str | None:
    """The code of one line, None where it is not there."""
    rows = door.read("SELECT mac FROM @audit WHERE number = ?", (number,))
    return rows[0][0] if rows else None


def count(door: StateDoor) -> int:
    """How many lines there are, also those that no number leads to."""
    rows = door.read("SELECT count(*) FROM @audit")
    return int(rows[0][0]) if rows else 0


def lines(door: StateDoor) -> Iterator[AuditLine]:
    """All lines by number, read by the page: memory stays flat."""
    after = -_LARGEST
    while True:
        rows = door.read(f"SELECT {_COLUMNS} FROM @audit WHERE number > ? ORDER BY number LIMIT {_PAGE}", (after,))
        yield from map(_line, rows)
        if len(rows) < _PAGE:
            return
        after = rows[-1][0]


def newest(door: StateDoor, *, limit: int, before: int | None = None) -> Sequence[AuditLine]:
    """The newest lines, newest first; `before`: of those with a smaller number."""
    rows = door.read(
        f"SELECT {_COLUMNS} FROM @audit WHERE number < ? ORDER BY number DESC LIMIT ?",
        (_LARGEST if before is None else before, limit),
    )
    return [_line(row) for row in rows]


def _line(row: Row) -> AuditLine:
    # Whoever damaged the log may have put anything into an SQLite table. It has to be shown, not to end the look.
    number, *texts = row
    at, entry, previous, mac = (each if isinstance(each, str) else repr(each) for each in texts)
    return AuditLine(number=number if isinstance(number, int) else 0, at=at, entry=entry, previous=previous, mac=mac)
