"""Alerts, and how far the journal has been looked at for them.

Whoever writes alerts does so in a transaction of the name `ALONE` and with `next_turn`: two processes that looked at
the same facts do not both make an alert of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from bascule.domain.alert import Alert
from bascule.ports.state import Row, StateDoor, StateTransaction, Value
from bascule.state.alert_note import NOTE, Ask
from bascule.state.alert_note import kept as kept_note
from bascule.state.moment import moment, read_moment

ALONE: Final = "alerts"
_COLUMNS: Final = (
    "id, fingerprint, rule, severity, title, message, data, first_at, last_at, occurrences, "
    "acknowledged_by, acknowledged_at, resolved_at"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far the journal was looked at: up to a number, and besides at some that are greater, because a fact with a
    smaller number may still come to light after them.
    """

    upto: int = 0
    seen: frozenset[int] = frozenset()

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"upto": self.upto, "seen": sorted(self.seen)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """All that look at the journal."""

    turn: int = 0
    """Grows with every change of the alerts."""
    alerts: Place | None = None
    """None: nobody has looked yet."""
    channels: Mapping[str, Place] = field(default_factory=dict)
    """By the name of a channel that is told of facts."""


def places(ask: Ask, about: str) -> Places:
    """Where everybody stands."""
    kept = kept_note(ask, about)
    if kept is None:
        return Places()
    return Places(
        turn=kept.get("turn", 0),
        alerts=_place(kept["alerts"]) if kept.get("alerts") else None,
        channels={name: _place(each) for name, each in kept.get("channels", {}).items()},
    )


def next_turn(transaction: StateTransaction, about: str, found: Places, at: datetime) -> None:
    """Keep the places, whose `turn` grows by one."""
    value = {
        "turn": found.turn + 1,
        "alerts": found.alerts.as_dict() if found.alerts else None,
        "channels": {name: each.as_dict() for name, each in found.channels.items()},
    }
    transaction.ask(
        "INSERT INTO @note (target, key, at, value) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (target, key) DO UPDATE SET at = excluded.at, value = excluded.value",
        (about, NOTE, moment(at), json.dumps(value)),
    )


def open_alerts(ask: Ask, about: str) -> tuple[Alert, ...]:
    """Those that are not resolved, oldest first."""
    rows = ask(f"SELECT {_COLUMNS} FROM @alert WHERE target = ? AND resolved_at IS NULL ORDER BY first_at", (about,))
    return tuple(map(_alert, rows))


def newest(
    door: StateDoor,
    *,
    acknowledged: bool = False,
    resolved: bool = False,
    limit: int = 100,
    offset: int = 0,
    since: datetime | None = None,
    until: datetime | None = None,
) -> tuple[Alert, ...]:
    """Newest first (0: all): those nobody has acknowledged, with the acknowledged and the resolved ones where asked;
    of those that last happened from `since` on and before `until`.
    """
    about = door.about()
    if not about:
        return ()
    wanted = "" if resolved else " AND resolved_at IS NULL"
    wanted += "" if acknowledged else " AND acknowledged_at IS NULL"
    rows = door.read(
        f"SELECT {_COLUMNS} FROM @alert WHERE target = ? AND last_at >= ? AND last_at < ?{wanted} "
        "ORDER BY last_at DESC, id LIMIT ? OFFSET ?",
        (about, moment(since) if since else "", moment(until) if until else "~", limit or 2**62, offset),
    )
    return tuple(map(_alert, rows))


def beginning_with(ask: Ask, about: str, beginning: str) -> tuple[Alert, ...]:
    """Those whose id begins so; two are enough to see that it is not one."""
    rows = ask(
        f"SELECT {_COLUMNS} FROM @alert WHERE target = ? AND substr(id, 1, {len(beginning):d}) = ? "
        "ORDER BY last_at DESC LIMIT 2",
        (about, beginning),
    )
    return tuple(map(_alert, rows))


def save(transaction: StateTransaction, about: str, alert: Alert) -> None:
    """Keep it as it is now, whether it was there or not."""
    values: tuple[Value, ...] = (
        alert.id,
        about,
        alert.fingerprint,
        alert.rule,
        alert.type,
        alert.state,
        json.dumps(alert.title),
        json.dumps(alert.message),
        json.dumps(_more(alert), default=str),
        moment(alert.first_at),
        moment(alert.last_at),
        alert.occurrences,
        json.dumps(alert.acknowledged_by) if alert.acknowledged_by is not None else None,
        _moment(alert.acknowledged_at),
        _moment(alert.resolved_at),
    )
    names = (
        "severity",
        "state",
        "title",
        "message",
        "data",
        "last_at",
        "occurrences",
        "acknowledged_by",
        "acknowledged_at",
        "resolved_at",
    )
    transaction.ask(
        "INSERT INTO @alert (id, target, fingerprint, rule, severity, state, title, message, data, first_at, last_at, "
        "occurrences, acknowledged_by, acknowledged_at, resolved_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in names)}",
        values,
    )


def remove_before(door: StateDoor, before: datetime, *, at: datetime) -> tuple[str, ...]:
    """Remove those that were resolved before that moment; answers their ids. `at`: when that is done."""
    about = door.about()
    if not about:
        return ()
    with door.transaction(alone=ALONE) as transaction:
        rows = transaction.ask(
            "DELETE FROM @alert WHERE target = ? AND resolved_at < ? RETURNING id", (about, moment(before))
        )
        if rows:
            next_turn(transaction, about, places(transaction.ask, about), at)
    return tuple(row[0] for row in rows)


def _more(alert: Alert) -> dict[str, Any]:
    return {
        "subject": alert.subject,
        "migration": alert.migration,
        "run": alert.run_id,
        "fact": alert.fact,
        "told": _moment(alert.told_at),
        "resolution": alert.resolution,
        "data": dict(alert.data),
    }


def _alert(row: Row) -> Alert:
    its_id, fingerprint, rule, severity, title, message, data, first, last, count, by, acknowledged, resolved = row
    more = json.loads(data)
    return Alert(
        id=its_id,
        fingerprint=fingerprint,
        rule=rule,
        type=severity,
        title=json.loads(title),
        message=json.loads(message),
        first_at=read_moment(first),
        last_at=read_moment(last),
        subject=more["subject"],
        occurrences=count,
        migration=more["migration"],
        run_id=more["run"],
        fact=more["fact"],
        acknowledged_by=json.loads(by) if by is not None else None,
        acknowledged_at=read_moment(acknowledged) if acknowledged else None,
        resolved_at=read_moment(resolved) if resolved else None,
        resolution=more["resolution"],
        told_at=read_moment(more["told"]) if more["told"] else None,
        data=more["data"],
    )


def _place(kept: Mapping[str, Any]) -> Place:
    return Place(upto=kept["upto"], seen=frozenset(kept["seen"]))


def _moment(at: datetime | None) -> str | None:
    return moment(at) if at is not None else None
