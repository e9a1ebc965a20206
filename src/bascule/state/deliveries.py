"""Messages that are owed to somebody outside, from the moment they are due until they were taken.

A message is written in the same transaction as what it tells of, so that none is lost and none is made twice. Whoever
sends one claims it for a while first. A process that dies in between leaves a claim that runs out: then the message is
sent once more, under the same id, by which the receiver knows it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from bascule.ports.state import Row, StateDoor, StateTransaction
from bascule.state.moment import moment

_ALONE: Final = "deliveries"
_COLUMNS: Final = "id, channel, about, event, body, state, attempts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message for one channel."""

    id: str
    channel: str
    about: str
    event: str
    body: str
    held: bool = False
    """It waits for the end of a maintenance window, or until there is room: sent only if it still matters then."""
    attempts: int = 0
    """Those that have begun."""


def delivery_id(target: str, channel: str, about: str, event: str, occurrence: int) -> str:
    """The same for the same message, whoever makes it."""
    words = json.dumps([target, channel, about, event, occurrence])
    return f"msg_{hashlib.sha256(words.encode()).hexdigest()[:32]}"


def owe(transaction: StateTransaction, target: str, message: Delivery, *, made: datetime, due: datetime) -> None:
    """From now on it is owed. One of the same id stays as it is."""
    transaction.ask(
        f"INSERT INTO @delivery (target, made_at, next_at, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0) "
        "ON CONFLICT (id) DO NOTHING",
        (
            target,
            moment(made),
            moment(due),
            message.id,
            message.channel,
            message.about,
            message.event,
            message.body,
            "held" if message.held else "owed",
        ),
    )


def is_owed(door: StateDoor, channels: Sequence[str], now: datetime) -> bool:
    """Something is due on one of these channels."""
    about = door.about()
    if not about or not channels:
        return False
    return bool(
        door.read(
            f"SELECT 1 FROM @delivery WHERE target = ? AND ended_at IS NULL AND next_at <= ? AND {_among(channels)} "
            "LIMIT 1",
            (about, moment(now), *channels),
        )
    )


def claim(
    door: StateDoor, channels: Sequence[str], *, now: datetime, until: datetime, limit: int
) -> tuple[Delivery, ...]:
    """Take what is due on these channels, the oldest first. Nobody else gets it before `until`."""
    about = door.about()
    if not about or not channels:
        return ()
    with door.transaction(alone=_ALONE) as transaction:
        rows = transaction.ask(
            f"SELECT {_COLUMNS} FROM @delivery WHERE target = ? AND ended_at IS NULL AND next_at <= ? "
            f"AND {_among(channels)} ORDER BY made_at, next_at, id LIMIT ?",
            (about, moment(now), *channels, limit),
        )
        for row in rows:
            transaction.ask(
                "UPDATE @delivery SET attempts = attempts + 1, next_at = ? WHERE id = ?", (moment(until), row[0])
            )
    return tuple(map(_delivery, rows))


def sent(door: StateDoor, message: Delivery, at: datetime) -> None:
    """It was taken."""
    _end(door, message, "sent", at, None)


def given_up(door: StateDoor, message: Delivery, at: datetime, why: str) -> None:
    """Nobody tries any more."""
    _end(door, message, "given_up", at, why)


def dropped(door: StateDoor, message: Delivery, at: datetime, why: str) -> None:
    """It does not matter any more."""
    _end(door, message, "dropped", at, why)


def put_off(
    door: StateDoor, message: Delivery, due: datetime, *, why: str | None = None, held: bool = False, tried: bool = True
) -> None:
    """Try again then. Without `tried` the attempt does not count."""
    door.write(
        "UPDATE @delivery SET next_at = ?, error = ?, state = ?, attempts = attempts - ? "
        "WHERE id = ? AND ended_at IS NULL",
        (
            moment(due),
            json.dumps(why) if why else None,
            "held" if held or message.held else "owed",
            0 if tried else 1,
            message.id,
        ),
    )


def sent_since(door: StateDoor, channel: str, since: datetime) -> int:
    """How many messages about alerts the channel took since then."""
    rows = door.read(
        "SELECT count(*) FROM @delivery WHERE target = ? AND ended_at >= ? AND channel = ? AND state = 'sent' "
        "AND about NOT LIKE 'fact-%'",
        (door.about(), moment(since), channel),
    )
    return int(rows[0][0]) if rows else 0


def may_be_told(door: StateDoor, message: Delivery) -> bool:
    """Whether its channel took another message about the same, or may have: whoever was killed while he sent it has not
    written down what came of that.
    """
    rows = door.read(
        "SELECT 1 FROM @delivery WHERE target = ? AND channel = ? AND about = ? AND id <> ? "
        "AND state IN ('sent', 'owed') LIMIT 1",
        (door.about(), message.channel, message.about, message.id),
    )
    return bool(rows)


def let_go(door: StateDoor, message: Delivery) -> None:
    """What was held is sent now: from here on the channel may have it."""
    door.write("UPDATE @delivery SET state = 'owed' WHERE id = ? AND state = 'held'", (message.id,))


def troubles(door: StateDoor, *, limit: int = 20) -> tuple[dict[str, Any], ...]:
    """Messages that could not be sent so far, and those that were given up, newest first."""
    about = door.about()
    if not about:
        return ()
    rows = door.read(
        "SELECT id, channel, about, event, state, attempts, next_at, error FROM @delivery "
        "WHERE target = ? AND error IS NOT NULL AND (ended_at IS NULL OR state = 'given_up') "
        "ORDER BY made_at DESC, id LIMIT ?",
        (about, limit),
    )
    return tuple(
        {
            "id": its_id,
            "channel": channel,
            "about": of,
            "event": event,
            "state": state,
            "attempts": attempts,
            "nextAt": due if state != "given_up" else None,
            "error": json.loads(error),
        }
        for its_id, channel, of, event, state, attempts, due, error in rows
    )


def remove_before(door: StateDoor, before: datetime) -> int:
    """Remove those that ended before that moment; answers how many."""
    about = door.about()
    if not about:
        return 0
    return len(
        door.write("DELETE FROM @delivery WHERE target = ? AND ended_at < ? RETURNING id", (about, moment(before)))
    )


def _end(door: StateDoor, message: Delivery, state: str, at: datetime, why: str | None) -> None:
    door.write(
        "UPDATE @delivery SET state = ?, ended_at = ?, error = ? WHERE id = ? AND ended_at IS NULL",
        (state, moment(at), json.dumps(why) if why else None, message.id),
    )


def _among(channels: Sequence[str]) -> str:
    return f"channel IN ({', '.join('?' * len(channels))})"


def _delivery(row: Row) -> Delivery:
    its_id, channel, about, event, body, state, attempts = row
    return Delivery(
        id=its_id, channel=channel, about=about, event=event, body=body, held=state == "held", attempts=attempts + 1
    )
