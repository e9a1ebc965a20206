"""The statements that bring old rows back into a table."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from bascule.ports.dump import Beside
from bascule.rollback import merging
from bascule.rollback.merging import differing_sql, look_sql, merge_sql, script_of

USERS = Beside(
    table="users", place="old_users", rows=3, there=True, key=("id",), columns=("name", '"a ""b"""'), gone=("note",)
)


def test_missing_rows_come_back_and_no_value_that_somebody_may_have_written_goes() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for table in ("users", "old_users"):
        connection.execute(f'create table {table} (id integer primary key, name text, "a ""b""" text)')
    connection.execute("insert into old_users values (1, 'ann', 'x'), (2, null, 'y'), (3, 'cem', 'z'), (5, 'e', 'w')")
    connection.execute("insert into users values (2, 'bob', null), (3, 'cem', 'new'), (4, 'dan', 'z'), (5, 'e', null)")
    assert connection.execute(differing_sql(USERS, "sqlite")).fetchall() == [(1, 3)]
    insert, update = merge_sql(USERS, "sqlite", ['"a ""b"""'])
    (look,) = look_sql(USERS, "sqlite", ["name"])
    connection.executescript("".join(script_of((insert, update), ["old_users"], "sqlite")))
    assert connection.execute("select * from users").fetchall() == [
        (1, "ann", "x"),
        (2, "bob", "y"),
        (3, "cem", "new"),
        (4, "dan", "z"),
        (5, "e", "w"),
    ]
    assert connection.execute(look).fetchall() == [(2, None, "bob")]


def test_a_script_that_fails_takes_no_old_rows_along() -> None:
    assert not any("DROP" in each for each in script_of(["INSERT 1;"], ["old_users"], "sqlite"))
    begin, *_, drop, commit = script_of(["INSERT 1;"], ["old_users"], "postgresql")
    assert (begin, drop, commit) == ("BEGIN;", "DROP TABLE old_users;", "COMMIT;")
    assert script_of([], ["old_users"], "postgresql") == ()


def test_keys_that_are_null_are_keys_in_sqlite() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for table in ("users", "old_users"):
        connection.execute(f"create table {table} (id text primary key, name text)")
        connection.execute(f"insert into {table} values (null, 'a')")
    (insert,) = merge_sql(replace(USERS, columns=("name",)), "sqlite")
    connection.execute(insert)
    assert connection.execute("select count(*) from users").fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("today", "then", "merged"),
    [
        ([1], [1, 1, None], [1, 1, None]),
        ([100], [0], [100]),
        ([7, None], [7, 7], [7, None]),
    ],
)
def test_rows_without_a_key_come_back_only_where_nothing_else_is_there(
    today: list[int | None], then: list[int | None], merged: list[int | None]
) -> None:
    keyless = replace(USERS, key=(), columns=("name",))
    assert differing_sql(keyless, "postgresql") == ""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for table, values in (("users", today), ("old_users", then)):
        connection.execute(f"create table {table} (name int)")
        connection.executemany(f"insert into {table} values (?)", [(value,) for value in values])
    (insert,) = merge_sql(keyless, "sqlite")
    connection.execute(insert)
    assert [row[0] for row in connection.execute("select name from users")] == merged
    shown = [row for look in look_sql(keyless, "sqlite", ()) for row in connection.execute(look)]
    assert bool(shown) == (merged == today)


def test_there_is_nothing_to_merge_into_a_table_that_is_gone() -> None:
    assert merge_sql(replace(USERS, there=False), "postgresql") == ()
    assert look_sql(replace(USERS, there=False), "postgresql", ["name"]) == ()


def test_old_rows_come_back_behind_those_that_they_refer_to() -> None:
    tables = [Beside(table=name, place=f"beside_{name}", rows=1, there=True, key=("id",)) for name in ("c", "p", "x")]
    ordered = merging.parents_first(tables, [("c", "p"), ("p", "x"), ("x", "x")])
    assert [each.table for each in ordered] == ["x", "p", "c"]
    circle = merging.parents_first(tables, [("c", "p"), ("p", "c")])
    assert {each.table for each in circle} == {"c", "p", "x"}


def test_references_are_named_as_the_tables_are() -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript('CREATE TABLE "p q" (a PRIMARY KEY); CREATE TABLE c (a REFERENCES "p q")')
    assert connection.execute(merging.references_sql("sqlite")).fetchall() == [('"c"', '"p q"')]
