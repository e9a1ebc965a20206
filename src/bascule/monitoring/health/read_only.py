"""The server that answers cannot be written."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.health import HealthFacts, HealthLimits, Issue


def judge(facts: HealthFacts, limits: HealthLimits) -> Iterator[Issue]:
    """Nothing can be migrated where nothing can be written."""
    if facts.read_only:
        yield Issue(
            check="database",
            condition="read_only",
            status="unhealthy",
            message="The server that answers is a standby, which cannot be written.",
            recommendation="Name the primary; several hosts with target_session_attrs=read-write find it.",
        )
    elif facts.set_read_only:
        yield Issue(
            check="database",
            condition="read_only",
            status="unhealthy",
            message="The database or the role is set to default_transaction_read_only: neither the target nor what "
            "Bascule keeps of it can be written.",
            recommendation="Where that was not meant: ALTER DATABASE or ALTER ROLE … RESET "
            "default_transaction_read_only.",
        )
