"""Watching costs more than it may, or loses what it should have seen."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.health import HealthFacts, HealthLimits, Issue


def judge(facts: HealthFacts, limits: HealthLimits) -> Iterator[Issue]:
    """Of the newest runs together."""
    if facts.own_share > limits.own_share:
        yield Issue(
            check="migrations",
            condition="own_cost",
            status="degraded",
            message=f"Watching has taken {facts.own_share:.1f} % of the newest runs' time.",
            recommendation="MIGRATION_MONITORING_ENABLED=false turns it off; journal, audit and ledger go on.",
        )
    if facts.own_dropped:
        yield Issue(
            check="migrations",
            condition="own_cost",
            status="degraded",
            message=f"{facts.own_dropped} looks at the server failed while the newest runs were watched.",
            recommendation="See with LOG_LEVEL=debug whether a connection for looking is to be had during a run.",
        )
