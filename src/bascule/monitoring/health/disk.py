"""A disk is nearly full."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.health import HealthFacts, HealthLimits, Issue


def judge(facts: HealthFacts, limits: HealthLimits) -> Iterator[Issue]:
    """Degraded below the limit, unhealthy below half of it."""
    for place, free in facts.free_space.items():
        if free < limits.free_space:
            yield Issue(
                check="database",
                condition="disk",
                status="unhealthy" if free < limits.free_space / 2 else "degraded",
                message=f"Only {free:.1f} % of the disk of {place} is free.",
                recommendation="Make room, or let `bascule backup prune` remove old backups.",
                subjects=(place,),
            )
