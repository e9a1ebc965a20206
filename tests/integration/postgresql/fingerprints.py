"""Looking at a PostgreSQL schema before and after a script in both ways: what the script touches, and everything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg

from bascule.databases.postgres.catalog import shape_sql, snapshot, touch_json
from bascule.domain.schema import Difference, Snapshot
from bascule.domain.statement import ObjectKind, ObjectName, Touch
from bascule.rollback.verdict import compare, verdict
from bascule.sql.classify import inspect
from bascule.sql.split import split
from bascule.sql.touches import script_touch

EVERYTHING = Touch(everything=True)


def relation(*names: str) -> Touch:
    """These tables, views, indexes or sequences, each perhaps with its schema."""
    return named("relation", *names)


def named(kind: ObjectKind, *names: str) -> Touch:
    """These objects of one kind, each perhaps with its schema."""
    parts = [name.rpartition(".") for name in names]
    return Touch(
        objects=frozenset(ObjectName(kind=kind, schema=schema or None, name=name) for schema, _, name in parts)
    )


def touch_of(*scripts: str) -> Touch:
    """What these scripts together may change: an up, and the ways back from it."""
    touch = Touch()
    for number, script in enumerate(scripts):
        insights = [inspect(statement, "postgresql") for statement in split(script, "postgresql")]
        touch |= script_touch(insights, back=number > 0)
    return touch


def words(differences: Iterable[Difference]) -> set[str]:
    """Differences as they are reported."""
    return {f"{each.object}: {each.what}" for each in differences}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of the schema, as seen through the touch of the scripts and as seen as a whole."""

    touched: tuple[Difference, ...]
    whole: tuple[Difference, ...]

    @property
    def verdicts(self) -> tuple[str, str]:
        """Of the touched objects and of everything."""
        return verdict(self.touched), verdict(self.whole)


class Database:
    """A test's own database with the function `shape` in it."""

    def __init__(self, url: str, schema: str = "bascule") -> None:
        self.connection = psycopg.connect(url, autocommit=True)
        self._own = '"' + schema.replace('"', '""') + '"'
        self.run(f"CREATE SCHEMA {self._own}")
        self.run(shape_sql(schema))

    def run(self, script: str) -> None:
        """All statements of a script, in one message."""
        self.connection.execute(script.encode())

    def value(self, query: str) -> Any:
        """The one value that a query answers."""
        row = self.connection.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]

    def look(self, touch: Touch) -> Snapshot:
        """The schema as it is now."""
        row = self.connection.execute(f"SELECT {self._own}.shape(%s)::text".encode(), (touch_json(touch),)).fetchone()
        assert row is not None
        return snapshot(row[0])

    def after(self, *scripts: str) -> Outcome:
        """Run the scripts, each in a new session as a runner would, and compare."""
        touch = touch_of(*scripts)
        touched, whole = self.look(touch), self.look(EVERYTHING)
        for script in scripts:
            self.run(script)
        return Outcome(touched=compare(touched, self.look(touch)), whole=compare(whole, self.look(EVERYTHING)))
