"""SQL that says how much tables hold, without reading them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bascule.domain.statement import Dialect, ObjectName
from bascule.sql.postgres.tree import shown

MANY = 100_000
"""Rows up to which SQLite counts; nothing in its catalog tells how many there are."""

# As the planner does it: rows to a page when the table was last analysed, times the pages of now.
_POSTGRESQL = """SELECT asked.number, sizes.rows, sizes.bytes
FROM (VALUES {names}) AS asked(number, name)
JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(asked.name) AND c.relkind IN ('r', 'p', 'm')
CROSS JOIN LATERAL (
  SELECT sum(CASE WHEN p.relpages > 0 AND p.reltuples >= 0
      THEN p.reltuples / p.relpages * (pg_catalog.pg_relation_size(p.oid) / s.block)
      ELSE pg_catalog.pg_stat_get_live_tuples(p.oid) END)::bigint AS rows,
    sum(pg_catalog.pg_total_relation_size(p.oid))::bigint AS bytes
  FROM pg_catalog.pg_class p, (SELECT pg_catalog.current_setting('block_size')::bigint) AS s(block)
  WHERE p.oid = c.oid OR p.oid IN (SELECT t.relid FROM pg_catalog.pg_partition_tree(c.oid) AS t)
) AS sizes"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What one table holds."""

    rows: int
    exact: bool
    """False: the server's own estimate, or at least so many."""
    bytes: int | None = None
    """With its indexes; None: the database does not say."""

    def words(self) -> str:
        """For people."""
        rows = f"{'' if self.exact else 'about '}{self.rows:,} row{'' if self.rows == 1 else 's'}"
        return rows if self.bytes is None else f"{rows}, {spelled_bytes(self.bytes)}"

    @property
    def weight(self) -> int:
        """Bytes, guessed from the rows where they are not known."""
        return self.rows * 100 if self.bytes is None else self.bytes


def tables_there_sql(tables: Sequence[ObjectName], dialect: Dialect) -> str:
    """The number of each that is a table. For PostgreSQL its rows and bytes too."""
    if dialect == "postgresql":
        names = ", ".join(f"({number}, {_literal(shown(table))})" for number, table in enumerate(tables))
        return _POSTGRESQL.format(names=names)
    names = ", ".join(f"({number}, {_literal(table.name)})" for number, table in enumerate(tables))
    return (
        f"WITH asked(number, name) AS (VALUES {names}) SELECT asked.number, NULL, NULL FROM asked "
        "JOIN sqlite_master AS m ON m.type = 'table' AND lower(m.name) = lower(asked.name)"
    )


def counts_sql(tables: Sequence[ObjectName]) -> str:
    """SQLite: one row with the number of rows of each, `MANY` + 1 where there are more."""
    # A plain count(*) is one instruction of SQLite's, which nothing can end before its end.
    few = (f"(SELECT count(*) FROM (SELECT 1 FROM {_quoted(each.name)} LIMIT {MANY + 1}))" for each in tables)
    return "SELECT " + ", ".join(few)


def read_sizes(tables: Sequence[ObjectName], rows: Sequence[tuple[Any, ...]]) -> Mapping[ObjectName, Size | None]:
    """Of the tables that are there; None where they have to be counted."""
    return {
        tables[number]: None if known is None else Size(rows=int(known), exact=not stored, bytes=int(stored))
        for number, known, stored in rows
    }


def counted(number: int) -> Size:
    """What a count of SQLite says."""
    return Size(rows=min(number, MANY), exact=number <= MANY)


def spelled_bytes(number: int) -> str:
    """For people: ``8 kB``, ``1.2 GB``."""
    size = float(number)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
