"""The server that answers cannot be written."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.health import HealthFacts, HealthLimits, Issue


def judge(facts: HealthFacts, limits: HealthLimits) -> Iterator[Issue]:
    """Nothing can be migrated on a standby."""
    if facts.read_only:
        yield Issue(
            check="database",
            condition="read_only",
            status="unhealthy",
            message="The server that answers is a standby, which cannot be written.",
            recommendation="Name the primary; several hosts with target_session_attrs=read-write find it.",
        )
