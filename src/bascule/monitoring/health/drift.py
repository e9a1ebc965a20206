"""Folder and ledger do not agree on the past."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.health import HealthFacts, HealthLimits, Issue
from bascule.monitoring.health.words import listed


def judge(facts: HealthFacts, limits: HealthLimits) -> Iterator[Issue]:
    """`up` refuses while it is so."""
    if facts.missing:
        yield Issue(
            check="migrations",
            condition="drift",
            status="degraded",
            message=f"Applied, and the file is gone: {listed(facts.missing, 'migration')}.",
            recommendation="Bring the file back from version control, or `bascule accept NAME --reason …`.",
            subjects=facts.missing,
        )
    if facts.edited:
        yield Issue(
            check="migrations",
            condition="drift",
            status="degraded",
            message=f"Applied, and the file says something else now: {listed(facts.edited, 'migration')}.",
            recommendation="Put the file back and write a new migration, or `bascule accept NAME --reason …`.",
            subjects=facts.edited,
        )
