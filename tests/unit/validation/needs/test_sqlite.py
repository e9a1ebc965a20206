"""What statements of SQLite need of the rows there are, asked of a real database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from bascule.validation.needs.facts import Facts
from bascule.validation.needs.need import Need
from bascule.validation.needs.sqlite.facts import facts_sql, read_facts
from tests.unit.validation.needs import pending

TODAY = """
create table users (id integer primary key, email text, age int, "we""ird [name" text);
insert into users values (1, 'a@x', 30, 'p'), (2, 'A@x', null, 'q'), (3, 'a@x', -1, 'q'), (4, null, 5, null);
create table empty (id integer primary key);
create table plain (a, b);
insert into plain values (1, 2), (1, 2), (null, 2);
"""

REBUILD = """create table users_new ({columns});
insert into users_new ({into}) select {select} from users{where};
drop table users;
alter table users_new rename to users;"""

ANSWERS = {
    "create unique index i on users (email)": [("users (email) must be unique", 2)],
    "CREATE UNIQUE INDEX i ON users (email COLLATE nocase DESC)": [("users (email COLLATE nocase) must be unique", 3)],
    "create unique index i on users (lower(email), age)": [("users (lower(email), age) must be unique", 0)],
    "create unique index i on users (email) where age > 0": [("users (email) must be unique in the index", 0)],
    'create unique index "i;" on users ("we""ird [name")': [('users (we"ird [name) must be unique', 2)],
    "create unique index i on plain (a, b)": [("plain (a, b) must be unique", 2)],
    "alter table users add column x int not null": [("users.x is NOT NULL, and no default fills it", 4)],
    "alter table empty add x int not null": [("empty.x is NOT NULL, and no default fills it", 0)],
    "alter table users rename to people; create unique index i on people (email)": [
        ("people (email) must be unique", 2)
    ],
    REBUILD.format(
        columns="id integer primary key, email text not null, age int check (age > 0)",
        into="id, email, age",
        select="id, email, age",
        where="",
    ): [
        ("users_new (id) must be unique", 0),
        ("users_new.email must not be NULL", 1),
        ("CHECK (age > 0) must hold in users_new", 1),
    ],
    REBUILD.format(
        columns="id integer primary key, email text not null collate nocase unique",
        into="id, email",
        select="id, coalesce(email, 'none')",
        where=" where age is not null",
    ): [
        ("users_new (id) must be unique", 0),
        ("users_new.email must not be NULL", 0),
        ("users_new (email) must be unique", 2),
    ],
    REBUILD.format(
        columns="id integer primary key, email text, unique (email)", into="id, email", select="id, email", where=""
    ): [("users_new (id) must be unique", 0), ("users_new (email) must be unique", 2)],
    REBUILD.format(columns="id integer primary key, x text not null", into="id", select="id", where=""): [
        ("users_new (id) must be unique", 0),
        ("users_new.x is NOT NULL, and nothing fills it", 4),
    ],
}

NEEDS_NOTHING = (
    "create table t (a not null unique); create unique index i on t (a)",
    "create index i on users (email)",
    "alter table users add x int not null default 0",
    "alter table users add x int",
    "insert into users (email) select email from users",
    REBUILD.format(
        columns="id integer, email text not null on conflict ignore", into="email", select="email", where=""
    ),
    "create table n (a not null); insert or ignore into n select email from users",
)

UNJUDGED = {
    "update users set email = id;\ncreate unique index i on users (email)": "line 1 changes rows of users first",
    "alter table users add x int default 1;\ncreate unique index i on users (x)": "line 1 adds users.x first",
    "delete from users where age is null;\n"
    + REBUILD.format(
        columns="id integer primary key, age int not null", into="id, age", select="id, age", where=""
    ): "line 1 changes rows of users first",
}


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.executescript(TODAY)
    yield connection
    connection.close()


def facts_of(database: sqlite3.Connection, need: Need) -> Facts:
    tables = (need.table, *need.question.tables)
    return Facts(dialect="sqlite", tables=read_facts(tables, database.execute(facts_sql(tables)).fetchall()))


def needs(script: str) -> tuple[Need, ...]:
    return pending.needs(script, dialect="sqlite")


@pytest.mark.parametrize("script", ANSWERS)
def test_each_demand_is_counted(script: str, database: sqlite3.Connection) -> None:
    answers = []
    for need in needs(script):
        assert not need.doubt
        facts = facts_of(database, need)
        count = need.question.count(facts)
        offenders = database.execute(count).fetchone()[0] if count else 0
        answers.append((need.words, offenders))
        rows = database.execute(need.question.sample(facts)).fetchall()
        assert all(len(row) == len(need.question.heading(facts)) for row in rows)
        assert bool(rows) == bool(offenders) or "no default" in need.words
    assert answers == ANSWERS[script]


@pytest.mark.parametrize("script", NEEDS_NOTHING)
def test_what_no_row_can_break_is_no_need(script: str) -> None:
    assert needs(script) == ()


@pytest.mark.parametrize("script", UNJUDGED)
def test_rows_that_are_changed_first_are_not_judged(script: str) -> None:
    assert {need.doubt for need in needs(script)} == {UNJUDGED[script]}


@pytest.mark.parametrize("script", [script for script, answers in ANSWERS.items() if any(n for _, n in answers)])
def test_what_is_counted_as_an_offence_is_one_to_sqlite(script: str, database: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.Error):
        database.executescript(script)


@pytest.mark.parametrize("script", [script for script, answers in ANSWERS.items() if not any(n for _, n in answers)])
def test_what_is_not_counted_as_one_runs(script: str, database: sqlite3.Connection) -> None:
    database.executescript(script)


def test_the_key_of_a_table_names_its_rows(database: sqlite3.Connection) -> None:
    (need,) = needs("alter table users add x int not null")
    facts = facts_of(database, need)
    assert need.question.heading(facts) == ("id",)
    assert database.execute(need.question.sample(facts)).fetchall() == [("1",), ("2",), ("3",), ("4",)]


def test_a_table_whose_rows_have_triggers_reaches_further(database: sqlite3.Connection) -> None:
    database.execute("create trigger g after insert on empty begin delete from users; end")
    (need,) = needs("insert into empty values (1);\ncreate unique index i on users (email)")
    tables = tuple(change.table for change in need.earlier)
    facts = read_facts(tables, database.execute(facts_sql(tables)).fetchall())
    assert [facts[table].reaches for table in tables] == [True]
