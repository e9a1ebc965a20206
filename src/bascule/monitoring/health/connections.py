"""The server has hardly a connection left."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.health import HealthFacts, HealthLimits, Issue


def judge(facts: HealthFacts, limits: HealthLimits) -> Iterator[Issue]:
    """By the share of those that it allows. A run needs two."""
    if facts.connections is None or not facts.max_connections:
        return
    share = 100.0 * facts.connections / facts.max_connections
    if share > limits.connections:
        yield Issue(
            check="database",
            condition="connections",
            status="degraded",
            message=f"{facts.connections} of the server's {facts.max_connections} connections are taken.",
            recommendation="See in pg_stat_activity who has them; a run needs two.",
        )
