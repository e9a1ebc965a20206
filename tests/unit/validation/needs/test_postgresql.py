"""What statements of PostgreSQL need of the rows there are."""

from __future__ import annotations

import pytest

from bascule.domain.statement import ObjectName
from bascule.validation.needs.facts import ColumnFacts, Facts, TableFacts
from bascule.validation.needs.sieve import Sifted, read, sieve
from tests.unit.validation.needs.pending import doubts, judged, needs

NEEDED = {
    "alter table t alter a set not null": ["t.a must not be NULL"],
    'alter table only s."T" alter column "a b" set not null': ['s."T".a b must not be NULL'],
    "alter table t add constraint c not null a": ["t.a must not be NULL"],
    "alter table t add a int not null": ["t.a is NOT NULL, and no default fills it"],
    "alter table t add a int not null default null": ["t.a is NOT NULL, and no default fills it"],
    "alter table t add a int primary key": ["t.a is NOT NULL, and no default fills it"],
    "alter table t add a int unique nulls not distinct": ["t.a must be unique, NULL included, and no default fills it"],
    "alter table t add a int, alter a set not null": ["t.a must not be NULL, and nothing fills the new column"],
    "alter table t add unique (a)": ["t.a must be unique"],
    "alter table t add constraint u unique nulls not distinct (a, b)": ["t (a, b) must be unique"],
    "alter table t add primary key (a, b)": ["the primary key t (a, b) must not be NULL", "t (a, b) must be unique"],
    "create unique index on t (a)": ["t.a must be unique"],
    "create unique index concurrently i on only s.t (lower(a) desc, b) where c > 1": [
        "s.t (lower(a), b) must be unique among the rows of s.t in the index"
    ],
    "alter table t add constraint c check (a > 0 and b <> ')')": ["CHECK (a > 0 and b <> ')') must hold in t (c)"],
    "alter table t add foreign key (a) references p": ["t.a must refer to rows of p"],
    "alter table t add foreign key (a, b) references s.p (x, y) match full": ["t (a, b) must refer to rows of s.p"],
    "alter table t add foreign key (parent) references t (id)": ["t.parent must refer to rows of t"],
    "alter table t alter a type varchar(3)": ["every value of t.a must fit into varchar(3)"],
    "alter table t alter column type set data type numeric(5, 2) using type::numeric(5, 2)": [
        "every value of t.type must fit into numeric(5, 2)"
    ],
    "alter table t add exclude using gist (a with &&, lower(b) with =) where (c > 1)": [
        "rows of t must not exclude each other (EXCLUDE)"
    ],
    "alter table t validate constraint c": ["constraint c of t must hold"],
    "alter table t add constraint c check (a > 0) not valid;\nalter table t validate constraint c": [
        "CHECK (a > 0) must hold in t (c)"
    ],
    "alter table t add foreign key (a) references p not valid;\nalter table t validate constraint t_a_fkey": [
        "t.a must refer to rows of p"
    ],
    "alter table t add a int not null generated always as (b + 1) stored": [
        "t.a must be computable from every row",
        "t.a must not be NULL",
    ],
    "alter table t alter a set expression as (b + 1)": ["t.a must be computable from every row"],
    "alter table t add column if not exists a numeric(5, 2) default -1 check (a > 0) unique references p": [
        "CHECK (a > 0) must hold for the new t.a",
        "the new t.a must be unique",
        "t.a must refer to rows of p",
    ],
    "alter table t add a app.d default 3": ["t.a must have a default of its type"],
    "create table p2 partition of p for values in (1, null)": [
        "rows of the default partition of p must not belong to the new p2"
    ],
    "alter table p attach partition p2 for values from (1) to (2)": [
        "rows of the default partition of p must not belong to the new p2",
        "rows of p2 must belong to it as a partition of p",
    ],
    "alter domain d set not null": ["columns of the domain d must not be NULL"],
    "alter domain d add check (value > 0)": ["columns of the domain d must pass its domain's new CHECK"],
    "alter domain d validate constraint c": ["constraint c of the domain d must hold"],
    "alter table t rename to u;\nalter table u alter a set not null": ["u.a must not be NULL"],
}

NEEDS_NOTHING = (
    "create table t (a int not null unique)",
    "create table t (a int); insert into t select 1; alter table t alter a set not null; alter table t add unique (a)",
    "create table s.t (a int); create unique index on s.t (a); alter table s.t alter a type smallint",
    "alter table t add a int",
    "alter table t add a int not null default 0",
    "alter table t add a serial not null",
    "alter table t add a int generated always as identity",
    "alter table t add a int default now() unique",
    "create table p2 partition of p for values with (modulus 2, remainder 0)",
    "create table p2 partition of p default",
    "create table p (a int) partition by list (a);\ncreate table p2 partition of p for values in (1)",
    "alter table t add a int references p",
    "alter table t add a int unique",
    "alter table t add a int, add unique (a)",
    "alter table t add a int, add foreign key (a) references p",
    "alter table t add constraint c check (a > 0) not valid",
    "alter table t add constraint c check (a > 0) not enforced",
    "alter table t add foreign key (a) references p not valid",
    "alter table t add constraint u unique using index i",
    "create index on t (a)",
    "alter foreign table t alter a set not null",
    "alter table t alter a drop not null, alter b set default 1",
    "alter table t drop constraint c",
    "create domain d as int; alter domain d set not null",
)

UNJUDGED = {
    "update t set a = 1 where a is null;\nalter table t alter a set not null": "line 1 changes rows of t first",
    "delete from s.t;\nalter table t add unique (a)": "line 1 changes rows of s.t first",
    "copy t from stdin;\n1\n\\.\nalter table t add unique (a)": "line 1 changes rows of t first",
    "with x as (delete from t returning *) select * from x;\nalter table t alter a set not null": (
        "line 1 changes rows of t first"
    ),
    "insert into p values (1);\nalter table t add foreign key (a) references p": "line 1 changes rows of p first",
    "do $$ begin perform 1; end $$;\nalter table t alter a set not null": "m1, line 1: DO",
    "select mend_rows();\nalter table t alter a set not null": "m1, line 1",
    "alter table t rename column b to a;\nalter table t alter a set not null": "line 1 renames t.b to it",
    "alter table t add a int default 1;\nalter table t add unique (a)": "line 1 adds t.a first",
    "drop table t;\nalter table t alter a set not null": "line 1 changes rows of t first",
    "refresh materialized view t;\ncreate unique index on t (a)": "line 1 changes rows of t first",
    "alter table t detach partition p;\nalter table t alter a set not null": "line 1 changes which rows t has",
    "alter table t add check (a > 0 or b > 0), add a int": "the pending migrations add t.a first",
    "alter table t add a int;\nalter table t add check (a is not null)": "the pending migrations add t.a first",
    "create type e as (x int);\nalter table t alter a type e using f(a)": "the new type is one that",
    "create unique index on t (a my_own)": "the operator class my_own has an equality of its own",
    "update t set a = 1;\nalter table t rename to u;\nalter table u alter a set not null": (
        "line 1 changes rows of t first"
    ),
    "create trigger g after insert on o for each row execute function f();\ninsert into o values (1);\n"
    "alter table t alter a set not null": "m1, line 2 fires triggers on o",
}


@pytest.mark.parametrize("script", NEEDED)
def test_each_demand_is_found(script: str) -> None:
    assert [words.partition(": ")[2] for words in judged(script)] == NEEDED[script]
    assert doubts(script) == []


@pytest.mark.parametrize("script", NEEDS_NOTHING)
def test_what_no_row_can_break_is_no_need(script: str) -> None:
    assert needs(script) == ()


@pytest.mark.parametrize("script", UNJUDGED)
def test_rows_that_are_changed_first_are_not_judged(script: str) -> None:
    (said,) = doubts(script)
    assert UNJUDGED[script] in said
    assert judged(script) == []


def test_an_earlier_migration_of_the_set_counts_too_and_is_named() -> None:
    assert doubts("update t set a = 1", "alter table t alter a set not null") == ["m1, line 1 changes rows of t first"]
    assert judged("create table t (a int)", "alter table t alter a set not null") == []
    assert judged("select 1;\nalter table t alter a set not null", "update t set a = 1") == ["2: t.a must not be NULL"]


def test_a_column_whose_type_is_changed_first_is_not_judged() -> None:
    assert doubts("alter table t alter a type text;\ncreate unique index on t (a)") == [
        "line 1 changes the type of t.a first"
    ]


def test_rows_changed_elsewhere_are_told_to_whoever_knows_triggers() -> None:
    (need,) = needs("update other set a = 1;\nalter table t alter a set not null")
    assert need.doubt == ""
    assert [change.table.name for change in need.earlier] == ["other"]


def test_the_search_path_of_the_script_goes_with_its_needs_and_not_with_the_next_scripts() -> None:
    path = "set search_path to app"
    first, second = needs(f"{path};\nalter table t alter a set not null", "alter table t alter a set not null")
    assert first.settings == (path,)
    assert second.settings == ()


def test_if_not_exists_says_what_makes_the_statement_do_nothing() -> None:
    (index,) = needs("create unique index if not exists i on s.t (a)")
    assert index.unless == ObjectName(kind="relation", name="i", schema="s")
    (column,) = needs("alter table t add column if not exists a int not null")
    assert column.unless_column == "a"


def facts(**columns: str) -> Facts:
    known = TableFacts(
        exists=True, key=("id",), columns={name: ColumnFacts(type=type_) for name, type_ in columns.items()}
    )
    return Facts(dialect="postgresql", version=180000, tables={ObjectName(kind="relation", name="t"): known})


@pytest.mark.parametrize(
    ("today", "change"),
    [
        ("int4", "type bigint"),
        ("int4", "type text"),
        ("text", "type varchar(3) using a::varchar(3)"),
        ("timestamptz", "type date"),
        ("numeric", "type numeric"),
        ("varchar", "type varchar"),
    ],
)
def test_a_type_that_holds_every_value_is_not_asked_for(today: str, change: str) -> None:
    (need,) = needs(f"alter table t alter a {change}")
    assert need.question.count(facts(a=today)) is None


@pytest.mark.parametrize(
    ("today", "change", "asked"),
    [
        ("int8", "type int", "NOT BETWEEN -2147483648 AND 2147483647"),
        ("text", "type varchar(3)", "> 3"),
        ("text", "type int using a::int", "pg_input_is_valid"),
        ("text", "type int using (a || '0')::int", "count(((a || '0')::int"),
        ("numeric", "type numeric(5,2)", ">= 1e3::numeric"),
        ("text", "type jsonb using a::jsonb", "pg_input_is_valid"),
        ("bytea", "type uuid using encode(a, 'hex')::uuid", "encode(a, 'hex')::uuid"),
    ],
)
def test_a_narrower_type_is_asked_for_in_its_own_way(today: str, change: str, asked: str) -> None:
    (need,) = needs(f"alter table t alter a {change}")
    assert asked in (need.question.count(facts(a=today)) or "")


def test_rows_that_only_the_server_can_judge_are_sought_in_a_time_that_is_set() -> None:
    (need,) = needs("alter table t alter a type int using (a || '$$''\\')::int")
    asked = sieve(need.question, facts(a="text"), seconds=10)
    assert asked is not None
    assert asked.heading == ("id", "a")
    assert asked.statements[0] == "SET LOCAL statement_timeout = 10000"
    assert asked.statements[-1].startswith("DO  E'")
    assert "interval ''8.0 seconds''" in asked.statements[-1]
    (need,) = needs("alter table t add unique (a)")
    assert sieve(need.question, facts(a="text"), seconds=10) is None
    assert read('{"found": 0}') is None
    told = read('{"found": 3, "samples": [["1", null]], "said": "no", "whole": false}')
    assert told == Sifted(found=3, sample=(("1", None),), said="no", whole=False)


def test_the_labels_of_an_enumeration_made_by_the_set_are_known() -> None:
    (need,) = needs("create type e as enum ('a', 'it''s');\nalter table t alter a type e using a::text::e")
    assert need.doubt == ""
    assert "NOT IN ('a', 'it''s')" in (need.question.count(facts(a="text")) or "")


def test_names_cannot_break_out_of_their_quotes() -> None:
    (need,) = needs('alter table "t""; drop table x; --" alter "a""b" set not null')
    table = TableFacts(exists=True, key=('k"',))
    asked = Facts(dialect="postgresql", tables={need.table: table})
    assert '"t""; drop table x; --" WHERE "a""b" IS NULL' in (need.question.count(asked) or "")
    assert '("k""")::text' in need.question.sample(asked)


def test_a_column_that_is_not_null_already_needs_no_look() -> None:
    (need,) = needs("alter table t alter a set not null")
    table = TableFacts(exists=True, columns={"a": ColumnFacts(not_null=True)})
    assert need.question.count(Facts(dialect="postgresql", tables={need.table: table})) is None
