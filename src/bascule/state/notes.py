"""One value a key: what was last seen, or counted so far."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bascule.ports.state import StateDoor
from bascule.state.moment import moment, read_moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A value, and when it was written down."""

    value: Any
    at: datetime


def read(door: StateDoor, key: str) -> Note | None:
    """The note of the door's target under this key; None where there is none."""
    about = door.about()
    rows = door.read("SELECT value, at FROM @note WHERE target = ? AND key = ?", (about, key)) if about else []
    return Note(value=json.loads(rows[0][0]), at=read_moment(rows[0][1])) if rows else None


def write(door: StateDoor, key: str, value: Any, at: datetime) -> None:
    """Write it down, in the place of what was there."""
    with door.transaction() as transaction:
        transaction.ask(
            "INSERT INTO @note (target, key, at, value) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (target, key) DO UPDATE SET at = excluded.at, value = excluded.value",
            (door.about(), key, moment(at), json.dumps(value)),
        )
