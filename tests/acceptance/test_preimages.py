"""What an up destroys is back after the rollback, on both databases, and the report says what came back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bascule.testing import PostgresServer
from tests.acceptance.beginnings import begin
from tests.acceptance.commandline import Answer, Project

Ask = Callable[[str], list[tuple[Any, ...]]]


class World:
    """A project and its database."""

    def __init__(self, project: Project, ask: Ask) -> None:
        self.project = project
        self.ask = ask

    def up(self, *arguments: str) -> Answer:
        return self.project.well("up", *arguments)

    def back(self) -> dict[str, Any]:
        (run,) = self.project.well("rollback", "--json").json["data"]
        found: dict[str, Any] = run
        return found


def _sqlite(folder: Path) -> World:
    def ask(sql: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(folder / "app.db", isolation_level=None)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    return World(Project(folder, DATABASE_URL="sqlite:///app.db"), ask)


def _postgresql(folder: Path, url: str) -> World:
    def ask(sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    return World(Project(folder, DATABASE_URL=url), ask)


@pytest.fixture
def sqlite(tmp_path: Path) -> World:
    return _with_users(_sqlite(tmp_path))


@pytest.fixture
def postgresql(tmp_path: Path, bascule_postgres_url: str, bascule_postgres_server: PostgresServer) -> World:
    return _with_users(_postgresql(tmp_path, bascule_postgres_url), bascule_postgres_server)


def _with_users(world: World, server: PostgresServer | None = None) -> World:
    def users() -> None:
        world.project.write(
            "1_users",
            "CREATE TABLE users (id integer PRIMARY KEY, name varchar(40) NOT NULL, note text);\n"
            "INSERT INTO users VALUES (1, 'Ann', 'a'), (2, 'Bob', NULL), (3, 'Cid', 'c');",
            "DROP TABLE users;",
        )
        world.up()

    begin(world.project, "three users", users, server=server)
    return world


def stories(world: World) -> None:
    a_dropped_column(world)
    a_dropped_table(world)
    overwritten_values(world)
    deleted_rows(world)


def a_dropped_column(world: World) -> None:
    path = world.project.write(
        "2_drop", "ALTER TABLE users DROP COLUMN note;", "ALTER TABLE users ADD COLUMN note text;"
    )
    told = world.up()
    assert "Cannot be undone" not in told.err
    world.ask("INSERT INTO users VALUES (4, 'Dan')")
    world.ask("DELETE FROM users WHERE id = 3")
    run = world.back()
    assert world.ask("SELECT id, note FROM users ORDER BY id") == [(1, "a"), (2, None), (4, None)]
    assert run["verdict"] == "exact", run
    assert run["preImages"][0] | {"rows": 2, "gone": 1, "newer": 1} == run["preImages"][0]
    assert any("2 values put back" in note for note in run["notes"])
    world.ask("INSERT INTO users VALUES (3, 'Cid', 'c')")
    world.ask("DELETE FROM users WHERE id = 4")
    path.unlink()


def a_dropped_table(world: World) -> None:
    path = world.project.write(
        "2_gone",
        "DROP TABLE users;",
        "CREATE TABLE users (id integer PRIMARY KEY, name varchar(40) NOT NULL, note text);",
    )
    world.up()
    run = world.back()
    assert world.ask("SELECT * FROM users ORDER BY id") == [(1, "Ann", "a"), (2, "Bob", None), (3, "Cid", "c")]
    assert run["verdict"] == "exact", run
    assert run["preImages"][0]["rows"] == 3
    path.unlink()


def overwritten_values(world: World) -> None:
    path = world.project.write("2_shout", "UPDATE users SET name = upper(name) WHERE id > 1;", "SELECT 1;")
    world.up()
    assert world.ask("SELECT name FROM users ORDER BY id") == [("Ann",), ("BOB",), ("CID",)]
    world.ask("UPDATE users SET name = 'Carl' WHERE id = 3")
    run = world.back()
    assert world.ask("SELECT name FROM users ORDER BY id") == [("Ann",), ("Bob",), ("Carl",)]
    assert run["preImages"][0] | {"rows": 1, "changed": 1} == run["preImages"][0]
    world.ask("UPDATE users SET name = 'Cid' WHERE id = 3")
    path.unlink()


def deleted_rows(world: World) -> None:
    path = world.project.write("2_delete", "DELETE FROM users WHERE id < 3;", "SELECT 1;")
    world.up()
    world.ask("INSERT INTO users VALUES (2, 'New', 'n')")
    run = world.back()
    assert world.ask("SELECT * FROM users ORDER BY id") == [(1, "Ann", "a"), (2, "New", "n"), (3, "Cid", "c")]
    assert run["preImages"][0] | {"rows": 1, "changed": 1} == run["preImages"][0]
    path.unlink()


def test_what_sqlite_lost_is_back(sqlite: World) -> None:
    stories(sqlite)


def test_what_postgresql_lost_is_back(postgresql: World) -> None:
    stories(postgresql)


def test_what_a_down_script_forgot_is_mended(postgresql: World) -> None:
    postgresql.project.write(
        "2_more",
        "ALTER TABLE users ADD COLUMN price numeric(8,2) NOT NULL DEFAULT 1.50 CHECK (price > 0);\n"
        "CREATE INDEX users_price ON users ((price * 2)) WHERE price > 1;\n"
        "ALTER TABLE users ADD CONSTRAINT price_once UNIQUE (id, price);\n"
        "COMMENT ON COLUMN users.price IS 'what it\\costs, in ''€''';\n"
        "UPDATE users SET price = id;",
        "ALTER TABLE users DROP COLUMN price;",
    )
    postgresql.up()
    postgresql.project.write(
        "3_less", "ALTER TABLE users DROP COLUMN price;", "ALTER TABLE users ADD COLUMN price numeric(8,2);"
    )
    postgresql.up()
    run = postgresql.back()
    assert run["verdict"] == "exact", run
    assert sum(note.startswith("mended: ") for note in run["notes"]) == 6, run["notes"]
    assert postgresql.ask("SELECT id, price::text FROM users ORDER BY id") == [(1, "1.00"), (2, "2.00"), (3, "3.00")]


def test_what_sqlite_forgot_is_mended(sqlite: World) -> None:
    sqlite.project.write("2_more", "CREATE INDEX notes ON users (lower(note));", "DROP INDEX notes;")
    sqlite.project.write("3_less", "DROP INDEX notes;", "SELECT 1;")
    sqlite.up()
    run = sqlite.back()
    assert run["verdict"] == "exact", run
    assert "mended: index notes of users made again" in run["notes"]


def test_without_backup_nothing_is_kept(postgresql: World) -> None:
    postgresql.project.write("2_drop", "ALTER TABLE users DROP COLUMN note;", "ALTER TABLE users ADD COLUMN note text;")
    told = postgresql.up("--no-backup")
    assert "Cannot be undone: 2_drop: line 2 drops column users.note" in told.err
    assert "preImages" not in postgresql.back()
    assert postgresql.ask("SELECT count(note) FROM users") == [(0,)]


def test_what_its_author_wants_gone_is_gone(postgresql: World) -> None:
    postgresql.project.write(
        "2_forget",
        "-- bascule: no-preimage erasure of personal data\nALTER TABLE users DROP COLUMN note;",
        "ALTER TABLE users ADD COLUMN note text;",
    )
    told = postgresql.up()
    lost = "2_forget: line 3 drops column users.note (not kept: erasure of personal data)"
    assert f"Cannot be undone: {lost}" in told.err
    assert "Cannot be undone: 2_forget: line 3 drops column users.note" in told.err
    run = postgresql.back()
    assert run["verdict"] == "lossy"
    assert run["differences"] == [
        "line 3 drops column users.note: not put back, because nothing was kept: erasure of personal data"
    ]


def test_production_takes_what_is_kept_for_no_loss(postgresql: World) -> None:
    postgresql.project.write("2_drop", "ALTER TABLE users DROP COLUMN note;", "ALTER TABLE users ADD COLUMN note text;")
    production = {"MIGRATION_ENVIRONMENT": "production"}
    refused = postgresql.project.run("up", "--no-backup", "--yes-production", "test", **production)
    assert refused.code == 3, refused
    postgresql.project.well("up", "--yes-production", "test", **production)


def test_what_was_kept_long_enough_is_thrown_away(postgresql: World) -> None:
    postgresql.project.write("2_drop", "ALTER TABLE users DROP COLUMN note;", "ALTER TABLE users ADD COLUMN note text;")
    postgresql.up()
    for table in ("preimage", "rowlook"):
        postgresql.ask(f"UPDATE bascule.{table} SET at = at - interval '31 days'")
    postgresql.project.write("3_other", "CREATE TABLE other (id int);", "DROP TABLE other;")
    postgresql.up()
    assert postgresql.ask("SELECT store, why FROM bascule.preimage") == [(None, "it was kept until its time was over")]
    postgresql.project.well("rollback")
    (run,) = postgresql.project.well("rollback", "--accept-data-loss", "--json").json["data"]
    # The backup of before the up still has it, and nobody has written since.
    assert run["recovery"]["action"] == "restore"
    assert (run["verdict"], postgresql.ask("SELECT note FROM users WHERE id = 1")) == ("exact", [("a",)])


def test_a_script_of_several_transactions_gives_back_too(postgresql: World) -> None:
    postgresql.project.write(
        "2_steps",
        "UPDATE users SET name = name || '!';\nCREATE INDEX CONCURRENTLY on_name ON users (name);\n"
        "ALTER TABLE users DROP COLUMN note;",
        "ALTER TABLE users ADD COLUMN note text;\nDROP INDEX CONCURRENTLY on_name;\nSELECT 1;",
    )
    postgresql.up()
    assert postgresql.ask("SELECT name FROM users WHERE id = 1") == [("Ann!",)]
    run = postgresql.back()
    assert postgresql.ask("SELECT * FROM users ORDER BY id") == [(1, "Ann", "a"), (2, "Bob", None), (3, "Cid", "c")]
    assert run["verdict"] == "exact"


def test_sqlites_way_to_alter_a_table_loses_no_column(sqlite: World) -> None:
    sqlite.project.write(
        "2_anew",
        "CREATE TABLE new (id integer PRIMARY KEY, name varchar(40) NOT NULL);\n"
        "INSERT INTO new SELECT id, name FROM users;\nDROP TABLE users;\nALTER TABLE new RENAME TO users;",
        "ALTER TABLE users ADD COLUMN note text;",
    )
    sqlite.up()
    sqlite.ask("DELETE FROM users WHERE id = 3")
    sqlite.ask("UPDATE users SET name = 'Anna' WHERE id = 1")
    run = sqlite.back()
    assert sqlite.ask("SELECT * FROM users ORDER BY id") == [(1, "Anna", "a"), (2, "Bob", None)]
    assert run["preImages"][0] | {"rows": 2, "gone": 1} == run["preImages"][0]


def test_a_column_that_its_down_script_wants_not_null_at_once_comes_back(postgresql: World) -> None:
    postgresql.ask(
        "ALTER TABLE users ADD born date NOT NULL DEFAULT '2000-01-01', ADD \"Kind\" text NOT NULL DEFAULT 'x'"
    )
    postgresql.ask('ALTER TABLE users ALTER born DROP DEFAULT, ALTER "Kind" DROP DEFAULT')
    postgresql.project.write(
        "2_drop",
        'ALTER TABLE users DROP COLUMN born, DROP "Kind";',
        "ALTER TABLE users ADD COLUMN born date /* é */ NOT NULL,\n"
        'ADD "Kind" text CHECK ("Kind" <> \'\') NOT /**/ NULL;\n'
        'ALTER TABLE users DROP CONSTRAINT "users_Kind_check";',
    )
    postgresql.up()
    run = postgresql.back()
    assert run["verdict"] == "exact", run
    assert postgresql.ask('SELECT born::text, "Kind" FROM users') == [("2000-01-01", "x")] * 3


def test_without_a_down_script_what_parsing_proves_leads_back(postgresql: World) -> None:
    postgresql.project.write(
        "2_more",
        "ALTER TABLE users ADD COLUMN age int;\nCREATE INDEX ages ON users (age);\n"
        "ALTER TABLE users RENAME COLUMN note TO notes;",
        None,
    )
    told = postgresql.up()
    assert "Cannot be undone" not in told.err
    assert postgresql.back()["verdict"] == "exact"
    assert postgresql.ask("SELECT note FROM users WHERE id = 1") == [("a",)]


def test_a_column_that_the_down_script_forgot_is_made_again_with_its_values(postgresql: World) -> None:
    postgresql.ask("ALTER TABLE users ADD born date NOT NULL DEFAULT '2000-01-01'; CREATE INDEX births ON users (born)")
    postgresql.project.write("2_drop", "ALTER TABLE users DROP COLUMN born;", "SELECT 1;")
    postgresql.up()
    run = postgresql.back()
    assert run["verdict"] == "exact", run
    assert postgresql.ask("SELECT born::text FROM users") == [("2000-01-01",)] * 3
    assert run["preImages"][0]["rows"] == 3


def test_a_column_without_its_values_is_not_made_again(postgresql: World) -> None:
    postgresql.project.write("2_drop", "ALTER TABLE users DROP COLUMN note;", "SELECT 1;")
    postgresql.up("--no-backup")
    run = postgresql.back()
    assert run["verdict"] == "lossy"
    assert run["differences"] == ["table public.users: column note is missing"]


def test_overwritten_values_that_could_not_be_kept_are_unverified_where_others_wrote_since(postgresql: World) -> None:
    postgresql.project.write("2_key", "UPDATE users SET id = id + 10;", "UPDATE users SET id = id - 10;")
    postgresql.up()
    postgresql.ask("INSERT INTO users VALUES (14, 'Dan')")
    run = postgresql.back()
    assert run["verdict"] == "unverified"
    assert "the key of users itself is changed" in run["differences"][0]
    postgresql.up()
    run = postgresql.back()
    assert run["verdict"] == "exact", run
    assert "all 4 rows of public.users are as they were" in run["notes"]


def test_a_down_script_that_writes_rows_itself_is_in_nobodys_way(postgresql: World) -> None:
    postgresql.ask("ALTER TABLE users ADD UNIQUE (id, name), ALTER name SET DEFAULT 'x'")
    postgresql.project.write(
        "2_merge",
        "CREATE TABLE people AS SELECT id, name FROM users;\nDROP TABLE users;",
        "CREATE TABLE users (id integer PRIMARY KEY, name varchar(40) NOT NULL, note text);\n"
        "INSERT INTO users SELECT id, name FROM people;\nDROP TABLE people;",
    )
    postgresql.up()
    postgresql.ask("INSERT INTO people VALUES (4, 'Dan')")
    run = postgresql.back()
    kept = [(1, "Ann", "a"), (2, "Bob", None), (3, "Cid", "c")]
    assert postgresql.ask("SELECT * FROM users ORDER BY id") == [*kept, (4, "Dan", None)]
    assert run["verdict"] == "exact", run


def test_a_dropped_key_is_found_again_by_another_one(postgresql: World) -> None:
    postgresql.ask("ALTER TABLE users ADD UNIQUE (name)")
    postgresql.project.write("2_no_id", "ALTER TABLE users DROP id;", "ALTER TABLE users ADD id int NOT NULL;")
    postgresql.up()
    kept = postgresql.ask("SELECT key_columns, rows, why FROM bascule.preimage WHERE migration = '2_no_id'")
    assert kept == [(["name"], 3, None)]
    assert postgresql.back()["verdict"] == "column_order"
    assert postgresql.ask("SELECT id, name FROM users ORDER BY id") == [(1, "Ann"), (2, "Bob"), (3, "Cid")]
