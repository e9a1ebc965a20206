"""How many rows the tables that a migration writes to held before and after it, and which columns changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from bascule.databases.sqlite.target import SqliteTarget
from bascule.monitoring.clock import SystemClock
from bascule.services import compare
from bascule.services.compare import Comparison
from bascule.services.context import Context, Policy
from bascule.validation import counts
from tests.unit.planned import planned


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("create table a (n); insert into a values (1), (2); create table b (n);")
    return path


@pytest.fixture
def comparison(path: Path) -> Iterator[Comparison]:
    target = SqliteTarget(str(path))
    context = Context(
        source=cast("Any", None),
        target=target,
        policy=Policy(),
        clock=SystemClock(),
        publish=lambda event: None,
        say=lambda words: None,
    )
    yield Comparison(context=context)
    target.close()


def around(comparison: Comparison, path: Path, script: str) -> dict[str, Any]:
    (migration,) = planned(script, dialect="sqlite")
    comparison.before(migration)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return comparison.after(migration)


def numbers(told: dict[str, Any]) -> dict[str, Any]:
    """Without digests."""
    return {
        name: {key: value for key, value in each.items() if not key.startswith("digests")}
        for name, each in told["rows"].items()
    }


def test_tables_that_rows_are_written_to_are_counted_and_no_others(comparison: Comparison, path: Path) -> None:
    told = around(comparison, path, "delete from a where n = 1; with x as (select 1) insert into b select * from x")
    assert numbers(told) == {"a": {"before": 2, "after": 1}, "b": {"before": 0, "after": 1}}


def test_a_table_that_is_made_or_dropped_has_no_number_on_that_side(comparison: Comparison, path: Path) -> None:
    told = around(comparison, path, "create table c (n); insert into c values (1), (2), (3); drop table a")
    assert numbers(told) == {"c": {"before": None, "after": 3}, "a": {"before": 2, "after": None}}
    made, dropped = told["rows"]["c"]["digests"], told["rows"]["a"]["digests"]
    assert (made["before"], made["changedColumns"], dropped["after"]) == (None, ["n"], None)


def test_where_no_rows_are_written_nothing_is_asked(
    comparison: Comparison, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison.context.target, "query", None)
    monkeypatch.setattr(comparison.context.target, "contents", None)
    assert around(comparison, path, "create table c (n); alter table a add column m; create index i on a (n)") == {}


def test_counting_ends_before_it_slows_the_run_down(
    comparison: Comparison, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "FREE", 0.0)
    monkeypatch.setattr(compare, "SHARE", 0.0)
    assert "rows" in around(comparison, path, "delete from a where n = 1")
    told = around(comparison, path, "delete from a")
    assert told == {"rows": {}, "rowsNotCounted": "counting would have slowed the run down"}


def test_a_table_that_takes_too_long_is_left_out_and_the_run_goes_on(
    comparison: Comparison, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "ONE", 0.0)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "with recursive n(i) as (values(1) union all select i + 1 from n limit 200000) "
            "insert into a select i from n"
        )
        connection.commit()
    assert around(comparison, path, "delete from a where n = 1") == {}


def test_a_table_with_too_many_rows_is_left_out(
    comparison: Comparison, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "MANY", 1)
    told = around(comparison, path, "delete from a where n = 1; insert into b values (1)")
    assert numbers(told) == {"b": {"before": 0, "after": 1}}


def test_the_columns_whose_values_changed_are_named(comparison: Comparison, path: Path) -> None:
    around(
        comparison, path, "create table t (id integer primary key, x, y); insert into t values (1, 'a', 5), (2, 'b', 6)"
    )
    changed = around(comparison, path, "update t set y = 7 where id = 2; insert into b values (1)")["rows"]["t"][
        "digests"
    ]
    assert changed["changedColumns"] == ["y"]
    assert changed["before"] != changed["after"]
    same = around(comparison, path, "update t set y = 7 where id = 2")["rows"]["t"]["digests"]
    assert same == {"before": changed["after"], "after": changed["after"], "changedColumns": []}
    wider = around(comparison, path, "alter table t add column z default 1; update t set x = 'a' where id = 1")
    assert wider["rows"]["t"]["digests"]["changedColumns"] == ["z"]


def test_a_table_that_is_too_large_or_takes_too_long_is_not_digested(
    comparison: Comparison, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "with recursive n(i) as (values(1) union all select i + 1 from n limit 100000)"
            " insert into a select i from n"
        )
        connection.commit()
    contents = comparison.context.target.contents
    monkeypatch.setattr(
        comparison.context.target, "contents", lambda tables, **given: contents(tables, **(given | {"most": 1 << 20}))
    )
    told = around(comparison, path, "delete from a where n = 1")["rows"]["a"]
    assert told == {"before": 100002, "after": 100000, "digestsNotTaken": "it is larger than 1 MiB"}
    monkeypatch.setattr(
        comparison.context.target, "contents", lambda tables, **given: contents(tables, **(given | {"seconds": 0.0}))
    )
    told = around(comparison, path, "delete from a where n = 2")["rows"]["a"]
    assert told["digestsNotTaken"] == "all digests together may take 0 s"


def test_many_tables_are_not_counted_and_that_is_said(comparison: Comparison, path: Path) -> None:
    many = ";".join(f"create table t{n} (id integer primary key); insert into t{n} values (1)" for n in range(21))
    assert around(comparison, path, many) == {"rows": {}, "rowsNotCounted": "it writes to more than 20 tables"}
