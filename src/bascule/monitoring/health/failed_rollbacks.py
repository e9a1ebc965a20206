"""A way back that was tried did not lead back."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.health import HealthFacts, HealthLimits, Issue
from bascule.monitoring.health.words import listed


def judge(facts: HealthFacts, limits: HealthLimits) -> Iterator[Issue]:
    """Of the recent past, unless a later try went well."""
    names = facts.failed_rollbacks
    if names:
        yield Issue(
            check="rollback",
            condition="failed_rollbacks",
            status="unhealthy",
            message=f"The rollback failed of {listed(names, 'migration')}.",
            recommendation="`bascule logs NAME` says why; `bascule rollback NAME --backup ID` takes another way.",
            subjects=names,
        )
