"""How many runs there were, how they ended, and how long they took: counted from the journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from bascule.domain.run import iso

COUNTED: Final = ("run_completed", "run_failed", "run_interrupted", "rolled_back", "validation_failed")
"""Kinds of facts that metrics are made of."""

TREND_DAYS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Facts of one kind and direction on one day; where `rule` is set, those of them that name this rule."""

    day: str
    """ISO date, UTC."""
    kind: str
    direction: str
    rule: str = ""
    count: int
    ms: int = 0
    """Of all of them together that say how long they took."""
    timed: int = 0
    """How many say so."""
    last: datetime
    """The newest one's moment, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day's runs."""

    date: str
    completed: int = 0
    failed: int = 0
    rolled_back: int = 0
    rollback_failed: int = 0
    validation_failures: int = 0
    execution_ms: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "date": self.date,
            "completed": self.completed,
            "failed": self.failed,
            "rolledBack": self.rolled_back,
            "rollbackFailed": self.rollback_failed,
            "validationFailures": self.validation_failures,
            "executionTime": self.execution_ms,
            "migrationSuccessRate": rate(self.completed, self.failed),
            "rollbackSuccessRate": rate(self.rolled_back, self.rollback_failed),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The metrics of the contract. Times in milliseconds; rates in percent, 0 where nothing has run."""

    total_migrations: int = 0
    """Runs of ups that have ended."""
    successful_migrations: int = 0
    failed_migrations: int = 0
    total_execution_time: int = 0
    average_execution_time: float = 0.0
    """Of those ups that ended well."""
    last_migration_time: datetime | None = None
    rollback_count: int = 0
    rollback_failures: int = 0
    validation_failures: int = 0
    validation_failures_by_rule: Mapping[str, int] = field(default_factory=dict)
    trends: tuple[Day, ...] = ()
    """The last days on which something happened, oldest first."""
    monitoring: Mapping[str, Any] = field(default_factory=dict)
    """What Bascule's own watching has cost."""
    custom: Mapping[str, float] = field(default_factory=dict)
    """Metrics that the application has registered."""

    @property
    def migration_success_rate(self) -> float:
        """Percent of the ups that have ended."""
        return rate(self.successful_migrations, self.failed_migrations)

    @property
    def rollback_success_rate(self) -> float:
        """Percent of the rollbacks that have ended."""
        return rate(self.rollback_count, self.rollback_failures)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form of the contract."""
        return {
            "totalMigrations": self.total_migrations,
            "successfulMigrations": self.successful_migrations,
            "failedMigrations": self.failed_migrations,
            "averageExecutionTime": round(self.average_execution_time, 1),
            "totalExecutionTime": self.total_execution_time,
            "lastMigrationTime": iso(self.last_migration_time) if self.last_migration_time else None,
            "migrationSuccessRate": self.migration_success_rate,
            "rollbackCount": self.rollback_count,
            "rollbackFailures": self.rollback_failures,
            "rollbackSuccessRate": self.rollback_success_rate,
            "validationFailures": self.validation_failures,
            "validationFailuresByRule": dict(self.validation_failures_by_rule),
            "trends": [day.as_dict() for day in self.trends],
            "monitoring": dict(self.monitoring),
            "custom": dict(self.custom),
        }


def rate(good: int, bad: int) -> float:
    """Percent, 0 of nothing."""
    return round(100.0 * good / (good + bad), 2) if good + bad else 0.0


def merged(*lists: Iterable[Tally]) -> tuple[Tally, ...]:
    """One tally for each day, kind, direction and rule."""
    found: dict[tuple[str, str, str, str], Tally] = {}
    for each in (tally for tallies in lists for tally in tallies):
        key = (each.day, each.kind, each.direction, each.rule)
        known = found.get(key)
        found[key] = each if known is None else _sum(known, each)
    return tuple(found[key] for key in sorted(found))


def metrics_of(tallies: Sequence[Tally], **more: Any) -> Metrics:
    """What they come to. `more`: fields that are not counted from the journal."""
    plain = [each for each in tallies if not each.rule]
    ups = [each for each in plain if each.kind == "run_completed"]
    ms, timed = sum(each.ms for each in ups), sum(each.timed for each in ups)
    good, bad = sum(each.count for each in ups), _count(plain, "up")
    by_rule: dict[str, int] = {}
    for each in tallies:
        if each.rule:
            by_rule[each.rule] = by_rule.get(each.rule, 0) + each.count
    return Metrics(
        total_migrations=good + bad,
        successful_migrations=good,
        failed_migrations=bad,
        total_execution_time=ms,
        average_execution_time=ms / timed if timed else 0.0,
        last_migration_time=max((each.last for each in ups), default=None),
        rollback_count=sum(each.count for each in plain if each.kind == "rolled_back"),
        rollback_failures=_count(plain, "down"),
        validation_failures=sum(each.count for each in plain if each.kind == "validation_failed"),
        validation_failures_by_rule=dict(sorted(by_rule.items(), key=lambda item: (-item[1], item[0]))),
        trends=days(plain)[-TREND_DAYS:],
        **more,
    )


def days(tallies: Iterable[Tally]) -> tuple[Day, ...]:
    """Day by day, oldest first; those on which nothing happened are left out."""
    found: dict[str, dict[str, int]] = {}
    for each in tallies:
        if each.rule:
            continue
        day = found.setdefault(each.day, {})
        name = _FIELD.get((each.kind, each.direction)) or _FIELD[each.kind, ""]
        day[name] = day.get(name, 0) + each.count
        if name == "completed":
            day["execution_ms"] = day.get("execution_ms", 0) + each.ms
    return tuple(Day(date=date, **counts) for date, counts in sorted(found.items()))


_FIELD: Final = {
    ("run_completed", ""): "completed",
    ("run_failed", ""): "failed",
    ("run_failed", "down"): "rollback_failed",
    ("run_interrupted", ""): "failed",
    ("run_interrupted", "down"): "rollback_failed",
    ("rolled_back", ""): "rolled_back",
    ("validation_failed", ""): "validation_failures",
}


def _count(plain: Iterable[Tally], direction: str) -> int:
    failed = (each for each in plain if each.kind in ("run_failed", "run_interrupted"))
    return sum(each.count for each in failed if (each.direction == "down") == (direction == "down"))


def _sum(one: Tally, other: Tally) -> Tally:
    return Tally(
        day=one.day,
        kind=one.kind,
        direction=one.direction,
        rule=one.rule,
        count=one.count + other.count,
        ms=one.ms + other.ms,
        timed=one.timed + other.timed,
        last=max(one.last, other.last),
    )
