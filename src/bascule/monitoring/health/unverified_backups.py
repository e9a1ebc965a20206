"""Backups that nobody has proved, or that turned out to be no good."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.health import HealthFacts, HealthLimits, Issue
from bascule.monitoring.health.words import listed


def judge(facts: HealthFacts, limits: HealthLimits) -> Iterator[Issue]:
    """A backup is what was restored from it once."""
    if facts.failed_backups:
        names = tuple(facts.failed_backups)
        yield Issue(
            check="rollback",
            condition="unverified_backups",
            status="unhealthy",
            message=f"Could not be proved: {listed(names, 'backup')}: {facts.failed_backups[names[0]]}",
            recommendation="Take a new one with `bascule backup create`; `bascule backup verify ID` looks again.",
            subjects=names,
        )
    if facts.unproved_backups:
        yield Issue(
            check="rollback",
            condition="unverified_backups",
            status="degraded",
            message=f"Never restored to see whether it holds: {listed(facts.unproved_backups, 'backup')}.",
            recommendation="`bascule backup verify` restores them to scratch and compares.",
            subjects=facts.unproved_backups,
        )
