"""Data rules have refused runs, or runs have broken them."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.health import HealthFacts, HealthLimits, Issue
from bascule.monitoring.health.words import listed


def judge(facts: HealthFacts, limits: HealthLimits) -> Iterator[Issue]:
    """Of the recent past."""
    rules = tuple(facts.validation_failures)
    if rules:
        yield Issue(
            check="validation",
            condition="validation_failures",
            status="degraded",
            message=f"Refused a run or was broken by one lately: {listed(rules, 'rule')}.",
            recommendation="`bascule validate` shows the rows.",
            subjects=rules,
        )
