"""A plan file's text: what is read back is what was written, and a signature tells every change."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.domain.plan_file import FileHashes, PlanFile, World
from bascule.planning.plan_text import plan_text, read_plan

KEY = b"k" * 32
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PLAN = PlanFile(
    id="one",
    created_at=NOW,
    expires_at=NOW + timedelta(hours=24),
    author="ann@host:1",
    version="0.1.0",
    migrations=(FileHashes(name="20240101_ä", exact="e", semantic="s", parser="p", down=""),),
    world=World(
        target={"dialect": "sqlite", "database": "x.db"},
        applied=1,
        newest="20230101_a",
        ledger="l",
        hooks={"before_up": "h"},
        objects={"table users": "o"},
    ),
)


@pytest.mark.parametrize(("key", "signed"), [(KEY, "good"), (None, "unsigned")])
def test_what_is_read_is_what_was_written(key: bytes | None, signed: str) -> None:
    read = read_plan(plan_text(PLAN, key), key)
    assert (read.plan, read.signed) == (PLAN, signed)


def test_layout_and_order_of_keys_are_not_signed() -> None:
    data = json.loads(plan_text(PLAN, KEY))
    turned = json.dumps(dict(reversed(data.items())))
    assert read_plan(turned, KEY).signed == "good"


@given(st.data())
def test_a_change_of_any_text_in_it_is_found(data: st.DataObject) -> None:
    whole = json.loads(plan_text(PLAN, KEY))
    place = data.draw(st.sampled_from(sorted(name for name in whole if isinstance(whole[name], str))))
    if place in ("kind", "createdAt", "expiresAt"):
        place = "id"
    whole[place] += data.draw(st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])))
    assert read_plan(json.dumps(whole), KEY).signed == "bad"


def test_another_key_another_algorithm_and_a_signature_of_another_shape_are_bad() -> None:
    text = plan_text(PLAN, KEY)
    assert read_plan(text, b"x" * 32).signed == "bad"
    assert read_plan(text, None).signed == "no_key"
    shapes: list[object] = [{"algorithm": "none", "value": ""}, "x", {"algorithm": "hmac-sha256", "value": "ä"}, []]
    for wrong in shapes:
        assert read_plan(json.dumps(json.loads(text) | {"signature": wrong}), KEY).signed == "bad"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no plan"),
        ("{}", "no plan"),
        ('{"kind": "bascule plan", "format": 2}', "format 2"),
        ('{"kind": "bascule plan", "format": 1}', "missing or wrong"),
    ],
)
def test_what_is_no_plan_is_said_in_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_plan(text, None)


def test_a_moment_without_a_time_zone_is_none() -> None:
    data = json.loads(plan_text(PLAN, None)) | {"expiresAt": "2026-01-01T00:00:00"}
    with pytest.raises(ValueError, match="no time zone"):
        read_plan(json.dumps(data), None)
