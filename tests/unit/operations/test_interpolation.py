"""Statements and their parameters, put into one text."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.databases.operations.interpolation import with_values


def test_placeholders_of_psycopg_become_literals() -> None:
    assert with_values("a = %s AND b LIKE '5%%' AND c = %s", [1, "x"], "postgresql") == (
        "a = 1 AND b LIKE '5%' AND c = 'x'"
    )
    assert with_values("%(a)s::INTEGER - %(b)s", {"a": -1, "b": None}, "postgresql") == "(-1)::INTEGER - NULL"


def test_without_parameters_nothing_is_a_placeholder() -> None:
    assert with_values("SELECT '%s', 5 % 2", None, "postgresql") == "SELECT '%s', 5 % 2"
    assert with_values("SELECT '?', :x", None, "sqlite") == "SELECT '?', :x"


def test_a_question_mark_in_a_string_or_a_comment_is_none() -> None:
    assert with_values("SELECT '?', ? -- ?", [1], "sqlite") == "SELECT '?', 1 -- ?"


def test_names_and_numbers_find_their_values() -> None:
    assert with_values("SELECT :a, @b, $a", {"a": 1, "b": 2}, "sqlite") == "SELECT 1, 2, 1"
    assert with_values("SELECT ?2, ?1", [1, 2], "sqlite") == "SELECT 2, 1"


@pytest.mark.parametrize(("sql", "parameters"), [("?", []), (":a", {}), (":a", [1]), ("?", {"a": 1})])
def test_a_missing_value_is_an_error(sql: str, parameters: Any) -> None:
    with pytest.raises(LookupError):
        with_values(sql, parameters, "sqlite")


def test_values_that_only_the_driver_can_write_are_written_by_it() -> None:
    assert with_values("%s", [[1, 2]], "postgresql").startswith("'{1,2}'")


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.text(), st.binary()), min_size=1, max_size=4))
def test_sqlite_sees_the_values_it_would_have_been_given(values: list[Any]) -> None:
    sql = "SELECT " + ", ".join("?" for _ in values)
    try:
        text = with_values(sql, values, "sqlite").encode()
    except (ValueError, UnicodeEncodeError):
        # A NUL character or half a surrogate pair: no text of SQLite's.
        return
    with closing(sqlite3.connect(":memory:")) as connection:
        assert list(connection.execute(text.decode()).fetchone()) == values
