"""Indexes that a failed build has left, which cost every write and help no query."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.health import HealthFacts, HealthLimits, Issue
from bascule.monitoring.health.words import listed


def judge(facts: HealthFacts, limits: HealthLimits) -> Iterator[Issue]:
    """All of them in one issue."""
    names = facts.invalid_indexes
    if names:
        yield Issue(
            check="database",
            condition="invalid_indexes",
            status="degraded",
            message=f"Not valid: {listed(names, 'index', 'indexes')}.",
            recommendation="REINDEX INDEX CONCURRENTLY makes one valid; DROP INDEX CONCURRENTLY takes it away.",
            subjects=names,
        )
