"""A token is 256 bits of chance, and nobody can tell it from what is kept of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bascule.access.tokens import BYTES, ApiToken, hash_of, is_token, token_of

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def token(**changes: object) -> ApiToken:
    known = {
        "id": "t",
        "role": "viewer",
        "name": "",
        "environment": None,
        "created_at": NOW,
        "created_by": "me",
        "expires_at": NOW + timedelta(days=1),
    }
    return ApiToken(**(known | changes))  # type: ignore[arg-type]


def test_every_bit_of_chance_is_in_it() -> None:
    one, other = token_of(bytes(BYTES)), token_of(bytes(BYTES - 1) + b"\1")
    assert one != other
    assert len(one) == len("bascule_") + 43
    assert is_token(one)
    with pytest.raises(ValueError, match="32 bytes"):
        token_of(b"short")


def test_a_jwt_is_not_taken_for_one() -> None:
    assert not is_token("eyJhbGciOiJIUzI1NiJ9.e30.abc")
    assert not is_token("bascule_a.b")


def test_what_is_kept_does_not_hold_the_token() -> None:
    text = token_of(b"x" * BYTES)
    assert text not in hash_of(text)
    assert len(hash_of(text)) == 64
    assert hash_of("\ud800") != hash_of("?"), "whatever somebody sends has a hash"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, None),
        ({"expires_at": None}, None),
        ({"expires_at": NOW}, "expired"),
        ({"revoked_at": NOW - timedelta(seconds=1)}, "revoked"),
        ({"environment": "staging"}, "environment"),
        ({"environment": "production"}, None),
    ],
)
def test_why_one_opens_nothing(changes: dict[str, object], why: str | None) -> None:
    assert token(**changes).refused(now=NOW, environment="production") == why
