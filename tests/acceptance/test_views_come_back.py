"""Views that went along with a table or a column are made again; what somebody else has changed since stays theirs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.test_preimages import World, postgresql, sqlite  # noqa: F401 - fixtures

VIEWS = """
create view v with (security_barrier = true) as select id, note as "The note" from users;
create materialized view notes as select upper("The note") as n from v;
create unique index notes_n on notes (n);
create view about as select count(n) as c from notes;
grant select on v to public;
grant insert (id) on v to public;
revoke delete on v from current_user;
comment on column v."The note" is 'it''s kept';
comment on materialized view notes is 'm';
create function refuse() returns trigger language plpgsql as 'begin return null; end';
create trigger nothing instead of insert on v for each row execute function refuse();
"""
LOOK = """
select c.relname, (select array_agg(a::text order by a::text) from unnest(c.relacl) as a), pg_get_viewdef(c.oid),
  c.reloptions::text, obj_description(c.oid, 'pg_class'), col_description(c.oid, 2),
  (select array_agg(tgname::text) from pg_trigger where tgrelid = c.oid),
  (select array_agg(attacl::text order by attnum) from pg_attribute where attrelid = c.oid and attnum > 0),
  (select array_agg(pg_get_indexdef(indexrelid)) from pg_index where indrelid = c.oid)
from pg_class as c where c.relkind in ('v', 'm') and c.relnamespace = 'public'::regnamespace order by 1
"""


def script(world: World, statements: str) -> None:
    for statement in filter(str.strip, statements.split(";\n")):
        world.ask(statement)


@pytest.mark.parametrize(
    ("up", "down"),
    [
        ("ALTER TABLE users DROP COLUMN note CASCADE;", "ALTER TABLE users ADD COLUMN note text;"),
        (
            "DROP TABLE users CASCADE;",
            "CREATE TABLE users (id integer PRIMARY KEY, name varchar(40) NOT NULL, note text);",
        ),
    ],
)
def test_what_cascade_took_away_is_made_again_with_all_that_belongs_to_it(
    postgresql: World,  # noqa: F811
    up: str,
    down: str,
) -> None:
    script(postgresql, VIEWS)
    looked = postgresql.ask(LOOK)
    postgresql.project.write("2_drop", up, down)
    told = postgresql.up()
    assert "view v is missing" not in told.err
    assert postgresql.ask(LOOK) == []
    run = postgresql.back()
    assert run["verdict"] in ("exact", "column_order"), run
    assert postgresql.ask(LOOK) == looked
    assert postgresql.ask("SELECT n FROM notes ORDER BY n") == [("A",), ("C",), (None,)]
    assert "mended: materialized view public.notes made again" in run["notes"]


def test_a_view_of_sqlite_that_the_down_script_forgot_is_made_again(sqlite: World) -> None:  # noqa: F811
    sqlite.ask("CREATE VIEW v AS SELECT note FROM users")
    sqlite.ask("CREATE TRIGGER t INSTEAD OF INSERT ON v BEGIN INSERT INTO users (note) VALUES (new.note); END")
    schema = "SELECT name, sql FROM sqlite_schema WHERE tbl_name = 'v' ORDER BY 1"
    looked = sqlite.ask(schema)
    sqlite.project.write("2_drop", "DROP VIEW v;", "SELECT 1;")
    sqlite.up()
    run = sqlite.back()
    assert (run["verdict"], sqlite.ask(schema)) == ("exact", looked), run


def test_a_trigger_of_a_view_that_the_down_script_made_without_it_is_made_again(
    sqlite: World,  # noqa: F811
) -> None:
    sqlite.ask("CREATE VIEW v AS SELECT note FROM users")
    sqlite.ask("CREATE TRIGGER t INSTEAD OF INSERT ON v BEGIN INSERT INTO users (note) VALUES (new.note); END")
    schema = "SELECT name, sql FROM sqlite_schema WHERE tbl_name = 'v' ORDER BY 1"
    looked = sqlite.ask(schema)
    sqlite.project.write("2_drop", "DROP VIEW v;", "CREATE VIEW v AS SELECT note FROM users;")
    sqlite.up()
    run = sqlite.back()
    assert (run["verdict"], sqlite.ask(schema)) == ("exact", looked), run
    assert "mended: trigger t of v made again" in run["notes"]


THEIRS = {
    "a function": (
        "create function f() returns int language sql as 'select 1'",
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 2';",
        "create or replace function f() returns int language sql as 'select 2 as create'",
        "select prosrc from pg_proc where proname = 'f'",
    ),
    "a default": (
        "alter table users alter note set default 'then'",
        "ALTER TABLE users ALTER note SET DEFAULT 'up';",
        "alter table users alter note drop default",
        "select column_default from information_schema.columns where column_name = 'note'",
    ),
    "an index": (
        "create index users_note on users (note)",
        "DROP INDEX users_note; CREATE INDEX users_note ON users (name);",
        "drop index users_note; create index users_note on users (name, note)",
        "select indexdef from pg_indexes where indexname = 'users_note'",
    ),
    "an index that the up made": (
        "select 1",
        "CREATE INDEX users_name ON users (name);",
        "drop index users_name; create index users_name on users (name, note)",
        "select indexdef from pg_indexes where indexname = 'users_name'",
    ),
}


@pytest.mark.parametrize("case", THEIRS)
def test_what_somebody_else_has_changed_since_the_up_is_not_put_back(
    postgresql: World,  # noqa: F811
    case: str,
) -> None:
    before, up, since, look = THEIRS[case]
    postgresql.ask(before)
    then = postgresql.ask(look)
    postgresql.project.write("2_change", up, "SELECT 1;")
    postgresql.up()
    for statement in since.split("; "):
        postgresql.ask(statement)
    now = postgresql.ask(look)
    run = postgresql.back()
    assert postgresql.ask(look) == now, run
    assert run["verdict"] == "unverified"
    assert "somebody else changed it after the migration had run; it stays" in run["differences"][0]
    # Their work gone, it runs anew and is mended, from how things are now.
    postgresql.project.write("3_none", "SELECT 1;", "SELECT 1;")
    for statement in ("drop index if exists users_name", "drop index if exists users_note", before):
        if case != "a function":
            postgresql.ask(statement)
    fresh: list[Any] = postgresql.ask(look)
    assert case == "a function" or fresh == then
    postgresql.up()
    postgresql.back()
    run = postgresql.back()
    assert (run["verdict"], postgresql.ask(look)) == ("exact", fresh), run


def test_a_migration_that_runs_anew_is_compared_with_how_things_were_then(sqlite: World) -> None:  # noqa: F811
    sqlite.ask("CREATE INDEX i ON users (note)")
    sqlite.project.write("2_drop", "DROP INDEX i;", "SELECT 1;")
    sqlite.up()
    sqlite.back()
    sqlite.ask("DROP INDEX i")
    sqlite.ask("CREATE INDEX i ON users (name) WHERE note > 'n'")
    sqlite.up()
    run = sqlite.back()
    assert run["verdict"] == "exact", run
    assert "WHERE note > 'n'" in sqlite.ask("SELECT sql FROM sqlite_schema WHERE name = 'i'")[0][0]
