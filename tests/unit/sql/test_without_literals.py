"""What is left of a statement when its literals are gone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.domain.statement import Dialect
from bascule.sql.without_literals import LONGEST, operation_name, without_literals

BOTH: tuple[Dialect, ...] = ("postgresql", "sqlite")


@pytest.mark.parametrize("dialect", BOTH)
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("insert into users values (1, 'ann', x'ff')", "insert into users values (?, ?, ?)"),
        ("UPDATE t\n  SET a = 'it''s' -- why\n  WHERE b > -1.5e3", "UPDATE t SET a = ? WHERE b > -?"),
        ("create table t (a text default 'secret', b varchar(20))", "create table t (a text default ?, b varchar(?))"),
        ("select a.b /* 'secret' */ from a", "select a.b from a"),
        ('alter table "Order" rename to "Orders"', 'alter table "Order" rename to "Orders"'),
        ("delete from t where a = 'cut off, sec", "delete from t where a = ?"),
        ("select /* cut off, sec", "select ?"),
        ("", ""),
    ],
)
def test_every_literal_is_a_question_mark(text: str, shown: str, dialect: Dialect) -> None:
    assert without_literals(text, dialect) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("DO $x$ begin perform 'secret'; end $x$", "DO ?"),
        ("alter role app password E'se\\'cret'", "alter role app password ?"),
        ("create function f() language sql as $$select 1$$", "create function f() language sql as ?"),
        ("set app.token = sekret", "set app.token = ?"),
        ("SET LOCAL app.token TO sekret, other", "SET LOCAL app.token TO ?"),
        ("alter database d set app.token to sekret", "alter database d set app.token to ?"),
        ("alter table t alter c set (a = b)", "alter table t alter c set (a = b)"),
        ("update t set a = b", "update t set a = b"),
        ("select x::text from \"T\" where y = $1", 'select x::text from "T" where y = $1'),
        ("set role reader", "set role reader"),
    ],
)  # fmt: skip
def test_postgresql_has_values_that_are_no_literals(text: str, shown: str) -> None:
    assert without_literals(text, "postgresql") == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('insert into "t" values ("secret")', 'insert into "t" values (?)'),
        ('update "t" set "a" = "secret"', 'update "t" set "a" = ?'),
        ('select "t"."a" from "t" where b is distinct from "x"', 'select "t"."a" from "t" where b is distinct from ?'),
        ("pragma key = sekret", "pragma key = ?"),
        ("PRAGMA table_info(t)", "PRAGMA table_info?"),
        ("select [a b], `c` from t", "select [a b], `c` from t"),
    ],
)  # fmt: skip
def test_sqlite_takes_a_quoted_text_that_names_nothing_for_a_literal(text: str, shown: str) -> None:
    assert without_literals(text, "sqlite") == shown


@pytest.mark.parametrize("dialect", BOTH)
def test_a_long_statement_is_cut_off_between_words(dialect: Dialect) -> None:
    shown = without_literals(f"insert into t values {', '.join(['(1)'] * 100_000)}", dialect)
    assert shown.endswith(" …")
    assert LONGEST < len(shown) < LONGEST + 100


@given(text=st.text(max_size=60), secret=st.from_regex(r"[a-z]{6}", fullmatch=True), dialect=st.sampled_from(BOTH))
def test_nothing_is_raised_and_no_string_is_shown(text: str, secret: str, dialect: Dialect) -> None:
    without_literals(text, dialect)
    assert f"<{secret}>" not in without_literals(f"select '<{secret}>', {text!a}", dialect)


@pytest.mark.parametrize("dialect", BOTH)
@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("create unique index concurrently i on t (a)", "CREATE INDEX"),
        ("CREATE OR REPLACE FUNCTION f() …", "CREATE FUNCTION"),
        ("create temp table t (a int)", "CREATE TABLE"),
        ("drop materialized view v", "DROP MATERIALIZED VIEW"),
        ("alter table t add c int", "ALTER TABLE"),
        ("-- why\ninsert into t values (1)", "INSERT"),
        ("with x as (select 1) select * from x", "WITH"),
        ("vacuum", "VACUUM"),
        ("(select 1)", ""),
    ],
)
def test_what_a_statement_does_is_told_by_its_first_words(text: str, name: str, dialect: Dialect) -> None:
    assert operation_name(text, dialect) == name
