"""The catalog's facts about tables, in one query of PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bascule.domain.statement import ObjectName
from bascule.validation.needs.facts import ColumnFacts, TableFacts
from bascule.validation.needs.writing import literal, table_name

# What is said of a foreign table is looked after by whoever has its rows; nothing fails because of them.
_SQL = """SELECT asked.number, c.relkind = 'r',
  (SELECT pg_catalog.json_agg(a.attname ORDER BY k.place)
   FROM pg_catalog.pg_index i, pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)
   JOIN pg_catalog.pg_attribute a ON a.attnum = k.number
   WHERE i.indrelid = c.oid AND i.indisprimary AND a.attrelid = c.oid AND k.place <= i.indnkeyatts),
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(a.attname, a.attnotnull, coalesce(b.typname, t.typname)))
   FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
   LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype AND t.typtype = 'd'
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  c.relkind NOT IN ('r', 'p')
   OR EXISTS (SELECT FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid AND c.relkind <> 'v')
   OR EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal)
   OR EXISTS (SELECT FROM pg_catalog.pg_constraint f WHERE f.confrelid = c.oid AND f.contype = 'f'
     AND (f.confdeltype IN ('c', 'n', 'd') OR f.confupdtype IN ('c', 'n', 'd')))
   OR EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE c.oid IN (h.inhrelid, h.inhparent))
FROM (VALUES {names}) AS asked(number, name)
JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(asked.name) AND c.relkind <> 'f'"""


def facts_sql(tables: Sequence[ObjectName]) -> str:
    """One row for each that is there."""
    names = ", ".join(f"({number}, {literal(table_name(table))})" for number, table in enumerate(tables))
    return _SQL.format(names=names)


def read_facts(tables: Sequence[ObjectName], rows: Sequence[tuple[Any, ...]]) -> Mapping[ObjectName, TableFacts]:
    """What the rows say, by table."""
    return {
        tables[number]: TableFacts(
            exists=True,
            plain=bool(plain),
            key=tuple(key or ()),
            columns={name: ColumnFacts(not_null=not_null, type=type_) for name, not_null, type_ in columns or ()},
            reaches=bool(reaches),
        )
        for number, plain, key, columns, reaches in rows
    }
