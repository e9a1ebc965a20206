"""The journal as it is: every fact of every run."""

from __future__ import annotations

from typing import Any

from bascule.domain.history import Fact
from bascule.domain.run import iso
from bascule.services.context import Context


def logs(context: Context, *, migration: str | None = None, limit: int = 100) -> tuple[Fact, ...]:
    """The newest `limit` facts (0: all), oldest first. `migration` is the name as the ledger has it."""
    if not context.target.describe().prepared:
        return ()
    return tuple(context.target.journal(migration=migration, limit=limit or None))


def log_line(fact: Fact) -> dict[str, Any]:
    """A fact in the JSON form."""
    answer: dict[str, Any] = {
        "number": fact.number,
        "timestamp": iso(fact.at) if fact.at else None,
        "event": fact.kind,
        "run": fact.run_id,
        "migration": fact.migration,
        "direction": fact.direction,
    }
    if fact.step is not None:
        answer["step"] = fact.step
    return answer | {"data": dict(fact.data)}
