"""Needs asked of a SQLite file, through the target."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule import Bascule
from bascule.databases.sqlite.target import SqliteTarget
from bascule.errors import Interrupted, MigrationFailed, Refused
from bascule.monitoring.clock import SystemClock
from bascule.ports.database import WorkFailed
from bascule.services import preflight
from bascule.services.context import Context, Policy
from bascule.services.preflight import Answer, ask
from bascule.validation.needs.facts import Facts
from bascule.validation.needs.sqlite.facts import facts_sql, read_facts
from tests.unit.planned import planned
from tests.unit.validation.needs.pending import needs

HOSTILE = '"; drop table x; --'
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "create table x (id text primary key, n int) without rowid; insert into x values ('a', 1), ('b', 1);"
            'create table """; drop table x; --" (a text, n int);'
            """insert into "\"\"; drop table x; --" values ('line\nbreak', 1), ('b', 1), (null, 2);"""
        )
    return path


@pytest.fixture
def context(path: Path) -> Iterator[Context]:
    target = SqliteTarget(str(path))
    yield Context(
        source=cast("Any", None),
        target=target,
        policy=Policy(),
        clock=SystemClock(),
        publish=lambda event: None,
        say=lambda words: None,
    )
    target.close()


def answers(context: Context, script: str) -> list[Answer]:
    return list(ask(context, needs(script, dialect="sqlite")))


def test_rows_are_named_by_the_key_of_a_table_without_rowid(context: Context) -> None:
    (answer,) = answers(context, "create unique index i on x (n)")
    assert (answer.offenders, answer.heading, answer.sample) == (2, ("n", "rows", "first id"), (("1", "2", "a"),))


def test_hostile_names_are_names(context: Context) -> None:
    quoted = HOSTILE.replace('"', '""')
    (answer,) = answers(context, f'create unique index i on "{quoted}" (n)')
    assert answer.offenders == 2
    (answer,) = answers(context, f'alter table "{quoted}" add column z int not null')
    assert (answer.offenders, answer.heading) == (3, ("rowid",))
    assert list(context.target.query("select count(*) from x")) == [(2,)]


def test_a_value_stays_on_its_line(context: Context) -> None:
    script = (
        "create table y (a text not null, n int unique);\n"
        f'insert into y select a, n from "{HOSTILE.replace(chr(34), chr(34) * 2)}"'
    )
    told = [line for answer in answers(context, script) for line in answer.lines()]
    assert "    a NULL" in told
    (unique,) = [answer for answer in answers(context, script) if "unique" in answer.need.words]
    assert unique.sample == (("1", "2"),)


def test_what_is_not_there_today_is_no_need_of_today(context: Context) -> None:
    assert answers(context, "create unique index i on missing (a)") == []


def test_a_question_that_does_not_end_is_ended(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WorkFailed) as caught:
        context.target.query(ENDLESS, seconds=0.1)
    assert caught.value.kind == "timeout"
    assert context.target.query("select 1") == [(1,)], "and the next one is asked as ever"
    monkeypatch.setattr(preflight, "ONE", 0.1)
    counting = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
    endless = f"create unique index i on x (n) where n < ({counting})"
    (answer,) = answers(context, endless)
    assert (answer.status, answer.why) == ("not_looked_at", "it took longer than 0.1 s")


def test_from_python_the_look_is_one_of_the_options(path: Path) -> None:
    folder = path.parent / "migrations"
    folder.mkdir()
    (folder / "20240101000000_one.sql").write_text("-- migrate:up\ncreate unique index i on x (n);\n")
    b = Bascule(url=f"sqlite:///{path}", migrations_dir=folder)
    with pytest.raises(Refused) as refused:
        b.migrations.execute_migration("one")
    assert refused.value.code == "needs_not_met"
    with pytest.raises(MigrationFailed):
        b.migrations.execute_migration("one", validate_before=False)


@given(
    rows=st.lists(st.tuples(st.sampled_from([None, 1, 2]), st.sampled_from([None, "a", "A", "b"])), max_size=5),
    script=st.sampled_from(
        (
            "create unique index i on t (n)",
            "create unique index i on t (n, s)",
            "create unique index i on t (s collate nocase)",
            "create unique index i on t (lower(s), n) where n > 1",
            "alter table t add z int not null",
            "create table u (n int not null, s text unique); insert into u select n, s from t",
            "create table u (n int, s text check (s > 'A'), unique (n, s)); insert into u (s, n) select s, n from t",
            "create table u (n int primary key, s text collate nocase unique); insert into u select n, s from t",
            "create table u (n int not null, s text); insert into u select max(n), s from t group by s",
        )
    ),
)
def test_what_is_refused_would_have_failed_and_what_is_not_runs(
    rows: list[tuple[int | None, str | None]], script: str
) -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("create table t (n int, s text)")
        database.executemany("insert into t values (?, ?)", rows)
        broken = False
        for need in needs(script, dialect="sqlite"):
            tables = (need.table, *need.question.tables)
            facts = Facts(dialect="sqlite", tables=read_facts(tables, database.execute(facts_sql(tables)).fetchall()))
            count = need.question.count(facts)
            broken = broken or (count is not None and database.execute(count).fetchone()[0] > 0)
        try:
            database.executescript(script)
        except sqlite3.Error:
            assert broken
        else:
            assert not broken


def test_the_look_ends_when_the_run_is_told_to_stop(path: Path, context: Context) -> None:
    stopping = Context(
        source=context.source,
        target=context.target,
        policy=context.policy,
        clock=context.clock,
        publish=context.publish,
        say=context.say,
        stopping=lambda: "SIGTERM",
    )
    with pytest.raises(Interrupted):
        preflight.preflight(stopping, planned("create unique index i on x (n)", dialect="sqlite"))


def test_a_refusal_counts_every_need_and_names_the_first(context: Context) -> None:
    scripts = [f"create unique index i{number} on x (n)" for number in range(7)]
    with pytest.raises(Refused) as caught:
        preflight.preflight(context, planned(*scripts, dialect="sqlite"))
    assert "what m1, m2, m3 and 4 more will need" in caught.value.message
    assert "and 2 more needs that are not met" in caught.value.message
    assert len(caught.value.details["report"]["needs"]) == 7


@pytest.mark.parametrize(
    ("column", "offenders"),
    [
        ("z int check (z > 0) default 0", [2]),
        ("z int default -1 check (x.z > n)", [2]),
        ("z text check (z <> '') default ''", [2]),
        ("z text default 0 check (z = '0')", [0]),
        ("z int check (z is not null)", [2]),
        ("z int check (z > 0)", [0]),
        ("z int check (z > 0) check (z <= n) default 1", [0, 0]),
        ("z real default 1.5 check (z > 1)", []),
        ("z varchar(3) not null default 'a,b' check (z <> 'a,b' or n = 7)", [2]),
    ],
)
def test_a_check_of_a_new_column_is_asked_with_its_default(
    path: Path, context: Context, column: str, offenders: list[int]
) -> None:
    script = f"ALTER TABLE x ADD COLUMN {column};"
    found = answers(context, script)
    assert [answer.offenders for answer in found] == offenders, found
    with closing(sqlite3.connect(path)) as connection:
        if any(offenders):
            assert found[0].sample[0][0] == "a", "rows are named by their key"
            with pytest.raises(sqlite3.Error, match="CHECK constraint failed"):
                connection.execute(script)
        else:
            connection.execute(script)
