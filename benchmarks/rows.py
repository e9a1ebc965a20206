"""Rows for the tables of a schema that nobody described: made from its catalog, so that every constraint holds.

A few rows for each table, parents before children. Values are chosen by type; a column with a foreign key takes the
value of a row that is there; literals that stand in a table's CHECK constraints are tried too. A row that the server
refuses is tried again with other values, up to `_TRIES` times.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_TRIES = 12
_COLUMNS = """
SELECT c.oid, format('%%I.%%I', n.nspname, c.relname), a.attname, format_type(b.oid, a.atttypmod), b.typcategory,
  a.attnotnull, a.atthasdef,
  (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = b.oid),
  a.atttypmod, b.typname::text
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type AS t ON t.oid = a.atttypid
JOIN pg_type AS b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname <> ALL (%s)
  AND n.nspname NOT LIKE 'pg!_%%' ESCAPE '!' AND n.nspname <> 'information_schema'
  AND a.attidentity = '' AND a.attgenerated = '' AND NOT EXISTS (
    SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.oid, a.attnum
"""
_REFERENCES = """
SELECT k.conrelid, k.confrelid,
  ARRAY(SELECT attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u (number, place)
    JOIN pg_attribute ON attrelid = k.conrelid AND attnum = number ORDER BY place),
  ARRAY(SELECT attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u (number, place)
    JOIN pg_attribute ON attrelid = k.confrelid AND attnum = number ORDER BY place)
FROM pg_constraint AS k WHERE k.contype = 'f' AND k.conparentid = 0
"""
_CHECKS = "SELECT conrelid, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0"
_LITERAL = re.compile(r"'((?:[^']|'')*)'")
_WORDS = ("alpha", "beta", "gamma", "delta", "omega", "kappa", "sigma", "zeta")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    name: str
    type: str
    base: str
    category: str
    not_null: bool
    default: bool
    labels: tuple[str, ...] | None
    limit: int | None


@dataclass(slots=True, kw_only=True)
class _Table:
    oid: int
    name: str
    columns: list[_Column] = field(default_factory=list)
    references: list[tuple[int, tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)
    literals: list[str] = field(default_factory=list)


def fill(connection: Connection, *, rows: int, seed: int, leave: Sequence[str] = ("bascule",)) -> Mapping[str, int]:
    """By table, how many rows were made. `leave`: schemas that get none. The connection is in autocommit mode."""
    dice = random.Random(seed)
    tables = _read(connection, leave)
    made = dict.fromkeys((table.name for table in tables.values()), 0)
    for table in _parents_first(tables):
        for number in range(rows):
            made[table.name] += _one(connection, table, tables, dice, number)
    return made


def _read(connection: Connection, leave: Sequence[str]) -> dict[int, _Table]:
    tables: dict[int, _Table] = {}
    for oid, name, column, kind, category, not_null, default, labels, modifier, base in connection.execute(
        _COLUMNS, (list(leave),)
    ):
        table = tables.setdefault(oid, _Table(oid=oid, name=name))
        limit = modifier - 4 if base in ("varchar", "bpchar") and modifier > 4 else None
        table.columns.append(
            _Column(
                name=column,
                type=kind,
                base=base,
                category=category,
                not_null=not_null,
                default=default,
                labels=tuple(labels) if labels else None,
                limit=limit,
            )
        )
    for oid, parent, own, its in connection.execute(_REFERENCES):
        if oid in tables:
            tables[oid].references.append((parent, tuple(own), tuple(its)))
    for oid, definition in connection.execute(_CHECKS):
        if oid in tables:
            tables[oid].literals += [each.replace("''", "'") for each in _LITERAL.findall(definition)]
    return tables


def _parents_first(tables: Mapping[int, _Table]) -> Iterator[_Table]:
    done: set[int] = set()
    waiting = list(tables.values())
    while waiting:
        ready = [
            table
            for table in waiting
            if all(parent in done or parent == table.oid or parent not in tables for parent, _, _ in table.references)
        ] or waiting[:1]
        for table in ready:
            yield table
            done.add(table.oid)
        waiting = [table for table in waiting if table.oid not in done]


def _one(connection: Connection, table: _Table, tables: Mapping[int, _Table], dice: random.Random, number: int) -> bool:
    import psycopg

    for attempt in range(_TRIES):
        values = {
            column.name: _value(column, table, dice, number, attempt)
            for column in table.columns
            if not (column.default and (attempt % 3 < 2) and "nextval" not in column.type and dice.random() < 0.7)
        }
        for parent, own, its in table.references:
            found = _of_parent(connection, tables.get(parent), its, dice)
            if found is not None:
                values |= dict(zip(own, found, strict=True))
            elif not any(column.not_null for column in table.columns if column.name in own):
                values |= dict.fromkeys(own)
        names = ", ".join('"' + name.replace('"', '""') + '"' for name in values)
        types = {column.name: column.type for column in table.columns}
        places = ", ".join(f"%s::{types.get(name, 'text')}" for name in values)
        try:
            if values:
                connection.execute(f"INSERT INTO {table.name} ({names}) VALUES ({places})", list(values.values()))  # type: ignore[arg-type]
            else:
                connection.execute(f"INSERT INTO {table.name} DEFAULT VALUES")  # type: ignore[arg-type]
        except psycopg.Error:
            continue
        return True
    return False


def _of_parent(
    connection: Connection, parent: _Table | None, names: Sequence[str], dice: random.Random
) -> tuple[Any, ...] | None:
    if parent is None:
        return None
    columns = ", ".join('"' + name.replace('"', '""') + '"::text' for name in names)
    rows = connection.execute(f"SELECT {columns} FROM {parent.name} LIMIT 20").fetchall()  # type: ignore[arg-type]
    return dice.choice(rows) if rows else None


def _value(column: _Column, table: _Table, dice: random.Random, number: int, attempt: int) -> Any:
    """As text, which the server casts."""
    if not column.not_null and dice.random() < 0.25:
        return None
    if column.labels:
        return dice.choice(column.labels)
    if table.literals and attempt > 1 and column.category == "S":
        return dice.choice(table.literals)
    made = _of_type(column, dice, number, attempt)
    return made[: column.limit] if column.limit and made is not None else made


def _of_type(column: _Column, dice: random.Random, number: int, attempt: int) -> str | None:
    makers = {
        "N": lambda: _number(column.base, dice, top=100 if attempt % 2 else 9),
        "B": lambda: dice.choice(("true", "false")),
        "D": lambda: _moment(column.base, dice),
        "A": lambda: "{}",
        "I": lambda: f"10.0.{dice.randrange(256)}.{dice.randrange(256)}",
        "T": lambda: f"{dice.randrange(1, 50)} hours",
    }
    if column.category in makers:
        return makers[column.category]()
    by_name = {
        "json": lambda: '{"made": ' + str(dice.randrange(1000)) + "}" if attempt % 2 == 0 else "[]",
        "uuid": lambda: f"{dice.getrandbits(128):032x}",
        "bytea": lambda: f"\\x{dice.getrandbits(64):016x}",
        "tsvector": lambda: dice.choice(_WORDS),
        "ltree": lambda: f"{dice.choice(_WORDS)}.{dice.choice(_WORDS)}",
        "semver_triple": lambda: f"({dice.randrange(9)},{dice.randrange(9)},{dice.randrange(9)})",
    }
    if (name := "json" if column.base == "jsonb" else column.base) in by_name:
        return by_name[name]()
    if column.category == "S":
        word = dice.choice(_WORDS)
        return word if attempt % 4 == 3 else f"{word}{number}{dice.randrange(10000)}"
    return None


def _number(base: str, dice: random.Random, *, top: int) -> str:
    whole = str(dice.randrange(1, top))
    return whole if base.startswith(("int", "oid")) else f"{whole}.{dice.randrange(0, 9)}"


def _moment(base: str, dice: random.Random) -> str:
    if base == "time":
        return "12:30:00"
    day = f"2024-{dice.randrange(1, 13):02}-{dice.randrange(1, 28):02}"
    return f"{day} {dice.randrange(24):02}:{dice.randrange(60):02}:00"
