"""SQLite: whatever a script changes in a schema is seen, told in words, and seen by looking only at what it touches."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from bascule.databases.sqlite.catalog import shape
from bascule.domain.schema import Difference, Snapshot
from bascule.domain.statement import ObjectName, Touch
from bascule.rollback.verdict import compare, verdict
from bascule.sql.classify import inspect
from bascule.sql.split import split
from bascule.sql.touches import script_touch

SETTING = """
CREATE TABLE users (
  id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL COLLATE NOCASE, age INT DEFAULT 18 CHECK (age > 0));
CREATE UNIQUE INDEX users_email ON users (email);
CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id INT REFERENCES users (id) ON DELETE CASCADE, note TEXT);
CREATE TRIGGER orders_noted AFTER INSERT ON orders BEGIN UPDATE users SET age = age + 1; END;
CREATE VIEW adults AS SELECT id FROM users WHERE age >= 18;
"""
EVERYTHING = Touch(everything=True)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        opened.executescript(SETTING)
        yield opened


def touch_of(*scripts: str) -> Touch:
    touch = Touch()
    for script in scripts:
        touch |= script_touch([inspect(statement, "sqlite") for statement in split(script, "sqlite")])
    return touch


def kept(look: Snapshot) -> Snapshot:
    """A look as it comes out of the database it was kept in."""
    return Snapshot(objects=json.loads(json.dumps(look.objects)), whole=look.whole)


def relation(*names: str) -> Touch:
    return Touch(objects=frozenset(ObjectName(kind="relation", name=name) for name in names))


def differences(connection: sqlite3.Connection, *scripts: str) -> tuple[Difference, ...]:
    """Run the scripts and compare, by what they touch and as a whole; both must say the same."""
    touch = touch_of(*scripts)
    touched, whole = kept(shape(connection, touch)), kept(shape(connection, EVERYTHING))
    for script in scripts:
        connection.executescript(script)
    found = compare(whole, shape(connection, EVERYTHING))
    assert compare(touched, shape(connection, touch)) == found
    return found


def words(found: tuple[Difference, ...]) -> set[str]:
    return {f"{each.object}: {each.what}" for each in found}


CHANGES: dict[str, tuple[str, set[str]]] = {
    "a new table": ("CREATE TABLE notes (a)", {"table notes: it is left behind"}),
    "a dropped table": ("DROP TABLE orders", {"table orders: it is missing"}),
    "a renamed table, and what speaks of it": (
        "ALTER TABLE users RENAME TO people",
        {
            "table users: it is missing",
            "table people: it is left behind",
            "table orders: constraint foreign key(user_id) references users(id) on delete cascade is missing",
            "table orders: constraint foreign key(user_id) references people(id) on delete cascade is left behind",
            (
                "table orders: trigger orders_noted was create trigger after insert on orders begin update users set"
                " age"
                " = age + 1 ; end,"
                " now create trigger after insert on orders begin update people set age = age + 1 ; end"
            ),
            (
                "view adults: definition was create view adults as select id from users where age >= 18,"
                " now create view adults as select id from people where age >= 18"
            ),
        },
    ),
    "a new column": ("ALTER TABLE orders ADD price INT", {"table orders: column price is left behind"}),
    "a dropped column": ("ALTER TABLE orders DROP COLUMN note", {"table orders: column note is missing"}),
    "an index": ("CREATE INDEX orders_user ON orders (user_id)", {"table orders: index orders_user is left behind"}),
    "a dropped index": ("DROP INDEX users_email", {"table users: index users_email is missing"}),
    "another index of the same name": (
        "DROP INDEX users_email; CREATE UNIQUE INDEX users_email ON users (lower(email))",
        {
            (
                "table users: index users_email was create unique index on users(email),"
                " now create unique index on users(lower(email))"
            )
        },
    ),
    "a dropped trigger": ("DROP TRIGGER orders_noted", {"table orders: trigger orders_noted is missing"}),
    "a view": ("DROP VIEW adults", {"view adults: it is missing"}),
}


@pytest.mark.parametrize(("script", "expected"), CHANGES.values(), ids=CHANGES.keys())
def test_a_change_is_told_in_words(connection: sqlite3.Connection, script: str, expected: set[str]) -> None:
    assert words(differences(connection, script)) == expected


USERS = (
    "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL COLLATE NOCASE,"
    " age INT DEFAULT 18 CHECK (age > 0))"
)

REBUILT: dict[str, tuple[str, str, set[str]]] = {
    "as it was, written otherwise": (
        (
            'create table "users"(\n  [id] integer PRIMARY key autoincrement, -- first\n'
            '  `Email` text collate "NoCase" not null, "AGE" int default (18), check(age>0)\n)'
        ),
        "exact",
        set(),
    ),
    "columns in another order": (
        (
            "CREATE TABLE users (email TEXT NOT NULL COLLATE NOCASE, id INTEGER PRIMARY KEY AUTOINCREMENT, age INT"
            " DEFAULT 18 CHECK (age > 0))"
        ),
        "column_order",
        {"table users: columns are in another order: they were id, email, age, now email, id, age"},
    ),
    "a constraint got a name": (
        USERS.replace("CHECK", "CONSTRAINT of_age CHECK"),
        "cosmetic",
        {"table users: constraint check(age > 0) is now named of_age"},
    ),
    "properties of columns": (
        "CREATE TABLE users (id INTEGER PRIMARY KEY, email VARCHAR(20) UNIQUE, age INT NOT NULL CHECK (age > 0))",
        "lossy",
        {
            "table users: constraint primary key(id) autoincrement is missing",
            "table users: constraint primary key(id) is left behind",
            "table users: type of column email was text, now varchar(20)",
            "table users: column email was NOT NULL, now nullable",
            "table users: collation of column email was nocase, now none",
            "table users: constraint unique(email) is left behind",
            "table users: default of column age was 18, now none",
            "table users: column age was nullable, now NOT NULL",
        },
    ),
    "options of the table": (
        USERS.replace("AUTOINCREMENT", "") + " STRICT, WITHOUT ROWID",
        "lossy",
        {
            "table users: constraint primary key(id) autoincrement is missing",
            "table users: constraint primary key(id) is left behind",
            "table users: option strict is left behind",
            "table users: option without rowid is left behind",
        },
    ),
    "a generated column": (
        USERS[:-1] + ", twice INT GENERATED ALWAYS AS (age * 2) STORED)",
        "lossy",
        {"table users: column twice is left behind"},
    ),
}


@pytest.mark.parametrize(("rebuilt", "reached", "expected"), REBUILT.values(), ids=REBUILT.keys())
def test_a_table_that_was_made_anew_is_read(
    connection: sqlite3.Connection, rebuilt: str, reached: str, expected: set[str]
) -> None:
    connection.executescript("DROP TRIGGER orders_noted; DROP VIEW adults; DROP INDEX users_email")
    if sqlite3.sqlite_version_info < (3, 37):
        rebuilt, expected = rebuilt.replace("STRICT, ", ""), {each for each in expected if "strict" not in each}

    found = differences(connection, "DROP TABLE users", rebuilt)

    assert words(found) == expected
    assert verdict(found) == reached


def test_the_keys_that_followed_a_table_which_was_then_dropped_are_noticed(connection: sqlite3.Connection) -> None:
    connection.executescript("DROP TRIGGER orders_noted; DROP VIEW adults; DROP INDEX users_email")

    found = differences(connection, f"ALTER TABLE users RENAME TO old_users; {USERS}; DROP TABLE old_users")

    assert words(found) == {
        "table orders: constraint foreign key(user_id) references users(id) on delete cascade is missing",
        "table orders: constraint foreign key(user_id) references old_users(id) on delete cascade is left behind",
    }


def test_a_name_may_be_written_in_any_case(connection: sqlite3.Connection) -> None:
    assert set(shape(connection, relation("users")).objects) == {"table users"}
    connection.execute('CREATE TABLE "Straße" (a)')
    assert set(shape(connection, relation("Straße")).objects) == {"table Straße"}
    connection.execute("CREATE TABLE CamelCase (a)")
    assert set(shape(connection, relation("camelcase")).objects) == {"table CamelCase"}


def test_only_what_is_named_is_looked_at(connection: sqlite3.Connection) -> None:
    assert set(shape(connection, relation("users")).objects["table users"]) == {"sql", "indexes"}
    assert shape(connection, relation("users_email")).objects == {
        "table users": {
            "partial": True,
            "indexes": {"users_email": "CREATE UNIQUE INDEX users_email ON users (email)"},
            "named": ["users_email"],
        }
    }
    assert not shape(connection, relation("nothing")).objects
    assert not shape(connection, Touch()).objects


def test_the_database_s_own_tables_and_bascule_s_are_never_looked_at(connection: sqlite3.Connection) -> None:
    connection.executescript(
        "CREATE TABLE bascule_ledger (a); CREATE INDEX i ON bascule_ledger (a); CREATE TEMP TABLE t (a); ANALYZE"
    )

    assert set(shape(connection, EVERYTHING).objects) == {"table users", "table orders", "view adults"}
    assert not shape(connection, relation("bascule_ledger", "i", "t", "sqlite_stat1")).objects


def test_a_trigger_of_a_view_belongs_to_it(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TRIGGER refuse INSTEAD OF DELETE ON adults BEGIN SELECT 1; END")

    assert words(differences(connection, "DROP TRIGGER refuse")) == {"view adults: trigger refuse is missing"}


def test_hundreds_of_names_are_looked_at_together(connection: sqlite3.Connection) -> None:
    names = [f"t{number}" for number in range(300)]
    connection.executescript("".join(f"CREATE TABLE {name} (a REFERENCES users);" for name in names))

    assert set(shape(connection, relation(*names)).objects) >= {f"table {name}" for name in names}
