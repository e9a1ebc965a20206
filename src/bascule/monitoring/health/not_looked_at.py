"""What nobody could look at because there is no connection."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.health import CHECKS, HealthFacts, HealthLimits, Issue


def judge(facts: HealthFacts, limits: HealthLimits) -> Iterator[Issue]:
    """Unhealthy: of what cannot be seen nobody may say that it is well."""
    if facts.unreachable is None:
        return
    for check in CHECKS:
        if check != "database":
            yield Issue(
                check=check,
                condition="not_looked_at",
                status="unhealthy",
                message=f"{check.capitalize()} could not be looked at: there is no connection to the database.",
                recommendation=facts.unreachable_hint or "See that the server runs and that its address is right.",
            )
