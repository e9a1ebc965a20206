"""Rules of the project's own cannot be asked."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.health import HealthFacts, HealthLimits, Issue


def judge(facts: HealthFacts, limits: HealthLimits) -> Iterator[Issue]:
    """What is not asked finds nothing."""
    for words in facts.validation_broken:
        yield Issue(
            check="validation",
            condition="broken_rules",
            status="unhealthy",
            message=f"{words[:1].upper()}{words[1:]}.",
            recommendation="Correct the module, or take it out of the setting validation.custom.",
        )
