"""After a rollback the rows are looked at too, and made as they were where nobody else wrote since."""

from __future__ import annotations

import pytest

from tests.acceptance.test_preimages import World, postgresql, sqlite  # noqa: F401 - fixtures

ALL = [(1, "Ann", "a"), (2, "Bob", None), (3, "Cid", "c")]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def world(request: pytest.FixtureRequest) -> World:
    found: World = request.getfixturevalue(request.param)
    return found


def rows(world: World) -> list[tuple[object, ...]]:
    return world.ask("SELECT * FROM users ORDER BY id")


def test_what_the_down_script_takes_too_much_is_put_back(world: World) -> None:
    world.project.write("2_seed", "INSERT INTO users VALUES (9, 'Zoe', 'z');", "DELETE FROM users;")
    world.up()
    run = world.back()
    assert (run["verdict"], rows(world)) == ("exact", ALL), run
    assert any(note.startswith("mended: rows of") and "3 put back" in note for note in run["notes"])
    assert any(each["whole"] for each in run["rowsLookedAt"])


def test_what_the_migration_added_and_nobody_took_away_is_gone(world: World) -> None:
    world.project.write(
        "2_seed", "INSERT INTO users VALUES (9, 'Zoe', 'z'); UPDATE users SET note = 'n' WHERE id = 2;", "SELECT 1;"
    )
    world.up()
    run = world.back()
    assert (run["verdict"], rows(world)) == ("exact", ALL), run


def test_rows_that_somebody_wrote_since_stay_and_the_doubt_is_told(world: World) -> None:
    world.project.write("2_seed", "INSERT INTO users VALUES (9, 'Zoe', 'z');", "DELETE FROM users WHERE id > 8;")
    world.up()
    world.ask("INSERT INTO users VALUES (4, 'Dan', 'd')")
    run = world.back()
    assert rows(world) == [*ALL, (4, "Dan", "d")]
    assert run["verdict"] == "unverified"
    assert "because others wrote to it since" in run["differences"][-1]


def test_what_a_trigger_changed_beside_is_as_it_was(postgresql: World) -> None:  # noqa: F811
    postgresql.ask("ALTER TABLE users ADD touched int NOT NULL DEFAULT 0")
    postgresql.ask(
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS "
        "'begin new.touched := old.touched + 1; return new; end'"
    )
    postgresql.ask("CREATE TRIGGER touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch()")
    postgresql.project.write("2_caps", "UPDATE users SET name = upper(name);", "UPDATE users SET name = initcap(name);")
    postgresql.up()
    assert postgresql.ask("SELECT DISTINCT touched FROM users") == [(1,)]
    run = postgresql.back()
    assert run["verdict"] == "exact", run
    assert postgresql.ask("SELECT name, touched FROM users ORDER BY id") == [("Ann", 0), ("Bob", 0), ("Cid", 0)]


def test_rows_that_follow_others_are_never_taken_along(postgresql: World) -> None:  # noqa: F811
    postgresql.ask("CREATE TABLE posts (author int REFERENCES users ON DELETE CASCADE)")
    postgresql.project.write("2_seed", "INSERT INTO users VALUES (9, 'Zoe', 'z');", "SELECT 1;")
    postgresql.up()
    postgresql.ask("INSERT INTO posts VALUES (9)")
    run = postgresql.back()
    assert postgresql.ask("SELECT count(*) FROM posts") == [(1,)]
    assert run["verdict"] == "lossy"
    assert "rows of public.posts refer to it" in run["differences"][-1]


def test_what_code_changed_is_put_back_too(postgresql: World) -> None:  # noqa: F811
    postgresql.ask("CREATE TABLE aside (id int PRIMARY KEY)")
    code = "DO 'begin delete from users where id = 3; update users set note = null; end';"
    postgresql.project.write("2_code", code, "SELECT 1;")
    postgresql.up("--accept-data-loss")
    # A table that the code did not write to is nobody's concern.
    postgresql.ask("INSERT INTO aside VALUES (1)")
    run = postgresql.back()
    assert (run["verdict"], rows(postgresql)) == ("exact", ALL), run
    assert postgresql.ask("SELECT * FROM aside") == [(1,)]


def test_what_code_changed_where_others_wrote_since_stops_for_a_person(postgresql: World) -> None:  # noqa: F811
    postgresql.project.write("2_code", "DO 'begin delete from users where id = 3; end';", "SELECT 1;")
    postgresql.up("--accept-data-loss")
    postgresql.ask("INSERT INTO users VALUES (4, 'Dan', 'd')")
    done = postgresql.project.run("rollback", "--json")
    assert done.code == 5, done
    assert "of which nothing is kept" in done.json["message"], done.json
    assert "INSERT INTO" in done.json["message"]
    assert rows(postgresql) == [*ALL[:2], (4, "Dan", "d")]


def test_production_wants_a_backup_or_a_word_for_code_that_may_destroy(postgresql: World) -> None:  # noqa: F811
    postgresql.project.write("2_code", "DO 'begin delete from users; end';", "SELECT 1;")
    given = ("up", "--no-backup", "--yes-production", "a test")
    done = postgresql.project.run(*given, MIGRATION_ENVIRONMENT="production")
    assert done.code == 3, done
    assert "line 2 DO: what it destroys is not known, and there is no backup of before" in done.err
    assert len(rows(postgresql)) == len(ALL)


def test_children_of_a_table_are_as_they_were(postgresql: World) -> None:  # noqa: F811
    postgresql.ask("CREATE TABLE more (PRIMARY KEY (id)) INHERITS (users)")
    postgresql.ask("INSERT INTO more VALUES (7, 'Gil', 'g')")
    both = "UPDATE users SET name = 'x'; ALTER TABLE users DROP COLUMN note;"
    postgresql.project.write("2_more", both, "ALTER TABLE users ADD COLUMN note text;")
    postgresql.up("--accept-data-loss")
    run = postgresql.back()
    assert (run["verdict"], rows(postgresql)) == ("exact", [*ALL, (7, "Gil", "g")]), run
    assert postgresql.ask("SELECT * FROM ONLY users ORDER BY id") == ALL


def test_what_python_changed_is_as_it_was(sqlite: World) -> None:  # noqa: F811
    text = (
        "def up(op):\n    op.execute(\"update users set name = 'x'\")\n    op.drop_column('users', 'note')\n\n\n"
        "def down(op):\n    op.execute('alter table users add column note text')\n"
    )
    (sqlite.project.folder / "migrations" / "2_python.py").write_text(text)
    sqlite.up("--accept-data-loss")
    run = sqlite.back()
    assert (run["verdict"], rows(sqlite)) == ("exact", ALL), run


def test_what_a_trigger_logged_goes_with_what_it_logged(world: World) -> None:
    world.ask("CREATE TABLE log (id integer PRIMARY KEY, who int)")
    if world.project.environment["DATABASE_URL"].startswith("postgres"):
        world.ask("ALTER TABLE log ALTER id ADD GENERATED ALWAYS AS IDENTITY")
        body = "'begin insert into log (who) values (new.id); return null; end'"
        world.ask(f"CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS {body}")
        world.ask("CREATE TRIGGER log AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION log()")
    else:
        world.ask("CREATE TRIGGER log AFTER UPDATE ON users BEGIN INSERT INTO log (who) VALUES (new.id); END")
    world.project.write("2_caps", "UPDATE users SET name = upper(name);", "UPDATE users SET name = lower(name);")
    world.up()
    run = world.back()
    assert (run["verdict"], rows(world)) == ("exact", ALL), run
    assert world.ask("SELECT * FROM log") == []


def test_a_sequence_that_was_set_is_no_exact_rollback(postgresql: World) -> None:  # noqa: F811
    postgresql.ask("CREATE SEQUENCE counter")
    postgresql.project.write("2_set", "SELECT setval('counter', 100);", "SELECT 1;")
    postgresql.up()
    run = postgresql.back()
    assert run["verdict"] == "unverified", run
    assert "sets the next value of a sequence" in " ".join(run["differences"])


def test_of_what_is_to_be_forgotten_no_copy_is_made(world: World) -> None:
    world.project.write(
        "2_forget",
        "-- bascule: no-preimage erasure\nUPDATE users SET note = NULL;\nINSERT INTO users VALUES (9, 'Zoe', 'z');",
        "DELETE FROM users WHERE id = 9;",
    )
    world.up("--accept-data-loss")
    if world.project.environment["DATABASE_URL"].startswith("postgres"):
        assert world.ask("SELECT store FROM bascule.rowlook WHERE migration = '2_forget'") == [(None,)]
    else:
        kept = world.ask("SELECT name FROM sqlite_master WHERE name LIKE 'bascule_preimage_rows_%'")
        assert kept == []
    assert world.back()["verdict"] == "lossy"


def test_rows_that_went_along_with_others_are_put_back(postgresql: World) -> None:  # noqa: F811
    postgresql.ask("CREATE TABLE posts (id int PRIMARY KEY, author int REFERENCES users ON DELETE CASCADE)")
    postgresql.ask("INSERT INTO posts VALUES (1, 1), (2, 3)")
    postgresql.project.write("2_less", "DELETE FROM users WHERE id = 3;", "SELECT 1;")
    postgresql.up("--accept-data-loss")
    assert postgresql.ask("SELECT count(*) FROM posts") == [(1,)]
    run = postgresql.back()
    assert (run["verdict"], rows(postgresql)) == ("exact", ALL), run
    assert postgresql.ask("SELECT * FROM posts ORDER BY id") == [(1, 1), (2, 3)]


def test_what_the_session_did_before_is_not_held_against_a_migration(postgresql: World) -> None:  # noqa: F811
    postgresql.ask("CREATE TABLE other (id int PRIMARY KEY)")
    postgresql.project.write("2_fill", "INSERT INTO other VALUES (1), (2);", "DELETE FROM other;")
    postgresql.project.write("3_caps", "UPDATE users SET name = upper(name);", "SELECT 1;")
    postgresql.project.write("4_empty", "TRUNCATE other CASCADE;", "SELECT 1;")
    postgresql.up("--accept-data-loss")
    for name in ("4_empty", "3_caps", "2_fill"):
        run = postgresql.back()
        assert (run["name"], run["verdict"]) == (name, "exact"), run


def test_what_somebody_else_made_of_it_since_is_not_mended(postgresql: World) -> None:  # noqa: F811
    postgresql.ask("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    postgresql.ask("ALTER TABLE users ALTER name SET DEFAULT 'a'")
    postgresql.project.write(
        "2_more",
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2';\n"
        "ALTER TABLE users ALTER name SET DEFAULT 'b';",
        "SELECT 1;",
    )
    postgresql.up()
    postgresql.ask("CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 333'")
    postgresql.ask("ALTER TABLE users ALTER name SET DEFAULT 'theirs'")
    assert postgresql.back()["verdict"] == "unverified"
    assert postgresql.ask("SELECT f()") == [(333,)]


def test_sqlites_own_tables_need_no_backup(sqlite: World) -> None:  # noqa: F811
    sqlite.ask("CREATE TABLE counted (id integer PRIMARY KEY AUTOINCREMENT)")
    sqlite.ask("INSERT INTO counted VALUES (7)")
    sqlite.project.write("2_counter", "DELETE FROM sqlite_sequence WHERE name = 'counted';", "SELECT 1;")
    sqlite.up("--accept-data-loss")
    assert sqlite.ask("SELECT count(*) FROM sqlite_sequence WHERE name = 'counted'") == [(0,)]


def test_whether_anybody_wrote_behind_a_rollback_is_seen(world: World) -> None:
    """What a backup may replace without asking is only what the rollback itself has left."""
    from bascule.config.load import load
    from bascule.wiring import open_target

    def left() -> frozenset[str]:
        settings = load(environ=world.project.environment, folder=world.project.folder)
        target = open_target(settings, read_only=True)
        try:
            return target.preimages().as_left("2_seed")
        finally:
            target.close()

    world.project.write("2_seed", "UPDATE users SET note = 'n' WHERE id = 2;", "SELECT 1;")
    world.up()
    world.back()
    assert {each.rpartition(".")[2].strip('"') for each in left()} == {"users"}
    world.ask("UPDATE users SET name = 'Eve' WHERE id = 3")
    assert left() == frozenset()


def test_a_down_that_takes_rows_of_others_along_is_a_loss(postgresql: World) -> None:  # noqa: F811
    postgresql.project.write("2_caps", "UPDATE users SET name = upper(name);", "DELETE FROM users;")
    postgresql.up()
    postgresql.ask("INSERT INTO users VALUES (50, 'Oda', 'o')")
    answer = postgresql.project.run("rollback", "--yes", "--json")
    assert answer.code == 5, answer
    error = answer.json["error"]
    assert "took away 4 rows, none of them the migration's" in answer.json["message"]
    postgresql.ask(" ".join(error["beside"]["merge"]))
    assert [row[:2] for row in rows(postgresql)] == [(1, "Ann"), (2, "Bob"), (3, "Cid")]
