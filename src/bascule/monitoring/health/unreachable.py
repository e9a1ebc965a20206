"""There is no connection to the database."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.health import HealthFacts, HealthLimits, Issue


def judge(facts: HealthFacts, limits: HealthLimits) -> Iterator[Issue]:
    """Unhealthy, whatever the reason."""
    if facts.unreachable is not None:
        yield Issue(
            check="database",
            condition="unreachable",
            status="unhealthy",
            message=facts.unreachable,
            recommendation=facts.unreachable_hint or "See that the server runs and that its address is right.",
        )
