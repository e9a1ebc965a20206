"""Sessions that somebody has ended, by their ids. They are notes of the whole store: whichever target's server a
session was begun at, it is over at all of them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from bascule.ports.state import StateDoor
from bascule.state.moment import moment

LONGEST: Final = timedelta(hours=12)
"""Nobody's session lasts longer; what was noted before that says nothing any more."""
_KEY: Final = "session ended "


def end(door: StateDoor, session: str, now: datetime) -> None:
    """Keep that it is over, and forget those that would be over by themselves."""
    with door.transaction() as transaction:
        transaction.ask(
            "INSERT INTO @note (target, key, at, value) VALUES ('', ?, ?, 'true') ON CONFLICT (target, key) DO NOTHING",
            (_KEY + session, moment(now)),
        )
        transaction.ask(
            "DELETE FROM @note WHERE target = '' AND key LIKE ? AND at < ?", (f"{_KEY}%", moment(now - LONGEST))
        )


def has_ended(door: StateDoor, session: str) -> bool:
    """Whether somebody has ended it."""
    return bool(door.read("SELECT 1 FROM @note WHERE target = '' AND key = ?", (_KEY + session,)))


def is_open(session: str) -> tuple[str, tuple[str, ...]]:
    """A condition, and its values, that holds while nobody has ended it."""
    return "NOT EXISTS (SELECT 1 FROM @note WHERE target = '' AND key = ?)", (_KEY + session,)
