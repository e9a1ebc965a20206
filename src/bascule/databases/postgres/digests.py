"""Digests of a table's content: one for each column, so that a difference has a name.

Each value is hashed by the hash function of its type, seeded with its row's key, and the hashes of a column are added
up: no order is needed, parts of a table can be digested apart and added, and a value in another row is another value.
A table without a key has one digest more, of its rows as wholes, under the empty name.

The server's hash functions are not promised to be the same in another major version: digests are compared within one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bascule.databases.postgres.dump_catalog import Column, Table, locks_given_back
from bascule.domain.backup import TableDigest

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

WHOLE_ROW = ""
"""The name under which rows as wholes are digested. No column can have it."""

_WRAP = 1 << 64
_AT_ONCE = 100
_INTEGERS = (20, 21, 23)
# By oid of the type. What is not here is hashed as text: the types' own functions either do not exist, take other
# arguments than they say, or call things equal that are not the same ('1 mon' and '30 days', an enum's label by oid).
_HASHES = {
    16: "hashint4extended({}::pg_catalog.int4, {})",
    18: "hashcharextended({}, {})",
    20: "hashint8extended({}, {})",
    21: "hashint2extended({}, {})",
    23: "hashint4extended({}, {})",
    25: 'hashtextextended({} COLLATE pg_catalog."C", {})',
    26: "hashoidextended({}, {})",
    700: "hashfloat4extended({}, {})",
    701: "hashfloat8extended({}, {})",
    869: "hashinetextended({}, {})",
    1043: 'hashtextextended({}::pg_catalog.text COLLATE pg_catalog."C", {})',
    1082: "timestamp_hash_extended({}::pg_catalog.timestamp, {})",
    1083: "time_hash_extended({}, {})",
    1114: "timestamp_hash_extended({}, {})",
    1184: "timestamp_hash_extended(pg_catalog.timezone('UTC', {}), {})",
    1266: "timetz_hash_extended({}, {})",
    1700: "hash_numeric_extended({}, {})",
    2950: "uuid_hash_extended({}, {})",
    3802: "jsonb_hash_extended({}, {})",
}
_BYTEA = 17
_NUMERIC = 1700
_AS_TEXT = 'hashtextextended({}::pg_catalog.text COLLATE pg_catalog."C", {})'


def digest_sql(table: Table, *, source: str, where: str = "") -> str:
    """The statement that answers the number of rows and a sum for each of `names_of`. `source`: what is read."""
    columns = table.columns
    key = [column for column in columns if column.name in table.key]
    key.sort(key=lambda column: table.key.index(column.name))
    rows = f"{source}{where}"
    if not columns:
        return f"SELECT pg_catalog.count(*) FROM {rows}"
    if len(key) == 1 and key[0].base in _INTEGERS:
        seed = f"{key[0].quoted}::pg_catalog.int8"
        return _sums([_hash(column, column.quoted, "0" if column is key[0] else seed) for column in columns], rows)
    if key:
        # OFFSET 0 keeps the seed from being computed once for each column.
        names = ", ".join(f"{column.quoted} AS c{number}" for number, column in enumerate(columns))
        inner = f"(SELECT {names}, {_chain(key)} AS seed FROM {rows} OFFSET 0) AS r"
        hashes = [
            _hash(column, f"c{number}", "0" if column in key else "seed") for number, column in enumerate(columns)
        ]
        return _sums(hashes, inner)
    hashed = ", ".join(f"{_hash(column, column.quoted, '0')} AS h{number}" for number, column in enumerate(columns))
    whole = "0"
    for number in range(len(columns)):
        whole = f"pg_catalog.hashint8extended(coalesce(h{number}, 1), {whole})"
    inner = f"(SELECT {hashed} FROM {rows} OFFSET 0) AS r"
    return _sums([f"h{number}" for number in range(len(columns))] + [whole], inner)


def names_of(table: Table) -> tuple[str, ...]:
    """What `digest_sql` answers sums for, in order."""
    names = tuple(column.name for column in table.columns)
    return names if table.key or not names else (*names, WHOLE_ROW)


def read_digest(connection: Connection, table: Table, *, source: str | None = None, where: str = "") -> TableDigest:
    """The digest of a table, or of a part of it. The session prints values in the fixed forms (`SETTINGS`)."""
    row = connection.execute(digest_sql(table, source=source or f"ONLY {table.name}", where=where)).fetchone()
    assert row is not None, "an aggregate answers one row"
    return _digest_of(table, row)


def read_digests(connection: Connection, wanted: Sequence[tuple[Table, str]]) -> Iterator[TableDigest]:
    """Those of several tables, or parts of them: each with its condition. Many are asked for in one message."""
    for start in range(0, len(wanted), _AT_ONCE):
        asked = wanted[start : start + _AT_ONCE]
        sql = ";\n".join(digest_sql(table, source=f"ONLY {table.name}", where=where) for table, where in asked)
        with locks_given_back(connection):
            cursor = connection.execute(sql)
            rows = []
            for _ in asked:
                rows.append(cursor.fetchone() or ())
                cursor.nextset()
        yield from (_digest_of(table, row) for (table, _), row in zip(asked, rows, strict=True))


def _digest_of(table: Table, row: Sequence[Any]) -> TableDigest:
    rows, *sums = row
    return TableDigest(
        rows=rows,
        columns={name: f"{int(total or 0) % _WRAP:016x}" for name, total in zip(names_of(table), sums, strict=True)},
    )


def added(parts: Iterable[TableDigest]) -> TableDigest:
    """The digest of a table from those of its parts."""
    rows, sums = 0, {}  # type: int, dict[str, int]
    for part in parts:
        rows += part.rows
        for name, digest in part.columns.items():
            sums[name] = sums.get(name, 0) + int(digest, 16)
    return TableDigest(rows=rows, columns={name: f"{total % _WRAP:016x}" for name, total in sums.items()})


def differing(before: TableDigest, after: TableDigest) -> Mapping[str | None, str]:
    """What is otherwise, by column, and how to say it; None: the rows."""
    found: dict[str | None, str] = {}
    if before.rows != after.rows:
        found[None] = f"{after.rows} rows instead of {before.rows}"
        return found
    for name in before.columns:
        if after.columns.get(name) != before.columns[name]:
            if name == WHOLE_ROW:
                found.setdefault(None, "values stand in other rows")
            else:
                found[name] = "has other values"
    return found


def _hash(column: Column, value: str, seed: str) -> str:
    if column.base == _BYTEA:
        return f"CASE WHEN {value} IS NOT NULL THEN pg_catalog.hash_record_extended(ROW({value}), {seed}) END"
    if column.base == _NUMERIC and column.modifier < 0:
        # 1.0 and 1.00 are the same number, but not the same value.
        seed = f"({seed} # coalesce(pg_catalog.scale({value}), 9999)::pg_catalog.int8)"
    return "pg_catalog." + _HASHES.get(column.base, _AS_TEXT).format(value, seed)


def _chain(key: Sequence[Column]) -> str:
    seed = "0"
    for column in key:
        seed = _hash(column, column.quoted, seed)
    return seed


def _sums(hashes: Sequence[str], rows: str) -> str:
    return f"SELECT pg_catalog.count(*), {', '.join(f'pg_catalog.sum({each})' for each in hashes)} FROM {rows}"
