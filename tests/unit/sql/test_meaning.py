from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.domain.statement import Dialect
from bascule.sql import meaning_diff, semantic_hash
from tests.unit.sql.corpus import HARD


def diff(old: str, new: str, dialect: Dialect = "postgresql") -> list[str]:
    return list(meaning_diff(old, new, dialect))


def test_nothing_is_told_where_only_layout_changed() -> None:
    assert diff("select 1; -- x", "SELECT\n1") == []


def test_a_changed_column_is_told_inside_its_table() -> None:
    old = "create table t (id int, name varchar(10) default 'x', note text, a int, b int, c int, d int, e int)"
    assert diff(old, old.replace("e int", "e bigint").replace("10", "20")) == [
        "  create table t (",
        "    id int,",
        "-   name varchar (10) default 'x',",
        "+   name varchar (20) default 'x',",
        "    note text,",
        "    a int,",
        "    b int,",
        "    c int,",
        "    d int,",
        "-   e int",
        "+   e bigint",
        "  );",
    ]


def test_a_change_far_inside_is_told_below_the_line_its_statement_begins_with() -> None:
    rows = ", ".join(f"({number}, 'x')" for number in range(20))
    assert diff(f"insert into t values {rows}", f"insert into t values {rows.replace('17,', '99,')}") == [
        "  insert into t values (0, 'x'),",
        "  …",
        "    (14, 'x'),",
        "    (15, 'x'),",
        "    (16, 'x'),",
        "-   (17, 'x'),",
        "+   (99, 'x'),",
        "    (18, 'x'),",
        "    (19, 'x');",
    ]


def test_the_lines_of_a_body_are_compared_one_by_one() -> None:
    old = "create function f() returns int as $$\nselect 1;\nselect 2;\n$$ language sql"
    assert diff(old, old.replace("select 2", "select 3")) == [
        "  create function f (",
        "  ) returns int as $$",
        "  select 1;",
        "- select 2;",
        "+ select 3;",
        "  $$ language sql;",
    ]


def test_statements_that_came_and_went() -> None:
    assert diff("select 1; drop table a", "select 1; select 2") == ["- drop table a;", "+ select 2;"]
    assert diff("select 1", "select 1; copy t from stdin;\na\tb\n\\.\n") == ["+ copy t from stdin;", "+ a\tb", "+ \\."]
    assert diff("select 1; select 2; select 3", "select 2") == ["- select 1;", "  …", "- select 3;"]


def test_long_literals_are_cut_but_still_differ() -> None:
    old, new = (f"select '{'x' * 100_000}{last}'" for last in "ab")
    gone, come = diff(old, new)
    assert gone != "-" + come[1:]
    assert all(len(line) < 400 and "characters, sha256" in line for line in (gone, come))


@given(st.lists(st.sampled_from(HARD), max_size=4), st.lists(st.sampled_from(HARD), max_size=4))
def test_something_is_told_exactly_where_the_meaning_differs(old: list[str], new: list[str]) -> None:
    lines = diff("\n;".join(old), "\n;".join(new))
    assert bool(lines) == (semantic_hash("\n;".join(old), "postgresql") != semantic_hash("\n;".join(new), "postgresql"))
    assert all(line[:2] in ("+ ", "- ", "  ") for line in lines)


def test_spaces_that_a_readable_line_leaves_out_are_told_when_they_are_the_change() -> None:
    assert diff("select a [1]", "select a[1]") == []
    assert diff("select 1.", "select 1 .") == ["- select 1.", "+ select 1 ."]


@pytest.mark.parametrize("changes", [1, 2000])
def test_large_scripts_are_compared_in_time(changes: int) -> None:
    rows = [f"({number}, 'row {number}')" for number in range(8000)]
    edited = [row.replace("row", "line") if number < changes else row for number, row in enumerate(rows)]
    started = time.process_time()
    lines = diff(f"insert into t values {','.join(rows)}", f"insert into t values {','.join(edited)}")
    assert time.process_time() - started < 10
    assert sum(line.startswith("+ ") for line in lines) == changes


def test_many_lines_in_another_order() -> None:
    rows = [f"({number})" for number in range(4000)]
    old, new = (f"insert into t values (0), {','.join(order)}, (0)" for order in (rows, rows[::-1]))
    assert diff(old, new) == ["  the same lines in another order"]
