"""Scripts outside a transaction have been begun and not ended."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.health import HealthFacts, HealthLimits, Issue
from bascule.monitoring.health.words import listed


def judge(facts: HealthFacts, limits: HealthLimits) -> Iterator[Issue]:
    """Only where nobody is at it right now."""
    names = facts.half_done
    if names and (facts.holder is None or facts.lease_stale):
        yield Issue(
            check="migrations",
            condition="half_done",
            status="unhealthy",
            message=f"Half done, and nobody is at it: {listed(names, 'migration')}.",
            recommendation="`bascule recover` finishes or undoes it.",
            subjects=names,
        )
