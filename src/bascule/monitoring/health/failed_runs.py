"""Migrations are pending because they failed."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.health import HealthFacts, HealthLimits, Issue
from bascule.monitoring.health.words import listed


def judge(facts: HealthFacts, limits: HealthLimits) -> Iterator[Issue]:
    """Unhealthy: what should be applied is not."""
    names = tuple(facts.failed)
    if names:
        why = next(iter(facts.failed[names[0]].splitlines()), "")
        yield Issue(
            check="migrations",
            condition="failed_runs",
            status="unhealthy",
            message=f"The last run failed, or was broken off, of {listed(names, 'migration')}"
            + (f": {why}" if why else "."),
            recommendation="`bascule logs NAME` tells the whole story; correct the cause and run `bascule up` again.",
            subjects=names,
        )
