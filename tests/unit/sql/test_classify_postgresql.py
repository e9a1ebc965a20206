"""Kind, transaction, session, effect and loss of PostgreSQL's statements. What they touch: test_touch_postgresql."""

from __future__ import annotations

import pytest

from bascule.domain.statement import Effect
from bascule.sql import inspect, split
from bascule.sql.postgres.classify import _HANDLERS, _ROWS
from tests.unit.sql.corpus import read

REFUSED_IN_A_TRANSACTION = {
    "create unique index concurrently if not exists i on s.t (a)": (
        "CREATE INDEX CONCURRENTLY",
        Effect(
            action="create_index",
            name="i",
            schema="s",
            table="t",
            table_schema="s",
            concurrently=True,
            if_exists=True,
        ),
    ),
    "create index concurrently on t (a)": (
        "CREATE INDEX CONCURRENTLY",
        Effect(action="create_index", name="", table="t", concurrently=True),
    ),
    "drop index concurrently if exists s.i": (
        "DROP INDEX CONCURRENTLY",
        Effect(action="drop_index", name="i", schema="s", concurrently=True, if_exists=True),
    ),
    "reindex index concurrently s.i": (
        "REINDEX INDEX CONCURRENTLY",
        Effect(action="reindex", name="i", schema="s", concurrently=True),
    ),
    "reindex (concurrently, verbose) table t": (
        "REINDEX TABLE CONCURRENTLY",
        Effect(action="reindex", table="t", concurrently=True),
    ),
    "reindex schema s": ("REINDEX SCHEMA", Effect(action="reindex", schema="s")),
    "reindex database d": ("REINDEX DATABASE", Effect(action="reindex")),
    "reindex system": ("REINDEX SYSTEM", Effect(action="reindex")),
    "vacuum": ("VACUUM", Effect(action="harmless")),
    "vacuum (analyze, full off) t": ("VACUUM", Effect(action="harmless")),
    "vacuum full t": ("VACUUM FULL", Effect(action="unknown")),
    "cluster": ("CLUSTER", Effect(action="unknown")),
    "create database d": ("CREATE DATABASE", Effect(action="create_database", name="d")),
    "drop database if exists d": ("DROP DATABASE", Effect(action="drop_database", name="d", if_exists=True)),
    "alter database d set tablespace x": ("ALTER DATABASE SET TABLESPACE", Effect(action="harmless")),
    "create tablespace x location '/x'": ("CREATE TABLESPACE", Effect(action="create_tablespace", name="x")),
    "drop tablespace x": ("DROP TABLESPACE", Effect(action="drop_tablespace", name="x")),
    "alter system set work_mem = '1GB'": ("ALTER SYSTEM", Effect(action="harmless")),
    "alter table s.t detach partition s2.p concurrently": (
        "ALTER TABLE DETACH PARTITION CONCURRENTLY",
        Effect(action="detach_partition", name="p", schema="s2", table="t", table_schema="s", concurrently=True),
    ),
    "create subscription s connection '' publication p": (
        "CREATE SUBSCRIPTION",
        Effect(action="create_subscription", name="s"),
    ),
    "alter subscription s refresh publication": ("ALTER SUBSCRIPTION", Effect(action="harmless")),
    "alter subscription s set publication p": ("ALTER SUBSCRIPTION", Effect(action="harmless")),
    "alter subscription s add publication p": ("ALTER SUBSCRIPTION", Effect(action="unknown")),
    "alter subscription s set (failover = true)": ("ALTER SUBSCRIPTION", Effect(action="harmless")),
    "alter subscription s set (two_phase = false)": ("ALTER SUBSCRIPTION", Effect(action="harmless")),
    "drop subscription s": ("DROP SUBSCRIPTION", Effect(action="drop_subscription", name="s")),
    "discard all": ("DISCARD ALL", Effect(action="harmless")),
    "commit prepared 'x'": ("COMMIT PREPARED", Effect(action="unknown")),
    "rollback prepared 'x'": ("ROLLBACK PREPARED", Effect(action="unknown")),
    "do $$ begin delete from t; commit; end $$": ("DO", Effect(action="unknown")),
    "do $$ begin if x then rollback and no chain; end if; end $$": ("DO", Effect(action="unknown")),
}

ALLOWED_IN_A_TRANSACTION = (
    "create index i on t (a)",
    "drop index i",
    "reindex table t",
    "reindex (concurrently false) index i",
    "analyze t",
    "cluster t using i",
    "refresh materialized view concurrently m",
    "alter table t detach partition p",
    "alter table t detach partition p finalize",
    "alter type t add value 'x'",
    "alter database d connection limit 5",
    "alter database d set work_mem = '1MB'",
    "create subscription s connection '' publication p with (connect = false)",
    "create subscription s connection '' publication p with (create_slot = off)",
    "alter subscription s set publication p with (refresh = false)",
    "alter subscription s set (two_phase = true)",
    "alter subscription s disable",
    "checkpoint",
    "discard plans",
    "call p()",
    "do $$ begin perform 'commit;'; -- commit;\n x.commit := 1; end $$",
)


@pytest.mark.parametrize("text", REFUSED_IN_A_TRANSACTION)
def test_statements_that_no_transaction_can_hold(text: str) -> None:
    insight = read(text)
    assert not insight.transactional
    assert (insight.kind, insight.effect) == REFUSED_IN_A_TRANSACTION[text]


@pytest.mark.parametrize("text", ALLOWED_IN_A_TRANSACTION)
def test_statements_that_a_transaction_can_hold(text: str) -> None:
    assert read(text).transactional


def test_a_new_value_of_an_enum_is_looked_for_in_the_catalog() -> None:
    effect = Effect(action="add_enum_value", name="e", schema="s", value="it's", if_exists=True)
    assert read("alter type s.e add value if not exists 'it''s' before 'a'").effect == effect
    assert read("alter type s.e rename value 'a' to 'b'").effect is None


@pytest.mark.parametrize(
    ("text", "control"),
    [
        ("begin", "begin"),
        ("START TRANSACTION READ ONLY", "begin"),
        ("commit", "commit"),
        ("END WORK", "commit"),
        ("rollback", "rollback"),
        ("abort", "rollback"),
        ("savepoint a", "savepoint"),
        ("release a", "savepoint"),
        ("rollback to savepoint a", "savepoint"),
        ("prepare transaction 'x'", "commit"),
        ("prepare x as select 1", None),
        ("set transaction isolation level serializable", None),
    ],
)
def test_transaction_control(text: str, control: str | None) -> None:
    assert read(text).control == control


@pytest.mark.parametrize(
    ("text", "session"),
    [
        ("set work_mem = '1MB'", True),
        ("set local work_mem = '1MB'", False),
        ("reset all", True),
        ("set role x", True),
        ("set session authorization x", True),
        ("set transaction isolation level serializable", False),
        ("set session characteristics as transaction read only", True),
        ("set constraints all deferred", False),
        ("listen x", True),
        ("discard temp", True),
        ("prepare x as select 1", True),
        ("load 'auto_explain'", True),
        ("declare c cursor with hold for select 1", True),
        ("declare c cursor for select 1", False),
        ("select pg_catalog.set_config('search_path', '', false)", True),
        ("select set_config('x.y', 'z', true)", False),
        ("select set_config('x.y', 'z', a) from t", True),
        ("select pg_advisory_lock(1)", True),
        ("select pg_advisory_xact_lock(1)", False),
        ("select 1", False),
        ("create temp table t (a int)", False),
    ],
)
def test_what_the_session_keeps(text: str, session: bool) -> None:
    assert read(text).session is session


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('set search_path = app, "Odd", public', ("app", "Odd", "public")),
        ("set local search_path to app", ("app",)),
        ("set schema 'App'", ("App",)),
        ("set search_path to default", ()),
        ("reset search_path", ()),
        ("select set_config('search_path', '', false)", ()),
        ("select pg_catalog.set_config('search_path', 'App, \"Odd\"', true)", ("app", "Odd")),
        ("set work_mem = 1", None),
    ],
)
def test_search_path(text: str, path: tuple[str, ...] | None) -> None:
    assert read(text).search_path == path


@pytest.mark.parametrize(
    "text",
    [
        "create temp table t (a int)",
        "create table pg_temp.t (a int)",
        "create temporary view v as select 1",
        "create temp sequence s",
        "create temp table t as select 1",
        "select 1 as a into temp t",
        "create function pg_temp.f() returns int language sql return 1",
    ],
)
def test_temporary_objects(text: str) -> None:
    insight = read(text)
    assert insight.temporary
    assert insight.touch.objects == frozenset()


@pytest.mark.parametrize(
    ("text", "destroys"),
    [
        ("drop table if exists a.b, c cascade", "drops table a.b, c"),
        ('drop table "Odd Name"', 'drops table "Odd Name"'),
        ("drop sequence s", "drops sequence s"),
        ("drop schema s cascade", "drops schema s with every table in it"),
        ("drop schema s", None),
        ("drop type t cascade", "drops every column of type t"),
        ("drop type t", None),
        ("drop extension e", "drops whatever is stored by extension e"),
        ("drop view v", None),
        ("drop materialized view v", None),
        ("drop index i", None),
        ("drop database d", "drops database d"),
        ("drop owned by r", "drops every table owned by r"),
        ("truncate a.b, c", "empties a.b, c"),
        ("truncate a cascade", "empties a and every table that refers to them"),
        ("alter table t drop column a, drop column if exists b", "drops column t.a; drops column t.b"),
        ("alter table t drop constraint c", None),
        ("alter type t drop attribute a", "drops column t.a"),
        ("alter table t alter a type text", None),
        ("alter table t alter a type bigint", None),
        ("alter table t alter a type text using left(a, 3)", "what the new type cannot hold is lost"),
        ("alter table t alter a type varchar(5)", "what the new type cannot hold is lost"),
        ("alter table t alter a type date", "converts column t.a"),
        ("delete from s.t", "deletes rows of s.t"),
        ("update only t as x set a = 1", "overwrites values in t"),
        ("insert into t values (1)", None),
        ("insert into t values (1) on conflict do nothing", None),
        ("insert into t values (1) on conflict (a) do update set a = 2", "overwrites rows of t that are there already"),
        ("merge into t using s on true when matched then delete", "overwrites or deletes rows of t"),
        ("merge into t using s on true when not matched then insert values (1)", None),
        ("with x as (delete from a returning *), y as (update b set c = 1) select * from x", "deletes rows of a; over"),
        ('insert into t values (\'"DeleteStmt":{"relation":{"relname":"x"\')', None),
        ("explain analyze delete from t", "deletes rows of t"),
        ("explain delete from t", None),
        ("copy t from '/x'", None),
    ],
)
def test_what_is_destroyed(text: str, destroys: str | None) -> None:
    insight = read(text)
    if destroys is None:
        assert insight.destroys is None
    else:
        assert destroys in (insight.destroys or "")


@pytest.mark.parametrize(
    ("text", "progress"),
    [
        ("create index i on t (a)", "create_index"),
        ("create index concurrently i on t (a)", "create_index"),
        ("reindex table t", "create_index"),
        ("alter table t add primary key (a)", "create_index"),
        ("alter table t add primary key using index i", None),
        ("alter table t add check (a > 0)", None),
        ("copy t from '/x'", "copy"),
        ("vacuum t", "vacuum"),
        ("vacuum full t", "cluster"),
        ("cluster t", "cluster"),
        ("analyze", "analyze"),
    ],
)
def test_where_progress_shows(text: str, progress: str | None) -> None:
    assert read(text).progress == progress


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("create table t ()", "CREATE TABLE"),
        ("create table t as select 1", "CREATE TABLE AS"),
        ("select 1 as a into t", "SELECT INTO"),
        ("values (1)", "SELECT"),
        ("alter view v set (security_invoker)", "ALTER VIEW"),
        ("alter materialized view v rename to w", "ALTER MATERIALIZED VIEW"),
        ("alter table t rename column a to b", "ALTER TABLE"),
        ("alter table t rename constraint a to b", "ALTER TABLE"),
        ("alter type t rename attribute a to b", "ALTER TYPE"),
        ("alter domain d rename constraint a to b", "ALTER DOMAIN"),
        ("alter trigger a on t rename to b", "ALTER TRIGGER"),
        ("alter function f() owner to r", "ALTER FUNCTION"),
        ("drop foreign data wrapper w", "DROP FOREIGN DATA WRAPPER"),
        ("create procedure p() language sql return 1", "CREATE PROCEDURE"),
        ("create text search dictionary d (template = simple)", "CREATE TEXT SEARCH DICTIONARY"),
        ("revoke all on t from r", "REVOKE"),
        ("comment on table t is 'x'", "COMMENT"),
        ("execute x", "EXECUTE"),
        ("show all", "SHOW"),
        ("notify x", "NOTIFY"),
        ("fetch c", "FETCH"),
        ("close c", "CLOSE"),
        ("lock t", "LOCK"),
    ],
)
def test_kinds(text: str, kind: str) -> None:
    assert read(text).kind == kind


def test_what_the_grammar_does_not_know_may_do_anything_but_is_not_refused() -> None:
    insight = inspect(split("select 1;\nfrobnicate table t", "postgresql")[1], "postgresql")
    assert (insight.kind, insight.transactional, insight.touch.everything) == ("UNKNOWN", True, True)
    assert insight.touch.reasons == ("line 2: the grammar of PostgreSQL 18 does not know this statement",)


@pytest.mark.parametrize(
    ("text", "transactional"),
    [
        ("create index concurrently i on t (a) with novelty", False),
        ("vacuum everything now please", False),
        ("refresh materialized view concurrently m with novelty", True),
        ("create table concurrently_named (a novelty type)", True),
    ],
)
def test_the_words_of_an_unknown_statement_still_tell_whether_a_transaction_can_hold_it(
    text: str, transactional: bool
) -> None:
    insight = read(text)
    assert (insight.kind, insight.transactional) == ("UNKNOWN", transactional)
    assert (insight.effect is None) is transactional


def test_expressions_nested_deeper_than_python_can_follow() -> None:
    deep = "||".join(["a"] * 5000)
    assert read(f"update t set a = {deep}").destroys == "overwrites values in t"
    insight = read(f"create view v as select {deep}")
    assert (insight.kind, insight.touch.everything) == ("UNKNOWN", True)
    assert "too deep" in insight.touch.reasons[0]


def test_an_insert_of_megabytes_is_read_without_building_its_tree() -> None:
    values = ", ".join(f"({number}, 'row {number}')" for number in range(20_000))
    insight = read(f"insert into t values {values}")
    assert (insight.kind, insight.touch.everything, insight.destroys) == ("INSERT", False, None)


# Nodes that stand only inside other statements, or that the server's grammar gives no text.
_NEVER_A_STATEMENT = {"PLAssignStmt", "RawStmt", "ReplicaIdentityStmt", "ReturnStmt", "SetOperationStmt"}


def test_every_statement_of_the_grammar_is_followed() -> None:
    from postgast import pg_query_pb2

    known = {field.message_type.name for field in pg_query_pb2.DESCRIPTOR.message_types_by_name["Node"].fields}
    statements = {name for name in known if name.endswith("Stmt")}
    assert _HANDLERS.keys() | _ROWS == statements - _NEVER_A_STATEMENT
