"""Standbys are behind."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.health import HealthFacts, HealthLimits, Issue


def judge(facts: HealthFacts, limits: HealthLimits) -> Iterator[Issue]:
    """By the one that is furthest behind."""
    if facts.replication_lag is not None and facts.replication_lag > limits.replication_lag:
        yield Issue(
            check="database",
            condition="replication",
            status="degraded",
            message=f"A standby is {facts.replication_lag:.0f} s behind.",
            recommendation="Let it catch up before a migration that writes much.",
        )
