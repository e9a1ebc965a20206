"""Past runs, newest first, told from the journal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from bascule.domain.history import Fact, LedgerEntry
from bascule.domain.run import Run
from bascule.services.context import Context

ENDS = ("run_completed", "run_failed", "run_interrupted", "rolled_back")
_STATUS = {
    "run_completed": "completed",
    "run_failed": "failed",
    "run_interrupted": "failed",
    "rolled_back": "rolled_back",
}


def history(context: Context, *, limit: int = 100, migration: str | None = None) -> tuple[Run, ...]:
    """The last `limit` runs (0: all), those among them whose process was killed a moment ago. Runs no user code."""
    from bascule.services.broken_off import broken_off

    if not context.target.describe().prepared:
        return ()
    killed = [fact for fact in broken_off(context) if migration is None or fact.migration == migration]
    facts = context.target.journal(migration=migration, kinds=(*ENDS, "verdict"), limit=limit * 2 if limit else None)
    # Only what an older version wrote has no time of its own, and the ledger may be long.
    timeless = any(fact.kind in ENDS and fact.data.get("ms") is None for fact in facts)
    ledger = {entry.run_id: entry for entry in context.target.ledger()} if timeless else {}
    runs = list(_runs([*facts, *killed], ledger))
    runs.reverse()
    return tuple(runs[:limit] if limit else runs)


def _runs(facts: Iterable[Fact], ledger: dict[str, LedgerEntry]) -> Iterable[Run]:
    verdicts = {fact.run_id: fact for fact in facts if fact.kind == "verdict"}
    for fact in facts:
        if fact.kind not in ENDS:
            continue
        entry = ledger.get(fact.run_id)
        verdict = verdicts.get(fact.run_id) if fact.kind == "rolled_back" else None
        yield Run(
            id=fact.run_id,
            name=fact.migration,
            timestamp=fact.at or datetime(1970, 1, 1, tzinfo=UTC),
            execution_ms=int(fact.data.get("ms") or (entry.execution_ms if entry else 0)),
            status=_STATUS[fact.kind],  # type: ignore[arg-type]
            direction=fact.direction,  # type: ignore[arg-type]
            estimated_ms=int(fact.data.get("estimatedMs") or 0),
            error=fact.data.get("error"),
            verdict=verdict.data.get("verdict") if verdict else None,
            differences=tuple(verdict.data.get("differences", ())) if verdict else (),
            notes=tuple(fact.data.get("notes", ())),
            extra=interruption(fact),
        )


def interruption(fact: Fact) -> dict[str, Any]:
    """What is told of a run that was stopped or killed, beyond that it failed."""
    if fact.kind != "run_interrupted":
        return {}
    known = {"state": fact.data.get("state"), "hint": fact.data.get("next")}
    return {"interrupted": True, **{key: value for key, value in known.items() if value}}
