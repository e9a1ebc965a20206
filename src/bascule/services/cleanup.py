"""Remove what was kept long enough. Journal, ledger and audit log are never shortened."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from bascule.errors import BasculeError
from bascule.services.context import Context
from bascule.services.preimages import throw_away_old
from bascule.state import alerts, deliveries, notes, performance, plans, tokens

_NOTE: Final = "cleanup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What went."""

    alerts: tuple[str, ...] = ()
    """Their ids."""
    deliveries: int = 0
    """Messages that had been sent, or given up."""
    performance: int = 0
    plans: int = 0
    """Those that had expired."""
    approvals: int = 0
    """Of these plans."""
    tokens: int = 0
    """Those that had expired or were revoked."""
    preimages: int = 0
    """Kept copies of what migrations destroyed whose time was over."""
    backups: tuple[str, ...] = ()
    """Their ids."""
    freed: int = 0
    """Bytes in the backup store."""
    problems: tuple[str, ...] = ()
    """What could not be cleaned, in words."""

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "removed": {
                "alerts": len(self.alerts),
                "messages": self.deliveries,
                "performanceRecords": self.performance,
                "plans": self.plans,
                "approvals": self.approvals,
                "tokens": self.tokens,
                "preimages": self.preimages,
                "backups": len(self.backups),
            },
            "total": self.total,
            "freedBytes": self.freed,
            "problems": list(self.problems),
        }

    @property
    def total(self) -> int:
        """All things that went, of whatever kind."""
        state = self.deliveries + self.performance + self.plans + self.approvals + self.tokens
        return len(self.alerts) + state + self.preimages + len(self.backups)


def clean_up(context: Context, *, retention: float | None, backups: bool) -> Cleaned:
    """`retention`: seconds for which resolved alerts, sent messages, performance records, plans that have expired and
    tokens that are no good any more stay; None: for ever. `backups`: by the rules of the project, where it has any. A
    part that fails does not keep the others from being done. Raises `TargetUnreachable`, `Refused`.
    """
    if not context.target.describe().prepared:
        return Cleaned()
    now = context.clock.now()
    cleaned: dict[str, Any] = {}
    problems: list[str] = []
    with closing(context.target.state()) as door:
        notes.write(door, _NOTE, {}, now)
        if retention is not None:
            before = now - timedelta(seconds=retention)
            cleaned["alerts"] = alerts.remove_before(door, before, at=now)
            cleaned["plans"], cleaned["approvals"] = plans.remove_before(door, before)
            cleaned["tokens"] = tokens.remove_before(door, before)
            cleaned["deliveries"] = deliveries.remove_before(door, before)
            cleaned["performance"] = performance.remove_before(door, before)
    # Both look at kept rows or objects in a store, which may be away.
    if backups and context.backups is not None:
        _part(problems, "Backups", lambda: cleaned.update(_pruned(context)))
    if "preimages" not in cleaned:
        _part(problems, "Kept rows", lambda: cleaned.update(preimages=throw_away_old(context)))
    return Cleaned(**cleaned, problems=tuple(problems))


def last_clean_up(context: Context) -> datetime | None:
    """When it was last begun, by whoever; None: never."""
    with closing(context.target.state(beside=False)) as door:
        note = notes.read(door, _NOTE)
    return note.at if note is not None else None


def _pruned(context: Context) -> dict[str, Any]:
    from bascule.services.backup_prune import prune

    found = prune(context)
    return {
        "backups": tuple(each.entry.id for each in found.removed),
        "freed": found.freed,
        "preimages": found.preimages,
    }


def _part(problems: list[str], what: str, work: Callable[[], object]) -> None:
    try:
        work()
    except BasculeError as problem:
        problems.append(f"{what}: {problem.message}")
