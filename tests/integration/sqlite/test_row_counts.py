"""How many rows the tables that a migration writes to held before and after it."""

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
from tests.unit.validation.needs.pending import planned


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


def test_tables_that_rows_are_written_to_are_counted_and_no_others(comparison: Comparison, path: Path) -> None:
    told = around(comparison, path, "delete from a where n = 1; with x as (select 1) insert into b select * from x")
    assert told == {"rows": {"a": {"before": 2, "after": 1}, "b": {"before": 0, "after": 1}}}


def test_a_table_that_is_made_or_dropped_has_no_number_on_that_side(comparison: Comparison, path: Path) -> None:
    told = around(comparison, path, "create table c (n); insert into c values (1), (2), (3); drop table a")
    assert told == {"rows": {"c": {"before": None, "after": 3}, "a": {"before": 2, "after": None}}}


def test_where_no_rows_are_written_nothing_is_asked(
    comparison: Comparison, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison.context.target, "query", None)
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
    assert told == {"rows": {"b": {"before": 0, "after": 1}}}
