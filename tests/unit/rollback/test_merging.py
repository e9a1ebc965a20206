"""The statements that bring old rows back into a table."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from bascule.ports.dump import Beside
from bascule.rollback import merging
from bascule.rollback.merging import differing_sql, merge_sql

USERS = Beside(
    table="users", place="old_users", rows=3, there=True, key=("id",), columns=("name", '"a ""b"""'), gone=("note",)
)


def test_missing_rows_come_back_new_ones_stay_and_only_columns_that_differ_are_updated() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for table in ("users", "old_users"):
        connection.execute(f'create table {table} (id integer primary key, name text, "a ""b""" text)')
    connection.execute("insert into old_users values (1, 'ann', 'x'), (2, null, 'y'), (3, 'cem', null)")
    connection.execute("insert into users values (2, 'bob', 'y'), (3, 'cem', null), (4, 'dan', 'z')")
    assert connection.execute(differing_sql(USERS, "sqlite")).fetchall() == [(1, 0)]
    insert, update, drop = merge_sql(USERS, "sqlite", ["name"])
    connection.execute(insert)
    assert connection.execute("select id, name from users").fetchall() == [
        (1, "ann"),
        (2, "bob"),
        (3, "cem"),
        (4, "dan"),
    ]
    connection.execute(update)
    assert connection.execute("select id, name from users").fetchall() == [
        (1, "ann"),
        (2, None),
        (3, "cem"),
        (4, "dan"),
    ]
    connection.execute(drop)


def test_rows_without_a_key_are_told_by_all_that_they_hold() -> None:
    keyless = replace(USERS, key=(), columns=("name",))
    assert differing_sql(keyless, "postgresql") == ""
    insert, drop = merge_sql(keyless, "postgresql", [])
    assert "now.name::text IS NOT DISTINCT FROM old.name::text" in insert
    assert drop == "DROP TABLE old_users;"


def test_there_is_nothing_to_merge_into_a_table_that_is_gone() -> None:
    assert merge_sql(replace(USERS, there=False), "postgresql", []) == ()


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
