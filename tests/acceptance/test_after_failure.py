"""What is done by itself when a run fails half way, breaks the data, or cannot be rolled back, by the command line."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.acceptance.beginnings import begin
from tests.acceptance.commandline import Answer, Project

SHOP = "20240101000000_shop"
BAD = "20240102000000_bad"
STEPS = " transaction:false"
Sql = Callable[[str], list[tuple[Any, ...]]]


class Place:
    """A project and its database."""

    def __init__(self, project: Project, sql: Sql) -> None:
        self.project, self.sql = project, sql

    def fails(self, *arguments: str, code: int = 1, **environment: str) -> Any:
        """Run it, and answer its error, with the words of stderr."""
        answer: Answer = self.project.run(*arguments, "--json", **environment)
        assert answer.code == code, answer
        return answer.json["error"] | {"err": answer.err, "data": answer.json["data"]}

    def script(self, statements: Sequence[str]) -> None:
        """As one script, on one connection."""
        url = self.project.environment["DATABASE_URL"]
        if url.startswith("sqlite"):
            connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
            connection.executescript("\n".join(statements))
            connection.close()
        else:
            with psycopg.connect(url, autocommit=True) as server:
                server.execute("\n".join(statements).encode())

    def users(self) -> list[tuple[Any, ...]]:
        return self.sql("select id, name from users order by id")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    server = None
    if request.param == "sqlite":

        def sqlite(statement: str) -> list[tuple[Any, ...]]:
            connection = sqlite3.connect(tmp_path / "app.db", isolation_level=None)
            try:
                return connection.execute(statement).fetchall()
            finally:
                connection.close()

        place = Place(Project(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/app.db"), sqlite)
    else:
        url, server = (request.getfixturevalue(f"bascule_postgres_{what}") for what in ("url", "server"))

        def postgresql(statement: str) -> list[tuple[Any, ...]]:
            with psycopg.connect(url, autocommit=True) as server:
                cursor = server.execute(statement.encode())
                return cursor.fetchall() if cursor.description else []

        place = Place(Project(tmp_path, DATABASE_URL=url), postgresql)

    def shop() -> None:
        place.project.write(
            SHOP,
            "create table users (id integer primary key, name text, note text);",
            "drop table users;",
        )
        place.project.well("up")
        place.sql("insert into users values (1, 'ann', 'a'), (2, 'bob', 'b')")

    begin(place.project, "a shop", shop, server=server)
    return place


def tables(place: Place) -> set[str]:
    catalog = (
        "sqlite_master where type = 'table'"
        if place.project.environment["DATABASE_URL"].startswith("sqlite")
        else ("(select tablename as name from pg_tables where schemaname = 'public') as t")
    )
    return {
        name for (name,) in place.sql(f"select name from {catalog}") if not name.startswith(("bascule_", "sqlite_"))
    }


def test_a_file_that_fails_at_its_third_step_is_undone_where_nothing_is_lost(place: Place) -> None:
    up = "create table made (id integer primary key);\ncreate index made_id on made (id);\nselect 1 from nowhere;"
    place.project.write(BAD, up, None, options=STEPS)
    error = place.fails("up")
    assert (error["code"], error["state"]) == ("failed", "unchanged")
    recovery = error["recovery"]
    assert (recovery["action"], recovery["policy"], recovery["needsPerson"]) == ("down", "careful", False)
    assert "some of its steps are committed, others are not" in recovery["reasons"]
    assert "as it was before" in recovery["done"]
    assert "its statements are taken back" in error["err"]
    assert error["data"][-1]["recovery"] == recovery
    assert tables(place) == {"users"}
    kinds = [line["event"] for line in place.project.well("logs", BAD, "--json").json]
    assert kinds[-1] == "recovery_ended"
    assert "recovery_decided" in kinds
    # A down script of the author's serves where parsing proves nothing; what is lost by it makes the careful stop.
    place.project.write(BAD, "insert into users values (3, 'cem', '');\n" + up, "drop table made;", options=STEPS)
    error = place.fails("up", "--no-rollback-on-failure")
    assert "recovery" not in error
    assert tables(place) == {"users", "made"}
    place.sql("insert into made values (7)")
    error = place.fails("up")
    assert (error["recovery"]["action"], error["state"]) == ("nothing", "changed")
    assert any("drops" in words or "drop" in words for words in error["recovery"]["reasons"])
    assert place.fails("up", code=5, MIGRATION_ON_FAILURE="stop")["recovery"]["action"] == "stop"
    assert tables(place) == {"users", "made"}
    production = place.fails(
        "up", "--yes-production", "a test", MIGRATION_ON_FAILURE="down", MIGRATION_ENVIRONMENT="production"
    )
    assert production["recovery"]["action"] == "nothing"
    assert "the target is production" in production["recovery"]["reasons"]
    error = place.fails("up", MIGRATION_ON_FAILURE="down")
    assert error["recovery"]["action"] == "down"
    assert tables(place) == {"users"}
    # The down script has left the row that the first step had written, and nothing says "as before".
    assert len(place.users()) == 3
    assert (error["state"], "as it was before" in error["recovery"]["done"]) == ("changed", False)


def test_one_transaction_that_fails_needs_nothing(place: Place) -> None:
    place.project.write(BAD, "create table made (id integer);\ninsert into nowhere values (1);", "drop table made;")
    error = place.fails("up", MIGRATION_ON_FAILURE="stop")
    assert (error["recovery"]["action"], error["recovery"]["done"]) == ("nothing", None)
    assert error["state"] == "unchanged"


def broken_rule(place: Place) -> None:
    """Every order has a user."""
    place.project.write(
        "20240101000001_orders",
        "create table orders (id integer primary key, user_id integer);insert into orders values (1, 1);",
        "drop table orders;",
    )
    place.project.well("up")
    (place.project.folder / "bascule.toml").write_text(
        '[[validation.rules]]\nid = "order_user"\nseverity = "error"\nmessage = "orders without a user"\n'
        'sql = "select o.id from orders as o where not exists (select 1 from users as u where u.id = o.user_id)"\n'
    )


def test_a_migration_that_breaks_the_data_is_undone_by_what_was_kept(place: Place) -> None:
    broken_rule(place)
    place.project.write(BAD, "update orders set user_id = 99;", "select 1;")
    error = place.fails("up")
    assert (error["code"], error["recovery"]["action"]) == ("data_broken", "preimages")
    assert any("new errors in the data" in words for words in error["recovery"]["reasons"])
    assert place.sql("select user_id from orders") == [(1,)]
    assert error["data"][-1]["status"] == "rolled_back"
    assert BAD not in place.project.names()


def test_rows_that_break_the_data_go_by_the_down_only_where_that_is_allowed(place: Place) -> None:
    broken_rule(place)
    place.project.write(BAD, "insert into orders values (2, 99);", "delete from orders where id = 2;")
    error = place.fails("up", code=5)
    assert (error["code"], error["failure"]) == ("needs_decision", "data_broken")
    assert error["recovery"]["action"] == "stop"
    assert f"bascule rollback {BAD}" in error["hint"]
    assert place.sql("select count(*) from orders") == [(2,)]
    place.project.well("rollback", "--accept-data-loss")
    error = place.fails("up", MIGRATION_ON_FAILURE="down")
    assert (error["code"], error["recovery"]["action"]) == ("data_broken", "down")
    assert place.sql("select id from orders") == [(1,)]


def half_way_back(place: Place) -> None:
    place.project.write(
        BAD,
        "create table made (id integer);",
        "alter table users drop column note;\ninsert into nowhere values (1);\ndrop table made;",
    )
    path = place.project.folder / "migrations" / f"{BAD}.sql"
    path.write_text(path.read_text().replace("migrate:down", "migrate:down transaction:false"))
    place.project.well("up")


def test_a_rollback_that_fails_half_way_is_undone_by_its_backup(place: Place) -> None:
    half_way_back(place)
    error = place.fails("rollback", "--accept-data-loss")
    assert (error["recovery"]["action"], error["state"]) == ("restore", "unchanged")
    assert place.sql("select note from users order by id") == [("a",), ("b",)]
    assert BAD in place.project.names()
    status = place.project.well("status", "--json").json
    assert not status["running"]


def test_rows_written_since_stay_and_the_old_ones_are_put_beside(place: Place) -> None:
    half_way_back(place)
    path = place.project.folder / "migrations" / f"{BAD}.sql"
    path.write_text(
        path.read_text().replace(
            "insert into nowhere",
            "delete from users where id = 1;\nupdate users set name = 'eve' where id = 2;\n"
            "insert into users values (3, 'cem');\ninsert into nowhere",
        )
    )
    error = place.fails("rollback", "--accept-data-loss", code=5)
    assert error["recovery"]["action"] == "stop"
    assert place.users() == [(2, "eve"), (3, "cem")]
    assert all(each in error["err"] for each in error["beside"]["merge"])
    (beside,) = error["beside"]["tables"]
    assert beside["rows"] == 2
    place.script(error["beside"]["merge"])
    assert place.users() == [(1, "ann"), (2, "eve"), (3, "cem")]
    # Whose work another value is, nobody knows: it is shown.
    (look,) = error["beside"]["look"]
    assert place.sql(look.rstrip(";")) == [(2, "bob", "eve")]
    # Whoever accepts it gets the backup back.
    backup = error["beside"]["backup"]
    place.project.well("backup", "restore", backup, "--yes")
    assert place.sql("select note from users order by id") == [("a",), ("b",)]
    place.project.well("mark", BAD, "--applied")
    assert not place.project.well("status", "--json").json["running"]
    assert BAD in place.project.names()


def test_a_rollback_that_brings_rows_back_without_their_values_ends_with_the_old_ones_beside(place: Place) -> None:
    place.project.write(BAD, "alter table users drop column note;", "alter table users add column note text;")
    place.project.well("up", "--accept-data-loss", MIGRATION_PREIMAGE_RETENTION="0d")
    place.sql("insert into users (id, name) values (3, 'cem')")
    error = place.fails("rollback", code=5, MIGRATION_PREIMAGE_RETENTION="0d")
    assert (error["code"], error["failure"]) == ("needs_decision", "rollback_lossy")
    assert BAD not in place.project.names()
    assert error["beside"]["look"] == []
    place.sql("update users set note = 'theirs' where id = 2")
    place.script(error["beside"]["merge"])
    assert place.sql("select note from users order by id") == [("a",), ("theirs",), (None,)]


@pytest.mark.postgresql
@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_an_invalid_index_goes_with_what_is_undone(place: Place) -> None:
    place.sql("insert into users values (3, 'ann', 'c')")
    place.project.write(
        BAD,
        "create table made (id integer);\nalter table users add column age integer;\n"
        "create unique index concurrently users_name on users (name);",
        None,
    )
    error = place.fails("up", "--no-validate")
    assert (error["recovery"]["action"], error["state"]) == ("down", "unchanged")
    assert "next run clears" not in error["err"]
    assert place.sql("select relname from pg_class where relname in ('users_name', 'made')") == []


@pytest.mark.postgresql
@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_steps_that_stay_are_said_to_with_the_reasons_and_status_tells_up_from_rollback(place: Place) -> None:
    place.project.write(
        BAD,
        "update users set name = upper(name);\ncreate index concurrently users_name on users (name);\nselect 1 / 0;",
        "drop index concurrently if exists users_name;\nselect 1 / 0;",
        options=STEPS,
    )
    error = place.fails("up")
    assert error["recovery"]["action"] == "nothing"
    assert "After the failure nothing is undone (run.on_failure = careful), because some of its steps" in error["err"]
    assert "bascule up` goes on" in place.project.well("status").out
    path = place.project.folder / "migrations" / f"{BAD}.sql"
    path.write_text(path.read_text().replace("select 1 / 0;", "select 1;", 1).replace("down", "down transaction:false"))
    place.project.well("up")
    error = place.fails("rollback", MIGRATION_BACKUP_ENABLED="false")
    assert "After the failure nothing is undone" in error["err"]
    told = place.project.well("status").out
    assert "bascule rollback` goes on" in told
    assert "bascule up` goes on" not in told
    assert place.project.well("status", "--json").json["halfRolledBack"] == [BAD]


@pytest.mark.postgresql
@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_a_backup_that_is_put_back_takes_nothing_of_others_along(place: Place) -> None:
    place.sql("create table orders (id int primary key, user_id int references users)")
    place.sql("create materialized view named as select name from users")
    place.project.write(
        BAD, "drop table users cascade;", "create table users (id integer primary key, name text, note text);"
    )
    place.project.well("up", "--accept-data-loss")
    place.sql("create index theirs on orders (user_id)")
    place.sql("grant select on orders to public")
    place.project.run("rollback")
    assert place.sql("select indexname from pg_indexes where indexname = 'theirs'") == [("theirs",)]
    assert place.sql("select 1 from pg_class where relname = 'orders' and relacl::text like '%=r/%'") == [(1,)]
    assert place.users() == [(1, "ann"), (2, "bob")]
