"""Whoever had the right to change the target is gone without having given it back."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.health import HealthFacts, HealthLimits, Issue


def judge(facts: HealthFacts, limits: HealthLimits) -> Iterator[Issue]:
    """The next run takes over by itself, but a run was broken off."""
    if facts.lease_stale and facts.holder is not None:
        yield Issue(
            check="migrations",
            condition="stale_lease",
            status="degraded",
            message=f"{facts.holder} had the lease and is gone: a run was broken off.",
            recommendation="`bascule recover` finds out how far it came and finishes or undoes it.",
            subjects=(facts.holder,),
        )
