"""Applied migrations that cannot be rolled back."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.health import HealthFacts, HealthLimits, Issue
from bascule.monitoring.health.words import listed


def judge(facts: HealthFacts, limits: HealthLimits) -> Iterator[Issue]:
    """Only where no backups are taken by themselves: with them there is a way back."""
    names = facts.no_way_back
    if names and not facts.backups_wanted:
        yield Issue(
            check="rollback",
            condition="no_way_back",
            status="degraded",
            message=f"Applied without a way back, and backups are off: {listed(names, 'migration')}.",
            recommendation="Turn backups on (MIGRATION_BACKUP_ENABLED), or write a down script.",
            subjects=names,
        )
