"""What a down script will leave different is told by the scripts, or by them and a look at the catalog."""

from __future__ import annotations

from typing import Any

import pytest

from bascule.domain.migration import Migration, MigrationRef, Script
from bascule.domain.statement import Dialect, Insight, Statement
from bascule.domain.way_back import Foretold
from bascule.planning.steps import plan_migration, read_script
from bascule.rollback.foretold import follow, foretell, mirrored
from bascule.rollback.pictures.catalog import pictured
from bascule.rollback.pictures.picture import Picture

BEFORE = {
    "postgresql": """
        CREATE TYPE mood AS ENUM ('sad', 'happy');
        CREATE TABLE users (id serial PRIMARY KEY, name varchar(40) NOT NULL DEFAULT '-', email text UNIQUE, m mood);
        CREATE TABLE notes (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, body text NOT NULL);
        CREATE INDEX users_lower ON users (lower(name)) WHERE email IS NOT NULL;
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
        CREATE TRIGGER tr BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION f();
        CREATE VIEW v AS SELECT id FROM notes;
        CREATE SEQUENCE s;
    """,
    "sqlite": """
        CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT '-', email TEXT, UNIQUE (email));
        CREATE INDEX users_name ON users (name);
        CREATE TRIGGER tr AFTER INSERT ON users BEGIN SELECT 1; END;
    """,
}


def read(dialect: Dialect, script: Script) -> list[tuple[Statement, Insight]]:
    return list(zip(*read_script(script, dialect), strict=True))


def told(up: str, down: str | None, dialect: Dialect = "postgresql", *, blind: bool = False) -> Foretold:
    picture = Picture(known=not blind)
    if not blind:
        follow(read(dialect, Script(text=BEFORE[dialect], path="b.sql")), dialect, picture)
    ref = MigrationRef(name="m", version="1", order=(1,), path="m.sql")
    back = None if down is None else Script(text=down, path="m.sql")
    migration = Migration(ref=ref, up=Script(text=up, path="m.sql"), down=back, exact_hash="e")
    planned = plan_migration(migration, "up", dialect)
    return foretell(planned, dialect, picture, lambda script: read(dialect, script))


NOTES = """CREATE TABLE notes (id integer NOT NULL, user_id integer, body text NOT NULL, PRIMARY KEY (id),
    CONSTRAINT notes_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE)"""
TRIGGER = """CREATE FUNCTION f() RETURNS trigger AS $$ BEGIN RETURN NEW; END $$ LANGUAGE plpgsql;
    CREATE TRIGGER tr BEFORE INSERT ON users FOR EACH ROW EXECUTE PROCEDURE f()"""
EXACT = [
    ("CREATE TABLE a (i int); CREATE INDEX ON a (i)", "DROP TABLE a"),
    ("ALTER TABLE users ADD COLUMN x int DEFAULT 3", "ALTER TABLE users DROP COLUMN x"),
    ("ALTER TABLE users DROP COLUMN email", "ALTER TABLE users ADD COLUMN email text UNIQUE; " + 2 * "SELECT 1;"),
    ("ALTER TABLE users ALTER name TYPE text", "ALTER TABLE users ALTER name TYPE character varying(40)"),
    ("ALTER TABLE users RENAME name TO n", "ALTER TABLE users RENAME COLUMN n TO name"),
    ("ALTER TABLE users RENAME TO people", "ALTER TABLE people RENAME TO users"),
    ("DROP VIEW v; DROP TABLE notes", NOTES + "; CREATE VIEW v AS SELECT id FROM notes"),
    ("ALTER TABLE users DROP CONSTRAINT users_email_key", "ALTER TABLE users ADD UNIQUE (email)"),
    ("DROP TRIGGER tr ON users; DROP FUNCTION f()", TRIGGER),
    ("DO $$ BEGIN IF false THEN RAISE EXCEPTION 'x'; END IF; END $$", "SELECT 1"),
    ("UPDATE users SET name = 'x'", "SELECT 1"),
    ("ALTER TABLE users DISABLE TRIGGER ALL; ALTER TABLE users ENABLE TRIGGER ALL", "SELECT 1"),
    ("ALTER TABLE users DISABLE TRIGGER tr; ALTER TABLE users ENABLE TRIGGER USER", "SELECT 1"),
    ("ALTER TABLE users DISABLE TRIGGER ALL", "ALTER TABLE users ENABLE TRIGGER ALL"),
]  # fmt: skip


@pytest.mark.parametrize(("up", "down"), EXACT)
def test_a_down_script_that_leads_back_is_told_to(up: str, down: str) -> None:
    found = told(up, down)
    if "email" in up and "COLUMN" in up:
        # What hung on the column besides, its author has forgotten.
        assert (found.differences, found.mended) == ((), ("index users_lower is missing",))
    else:
        assert (found.differences, found.mended, found.unsure) == ((), (), ())


DIFFERENT: list[tuple[str, str, str]] = [
    ("DROP VIEW v; DROP TABLE notes", "CREATE VIEW v AS SELECT 1 AS id", "table notes is missing"),
    ("CREATE TABLE a (i int); CREATE TABLE b (i int)", "DROP TABLE a", "table b is left behind"),
    ("ALTER TABLE users ADD x int, ADD y int", "ALTER TABLE users DROP x", "column users.y is left behind"),
    ("CREATE TYPE t AS ENUM ('a')", "SELECT 1", "type t is left behind"),
    ("ALTER TYPE mood ADD VALUE 'fine'", "SELECT 1", "value 'fine' of type mood is left behind"),
    ("DROP SEQUENCE s", "SELECT 1", "sequence s is missing"),
    ("ALTER TABLE users DISABLE TRIGGER ALL; ALTER TABLE users ENABLE TRIGGER tr", "SELECT 1",
     "option triggers of users is left behind"),
    ("ALTER TABLE users ALTER name TYPE text", "ALTER TABLE users ALTER name TYPE varchar(20)",
     "type of column users.name differs: varchar(40) before, varchar(20) after"),
    ("CREATE SCHEMA z; CREATE TABLE z.a (i int)", "DROP TABLE z.a", "schema z is left behind"),
    ("ALTER TABLE users ENABLE ROW LEVEL SECURITY", "SELECT 1", "option EnableRowSecurity of users is left behind"),
    ("GRANT SELECT ON users TO PUBLIC", "SELECT 1", "grant of users is left behind"),
]  # fmt: skip


@pytest.mark.parametrize(("up", "down", "words"), DIFFERENT)
def test_what_a_down_script_leaves_different_is_told(up: str, down: str, words: str) -> None:
    assert words in told(up, down).differences


MENDED: list[tuple[str, str, str]] = [
    ("ALTER TABLE users ALTER name DROP DEFAULT", "SELECT 1", "default of column users.name differs"),
    ("ALTER TABLE users ALTER email SET NOT NULL", "SELECT 1",
     "NOT NULL of column users.email differs: no before, yes after"),
    ("ALTER TABLE users DROP COLUMN m", "SELECT 1", "column users.m is missing"),
    ("DROP INDEX users_lower", "SELECT 1", "index users_lower is missing"),
    ("DROP INDEX users_lower", "CREATE INDEX users_lower ON users (name)", "columns of index users_lower differs"),
    ("DROP TRIGGER tr ON users", "SELECT 1", "trigger tr of users is missing"),
    ("CREATE FUNCTION g() RETURNS int LANGUAGE sql AS 'SELECT 1'", "SELECT 1", "function g() is left behind"),
    ("CREATE EXTENSION hstore", "SELECT 1", "extension hstore is left behind"),
    ("DROP VIEW v", "SELECT 1", "view v is missing"),
    ("DROP FUNCTION f CASCADE", "SELECT 1", "trigger tr of users is missing"),
    ("CREATE INDEX u2 ON users (name)", "SELECT 1", "index u2 is left behind"),
]  # fmt: skip


@pytest.mark.parametrize(("up", "down", "words"), MENDED)
def test_what_a_rollback_puts_right_by_itself_is_told_apart(up: str, down: str, words: str) -> None:
    found = told(up, down)
    assert words in found.mended
    assert not found.differences


FAILING = [
    ("CREATE TABLE a (i int)", "DROP TABLE b", "line 1: table b is not there"),
    ("CREATE UNIQUE INDEX i ON users (name)", "ALTER TABLE users DROP CONSTRAINT i", "constraint i of users is not"),
    ("ALTER TABLE users ADD x int", "ALTER TABLE users ADD x int", "column users.x is there already"),
    ("ALTER TABLE users ADD x int", "ALTER TABLE users DROP x\nALTER TABLE users", "syntax error"),
    ("CREATE TABLE a (i int)", "DROP TABLE users", "table users cannot be dropped: constraint notes_user_id_fkey"),
]


@pytest.mark.parametrize(("up", "down", "words"), FAILING)
def test_a_down_script_that_cannot_work_is_told(up: str, down: str, words: str) -> None:
    assert words in (told(up, down).fails or "")


@pytest.mark.parametrize("code", ["DO $$ BEGIN EXECUTE 'DROP TABLE x'; END $$", "SELECT made_somewhere()", "CALL p()"])
def test_what_cannot_be_followed_makes_the_rest_unsure(code: str) -> None:
    found = told(f"{code}; CREATE TABLE a (i int)", "SELECT 1")
    assert found.unsure
    assert not found.differences
    assert "as far as it can be followed, table a is left behind" in found.unsure


def test_rows_that_an_up_adds_and_no_down_takes_away_are_told() -> None:
    up = "CREATE TABLE a (i int); INSERT INTO a VALUES (1);\nINSERT INTO users (name) VALUES ('x')"
    assert told(up, "DROP TABLE a").rows == ("rows that line 2 writes into users stay",)
    assert told(up, "DROP TABLE a; DELETE FROM users WHERE name = 'x'").rows == ()


@pytest.mark.parametrize(
    ("up", "down", "words"),
    [
        (
            "ALTER TABLE users ALTER name TYPE varchar(80)",
            "ALTER TABLE users ALTER name TYPE varchar(40) USING upper(name)",
            "line 1 of the way back gives name other values by an expression",
        ),
        (
            "ALTER TABLE users ADD z int",
            f"ALTER TABLE users DROP z; DROP TABLE notes CASCADE; {NOTES}",
            "line 1 of the way back drops notes, which the migration did not make",
        ),
        (
            "ALTER TABLE users RENAME TO w; ALTER TABLE notes RENAME TO users; ALTER TABLE w RENAME TO notes",
            "SELECT 1",
            "users would hold the rows of notes: their names are not changed back",
        ),
    ],
)
def test_rows_that_a_way_back_changes_by_definitions_are_told(up: str, down: str, words: str) -> None:
    assert words in told(up, down).rows


@pytest.mark.parametrize(
    ("up", "down"),
    [
        ("ALTER TABLE notes ALTER id TYPE bigint", "ALTER TABLE notes ALTER id TYPE int USING (id::int)"),
        (
            "ALTER TABLE notes ALTER id TYPE bigint",
            'ALTER TABLE notes ALTER "id" SET DATA TYPE int USING "id"::int',
        ),
        ("CREATE TABLE z (id int)", "DROP TABLE z"),
        (
            "ALTER TABLE users RENAME TO w; ALTER TABLE notes RENAME TO users; ALTER TABLE w RENAME TO notes",
            "ALTER TABLE users RENAME TO w; ALTER TABLE notes RENAME TO users; ALTER TABLE w RENAME TO notes",
        ),
    ],
)
def test_of_ways_back_that_keep_the_rows_nothing_is_told(up: str, down: str) -> None:
    assert told(up, down).rows == ()


def test_a_column_that_comes_back_as_not_null_without_a_value_is_told() -> None:
    drop = "ALTER TABLE notes DROP COLUMN body"
    assert told(drop, "ALTER TABLE notes ADD COLUMN body text NOT NULL").required == (("notes", "body"),)
    filled = "ALTER TABLE notes ADD body text; UPDATE notes SET body = ''; ALTER TABLE notes ALTER body SET NOT NULL"
    assert told(drop, filled).required == ()
    assert told(drop, "ALTER TABLE notes ADD COLUMN body text NOT NULL DEFAULT ''").required == ()


def test_the_scripts_alone_are_asked_first() -> None:
    made = told(
        "CREATE TABLE a (i int); ALTER TABLE users ADD x int", "ALTER TABLE users DROP x; DROP TABLE a", blind=True
    )
    assert (made.exact, made.guessed) == (True, False)
    lite = told("ALTER TABLE users ADD x int", "ALTER TABLE users DROP x", "sqlite", blind=True)
    assert (lite.exact, lite.guessed) == (True, False)
    dropped = told("ALTER TABLE users DROP email", "ALTER TABLE users ADD email text", blind=True)
    assert (dropped.exact, dropped.guessed) == (True, True)


def test_a_look_at_the_catalog_draws_the_same_picture() -> None:
    columns: list[dict[str, Any]] = [
        {"name": "id", "type": "integer", "not_null": True, "default": "nextval('public.users_id_seq'::regclass)"},
        {"name": "name", "type": "character varying(40)", "not_null": True, "default": "'-'::character varying"},
        {"name": "k", "type": "text", "not_null": False},
    ]
    look = {
        "table public.users": {
            "columns": columns,
            "constraints": {
                "users_pkey": {"definition": "PRIMARY KEY (id)"},
                "users_k_check": {"definition": "CHECK ((k = ANY (ARRAY['a'::text, 'b'::text])))"},
            },
            "indexes": {
                "users_pkey": {},
                "users_lower": {
                    "definition": "CREATE INDEX users_lower ON public.users USING btree (lower((name)::text)) "
                    "WHERE ((k IS NOT NULL) AND (k <> 'x'::text))"
                },
            },
        }
    }
    seen, written = Picture(known=True), Picture(known=True)
    pictured(look, seen)
    script = """CREATE TABLE users (id serial PRIMARY KEY, name varchar(40) NOT NULL DEFAULT '-',
            k text CHECK (k IN ('a', 'b')));
        CREATE INDEX users_lower ON users (lower(name)) WHERE k IS NOT NULL AND k <> 'x'"""
    follow(read("postgresql", Script(text=script, path="s.sql")), "postgresql", written)
    for picture in (seen, written):
        picture.parts.pop(("table", "users"))
    assert seen.parts == written.parts


REBUILT = """CREATE TABLE new (id INTEGER PRIMARY KEY, email TEXT, UNIQUE (email));
    INSERT INTO new SELECT id, email FROM users; DROP TABLE users; ALTER TABLE new RENAME TO users"""
REQUIRED = "the down script fails: line 1: SQLite adds no column as NOT NULL without a default (users.x)"
SQLITE: list[tuple[str, str, dict[str, tuple[str, ...]]]] = [
    ("ALTER TABLE users ADD COLUMN a TEXT; CREATE TABLE n (i)", "DROP TABLE n; ALTER TABLE users DROP COLUMN a", {}),
    ("CREATE TABLE n (i)", "SELECT 1", {"differences": ("table n is left behind",)}),
    ("DROP INDEX users_name; DROP TRIGGER tr", "SELECT 1",
     {"mended": ("index users_name is missing", "trigger tr of users is missing")}),
    ("ALTER TABLE users RENAME name TO n", "ALTER TABLE users RENAME COLUMN n TO name", {}),
    (REBUILT, "ALTER TABLE users ADD COLUMN name TEXT NOT NULL DEFAULT '-'",
     {"mended": ("index users_name is missing", "trigger tr of users is missing")}),
    ("DELETE FROM users", "ALTER TABLE users ADD COLUMN x TEXT NOT NULL",
     {"differences": (REQUIRED,)}),
]  # fmt: skip


@pytest.mark.parametrize(("up", "down", "expected"), SQLITE)
def test_on_sqlite_too(up: str, down: str, expected: dict[str, tuple[str, ...]]) -> None:
    found = told(up, down, "sqlite")
    parts = {name: getattr(found, name) for name in ("differences", "mended", "unsure", "rows")}
    assert {name: words for name, words in parts.items() if words} == expected


def test_what_one_statement_makes_and_one_takes_away_needs_no_reading() -> None:
    def is_mirrored(up: str, down: str) -> bool:
        ref = MigrationRef(name="m", version="1", order=(1,), path="m.sql")
        back = Script(text=down, path="m.sql")
        migration = Migration(ref=ref, up=Script(text=up, path="m.sql"), down=back, exact_hash="e")
        return mirrored(plan_migration(migration, "up", "postgresql"))

    assert is_mirrored("CREATE TABLE a (i int)", "DROP TABLE a;")
    assert is_mirrored("ALTER TABLE a ADD COLUMN b numeric(3) NOT NULL", "ALTER TABLE a DROP COLUMN b")
    assert is_mirrored("CREATE UNIQUE INDEX i ON a (b)", "DROP INDEX IF EXISTS i")
    assert not is_mirrored("CREATE TABLE a (i int)", "DROP TABLE b")
    assert not is_mirrored("CREATE TABLE IF NOT EXISTS a (i int)", "DROP TABLE a")
    assert not is_mirrored("ALTER TABLE a ADD b int, ADD c int", "ALTER TABLE a DROP b")
    assert not is_mirrored("CREATE TABLE a (i int)", "DROP TABLE a; DROP TABLE b")
