"""What op.backfill was told, the UPDATE made of it, and the size of its batches."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.databases.operations.backfill import Backfill, BackfillText
from bascule.databases.operations.batches import Cursor, Pace


def declared(**given: Any) -> Backfill:
    rest = {"where": None, "key": None, "batch": None, "schema": None}
    return Backfill.declared(given.pop("table", "t"), given.pop("set", {"a": "1"}), **rest | given)


def update(**given: Any) -> str:
    text = BackfillText(work=declared(**given), quote=lambda name: name if name.islower() else f'"{name}"')
    return " ".join(text.update().split())


def test_the_authors_texts_go_as_written() -> None:
    assert update(set={"a": "b % 2", "Odd": "':x'"}, where="a LIKE '5%'") == (
        "UPDATE t SET a = b % 2 , \"Odd\" = ':x' WHERE (a LIKE '5%' )"
    )


def test_a_comment_at_the_end_of_a_text_ends_with_its_line() -> None:
    text = BackfillText(work=declared(set={"a": "1 -- one"}, where="b -- where"), quote=str).update("id <= 5")
    assert text == "UPDATE t SET\n  a = 1 -- one\nWHERE id <= 5 AND (b -- where\n)"


def test_a_table_may_be_written_with_its_schema() -> None:
    assert update(table="app.users") == update(table="users", schema="app") == "UPDATE app.users SET a = 1"


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"set": {}}, "sets no column"),
        ({"set": {"a": 5}}, r"op\.literal\(5\)"),
        ({"where": True}, "where is the text"),
        ({"batch": 0}, "at least 1"),
    ],
)
def test_a_mistake_is_answered_with_the_correct_spelling(given: dict[str, Any], word: str) -> None:
    with pytest.raises((TypeError, ValueError), match=word):
        declared(**given)


def test_batches_grow_while_they_are_quick_and_stop_growing_at_the_cap() -> None:
    pace = Pace()
    sizes = []
    for _ in range(20):
        sizes.append(pace.rows)
        pace.took(0.001)
    assert sizes[:3] == [500, 750, 1125]
    assert pace.rows == 50_000


def test_batches_shrink_when_they_are_slow_and_stay_when_they_are_right() -> None:
    pace = Pace()
    pace.took(0.030)
    assert pace.rows == 500
    pace.took(0.5)
    assert pace.rows == 333


@given(st.lists(st.floats(0, 10)))
def test_a_batch_always_has_a_row(times: list[float]) -> None:
    pace = Pace()
    for seconds in times:
        pace.took(seconds)
        assert 1 <= pace.rows <= 50_000


def test_a_size_that_the_author_chose_is_kept() -> None:
    pace = Pace(fixed=7)
    pace.took(10)
    assert pace.rows == 7


@given(st.none() | st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_a_cursor_survives_being_kept(after: tuple[str, str] | None, upto: tuple[str, str]) -> None:
    cursor = Cursor(after=after, upto=upto)
    assert Cursor.parsed(cursor.text()) == cursor
