"""Backups, restores, and what is kept and put back: the same on both databases."""

from __future__ import annotations

from dataclasses import replace

from bascule.domain.statement import Dialect
from tests.acceptance.crash.histories import History, native

_BEFORE = {
    "sqlite": (
        "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, note TEXT);"
        "INSERT INTO people VALUES (1, 'Ann', 'owes us a pen'), (2, 'Bob', NULL), (3, 'Eve', 'x');"
        "CREATE INDEX people_note ON people (note);"
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, person INTEGER);"
        "INSERT INTO orders VALUES (1, 1), (2, 3);"
    ),
    "postgresql": (
        "CREATE TABLE people (id integer PRIMARY KEY, name text, note text);"
        "INSERT INTO people VALUES (1, 'Ann', 'owes us a pen'), (2, 'Bob', NULL), (3, 'Eve', 'x');"
        "CREATE INDEX people_note ON people (note);"
        "CREATE TABLE orders (id integer PRIMARY KEY, person integer REFERENCES people);"
        "COMMENT ON CONSTRAINT orders_person_fkey ON orders IS 'whose';"
        "INSERT INTO orders VALUES (1, 1), (2, 3);"
    ),
}
_BASE = native(up="CREATE TABLE tally (what TEXT);\nINSERT INTO tally VALUES ('one');", down="DROP TABLE tally;")
_DESTROYS = native(
    up="""
DROP INDEX people_note;
ALTER TABLE people DROP COLUMN note;
UPDATE people SET name = upper(name) WHERE id < 3;
DELETE FROM orders WHERE id = 2;
""",
    # It forgets the index: that is mended.
    down="ALTER TABLE people ADD COLUMN note TEXT;\n",
)
_BACK = ("rollback", "--to", "0001_base")
_ACCEPTED = ("--yes", "--accept-data-loss")
_SPOILT = {
    "sqlite": "DELETE FROM orders WHERE id = 1",
    "postgresql": "ALTER TABLE people DROP COLUMN note; DELETE FROM orders WHERE id = 1",
}


def _of(database: Dialect) -> tuple[History, ...]:
    files = {"0001_base.sql": _BASE}

    common = History(
        name="", database=database, group="backups", files=files, before=_BEFORE[database], applied=True, pooled=False
    )
    first = ("up", "--to", "0001_base")
    everything = replace(common, files={**files, "0002_destroys.sql": _DESTROYS})
    return (
        replace(common, name="backup", command=("backup", "create")),
        replace(common, name="backup of some tables", command=("backup", "create", "--table", "orders")),
        replace(
            common,
            name="restore",
            each=(("backup", "create"),),
            spoilt=_SPOILT[database],
            command=("backup", "restore", "{backup}", "--yes"),
        ),
        replace(everything, name="up that destroys", applied_by=first, command=("up", *_ACCEPTED)),
        replace(everything, name="rollback, put back and mended", command=(*_BACK, *_ACCEPTED), looked=False),
        replace(
            everything,
            name="rollback by backup",
            applied_by=first,
            each=(("up", *_ACCEPTED),),
            command=(*_BACK, "--backup", "{backup}", *_ACCEPTED),
            looked=False,
        ),
    )


HISTORIES: tuple[History, ...] = (*_of("sqlite"), *_of("postgresql"))
