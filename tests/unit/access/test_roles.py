"""One table says who may do what, and denies the rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.access.roles import ACTIONS, PROTECTED, ROLES, is_role, may, needed


@pytest.mark.parametrize("action", sorted(ACTIONS))
@pytest.mark.parametrize("environment", ["development", "staging", "production"])
def test_each_role_may_what_those_before_it_may(action: str, environment: str) -> None:
    allowed = [may(role, action, environment) for role in ROLES]
    assert allowed == sorted(allowed)
    assert allowed[-1]


@pytest.mark.parametrize(
    ("role", "action", "environment", "allowed"),
    [
        ("viewer", "status", "production", True),
        ("viewer", "execute", "development", False),
        ("operator", "execute", "staging", True),
        ("operator", "execute", "production", False),
        ("admin", "execute", "production", True),
        ("operator", "validate", "production", True),
        ("admin", "cleanup", "development", False),
        ("super_admin", "cleanup", "production", True),
        ("operator", "audit", "development", False),
        ("admin", "plan.approve", "production", True),
    ],
)
def test_the_contract(role: str, action: str, environment: str, allowed: bool) -> None:
    assert may(role, action, environment) is allowed


@pytest.mark.parametrize("action", sorted(PROTECTED))
def test_an_unknown_environment_is_protected(action: str) -> None:
    assert not may("operator", action, "prod")
    assert needed(action, "") == "admin"


@given(st.text())
def test_any_other_word_is_no_role_and_may_nothing(word: str) -> None:
    if word in ROLES:
        return
    assert not is_role(word)
    assert not any(may(word, action, "development") for action in ACTIONS)


@given(st.text())
def test_what_is_not_in_the_table_is_denied_to_everybody(action: str) -> None:
    if action in ACTIONS:
        return
    assert not any(may(role, action, "development") for role in ROLES)


def test_what_is_like_a_role_is_none() -> None:
    for word in ("Admin", "admin ", "ADMIN", "super-admin", None, 3, ["admin"], ""):
        assert not is_role(word)
