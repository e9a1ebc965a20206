"""What PostgreSQL's statements touch: a changed schema object must never be missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bascule.sql import inspect, script_touch, split
from tests.unit.sql.corpus import name, read, touched, words

BY_NAME = {
    # tables
    "create table s.t (a int references b.r)": "relation s.t, relation b.r",
    "create table t (a int, foreign key (a) references q (x))": "relation t, relation q",
    "create table if not exists T (a int) inherits (p, s.q)": "relation t, relation p, relation s.q",
    'create table "T" partition of p for values in (1)': "relation T, relation p",
    "create table t (like u including all)": "relation t",
    "create foreign table f (a int) server s": "relation f",
    "create temp table t (a int references s.u)": "relation s.u",
    "create table t as select now()": "relation t",
    "select count(*) as c into t from u": "relation t",
    "create materialized view m as select my_function() with no data": "relation m",
    "alter table s.t add column a int references b.r": "relation s.t, relation b.r",
    "alter table t add constraint c foreign key (a) references r not valid": "relation t, relation r",
    "alter table t attach partition p default": "relation t, relation p",
    "alter table t detach partition s.p concurrently": "relation t, relation s.p",
    "alter table t detach partition p finalize": "relation t, relation p",
    "alter table t inherit p": "relation t, relation p",
    "alter table t no inherit p": "relation t, relation p",
    "alter table t rename to u": "relation t, relation u",
    "alter table s.t rename to u": "relation s.t, relation s.u",
    "alter table t rename column a to b": "relation t",
    "alter table t rename constraint a to b": "relation t",
    "alter table t set schema s2": "relation t, relation s2.t",
    "alter table t owner to r": "relation t",
    "alter table t alter a type int using lower(a)::int": "relation t",
    "alter table t add column id uuid default extensions.uuid_generate_v4()": "relation t (id)",
    'alter table only s.t add a int not null, add if not exists "B" text null': "relation s.t (a), relation s.t (B)",
    "alter table t add a int, alter b drop default": "relation t",
    "alter table t add a int unique": "relation t",
    "alter table t add a int check (a > 0)": "relation t",
    "alter table t add a int generated always as identity": "relation t",
    "alter foreign table t add a int": "relation t",
    "alter table t drop column a": "relation t",
    "drop table a, s.b cascade": "relation a, relation s.b",
    "refresh materialized view m": "relation m",
    "cluster t using i": "relation t",
    # indexes
    "create index i on only s.t (my_function(a)) where my_predicate(b)": "relation s.i, relation s.t (partitions)",
    "create index concurrently i on t (a)": "relation i, relation t (partitions)",
    "create unique index on t (a)": "relation t",
    "drop index s.i, j": "relation s.i, relation j",
    "drop index concurrently i": "relation i",
    "alter index i rename to j": "relation i, relation j",
    "alter index i attach partition j": "relation i, relation j",
    "reindex index concurrently i": "relation i",
    # views, sequences
    "create or replace view s.v as select my_function()": "relation s.v",
    "alter view v rename to w": "relation v, relation w",
    "alter view v alter column a set default 1": "relation v",
    "drop view v": "relation v",
    "create sequence q owned by s.t.a": "relation q, relation s.t",
    "create sequence q owned by none": "relation q",
    "alter sequence q owned by t.a": "relation q, relation t",
    "alter sequence q restart": "relation q",
    # what hangs on tables
    "create trigger x before insert on s.t for each row execute function f()": "relation s.t",
    "create constraint trigger x after insert on t from u for each row execute function f()": "relation t, relation u",
    "drop trigger x on s.t": "relation s.t",
    "alter trigger x on t rename to y": "relation t",
    "alter trigger x on t depends on extension e": "relation t",
    "create rule r as on insert to v do also nothing": "relation v",
    "drop rule r on v": "relation v",
    "create policy p on t": "relation t",
    "alter policy p on t using (my_function())": "relation t",
    "drop policy p on s.t": "relation s.t",
    # routines
    "create function s.f(a int) returns t language sql return 1": "routine s.f",
    "create or replace procedure p() language plpgsql as 'begin end'": "routine p",
    "drop function f(int), s.g": "routine f, routine s.g",
    "drop routine r": "routine r",
    "alter function f(int) rename to g": "routine f, routine g",
    "alter procedure f(int) set schema s": "routine f, routine s.f",
    "alter function f() owner to r": "routine f",
    "alter function f() volatile": "routine f",
    "alter function f() depends on extension e": "routine f",
    # types
    "create type s.e as enum ('a')": "type s.e",
    "create type t as (a int)": "type t",
    "create type t as range (subtype = int)": "type t",
    "create type t": "type t",
    "alter type e add value 'b'": "type e",
    "alter type s.e rename value 'a' to 'b'": "type s.e",
    "alter type e rename to f": "type e, type f",
    "alter type s.t add attribute a int": "type s.t",
    "alter type t rename attribute a to b": "type t",
    "alter type t set schema s": "type t, type s.t",
    "alter type t owner to r": "type t",
    "alter type t set (storage = plain)": "type t",
    "drop type s.e, f": "type s.e, type f",
    "create domain s.d as int check (my_function(value))": "type s.d",
    "alter domain d add check (value > 0)": "type d",
    "alter domain d rename constraint a to b": "type d",
    "alter domain d rename to e": "type d, type e",
    "drop domain d": "type d",
    # schemas, extensions, roles
    "create schema s": "schema s",
    "create schema authorization r": "schema r",
    "create schema s create table t (a int references u) create index i on t (a)": (
        "schema s, relation t, relation s.t, relation u, relation s.u, relation i, relation s.i, "
        "relation t (partitions), relation s.t (partitions)"
    ),
    "drop schema s": "schema s",
    "alter schema s owner to r": "schema s",
    "drop extension e cascade": "extension e",
    "create role r": "role r",
    "alter role r set work_mem = 1": "role r",
    "alter role all set work_mem = 1": "",
    "drop role r, s": "role r, role s",
    "grant r to s": "role r, role s",
    # comments, labels, grants
    "comment on table s.t is 'x'": "relation s.t",
    "comment on column s.t.a is 'x'": "relation s.t",
    "comment on constraint c on t is 'x'": "relation t",
    "comment on constraint c on domain s.d is 'x'": "type s.d",
    "comment on trigger x on t is 'x'": "relation t",
    "comment on index i is 'x'": "relation i",
    "comment on function s.f(int) is 'x'": "routine s.f",
    "comment on type t is 'x'": "type t",
    "comment on schema s is 'x'": "schema s",
    "comment on extension e is 'x'": "extension e",
    "comment on role r is 'x'": "role r",
    "comment on database d is 'x'": "",
    "security label on column t.a is 'x'": "relation t",
    "grant select (a) on s.t, u to r": "relation s.t, relation u",
    "revoke all on sequence q from r": "relation q",
    "grant execute on function f(int) to r": "routine f",
    "grant usage on schema s to r": "schema s",
    "grant usage on type t to r": "type t",
    "grant connect on database d to r": "",
    # rows, and what is outside of the schema
    "select 1": "",
    "select a.b, count(*) filter (where c), nextval('q'), extract(year from d) from a order by 1": "",
    "insert into t select gen_random_uuid(), now() at time zone 'utc', pg_catalog.lower(b) from u": "",
    "update t set a = coalesce(b, greatest(1, 2))": "",
    "delete from t": "",
    "merge into t using s on true when matched then do nothing": "",
    "truncate t restart identity": "",
    "copy t from '/x' where a > 1": "",
    "explain select my_function()": "",
    "declare c cursor for select 1": "",
    "prepare x as select my_function()": "",
    "set work_mem = 1": "",
    "lock t": "",
    "vacuum t": "",
    "analyze t": "",
    "create database d": "",
    "alter system set work_mem = 1": "",
    "checkpoint": "",
    "begin": "",
}

EVERYTHING = {
    "do $$ begin end $$": "DO runs code",
    "call p()": "CALL runs a procedure",
    "execute x": "EXECUTE runs a prepared statement",
    "create table t as execute x": "EXECUTE runs a prepared statement",
    "explain analyze execute x": "EXPLAIN ANALYZE",
    "select diesel_manage_updated_at('x')": "calls diesel_manage_updated_at()",
    "select app.now()": "calls app.now()",
    'select "Odd]""Name"()': 'calls "Odd]""Name"()',
    "select * from my_function(1)": "calls my_function()",
    "select a from t where exists (select 1 from u where b = my_function())": "calls my_function()",
    "insert into t values (f(1), g(2), f(3))": "calls f(), g(), and",
    "update t set a = f(a)": "calls f()",
    "delete from t where f(a)": "calls f()",
    "merge into t using s on f(a) when matched then do nothing": "calls f()",
    "copy (select f()) to stdout": "calls f()",
    "create table t as select f()": "calls f()",
    "create materialized view m as select f()": "calls f()",
    "select f() into t": "calls f()",
    "explain (analyze) select f()": "calls f()",
    "declare c cursor for select f()": "calls f()",
    "create table t partition of p for values from (f()) to (2)": "calls f()",
    "alter table t add column a int default f()": "calls f()",
    "alter table t alter a type int using f(a)": "calls f()",
    "alter table t add check (f(a))": "calls f()",
    "select query_to_xml('drop table t', true, true, '')": "calls query_to_xml()",
    "create extension if not exists e": "CREATE EXTENSION",
    "alter extension e update": "ALTER EXTENSION",
    "alter extension e set schema s": "ALTER EXTENSION",
    "drop schema s cascade": "DROP SCHEMA … CASCADE",
    "alter schema s rename to t": "ALTER SCHEMA … RENAME",
    "alter role r rename to s": "ALTER ROLE … RENAME",
    "create schema authorization current_user": "CREATE SCHEMA",
    "drop owned by r": "DROP OWNED",
    "reassign owned by r to s": "REASSIGN OWNED",
    "grant select on all tables in schema s to r": "IN SCHEMA s",
    "alter default privileges grant select on tables to r": "ALTER DEFAULT PRIVILEGES",
    "alter table all in tablespace a set tablespace b": "ALTER ALL IN TABLESPACE",
    "create publication p for all tables": "CREATE PUBLICATION",
    "drop publication p": "DROP PUBLICATION",
    "create subscription s connection '' publication p": "CREATE SUBSCRIPTION",
    "create event trigger e on sql_drop execute function f()": "CREATE EVENT TRIGGER",
    "create statistics s on a, b from t": "CREATE STATISTICS",
    "comment on statistics s is 'x'": "COMMENT ON STATISTICS",
    "create aggregate a(int) (sfunc = f, stype = int)": "CREATE AGGREGATE",
    "drop aggregate a(int)": "DROP AGGREGATE",
    "alter aggregate a(int) rename to b": "ALTER AGGREGATE",
    "create operator + (function = f, leftarg = a)": "CREATE OPERATOR",
    "create cast (a as b) without function": "CREATE CAST",
    "drop cast (a as b)": "DROP CAST",
    "create collation c from d": "CREATE COLLATION",
    "create text search configuration c (copy = simple)": "CREATE TEXT SEARCH CONFIGURATION",
    "create server s foreign data wrapper w": "CREATE SERVER",
    "import foreign schema a from server s into b": "IMPORT FOREIGN SCHEMA",
    "create language l": "CREATE EXTENSION",
    "create function f() returns t language c as 'x'": "CREATE FUNCTION in C",
    "grant usage on foreign data wrapper w to r": "GRANT",
    "update pg_catalog.pg_class set relname = 'x'": "writes to PostgreSQL's own catalog",
    "insert into pg_enum values (1)": "writes to PostgreSQL's own catalog",
    "copy pg_class from stdin": "writes to PostgreSQL's own catalog",
    "select set_config('search_path', a, true) from t": "may set the search path",
    "select set_config('search_path', '$user', true)": "sets a search path that parsing cannot read",
    "no such statement": "does not know",
}


@pytest.mark.parametrize("text", BY_NAME)
def test_objects_are_named(text: str) -> None:
    assert touched(text) == {part for part in BY_NAME[text].split(", ") if part}


BACK = {
    "alter table s.t drop column a, drop if exists b cascade": "relation s.t (a), relation s.t (b)",
    "alter table t drop column a, add b int": "relation t",
    "alter table t drop constraint a": "relation t",
    "alter type t drop attribute a": "type t",
    "alter table t add column a int": "relation t (a)",
    "drop table t": "relation t",
}


@pytest.mark.parametrize("text", BACK)
def test_a_column_that_a_down_script_drops_leaves_the_others_where_they_are(text: str) -> None:
    assert words(script_touch([read(text)], back=True)) == set(BACK[text].split(", "))


@pytest.mark.parametrize("text", EVERYTHING)
def test_everything_may_change_and_the_reason_is_told(text: str) -> None:
    touch = inspect(split("\n" * 6 + text, "postgresql")[0], "postgresql").touch
    assert touch.everything
    assert all(reason.startswith("line 7: ") for reason in touch.reasons)
    assert EVERYTHING[text] in " ".join(touch.reasons)


def test_what_is_known_by_name_is_named_even_where_everything_may_change() -> None:
    touch = read("alter table s.t add column a int default f() references u").touch
    assert touch.objects == {name("s.t"), name("u")}


def test_a_script_touches_what_its_statements_touch() -> None:
    statements = split("create table a (x int); drop index s.i; select f(); select f()", "postgresql")
    touch = script_touch(inspect(statement, "postgresql") for statement in statements)
    assert touch.objects == {name("a"), name("s.i")}
    assert touch.everything
    assert touch.reasons == ("line 1: calls f(), and parsing cannot see what that changes",)


def test_names_behind_a_search_path_are_looked_for_in_all_of_it() -> None:
    script = """
        create table before (x int);
        set search_path = app, public;
        alter table t add x int;
        alter table s.u add x int;
        create role r;
        reset search_path;
        drop function f();
    """
    touch = script_touch(inspect(statement, "postgresql") for statement in split(script, "postgresql"))
    relations = {name("before"), *(replace(name(dotted), column="x") for dotted in ("t", "app.t", "public.t", "s.u"))}
    routines = {name(dotted, "routine") for dotted in ("f", "app.f", "public.f")}
    assert touch.objects == relations | routines | {name("r", "role")}
