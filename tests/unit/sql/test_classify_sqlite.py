from __future__ import annotations

import pytest

from tests.unit.sql.corpus import read, touched


@pytest.mark.parametrize(
    ("text", "kind", "objects"),
    [
        ('create table "A b" (x int references y)', "CREATE TABLE", "relation a b"),
        ("CREATE TABLE IF NOT EXISTS Main.T AS SELECT 1", "CREATE TABLE", "relation main.t"),
        (
            "create unique index if not exists main.i on [T] (a)",
            "CREATE INDEX",
            "relation main.i, relation main.t (partitions)",
        ),
        ("create index i on t (a)", "CREATE INDEX", "relation i, relation t (partitions)"),
        ("create view v as select 1", "CREATE VIEW", "relation v"),
        (
            "create trigger x after update of a, b on 't' begin insert into u values (1); end",
            "CREATE TRIGGER",
            "relation t",
        ),
        ("drop table if exists main.t", "DROP TABLE", "relation main.t"),
        ("drop index i", "DROP INDEX", "relation i"),
        ("drop view v", "DROP VIEW", "relation v"),
        ("drop trigger x", "DROP TRIGGER", "other x"),
        ("alter table t rename to U", "ALTER TABLE", "relation t, relation u"),
        ("alter table main.t rename to u", "ALTER TABLE", "relation main.t, relation main.u"),
        ("alter table t rename column a to b", "ALTER TABLE", "relation t"),
        ("alter table t rename a to b", "ALTER TABLE", "relation t"),
        ("alter table t add column a int", "ALTER TABLE", "relation t"),
        ("alter table t drop a", "ALTER TABLE", "relation t"),
        ("create temp table t (a)", "CREATE TABLE", ""),
        ("create table temp.t (a)", "CREATE TABLE", ""),
        ("create temp trigger x after insert on t begin select 1; end", "CREATE TRIGGER", ""),
        ("select my_function(1)", "SELECT", ""),
        ("values (1)", "SELECT", ""),
        ("insert into t select load_extension from u", "INSERT", ""),
        ("with a as (select 1), b as (delete_me) update t set x = 1", "UPDATE", ""),
        ("explain query plan select 1", "EXPLAIN", ""),
        ("analyze", "ANALYZE", ""),
        ("reindex t", "REINDEX", ""),
        ("pragma table_info(t)", "PRAGMA", ""),
    ],
)
def test_kind_and_objects(text: str, kind: str, objects: str) -> None:
    insight = read(text, "sqlite")
    assert (insight.kind, insight.transactional) == (kind, True)
    assert touched(text, "sqlite") == {part for part in objects.split(", ") if part}


@pytest.mark.parametrize(
    "text", ["create temp table t (a)", "create table temp.t (a)", "create temp view v as select 1"]
)
def test_temporary_objects(text: str) -> None:
    assert read(text, "sqlite").temporary


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("create virtual table v using fts5(a)", "CREATE VIRTUAL TABLE"),
        ("select load_extension('x')", "load_extension"),
        ("update main.sqlite_master set sql = 'x'", "sqlite_master"),
        ("delete from SQLITE_SCHEMA", "sqlite_schema"),
        ("pragma writable_schema = 1", "writable_schema"),
        ("frobnicate t", "no such statement"),
        ("create frob t", "no such CREATE"),
        ("create index i", "on which table"),
        ("drop frob t", "no such DROP"),
        ("alter frob t", "no such ALTER"),
    ],
)
def test_everything_may_change(text: str, reason: str) -> None:
    touch = read(text, "sqlite").touch
    assert touch.everything
    assert touch.reasons[-1].startswith("line 1: ")
    assert reason in touch.reasons[-1]


@pytest.mark.parametrize(
    ("text", "transactional", "session"),
    [
        ("vacuum", False, False),
        ("attach 'x' as y", False, True),
        ("detach y", False, True),
        ("pragma foreign_keys = off", False, True),
        ("PRAGMA main.Foreign_Keys(0)", False, True),
        ("pragma foreign_keys", True, False),
        ("pragma journal_mode = wal", False, False),
        ("pragma synchronous = off", False, True),
        ("pragma wal_checkpoint", False, False),
        ("pragma wal_checkpoint(truncate)", False, False),
        ("pragma user_version = 3", True, False),
        ("pragma defer_foreign_keys = on", True, False),
        ("pragma recursive_triggers = on", True, True),
        ("pragma foreign_key_check(t)", True, False),
        ("pragma integrity_check", True, False),
    ],
)
def test_what_no_transaction_can_hold_and_what_the_connection_keeps(
    text: str, transactional: bool, session: bool
) -> None:
    insight = read(text, "sqlite")
    assert (insight.transactional, insight.session) == (transactional, session)
    assert (insight.effect is None) is transactional
    assert transactional or (insight.effect is not None and insight.effect.action == "harmless")


def test_a_copy_by_vacuum_cannot_be_told_from_its_absence() -> None:
    effect = read("vacuum into 'copy.db'", "sqlite").effect
    assert effect is not None
    assert effect.action == "unknown"


@pytest.mark.parametrize(
    ("text", "control"),
    [
        ("begin", "begin"),
        ("begin exclusive transaction", "begin"),
        ("commit", "commit"),
        ("end transaction", "commit"),
        ("rollback", "rollback"),
        ("rollback transaction", "rollback"),
        ("rollback transaction to savepoint a", "savepoint"),
        ("rollback to a", "savepoint"),
        ("savepoint a", "savepoint"),
        ("release a", "savepoint"),
        ("select 1", None),
    ],
)
def test_transaction_control(text: str, control: str | None) -> None:
    assert read(text, "sqlite").control == control


@pytest.mark.parametrize(
    ("text", "destroys"),
    [
        ("drop table if exists main.t", "drops table main.t"),
        ("drop view v", None),
        ("alter table t drop column `A b`", 'drops column t."a b"'),
        ("delete from t", "deletes rows of t"),
        ("update or ignore t set a = 1", "overwrites values in t"),
        ("insert into t values (1)", None),
        ("insert or ignore into t values (1)", None),
        ("replace into t values (1)", "overwrites rows of t that are there already"),
        ("insert or replace into t values (1)", "overwrites rows of t that are there already"),
        ("insert into t values (1) on conflict do update set a = 1", "overwrites rows of t that are there already"),
        ("with x as (select 1) delete from t", "deletes rows of t"),
    ],
)
def test_what_is_destroyed(text: str, destroys: str | None) -> None:
    assert read(text, "sqlite").destroys == destroys
