"""Plans that somebody handed in, and who has approved them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bascule.ports.state import StateDoor
from bascule.state.moment import moment, read_moment

_COLUMNS = "id, author, created_at, expires_at, document"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPlan:
    """One plan, as it was handed in."""

    id: str
    author: str
    created_at: datetime
    expires_at: datetime
    document: str
    """The text of its file, with its signature where it has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Somebody's word for a plan."""

    approver: str
    at: datetime


def add(door: StateDoor, plan: KeptPlan) -> None:
    """Keep it; a plan of that id that is there already stays as it is."""
    door.write(
        "INSERT INTO @plan (id, target, author, created_at, expires_at, document) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO NOTHING",
        (plan.id, door.about(), plan.author, moment(plan.created_at), moment(plan.expires_at), plan.document),
    )


def find(door: StateDoor, its_id: str) -> KeptPlan | None:
    """The plan of that id that was made for this target."""
    rows = door.read(f"SELECT {_COLUMNS} FROM @plan WHERE id = ? AND target = ?", (its_id, door.about()))
    return _read(rows[0]) if rows else None


def good(door: StateDoor, at: datetime, limit: int) -> Sequence[KeptPlan]:
    """This target's plans that have not expired by then, newest first."""
    rows = door.read(
        f"SELECT {_COLUMNS} FROM @plan WHERE target = ? AND expires_at > ? ORDER BY created_at DESC, id LIMIT ?",
        (door.about(), moment(at), limit),
    )
    return [_read(row) for row in rows]


def _read(row: Sequence[Any]) -> KeptPlan:
    found, author, created_at, expires_at, document = row
    return KeptPlan(
        id=found,
        author=author,
        created_at=read_moment(created_at),
        expires_at=read_moment(expires_at),
        document=document,
    )


def approve(door: StateDoor, its_id: str, approver: str, at: datetime) -> None:
    """Keep somebody's word. The first time counts."""
    door.write(
        "INSERT INTO @approval (plan_id, approver, at) VALUES (?, ?, ?) ON CONFLICT (plan_id, approver) DO NOTHING",
        (its_id, approver, moment(at)),
    )


def approvals(door: StateDoor, its_id: str) -> Sequence[Approval]:
    """By whom, in the order they came."""
    rows = door.read("SELECT approver, at FROM @approval WHERE plan_id = ? ORDER BY at, approver", (its_id,))
    return [Approval(approver=approver, at=read_moment(at)) for approver, at in rows]


def remove_before(door: StateDoor, before: datetime) -> tuple[int, int]:
    """Remove this target's plans that expired before that moment, with the words given for them; answers how many of
    each.
    """
    about = door.about()
    if not about:
        return 0, 0
    old = "SELECT id FROM @plan WHERE target = ? AND expires_at < ?"
    values = (about, moment(before))
    with door.transaction(alone="plans") as transaction:
        words = transaction.ask(f"DELETE FROM @approval WHERE plan_id IN ({old}) RETURNING plan_id", values)
        plans = transaction.ask("DELETE FROM @plan WHERE target = ? AND expires_at < ? RETURNING id", values)
    return len(plans), len(words)
