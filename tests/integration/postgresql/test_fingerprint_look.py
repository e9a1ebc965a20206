"""The function `shape`: what it looks at and what never, and that neither session nor size of the schema matter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.integration.postgresql.fingerprints import EVERYTHING, Database, named, relation, touch_of


@pytest.fixture
def database(bascule_postgres_url: str) -> Iterator[Database]:
    opened = Database(bascule_postgres_url)
    with closing(opened.connection):
        yield opened


def test_what_is_not_there_is_absent(database: Database) -> None:
    touch = relation("nothing", "app.nothing") | named("routine", "f") | named("type", "t") | named("schema", "app")

    look = database.look(touch | named("extension", "none") | named("role", "nobody"))

    assert (look.objects, look.whole) == ({}, False)


def test_names_without_schema_are_looked_for_where_the_session_would(database: Database) -> None:
    database.run(
        "CREATE SCHEMA app; CREATE TABLE app.t (a int); CREATE TABLE public.t (b int); CREATE TABLE app.u (a int)"
    )

    assert set(database.look(relation("t", "u")).objects) == {"table public.t"}
    database.run("SET search_path = app, public")
    assert set(database.look(relation("t", "u")).objects) == {"table app.t", "table public.t", "table app.u"}
    assert set(database.look(relation("app.t")).objects) == {"table app.t"}


def test_names_are_quoted_where_they_must_be(database: Database) -> None:
    database.run("""CREATE SCHEMA "Ap'p"; CREATE TABLE "Ap'p"."my ""table" ("a b" int)""")

    assert set(database.look(relation("""Ap'p.my "table""")).objects) == {'''table "Ap'p"."my ""table"'''}


def test_bascule_s_own_schema_may_have_any_name_and_is_never_looked_at(bascule_postgres_url: str) -> None:
    own = """o'w "n"""
    database = Database(bascule_postgres_url, own)
    with closing(database.connection):
        database.run(
            """CREATE TABLE "o'w ""n".ledger (a int); CREATE TABLE t (a int); CREATE EXTENSION IF NOT EXISTS plpgsql"""
        )

        assert not database.look(relation(f"{own}.ledger") | named("schema", own)).objects
        assert set(database.look(named("extension", "plpgsql")).objects) == {"extension plpgsql"}
        assert set(database.look(EVERYTHING).objects) == {"schema public", "table public.t", "extension plpgsql"}


def test_temporary_system_and_extension_objects_are_never_looked_at(database: Database) -> None:
    database.run("CREATE EXTENSION citext; CREATE TEMPORARY TABLE t (a int)")

    touch = relation("t", "pg_temp.t", "pg_catalog.pg_class", "information_schema.tables") | named("type", "citext")
    assert not (database.look(touch | named("routine", "citext_eq"))).objects
    assert set(database.look(EVERYTHING).objects) == {"schema public", "extension plpgsql", "extension citext"}


def test_the_session_s_settings_do_not_show(database: Database) -> None:
    database.run(
        "CREATE SCHEMA app; CREATE TYPE app.mood AS ENUM ('sad');"
        "CREATE TABLE app.t (d date DEFAULT '2020-02-01', s timestamptz DEFAULT '2020-02-01 12:00Z', i interval"
        " DEFAULT '90 s',"
        " f float8 DEFAULT 0.1::float8, b bytea DEFAULT '\\x00', m app.mood)"
    )
    plain = database.look(relation("app.t"))

    database.run(
        "SET search_path = app; SET datestyle = 'SQL, DMY'; SET timezone = 'Asia/Tokyo'; SET intervalstyle ="
        " 'sql_standard';"
        "SET extra_float_digits = -10; SET bytea_output = 'escape'; SET quote_all_identifiers = on"
    )

    assert database.look(relation("app.t")) == plain
    assert "app.mood" in str(plain)
    assert database.value("SHOW timezone") == "Asia/Tokyo"


def test_functions_of_the_user_s_cannot_come_between(database: Database) -> None:
    database.run(
        "CREATE SCHEMA evil; CREATE TABLE t (a int);"
        "CREATE FUNCTION evil.jsonb_strip_nulls(jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT NULL::jsonb';"
        "CREATE FUNCTION evil.current_schemas(boolean) RETURNS name[] LANGUAGE sql AS 'SELECT NULL::name[]';"
        "SET search_path = evil, pg_catalog, public"
    )

    assert set(database.look(relation("t")).objects) == {"table public.t"}


def test_an_index_that_is_named_alone_shows_itself_and_what_relies_on_it(database: Database) -> None:
    database.run("CREATE TABLE t (a int PRIMARY KEY, b int UNIQUE); CREATE TABLE u (b int REFERENCES t (b))")

    look = database.look(relation("t_b_key"))

    assert look.objects == {
        "table public.t": {
            "partial": True,
            "indexes": {"t_b_key": {"named": True}},
            "constraints": {"t_b_key": {"definition": "UNIQUE (b)"}},
        },
        "table public.u": {
            "partial": True,
            "constraints": {"u_b_fkey": {"definition": "FOREIGN KEY (b) REFERENCES public.t(b)"}},
        },
    }


def test_a_table_is_told_by_what_is_not_as_usual(database: Database) -> None:
    database.run("CREATE TABLE t (id int PRIMARY KEY, note varchar(20) DEFAULT 'x')")

    assert database.look(relation("t")).objects == {
        "table public.t": {
            "owner": "postgres",
            "columns": [
                {"name": "id", "type": "integer", "not_null": True},
                {
                    "name": "note",
                    "type": "character varying(20)",
                    "not_null": False,
                    "default": "'x'::character varying",
                },
            ],
            "constraints": {"t_pkey": {"definition": "PRIMARY KEY (id)"}},
            "indexes": {"t_pkey": {}},
        }
    }


def test_all_overloads_of_a_routine_are_looked_at(database: Database) -> None:
    database.run(
        "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION f(text, int[]) RETURNS int"
        " LANGUAGE sql AS 'SELECT 1'"
    )

    assert set(database.look(named("routine", "f")).objects) == {
        "function public.f(integer)",
        "function public.f(text, integer[])",
    }


def test_an_invalid_index_is_told(database: Database) -> None:
    database.run("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1)")
    with pytest.raises(Exception, match="could not create unique index"):
        database.run("CREATE UNIQUE INDEX CONCURRENTLY t_a ON t (a)")

    assert database.look(relation("t")).objects["table public.t"]["indexes"]["t_a"]["valid"] is False


SCANS = """
SELECT coalesce(sum(pg_stat_get_xact_numscans(oid)), 0)::int FROM pg_class
WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'
"""


@pytest.mark.parametrize("names", [("t",), ("u",), ("t", "absent"), ("t_a_idx",)])
def test_no_catalog_is_ever_read_from_end_to_end(database: Database, names: tuple[str, ...]) -> None:
    database.run(
        "CREATE TABLE t (id serial PRIMARY KEY, a int DEFAULT 1); CREATE INDEX ON t (a); CREATE TABLE u (a int"
        " REFERENCES t, b text);"
        "CREATE VIEW v AS SELECT * FROM u; COMMENT ON TABLE t IS 'x'"
    )
    touch = relation(*names)
    database.look(touch)
    # The counters of one transaction begin at nothing; what planning and counting themselves read is taken off.
    database.run("BEGIN")
    counting = [database.value(SCANS) for _ in range(3)]
    database.look(touch)
    with_a_look = database.value(SCANS)

    assert with_a_look - counting[2] == counting[2] - counting[1]


def test_everything_is_looked_at_within_a_read_only_transaction(database: Database) -> None:
    database.run("CREATE TABLE t (a int); BEGIN READ ONLY")

    assert "table public.t" in database.look(EVERYTHING).objects
    assert database.look(EVERYTHING).whole


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("GRANT CONNECT ON DATABASE d TO r", "GRANT ON DATABASE changes the database itself"),
        ("COMMENT ON DATABASE d IS 'x'", "COMMENT ON DATABASE changes the database itself"),
        ("ALTER DATABASE d SET work_mem = 1", "ALTER DATABASE changes a database"),
        ("CREATE ROLE r", "CREATE ROLE changes a role"),
        ("ALTER ROLE r SET work_mem = 1", "ALTER ROLE changes a role"),
        ("ALTER ROLE r RENAME TO s", "ALTER ROLE changes a role"),
        ("COMMENT ON ROLE r IS 'x'", "COMMENT ON ROLE changes a role"),
        ("GRANT r TO s", "GRANT changes who is a member of a role"),
        ("ALTER SYSTEM SET work_mem = 1", "ALTER SYSTEM changes the server's settings"),
        ("DROP TABLESPACE t", "DROP TABLESPACE changes a tablespace"),
        ("DROP SUBSCRIPTION s", "DROP SUBSCRIPTION changes a subscription"),
        ("COMMENT ON LARGE OBJECT 1 IS 'x'", "COMMENT ON LARGE OBJECT changes a large object"),
        ("REVOKE SELECT ON pg_catalog.pg_proc FROM PUBLIC", "REVOKE changes an object of PostgreSQL's own"),
    ],
)
def test_what_no_look_can_see_is_told(script: str, expected: str) -> None:
    assert touch_of(f"SELECT 1;\n\n{script}").unseen == (f"line 3: {expected}, which is outside of the schema",)


def test_what_a_look_can_see_is_not_told_as_unseen() -> None:
    assert touch_of("CREATE TABLE t (a int)", "GRANT SELECT ON t TO PUBLIC; DROP TABLE t").unseen == ()
