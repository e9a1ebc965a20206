"""What others commit while a migration or its way back runs, or stands still half way, is theirs: it stays, and nothing
is called exact that nobody can know. And what only defines things is not trusted where it changes rows.
"""

from __future__ import annotations

import threading
import time

import psycopg
import pytest

from tests.acceptance.test_preimages import World, postgresql, sqlite  # noqa: F401 - fixtures
from tests.acceptance.test_rows_as_they_were import ALL, rows, world  # noqa: F401 - a fixture

ZOE = "INSERT INTO users VALUES (9, 'Zoe', 'z');"
SLEEPS = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
STEPS = " transaction:false"


def soon(world: World, sql: str) -> threading.Thread:  # noqa: F811
    """Somebody else does that once the run is under way."""

    def other() -> None:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if world.ask(SLEEPS):
                break
            time.sleep(0.05)
        world.ask(sql)

    thread = threading.Thread(target=other)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("sql", "row"),
    [
        ("UPDATE users SET note = 'theirs' WHERE id = 2", (2, "Bob", "theirs")),
        ("INSERT INTO users VALUES (4, 'Dan', 'd')", (4, "Dan", "d")),
        ("BEGIN; SAVEPOINT a; UPDATE users SET note = 'theirs' WHERE id = 2; COMMIT", (2, "Bob", "theirs")),
    ],
)
@pytest.mark.parametrize("direction", ["up", "down"])
def test_what_others_commit_meanwhile_stays(
    postgresql: World,  # noqa: F811
    direction: str,
    sql: str,
    row: tuple[object, ...],
) -> None:
    pause = {"up": "", "down": ""} | {direction: " SELECT pg_sleep(2);"}
    postgresql.project.write("2_seed", ZOE + pause["up"], "DELETE FROM users WHERE id = 9;" + pause["down"])
    thread = soon(postgresql, sql) if direction == "up" else None
    postgresql.up()
    if thread is None:
        thread = soon(postgresql, sql)
    else:
        thread.join()
    run = postgresql.back()
    thread.join()
    assert run["verdict"] == "unverified", run
    assert row in rows(postgresql)
    assert (9, "Zoe", "z") not in rows(postgresql)


def test_a_savepoint_of_our_own_is_no_reason_for_more_than_doubt(postgresql: World) -> None:  # noqa: F811
    body = "begin begin insert into users values (9, ''Zoe'', null); exception when others then null; end; end"
    postgresql.project.write("2_code", f"DO '{body}';", "DELETE FROM users WHERE id = 9;")
    postgresql.up("--accept-data-loss")
    assert postgresql.back()["verdict"] in ("exact", "unverified")
    assert rows(postgresql) == ALL


def test_what_others_wrote_while_it_stood_still_half_way_stays(world: World) -> None:  # noqa: F811
    down = "DELETE FROM users WHERE id = 9;"
    world.project.write("2_seed", f"{ZOE}\nSELECT * FROM nowhere;", down, options=STEPS)
    world.project.run("up", MIGRATION_ON_FAILURE="stop")
    world.ask("UPDATE users SET note = 'theirs' WHERE id = 2")
    world.ask("DELETE FROM users WHERE id = 3")
    world.ask("INSERT INTO users VALUES (4, 'Dan', 'd')")
    world.project.write("2_seed", f"{ZOE}\nSELECT 1;", down, options=STEPS)
    world.up()
    run = world.back()
    assert run["verdict"] == "unverified", run
    assert rows(world) == [ALL[0], (2, "Bob", "theirs"), (4, "Dan", "d")]


@pytest.mark.parametrize(
    ("up", "down"),
    [
        ("ALTER TABLE users ALTER id TYPE bigint;", "ALTER TABLE users ALTER id TYPE int USING id + 1;"),
        ("ALTER TABLE users ADD z int;", "ALTER TABLE users DROP z, ALTER note TYPE text USING upper(note);"),
        ("CREATE INDEX i ON users (name);", "DROP INDEX i; ALTER TABLE users ALTER name TYPE varchar(40) USING 'x';"),
    ],
)
def test_a_way_back_that_converts_values_is_not_exact(postgresql: World, up: str, down: str) -> None:  # noqa: F811
    postgresql.project.write("2_define", up, down)
    postgresql.up()
    (run,) = postgresql.project.run("rollback", "--json", "--yes").json["data"]
    assert run["verdict"] != "exact" or rows(postgresql) == ALL, run
    assert run["verdict"] != "exact"


def test_a_way_back_that_empties_another_table_is_not_exact_unless_it_is_full_again(world: World) -> None:  # noqa: F811
    world.ask("CREATE TABLE other (i int)")
    world.ask("INSERT INTO other VALUES (7)")
    down = "ALTER TABLE users DROP z; DROP TABLE other; CREATE TABLE other (i int);"
    world.project.write("2_define", "ALTER TABLE users ADD z int;", down)
    world.up()
    (run,) = world.project.run("rollback", "--json", "--yes").json["data"]
    assert (run["verdict"] == "exact") == (world.ask("SELECT * FROM other") == [(7,)]), run


def test_names_that_went_round_in_a_circle_are_not_exact(world: World) -> None:  # noqa: F811
    for name, row in (("one", 1), ("two", 2)):
        world.ask(f"CREATE TABLE {name} (i int)")
        world.ask(f"INSERT INTO {name} VALUES ({row})")
    circle = "ALTER TABLE one RENAME TO aside; ALTER TABLE two RENAME TO one; ALTER TABLE aside RENAME TO two;"
    world.project.write("2_circle", circle, "SELECT 1;")
    world.up()
    (run,) = world.project.run("rollback", "--json", "--yes").json["data"]
    assert (run["verdict"] == "exact") == (world.ask("SELECT * FROM one") == [(1,)]), run


def test_a_scratch_database_of_somebody_else_who_lives_is_left_alone(
    postgresql: World,  # noqa: F811
) -> None:
    url = postgresql.project.environment["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        (other,) = connection.execute("SELECT oid::bigint FROM pg_database WHERE datname = 'template1'").fetchone() or (
            0,
        )
        name = f"bascule_scratch_{other:08x}0a0b0c0d"
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            postgresql.project.well("backup", "create")
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
            assert found == (1,)
        finally:
            connection.execute(f"DROP DATABASE IF EXISTS {name}".encode())


REMADE = "CREATE TABLE anew AS SELECT id FROM users; DROP TABLE users; ALTER TABLE anew RENAME TO users;"
EMPTIES = "DROP TABLE users; CREATE TABLE users (id integer PRIMARY KEY, name varchar(40) NOT NULL, note text);"


def test_a_table_made_anew_under_its_name_is_known_to_be_as_it_was_left(postgresql: World) -> None:  # noqa: F811
    postgresql.project.write("2_anew", REMADE, EMPTIES)
    postgresql.up()
    run = postgresql.back()
    assert (run["verdict"], rows(postgresql)) == ("exact", ALL), run


def test_what_others_wrote_to_a_table_made_anew_stays(postgresql: World) -> None:  # noqa: F811
    postgresql.project.write("2_anew", REMADE, "ALTER TABLE users ADD name varchar(40), ADD note text;")
    postgresql.up()
    postgresql.ask("INSERT INTO users VALUES (4)")
    answer = postgresql.project.run("rollback", "--json")
    assert answer.code == 5, "\n" + answer.out + answer.err
    assert (4, None, None) in rows(postgresql)


def test_what_others_wrote_until_a_table_was_dropped_is_not_thrown_away_unseen(postgresql: World) -> None:  # noqa: F811
    postgresql.project.write("2_anew", f"SELECT pg_sleep(2);\n{REMADE}", EMPTIES)
    thread = soon(postgresql, "INSERT INTO users VALUES (4, 'Dan', 'd')")
    postgresql.up()
    thread.join()
    answer = postgresql.project.run("rollback", "--json")
    assert answer.code == 5, answer
    assert "public.users" in str(answer.json)


def test_a_backup_that_is_older_than_others_rows_is_not_put_back_unasked(world: World) -> None:  # noqa: F811
    much = (
        "INSERT INTO users WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 180) "
        "SELECT i, 'much', {} FROM n"
    )
    text = (
        "hex(randomblob(60000))"
        if world.project.environment["DATABASE_URL"].startswith("sqlite")
        else "(SELECT string_agg(md5(random()::text || g), '') FROM generate_series(1, 4000 + i - i) AS g)"
    )
    world.ask(much.format(text))
    hooks = world.project.folder / "migrations" / "hooks"
    hooks.mkdir(parents=True)
    (hooks / "before_up.sql").write_text("INSERT INTO users VALUES (4, 'Dan', 'd');")
    world.project.write("2_caps", "UPDATE users SET name = upper(name);", "DELETE FROM users;")
    world.up()
    few = "SELECT * FROM users WHERE id < 10 ORDER BY id"
    assert (4, "DAN", "d") in world.ask(few)
    answer = world.project.run("rollback", "--json")
    assert answer.code != 5 or "between the backup and the migration" in str(answer.json), answer
