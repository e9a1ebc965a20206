"""Which conditions make a target degraded or unhealthy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bascule.domain.alert import Raised
from bascule.domain.health import Health, HealthFacts, HealthLimits
from bascule.monitoring.alerts.rules import of_health
from bascule.monitoring.health.judging import CONDITIONS, judged
from bascule.monitoring.health.words import listed

FINE = HealthFacts(
    at=datetime(2026, 1, 2, tzinfo=UTC),
    connections=10,
    max_connections=100,
    replication_lag=1.0,
    free_space={"the database": 50.0},
    own_share=0.4,
)


def look(limits: HealthLimits | None = None, **facts: Any) -> Health:
    return judged(replace(FINE, **facts), limits or HealthLimits())


def test_a_target_of_which_nothing_is_wrong_is_healthy() -> None:
    health = look()
    assert health.as_dict() == {
        "status": "healthy",
        "checks": {"database": "healthy", "migrations": "healthy", "validation": "healthy", "rollback": "healthy"},
        "lastCheck": "2026-01-02T00:00:00.000Z",
        "issues": [],
        "recommendations": [],
        "details": [],
    }


@pytest.mark.parametrize(
    ("facts", "check", "condition", "status"),
    [
        ({"read_only": True}, "database", "read_only", "unhealthy"),
        ({"free_space": {"the database": 9.0}}, "database", "disk", "degraded"),
        ({"free_space": {"the database": 4.9}}, "database", "disk", "unhealthy"),
        ({"replication_lag": 61.0}, "database", "replication", "degraded"),
        ({"connections": 95}, "database", "connections", "degraded"),
        ({"invalid_indexes": ("public.i",)}, "database", "invalid_indexes", "degraded"),
        ({"failed": {"m": "no such table\nmore"}}, "migrations", "failed_runs", "unhealthy"),
        ({"half_done": ("m",)}, "migrations", "half_done", "unhealthy"),
        ({"holder": "me@host:1", "lease_stale": True}, "migrations", "stale_lease", "degraded"),
        ({"missing": ("m",)}, "migrations", "drift", "degraded"),
        ({"edited": ("m",)}, "migrations", "drift", "degraded"),
        ({"own_share": 2.1}, "migrations", "own_cost", "degraded"),
        ({"own_dropped": 1}, "migrations", "own_cost", "degraded"),
        ({"validation_failures": {"fk_integrity": 2}}, "validation", "validation_failures", "degraded"),
        ({"validation_broken": ("the rules of shop cannot be loaded",)}, "validation", "broken_rules", "unhealthy"),
        ({"failed_rollbacks": ("m",)}, "rollback", "failed_rollbacks", "unhealthy"),
        ({"unproved_backups": ("b",)}, "rollback", "unverified_backups", "degraded"),
        ({"failed_backups": {"b": "rows differ"}}, "rollback", "unverified_backups", "unhealthy"),
        ({"no_way_back": ("m",)}, "rollback", "no_way_back", "degraded"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_each_condition_is_found_and_says_what_to_do(
    facts: dict[str, Any], check: str, condition: str, status: str
) -> None:
    health = look(**facts)
    (issue,) = health.found
    assert (issue.check, issue.condition, issue.status, health.status) == (check, condition, status, status)
    assert health.checks[issue.check] == status
    assert issue.message.endswith(".") or "differ" in issue.message or "no such table" in issue.message
    assert len(issue.recommendation) > 10
    assert condition in CONDITIONS
    assert look(HealthLimits(ignore=(condition,)), **facts).status == "healthy"


def test_what_is_under_way_right_now_is_not_half_done() -> None:
    assert look(half_done=("m",), holder="me@host:1").status == "healthy"


def test_of_a_target_that_is_not_there_nothing_is_said_to_be_well() -> None:
    health = look(unreachable="Nobody answers.")
    assert set(health.checks.values()) == {"unhealthy"}
    assert health.issues[0] == "Nobody answers."
    assert all("could not be looked at" in words for words in health.issues[1:])
    # One alert is enough for that.
    (raised,) = of_health(health, ())
    assert isinstance(raised, Raised)
    assert raised.rule == "health.unreachable"


def test_the_worst_comes_first() -> None:
    health = look(edited=("a",), failed={"b": ""}, connections=99)
    assert [issue.condition for issue in health.found] == ["failed_runs", "connections", "drift"]


def test_names_are_told_as_a_person_would() -> None:
    assert listed(["a"], "migration") == "a"
    assert listed(["a", "b"], "migration") == "a and b"
    assert listed(list("abcdefgh"), "index", "indexes") == "a, b, c and 5 more indexes"
