"""Applied migrations that cannot be rolled back."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.health import HealthFacts, HealthLimits, Issue
from bascule.monitoring.health.words import listed


def judge(facts: HealthFacts, limits: HealthLimits) -> Iterator[Issue]:
    """Where backups are taken by themselves there is a way back, but for what ran with ``--no-backup``."""
    names = facts.no_way_back
    if names:
        yield Issue(
            check="rollback",
            condition="no_way_back",
            status="degraded",
            message=f"Applied without a way back: no down script, and no backup: {listed(names, 'migration')}.",
            recommendation="Write a down script; leave backups on (MIGRATION_BACKUP_ENABLED, no --no-backup).",
            subjects=names,
        )
