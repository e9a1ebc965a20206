"""What a plan can destroy, told from its statements alone."""

from __future__ import annotations

from typing import Literal

import pytest

from bascule.backups.endangered import Endangered, endangered
from bascule.backups.reach import Reach, held_erasures, read_reach
from bascule.domain.migration import Migration, MigrationRef, Script
from bascule.planning.steps import plan_migration

Dialect = Literal["postgresql", "sqlite"]


def read(text: str, dialect: Dialect = "postgresql") -> Endangered:
    ref = MigrationRef(name="one", version="", order=(), path="one.sql")
    up = Script(path="one.sql", text=text, language="sql", line=1, transaction=True, empty=False)
    return endangered([plan_migration(Migration(ref=ref, up=up, down=None, exact_hash=""), "up", dialect)], dialect)


def named(found: Endangered) -> set[str]:
    return {each.name if each.schema is None else f"{each.schema}.{each.name}" for each in found.names}


@pytest.mark.parametrize(
    "text",
    [
        "create table t (id integer)",
        "insert into t values (1)",
        "alter table t add column c text",
        "create index on t (id)",
        "drop index t_id",
        "create function f() returns int language sql as 'delete from t returning 1'",
        "do $$ begin create type mood as enum ('sad'); exception when duplicate_object then null; end $$",
        "select 1",
    ],
)
def test_what_adds_or_reads_endangers_nothing(text: str) -> None:
    found = read(text)
    assert (found.migrations, found.names, found.everything) == ((), frozenset(), ())


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("drop table t", {"t"}),
        ("alter table s.t drop column c", {"s.t"}),
        ("alter table t alter column c type smallint", {"t"}),
        ("update t set c = 1", {"t"}),
        ("delete from t using u where t.id = u.id", {"t"}),
        ("truncate t, u", {"t", "u"}),
        ("with gone as (delete from t returning *) insert into archive select * from gone", {"t", "archive"}),
        ("insert into t values (1) on conflict (id) do update set c = 2", {"t"}),
        ("alter table a rename to b;\ndrop table b", {"a", "b"}),
    ],
)
def test_tables_that_lose_something_are_named(text: str, tables: set[str]) -> None:
    found = read(text)
    assert named(found) >= tables
    assert found.everything == ()
    assert found.migrations == ("one",)


@pytest.mark.parametrize(
    "text",
    [
        "do $$ begin delete from t; end $$",
        "do $$ begin perform cleanse(); end $$",
        "call cleanse()",
        "select cleanse()",
        "drop type mood cascade",
        "drop schema s cascade",
    ],
)
def test_where_nobody_can_tell_it_is_everything(text: str) -> None:
    found = read(text)
    assert found.everything or named(found) == {"s"}
    assert found.migrations == ("one",)


@pytest.mark.parametrize(
    "text",
    [
        'delete from "T" where id = 1',
        "update or ignore t set id = 2",
        "replace into t values (1)",
        "with x as (select 1) delete from t where id in x",
        "insert into t values (1) on conflict do update set id = 2",
        "drop table t",
        "alter table t drop column c",
    ],
)
def test_sqlite_names_its_tables_too(text: str) -> None:
    assert named(read(text, "sqlite")) == {"t"}


def test_triggers_count_only_where_they_change_rows_and_rows_are_changed() -> None:
    stamp = ("public.t", "r", False, "begin new.changed := now(); return new; end")
    cleans = ("public.t", "r", False, "begin delete from u; return new; end")
    assert read_reach(read("update t set c = 1"), [stamp]) == Reach(tables=("public.t",))
    assert read_reach(read("update t set c = 1"), [cleans]).tables is None
    assert read_reach(read("drop table t"), [cleans]).tables == ("public.t",)


def test_what_is_to_be_kept_nowhere_is_in_no_backup_unless_more_is_destroyed_there() -> None:
    erasing = "-- bascule: no-preimage asked to be forgotten\ndelete from users where id = 7;\n"
    alone = read(erasing)
    assert (alone.migrations, named(alone)) == ((), set())
    assert [(each.line, each.reason) for each in alone.erased] == [(2, "asked to be forgotten")]
    apart = read(f"{erasing}delete from s.orders;")
    assert (apart.migrations, named(apart)) == (("one",), {"s.orders"})
    assert held_erasures(apart, Reach(tables=("s.orders",))) == ()
    # By a foreign key, or a reason that makes it the whole database, the table may come in all the same.
    assert held_erasures(apart, Reach(tables=("s.orders", 'public."Users"'))) == apart.erased
    assert held_erasures(apart, Reach(tables=None)) == apart.erased
    both = read(f"{erasing}update users set note = null;")
    assert named(both) == {"users"}
    assert held_erasures(both, Reach(tables=("public.users",))) == both.erased
    schema = read("-- bascule: no-preimage\ndrop schema gone cascade;\ndrop table other;")
    assert held_erasures(schema, Reach(tables=("gone.a", "public.other"))) == schema.erased
    assert read("-- bascule: no-preimage law\ndo $$ begin delete from users; end $$").migrations == ()
    assert read(erasing, "sqlite").migrations == ()
