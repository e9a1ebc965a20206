"""What is said of a down script that ran after its up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from bascule.testing.postgres import PostgresServer
from tests.integration.postgresql.fingerprints import Database, words

SETTING = """
CREATE TABLE users (email text NOT NULL, age integer DEFAULT 18, id serial PRIMARY KEY);
CREATE TABLE orders
  (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id integer REFERENCES users, CHECK (user_id > 0));
CREATE INDEX orders_user ON orders (user_id);
CREATE VIEW adults AS SELECT id FROM users WHERE age >= 18;
CREATE FUNCTION twice(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN i + i; END $$;
CREATE TABLE days (day date, a int) PARTITION BY RANGE (day);
CREATE TABLE days_2 PARTITION OF days DEFAULT;
CREATE INDEX days_2_a ON days_2 (a);
CREATE TABLE parents (a int);
CREATE TABLE children (b int) INHERITS (parents);
CREATE FUNCTION said() RETURNS text LANGUAGE sql AS $$ SELECT 'a  b'::text $$;
"""


@pytest.fixture(scope="module")
def shared(bascule_postgres_server: PostgresServer) -> Iterator[Database]:
    url = bascule_postgres_server.create_database("fingerprint_ways_back")
    opened = Database(url)
    with closing(opened.connection):
        opened.run(SETTING)
        yield opened
    bascule_postgres_server.drop_database("fingerprint_ways_back")


@pytest.fixture
def database(shared: Database) -> Iterator[Database]:
    shared.run("BEGIN")
    yield shared
    shared.run("ROLLBACK")


EXACT = {
    "a table comes and goes": (
        "CREATE TABLE notes (id serial PRIMARY KEY, user_id int REFERENCES users)",
        "DROP TABLE notes",
    ),
    "a table is renamed and renamed back": ("ALTER TABLE users RENAME TO people", "ALTER TABLE people RENAME TO users"),
    "a last column goes and comes": (
        "ALTER TABLE orders DROP COLUMN user_id",
        (
            "ALTER TABLE orders ADD user_id int REFERENCES users, ADD CHECK (user_id > 0); CREATE INDEX orders_user ON"
            " orders (user_id)"
        ),
    ),
    "a column comes and goes": (
        "ALTER TABLE users ADD note text NOT NULL DEFAULT 'x', ADD other serial",
        "ALTER TABLE users DROP other; ALTER TABLE users DROP note",
    ),
    "a column comes with what hangs on it, and takes it along": (
        (
            "ALTER TABLE users ADD note text; CREATE INDEX users_note ON users (note, email); CREATE VIEW noted AS"
            " SELECT note FROM users"
        ),
        "ALTER TABLE users DROP note CASCADE",
    ),
    "an index comes and goes": ("CREATE INDEX orders_more ON orders (id, user_id)", "DROP INDEX orders_more"),
    "an index goes and comes": ("DROP INDEX orders_user", "CREATE INDEX orders_user ON orders (user_id)"),
    "an index of a partitioned table": ("CREATE INDEX days_more ON days (day, a)", "DROP INDEX days_more"),
    "a column of a partitioned table": ("ALTER TABLE days ADD b int", "ALTER TABLE days DROP b"),
    "a view is replaced": (
        "DROP VIEW adults; CREATE VIEW adults AS SELECT id, age FROM users",
        "DROP VIEW adults; CREATE VIEW adults AS\n  SELECT id -- all of them\n  FROM users WHERE age >= 18",
    ),
    "a privilege is given and taken": ("GRANT SELECT ON users TO PUBLIC", "REVOKE SELECT ON users FROM PUBLIC"),
    "a privilege is taken and given": (
        "REVOKE ALL ON FUNCTION twice FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION twice TO PUBLIC",
    ),
    "only rows change": ("INSERT INTO users (email) VALUES ('x')", "DELETE FROM users"),
    "the same again, by code that no parser can follow": (
        "DO $$ BEGIN CREATE TABLE made_by_code (a int); END $$",
        "DROP TABLE made_by_code",
    ),
}


@pytest.mark.parametrize(("up", "down"), EXACT.values(), ids=EXACT.keys())
def test_a_down_that_undoes_everything_is_exact(database: Database, up: str, down: str) -> None:
    outcome = database.after(up, down)

    assert (words(outcome.touched), words(outcome.whole)) == (set(), set())
    assert outcome.verdicts == ("exact", "exact")


COLUMN_ORDER = {
    "a column in the middle": (
        "ALTER TABLE users DROP COLUMN age CASCADE",
        "ALTER TABLE users ADD age integer DEFAULT 18; {adults}",
    ),
    "a column at the front": ("ALTER TABLE users DROP COLUMN email", "ALTER TABLE users ADD email text NOT NULL"),
}


@pytest.mark.parametrize(("up", "down"), COLUMN_ORDER.values(), ids=COLUMN_ORDER.keys())
def test_a_column_that_comes_back_at_the_end_is_column_order(database: Database, up: str, down: str) -> None:
    outcome = database.after(up, down.format(adults="CREATE VIEW adults AS SELECT id FROM users WHERE age >= 18"))

    assert outcome.verdicts == ("column_order", "column_order")
    assert words(outcome.touched) == words(outcome.whole)
    assert all("columns are in another order: they were email, age, id, now" in each for each in words(outcome.whole))


COSMETIC = {
    "a constraint with another name": (
        "ALTER TABLE orders DROP CONSTRAINT orders_user_id_fkey",
        "ALTER TABLE orders ADD CONSTRAINT fk_user FOREIGN KEY (user_id) REFERENCES users",
        {"table public.orders: constraint orders_user_id_fkey is now named fk_user"},
    ),
    "a primary key with another name": (
        "ALTER TABLE orders DROP CONSTRAINT orders_pkey",
        "ALTER TABLE orders ADD CONSTRAINT pk PRIMARY KEY (id)",
        {"table public.orders: constraint orders_pkey is now named pk"},
    ),
    "an index with another name": (
        "DROP INDEX orders_user",
        "CREATE INDEX ON orders (user_id)",
        {"table public.orders: index orders_user is now named orders_user_id_idx"},
    ),
    "an index that comes back with another name, which the script gives": (
        "DROP INDEX orders_user",
        "CREATE INDEX another ON orders (user_id)",
        {"table public.orders: index orders_user is now named another"},
    ),
    "a function's layout and comments": (
        "DROP FUNCTION twice",
        "CREATE FUNCTION twice(i int) RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n  return i + i; -- quick\nEND\n$$",
        {"function public.twice(integer): its text differs only in layout or comments"},
    ),
    "a sequence whose name was taken when its column came back": (
        (
            "ALTER TABLE users RENAME id TO old_id; ALTER TABLE users ALTER old_id DROP DEFAULT, DROP CONSTRAINT"
            " users_pkey CASCADE"
        ),
        (
            "DROP VIEW adults; ALTER TABLE users ADD id serial PRIMARY KEY; ALTER TABLE users DROP COLUMN old_id;"
            "CREATE VIEW adults AS SELECT id FROM users WHERE age >= 18; ALTER TABLE orders ADD FOREIGN KEY (user_id)"
            " REFERENCES users"
        ),
        {"sequence public.users_id_seq: it is now named public.users_id_seq1"},
    ),
}


@pytest.mark.parametrize(("up", "down", "expected"), COSMETIC.values(), ids=COSMETIC.keys())
def test_other_names_and_other_layout_are_cosmetic(database: Database, up: str, down: str, expected: set[str]) -> None:
    outcome = database.after(up, down)

    assert (words(outcome.touched), words(outcome.whole)) == (expected, expected)
    assert outcome.verdicts == ("cosmetic", "cosmetic")


LOSSY = {
    "a view that CASCADE took along": (
        (
            "ALTER TABLE users RENAME TO old_users; CREATE TABLE users (LIKE old_users INCLUDING ALL); DROP TABLE"
            " old_users CASCADE"
        ),
        "SELECT",
    ),
    "a space in a function's text": (
        "DROP FUNCTION said",
        "CREATE FUNCTION said() RETURNS text LANGUAGE sql AS $$ SELECT 'a b'::text $$",
    ),
    "another function": (
        "DROP FUNCTION twice",
        "CREATE FUNCTION twice(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN i * 3; END $$",
    ),
    "a table left behind": ("CREATE TABLE notes (id serial PRIMARY KEY)", "-- nothing"),
    "a column left behind": ("ALTER TABLE orders ADD note text", "SELECT"),
    "another column dropped": ("ALTER TABLE users ADD note text", "ALTER TABLE users DROP age CASCADE"),
    "a column and an index left behind": (
        "ALTER TABLE orders ADD note text; CREATE INDEX orders_note ON orders (note)",
        "SELECT",
    ),
    "an index left behind": ("CREATE INDEX orders_more ON orders (id, user_id)", "SELECT"),
    "another index dropped": (
        "CREATE INDEX orders_more ON orders (id, user_id)",
        "DROP INDEX orders_user, orders_more",
    ),
    "an index that a partition had before": ("CREATE INDEX days_a ON days (a)", "DROP INDEX days_a"),
    "a column that stays with a child": (
        "ALTER TABLE parents ADD c int",
        "ALTER TABLE ONLY parents DROP c",
    ),
    "order and loss together": (
        "ALTER TABLE users DROP COLUMN age CASCADE",
        "ALTER TABLE users ADD age bigint DEFAULT 18; CREATE VIEW adults AS SELECT id FROM users WHERE age >= 18",
    ),
}


@pytest.mark.parametrize(("up", "down"), LOSSY.values(), ids=LOSSY.keys())
def test_a_down_that_leaves_something_else_is_lossy(database: Database, up: str, down: str) -> None:
    outcome = database.after(up, down)

    assert outcome.verdicts == ("lossy", "lossy")
    assert words(outcome.touched) == words(outcome.whole)
