"""All conditions over one look."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from bascule.domain.health import CHECKS, Health, HealthFacts, HealthLimits, Issue
from bascule.monitoring.health import (
    broken_rules,
    connections,
    disk,
    drift,
    failed_rollbacks,
    failed_runs,
    half_done,
    invalid_indexes,
    no_way_back,
    not_looked_at,
    own_cost,
    read_only,
    replication,
    stale_lease,
    unreachable,
    unverified_backups,
    validation_failures,
)

Condition = Callable[[HealthFacts, HealthLimits], Iterable[Issue]]

CONDITIONS: Final[Mapping[str, Condition]] = {
    module.__name__.rpartition(".")[2]: module.judge
    for module in (
        unreachable,
        not_looked_at,
        read_only,
        disk,
        replication,
        connections,
        invalid_indexes,
        failed_runs,
        half_done,
        stale_lease,
        drift,
        own_cost,
        validation_failures,
        broken_rules,
        failed_rollbacks,
        unverified_backups,
        no_way_back,
    )
}
"""By the names that the setting ``health.ignore`` takes."""


def judged(facts: HealthFacts, limits: HealthLimits) -> Health:
    """The worst first, then by check."""
    found = [
        issue
        for name, condition in CONDITIONS.items()
        if name not in limits.ignore
        for issue in condition(facts, limits)
    ]
    found.sort(key=lambda issue: (issue.status != "unhealthy", CHECKS.index(issue.check)))
    return Health(last_check=facts.at, found=tuple(found))
