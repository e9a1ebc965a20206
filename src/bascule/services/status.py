"""What is applied, pending, failed, rolled back and running. Runs no user code and creates nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from bascule.domain.history import Fact, Holder
from bascule.domain.migration import MigrationRef
from bascule.domain.run import iso
from bascule.services.broken_off import broken_off, is_settling
from bascule.services.context import Context
from bascule.services.history import ENDS, interruption
from bascule.services.situation import GONE, Situation, edited, look

_LATEST = 50
"""Ends of runs among which a failed rollback is looked for."""
_REQUESTED_BEFORE = timedelta(minutes=10)
"""A run may have been asked for before its lease was to be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """The answer of ``bascule status``."""

    situation: Situation
    pending: tuple[str, ...]
    """In the order they would run by their place in the folder."""
    late: tuple[str, ...]
    """Pending, and older than the newest applied one."""
    missing: tuple[str, ...]
    """Applied, and their file is gone."""
    edited: tuple[str, ...]
    """Applied, and their file means something else now."""
    half_done: tuple[str, ...]
    failed: dict[str, Fact] = field(default_factory=dict)
    """Pending and half-done migrations whose last run failed, or was stopped or killed; and applied ones whose rollback
    did, since anything last went well."""
    rolled_back: dict[str, Fact] = field(default_factory=dict)
    running: Holder | None = None
    under_way: Fact | None = None
    """What the one who holds the lease is at: its run has begun and not ended."""
    limit: int = 100

    @property
    def half_back(self) -> tuple[str, ...]:
        """Of the half-done ones those whose rollback was begun."""
        return tuple(name for name in self.half_done if (name, "down") in self.situation.marks)

    @property
    def half_up(self) -> tuple[str, ...]:
        """Of the half-done ones those whose up was begun, and no rollback."""
        return tuple(name for name in self.half_done if name not in self.half_back)

    @property
    def in_order(self) -> bool:
        """Nothing is pending, and nothing is wrong."""
        return not (self.pending or self.missing or self.edited or self.half_done)

    @property
    def summary(self) -> dict[str, Any]:
        """The counts of the contract."""
        applied = self.situation.applied
        timed = [entry.execution_ms for entry in applied if entry.how == "run"]
        return {
            "total": len(applied) + len(self.pending),
            "completed": len(applied),
            "failed": len(self.failed),
            "pending": len(self.pending),
            "rolledBack": len(self.rolled_back),
            "averageExecutionTime": round(sum(timed) / len(timed)) if timed else 0,
        }

    def as_dict(self) -> dict[str, Any]:
        """The ``data`` of GET /status. Each list holds the newest `limit` (0: all); the summary counts all."""
        newest = list(reversed(self.situation.applied))
        answer: dict[str, Any] = {
            "pending": [
                {"name": name, "status": "pending", "late": name in self.late} for name in self._cut(self.pending)
            ],
            "running": [_holder(self.running, self.under_way)] if self.running else [],
            "completed": [
                {
                    "id": entry.run_id,
                    "name": entry.name,
                    "status": "completed",
                    "timestamp": iso(entry.applied_at),
                    "executionTime": entry.execution_ms,
                    "how": entry.how,
                }
                for entry in self._cut(newest)
            ],
            "failed": [self._failed(fact) for fact in self._cut(list(self.failed.values()))],
            "rolledBack": [_ended(fact, "rolled_back") for fact in self._cut(list(self.rolled_back.values()))],
            "summary": self.summary,
        }
        halves = (("halfDone", self.half_done), ("halfRolledBack", self.half_back))
        for key, names in (("missing", self.missing), ("edited", self.edited), *halves):
            if names:
                answer[key] = list(names)
        return answer

    def _failed(self, fact: Fact) -> dict[str, Any]:
        half = {"halfDone": True} if fact.migration in self.half_done else {}
        return _ended(fact, "failed") | half

    def _cut(self, items: Any) -> Any:
        return items[: self.limit] if self.limit else items


def status(context: Context, *, limit: int = 100, fingerprints: dict[str, str] | None = None) -> StatusReport:
    """Look at folder and target. `fingerprints`: exact hashes by name that are known already (a file whose size and
    time did not
    change needs no second reading); None reads every applied file. Raises SourceError, TargetUnreachable.
    """
    situation = look(context)
    pending = situation.pending()
    names = {ref.name for ref in pending}
    if fingerprints is None:
        from bascule.services.situation import look_at_files

        fingerprints = look_at_files(context.source, situation)
    half_done = tuple(sorted({name for name, _ in situation.marks}))
    ended = _ended_badly(context, names | set(half_done)) if names or half_done else {}
    ended |= _failed_backs(context, {entry.name for entry in situation.applied} - ended.keys())
    holder = context.target.holder()
    if is_settling(holder):
        # For a moment, and nothing runs.
        holder = None
    under_way = _under_way(context, holder) if holder is not None else None
    if under_way is not None:
        # What is being gone on with is not what ended badly once.
        ended.pop(under_way.migration, None)
    return StatusReport(
        situation=situation,
        pending=tuple(ref.name for ref in pending),
        late=_late(situation, pending),
        missing=tuple(situation.missing()),
        edited=tuple(each.name for each in edited(context.source, context.target.dialect, situation, fingerprints)),
        half_done=half_done,
        failed={name: fact for name, fact in ended.items() if fact.kind in ("run_failed", "run_interrupted")},
        rolled_back={name: fact for name, fact in ended.items() if fact.kind == "rolled_back"},
        running=holder,
        under_way=under_way,
        limit=limit,
    )


def _late(situation: Situation, pending: list[MigrationRef]) -> tuple[str, ...]:
    applied = {entry.name for entry in situation.applied if entry.how != GONE}
    newest = max((ref.order for ref in situation.refs if ref.name in applied and not ref.repeatable), default=None)
    return tuple(ref.name for ref in pending if newest is not None and ref.order < newest)


def _ended_badly(context: Context, names: set[str]) -> dict[str, Fact]:
    """The last failure or rollback of each of these migrations, and what was killed a moment ago."""
    if not context.target.describe().prepared:
        return {}
    facts = context.target.journal(kinds=("run_failed", "run_interrupted", "rolled_back"), limit=1000)
    return {fact.migration: fact for fact in (*facts, *broken_off(context)) if fact.migration in names}


def _failed_backs(context: Context, applied: set[str]) -> dict[str, Fact]:
    """The rollbacks that failed, or were stopped or killed, since a run last ended well: they left the migration as it
    was, but whoever asked for one wants to know.
    """
    if not applied or not context.target.describe().prepared:
        return {}
    found: dict[str, Fact] = {}
    for fact in reversed((*context.target.journal(kinds=ENDS, limit=_LATEST), *broken_off(context))):
        if fact.kind in ("run_completed", "rolled_back"):
            break
        if fact.direction == "down" and fact.migration in applied:
            found.setdefault(fact.migration, fact)
    return found


def _under_way(context: Context, holder: Holder) -> Fact | None:
    """The run that began last since the lease was taken, as far as the journal tells; None where it has ended."""
    facts = context.target.journal(kinds=("batch_started", "run_started", "run_resumed", "requested", *ENDS), limit=50)
    over: set[str] = set()
    for fact in reversed(facts):
        if fact.kind in ENDS:
            # What began before it; the run may have been gone on with since.
            over.add(fact.run_id)
            continue
        # What an earlier holder of the lease began is not under way any more.
        early = _REQUESTED_BEFORE if fact.kind == "requested" else timedelta(0)
        elsewhere = str(fact.data.get("owner") or holder.owner) != holder.owner
        if elsewhere or fact.at is None or fact.at < holder.since - early:
            continue
        begun = (fact,) if fact.kind != "batch_started" else _of_batch(fact)
        for each in begun:
            if each.run_id not in over and each.migration:
                return each
    return None


def _of_batch(fact: Fact) -> tuple[Fact, ...]:
    """The runs that a batch begins, in order."""
    return tuple(replace(fact, run_id=run, migration=run.rpartition("_")[0]) for run in fact.data.get("runs", ()))


def expected_ms(fact: Fact) -> int:
    """What a run was expected to take, as its batch tells; 0 where that is not known."""
    expected = dict(zip(fact.data.get("runs", ()), fact.data.get("estimates", ()), strict=False))
    return int(expected.get(fact.run_id) or 0)


def _holder(holder: Holder, under_way: Fact | None) -> dict[str, Any]:
    known: dict[str, Any] = {}
    if under_way is not None:
        known = {"id": under_way.run_id, "name": under_way.migration, "direction": under_way.direction}
        expected = expected_ms(under_way)
        known |= {"estimatedDuration": expected} if expected else {}
    return {
        "id": holder.run,
        "name": holder.run,
        "status": "running",
        "timestamp": iso(holder.since),
        "owner": holder.owner,
        "lease": holder.run,
        **known,
    }


def _ended(fact: Fact, status: str) -> dict[str, Any]:
    answer = {
        "id": fact.run_id,
        "name": fact.migration,
        "status": status,
        "timestamp": iso(fact.at) if fact.at else None,
    }
    if "error" in fact.data:
        answer["error"] = fact.data["error"]
    if "ms" in fact.data:
        answer["executionTime"] = fact.data["ms"]
    if status == "failed":
        known = {"line": fact.data.get("line"), "state": fact.data.get("state"), "hint": fact.data.get("next")}
        answer |= {key: value for key, value in known.items() if value}
        if fact.direction == "down":
            answer["direction"] = "down"
    return answer | interruption(fact)
