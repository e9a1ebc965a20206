"""A run as the journal tells it, whoever started it and whichever server is asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bascule.domain.history import ENDED, REQUESTED, Fact
from bascule.domain.run import Run
from bascule.errors import UsageError
from bascule.services.alive import lives_here
from bascule.services.broken_off import broken_off
from bascule.services.history import ENDS, interruption
from bascule.services.status import expected_ms

if TYPE_CHECKING:
    from bascule.services.context import Context

_STATUS = {
    "run_completed": "completed",
    "run_failed": "failed",
    "run_interrupted": "failed",
    "rolled_back": "rolled_back",
}
_BROKEN_OFF = (
    "The process of this run ended before the run did. What it had begun in a transaction is undone; the rest is "
    "finished or undone by the next run, or by recover."
)
_LONGEST = 300
"""Letters of a run's name."""


def facts_of(context: Context, run_id: str) -> tuple[Fact, ...]:
    """All facts of a run, oldest first. Raises `UsageError` (code ``unknown_run``)."""
    known = 0 < len(run_id) <= _LONGEST and run_id.isprintable() and context.target.describe().prepared
    facts = tuple(context.target.journal(run_id=run_id)) if known else ()
    if not facts:
        raise unknown(run_id)
    return facts


def unknown(run_id: str) -> UsageError:
    """There is no such run."""
    return UsageError(
        f"There is no run {run_id[:80]!a}.",
        code="unknown_run",
        hint="The status and the logs name the runs there are.",
    )


def run_of(context: Context, facts: Sequence[Fact], *, here: bool) -> dict[str, Any]:
    """The RUN. `here`: its worker is a child of this server and at work."""
    ended = _since(facts, _last(facts, ENDED))
    if ended is not None and isinstance(ended.data.get("data"), dict):
        return dict(ended.data["data"])
    closing = _closing(facts)
    asked = _last(facts, REQUESTED)
    first = next((fact for fact in facts if fact.migration), facts[0])
    failure = ended.data.get("error") if ended is not None else None
    gone = False
    if closing is not None:
        status, error = _STATUS[closing.kind], closing.data.get("error")
    elif ended is not None:
        status, error = "failed", ended.data.get("message")
    elif here or at_work(context, facts):
        started = any(fact.kind in ("run_started", "batch_started", "step_started") for fact in facts)
        status, error = "running" if started or asked is None else "pending", None
    else:
        closing = next((fact for fact in broken_off(context) if fact.run_id == first.run_id), None)
        status = "failed" if closing is None else _STATUS[closing.kind]
        error = _BROKEN_OFF if closing is None else closing.data.get("error")
        gone = closing is None
    verdict = _last(facts, "verdict")
    told_off = {"interrupted": True} if gone else interruption(closing) if closing is not None else {}
    run = Run(
        id=first.run_id,
        name=first.migration,
        timestamp=first.at or datetime(1970, 1, 1, tzinfo=UTC),
        execution_ms=_took(context, closing),
        estimated_ms=_expected(facts, closing),
        status=status,  # type: ignore[arg-type]
        direction=first.direction,  # type: ignore[arg-type]
        error=error,
        verdict=verdict.data.get("verdict") if verdict else None,
        differences=tuple(verdict.data.get("differences", ())) if verdict else (),
        notes=tuple(closing.data.get("notes", ())) if closing else (),
        extra=({} if failure is None else {"failure": failure}) | told_off,
    )
    document = run.as_dict()
    if asked is not None:
        document["requestedBy"] = asked.data.get("name")
    return document


def is_over(context: Context, facts: Sequence[Fact], *, here: bool) -> bool:
    """Nothing more will come."""
    if _since(facts, _last(facts, ENDED)) is not None:
        return True
    if here:
        return False
    if _last(facts, REQUESTED) is None and _closing(facts) is not None:
        return True
    return not at_work(context, facts)


def at_work(context: Context, facts: Sequence[Fact]) -> bool:
    """Whether the process of that run still works on it: it holds the lease, or lives on this machine."""
    owner = _named_owner(facts)
    holder = context.target.holder()
    if holder is not None and (not owner or holder.owner == owner):
        return True
    return bool(owner) and lives_here(owner, context.owner)


def owner_of(context: Context, facts: Sequence[Fact]) -> str:
    """Whose run it is, as ``user@host:pid``: as its facts say, or who holds the lease while it has not ended; empty
    where nobody can tell.
    """
    holder = context.target.holder()
    return _named_owner(facts) or (holder.owner if holder is not None else "")


def _named_owner(facts: Sequence[Fact]) -> str:
    return next((str(fact.data["owner"]) for fact in reversed(facts) if fact.data.get("owner")), "")


def _took(context: Context, closing: Fact | None) -> int:
    if closing is None:
        return 0
    if closing.data.get("ms"):
        return int(closing.data["ms"])
    return next((entry.execution_ms for entry in context.target.ledger() if entry.run_id == closing.run_id), 0)


def _closing(facts: Sequence[Fact]) -> Fact | None:
    """The fact that ended it; None where it was gone on with since."""
    return _since(facts, next((fact for fact in reversed(facts) if fact.kind in ENDS), None))


def _since(facts: Sequence[Fact], end: Fact | None) -> Fact | None:
    resumed = _last(facts, "run_resumed")
    return None if end is None or (resumed is not None and resumed.number > end.number) else end


def _expected(facts: Sequence[Fact], closing: Fact | None) -> int:
    if closing is not None and closing.data.get("estimatedMs"):
        return int(closing.data["estimatedMs"])
    return next((ms for ms in map(expected_ms, facts) if ms), 0)


def _last(facts: Sequence[Fact], kind: str) -> Fact | None:
    return next((fact for fact in reversed(facts) if fact.kind == kind), None)
