"""What stands on the tables of a backup that is not in it: indexes, triggers, columns."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from bascule.databases.sqlite.tables import quoted, read_parts, read_tables
from bascule.ports.dump import are_among

Again = dict[str, tuple[tuple[str, str, tuple[str, ...]], ...]]
"""By table: kind, name and statements of each thing."""


def kept_since(
    connection: sqlite3.Connection, tables: Iterable[str], words: frozenset[str], *, then: str, now: str
) -> Again:
    """By table the statements that make again what others have made on it; run when the table of the backup is there.
    `then`, `now`: the names of the backup and of the database. `words`: those of the scripts that are undone.
    """
    found: Again = {}
    for name in tables:
        before = read_parts(connection, then, name)
        parts = []
        for (kind, part), sql in read_parts(connection, now, name).items():
            if before.get((kind, part)) == sql or are_among(part, words):
                continue
            drop = (f"DROP {kind.upper()} main.{quoted(part)}",) if (kind, part) in before else ()
            parts.append((kind, part, (*drop, sql)))
        if parts:
            found[name] = tuple(parts)
    return found


def gone_since(
    connection: sqlite3.Connection, tables: Iterable[str], words: frozenset[str], *, then: str, now: str
) -> Iterator[str]:
    """What others have changed in the tables themselves, in words: nothing of it can be made again."""
    before, after = read_tables(connection, then), read_tables(connection, now)
    for name in tables:
        if name not in before or name not in after or before[name].sql == after[name].sql:
            continue
        new = [column for column in after[name].columns if column not in before[name].columns]
        theirs = [column for column in new if not are_among(column, words)]
        yield from (f"{name}: its column {column}, which is not in the backup" for column in theirs)
        if not theirs and not are_among(name, words):
            yield f"{name}: its definition, which is another one in the backup"


def told_since(connection: sqlite3.Connection, tables: Iterable[str], *, then: str, now: str) -> Iterator[str]:
    """All that a restore of these tables takes along or sets back, in words."""
    names = tuple(tables)
    for name in names:
        before = read_parts(connection, then, name)
        for (kind, part), sql in read_parts(connection, now, name).items():
            if before.get((kind, part)) != sql:
                how = "otherwise than" if (kind, part) in before else "not"
                yield f"{kind} {part} on {name}, {how} in the backup"
    yield from gone_since(connection, names, frozenset(), then=then, now=now)
